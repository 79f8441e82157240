fx_version 'cerulean'
game 'gta5'

name 'story'
description 'Plays the people of the city: they join, work, pay, drive and leave'
version '1.0.0'

server_scripts {
    'config.lua',
    'server/people.lua',
    'server/acts.lua',
    'server/scenes.lua',
}

dependencies {
    'framework',
    'inventory',
    'banking',
    'vehicles',
    'shops',
    'chat',
}
