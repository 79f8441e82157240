/* A sink in C: counts spans by category. What is wrong with its table is defined where it is compiled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tickscope_sink.h"

#ifndef SINK_MAJOR
#define SINK_MAJOR TICKSCOPE_MAJOR
#endif
#ifndef SINK_MINOR
#define SINK_MINOR TICKSCOPE_MINOR
#endif
#ifndef SINK_MAGIC
#define SINK_MAGIC TICKSCOPE_MAGIC
#endif
#ifndef SINK_LAYOUT
#define SINK_LAYOUT TICKSCOPE_LAYOUT
#endif
#ifndef SINK_SIZE
#define SINK_SIZE sizeof(TickscopeSink)
#endif
#ifndef SINK_NAME
#define SINK_NAME "c-count"
#endif
#ifndef SINK_SCHEMA
#define SINK_SCHEMA "{\"type\": \"object\", \"properties\": {\"loud\": {\"type\": \"boolean\", \"default\": false}}}"
#endif

#define MAX_CATEGORIES 256

typedef struct {
    const TickscopeHost *host;
    uint64_t spans[MAX_CATEGORIES];
    char names[MAX_CATEGORIES][32];
    char said[64];
    uint64_t samples;
} Count;

static int32_t count_open(const TickscopeHost *host, TickscopeText options, const TickscopeMetadata *metadata,
                          void **sink) {
    Count *count = calloc(1, sizeof *count);
    if (!count) {
        host->fail(host->context, TICKSCOPE_TEXT_VALUE("no memory"));
        return TICKSCOPE_FAILED;
    }
    count->host = host;
    *sink = count;
    char line[256];
    int length = snprintf(line, sizeof line, "opened for %.*s with %.*s", (int)metadata->subject.len,
                          metadata->subject.bytes, (int)options.len, options.bytes);
    host->log(host->context, TICKSCOPE_INFO, (TickscopeText){ line, (size_t)length });
    return TICKSCOPE_CONTINUE;
}

static int32_t count_batch(void *sink, const TickscopeBatch *batch) {
    Count *count = sink;
    for (size_t i = 0; i < batch->n_categories; i++) {
        const TickscopeCategory *category = &batch->categories[i];
        if (category->id < MAX_CATEGORIES) {
            size_t length = category->name.len < 31 ? category->name.len : 31;
            memcpy(count->names[category->id], category->name.bytes, length);
            count->names[category->id][length] = 0;
        }
    }
    for (size_t i = 0; i < batch->n_samples; i++) {
        const TickscopeSample *sample = &batch->samples[i];
        count->samples++;
        if (sample->kind == TICKSCOPE_BEGIN && sample->event.begin.category < MAX_CATEGORIES)
            count->spans[sample->event.begin.category]++;
    }
    return TICKSCOPE_CONTINUE;
}

static int32_t count_finish(void *sink, uint64_t within_ns) {
    Count *count = sink;
    (void)within_ns;
    for (size_t i = 0; i < MAX_CATEGORIES; i++) {
        if (!count->spans[i]) continue;
        char line[64];
        int length = snprintf(line, sizeof line, "%s: %llu", count->names[i], (unsigned long long)count->spans[i]);
        count->host->log(count->host->context, TICKSCOPE_INFO, (TickscopeText){ line, (size_t)length });
    }
    return TICKSCOPE_CONTINUE;
}

static void count_health(void *sink, TickscopeHealth *health) {
    Count *count = sink;
    int length = snprintf(count->said, sizeof count->said, "counted in C");
    health->message = (TickscopeText){ count->said, (size_t)length };
    health->written = count->samples;
}

static void count_close(void *sink) { free(sink); }

#ifndef SINK_NONE
const TickscopeSink tickscope_sink = {
    .magic = SINK_MAGIC,
    .major = SINK_MAJOR,
    .minor = SINK_MINOR,
    .layout = SINK_LAYOUT,
    .size = SINK_SIZE,
    .name = TICKSCOPE_TEXT(SINK_NAME),
    .version = TICKSCOPE_TEXT("1.2.3"),
    .about = TICKSCOPE_TEXT("Counts spans by category."),
    .schema = TICKSCOPE_TEXT(SINK_SCHEMA),
    .open = count_open,
#ifndef SINK_NO_BATCH
    .batch = count_batch,
#endif
    .finish = count_finish,
    .health = count_health,
    .close = count_close,
};
#endif
