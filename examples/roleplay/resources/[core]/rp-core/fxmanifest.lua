fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-core'
author 'Paleto Roleplay'
version '4.1.2'
description 'Sessions, characters, money, jobs and the data that everything else shares.'

shared_scripts {
    '@rp-lib/init.lua',
    'shared/config.lua',
    'shared/items.lua',
    'shared/jobs.lua',
    'shared/vehicles.lua',
    'shared/locale.lua',
}

server_scripts {
    '@oxmysql/lib/MySQL.lua',
    'server/database.lua',
    'server/sessions.lua',
    'server/player.lua',
    'server/characters.lua',
    'server/exports.lua',
    'server/world.lua',
    'server/log.lua',
    'server/commands.lua',
}

files {
    'locales/*.json',
    'sql/*.sql',
}

dependencies {
    '/server:7290',
    '/onesync',
    'oxmysql',
    'rp-lib',
}
