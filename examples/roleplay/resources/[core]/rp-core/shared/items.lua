-- Weights in grams. `hash` is what lies on the ground when the item is dropped.

Items = {
    bread = { label = 'Bread', weight = 220, stack = true, usable = true, hash = `prop_food_bs_burg1` },
    water = { label = 'Water bottle', weight = 500, stack = true, usable = true, hash = `prop_ld_flow_bottle` },
    coffee = { label = 'Coffee', weight = 300, stack = true, usable = true, hash = `p_amb_coffeecup_01` },
    bandage = { label = 'Bandage', weight = 115, stack = true, usable = true, hash = `prop_ld_health_pack` },
    phone = { label = 'Phone', weight = 190, stack = false, usable = true, hash = `prop_npc_phone_02` },
    radio = { label = 'Radio', weight = 400, stack = false, usable = true, hash = `prop_cs_hand_radio` },
    lockpick = { label = 'Lockpick', weight = 160, stack = true, usable = false, hash = `prop_tool_screwdvr03` },
    repairkit = { label = 'Repair kit', weight = 2500, stack = true, usable = true, hash = `prop_toolchest_01` },
    parcel = { label = 'Parcel', weight = 1800, stack = true, usable = false, hash = `prop_cs_cardbox_01` },
    fish = { label = 'Fish', weight = 900, stack = true, usable = false, hash = `prop_fish_slice_01` },
    ore = { label = 'Iron ore', weight = 1200, stack = true, usable = false, hash = `prop_rock_5_a` },
    scrap = { label = 'Scrap metal', weight = 800, stack = true, usable = false, hash = `prop_rub_scrap_06` },
    id_card = { label = 'ID card', weight = 5, stack = false, usable = true, hash = `prop_cs_business_card` },
    keys = { label = 'Car keys', weight = 40, stack = false, usable = false, hash = `p_car_keys_01` },
    police_badge = { label = 'Badge', weight = 30, stack = false, usable = false, hash = `prop_fib_badge` },
    weapon_pistol = { label = 'Pistol', weight = 970, stack = false, usable = false, hash = `w_pi_pistol` },
    ammo_9mm = { label = '9 mm rounds', weight = 8, stack = true, usable = false, hash = `prop_ld_ammo_pack_01` },
}

for name, item in pairs(Items) do
    item.name = name
end

--- Weapons as the game calls them
Weapons = {
    [`WEAPON_UNARMED`] = { label = 'Fists' },
    [`WEAPON_PISTOL`] = { label = 'Pistol', item = 'weapon_pistol', ammo = 'ammo_9mm' },
    [`WEAPON_STUNGUN`] = { label = 'Taser' },
    [`WEAPON_NIGHTSTICK`] = { label = 'Nightstick' },
    [`WEAPON_FLASHLIGHT`] = { label = 'Flashlight' },
}
