/* A library with a Lua that its program does not know of. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

int plugin_run(void) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    if (luaL_dostring(L, "local function of_the_plugin(n) local s = 0 for i = 1, n do s = s + i % 7 end return s end\n"
                         "local sum = of_the_plugin(300000) return sum")) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        return 1;
    }
    printf("plugin %.0f\n", (double)lua_tonumber(L, -1));
    lua_close(L);
    return 0;
}
