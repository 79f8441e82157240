fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-multichar'
version '1.6.0'
description 'The screen where characters are chosen, made and taken leave of.'

shared_scripts {
    '@rp-lib/init.lua',
    'shared/config.lua',
}

server_scripts {
    '@oxmysql/lib/MySQL.lua',
    'server/skins.lua',
    'server/main.lua',
}

dependencies {
    'oxmysql',
    'rp-core',
}
