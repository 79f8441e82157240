/* A host of Lua that does what hosts do and a guest must survive. One way per first argument; prints what it did. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static const char *self;

static void fail(const char *what) {
    fprintf(stderr, "%s failed: %s\n", what, strerror(errno));
    _exit(99);
}

static void check(lua_State *L, int status) {
    if (status) {
        fprintf(stderr, "lua: %s\n", lua_tostring(L, -1));
        _exit(98);
    }
}

static lua_State *fresh(void) {
    lua_State *L = luaL_newstate();
    if (!L) fail("luaL_newstate");
    luaL_openlibs(L);
    check(L, luaL_dostring(L, "function spin(n) local s = 0 for i = 1, n do s = s + i % 7 end return s end"));
    return L;
}

static double run(lua_State *L, const char *code) {
    check(L, luaL_loadstring(L, code));
    check(L, lua_pcall(L, 0, 1, 0));
    double result = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return result;
}

static void reap(pid_t child) {
    int status;
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    if (status) {
        fprintf(stderr, "a child ended with status %#x\n", status);
        _exit(97);
    }
}

/* fork() from inside Lua: both go on inside of it, and come out. */
static int l_fork(lua_State *L) {
    lua_pushnumber(L, fork());
    return 1;
}

static void fork_inside(void) {
    lua_State *L = fresh();
    lua_register(L, "fork", l_fork);
    for (int i = 0; i < 20; i++) {
        double child = run(L, "local c = coroutine.wrap(function() spin(20000) return fork() end)() spin(20000) return c");
        if (child < 0) fail("fork");
        run(L, "return spin(1000)");
        if (child == 0) {
            lua_close(L);
            exit(0);
        }
        reap((pid_t)child);
    }
    puts("forked inside");
}

/* execve() from inside Lua: what was on its way to this program must not hit the next. */
static int l_exec(lua_State *L) {
    (void)L;
    execl(self, self, "nothing", (char *)0);
    fail("execl");
    return 0;
}

static void exec_inside(void) {
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            lua_State *L = fresh();
            lua_register(L, "exec", l_exec);
            run(L, "spin(400000) exec()");
        }
        reap(child);
    }
    puts("executed inside");
}

/* Every signal back to its default, as daemons do. */
static void default_signals(void) {
    lua_State *L = fresh();
    run(L, "return spin(2000000)");
    for (int signal_ = 1; signal_ < 32; signal_++) signal(signal_, SIG_DFL);
    run(L, "return spin(20000000)");
    puts("signals are default");
}

/* A profiler of the program's own. */
static volatile sig_atomic_t profiled, urgent;
static void on_profile(int signal_) { signal_ == SIGPROF ? profiled++ : urgent++; }

static void own_profiler(void) {
    lua_State *L = fresh();
    run(L, "return spin(2000000)");
    signal(SIGPROF, on_profile);
    signal(SIGURG, on_profile);
    struct itimerval each = {{0, 10000}, {0, 10000}}, none = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &each, 0);
    run(L, "local t = os.clock() while os.clock() - t < 0.5 do spin(1000) end");
    setitimer(ITIMER_PROF, &none, 0);
    /* Some 50; a machine with other work merges some. */
    if (profiled < 10 || profiled > 70) {
        fprintf(stderr, "the program's own timer came %d times\n", profiled);
        _exit(96);
    }
    /* One may have been on its way on each look of the agent's thread. */
    if (urgent > 2) {
        fprintf(stderr, "%d signals that nobody sent\n", urgent);
        _exit(96);
    }
    puts("own profiler");
}

/* Descriptors are given in order, and what one thread closes nobody else has. */
static int l_descriptors(lua_State *L) {
    (void)L;
    for (int i = 0; i < 20000; i++) {
        int first = open("/dev/null", O_RDONLY);
        if (first != 3) {
            fprintf(stderr, "descriptor %d instead of 3\n", first);
            _exit(95);
        }
        close(first);
    }
    return 0;
}

