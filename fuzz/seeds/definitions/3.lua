-- server_script '@database/lib/db.lua' and you have DB.await in your resource
DB = {}

function DB.await(sql, params)
    local p = promise.new()
    exports.database:query(sql, params or {}, function(rows)
        p:resolve(rows)
    end)
    return Citizen.Await(p)
end

function DB.insert(name, row)
    exports.database:insert(name, row)
end

function DB.update(name, column, value, changes)
    exports.database:update(name, column, value, changes)
end
