fx_version 'cerulean'
game 'gta5'

name 'database'
description 'Async queries for the city, same calls as the MySQL resource we had before'
version '2.3.0'

server_scripts {
    'config.lua',
    'server/tables.lua',
    'server/query.lua',
    'server/ledger.lua',
    'server/seed.lua',
}

-- the old way, shops and housing still call these
server_exports {
    'query',
    'insert',
    'update',
}
