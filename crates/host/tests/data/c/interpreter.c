/* The smallest interpreter of Lua: runs a script with its arguments, as `lua` does. Scripts can wait for a pipe. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* So many milliseconds for a pipe into which nobody writes. */
static int l_wait(lua_State *L) {
    int ends[2];
    if (pipe(ends)) return luaL_error(L, "no pipe");
    struct pollfd files = {ends[0], POLLIN, 0};
    poll(&files, 1, (int)lua_tonumber(L, 1));
    close(ends[0]);
    close(ends[1]);
    return 0;
}

int main(int argc, char **argv) {
    lua_State *L = luaL_newstate();
    if (!L || argc < 2) return 2;
    luaL_openlibs(L);
    lua_register(L, "wait", l_wait);
    lua_newtable(L);
    for (int i = 1; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");
    int failed = luaL_loadfile(L, argv[1]);
    if (!failed) {
        for (int i = 2; i < argc; i++) lua_pushstring(L, argv[i]);
        failed = lua_pcall(L, argc - 2, 0, 0);
    }
    if (failed) fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_close(L);
    return failed ? 1 : 0;
}
