fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-garage'
version '1.4.7'
description 'Vehicles that belong to somebody: bought, parked, driven, locked, repaired.'

shared_scripts {
    '@rp-lib/init.lua',
    '@rp-core/shared/vehicles.lua',
    'shared/config.lua',
}

server_scripts {
    '@oxmysql/lib/MySQL.lua',
    'server/vehicles.lua',
    'server/dealer.lua',
    'server/garages.lua',
    'server/driving.lua',
}

dependencies {
    'oxmysql',
    'rp-core',
    'rp-inventory',
}
