fx_version 'cerulean'
game 'gta5'

name 'chat'
description 'Chat with channels'
version '1.0.0'

server_scripts {
    'server/filter.lua',
    'server/main.lua',
}

dependency 'framework'
