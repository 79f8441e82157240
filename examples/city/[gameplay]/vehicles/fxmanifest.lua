fx_version 'cerulean'
game 'gta5'

name 'vehicles'
description 'Garages, keys and fuel'
version '2.7.1'

server_scripts {
    '@database/lib/db.lua',
    'config.lua',
    'server/garage.lua',
    'server/driving.lua',
}

files {
    'data/models.json',
}

dependencies {
    'database',
    'framework',
}
