/* A program that loads a library and calls what the library left in `started`; then it asks for a symbol. */
#include <dlfcn.h>
#include <stdio.h>

void (*started)(void);

int main(int argc, char **argv) {
    void *library = dlopen(argv[argc - 1], RTLD_NOW);
    if (!library || !started) return 1;
    started();
    if (dlsym(library, "not_there")) return 2;
    puts("Mono runs");
    return 0;
}
