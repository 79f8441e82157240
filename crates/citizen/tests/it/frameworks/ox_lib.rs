//! A library that loads its parts when they are first asked for, in the resource that asks, and keeps callbacks, classes
//! and locales.

use super::{heard, play, player, ticks};

const LIBRARY: [(&str, &str); 6] = [
    (
        "lib/fxmanifest.lua",
        "fx_version 'cerulean'
         use_experimental_fxv2_oal 'yes'
         lua54 'yes'
         files { 'init.lua', 'imports/**/client.lua', 'imports/**/shared.lua' }
         shared_script 'resource/init.lua'
         server_scripts { 'resource/**/server.lua' }",
    ),
    (
        "lib/resource/init.lua",
        "lib = setmetatable({ name = 'lib', context = IsDuplicityVersion() and 'server' or 'client' }, {
             __newindex = function(self, key, fn)
                 rawset(self, key, fn)
                 if debug.getinfo(2, 'S').short_src:find('@lib/resource') then exports(key, fn) end
             end,
         })
         cache = { resource = lib.name, game = GetGameName() }",
    ),
    (
        "lib/resource/locale/server.lua",
        "function lib.getLocaleKey() return GetConvar('lib:locale', 'en') end
         function lib.hasLoaded() return true end
         lib.shout = function(text) return text:upper() .. '!' end",
    ),
    (
        "lib/init.lua",
        "if not _VERSION:find('5.4') then error('Lua 5.4 must be enabled in the resource manifest!', 2) end
         local library = 'lib'
         if lib and lib.name == library then error(('Cannot load %s more than once.'):format(library)) end
         local export = exports[library]
         if GetResourceState(library) ~= 'started' and not export.hasLoaded() then error('start it first', 0) end
         msgpack.setoption('ignore_invalid', true)
         local LoadResourceFile = LoadResourceFile
         local context = IsDuplicityVersion() and 'server' or 'client'
         local function noop() end
         local function loadModule(self, module)
             local dir = ('imports/%s'):format(module)
             local chunk = LoadResourceFile(library, ('%s/%s.lua'):format(dir, context))
             local shared = LoadResourceFile(library, ('%s/shared.lua'):format(dir))
             if shared then chunk = (chunk and ('%s\\n%s'):format(shared, chunk)) or shared end
             if chunk then
                 local fn, err = load(chunk, ('@@lib/imports/%s/%s.lua'):format(module, context))
                 if not fn or err then
                     return error(('\\n^1Error importing module (%s): %s^0'):format(dir, err), 3)
                 end
                 local result = fn()
                 self[module] = result or noop
                 return self[module]
             end
         end
         local function call(self, index, ...)
             local module = rawget(self, index)
             if not module then
                 self[index] = noop
                 module = loadModule(self, index)
                 if not module then
                     local function method(...) return export[index](nil, ...) end
                     if not ... then self[index] = method end
                     return method
                 end
             end
             return module
         end
         lib = setmetatable({ name = library, context = context }, { __index = call, __call = call })
         local intervals = {}
         function SetInterval(callback, interval, ...)
             interval = interval or 0
             local args, id = { ... }, nil
             Citizen.CreateThreadNow(function(ref)
                 id = ref
                 intervals[id] = interval or 0
                 repeat
                     interval = intervals[id]
                     Wait(interval)
                     if interval < 0 then break end
                     callback(table.unpack(args))
                 until false
                 intervals[id] = nil
             end)
             return id
         end
         function ClearInterval(id) intervals[id] = -1 end
         cache = setmetatable({ game = GetGameName(), resource = GetCurrentResourceName() }, {
             __index = function(self, key)
                 AddEventHandler(('lib:cache:%s'):format(key), function(value) self[key] = value end)
                 return rawset(self, key, export.cache and nil or false)[key]
             end,
         })
         for i = 1, GetNumResourceMetadata(cache.resource, 'lib_module') do
             local name = GetResourceMetadata(cache.resource, 'lib_module', i - 1)
             if not rawget(lib, name) then
                 local module = loadModule(lib, name)
                 if type(module) == 'function' then pcall(module) end
             end
         end",
    ),
    (
        "lib/imports/callback/server.lua",
        "local pending = {}
         local cbEvent = '__cb_%s'
         RegisterNetEvent(cbEvent:format(cache.resource), function(key, ...)
             local cb = pending[key]
             if not cb then return end
             pending[key] = nil
             cb(...)
         end)
         local function trigger(_, event, playerId, cb, ...)
             assert(DoesPlayerExist(playerId), ('target playerId %s does not exist'):format(playerId))
             local key
             repeat key = ('%s:%s:%s'):format(event, math.random(0, 100000), playerId) until not pending[key]
             TriggerClientEvent(cbEvent:format(event), playerId, cache.resource, key, ...)
             local p = not cb and promise.new()
             pending[key] = function(response, ...)
                 response = { response, ... }
                 if p then return p:resolve(response) end
                 if cb then cb(table.unpack(response)) end
             end
             if p then
                 SetTimeout(300, function() p:reject((\"callback event '%s' timed out\"):format(key)) end)
                 return table.unpack(Citizen.Await(p))
             end
         end
         lib.callback = setmetatable({}, {
             __call = function(_, event, playerId, cb, ...)
                 local cbType = type(cb)
                 if cbType == 'table' and getmetatable(cb).__call then cbType = 'function' end
                 assert(cbType == 'function', (\"expected 'function' received %s\"):format(cbType))
                 return trigger(_, event, playerId, cb, ...)
             end,
         })
         function lib.callback.await(event, playerId, ...) return trigger(nil, event, playerId, false, ...) end
         local function callbackResponse(success, result, ...)
             if not success then
                 if result then
                     return print(('^1SCRIPT ERROR: %s^0'):format(result), Citizen.InvokeNative(`FORMAT_STACK_TRACE` & 0xFFFFFFFF, nil, 0, Citizen.ResultAsString()):match('@lib/imports/callback/server.lua') or '')
                 end
                 return false
             end
             return result, ...
         end
         function lib.callback.register(name, cb)
             RegisterNetEvent(cbEvent:format(name), function(resource, key, ...)
                 TriggerClientEvent(cbEvent:format(resource), source, key, callbackResponse(pcall(cb, source, ...)))
             end)
         end
         return lib.callback",
    ),
    (
        "lib/imports/class/shared.lua",
        "local getinfo = debug.getinfo
         local mixins, constructors = {}, {}
         local function assertType(id, var, expected)
             local received = type(var)
             if received ~= expected then error((\"expected %s %s to have type '%s' (received %s)\"):format(type(id) == 'string' and 'field' or 'argument', id, expected, received), 3) end
             return true
         end
         local function getConstructor(class)
             local constructor = constructors[class] or class.constructor
             if class.constructor then constructors[class] = class.constructor class.constructor = nil end
             return constructor
         end
         local function void() return '' end
         function mixins.new(class, ...)
             local constructor = getConstructor(class)
             local private = {}
             local obj = setmetatable({ private = private }, class)
             if constructor then
                 local parent = class
                 rawset(obj, 'super', function(self, ...)
                     parent = getmetatable(parent)
                     constructor = getConstructor(parent)
                     if constructor then return constructor(self, ...) end
                 end)
                 constructor(obj, ...)
             end
             rawset(obj, 'super', nil)
             if private ~= obj.private or next(obj.private) then
                 private = table.clone(obj.private)
                 table.wipe(obj.private)
                 setmetatable(obj.private, {
                     __metatable = 'private',
                     __tostring = void,
                     __index = function(self, index)
                         local di = getinfo(2, 'n')
                         if di.namewhat ~= 'method' and di.namewhat ~= '' then return end
                         return private[index]
                     end,
                     __newindex = function(self, index, value)
                         local di = getinfo(2, 'n')
                         if di.namewhat ~= 'method' and di.namewhat ~= '' then error((\"cannot set value of private field '%s'\"):format(index), 2) end
                         private[index] = value
                     end,
                 })
             else
                 obj.private = nil
             end
             return obj
         end
         function mixins:instanceOf(class) return getmetatable(self) == class or getmetatable(getmetatable(self)) == class end
         function lib.class(name, super)
             assertType(1, name, 'string')
             local class = table.clone(mixins)
             class.__name = name
             class.__index = class
             return setmetatable(class, super)
         end
         return lib.class",
    ),
];

fn files(manifest: &'static str, user: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut files = LIBRARY.to_vec();
    files.extend([("a/fxmanifest.lua", manifest), ("a/server.lua", user)]);
    files
}

const MANIFEST: &str = "fx_version 'cerulean' game 'gta5' lua54 'yes' shared_script '@lib/init.lua' server_script 'server.lua' dependency 'lib' lib_module 'class'";

#[test]
fn parts_are_loaded_where_they_are_asked_for() {
    play(
        &files(
            MANIFEST,
            "print(lib.name, lib.context, cache.resource, cache.game, rawget(lib, 'class') ~= nil, rawget(lib, 'callback'))
             print(lib.shout('hey'), lib('shout')('you'), lib.getLocaleKey())
             local Animal = lib.class('Animal')
             function Animal:constructor(name) self.private.name = name self.legs = 4 end
             function Animal:getName() return self.private.name end
             function Animal:rename(name) self.private.name = name end
             local Dog = lib.class('Dog', Animal)
             function Dog:constructor(name) self:super(name .. '!') end
             local dog = Dog:new('Rex')
             local function peek() return dog.private.name end
             local function poke() dog.private.name = 'x' return true end
             print(dog:getName(), (peek()), dog.legs, dog:instanceOf(Animal), dog.super)
             dog:rename('Max') print(dog:getName(), pcall(function() return (poke()) end))
             print(pcall(lib.class, 5))
             local n = 0
             local id = SetInterval(function(step) n += step end, 50, 2)
             SetTimeout(170, function() ClearInterval(id) print(type(id), n) end)
             print(pcall(function() return lib.nothing() end))",
        ),
        |server| ticks(server, 8),
        &[
            "a: lib\tserver\ta\tfxserver\ttrue\tnil",
            "a: HEY!\tYOU!\ten",
            "a: Rex!\tnil\t4\ttrue\tnil",
            "a: Max\tfalse\t@a/server.lua:11: cannot set value of private field 'name'",
            "a: false\texpected argument 1 to have type 'string' (received number)",
            "a: false\t@lib/init.lua:31: No such export nothing in resource lib",
            "a: number\t6",
        ],
    );
}

#[test]
fn callbacks_cross_to_clients_and_back() {
    play(
        &files(
            MANIFEST,
            "lib.callback.register('a:item', function(source, name, coords) return name .. source, nil, { coords = coords } end)
             lib.callback.register('a:fails', function() error('broken') end)
             print(pcall(lib.callback.await, 'ask', 9))
             AddEventHandler('playerJoining', function()
                 local id = source
                 local fine, problem = pcall(lib.callback.await, 'ask', id, 5)
                 print(fine, (problem:gsub('ask:%d+', 'ask:key')))
             end)",
        ),
        |server| {
            server.connect(player("Ada"));
            server.trigger_net(1, "__cb_a:item", b"\xa5other\xa3k:1\xa5bread", 3);
            let events = server.take_client_events(1);
            assert_eq!(&*events[0].name, "__cb_ask");
            assert_eq!(&*events[1].name, "__cb_other");
            assert_eq!(&*events[1].payload, b"\xa3k:1\xa6bread1\xc0\x90", "{:?}", events[1]);
            server.trigger_net(1, "__cb_a:fails", b"\xa5other\xa3k:2", 2);
            assert_eq!(heard(server, 1), ["__cb_other"]);
            ticks(server, 8);
        },
        &[
            "a: false\t@lib/imports/callback/server.lua:10: target playerId 9 does not exist",
            "a: ^1SCRIPT ERROR: @a/server.lua:2: broken^0\t@lib/imports/callback/server.lua",
            "a: false\t@lib/imports/callback/server.lua:22: callback event 'ask:key:1' timed out",
        ],
    );
}
