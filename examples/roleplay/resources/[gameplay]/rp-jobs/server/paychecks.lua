-- Pay day comes for all at once, but not in one tick: a few at a time.

local core = exports['rp-core']
local atOnce <const> = 16

local function pay(src)
    local job = core:GetJob(src)
    if not job or not job.onDuty or job.pay <= 0 then return 0 end

    if job.society and not exports['rp-banking']:TakeFromSociety(job.name, job.pay, 'wages') then
        core:Notify(src, 'Your employer cannot pay you.', 'error')
        return 0
    end
    if core:AddMoney(src, 'bank', job.pay, 'paycheck') then return job.pay end
    return 0
end

lib.cron.every(Config.paycheckSeconds, function()
    local players, sum = core:GetPlayers(), 0
    for i = 1, #players do
        sum += pay(players[i])
        if i % atOnce == 0 then Wait(0) end
    end
    if sum > 0 then
        TriggerEvent('rp-jobs:server:payday', #players, sum)
        lib.logger(0, 'payday', '{sum} for {count} people', { sum = sum, count = #players })
    end
end, 'paychecks')