static void descriptors(void) {
    lua_State *L = fresh();
    run(L, "return spin(2000000)");
    for (int fd = 3; fd < 256; fd++) close(fd);
    lua_register(L, "descriptors", l_descriptors);
    run(L, "for i = 1, 20 do spin(100000) descriptors() end");
    puts("descriptors in order");
}

/* Threads come and go, and the process forks meanwhile. */
static volatile int stop;
static void *one_thread(void *unused) {
    lua_State *L = fresh();
    run(L, "spin(3000) local c = coroutine.wrap(function() for i = 1, 20 do coroutine.yield(i) end end) for i = 1, 20 do c() end");
    lua_close(L);
    return unused;
}
static void *churn(void *unused) {
    while (!stop) {
        pthread_t thread;
        if (pthread_create(&thread, 0, one_thread, 0)) fail("pthread_create");
        pthread_join(thread, 0);
    }
    return unused;
}

static void fork_under_churn(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, churn, 0);
    lua_State *L = fresh();
    for (int i = 0; i < 40; i++) {
        run(L, "return spin(5000)");
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) {
            alarm(30);
            run(L, "return spin(5000)");
            pthread_t thread;
            pthread_create(&thread, 0, one_thread, 0);
            pthread_join(thread, 0);
            _exit(0);
        }
        reap(child);
    }
    stop = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    puts("forked under churn");
}

/* A thread ends inside of Lua. */
static int l_end_thread(lua_State *L) {
    (void)L;
    pthread_exit(0);
}
static void *ends_inside(void *unused) {
    lua_State *L = fresh();
    lua_register(L, "end_thread", l_end_thread);
    run(L, "spin(300000) end_thread()");
    return unused;
}

static void thread_ends_inside(void) {
    for (int i = 0; i < 40; i++) {
        pthread_t thread;
        pthread_create(&thread, 0, ends_inside, 0);
        pthread_join(thread, 0);
    }
    run(fresh(), "return spin(1000000)");
    puts("threads ended inside");
}

/* Two stacks of one thread, each inside of a Lua of its own, in turns. Not with musl, which cannot make them. */
#ifdef __GLIBC__
static ucontext_t contexts[2], back;
static int turns[2];
static int l_switch(lua_State *L) {
    int me = (int)lua_tonumber(L, 1);
    swapcontext(&contexts[me], &contexts[1 - me]);
    return 0;
}
static void fiber(int me) {
    lua_State *L = fresh();
    lua_register(L, "switch", l_switch);
    for (turns[me] = 0; turns[me] < 100; turns[me]++) {
        char code[160];
        snprintf(code, sizeof code,
                 "spin(5000) coroutine.wrap(function() spin(100) switch(%d) spin(100) end)() switch(%d)", me, me);
        run(L, code);
    }
    lua_close(L);
    swapcontext(&contexts[me], me == 0 ? &contexts[1] : &back);
}

static void fibers(void) {
    for (int i = 0; i < 2; i++) {
        getcontext(&contexts[i]);
        contexts[i].uc_stack.ss_size = 512 << 10;
        contexts[i].uc_stack.ss_sp = malloc(512 << 10);
        contexts[i].uc_link = &back;
        makecontext(&contexts[i], (void (*)(void))fiber, 1, i);
    }
    swapcontext(&back, &contexts[0]);
    printf("fibers %d %d\n", turns[0], turns[1]);
}
#endif

/* One machine, run by many threads in turn, with a coroutine that is left by one and taken up by the next. */
static lua_State *shared;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static void *mover(void *unused) {
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&guard);
        run(shared, "return step()");
        pthread_mutex_unlock(&guard);
    }
    return unused;
}

static void movers(void) {
    shared = fresh();
    run(shared, "n = 0 local co = coroutine.wrap(function() while true do n = n + 1 spin(2000) coroutine.yield() end end) "
                "function step() spin(500) co() end");
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], 0, mover, 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], 0);
    printf("moved %.0f\n", run(shared, "return n"));
    lua_close(shared);
}

