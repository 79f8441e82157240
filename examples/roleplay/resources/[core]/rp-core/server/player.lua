-- One character at play.

CorePlayer = lib.class('CorePlayer')

---@param src number
---@param row table a row of `characters`
function CorePlayer:constructor(src, row)
    self.source = src
    self.id = row.citizenid
    self.citizenid = row.citizenid
    self.license = row.license
    self.slot = row.slot
    self.name = ('%s %s'):format(row.firstname, row.lastname)
    self.charinfo = {
        firstname = row.firstname,
        lastname = row.lastname,
        birthdate = row.birthdate,
        gender = (row.gender == true or row.gender == 1) and 1 or 0,
    }
    self.money = { cash = math.tointeger(row.cash), bank = math.tointeger(row.bank) }
    self.job = Jobs.resolve(row.job, row.grade)
    self.metadata = lib.table.merge(lib.table.deepClone(Config.metadata), json.decode(row.metadata or '{}') or {})

    local at = row.position and json.decode(row.position)
    self.position = at and vec4(at.x, at.y, at.z, at.w) or Config.start.position
    self.changed = false
end

function CorePlayer:state()
    return Player(self.source).state
end

function CorePlayer:emit(name, ...)
    TriggerClientEvent(('rp-core:client:%s'):format(name), self.source, ...)
end

function CorePlayer:notify(text, kind)
    self:emit('notify', text, kind or 'inform')
end

function CorePlayer:touch()
    self.changed = true
end

--- Money -----------------------------------------------------------------------------------------------------------

function CorePlayer:getMoney(account)
    return self.money[account]
end

local function whole(amount)
    amount = tonumber(amount)
    return amount and amount == amount and math.abs(amount) < 2 ^ 50 and math.floor(amount) or nil
end

function CorePlayer:moved(account, amount, reason)
    self:touch()
    self:state():set('money', table.clone(self.money), true)
    self:emit('money', account, amount, self.money[account])
    TriggerEvent('rp-core:server:money', self.source, account, amount, reason, self.money[account])
end

function CorePlayer:addMoney(account, amount, reason)
    amount = whole(amount)
    if not amount or amount <= 0 or not self.money[account] then return false end
    self.money[account] += amount
    self:moved(account, amount, reason or 'unknown')
    return true
end

function CorePlayer:removeMoney(account, amount, reason)
    amount = whole(amount)
    if not amount or amount <= 0 then return false end
    if (self.money[account] or 0) < amount then return false end
    self.money[account] -= amount
    self:moved(account, -amount, reason or 'unknown')
    return true
end

--- Job -------------------------------------------------------------------------------------------------------------

function CorePlayer:setJob(name, grade)
    if not Jobs[name]?.grades?[grade] then return false end
    local before = self.job
    self.job = Jobs.resolve(name, grade)
    self:touch()
    self:state():set('job', { name = name, grade = grade, onDuty = self.job.onDuty }, true)
    self:emit('job', self.job)
    self:notify(L('job_changed', self.job.gradeLabel), 'success')
    TriggerEvent('rp-core:server:job', self.source, self.job, before)
    return true
end

function CorePlayer:setDuty(onDuty)
    self.job.onDuty = onDuty and true or Jobs[self.job.name].alwaysOnDuty or false
    self:state():set('job', { name = self.job.name, grade = self.job.grade, onDuty = self.job.onDuty }, true)
    self:emit('duty', self.job.onDuty)
    TriggerEvent('rp-core:server:duty', self.source, self.job.name, self.job.onDuty)
    return self.job.onDuty
end

--- Metadata --------------------------------------------------------------------------------------------------------

function CorePlayer:getMeta(key)
    return self.metadata[key]
end

function CorePlayer:setMeta(key, value)
    if type(key) ~= 'string' then return false end
    self.metadata[key] = value
    self:touch()
    if type(value) == 'number' then self:state():set(key, value, true) end
    return true
end

--- Where the ped stands, if there is one.
function CorePlayer:locate()
    local ped = GetPlayerPed(self.source)
    if not ped or ped == 0 then return self.position end
    local coords = GetEntityCoords(ped)
    if #(coords - self.position.xyz) > 0.5 then
        self.position = vec4(coords, GetEntityHeading(ped))
        self:touch()
    end
    return self.position
end

--- What UPDATE takes, in the order of its question marks.
function CorePlayer:row()
    local at = self:locate()
    return {
        self.money.cash,
        self.money.bank,
        self.job.name,
        self.job.grade,
        json.encode({ x = at.x, y = at.y, z = at.z, w = at.w }),
        json.encode(self.metadata),
        self.citizenid,
    }
end

--- What other resources get: data as of now, and functions that work on the character itself.
function CorePlayer:export()
    return {
        source = self.source,
        citizenid = self.citizenid,
        license = self.license,
        name = self.name,
        charinfo = self.charinfo,
        money = self.money,
        job = self.job,
        metadata = self.metadata,
        AddMoney = function(account, amount, reason) return self:addMoney(account, amount, reason) end,
        RemoveMoney = function(account, amount, reason) return self:removeMoney(account, amount, reason) end,
        GetMoney = function(account) return self:getMoney(account) end,
        SetJob = function(name, grade) return self:setJob(name, grade) end,
        SetDuty = function(onDuty) return self:setDuty(onDuty) end,
        SetMeta = function(key, value) return self:setMeta(key, value) end,
        Notify = function(text, kind) return self:notify(text, kind) end,
    }
end
