-- What a character looks like: big tables, sent latent so that the game goes on meanwhile.

Skins = {}

local bytesPerSecond <const> = 64000

local function fresh(gender)
    local skin = {
        model = gender == 1 and `mp_f_freemode_01` or `mp_m_freemode_01`,
        components = table.create(12, 0),
        props = {},
        face = table.create(20, 0),
    }
    for i = 1, 12 do skin.components[i] = { id = i - 1, drawable = math.random(0, 20), texture = 0 } end
    for i = 1, 20 do skin.face[i] = math.random(-10, 10) / 10 end
    return skin
end

function Skins.of(citizenid, gender)
    local text = MySQL.scalar.await('SELECT skin FROM characters WHERE citizenid = ?', { citizenid })
    if text then return json.decode(text) end

    local skin = fresh(gender)
    MySQL.update.await('UPDATE characters SET skin = ? WHERE citizenid = ?', { json.encode(skin), citizenid })
    return skin
end

function Skins.send(src, citizenid, gender)
    local skin = Skins.of(citizenid, gender)
    TriggerLatentClientEvent('rp-multichar:client:skin', src, bytesPerSecond, citizenid, skin)
end

--- The tailor's shop sends the whole skin back, latent too.
RegisterNetEvent('rp-multichar:server:saveSkin', function(skin)
    local src = source
    local citizenid = exports['rp-core']:GetCitizenId(src)
    if not citizenid or type(skin) ~= 'table' or type(skin.components) ~= 'table' then return end
    if #skin.components > 12 or #(skin.face or {}) > 20 then return end
    MySQL.update('UPDATE characters SET skin = ? WHERE citizenid = ?', { json.encode(skin), citizenid })
end)
