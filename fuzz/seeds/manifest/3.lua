fx_version 'cerulean'
game 'gta5'

name 'tracker'
description 'GPS of duty vehicles on the map of the control room'
version '1.0.5'

server_scripts {
    'config.lua',
    'server/main.lua',
}

dependency 'framework'
