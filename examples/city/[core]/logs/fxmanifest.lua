fx_version 'cerulean'
game 'gta5'

name 'logs'
description 'Who did what, for the staff tablet'
version '0.8.1'

server_scripts {
    'config.lua',
    'server/history.lua',
    'server/listeners.lua',
    'server/tablet.lua',
}
