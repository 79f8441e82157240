-- Places: spheres, boxes and polygons, asked whether a point is in them.

local zones = {}
local byId = {}

local Sphere = {}
Sphere.__index = Sphere

function Sphere:contains(point)
    return #(point - self.coords) <= self.radius
end

local Box = {}
Box.__index = Box

function Box:contains(point)
    local offset = point - self.coords
    local along = vec3(
        offset.x * self.cos + offset.y * self.sin,
        offset.y * self.cos - offset.x * self.sin,
        offset.z
    )
    local half <const> = self.size / 2
    return math.abs(along.x) <= half.x and math.abs(along.y) <= half.y and math.abs(along.z) <= half.z
end

local Poly = {}
Poly.__index = Poly

function Poly:contains(point)
    if math.abs(point.z - self.coords.z) > self.thickness / 2 then return false end
    local inside, points = false, self.points
    local previous = points[#points]
    for i = 1, #points do
        local corner = points[i]
        if (corner.y > point.y) ~= (previous.y > point.y) then
            local cross = (previous.x - corner.x) * (point.y - corner.y) / (previous.y - corner.y) + corner.x
            if point.x < cross then inside = not inside end
        end
        previous = corner
    end
    return inside
end

local function add(zone, meta)
    zone.id = #byId + 1
    byId[zone.id] = zone
    return setmetatable(zone, meta)
end

function zones.sphere(data)
    return add({ name = data.name, coords = vec3(data.coords.x, data.coords.y, data.coords.z),
        radius = data.radius + 0.0 }, Sphere)
end

function zones.box(data)
    local angle = math.rad(data.rotation or 0.0)
    return add({ name = data.name, coords = data.coords, size = data.size,
        cos = math.cos(angle), sin = math.sin(angle) }, Box)
end

function zones.poly(data)
    local sum = vec3(0.0, 0.0, 0.0)
    for i = 1, #data.points do sum += data.points[i] end
    return add({ name = data.name, points = data.points, coords = sum / #data.points,
        thickness = data.thickness or 4.0 }, Poly)
end

--- The first zone the point is in.
function zones.at(point)
    for i = 1, #byId do
        if byId[i]:contains(point) then return byId[i] end
    end
end

return zones
