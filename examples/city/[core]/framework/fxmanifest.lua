fx_version 'cerulean'
game 'gta5'

name 'framework'
description 'Players, characters, money and jobs. Everything else builds on this.'
version '1.9.4'

shared_scripts {
    'shared/config.lua',
    'shared/jobs.lua',
    'shared/items.lua',
}

server_scripts {
    '@database/lib/db.lua',
    'server/players.lua',
    'server/characters.lua',
    'server/history.lua',
    'server/commands.lua',
    'server/main.lua',
}

dependencies {
    'database',
    'cron',
}
