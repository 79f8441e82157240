//! Interfaces of proxies and tunnels over events, and coroutines that scripts resume themselves.

use super::{play, player, ticks};

const LIBRARY: (&str, &str) = (
    "lib/async.lua",
    "-- a call that answers later, in a coroutine that is not the scheduler's
     function async(func)
         if func then
             return Citizen.CreateThreadNow(function() func() end)
         end
         local p = promise.new()
         return setmetatable({ wait = function() return table.unpack(Citizen.Await(p), 1, 9) end }, {
             __call = function(_, ...) p:resolve({ ... }) end,
         })
     end
     local callbacks, ids = {}, 0
     local Proxy = {}
     local function resolve(itable, key)
         local mtable = getmetatable(itable)
         local iname, no_wait = mtable.name, false
         local fname = key
         if string.sub(key, 1, 1) == '_' then fname, no_wait = string.sub(key, 2), true end
         local function call(...)
             local args, rid = { ... }, -1
             local r
             if not no_wait then
                 r = async() ids = ids + 1 rid = ids callbacks[rid] = r
             end
             TriggerEvent(iname .. ':proxy', fname, args, mtable.identifier, rid)
             if not no_wait then return r:wait() end
         end
         itable[key] = call
         return call
     end
     function Proxy.addInterface(name, itable)
         AddEventHandler(name .. ':proxy', function(member, args, identifier, rid)
             local f = itable[member]
             local rets
             if type(f) == 'function' then rets = { f(table.unpack(args, 1, 9)) } else print('error: proxy call ' .. name .. ':' .. member .. ' not found') end
             if rid >= 0 then TriggerEvent(name .. ':' .. identifier .. ':proxy_res', rid, rets) end
         end)
     end
     function Proxy.getInterface(name, identifier)
         identifier = identifier or GetCurrentResourceName()
         local r = setmetatable({}, { __index = resolve, name = name, identifier = identifier })
         AddEventHandler(name .. ':' .. identifier .. ':proxy_res', function(rid, rets)
             local callback = callbacks[rid]
             if callback then callbacks[rid] = nil callback(table.unpack(rets or {}, 1, 9)) end
         end)
         return r
     end
     local modules = {}
     function module(rsc, path)
         if not path then path = rsc rsc = 'lib' end
         local key = rsc .. '/' .. path
         if modules[key] then return table.unpack(modules[key]) end
         local code = LoadResourceFile(rsc, path .. '.lua')
         if not code then error('resource file ' .. key .. ' not found') end
         local f, err = load(code, key .. '.lua')
         if not f then error('error parsing module ' .. key .. ': ' .. debug.traceback(err)) end
         local res = table.pack(xpcall(f, debug.traceback))
         if not res[1] then error('error loading module ' .. key .. ': ' .. res[2]) end
         modules[key] = table.pack(table.unpack(res, 2, res.n))
         return table.unpack(modules[key])
     end
     return Proxy",
);

#[test]
fn proxies_answer_at_once_and_later() {
    play(
        &[
            LIBRARY,
            ("lib/__resource.lua", "server_scripts { 'async.lua' }"),
            ("base/__resource.lua", "dependency 'lib'\nserver_scripts { '@lib/async.lua', 'base.lua' }"),
            (
                "base/base.lua",
                "local Proxy = module('async')
                 local vRP = { users = {} }
                 Proxy.addInterface('vRP', vRP)
                 function vRP.getUserId(source)
                     local ids = GetPlayerIdentifiers(source)
                     return ids and #ids > 0 and vRP.users[ids[1]] or nil
                 end
                 function vRP.slow(a, b) Wait(100) return a + b, 'later' end
                 function vRP.prompt(cb) cb('typed', { 1, 2 }) end
                 AddEventHandler('playerJoining', function()
                     vRP.users[GetPlayerIdentifiers(source)[1]] = 7
                     TriggerEvent('vRP:playerSpawn', 7, source, true)
                 end)",
            ),
            ("shop/__resource.lua", "dependency 'base'\nserver_scripts { '@lib/async.lua', 'shop.lua' }"),
            (
                "shop/shop.lua",
                "local Proxy = module('lib', 'async')
                 local vRP = Proxy.getInterface('vRP')
                 AddEventHandler('vRP:playerSpawn', function(user_id, source, first_spawn)
                     local known, unknown = vRP.getUserId(source), vRP.getUserId(99) print(user_id, first_spawn, known, unknown)
                     local sum, when = vRP.slow(3, 4) print(sum, when)
                     vRP._prompt(function(text, list) print(text, #list) end)
                     print('behind', vRP.unknown and vRP._unknown())
                 end)
                 print(pcall(module, 'lib', 'missing'))
                 async(function() print('async', (vRP.slow(1, 1))) end)
                 print('loaded')",
            ),
        ],
        |server| {
            ticks(server, 3);
            server.connect(player("Ada"));
            ticks(server, 4);
        },
        &[
            "shop: false\t[string \"lib/async.lua\"]:53: resource file lib/missing not found",
            "shop: loaded",
            "shop: async\t2",
            "shop: 7\ttrue\t7\tnil",
            "shop: 7\tlater",
            "shop: typed\t2",
            "base: error: proxy call vRP:unknown not found",
            "shop: behind\tnil",
        ],
    );
}

#[test]
fn coroutines_that_a_script_resumes_itself_are_not_the_schedulers() {
    play(
        &[(
            "a/main.lua",
            "local function async()
                 local co = coroutine.running()
                 return { wait = function() return coroutine.yield() end, done = function(...) return coroutine.resume(co, ...) end }
             end
             local function query(sql, cb) SetTimeout(50, function() cb(sql .. '!') end) end
             local task = coroutine.wrap(function()
                 local r = async()
                 query('SELECT', function(rows) r.done(rows, 2) end)
                 local rows, n = r.wait()
                 print(rows, n, coroutine.isyieldable())
             end)
             task()
             local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
             print(gen(), gen(), gen())
             local co = coroutine.create(function(x) local y = coroutine.yield(x * 2) error('boom ' .. y) end)
             print(coroutine.resume(co, 4)) print(coroutine.resume(co, 5)) print(coroutine.status(co), coroutine.close(co))",
        )],
        |server| ticks(server, 3),
        &[
            "a: 1\t2\t3",
            "a: true\t8",
            "a: false\t@a/main.lua:15: boom 5",
            "a: dead\tfalse\t@a/main.lua:15: boom 5",
            "a: SELECT!\t2\ttrue",
        ],
    );
}
