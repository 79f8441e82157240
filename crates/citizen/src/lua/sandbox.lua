-- The standard library as a server gives it: no loading of code from files, no way out of the resources' folders, no
-- look into other functions' variables; clocks and random numbers that the host controls.

local host = ...
local error, next, pairs, select, setmetatable, tostring, type =
    error, next, pairs, select, setmetatable, tostring, type
local pcall, rawget = pcall, rawget
local string_format, string_match, concat, metatable_of = string.format, string.match, table.concat, debug.getmetatable

-- code -----------------------------------------------------------------------------------------------------------------

local load_chunk, rewrite = load, host.load

local function gather(reader)
    local pieces = {}
    while true do
        local piece = reader()
        if piece == nil or piece == '' then return concat(pieces) end
        if type(piece) ~= 'string' and type(piece) ~= 'number' then error('reader function must return a string', 0) end
        pieces[#pieces + 1] = piece
    end
end

-- CfxLua, as the files of scripts are. Text only: a precompiled chunk can be made to crash any Lua.
function load(chunk, name, _, ...)
    if type(chunk) == 'function' then
        local fine, text = pcall(gather, chunk)
        if not fine then return nil, text end
        chunk, name = text, name or '=(load)'
    elseif type(chunk) == 'number' then
        chunk = tostring(chunk)
    elseif type(chunk) ~= 'string' then
        error(string_format("bad argument #1 to 'load' (function expected, got %s)", type(chunk)), 2)
    end
    name = name or chunk
    local text, problem = rewrite(chunk, name)
    if not text then return nil, problem end
    return load_chunk(text, name, 't', ...)
end

-- For `local _ <close> = defer(f)`: calls `f` when the variable goes out of scope.
function defer(action)
    if type(action) ~= 'function' then
        error(string_format("bad argument #1 to 'defer' (function expected, got %s)", type(action)), 2)
    end
    return setmetatable({}, { __close = action })
end

-- Iterates as `__iter` says, else as `pairs` does.
function each(...)
    if select('#', ...) == 0 then error("bad argument #1 to 'each' (value expected)", 2) end
    local meta = metatable_of((...))
    local iter = meta and rawget(meta, '__iter')
    if iter == nil then return pairs(...) end
    local step, state, first, closing = iter((...))
    return step, state, first, closing
end

dofile, loadfile, package = nil, nil, nil

debug = {
    getinfo = debug.getinfo,
    getmetatable = debug.getmetatable,
    getupvalue = debug.getupvalue,
    setmetatable = debug.setmetatable,
    traceback = debug.traceback,
}

-- Plain Lua's own is silent until it is told to speak; these are meant to be seen.
function warn(first, ...)
    local text = first
    for index = 1, select('#', ...) do text = text .. select(index, ...) end
    if string_match(text, '^@') then return end -- a control message: on, off
    print('^3warning: ' .. text .. '^7')
end

-- files ----------------------------------------------------------------------------------------------------------------

local permitted = host.permitted
local plain_io, plain_os = io, os
local EACCES = 13

local function refused(path)
    return nil, string_format('%s: Permission denied', tostring(path)), EACCES
end

-- The names in a folder of a resource, as an object with `lines` and `close`; nil for any other folder.
local function list(path)
    local names = host.list_folder(path)
    if not names then return nil end
    local listing = { close = function() return true end }
    function listing.lines()
        local at = 0
        return function()
            at = at + 1
            return names[at]
        end
    end
    return listing
end

io = {
    close = plain_io.close,
    type = plain_io.type,
    open = function(path, mode)
        local real = permitted(path)
        if not real then return refused(path) end
        return plain_io.open(real, mode)
    end,
    lines = function(path, ...)
        local real = permitted(path)
        if not real then error(string_format('%s: Permission denied', tostring(path)), 2) end
        return plain_io.lines(real, ...)
    end,
    -- programs are not run; a listing of a folder is what scripts ask for, `ls "path"` or `dir "path" /b`
    popen = function(command)
        local path = string_match(command, '^ls[^"]*"([^"]+)"') or string_match(command, '^dir[^"]*"([^"]+)"')
        local listing = path and list(path)
        if not listing then return refused(command) end
        return listing
    end,
    tmpfile = function() return refused('tmpfile') end,
    readdir = function(path)
        local listing = list(path)
        if not listing then return refused(path) end
        return listing
    end,
    write = function(...)
        local line = ''
        for index = 1, select('#', ...) do line = line .. tostring((select(index, ...))) end
        print((line:gsub('\n$', '')))
        return true
    end,
    flush = function() return true end,
}

-- json -----------------------------------------------------------------------------------------------------------------

local json_null = json.null

-- What json can write of `value`: what it cannot is told to `exception`, and the text of its answer stands there.
local function writable(value, exception, above)
    local kind = type(value)
    local function instead(reason) return tostring(exception(reason, value, {}, reason)) end
    if kind == 'function' or kind == 'thread' or kind == 'userdata' and value ~= json_null then
        return instead(string_format("type '%s' is not supported by JSON", kind))
    end
    if kind ~= 'table' then return value end
    if rawget(value, '__cfx_functionReference') then return instead("type 'function' is not supported by JSON") end
    if above[value] then return instead('reference cycle') end
    above[value] = true
    local copy = {}
    for key, inner in next, value do copy[key] = writable(inner, exception, above) end
    above[value] = nil
    return copy
end

function host.writable(value, exception) return writable(value, exception, {}) end

-- A string as it stands in JSON.
local encode = json.encode
function json.quotestring(text) return encode(tostring(text)) end

-- references as text ---------------------------------------------------------------------------------------------------

local pack_args, unpack_message = msgpack.pack_args, msgpack.unpack
local byte, char, sub = string.byte, string.char, string.sub

-- The values of a packed list, those that are nil at its end too: what is behind its head is one value after the other.
local function values_of(list)
    local tag = byte(list)
    if tag == 0x90 then return end
    if tag and tag >= 0x90 and tag <= 0x9f then return unpack_message(sub(list, 2)) end
    if tag == 0xdc then return unpack_message(sub(list, 4)) end
    if tag == 0xdd then return unpack_message(sub(list, 6)) end
    error("bad argument #2 to 'InvokeFunctionReference' (packed list expected)", 3)
end

-- Calls the function of a reference with packed arguments and gives its packed results.
function Citizen.InvokeFunctionReference(reference, arguments)
    if type(reference) ~= 'string' or #reference > 0xff then
        error("bad argument #1 to 'InvokeFunctionReference' (reference expected)", 2)
    end
    if type(arguments) ~= 'string' then
        error("bad argument #2 to 'InvokeFunctionReference' (packed list expected)", 2)
    end
    local call = unpack_message('\xc7' .. char(#reference) .. '\x0a' .. reference) -- as it stands in a message
    return pack_args(call(values_of(arguments)))
end

-- The text of the reference with that number.
function Citizen.CanonicalizeRef(number) return string_format('%s:0:%d', GetCurrentResourceName(), number) end

-- clocks ---------------------------------------------------------------------------------------------------------------

local unix, virtual_clock = host.unix, host.virtual_clock
os = {
    clock = function() return virtual_clock() or plain_os.clock() end,
    date = function(format, time) return plain_os.date(format or '%c', time or unix()) end,
    difftime = plain_os.difftime,
    time = function(fields)
        if fields == nil then return unix() end
        return plain_os.time(fields)
    end,
    nanotime = host.nanotime,
    microtime = host.microtime,
    deltatime = host.deltatime,
    rdtsc = host.nanotime,
    rdtscp = host.nanotime,
    getenv = function() return nil end,
    setlocale = function(locale)
        if locale == nil or locale == '' or locale == 'C' then return 'C' end
        return nil
    end,
    execute = function(command)
        if command == nil then return false end
        return refused(command)
    end,
    createdir = function(path)
        if host.make_folder(path) then return true end
        return refused(path)
    end,
    remove = function(path)
        local real = permitted(path)
        if not real then return refused(path) end
        return plain_os.remove(real)
    end,
    rename = function(from, to)
        local real_from, real_to = permitted(from), permitted(to)
        if not real_from then return refused(from) end
        if not real_to then return refused(to) end
        return plain_os.rename(real_from, real_to)
    end,
    tmpname = function() return refused('tmpname') end,
}

-- random numbers -------------------------------------------------------------------------------------------------------

local seed_with, next_seed = math.randomseed, host.next_seed
function math.randomseed(...)
    -- a script that asks for any seed gets one of the run's
    if select('#', ...) == 0 then return seed_with(next_seed()) end
    return seed_with(...)
end
seed_with(next_seed())
