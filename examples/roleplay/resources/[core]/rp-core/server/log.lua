-- The log of the staff: batches from every resource, one INSERT each.

local kept <const> = 5000
local written = 0

local function license(src)
    return Sessions[src]?.license
end

AddEventHandler('rp-core:server:log', function(batch)
    local rows = table.create(#batch, 0)
    for i = 1, #batch do
        local line = batch[i]
        rows[i] = { line.at, line.resource, line.kind, license(line.source), lib.string.plain(line.text):sub(1, 255) }
    end
    Database.wait()
    MySQL.prepare.await('INSERT INTO logs (at, resource, kind, license, text) VALUES (?, ?, ?, ?, ?)', rows)
    written += #rows
    TriggerEvent('rp-core:server:logged', batch)
end)

--- Old lines go, a handful of times an hour.
lib.cron.every(600, function()
    local newest = MySQL.scalar.await('SELECT MAX(id) FROM logs')
    if not newest then return end
    local gone = MySQL.update.await('DELETE FROM logs WHERE id <= ?', { newest - kept })
    if gone > 0 then print(('%d lines of the log went, %d were written since the start'):format(gone, written)) end
end, 'prune log')
