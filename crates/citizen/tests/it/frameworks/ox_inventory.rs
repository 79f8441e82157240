//! Inventories: modules loaded into one environment, objects with metatables, hooks of other resources, CfxLua's syntax.

use super::{play, player, ticks};

const INVENTORY: [(&str, &str); 5] = [
    (
        "inventory/fxmanifest.lua",
        "fx_version 'cerulean'
         game 'gta5'
         lua54 'yes'
         dependencies { '/server:6116', '/onesync' }
         shared_script 'init.lua'
         server_scripts { 'server.lua' }",
    ),
    (
        "inventory/init.lua",
        "shared = { resource = GetCurrentResourceName(), weightlimit = GetConvarInt('inventory:weight', 30000), target = GetConvarInt('inventory:target', 0) == 1 }
         server = { bulkstashsave = GetConvarInt('inventory:bulkstashsave', 1) == 1, uselicense = json.decode(GetConvar('inventory:licenses', '[\"weapon\"]')) }
         local function noop() end
         function data(name)
             local file = ('data/%s.lua'):format(name)
             local datafile = LoadResourceFile(shared.resource, file)
             local path = ('@@%s/%s'):format(shared.resource, file)
             local func, err = load(datafile, path)
             if not func or err then return print(('^1%s^0'):format(err)) end
             return func()
         end
         local modules = {}
         function require(path)
             local found = modules[path]
             if found then return found end
             local text = LoadResourceFile(shared.resource, path:gsub('%.', '/') .. '.lua')
             local env = setmetatable({}, { __index = _ENV })
             modules[path] = assert(load(text, ('@@inventory/%s.lua'):format(path:gsub('%.', '/')), 't', env))() or true
             return modules[path]
         end",
    ),
    (
        "inventory/data/items.lua",
        "return {
             ['bread'] = { label = 'Bread', weight = 200, degrade = 60 },
             ['pistol'] = { label = 'Pistol', weight = 1000, hash = `WEAPON_PISTOL`, coords = vec3(1, 2, 3) },
         }",
    ),
    (
        "inventory/modules/hooks.lua",
        "local eventHooks = {}
         local microtime = os.microtime
         function TriggerEventHooks(event, payload)
             local hooks = eventHooks[event]
             if hooks then
                 for i = 1, #hooks do
                     local hook = hooks[i]
                     if hook.itemFilter and not hook.itemFilter[payload.item] then goto skipLoop end
                     local start = microtime()
                     local _, response = pcall(hook, payload)
                     if microtime() - start >= 100000 then warn(('Execution of event hook \"%s:%s:%s\" was slow'):format(hook.resource, event, i)) end
                     if response == false then return false end
                     ::skipLoop::
                 end
             end
             return true
         end
         exports('registerHook', function(event, cb, options)
             if not eventHooks[event] then eventHooks[event] = {} end
             local mt = getmetatable(cb)
             mt.__index = nil
             mt.__newindex = nil
             cb.resource = GetInvokingResource()
             cb.hookId = ('%s:%s:%s'):format(cb.resource, event, #eventHooks[event] + 1)
             if options then for k, v in pairs(options) do cb[k] = v end end
             eventHooks[event][#eventHooks[event] + 1] = cb
             return cb.hookId
         end)
         AddEventHandler('onResourceStop', function(resource)
             for _, hooks in pairs(eventHooks) do
                 for i = #hooks, 1, -1 do if hooks[i].resource == resource then table.remove(hooks, i) print('removed', resource) end end
             end
         end)
         return { Trigger = TriggerEventHooks }",
    ),
    (
        "inventory/server.lua",
        "local Items, Hooks <const> = data 'items', require 'modules.hooks'
         local Inventories = {}
         local OxInventory = {}
         OxInventory.__index = OxInventory
         local Inventory = setmetatable({}, {
             __call = function(self, inv)
                 if not inv then return self elseif type(inv) == 'table' then return inv.items and inv end
                 return Inventories[tonumber(inv) or inv]
             end,
         })
         function OxInventory:count(name)
             local n = 0
             for _, slot in pairs(self.items) do if slot?.name == name then n += slot.count end end
             return n
         end
         function Inventory.Create(id, label, slots, maxWeight)
             local self = { id = id, label = label or id, slots = slots, weight = 0, maxWeight = maxWeight, items = {}, openedBy = {} }
             if tonumber(id) then
                 self.player = { source = id, ped = GetPlayerPed(id) }
                 Player(id).state:set('invBusy', false, true)
                 Player(id).state.canUseWeapons = true
             end
             Inventories[id] = setmetatable(self, OxInventory)
             return self
         end
         function Inventory.AddItem(inv, item, count, metadata, slot, cb)
             inv = Inventory(inv)
             local data = Items[item]
             if not inv?.slots then return false, 'invalid_inventory' end
             if not data then return false, 'invalid_item' end
             if not Hooks.Trigger('createItem', { inventoryId = inv.id, item = item, count = count, metadata = metadata, coords = data.coords }) then return false, 'hook' end
             count = math.floor(count + 0.5)
             if inv.weight + data.weight * count > inv.maxWeight then return false, 'inventory_full' end
             slot = slot or #inv.items + 1
             inv.items[slot] = { slot = slot, name = item, label = data.label, count = count, metadata = metadata or {}, weight = data.weight * count }
             inv.weight += inv.items[slot].weight
             if cb then cb(true, inv.items[slot]) end
             return true, inv.items[slot]
         end
         exports('AddItem', Inventory.AddItem)
         exports('GetItemCount', function(inv, name) return Inventory(inv)?:count(name) or 0 end)
         exports('GetInventory', function(inv)
             inv = Inventory(inv)
             return inv and { id = inv.id, weight = inv.weight, items = inv.items }
         end)
         exports('Items', function(name) if name then return Items[name] end return Items end)
         AddEventHandler('playerJoining', function()
             Inventory.Create(source, GetPlayerName(source), 5, shared.weightlimit)
             TriggerEvent('inventory:loaded', source)
         end)
         AddStateBagChangeHandler('invBusy', nil, function(bagName, key, value, _, replicated)
             print(bagName, key, value, replicated, GetPlayerFromStateBagName(bagName))
         end)
         AddEventHandler('playerDropped', function() Inventories[source] = nil end)",
    ),
];

#[test]
fn items_are_added_unless_a_hook_says_no() {
    let mut files = INVENTORY.to_vec();
    files.push((
        "z/main.lua",
        "local inventory = exports.inventory
         print(inventory:registerHook('createItem', function(payload)
             if payload.count > 5 then return false end
             print('hook', payload.item, payload.count, payload.coords, payload.metadata?.note)
         end, { print = true, itemFilter = { bread = true, pistol = true } }))
         TriggerEvent('__cfx_export_inventory_Items', function(ref) print('by event', ref and ref('bread').label) end)
         AddEventHandler('inventory:loaded', function(id)
             local ok, slot = inventory:AddItem(id, 'bread', 2.4, { note = 'old' }) print(ok, slot.slot, slot.metadata.note)
             print(inventory:AddItem(id, 'bread', 9)) print(inventory:AddItem(id, 'stone', 1)) print(inventory:AddItem('x', 'bread', 1))
             print((inventory:AddItem(id, 'pistol', 1, nil, 4, function(ok, item) print('cb', ok, item.slot, next(item.metadata)) end)))
             print(inventory:GetItemCount(id, 'bread'), inventory:GetItemCount(77, 'bread'), inventory:Items('pistol').hash == joaat('weapon_pistol'))
             local inv = inventory:GetInventory(id)
             print(inv.weight, inv.items[1].name, inv.items[4].label, inventory:GetInventory(8))
             Player(id).state.invBusy = true
         end)",
    ));
    play(
        &files,
        |server| {
            server.connect(player("Ada"));
            server.execute("stop z");
            ticks(server, 1);
        },
        &[
            "z: z:createItem:1",
            "z: by event\tBread",
            "inventory: player:1\tinvBusy\tfalse\ttrue\t1",
            "z: hook\tbread\t2.4\tnil\told",
            "z: true\t1\told",
            "z: false\thook",
            "z: false\tinvalid_item",
            "z: false\tinvalid_inventory",
            "z: hook\tpistol\t1\tvec3(1.000000, 2.000000, 3.000000)\tnil",
            "z: cb\ttrue\t4\tnil",
            "z: true",
            "z: 2\t0\ttrue",
            "z: 1400\tbread\tPistol\tnil",
            "inventory: player:1\tinvBusy\ttrue\ttrue\t1",
            ": Stopping resource z",
            "inventory: removed\tz",
        ],
    );
}
