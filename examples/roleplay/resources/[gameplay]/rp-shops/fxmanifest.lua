fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-shops'
version '1.1.0'
description 'Where things are bought; and the rent everyone pays.'

shared_scripts {
    '@rp-lib/init.lua',
    '@rp-core/shared/items.lua',
    'shared/config.lua',
}

server_scripts {
    'server/shops.lua',
    'server/rent.lua',
}

dependencies {
    'rp-core',
    'rp-inventory',
}
