fx_version 'cerulean'
game 'gta5'

name 'cron'
description 'Runs things every so many seconds'
version '1.1.0'

server_script 'server/main.lua'
