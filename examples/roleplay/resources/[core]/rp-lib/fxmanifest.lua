fx_version 'cerulean'
game 'gta5'
lua54 'yes'

name 'rp-lib'
author 'Paleto Roleplay'
version '2.3.0'
description 'Modules that every resource loads on demand: include @rp-lib/init.lua and say lib.name.'

files {
    'init.lua',
    'imports/**/*.lua',
}

server_script 'server/answers.lua'
