-- The vehicles that are out, and their rows.

Out = {}

local ready = promise.new()

MySQL.ready(function()
    exports['rp-core']:Migrate('sql/rp-garage.sql')
    -- what was out when the server went down is towed
    MySQL.update.await("UPDATE player_vehicles SET stored = 1, garage = 'impound' WHERE stored = 0")
    ready:resolve(true)
end)

local Vehicle = lib.class('Vehicle')

function Vehicle:constructor(row, entity)
    self.id = row.id
    self.plate = row.plate
    self.owner = row.owner
    self.model = row.model
    self.entity = entity
    self.netId = NetworkGetNetworkIdFromEntity(entity)
    self.fuel = row.fuel + 0.0
    self.km = row.km
    self.metres = 0.0
    self.at = GetEntityCoords(entity)
end

function Vehicle:exists()
    return DoesEntityExist(self.entity)
end

--- Counts the way since the last look and burns what it took.
function Vehicle:drive()
    local now = GetEntityCoords(self.entity)
    local way = #(now - self.at)
    self.at = now
    if way < 0.5 or way > 500.0 then return 0.0 end
    self.metres += way
    while self.metres >= 1000.0 do
        self.metres -= 1000.0
        self.km += 1
    end
    local rate = Config.fuel[Vehicles[self.model].type] or 0.1
    self.fuel = math.max(0.0, self.fuel - way / 1000.0 * rate)
    return way
end

function Vehicle:condition()
    return GetVehicleEngineHealth(self.entity), GetVehicleBodyHealth(self.entity)
end

--- Writes the row and takes the entity out of the world.
function Vehicle:store(garage)
    local engine, body = self:condition()
    Out[self.plate] = nil
    if self:exists() then DeleteEntity(self.entity) end
    exports['rp-inventory']:ClearTrunk(self.plate)
    return MySQL.update.await([[
        UPDATE player_vehicles SET stored = 1, garage = ?, fuel = ?, engine = ?, body = ?, km = ? WHERE id = ?
    ]], { garage, math.floor(self.fuel * 10) / 10, engine, body, self.km, self.id })
end

--- Brings a row into the world at a place; nil when the game refuses.
function SpawnVehicle(row, at, owner)
    local data = Vehicles[row.model]
    if not data then return nil end
    local entity = CreateVehicleServerSetter(data.hash, data.type, at.x, at.y, at.z, at.w)
    local tries = 0
    while not DoesEntityExist(entity) and tries < 20 do
        tries += 1
        Wait(50)
    end
    if not DoesEntityExist(entity) then return nil end

    SetVehicleNumberPlateText(entity, row.plate)
    SetVehicleDoorsLocked(entity, 2)
    local state = Entity(entity).state
    state:set('plate', row.plate, true)
    state:set('owner', row.owner, true)
    state:set('fuel', row.fuel + 0.0, true)
    state:set('locked', true, true)
    if row.mods then state:set('mods', json.decode(row.mods), true) end

    local vehicle = Vehicle:new(row, entity)
    Out[row.plate] = vehicle
    return vehicle
end

function WaitForVehicles()
    return Citizen.Await(ready)
end

--- A plate nobody has.
function FreshPlate()
    for _ = 1, 20 do
        local plate = lib.string.random(Config.plate)
        if not MySQL.scalar.await('SELECT 1 FROM player_vehicles WHERE plate = ?', { plate }) then return plate end
    end
    error('no free plate after 20 tries')
end

AddEventHandler('entityRemoved', function(entity)
    -- it is gone already: nothing can be asked of it
    for _, plate in ipairs(lib.table.sortedKeys(Out)) do
        local vehicle = Out[plate]
        if vehicle.entity == entity then
            Out[plate] = nil
            MySQL.update("UPDATE player_vehicles SET stored = 1, garage = 'impound', fuel = ?, km = ? WHERE id = ?", {
                math.floor(vehicle.fuel * 10) / 10, vehicle.km, vehicle.id,
            })
        end
    end
end)

AddEventHandler('onResourceStop', function(resource)
    if resource ~= cache.resource then return end
    for _, plate in ipairs(lib.table.sortedKeys(Out)) do
        local vehicle = Out[plate]
        if vehicle:exists() then DeleteEntity(vehicle.entity) end
    end
end)
