History = { entries = {} }

local first = 1

function History.add(kind, src, message, detail)
    local entries = History.entries
    entries[#entries + 1] = {
        time = os.time(),
        kind = kind,
        player = src,
        message = message,
        detail = detail,
    }
    -- throw away in blocks, table.remove(entries, 1) for each entry moves the whole list
    if #entries > Config.keep + 500 then
        local kept = table.move(entries, 501, #entries, 1, {})
        History.entries = kept
        first = first + 500
    end
end

function History.count()
    return first - 1 + #History.entries
end

exports('write', History.add)

CreateThread(function()
    local read = 0
    while read < Config.archive do
        for _ = 1, Config.archivePage do
            read = read + 1
            History.add('archive', read % 200, 'picked up an item', { item = 'iron', count = read % 12, slot = read % 40 })
        end
        Wait(0)
    end
end)
