/* A host of Lua to which bad things happen: it does what it can without us, and the same with us. One way per first
   argument; prints what it did. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

static double run(lua_State *L, const char *code) {
    check(L, luaL_loadstring(L, code));
    check(L, lua_pcall(L, 0, 1, 0));
    double result = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return result;
}

static lua_State *fresh(void) {
    lua_State *L = luaL_newstate();
    if (!L) fail("luaL_newstate");
    luaL_openlibs(L);
    run(L, "function spin(n) local s = 0 for i = 1, n do s = s + i % 7 end return s end spin(1000)");
    return L;
}

/* From here on this thread may do what computing and printing take. Anything else ends the process. */
static int l_filter(lua_State *L) {
    static const int allowed[] = {SYS_read,   SYS_write,    SYS_brk,   SYS_mmap,       SYS_munmap,      SYS_mremap,
                                  SYS_futex,  SYS_exit,     SYS_exit_group, SYS_rt_sigreturn, SYS_newfstatat, SYS_fstat};
    enum { count = sizeof allowed / sizeof *allowed };
    struct sock_filter code[count + 3];
    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < count; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], (unsigned char)(count - i), 0);
    code[count + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[count + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {count + 3, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("prctl");
    if (lua_toboolean(L, 1) ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program)
                            : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        fail("a filter");
    return 0;
}

static const char *const many_functions =
    "local load = loadstring or load local sum = 0 for i = 1, 3000 do "
    "sum = sum + load('local function f' .. i .. '(n) local s = 0 for i = 1, n do s = s + i end return s end return f' .. i .. '(100)')() "
    "end return sum";

static void filtered(const char *how) {
    lua_State *L = fresh();
    lua_register(L, "filter", l_filter);
    run(L, how);
    printf("computed %.0f\n", run(L, many_functions));
    run(L, "return spin(20000000)");
    run(L, "local co = coroutine.wrap(function() for i = 1, 100 do coroutine.yield(spin(1000)) end end) for i = 1, 100 do co() end");
    fflush(stdout);
    lua_close(L);
    _exit(0);
}

static void filter_outside(void) { filtered("filter(false)"); }
static void filter_inside(void) { filtered("spin(100000) filter(true) function after() spin(200000) end after()"); }

/* As much memory as there is now and a little more. */
static void no_memory(void) {
    lua_State *L = fresh();
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (!file || fscanf(file, "%lu", &pages) != 1) fail("statm");
    fclose(file);
    struct rlimit limit = {pages * 4096 + (64 << 20), pages * 4096 + (64 << 20)};
    if (setrlimit(RLIMIT_AS, &limit)) fail("setrlimit");
    for (int i = 0; i < 5; i++) {
        /* Coroutines, so that whoever follows them has to have memory too. */
        int status = luaL_dostring(L, "kept = {} for i = 1, 1e9 do local co = coroutine.wrap(function() coroutine.yield() end) "
                                      "co() kept[i] = { co, ('x'):rep(500) .. i } end");
        printf("%d %s\n", status != 0, lua_tostring(L, -1));
        lua_settop(L, 0);
        lua_pushnil(L);
        lua_setglobal(L, "kept");
        lua_gc(L, LUA_GCCOLLECT, 0);
        lua_gc(L, LUA_GCCOLLECT, 0);
        run(L, "return spin(10000)");
    }
    lua_close(L);
}

/* A child past the C library, which shares nothing; it runs Lua and ends. */
static void bare_clone(void) {
    lua_State *L = fresh();
    for (int i = 0; i < 20; i++) {
        long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child < 0) fail("clone");
        if (child == 0) {
            run(L, "function of_the_child() return spin(200000) end return of_the_child()");
            _exit(run(L, many_functions) == 3000.0 * 5050 ? 0 : 1);
        }
        run(L, "function of_the_parent() return spin(200000) end return of_the_parent()");
        int status;
        if (waitpid((pid_t)child, &status, __WALL) != child) fail("waitpid");
        if (status) {
            fprintf(stderr, "a child ended with status %#x\n", status);
            _exit(97);
        }
    }
    lua_close(L);
    puts("children came and went");
}

/* Every descriptor but the standard ones, again and again. */
static void close_all(void) {
    lua_State *L = fresh();
    for (int i = 0; i < 50; i++) {
        for (int file = 3; file < 1024; file++) close(file);
        FILE *own = fopen("/dev/null", "r");
        printf("%d ", fileno(own));
        run(L, "return spin(300000)");
        run(L, many_functions);
        if (fclose(own)) fail("fclose");
    }
    lua_close(L);
    puts("closed");
}

static int ends[2];
static atomic_int open_gate;

static int l_wait(lua_State *L) {
    char byte;
    lua_pushinteger(L, read(ends[0], &byte, 1));
    return 1;
}

static int l_zeros(lua_State *L) {
    char bytes[4096];
    int zero = open("/dev/zero", O_RDONLY);
    while (read(zero, bytes, sizeof bytes) > 0);
    (void)L;
    return 0;
}

static void *waits(void *argument) {
    lua_State *L = fresh();
    lua_register(L, "wait", l_wait);
    run(L, "spin(100000) wait()");
    return argument;
}

static void *cancelled_before(void *argument) {
    while (!atomic_load(&open_gate));
    return waits(argument);
}

static void *reads(void *argument) {
    lua_State *L = fresh();
    lua_register(L, "zeros", l_zeros);
    run(L, "zeros()");
    return argument;
}

/* Threads that run Lua are cancelled: before it, while they wait, and while they read. */
static void cancelled(void) {
    void *(*const bodies[])(void *) = {cancelled_before, waits, reads};
    if (pipe(ends)) fail("pipe");
    for (int i = 0; i < 18; i++) {
        pthread_t thread;
        void *result;
        atomic_store(&open_gate, 0);
        if (pthread_create(&thread, NULL, bodies[i % 3], NULL)) fail("pthread_create");
        if (i % 3) usleep(10000);
        if (pthread_cancel(thread)) fail("pthread_cancel");
        atomic_store(&open_gate, 1);
        if (pthread_join(thread, &result)) fail("pthread_join");
        printf("%d ", result == PTHREAD_CANCELED);
    }
    puts("cancelled");
}

/* Whatever signal is pending at the end is the program's to see. */
static void blocked_signals(void) {
    sigset_t all;
    sigfillset(&all);
    if (pthread_sigmask(SIG_BLOCK, &all, NULL)) fail("pthread_sigmask");
    lua_State *L = fresh();
    run(L, "return spin(20000000)");
    lua_close(L);
    struct timespec none = {0, 0};
    for (int signal; (signal = sigtimedwait(&all, NULL, &none)) > 0;) printf("pending %d\n", signal);
    puts("nothing else is pending");
}

/* No memory that is writable and executable, from the start of the program that this one becomes. */
static void no_writable_code(void) {
    enum { set_mdwe = 65, refuse_exec_gain = 1 };
    if (prctl(set_mdwe, refuse_exec_gain, 0, 0, 0)) {
        puts("the system has no such thing");
        return;
    }
    execl("/proc/self/exe", "trouble", "spin", NULL);
    fail("exec");
}

static void spin(void) {
    lua_State *L = fresh();
    printf("computed %.0f\n", run(L, "return spin(1000)"));
    lua_close(L);
}

int main(int argc, char **argv) {
    const struct {
        const char *name;
        void (*run)(void);
    } ways[] = {
        {"filter-outside", filter_outside}, {"filter-inside", filter_inside}, {"no-memory", no_memory},
        {"bare-clone", bare_clone},         {"close-all", close_all},         {"cancelled", cancelled},
        {"blocked-signals", blocked_signals}, {"no-writable-code", no_writable_code}, {"spin", spin},
    };
    for (size_t i = 0; argc > 1 && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(argv[1], ways[i].name)) {
            ways[i].run();
            return 0;
        }
    return 2;
}
