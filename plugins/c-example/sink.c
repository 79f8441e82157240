/* A sink plugin in C, to begin your own from: counts spans by category.

   cc -std=c11 -Wall -Wextra -O2 -shared -fPIC -I ../../crates/abi/include sink.c -o libc_count.so */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tickscope_sink.h"

/* A category of the recording, and what was counted of it. */
typedef struct {
    char *name;
    uint64_t spans;
} Category;

/* One opened sink. The same plugin may be asked for twice, so nothing is kept outside of it. */
typedef struct {
    const TickscopeHost *host;
    bool loud;
    /* By id. Names come once and their text is lent: what is needed later is copied. */
    Category *categories;
    size_t n_categories;
    uint64_t spans;
    uint64_t samples;
    uint64_t missed;
    char said[96];
} Count;

static TickscopeText text_of(const char *bytes) {
    TickscopeText text = { bytes, strlen(bytes) };
    return text;
}

static int32_t no_memory(const TickscopeHost *host) {
    host->fail(host->context, text_of("no memory is left"));
    return TICKSCOPE_FAILED;
}

/* Whether `part` is in `text`, which does not end in a zero byte. */
static bool contains(TickscopeText text, const char *part) {
    size_t length = strlen(part);
    for (size_t at = 0; at + length <= text.len; at++)
        if (memcmp(text.bytes + at, part, length) == 0) return true;
    return false;
}

static int32_t count_open(const TickscopeHost *host, TickscopeText options, const TickscopeMetadata *metadata,
                          void **sink) {
    Count *count = calloc(1, sizeof *count);
    if (!count) return no_memory(host);
    count->host = host;
    /* The host has checked the options against the schema, filled in what was not given, and writes no spaces. That is
       enough for one option; for more, or for texts, use a JSON library. */
    count->loud = contains(options, "\"loud\":true");
    *sink = count;
    char line[256];
    snprintf(line, sizeof line, "opened for %.*s with %.*s", (int)metadata->subject.len, metadata->subject.bytes,
             (int)options.len, options.bytes);
    host->log(host->context, TICKSCOPE_INFO, text_of(line));
    return TICKSCOPE_CONTINUE;
}

/* Keeps a category's name. */
static bool keep(Count *count, const TickscopeCategory *category) {
    if (category->id >= count->n_categories) {
        size_t length = (size_t)category->id + 1;
        Category *longer = realloc(count->categories, length * sizeof *longer);
        if (!longer) return false;
        memset(longer + count->n_categories, 0, (length - count->n_categories) * sizeof *longer);
        count->categories = longer;
        count->n_categories = length;
    }
    char *name = malloc(category->name.len + 1);
    if (!name) return false;
    if (category->name.len) memcpy(name, category->name.bytes, category->name.len);
    name[category->name.len] = 0;
    free(count->categories[category->id].name);
    count->categories[category->id].name = name;
    return true;
}

static int32_t count_batch(void *sink, const TickscopeBatch *batch) {
    Count *count = sink;
    for (size_t i = 0; i < batch->n_categories; i++)
        if (!keep(count, &batch->categories[i])) return no_memory(count->host);
    count->missed += batch->missed;
    for (size_t i = 0; i < batch->n_samples; i++) {
        const TickscopeSample *sample = &batch->samples[i];
        count->samples++;
        /* Kinds that this sink does not know may be added: they are skipped. */
        if (sample->kind != TICKSCOPE_BEGIN) continue;
        count->spans++;
        uint32_t category = sample->event.begin.category;
        if (category < count->n_categories) count->categories[category].spans++;
    }
    return TICKSCOPE_CONTINUE;
}

/* Comes at most once a second. What is buffered is to be put out; here there is only something to say. */
static int32_t count_flush(void *sink, uint64_t within_ns) {
    Count *count = sink;
    (void)within_ns;
    if (!count->loud) return TICKSCOPE_CONTINUE;
    char line[64];
    snprintf(line, sizeof line, "%" PRIu64 " spans so far", count->spans);
    count->host->log(count->host->context, TICKSCOPE_INFO, text_of(line));
    return TICKSCOPE_CONTINUE;
}

static int32_t count_finish(void *sink, uint64_t within_ns) {
    Count *count = sink;
    (void)within_ns;
    for (size_t i = 0; i < count->n_categories; i++) {
        const Category *category = &count->categories[i];
        if (!category->name || !category->spans) continue;
        char line[128];
        snprintf(line, sizeof line, "%.80s: %" PRIu64, category->name, category->spans);
        count->host->log(count->host->context, TICKSCOPE_INFO, text_of(line));
    }
    return TICKSCOPE_CONTINUE;
}

/* A host of a newer version may have a longer structure: only fields of this header's are written. */
static void count_health(void *sink, TickscopeHealth *health) {
    Count *count = sink;
    int length = snprintf(count->said, sizeof count->said, "counted in C");
    if (count->missed)
        snprintf(count->said + length, sizeof count->said - (size_t)length, ", %" PRIu64 " samples too many",
                 count->missed);
    health->message = text_of(count->said);
    health->written = count->samples;
}

static void count_close(void *sink) {
    Count *count = sink;
    for (size_t i = 0; i < count->n_categories; i++) free(count->categories[i].name);
    free(count->categories);
    free(count);
}

const TickscopeSink tickscope_sink = {
    .magic = TICKSCOPE_MAGIC,
    .major = TICKSCOPE_MAJOR,
    .minor = TICKSCOPE_MINOR,
    .layout = TICKSCOPE_LAYOUT,
    .size = sizeof(TickscopeSink),
    .name = TICKSCOPE_TEXT("c-count"),
    .version = TICKSCOPE_TEXT("1.2.3"),
    .about = TICKSCOPE_TEXT("Counts spans by category."),
    .schema = TICKSCOPE_TEXT("{\"type\": \"object\", \"properties\": {\"loud\": {\"type\": \"boolean\", "
                             "\"default\": false, \"description\": \"Says once a second how many there are.\"}}}"),
    .open = count_open,
    .batch = count_batch,
    .flush = count_flush,
    .finish = count_finish,
    .health = count_health,
    .close = count_close,
};
