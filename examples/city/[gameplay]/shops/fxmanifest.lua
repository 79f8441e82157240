fx_version 'cerulean'
game 'gta5'

name 'shops'
description '24/7 and hardware stores'
version '1.2.2'

shared_scripts {
    '@framework/shared/items.lua',
    'config.lua',
}

server_script 'server/main.lua'

server_export 'buyItem'

dependencies {
    'cron',
    'framework',
    'inventory',
}
