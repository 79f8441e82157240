//! What CfxLua adds to Lua's libraries, `require`, and `glm`.

use crate::world::{check, check_world};

#[test]
fn tables_are_made_copied_emptied_and_told_apart() {
    check(
        "print(table.type({}), table.type({ 1, 2 }), table.type({ a = 1 }), table.type({ 1, a = 1 }), table.type({ [5] = 1 }), table.type(5), table.type({ n = 0, nil }))
         local t = table.create(3, 2) print(#t, next(t)) print(pcall(function() local _ = table.create(3) end)) print(pcall(function() local _ = table.create(-1, 0) end))
         local from = setmetatable({ 1, 2, x = { 3 } }, { __index = print }) local copy = table.clone(from)
         print(copy ~= from, copy[2], copy.x == from.x, getmetatable(copy), #copy) local into = { y = 1, x = 2 } print(table.clone(from, into) == into, into.x == from.x, into.y)
         print(table.wipe(from) == from, next(from), getmetatable(from) ~= nil) print(pcall(function() table.wipe(5) end)) print(pcall(function() table.clone() end))
         local keys = {} for i = 1, 100 do keys[i] = i keys['k' .. i] = i end table.wipe(keys) print(next(keys), #keys)",
        &[
            "empty\tarray\thash\tmixed\thash\tnil\thash",
            "0\tnil",
            "false\t@a/main.lua:2: bad argument #2 to 'create' (number expected, got no value)",
            "false\t@a/main.lua:2: bad argument #1 to 'create' (invalid narray size)",
            "true\t2\ttrue\tnil\t2",
            "true\ttrue\t1",
            "true\tnil\ttrue",
            "false\t@a/main.lua:5: bad argument #1 to 'wipe' (table expected, got number)",
            "false\t@a/main.lua:5: bad argument #1 to 'clone' (table expected, got no value)",
            "nil\t0",
        ],
    );
}

#[test]
fn strings_are_split_joined_trimmed_and_hashed() {
    check(
        "print(string.strsplit(' ,', 'a b,c', 2)) print(string.strsplit(',', ',a,')) print((',').strsplit(',', 'a,b,c')) print(string.strsplit('', 'abc'))
         print(('  x y  '):strtrim() .. '|', ('--x--'):strtrim('-'), ('   '):strtrim() == '') print(string.strjoin(', ', 'a', 1, 'b'), string.strjoin('-') == '', string.strconcat('a', 1, 2.5))
         print(pcall(function() local _ = string.strjoin(',', 'a', {}) end)) print(string.tostringall(1, nil, vec2(1, 2))) print(scrub(1, {}, 'x', print))
         print(joaat('adder'), joaat('ADDER'), joaat('ADDER', true) == joaat('adder'), joaat(5), joaat(true)) print(pcall(function() local _ = joaat({}) end))
         print(utf8.strlenutf8('é'), utf8.strcmputf8i('a', 'b'), utf8.strcmputf8i('b', 'b'), utf8.strcmputf8i('bé', 'b'))
         print(math.round(2.5), math.clamp(5, 1, 3), math.clamp(0.5, 1, 3), math.isnan(0 / 0), math.hypot(3, 4), math.atan2(1, 1) == math.atan(1, 1), math.cbrt(27))",
        &[
            "a\tb,c",
            "\ta\t",
            "a\tb\tc",
            "abc",
            "x y|\tx\ttrue",
            "a, 1, b\ttrue\ta12.5",
            "false\t@a/main.lua:3: invalid value (table) at argument 3 for 'join'",
            "1\tnil\tvec2(1.000000, 2.000000)",
            "1\tnil\tx\tnil",
            "-1216765807\t-1216765807\tfalse\t5\t1",
            "false\t@a/main.lua:4: bad argument #1 to 'joaat' (string expected, got table)",
            "1\t-1\t0\t1",
            "3.0\t3\t1.0\ttrue\t5.0\ttrue\t3.0",
        ],
    );
}

#[test]
fn require_knows_libraries_and_glm() {
    check(
        "print(glm, vec3(1).length) local g = require 'glm' print(g == glm, require('glm') == g, require('json') == json, require 'table' == table)
         print(vec3(3, 4, 0):length(), vec3(3, 4, 0).x, type(vec3(0).distance), vec3(1).pi)
         print(pcall(require, 'shared.config')) print(pcall(require, 'lmprof')) print(pcall(require)) print(pcall(require, {}))
         print(package, pcall(function() glm.rayPicking() end)) print(pcall(function() glm.polygon.triangulate() end)) print(glm[1])",
        &[
            "nil\tnil",
            "true\ttrue\ttrue\ttrue",
            "5.0\t3.0\tfunction\tnil",
            "false\tmodule 'shared.config' not found",
            "false\tmodule 'lmprof' not found: this server records calls, time and memory itself, see the depth of a run",
            "false\tbad argument #1 to 'require' (string expected, got nil)",
            "false\tbad argument #1 to 'require' (string expected, got table)",
            "nil\tfalse\t@a/main.lua:4: glm.rayPicking is not there: this server has the part of glm that servers use",
            "false\t@a/main.lua:4: glm.polygon.triangulate is not there: this server has the part of glm that servers use",
            "nil",
        ],
    );
}

/// The way libraries put their own `require` in the place of the server's: load by `LoadResourceFile`, cache, and fall
/// back to the one that was there.
#[test]
fn libraries_may_put_their_own_require_in_place() {
    let shim = "
        local loaded, plain = {}, require
        package = { loaded = setmetatable({}, { __index = loaded, __newindex = function() end, __metatable = false }), path = './?.lua;./?/init.lua' }
        local function owner()
            for level = 1, 20 do
                local info = debug.getinfo(level, 'S')
                if not info then return GetCurrentResourceName() end
                if not info.short_src:find('^@lib/') and not info.short_src:find('^%[C%]') and info.short_src ~= '?' and not info.short_src:find('^citizen') then
                    return (info.source:gsub('^@+([^/]+)/.+', '%1'))
                end
            end
        end
        function require(name)
            if loaded[name] ~= nil then return loaded[name] end
            local fine, module = pcall(plain, name)
            if fine then loaded[name] = module return module end
            local resource = owner()
            for path in package.path:gmatch('[^;]+') do
                local file = path:gsub('?', (name:gsub('%.', '/'))):gsub('%.+%/+', '')
                local source = LoadResourceFile(resource, file)
                if source then
                    loaded[name] = false
                    local chunk = assert(load(source, ('@@%s/%s'):format(resource, file), 't', _ENV))
                    local result = chunk(name)
                    loaded[name] = result == nil or result
                    return loaded[name]
                end
            end
            error(module, 2)
        end";
    check_world(
        &[
            ("lib/init.lua", shim),
            ("lib/fxmanifest.lua", "fx_version 'cerulean' game 'gta5'"),
            ("a/fxmanifest.lua", "fx_version 'cerulean' game 'gta5' dependency 'lib' shared_script '@lib/init.lua' server_script 'server.lua'"),
            (
                "a/server.lua",
                "local config = require 'config.shared' print(config.name, require 'config.shared' == config, require 'tools' == true, require('glm').rad(180) == math.pi)
                 print(package.loaded['config.shared'] == config, pcall(require, 'nothing'))
                 print(pcall(require, 'broken'))",
            ),
            ("a/config/shared.lua", "return { name = ... }"),
            ("a/tools/init.lua", "tools = debug.getinfo(1, 'S').short_src"),
            ("a/broken.lua", "local x =\nerror('no')"),
        ],
        1,
        &[
            "config.shared\ttrue\ttrue\ttrue",
            "true\tfalse\tmodule 'nothing' not found",
            "false\t@a/broken.lua:2: no",
        ],
    );
}

#[test]
fn glm_works_on_numbers_and_vectors_alike() {
    check(
        "local glm = require 'glm' local function round(v) return type(v) == 'number' and math.floor(v * 1000 + 0.5) / 1000 or glm.round(v * 1000) / 1000 end
         print(glm.abs(-5), glm.abs(-5.5), glm.abs(vec2(-1, 2)), glm.floor(2.7), glm.floor(vec2(2.7, -2.7)), glm.ceil(2.1), glm.round(2.5), glm.fract(2.25), glm.sign(-3))
         print(glm.min(3, 1, 2), glm.max(1, 2.5), glm.min(vec2(1, 5), vec2(3, 2)), glm.max(vec2(1, 5), 3), glm.clamp(5, 0, 3), glm.clamp(vec2(-1, 9), 0, vec2(5, 5)))
         print(round(glm.rad(180)), round(glm.deg(math.pi)), round(glm.rad(vec2(180, 90))), glm.sincos(0)) print(round((glm.sincos(glm.rad(vec3(0, 0, 90))))))
         print(glm.lerp(0, 10, 0.25), glm.lerp(vec2(0, 0), vec2(10, 20), 0.5), glm.mix(vec2(0, 0), vec2(10, 20), vec2(0, 1)), glm.smoothstep(0, 10, 5), round(glm.lerpAngle(glm.rad(350), glm.rad(10), 0.5)))
         print(glm.snap(7.3, 2), glm.snap(vec2(7.3, 1.1), 0.5), glm.tointeger(5.0), glm.tointeger(5.5), glm.mod(-1, 3), glm.fmod(-1, 3), glm.pow(2, 3), glm.atan(1, 0) == math.pi / 2, glm.random ~= nil, glm.type(1), glm.pi == math.pi)
         print(glm.distance(vec3(0), vec3(3, 4, 0)), glm.distance(1, 5), glm.distance2(vec2(0, 0), vec2(3, 4)), glm.length(vec2(3, 4)), glm.length2(vec2(3, 4)), glm.dot(vec2(1, 2), vec2(3, 4)), glm.cross(vec3(1, 0, 0), vec3(0, 1, 0)), glm.cross(vec2(1, 0), vec2(0, 1)))
         print(glm.normalize(vec3(0, 5, 0)), glm.direction(vec3(0), vec3(0, 0, 9)), glm.reflect(vec2(1, -1), vec2(0, 1)), glm.proj(vec2(3, 4), vec2(1, 0)), glm.perp(vec2(3, 4), vec2(1, 0)), round(glm.angle(vec2(1, 0), vec2(0, 1))), round(glm.signedAngle(vec2(0, 1), vec2(1, 0))))
         print(glm.moveTowards(vec2(0, 0), vec2(10, 0), 3), glm.clampLength(vec2(6, 8), 5), glm.up(), glm.forward(), glm.right(), glm.isNormalized(vec2(1, 0)), glm.allEqual(vec2(1, 2), vec2(1.05, 2), 0.1), glm.unpack(vec2(1, 2)))
         print(dot(vec2(1, 2), vec2(3, 4)), cross(vec3(1, 0, 0), vec3(0, 1, 0)), norm(vec2(0, 2)), round(slerp(quat(), quat(90, vec3(0, 0, 1)), 0.5).angle), glm.vec3(1))
         for _, f in ipairs { function() local _ = glm.distance(vec3(0), vec2(0)) end, function() local _ = glm.abs({}) end, function() local _ = glm.length() end, function() local _ = glm.clamp(vec2(0, 0), vec3(0), 1) end, function() local _ = glm.polygon.contains({}, vec3(0)) end } do print(pcall(f)) end
         print(glm.abs('-5'))",
        &[
            "5\t5.5\tvec2(1.000000, 2.000000)\t2\tvec2(2.000000, -3.000000)\t3\t3.0\t0.25\t-1.0",
            "1\t2.5\tvec2(1.000000, 2.000000)\tvec2(3.000000, 5.000000)\t3\tvec2(0.000000, 5.000000)",
            "3.142\t180.0\tvec2(3.142000, 1.571000)\t0.0\t1.0",
            "vec3(0.000000, 0.000000, 1.000000)",
            "2.5\tvec2(5.000000, 10.000000)\tvec2(0.000000, 20.000000)\t0.5\t6.283",
            "8.0\tvec2(7.500000, 1.000000)\t5\tnil\t2.0\t-1.0\t8.0\ttrue\ttrue\tinteger\ttrue",
            "5.0\t4.0\t25.0\t5.0\t25.0\t11.0\tvec3(0.000000, 0.000000, 1.000000)\t1.0",
            "vec3(0.000000, 1.000000, 0.000000)\tvec3(0.000000, 0.000000, 1.000000)\tvec2(1.000000, 1.000000)\tvec2(3.000000, 0.000000)\tvec2(0.000000, 4.000000)\t1.571\t-1.571",
            "vec2(3.000000, 0.000000)\tvec2(3.000000, 4.000000)\tvec3(0.000000, 0.000000, 1.000000)\tvec3(0.000000, 1.000000, 0.000000)\tvec3(1.000000, 0.000000, 0.000000)\ttrue\ttrue\t1.0\t2.0",
            "11.0\tvec3(0.000000, 0.000000, 1.000000)\tvec2(0.000000, 1.000000)\t45.0\tvec3(1.000000, 1.000000, 1.000000)",
            "false\t@a/main.lua:11: bad argument #2 to 'distance' (vector of the same size expected, got vector2)",
            "false\t@a/main.lua:11: bad argument #1 to 'abs' (number or vector expected, got table)",
            "false\t@a/main.lua:11: bad argument #1 to 'length' (number or vector expected, got no value)",
            "false\t@a/main.lua:11: bad argument #2 to 'clamp' (number or vector of the same size expected, got vector3)",
            "false\t@a/main.lua:11: bad argument #1 to 'contains' (polygon expected, got table)",
            "5.0",
        ],
    );
}

#[test]
fn rotations_and_matrices_work_together() {
    check(
        "local glm = require 'glm' local function near(a, b) return type(a) == type(b) and #(a - b) < 1e-3 end local turn = quat(90, vec3(0, 0, 1))
         print(near(glm.angleAxis(math.pi / 2, vec3(0, 0, 1)), turn), near(glm.quatEulerAngleZYX(math.pi / 2, 0, 0), turn), near(glm.quatEulerAngleZ(math.pi / 2), turn), near(glm.rotate(turn, vec3(1, 0, 0)), vec3(0, 1, 0)), near(glm.inverse(turn) * turn, quat()), near(glm.eulerAngles(turn), vec3(0, 0, math.pi / 2)))
         print(near(glm.quatLookRotation(vec3(1, 0, 0)) * vec3(0, 1, 0), vec3(1, 0, 0)), near(glm.toQuat(glm.toMat3(turn)), turn), near(glm.toMat4(turn) * vec3(1, 0, 0), vec3(0, 1, 0)), near(glm.slerp(quat(), turn, 1.0), turn), near(quat(glm.toMat3(turn)), turn))
         local m = mat3x3(vec3(1, 2, 3), vec3(0, 1, 4), vec3(5, 6, 0)) print(type(m), #m, m[2], m[4], m == mat(m[1], m[2], m[3]), m ~= mat3(1), mat2x2(), mat(vec2(1, 2), vec2(3, 4)))
         print(m * vec3(1, 0, 0), vec3(1, 0, 0) * m, (m + m)[1], (2 * m)[1], (m - 1)[1], (-m)[1], glm.transpose(m)[1]) print(near((m * glm.inverse(m))[1], vec3(1, 0, 0)), near((m / m)[3], vec3(0, 0, 1)), near(inv(m) * (m * vec3(1, 2, 3)), vec3(1, 2, 3)))
         m[2] = vec3(7) m[4] = vec3(8) print(#m, m[2], m[4]) m[4] = nil print(#m) for i, c in pairs(mat2(1)) do print(i, c) end print(table.unpack(mat2(2)))
         print(glm.translate(vec3(1, 2, 3)) * vec3(1, 1, 1), mat4x4(turn)[4], mat4x2(3)[2], mat({ vec2(1, 2), vec2(3, 4) })[2], vec3(1, 2, 3):dot(vec3(1)))
         for _, f in ipairs { function() return mat(vec2(1, 2)) end, function() return mat3x3(vec3(1), vec2(1, 1), vec3(1)) end, function() return m * vec2(1, 1) end, function() m[1] = vec2(1, 1) end, function() return m + {} end, function() return glm.inverse(mat2x3()) end, function() return json.encode(m) end } do print(pcall(f)) end",
        &[
            "true\ttrue\ttrue\ttrue\ttrue\ttrue",
            "true\ttrue\ttrue\ttrue\ttrue",
            "matrix\t3\tvec3(0.000000, 1.000000, 4.000000)\tnil\ttrue\ttrue\tmat2x2((1.000000, 0.000000), (0.000000, 1.000000))\tmat2x2((1.000000, 2.000000), (3.000000, 4.000000))",
            "vec3(1.000000, 2.000000, 3.000000)\tvec3(1.000000, 0.000000, 5.000000)\tvec3(2.000000, 4.000000, 6.000000)\tvec3(2.000000, 4.000000, 6.000000)\tvec3(0.000000, 1.000000, 2.000000)\tvec3(-1.000000, -2.000000, -3.000000)\tvec3(1.000000, 0.000000, 5.000000)",
            "true\ttrue\ttrue",
            "4\tvec3(7.000000, 7.000000, 7.000000)\tvec3(8.000000, 8.000000, 8.000000)",
            "3",
            "1\tvec2(1.000000, 0.000000)",
            "2\tvec2(0.000000, 1.000000)",
            "vec2(2.000000, 0.000000)\tvec2(0.000000, 2.000000)",
            "vec3(2.000000, 3.000000, 4.000000)\tvec4(0.000000, 0.000000, 0.000000, 1.000000)\tvec2(0.000000, 3.000000)\tvec2(3.000000, 4.000000)\t6.0",
            "false\t@a/main.lua:8: invalid matrix structure",
            "false\t@a/main.lua:8: invalid matrix structure",
            "false\t@a/main.lua:8: attempt to perform arithmetic on a matrix value and a vector2 value",
            "false\t@a/main.lua:8: attempt to index a matrix value",
            "false\t@a/main.lua:8: attempt to perform arithmetic on a matrix value and a table value",
            "false\t@a/main.lua:8: bad argument #1 to 'inverse' (quat or symmetric matrix expected, got matrix)",
            "false\t@a/main.lua:8: json.encode: cannot write a value of type matrix",
        ],
    );
}

#[test]
fn zones_are_polygons() {
    check(
        "local glm = require 'glm' local contains = glm.polygon.contains
         local square = glm.polygon.new { vec3(0, 0, 5), vec3(4, 0, 5), vec3(4, 4, 5), vec3(0, 4, 5) }
         print(type(square), #square, square[3], square[5], square:centroid(), square:isPlanar(), square:isConvex(), square:isSimple(), square:area(), square:perimeter())
         print(contains(square, vec3(1, 1, 5)), contains(square, vec3(5, 1, 5)), contains(square, vec3(1, 1, 6), 1), contains(square, vec3(1, 1, 8), 1), square:contains(vec3(2, 2, 5), 0.5), square:containsSegment(vec3(1, 1, 5), vec3(3, 3, 5)))
         local size = vec3(2, 1, 2) local box = quat(45, vec3(0, 0, 1)) * glm.polygon.new { vec3(size.x, size.y, 0), vec3(-size.x, size.y, 0), vec3(-size.x, -size.y, 0), vec3(size.x, -size.y, 0) } + vec3(10, 10, 30)
         print(#box, glm.round(box:centroid()), contains(box, vec3(11.3, 11.3, 30), 1), contains(box, vec3(11.3, 8.7, 30), 1), contains(box, vec3(10, 10, 33), 1), #(box - vec3(1)), #-box, box == box + vec3(0), box == square)
         local sum = 0 for i, p in pairs(square) do sum = sum + p.x end for _, p in ipairs(square) do sum = sum + p.y end print(sum)
         square[5] = vec3(2, 6, 5) square[1] = vec3(-1, 0, 5) for i = 6, 40 do square[i] = vec3(i, 0, 5) end print(#square, square[5], square[1], square[40], square[39].x)
         print(glm.segment2d.getPoint(vec2(0, 0), vec2(10, 0), 0.25), glm.segment.getPoint(vec3(0), vec3(0, 0, 8), 0.5), glm.segment.distance(vec3(0), vec3(10, 0, 0), vec3(5, 3, 0)))
         print(glm.sphere.contains(vec3(0), 5, vec3(3, 4, 0)), glm.sphere.contains(vec3(0), 4.9, vec3(3, 4, 0)), glm.aabb.contains(vec3(0), vec3(2), vec3(1)), glm.aabb.contains(vec3(0), vec3(2), vec3(3, 1, 1)), glm.aabb.new(vec2(3, 1), vec2(1, 2)))
         print(square:edge(1)) print(tostring(square)) print(glm.polygon.new({}):contains(vec3(0), 5), glm.polygon.new({}):centroid())
         for _, f in ipairs { function() return glm.polygon.new { vec3(1), 5 } end, function() square[1] = 5 end, function() square[99] = vec3(1) end, function() return 2 * square end, function() return square:nothing() end, function() return square:edge(99) end, function() return msgpack.pack(square) end } do print(pcall(f)) end",
        &[
            "userdata\t4\tvec3(4.000000, 4.000000, 5.000000)\tnil\tvec3(2.000000, 2.000000, 5.000000)\ttrue\ttrue\ttrue\t16.0\t16.0",
            "true\tfalse\ttrue\tfalse\ttrue\ttrue",
            "4\tvec3(10.000000, 10.000000, 30.000000)\ttrue\tfalse\tfalse\t4\t4\ttrue\tfalse",
            "16.0",
            "40\tvec3(2.000000, 6.000000, 5.000000)\tvec3(-1.000000, 0.000000, 5.000000)\tvec3(40.000000, 0.000000, 5.000000)\t39.0",
            "vec2(2.500000, 0.000000)\tvec3(0.000000, 0.000000, 4.000000)\t3.0\t0.5",
            "true\tfalse\ttrue\tfalse\tvec2(1.000000, 1.000000)\tvec2(3.000000, 2.000000)",
            "vec3(-1.000000, 0.000000, 5.000000)\tvec3(4.000000, 0.000000, 5.000000)",
            "polygon(40 points)",
            "false\tvec3(0.000000, 0.000000, 0.000000)",
            "false\t@a/main.lua:12: bad argument #1 to 'new' (list of vector3 expected, got table)",
            "false\t@a/main.lua:12: a polygon takes a vector3 at an index from 1",
            "false\t@a/main.lua:12: a polygon has no point in front of this one",
            "false\t@a/main.lua:12: bad argument #1 to 'mul' (quat or matrix expected, got number)",
            "false\t@a/main.lua:12: glm.polygon.nothing is not there: this server has the part of glm that servers use",
            "false\t@a/main.lua:12: a polygon has no edge of this number",
            "false\t@a/main.lua:12: cannot write a value of type userdata",
        ],
    );
}
