fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-jobs'
version '1.9.2'
description 'Duty, pay, and the work itself.'

shared_scripts {
    '@rp-lib/init.lua',
    'shared/config.lua',
}

server_scripts {
    'server/duty.lua',
    'server/paychecks.lua',
    'server/work.lua',
    'server/police.lua',
    'server/boss.lua',
}

dependencies {
    'rp-core',
    'rp-inventory',
    'rp-banking',
}
