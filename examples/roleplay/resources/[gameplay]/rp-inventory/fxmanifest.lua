fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-inventory'
version '2.8.0'
description 'Bags, stashes, trunks and what lies on the ground.'

shared_scripts {
    '@rp-lib/init.lua',
    '@rp-core/shared/items.lua',
    'shared/config.lua',
}

server_scripts {
    '@oxmysql/lib/MySQL.lua',
    'server/inventory.lua',
    'server/store.lua',
    'server/hooks.lua',
    'server/moves.lua',
    'server/drops.lua',
    'server/exports.lua',
    'server/main.lua',
}

files {
    'modules/*.lua',
}

dependencies {
    'oxmysql',
    'rp-core',
}
