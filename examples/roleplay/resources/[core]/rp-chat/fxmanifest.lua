fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-chat'
version '2.0.1'
description 'What people say, near and far.'

shared_script '@rp-lib/init.lua'

server_scripts {
    'server/filter.lua',
    'server/main.lua',
}

provide 'chat'

dependency 'rp-core'
