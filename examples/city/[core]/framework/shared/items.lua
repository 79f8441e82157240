-- Shared with other resources: shared_script '@framework/shared/items.lua'
Items = {}
ItemNames = {}

local function add(name, label, weight, price)
    Items[name] = { label = label, weight = weight, price = price }
    ItemNames[#ItemNames + 1] = name
end

add('water', 'Bottle of water', 500, 3)
add('bread', 'Bread', 250, 2)
add('phone', 'Phone', 190, 450)
add('radio', 'Radio', 600, 250)
add('bandage', 'Bandage', 115, 25)
add('medkit', 'First aid kit', 1500, 180)
add('lockpick', 'Lockpick', 300, 75)
add('repairkit', 'Repair kit', 2500, 300)
add('jerrycan', 'Jerry can', 8000, 120)
add('rope', 'Rope', 900, 30)
add('iron', 'Iron ore', 1200, 12)
add('copper', 'Copper ore', 1100, 18)
add('gold', 'Gold nugget', 700, 95)
add('fish', 'Fish', 800, 9)
add('wood', 'Wood', 2000, 6)
add('cloth', 'Cloth', 200, 5)
add('beer', 'Beer', 500, 6)
add('coffee', 'Coffee', 350, 4)
add('sandwich', 'Sandwich', 300, 5)
add('flashlight', 'Flashlight', 700, 60)
