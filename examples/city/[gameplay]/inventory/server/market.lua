-- Market: every player gets a pile of crates to trade, and what is left is bought back when it closes.
Market = { isOpen = false, stalls = {} }

-- all crates of a kind are the same, no need for a table each
local kinds = {}
for _, name in ipairs({ 'iron', 'copper', 'gold', 'fish', 'wood', 'cloth' }) do
    kinds[#kinds + 1] = { name = name, count = 10, quality = 100 }
end

local pile = {}
for crate = 1, Config.marketCrates do
    pile[crate] = kinds[crate % #kinds + 1]
end

function Market.open()
    if Market.isOpen then return end
    Market.isOpen = true
    for src, bag in pairs(Bags.list) do
        local own = bag.slots
        local slots = table.move(own, 1, #own, 1, {})
        table.move(pile, 1, #pile, #own + 1, slots)
        Market.stalls[src] = own
        bag.slots = slots
    end
end

function Market.close()
    if not Market.isOpen then return end
    Market.isOpen = false
    for src, own in pairs(Market.stalls) do
        if Bags.list[src] then
            Bags.list[src].slots = own
        end
    end
    Market.stalls = {}
end

AddEventHandler('inventory:marketOpens', Market.open)
AddEventHandler('inventory:marketCloses', Market.close)
