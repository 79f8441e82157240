Filter = {}

local bad = { 'noob', 'idiot', 'cheater' }

function Filter.clean(text)
    local lower = text:lower()
    for _, word in ipairs(bad) do
        local from = lower:find(word, 1, true)
        if from then
            text = text:sub(1, from - 1) .. ('*'):rep(#word) .. text:sub(from + #word)
            lower = text:lower()
        end
    end
    return text
end
