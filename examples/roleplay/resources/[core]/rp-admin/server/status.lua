-- http://server:30120/rp-admin/ shows how things are; /rp-admin/players wants the token.

local rules = json.decode(LoadResourceFile(GetCurrentResourceName(), 'data/rules.json') or '[]')
local token <const> = GetConvar('rp:statusToken', '')

local pages = {}

pages['/'] = function(request, response)
    response.writeHead(200, { ['Content-Type'] = 'application/json' })
    response.send(json.encode({
        name = GetConvar('sv_hostname', ''),
        players = #GetPlayers(),
        slots = GetConvarInt('sv_maxclients', 32),
        weather = GlobalState.weather,
        clock = GlobalState.clock,
        uptime = GetGameTimer() // 1000,
    }))
end

pages['/rules'] = function(request, response)
    response.writeHead(200, { ['Content-Type'] = 'text/plain; charset=utf-8' })
    for i = 1, #rules do response.write(('%d. %s\n'):format(i, rules[i])) end
    response.send()
end

pages['/players'] = function(request, response)
    if token == '' or request.headers['Authorization'] ~= ('Bearer %s'):format(token) then
        response.writeHead(401)
        return response.send('who are you?')
    end
    local list = {}
    for _, id in ipairs(GetPlayers()) do
        list[#list + 1] = { id = tonumber(id), name = GetPlayerName(id), ping = GetPlayerPing(id) }
    end
    response.writeHead(200, { ['Content-Type'] = 'application/json' })
    response.send(json.encode(list))
end

SetHttpHandler(function(request, response)
    local page = pages[request.path]
    if not page then
        response.writeHead(404)
        return response.send('not here')
    end
    if request.method ~= 'GET' then
        response.writeHead(405, { Allow = 'GET' })
        return response.send()
    end
    page(request, response)
end)
