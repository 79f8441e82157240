local module = {}

local digits <const> = '0123456789'
local letters <const> = 'ABCDEFGHJKLMNPQRSTUVWXYZ'

function module.trim(text)
    return (text:gsub('^%s+', ''):gsub('%s+$', ''))
end

function module.split(text, separator)
    local parts = {}
    for part in (text .. separator):gmatch(('(.-)%s'):format(separator:gsub('%p', '%%%0'))) do
        parts[#parts + 1] = part
    end
    return parts
end

--- 'AA 111' becomes two letters, a space and three digits; `.` is either.
function module.random(pattern)
    local out = {}
    for i = 1, #pattern do
        local char = pattern:sub(i, i)
        local from = char == 'A' and letters or char == '1' and digits or char == '.' and letters .. digits
        if from then
            local at = math.random(#from)
            char = from:sub(at, at)
        end
        out[i] = char
    end
    return table.concat(out)
end

--- 1234567 becomes '1,234,567'.
function module.grouped(number)
    local sign, digitsOnly = tostring(math.floor(number)):match('^(-?)(%d+)$')
    local grouped = digitsOnly:reverse():gsub('(%d%d%d)', '%1,'):reverse()
    return sign .. (grouped:gsub('^,', ''))
end

function module.money(amount)
    return ('%s%s'):format(GetConvar('rp:currency', '$'), module.grouped(amount))
end

--- What the colours of the console and the chat look like has no business in a database.
function module.plain(text)
    return (text:gsub('%^%d', ''):gsub('[%c]', ''))
end

return module
