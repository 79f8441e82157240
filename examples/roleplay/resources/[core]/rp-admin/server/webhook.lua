-- The log goes to a chat of the staff too, if rp:logWebhook names one.

local url <const> = GetConvar('rp:logWebhook', '')
if url == '' then return end

local colours <const> = { ban = 0xe74c3c, kick = 0xe67e22, staff = 0x3498db, report = 0xf1c40f }
local queue = {}

AddEventHandler('rp-core:server:logged', function(batch)
    for i = 1, #batch do
        local line = batch[i]
        if colours[line.kind] then
            queue[#queue + 1] = {
                title = line.kind,
                description = line.text,
                color = colours[line.kind],
                timestamp = os.date('!%Y-%m-%dT%H:%M:%SZ', line.at),
            }
        end
    end
end)

local function send(embeds)
    local sent = promise.new()
    PerformHttpRequest(url, function(status, body, headers, problem)
        sent:resolve({ status = status, after = headers?['Retry-After'], problem = problem })
    end, 'POST', json.encode({ username = 'Paleto', embeds = embeds }), { ['Content-Type'] = 'application/json' })
    return Citizen.Await(sent)
end

CreateThread(function()
    while true do
        Wait(5000)
        while #queue > 0 do
            local page = {}
            for i = 1, math.min(10, #queue) do page[i] = table.remove(queue, 1) end
            local answer = send(page)
            if answer.status == 429 then
                Wait((tonumber(answer.after) or 5) * 1000)
            elseif answer.status >= 400 or answer.status == 0 then
                print(('the log could not be sent: %s'):format(answer.problem or answer.status))
                break
            end
        end
    end
end)
