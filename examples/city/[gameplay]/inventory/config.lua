Config = {
    maxWeight = 60000,

    -- crates each player gets while the market is open
    marketCrates = 1800,

    -- labels the police looks for; the list of the old anticheat, nobody dares to shorten it
    contraband = {
        'weapon_parts', 'meth', 'meth_tray', 'meth_lab', 'coke', 'coke_brick', 'coke_leaf', 'weed', 'weed_brick',
        'weed_seed', 'weed_joint', 'crack', 'lsd', 'shrooms', 'opium', 'xtc', 'ketamine', 'heroin', 'spice',
        'moonshine', 'mash', 'stolen_phone', 'stolen_radio', 'stolen_jewels', 'stolen_art', 'stolen_tv',
        'stolen_laptop', 'stolen_watch', 'stolen_car_radio', 'stolen_mail', 'stolen_card', 'marked_bills',
        'black_money', 'dirty_money', 'fake_money', 'fake_plate', 'fake_id', 'fake_badge', 'fake_licence',
        'fake_passport', 'hacking_usb', 'hacking_laptop', 'thermite', 'c4', 'dynamite', 'detonator', 'drill',
        'blowtorch', 'angle_grinder', 'bolt_cutter', 'crowbar_heavy', 'skeleton_key', 'master_key', 'jammer',
        'scanner_pd', 'armor_pd', 'taser_pd', 'badge_pd', 'cuffs_pd', 'radio_pd', 'ammo_ap', 'ammo_smuggled',
        'ammo_50', 'ammo_rifle', 'ammo_smg', 'ammo_shotgun', 'silencer', 'switch', 'extended_mag', 'drum_mag',
        'scope_x8', 'scope_thermal', 'grip_illegal', 'pipe_bomb', 'molotov', 'sawn_off', 'pistol_print', 'pistol_50',
        'smg_mini', 'rifle_ak', 'rifle_compact', 'shotgun_auto', 'sniper_heavy', 'launcher', 'grenade', 'smoke_mil',
        'flashbang', 'knife_switch', 'machete', 'knuckles', 'brass', 'bat_nailed', 'garrote', 'organ', 'kidney',
        'bloodbag_stolen', 'passport_blank', 'diamond_raw', 'ivory', 'turtle', 'turtle_egg', 'tiger_skin',
        'eagle_feather', 'shark_fin', 'bear_paw', 'rhino_horn', 'crate_mil', 'gold_bar_bank', 'keycard_bank',
        'keycard_lab', 'keycard_vault', 'vault_codes', 'blueprint_bank', 'blueprint_gun',
    },
}
