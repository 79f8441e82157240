// Runs Lua, and then itself in its own place, so many times: a process keeps its number over each.
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **words) {
    int stage = count > 1 ? atoi(words[1]) : 1;
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    char text[100];
    snprintf(text, sizeof text, "local function stage%d() end for i = 1, 100 do stage%d() end", stage, stage);
    if (luaL_loadstring(lua, text) || lua_pcall(lua, 0, 0, 0)) return 1;
    if (stage > 1) {
        snprintf(text, sizeof text, "%d", stage - 1);
        execl("/proc/self/exe", words[0], text, (char *)0);
        return 2;
    }
    puts("the last stage");
    return 0;
}
