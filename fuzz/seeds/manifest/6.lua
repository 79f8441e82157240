fx_version 'cerulean'
game 'gta5'

name 'inventory'
description 'Bags, weights, and the market'
version '4.2.0'

shared_scripts {
    '@framework/shared/items.lua',
    'config.lua',
}

server_scripts {
    'server/bags.lua',
    'server/contraband.lua',
    'server/market.lua',
    'server/main.lua',
}

dependency 'framework'
