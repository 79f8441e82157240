fx_version 'cerulean'
game 'gta5'

name 'worldsync'
description 'Same weather and time for everybody'
version '3.0.2'

shared_script 'config.lua'
server_scripts {
    'server/weather.lua',
    'server/time.lua',
}

files {
    'data/weather.json',
}
