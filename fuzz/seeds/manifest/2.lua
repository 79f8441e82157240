fx_version 'cerulean'
game 'gta5'

name 'cityhall'
description 'Licences and taxes'
version '0.9.0'

server_scripts {
    'config.lua',
    'server/taxes.lua',
    'server/licences.lua',
}

dependencies {
    'banking',
    'framework',
}
