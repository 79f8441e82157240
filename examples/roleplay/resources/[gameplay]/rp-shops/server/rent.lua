-- A bed costs money, also when nobody sleeps in it.

local core = exports['rp-core']

lib.cron.every(Config.rent.seconds, function()
    local unpaid = 0
    for _, src in ipairs(core:GetPlayers()) do
        if not core:RemoveMoney(src, 'bank', Config.rent.amount, 'rent') then
            unpaid += 1
            core:Notify(src, 'The rent is due.', 'warning')
        end
    end
    if unpaid > 0 then lib.logger(0, 'rent', '{count} people owe rent', { count = unpaid }) end
end, 'rent')
