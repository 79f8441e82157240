local phrases = {}

local function read(language)
    local text = LoadResourceFile('rp-core', ('locales/%s.json'):format(language))
    return text and json.decode(text) or {}
end

for key, phrase in pairs(read('en')) do phrases[key] = phrase end
local language = GetConvar('rp:locale', 'en')
if language ~= 'en' then
    for key, phrase in pairs(read(language)) do phrases[key] = phrase end
end

--- A phrase in the language of the server.
function L(key, ...)
    local phrase = phrases[key]
    if not phrase then return key end
    return select('#', ...) > 0 and phrase:format(...) or phrase
end
