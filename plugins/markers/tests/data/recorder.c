/* Stands for the libraries of three tools: writes down how it is called, in the file that RECORDER names. Structures as far as
   they are used are those of the tools' public headers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(const char *format, ...) {
    FILE *file = fopen(getenv("RECORDER"), "a");
    if (!file) abort();
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
    fclose(file);
}

/* ITT. */

typedef struct { const char *name; void **function; void *init, *null; int group; } Api;
typedef struct {
    unsigned char magic[8];
    unsigned long version[3];
    volatile long state[3];
    pthread_mutex_t mutex;
    void *library;
    void *error_handler;
    const char **path;
    Api *apis;
} Global;
typedef struct { volatile int flags; const char *name; } Domain;
typedef struct { const char *text; } Handle;
typedef struct { unsigned long long d1, d2, d3; } Id;
typedef struct { unsigned long long frequency, base; } ClockInfo;
typedef struct { ClockInfo info; } Clock;
typedef struct { const Handle *name; } Track;

void __itt_api_init(Global *global, int groups) {
    (void)groups;
    for (Api *api = global->apis; api->name; api++) {
        void *found = dlsym(global->library, api->name);
        *api->function = found ? found : api->null;
    }
}

Domain *__itt_domain_create(const char *name) {
    Domain *domain = calloc(1, 64);
    domain->flags = 1;
    domain->name = strdup(name);
    return domain;
}

Handle *__itt_string_handle_create(const char *text) {
    Handle *handle = calloc(1, 64);
    handle->text = strdup(text);
    return handle;
}

Clock *__itt_clock_domain_create(void (*tell)(ClockInfo *, void *), void *data) {
    Clock *clock = calloc(1, sizeof *clock);
    tell(&clock->info, data);
    note("itt clock %llu %d", clock->info.frequency, clock->info.base != 0);
    return clock;
}

void *__itt_track_group_create(const Handle *name, int type) {
    note("itt group %s %d", name->text, type);
    return calloc(1, 8);
}

Track *__itt_track_create(void *group, const Handle *name, int type) {
    Track *track = calloc(1, sizeof *track);
    track->name = name;
    note("itt track %s %d %d", name->text, type, group != NULL);
    return track;
}

void __itt_set_track(const Track *track) { note("itt on %s", track->name->text); }

void __itt_task_begin_overlapped_ex(const Domain *domain, Clock *clock, unsigned long long time, Id id, Id parent,
                                    const Handle *name) {
    if (id.d3) note("itt sink %llu", id.d3);
    note("itt begin %s %d %llu %llu %llu %s", domain->name, clock != NULL, time, id.d2, parent.d2, name->text);
}

void __itt_task_end_overlapped_ex(const Domain *domain, Clock *clock, unsigned long long time, Id id) {
    (void)domain, (void)clock;
    note("itt end %llu %llu", time, id.d2);
}

/* NVTX. */

typedef struct {
    uint16_t version, size;
    uint32_t category;
    int32_t colour_type;
    uint32_t colour;
    int32_t payload_type, reserved;
    union { uint64_t integer; double number; } payload;
    int32_t message_type;
    const char *message;
} Attributes;
typedef void (*Function)(void);
typedef struct { size_t size; int (*table)(int module, Function ***table, unsigned *size); } Callbacks;

static void *domain_create(const char *name) {
    note("nvtx domain %s", name);
    return (void *)8;
}

static void domain_mark(void *domain, const Attributes *mark) {
    /* How long ago differs. */
    const char *end = strstr(mark->message, ", ended ");
    note("nvtx mark %d %d %d %.6f %d %.*s", domain == (void *)8, mark->size == sizeof *mark, mark->payload_type,
         mark->payload.number, mark->colour == 0xffd03030, end ? (int)(end - mark->message) : 0, mark->message);
}

int InitializeInjectionNvtx2(const void *(*export)(uint32_t id)) {
    const Callbacks *callbacks = export(1);
    Function **core, **core2;
    unsigned size;
    if (!callbacks || callbacks->size < sizeof *callbacks || export(99)) return 0;
    if (!callbacks->table(1, &core, &size) || size != 16 || core[0] || !core[15]) return 0;
    if (!callbacks->table(5, &core2, &size) || size != 16 || callbacks->table(7, &core, &size)) return 0;
    *core2[1] = (Function)domain_mark;
    *core2[12] = (Function)domain_create;
    return 1;
}

/* Tracy. */

typedef struct { int64_t time; float period; uint8_t context, flags, type; } NewContext;
typedef struct { uint8_t context; const char *name; uint16_t length; } ContextName;
typedef struct { uint64_t source; uint16_t query; uint8_t context; } ZoneBegin;
typedef struct { uint16_t query; uint8_t context; } ZoneEnd;
typedef struct { int64_t time; uint16_t query; uint8_t context; } Time;

int32_t ___tracy_connected(void) { return getenv("RECORDER_ALONE") == NULL; }

uint64_t ___tracy_alloc_srcloc_name(uint32_t line, const char *file, size_t file_size, const char *function,
                                    size_t function_size, const char *name, size_t name_size, uint32_t colour) {
    (void)function, (void)function_size, (void)colour;
    char *source;
    if (asprintf(&source, "%.*s %.*s:%u", (int)name_size, name, (int)file_size, file, line) < 0) abort();
    return (uint64_t)(uintptr_t)source;
}

void ___tracy_emit_gpu_new_context_serial(NewContext made) {
    note("tracy context %d %d %.1f %d", made.context, made.time != 0, made.period, made.type);
}

void ___tracy_emit_gpu_context_name_serial(ContextName name) {
    note("tracy name %d %.*s", name.context, name.length, name.name);
}

static uint16_t asked;

void ___tracy_emit_gpu_zone_begin_alloc_serial(ZoneBegin begin) {
    char *source = (char *)(uintptr_t)begin.source;
    note("tracy begin %d %s", begin.context, source);
    free(source);
    asked = begin.query;
}

void ___tracy_emit_gpu_zone_end_serial(ZoneEnd end) {
    note("tracy end %d", end.context);
    asked = end.query;
}

void ___tracy_emit_gpu_time_serial(Time time) {
    note("tracy time %d %" PRId64 " %d", time.context, time.time, time.query == asked);
}
