-- Words nobody has to read. Sorted by their first letter, so that a line is looked through once.

local words <const> = { 'cheater', 'noob', 'idiot', 'scum' }
local byLetter = {}

for i = 1, #words do
    local letter = words[i]:sub(1, 1)
    byLetter[letter] = byLetter[letter] or {}
    table.insert(byLetter[letter], words[i])
end

local hooks = {}

--- fn(source, text) → the text to say instead, or false to say nothing.
exports('registerMessageHook', function(fn)
    local owner = GetInvokingResource()
    hooks[#hooks + 1] = { owner = owner, run = fn }
    return #hooks
end)

AddEventHandler('onResourceStop', function(resource)
    for i = #hooks, 1, -1 do
        if hooks[i].owner == resource then table.remove(hooks, i) end
    end
end)

function Filter(src, text)
    text = text:gsub('%a+', function(word)
        local list = byLetter[word:sub(1, 1):lower()]
        if not list then return word end
        local plain = word:lower()
        for i = 1, #list do
            if list[i] == plain then return ('*'):rep(#word) end
        end
        return word
    end)
    for i = 1, #hooks do
        local answer = hooks[i].run(src, text)
        if answer == false then return nil end
        if type(answer) == 'string' then text = answer end
    end
    return text
end
