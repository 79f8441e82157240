local player, bank in t
local list <const> = { .a, [`adder`] }
player.money += 5 list[f()].x //= 2 name ..= "x"
if player?.job?.name == 'police' and list?[1]?:get(2) then f()?.x = 3 end
/* two
lines */ for i = 1, 3 do n <<= i end
