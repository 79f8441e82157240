fx_version 'cerulean'
game 'gta5'

name 'banking'
description 'Accounts, transfers, statements, credit'
version '1.6.3'

server_scripts {
    'config.lua',
    'server/accounts.lua',
    'server/statement.lua',
    'server/credit.lua',
}

dependencies {
    'framework',
    'database',
}
