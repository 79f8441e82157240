fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-admin'
version '3.0.4'
description 'Bans, warnings, reports, the log and a status page.'

shared_script '@rp-lib/init.lua'

server_scripts {
    '@oxmysql/lib/MySQL.lua',
    'server/bans.lua',
    'server/actions.lua',
    'server/reports.lua',
    'server/webhook.lua',
    'server/status.lua',
}

files { 'data/rules.json' }

dependencies {
    'oxmysql',
    'rp-core',
}
