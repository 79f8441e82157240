-- local Account = lib.class('Account'); function Account:constructor(owner) … end; Account:new('C0001')

local function construct(class, ...)
    local object = setmetatable({}, class)
    local constructor = class.constructor
    if constructor then constructor(object, ...) end
    return object
end

local function isClass(object, class)
    local meta = getmetatable(object)
    while meta do
        if meta == class then return true end
        meta = meta.super
    end
    return false
end

return function(name, super)
    local class = {
        __name = name,
        super = super,
        new = construct,
        isClass = isClass,
    }
    class.__index = class
    class.__tostring = function(self)
        return ('%s<%s>'):format(name, self.id or '?')
    end
    return setmetatable(class, super and { __index = super } or nil)
end
