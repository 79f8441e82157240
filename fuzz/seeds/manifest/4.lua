fx_version 'cerulean'
game 'gta5'

name 'housing'
description 'Houses, doors and rent'
version '1.3.0'

server_scripts {
    '@database/lib/db.lua',
    'config.lua',
    'server/doors.lua',
    'server/rent.lua',
}

dependencies {
    'database',
    'framework',
}
