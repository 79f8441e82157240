/* A program with Lua and Mono inside, whose calls cross from one to the other and back on several threads. At the end it
 * prints the tree of calls of each thread.
 *
 *     crossing FOLDER [PLUGIN]
 *
 * FOLDER has crossing.lua and crossing.dll. With a PLUGIN, that has Mono; without, the program has it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "managed.h"
#include "tree.h"

static const char *folder;
static const struct managed *managed_code;

/* The machine of this thread, the one of its Lua threads that runs, and the coroutine that C# resumes. */
static _Thread_local lua_State *machine, *running, *routine;

/* Lua runs C# : `managed(method, argument)`. Its exceptions are Lua's errors. */
static int managed(lua_State *state) {
    int call = tree_enter("c", "managed"), result;
    const char *method = luaL_checkstring(state, 1);
    int argument = (int)luaL_checkinteger(state, 2);
    lua_State *before = running;
    running = state;
    int threw = managed_code->invoke(method, argument, &result);
    running = before;
    if (threw) return luaL_error(state, "%s threw", method);
    tree_leave(call);
    lua_pushinteger(state, result);
    return 1;
}

static int callback(lua_State *state) {
    int call = tree_enter("c", "callback");
    lua_State *before = running;
    running = state;
    int result = managed_code->callback((int)luaL_checkinteger(state, 1));
    running = before;
    tree_leave(call);
    lua_pushinteger(state, result);
    return 1;
}

int lua_from_managed(const char *function, int argument, int *result) {
    lua_State *before = running, *state = before != NULL ? before : machine;
    if (before == NULL) tree_from_outside();
    running = state;
    lua_getglobal(state, function);
    lua_pushinteger(state, argument);
    int status = lua_pcall(state, 1, 1, 0);
    running = before;
    *result = (int)lua_tointeger(state, -1);
    lua_pop(state, 1);
    return status == LUA_OK ? 0 : -1;
}

int resume_from_managed(const char *function, int argument) {
    lua_State *before = running, *state = before != NULL ? before : machine;
    int arguments = 0, results;
    if (before == NULL) tree_from_outside();
    if (routine == NULL) {
        routine = lua_newthread(state);
        lua_setfield(state, LUA_REGISTRYINDEX, "routine");
        lua_getglobal(routine, function);
        lua_pushinteger(routine, argument);
        arguments = 1;
    }
    running = routine;
    int status = lua_resume(routine, before, arguments, &results);
    running = before;
    int result = (int)lua_tointeger(routine, -1);
    lua_pop(routine, results);
    if (status == LUA_YIELD) return result;
    routine = NULL;
    return -1;
}

/* What scripts tell the tree with. */
static int enter(lua_State *state) {
    lua_pushinteger(state, tree_enter("lua", luaL_checkstring(state, 1)));
    return 1;
}

static int leave(lua_State *state) {
    tree_leave((int)luaL_checkinteger(state, 1));
    return 0;
}

static int caught(lua_State *state) {
    tree_caught((int)luaL_checkinteger(state, 1));
    return 0;
}

static int suspend(lua_State *state) {
    tree_suspend((int)luaL_checkinteger(state, 1));
    return 0;
}

static int again(lua_State *state) {
    tree_again((int)luaL_checkinteger(state, 1));
    return 0;
}

static void fail(const char *what) {
    fprintf(stderr, "crossing: %s\n", what);
    exit(1);
}

/* A machine for this thread, with its functions defined. */
void lua_open(void) {
    char path[4096];
    machine = luaL_newstate();
    luaL_openlibs(machine);
    lua_register(machine, "managed", managed);
    lua_register(machine, "callback", callback);
    lua_register(machine, "enter", enter);
    lua_register(machine, "leave", leave);
    lua_register(machine, "caught", caught);
    lua_register(machine, "suspend", suspend);
    lua_register(machine, "again", again);
    snprintf(path, sizeof path, "%s/crossing.lua", folder);
    if (luaL_loadfile(machine, path) != LUA_OK) fail(lua_tostring(machine, -1));
    tree_from_outside();
    running = machine;
    if (lua_pcall(machine, 0, 0, 0) != LUA_OK) fail(lua_tostring(machine, -1));
    running = NULL;
}

void lua_shut(void) {
    lua_close(machine);
    machine = NULL;
}

/* Lua first, then C# first. */
static void work(int levels) {
    int result;
    if (lua_from_managed("main", levels, &result) != 0) fail("Lua's main has failed");
    if (managed_code->invoke("Main", levels, &result) != 0) fail("C#'s Main has failed");
}

static void *thread(void *data) {
    int place = *(int *)data;
    char name[16];
    snprintf(name, sizeof name, "worker %d", place);
    pthread_setname_np(pthread_self(), name);
    void *attached = managed_code->attach();
    tree_begin(name, place);
    lua_open();
    work(place);
    lua_shut();
    managed_code->detach(attached);
    return NULL;
}

int main(int argc, char **argv) {
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    int places[THREADS], result;
    char path[4096];
    if (argc < 2) fail("where is crossing.lua?");
    pthread_setname_np(pthread_self(), "crossing");
    folder = argv[1];
    void *plugin = dlopen(argc > 2 ? argv[2] : NULL, RTLD_NOW);
    const struct managed *(*start)(const char *) = NULL;
    if (plugin != NULL) *(void **)&start = dlsym(plugin, "managed_start");
    if (start == NULL) fail(dlerror());
    snprintf(path, sizeof path, "%s/crossing.dll", folder);
    managed_code = start(path);
    if (managed_code == NULL) fail("there is no Crossing.Steps in crossing.dll");

    tree_begin("crossing", 0);
    lua_open();
    if (managed_code->invoke("Listen", 0, &result) != 0) fail("nobody listens");
    for (int i = 0; i < THREADS; i++) {
        places[i] = i + 1;
        if (pthread_create(&threads[i], NULL, thread, &places[i]) != 0) fail("there are no threads");
    }
    work(3);
    if (managed_code->invoke("Thread", THREADS + 1, &result) != 0) fail("C#'s thread has failed");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    lua_shut();
    tree_print();
    fflush(stdout);
    managed_code->stop();
    return 0;
}
