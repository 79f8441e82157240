-- `json` and `msgpack` of a worker's machine.
local host = ...
local error, select, tostring, type = error, select, tostring, type
local encode, decode, pack, unpack = host.encode, host.decode, host.pack, host.unpack

local references = {
    __call = function() error('a function of another resource cannot be called on a worker; call it before or after', 2) end,
}

json = { null = host.null }

function json.encode(value, options)
    if type(options) ~= 'table' then options = nil end
    if options and options.exception then
        error('json.encode: `exception` is a function, and there is none on a worker', 2)
    end
    local fine, text = encode(value, options)
    if not fine then error('json.encode: ' .. text, 2) end
    return text
end

function json.decode(text)
    if type(text) == 'number' then return text end
    if type(text) ~= 'string' then error('json.decode: expected a string, got ' .. type(text), 2) end
    return decode(references, text)
end

function json.quotestring(text) return json.encode(tostring(text)) end

msgpack = { null = host.null }

function msgpack.pack(...)
    local fine, text = pack(...)
    if not fine then error('msgpack.pack: ' .. text, 2) end
    return text
end

local function finish(fine, ...)
    if fine then return ... end
    error('msgpack.unpack: ' .. (...), 2)
end

function msgpack.unpack(text)
    if type(text) ~= 'string' then error('msgpack.unpack: expected a string', 2) end
    return finish(unpack(references, text))
end
