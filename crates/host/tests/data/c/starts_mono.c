/* A library with Mono, whose program starts it without asking for a symbol of it: the loader calls what leaves the address. */
#include <mono/jit/jit.h>

extern void (*started)(void);

static void start(void) {
    mono_jit_init("starts_mono");
}

__attribute__((constructor)) static void loaded(void) {
    started = start;
}
