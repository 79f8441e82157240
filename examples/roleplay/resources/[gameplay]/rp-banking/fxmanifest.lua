fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-banking'
version '2.2.0'
description 'Accounts, transfers, savings, statements, and the accounts of societies.'

shared_scripts {
    '@rp-lib/init.lua',
    '@rp-core/shared/locale.lua',
    'shared/config.lua',
}

server_scripts {
    '@oxmysql/lib/MySQL.lua',
    'server/ledger.lua',
    'server/personal.lua',
    'server/savings.lua',
    'server/societies.lua',
}

dependencies {
    'oxmysql',
    'rp-core',
}
