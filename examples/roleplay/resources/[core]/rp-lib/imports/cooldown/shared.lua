-- local slow = lib.cooldown(1500); if not slow(source) then return end

return function(milliseconds)
    local last = {}

    if IsDuplicityVersion() then
        AddEventHandler('playerDropped', function() last[source] = nil end)
    end

    return function(who)
        local now = GetGameTimer()
        local before = last[who]
        if before and now - before < milliseconds then return false, milliseconds - (now - before) end
        last[who] = now
        return true
    end
end
