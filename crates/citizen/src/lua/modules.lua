-- `require` as a server gives it: it knows the libraries that are there, and glm, which it loads. What ox_lib and others
-- put in its place builds on `load` and `LoadResourceFile`.

local host = ...
local error, string_format, tostring, type = error, string.format, tostring, type

local loaded = {
    _G = _G, coroutine = coroutine, debug = debug, io = io, json = json, math = math, msgpack = msgpack, os = os,
    string = string, table = table, utf8 = utf8,
}

function require(name)
    if type(name) ~= 'string' and type(name) ~= 'number' then
        error(string_format("bad argument #1 to 'require' (string expected, got %s)", type(name)), 2)
    end
    local module = loaded[name]
    if module then return module end
    if name == 'glm' then
        glm = host.open_glm()
        loaded.glm = glm
        return glm
    end
    if name == 'lmprof' then
        error("module 'lmprof' not found: this server records calls, time and memory itself, see the depth of a run", 2)
    end
    error(string_format("module '%s' not found", tostring(name)), 2)
end

utf8.strlenutf8 = utf8.len

local utf8_codes = utf8.codepoint
function utf8.strcmputf8i(left, right)
    if left == right then return 0 end
    local a, b = { utf8_codes(left, 1, -1) }, { utf8_codes(right, 1, -1) }
    for index = 1, #a < #b and #a or #b do
        if a[index] ~= b[index] then return a[index] < b[index] and -1 or 1 end
    end
    return #a - #b
end
