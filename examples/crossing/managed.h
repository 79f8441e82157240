/* What stands between Lua and C#: `crossing.c` has Lua, `managed.c` has Mono. */
#ifndef MANAGED_H
#define MANAGED_H

struct managed {
    /* Calls a method of `Crossing.Steps`: 0, or -1 when it threw. */
    int (*invoke)(const char *method, int argument, int *result);
    /* Calls the delegate that `Crossing.Steps.Listen` left, straight by its address. */
    int (*callback)(int argument);
    /* The calling thread begins, and ends, to run C#. */
    void *(*attach)(void);
    void (*detach)(void *thread);
    void (*stop)(void);
};

/* Starts Mono with the program in `assembly`. */
const struct managed *managed_start(const char *assembly);

/* Calls a global function of the Lua that this thread runs: 0, or -1 when it raised an error. */
int lua_from_managed(const char *function, int argument, int *result);

/* Resumes this thread's coroutine; begins one with the function when there is none. -1 when it is over. */
int resume_from_managed(const char *function, int argument);

/* A thread that C# has started gets a Lua of its own, and gives it back. */
void lua_open(void);
void lua_shut(void);

#endif