/* A machine closed by a function that it called, and one closed at exit. */
static lua_State *last;
static void at_exit(void) {
    run(last, "return spin(1000)");
    lua_close(last);
    puts("closed at exit");
}

static void close_late(void) {
    last = fresh();
    atexit(at_exit);
    run(last, "setmetatable({}, { __gc = function() spin(1000) end }) spin(200000) os.exit(0)");
}

/* A worker that gives up root and its root folder before it runs any Lua. */
static void drop_rights(void) {
    lua_State *L = fresh();
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (chroot("/var/empty") && chroot("/proc/self"))) fail("chroot");
        if (geteuid() == 0 && (setgid(65534) || setuid(65534))) fail("setuid");
        run(L, "function of_the_worker() return spin(2000000) end of_the_worker()");
        exit(0);
    }
    reap(child);
    puts("rights dropped");
}

/* Allocators of the program's own: with a limit, asked for, set while the machine lives. */
struct own {
    size_t used, limit;
};

static void *allocate(void *data, void *block, size_t old, size_t new) {
    struct own *own = data;
    if (!block) old = 0;
    if (new > old && own->used + (new - old) > own->limit) return NULL;
    own->used += new - old;
    if (new) return realloc(block, new);
    free(block);
    return NULL;
}

static void is_own(lua_State *L, struct own *own) {
    void *data = 0;
    if (lua_getallocf(L, &data) != allocate || data != own || lua_getallocf(L, 0) != allocate) fail("lua_getallocf");
}

static void *machines(void *count) {
    struct own own = {0, (size_t)-1};
    for (long i = 0; i < *(long *)count; i++) {
        lua_State *L = lua_newstate(allocate, &own);
        check(L, luaL_loadstring(L, "local function fill() local t = {} for i = 1, 50 do t[i] = {} end return t end return #fill()"));
        check(L, lua_pcall(L, 0, 1, 0));
        if (lua_tonumber(L, -1) != 50) fail("fill");
        is_own(L, &own);
        lua_close(L);
        if (own.used) fail("a machine kept memory");
    }
    return 0;
}

static void own_allocator(void) {
    struct own first = {0, (size_t)-1}, second = first;
    lua_State *L = lua_newstate(allocate, &first);
    luaL_openlibs(L);
    is_own(L, &first);
    run(L, "kept = {} for i = 1, 1000 do kept[i] = ('x'):rep(i) end return 1");
    second.used = first.used;
    lua_setallocf(L, allocate, &second);
    is_own(L, &second);
    second.limit = second.used + (32 << 20);
    for (int i = 0; i < 100; i++) {
        /* What cannot be had is an error, and leaves all else as it was. */
        if (luaL_dostring(L, "return ('x'):rep(80000000)") == 0) fail("a limit");
        if (i == 0) puts(lua_tostring(L, -1));
        lua_settop(L, 0);
        run(L, "local t = {} for i = 1, 300 do t[i] = ('x'):rep(1000 + i) end return #t");
    }
    printf("lua counts %d\n", (int)(second.used / 1024) - lua_gc(L, LUA_GCCOUNT, 0));
    lua_close(L);
    printf("%zu bytes left\n", second.used);
    long many = 10000, few = 500;
    machines(&many);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, machines, &few);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    puts("machines came and went");
}

int main(int argc, char **argv) {
    self = argv[0];
    const struct {
        const char *name;
        void (*run)(void);
    } ways[] = {
        {"fork-inside", fork_inside},   {"exec-inside", exec_inside},
        {"default-signals", default_signals}, {"own-profiler", own_profiler},
        {"descriptors", descriptors},   {"fork-under-churn", fork_under_churn},
        {"thread-ends-inside", thread_ends_inside}, {"movers", movers},
        {"close-late", close_late},     {"drop-rights", drop_rights},
        {"own-allocator", own_allocator},
#ifdef __GLIBC__
        {"fibers", fibers},
#endif
    };
    if (argc < 2) return 2;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(argv[1], ways[i].name)) {
            ways[i].run();
            return 0;
        }
    return strcmp(argv[1], "nothing") ? 2 : 0;
}
