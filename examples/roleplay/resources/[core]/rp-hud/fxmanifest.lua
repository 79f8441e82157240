fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-hud'
version '1.2.0'
description 'Hunger, thirst and stress; the settings of the display.'

shared_script '@rp-lib/init.lua'

server_scripts {
    'server/needs.lua',
    'server/settings.lua',
}

dependencies {
    'rp-core',
    'rp-inventory',
}
