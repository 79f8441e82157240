fx_version 'cerulean'
games { 'gta5', 'rdr3' }

name 'tickscope'
description 'Tells which resource makes a tick late'
version '0.1.0'

-- Other resources include it as their first script; a client that reads their manifests asks for it too.
file 'probe.lua'

server_scripts { 'transport.lua', 'server.lua' }
