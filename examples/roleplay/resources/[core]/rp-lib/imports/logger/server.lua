-- Lines for the staff, collected and written in batches.

local resource <const> = GetCurrentResourceName()
local buffer = {}
local scheduled = false

local function flush()
    scheduled = false
    local batch = buffer
    buffer = {}
    if #batch > 0 then TriggerEvent('rp-core:server:log', batch) end
end

--- lib.logger(source, 'bank', 'transfer of {amount}', { amount = 5 })
return function(src, kind, text, values)
    if values then
        text = text:gsub('{(%w+)}', function(key)
            local value = values[key]
            return value ~= nil and tostring(value) or ('{%s}'):format(key)
        end)
    end
    buffer[#buffer + 1] = {
        at = os.time(),
        resource = resource,
        kind = kind,
        source = src or 0,
        text = text,
    }
    if not scheduled then
        scheduled = true
        SetTimeout(1000, flush)
    end
end
