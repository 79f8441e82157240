fx_version 'cerulean'
game 'gta5'

name 'jobs'
description 'Duty, tasks and wages'
version '2.0.0'

shared_scripts {
    '@framework/shared/jobs.lua',
    'shared/config.lua',
}

server_scripts {
    'server/duty.lua',
    'server/payroll.lua',
    'server/tasks.lua',
}

dependencies {
    'framework',
    'banking',
}
