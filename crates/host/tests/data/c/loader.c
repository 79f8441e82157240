/* A program that loads a plugin from beside itself, twice, and knows of no Lua. */
#include <dlfcn.h>
#include <stdio.h>

int main(void) {
    for (int i = 0; i < 2; i++) {
        /* Found by the RUNPATH of this program only: $ORIGIN/plugins. */
        void *plugin = dlopen("libplugin.so", RTLD_NOW);
        if (!plugin) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        int (*run)(void) = (int (*)(void))dlsym(plugin, "plugin_run");
        if (!run || run()) return 2;
        if (dlsym(plugin, "not_there") || !dlerror()) return 3;
        dlclose(plugin);
    }
    return dlopen("libnot-there.so", RTLD_NOW) ? 4 : 0;
}
