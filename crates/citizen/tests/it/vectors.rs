//! Vectors and quaternions, as scripts see them.

use proptest::prelude::*;

use crate::world::{World, check, check_world};

#[test]
fn vectors_are_made_of_numbers_vectors_and_lists() {
    check(
        "print(vec2(1, 2), vector3(1, 2.5, -3), vec4(1, 2, 3, 4), vec3(7), vec(1, 2), vector(1, 2, 3, 4))
         print(vec3(vec2(1, 2), 3), vec4(vec2(1, 2), vec2(3, 4)), vec2(vec3(1, 2, 3)), vec3({ 1, 2, 3 }), vec4(quat(1, 2, 3, 4)))
         print(vec(5), vec1(5), ivec3(1.7, -1.7, 2), ivec(1.5), bvec2(true, 0), bvec(5), vec3(true, false, 1))
         for _, f in ipairs { vec3, vec2, vec4, vec, quat } do print(pcall(f)) end
         local function try(...) local given = table.pack(...) print(pcall(function() local _ = vector3(table.unpack(given, 1, given.n)) end)) end
         try(1, 2) try(1, 2, 3, 4) try('x') try(nil, 2, 3) try { x = 1, y = 2, z = 3 } try { 1, 'x', 3 } try(quat(1, 0, 0, 0))",
        &[
            "vec2(1.000000, 2.000000)\tvec3(1.000000, 2.500000, -3.000000)\tvec4(1.000000, 2.000000, 3.000000, 4.000000)\tvec3(7.000000, 7.000000, 7.000000)\tvec2(1.000000, 2.000000)\tvec4(1.000000, 2.000000, 3.000000, 4.000000)",
            "vec3(1.000000, 2.000000, 3.000000)\tvec4(1.000000, 2.000000, 3.000000, 4.000000)\tvec2(1.000000, 2.000000)\tvec3(1.000000, 2.000000, 3.000000)\tvec4(2.000000, 3.000000, 4.000000, 1.000000)",
            "5.0\t5.0\tvec3(1.000000, -1.000000, 2.000000)\t1\tvec2(1.000000, 0.000000)\ttrue\tvec3(1.000000, 0.000000, 1.000000)",
            "false\tvector3 requires 1 or 3 values",
            "false\tvector2 requires 1 or 2 values",
            "false\tvector4 requires 1 or 4 values",
            "false\tvector requires 1 to 4 values",
            "true\tquat(1.000000, {0.000000, 0.000000, 0.000000})",
            "false\t@a/main.lua:5: vector3 requires 1 or 3 values",
            "false\t@a/main.lua:5: bad argument #4 to 'vector3' (invalid vector dimensions)",
            "false\t@a/main.lua:5: bad argument #1 to 'vector3' (invalid vector type)",
            "false\t@a/main.lua:5: bad argument #1 to 'vector3' (invalid vector type)",
            "false\t@a/main.lua:5: vector3 requires 1 or 3 values",
            "false\t@a/main.lua:5: bad argument #1 to 'vector3' (invalid vector type)",
            "false\t@a/main.lua:5: bad argument #1 to 'vector3' (invalid vector dimensions)",
        ],
    );
}

#[test]
fn components_have_names_numbers_and_swizzles() {
    check(
        "local v, q = vec4(0.1, 2, 3, 4), quat(1, 2, 3, 4)
         print(v.x, v.y, v.r, v.a, v[1], v[4], v['3'], v.n, v.dim, v[2.9])
         print(v.xy, v.wzyx, v.xxx, v.xyzw.zyx, vec2(1, 2).yx, q.xyz)
         print(v.q, v.rgb, v[0], v[5], v.xyzwx, vec2(1, 2).z, v[true], v[{}], vec3(0).length)
         print(q.x, q.w, q[1], q[4], q.n, quat(90, vec3(0, 0, 1)).angle, quat(90, vec3(0, 0, 1)).axis)
         print(table.unpack(vec3(1, 2, 3))) print(table.unpack(q)) print(rawlen(v), next(v)) print(next(v, 4))
         for k, c in pairs(vec3(7, 8, 9)) do print(k, c) end for i, c in ipairs(vec2(5, 6)) do print(i, c) end
         print(pcall(function() v.x = 1 end)) print(pcall(function() return v() end)) print(pcall(function() return v < v end))",
        &[
            "0.10000000149012\t2.0\t0.10000000149012\t4.0\t0.10000000149012\t4.0\t3.0\t4\t4\t2.0",
            "vec2(0.100000, 2.000000)\tvec4(4.000000, 3.000000, 2.000000, 0.100000)\tvec3(0.100000, 0.100000, 0.100000)\tvec3(3.000000, 2.000000, 0.100000)\tvec2(2.000000, 1.000000)\tvec3(2.000000, 3.000000, 4.000000)",
            "nil\tnil\tnil\tnil\tnil\tnil\tnil\tnil\tnil",
            "2.0\t1.0\t2.0\t1.0\t4\t90.000002504478\tvec3(0.000000, 0.000000, 1.000000)",
            "1.0\t2.0\t3.0",
            "1.0\t2.0\t3.0\t4.0",
            "4\t1\t0.10000000149012",
            "nil",
            "1\t7.0",
            "2\t8.0",
            "3\t9.0",
            "1\t5.0",
            "2\t6.0",
            "false\t@a/main.lua:8: attempt to index a vector4 value (upvalue 'v')",
            "false\t@a/main.lua:8: attempt to call a vector4 value (upvalue 'v')",
            "false\t@a/main.lua:8: attempt to compare two vector4 values",
        ],
    );
}

#[test]
fn vectors_are_values() {
    check(
        "local v = vec3(1, 2, 3)
         print(type(v), type(vec2(0)), type(vec4(0)), type(quat()), type(nil), type(print), math.type(v), getmetatable(v))
         print(v == vec3(1, 2, 3), v == vec3(1, 2, 4), v == vec4(1, 2, 3, 0), rawequal(v, vec3(1, 2, 3)), v ~= vec3(1, 2, 3), vec2(1, 2) == quat(0, 1, 2, 0), v == 1)
         local t = { [v] = 'here' } print(t[vec3(1, 2, 3)], t[v.xyz], t[vec3(0, 1, 2) + 1], t[vec3(1, 2, 3.5)])
         print(({ [vec3(0, 0, 0)] = 'zero' })[-vec3(0, 0, 0)], -vec3(0) == vec3(0))
         local nan = vec2(0 / 0, 1) print(nan == vec2(0 / 0, 1), ({ [nan] = 1 })[nan], nan)
         print(pcall(type)) print(select('#', v, v), ('%s|%q'):format(v, 'x'), #tostring(v))",
        &[
            "vector3\tvector2\tvector4\tquat\tnil\tfunction\tnil\tfalse",
            "true\tfalse\tfalse\ttrue\tfalse\tfalse\tfalse",
            "here\there\there\tnil",
            "zero\ttrue",
            "false\t1\tvec2(nan, 1.000000)",
            "false\tbad argument #1 to 'type' (value expected)",
            "2\tvec3(1.000000, 2.000000, 3.000000)|\"x\"\t34",
        ],
    );
}

#[test]
fn arithmetic_is_component_by_component() {
    check(
        "local a, b = vec3(1, 2, 3), vec3(4, 5, 6)
         print(a + b, a - b, a * b, b / a) print(a + 1, 1 - a, 2 * a, 6 / a) print(b // a, b % vec3(3), a ^ 2, -a)
         print(#vec3(3, 4, 0), #(a - a), #vec2(1, 1), #quat(1, 0, 0, 0)) print(vec2(5, 6) & 4, vec2(1, 2) | vec2(4, 4), vec2(1, 2) << 2, vec2(8, 4) >> 1)
         print(a .. 4, vec2(1, 2) .. vec2(3, 4))
         local turn = quat(90, vec3(0, 0, 1)) local function near(a, b) return type(a) == type(b) and #(a - b) < 1e-6 end
         print(near(turn * vec3(1, 0, 0), vec3(0, 1, 0)), near(turn * turn, quat(180, vec3(0, 0, 1))), near(turn ^ 2, turn * turn), near(vec3(0, 1, 0) * turn, vec3(1, 0, 0)), near(turn * vec4(1, 0, 0, 7), vec4(0, 1, 0, 7)))
         print(turn + turn, turn * 2, turn / 0, 2 * quat(1, 0, 0, 0), -turn)
         for _, f in ipairs {
             function() return a + vec2(1, 2) end, function() return a + nil end, function() return true * a end, function() return 2 ^ a end,
             function() return a & {} end, function() return turn + 1 end, function() return 'at ' .. a end, function() return a .. b end, function() return a .. 'x' end,
         } do print(pcall(f)) end",
        &[
            "vec3(5.000000, 7.000000, 9.000000)\tvec3(-3.000000, -3.000000, -3.000000)\tvec3(4.000000, 10.000000, 18.000000)\tvec3(4.000000, 2.500000, 2.000000)",
            "vec3(2.000000, 3.000000, 4.000000)\tvec3(0.000000, -1.000000, -2.000000)\tvec3(2.000000, 4.000000, 6.000000)\tvec3(6.000000, 3.000000, 2.000000)",
            "vec3(4.000000, 2.000000, 2.000000)\tvec3(1.000000, 2.000000, 0.000000)\tvec3(1.000000, 4.000000, 9.000000)\tvec3(-1.000000, -2.000000, -3.000000)",
            "5.0\t0.0\t1.4142135381699\t1.0",
            "vec2(4.000000, 4.000000)\tvec2(5.000000, 6.000000)\tvec2(4.000000, 8.000000)\tvec2(4.000000, 2.000000)",
            "vec4(1.000000, 2.000000, 3.000000, 4.000000)\tvec4(1.000000, 2.000000, 3.000000, 4.000000)",
            "true\ttrue\ttrue\ttrue\ttrue",
            "quat(1.414214, {0.000000, 0.000000, 1.414214})\tquat(1.414214, {0.000000, 0.000000, 1.414214})\tquat(1.000000, {0.000000, 0.000000, 0.000000})\tquat(2.000000, {0.000000, 0.000000, 0.000000})\tquat(-0.707107, {0.000000, 0.000000, -0.707107})",
            "false\t@a/main.lua:9: attempt to perform arithmetic on a vector3 value and a vector2 value",
            "false\t@a/main.lua:9: attempt to perform arithmetic on a nil value",
            "false\t@a/main.lua:9: attempt to perform arithmetic on a boolean value",
            "false\t@a/main.lua:9: attempt to perform arithmetic on a number value and a vector3 value",
            "false\t@a/main.lua:10: attempt to perform bitwise operation on a table value",
            "false\t@a/main.lua:10: attempt to perform arithmetic on a quat value and a number value",
            "false\t@a/main.lua:10: attempt to concatenate a vector3 value",
            "false\t@a/main.lua:10: attempt to concatenate a vector3 value",
            "false\t@a/main.lua:10: attempt to concatenate a vector3 value",
        ],
    );
}

#[test]
fn vectors_cross_to_json_messages_and_other_resources() {
    check_world(
        &[
            (
                "a/main.lua",
                "local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end
                 print(json.encode(vec3(1, 0.1, -2)), json.encode({ vec2(1, 2), { turn = quat(1, 2, 3, 4) } }), json.encode(vec2(1, 2), { indent = true }))
                 print(pcall(json.encode, { [vec3(0)] = 1 })) print(pcall(json.encode, { io.tmpfile }))
                 print(hex(msgpack.pack(vec2(1, 2))), hex(msgpack.pack(vec3(1, 2, 3)))) print(hex(msgpack.pack({ vec4(1, 2, 3, 4) })), hex(msgpack.pack(quat(1, 2, 3, 4))))
                 print(msgpack.unpack(msgpack.pack({ [vec3(1, 2, 3)] = quat(1, 2, 3, 4) }))[vec3(1, 2, 3)])
                 print(pcall(msgpack.unpack, '\\xd7\\x15\\0\\0\\0\\0\\0\\0\\0\\0'))
                 AddEventHandler('at', function(at, list) print('event', type(at), at == vec3(1, 2, 3), list[2].zyx) end)
                 exports('far', function(a, b) return a - b, #(a - b) end)",
            ),
            (
                "b/main.lua",
                "TriggerEvent('at', vec3(1, 2, 3), { 0, vec3(4, 5, 6) }) print(exports.a:far(vec2(3, 4), vec2(0, 0)))",
            ),
        ],
        3,
        &[
            "{\"x\":1.0,\"y\":0.10000000149011612,\"z\":-2.0}\t[{\"x\":1.0,\"y\":2.0},{\"turn\":{\"x\":2.0,\"y\":3.0,\"z\":4.0,\"w\":1.0}}]\t{\n    \"x\": 1.0,\n    \"y\": 2.0\n}",
            "false\tjson.encode: cannot write a key of type vector3",
            "false\tjson.encode: cannot write a value of type function",
            "d7143f80000040000000\tc70c153f8000004000000040400000",
            "91d8163f800000400000004040000040800000\td8174000000040400000408000003f800000",
            "quat(1.000000, {2.000000, 3.000000, 4.000000})",
            "false\tmsgpack.unpack: a vector of the wrong length at byte 3",
            "event\tvector3\ttrue\tvec3(6.000000, 5.000000, 4.000000)",
            "b: vec2(3.000000, 4.000000)\t5.0",
        ],
    );
}

#[test]
fn metatables_that_scripts_tamper_with_do_no_harm() {
    check(
        "local meta = debug.getmetatable(vec3(1)) print(meta.__add(vec3(1), 2), pcall(meta.__add, {}, {})) print(pcall(meta.__index, {}, 'x')) print(pcall(meta.__len, 5))
         local file = io.open(GetResourcePath('a') .. '/main.lua') debug.setmetatable(file, meta)
         print(pcall(function() return file.x end)) print(pcall(function() return file + file end)) print(type(file), pcall(json.encode, { file }))
         debug.setmetatable(vec2(1, 2), nil) print(type(vec2(1, 2)), vec2(1, 2) == vec2(1, 2), json.encode(vec2(1, 2)), pcall(function() return vec2(1, 2).x end))
         meta.__index = nil print(pcall(function() return vec3(9, 9, 9).x end)) print(json.encode(vec3(9, 9, 9)))
         print(pcall(table.unpack, {}, 1, 1e8)) print(pcall(next, {}, 'no')) print(pcall(next, 5)) print(pcall(rawlen, 5)) print(table.unpack({ 1, 2, 3 }, 2)) print(table.unpack({ 1, 2 }, -1, 1))",
        &[
            "vec3(3.000000, 3.000000, 3.000000)\tfalse\tattempt to perform arithmetic on a table value",
            "false\tvector expected, got table",
            "false\tvector expected, got number",
            "false\t@a/main.lua:3: vector expected, got userdata",
            "false\t@a/main.lua:3: attempt to perform arithmetic on a userdata value",
            "userdata\tfalse\tjson.encode: cannot write a value of type userdata",
            "vector2\ttrue\t{\"x\":1.0,\"y\":2.0}\tfalse\t@a/main.lua:4: attempt to index a userdata value",
            "false\t@a/main.lua:5: attempt to index a vector3 value",
            "{\"x\":9.0,\"y\":9.0,\"z\":9.0}",
            "false\ttoo many results to unpack",
            "false\tinvalid key to 'next'",
            "false\tbad argument #1 to 'next' (table expected, got number)",
            "false\tbad argument #1 to 'rawlen' (table or string or vector expected, got number)",
            "2\t3",
            "nil\tnil\t1",
        ],
    );
}

#[test]
fn vectors_that_nobody_holds_are_given_back() {
    check(
        "local function fill(from) for n = from, from + 250000 do local _ = vec3(n, n * 0.5, 1) + vec3(0, n, 0) end collectgarbage() collectgarbage() return collectgarbage('count') end
         local first = fill(0) fill(250000) fill(500000) local last = fill(750000)
         print(last - first < 1024, last < 32 * 1024)",
        &["true\ttrue"],
    );
}

/// The bits of a component as a Lua expression, so that none is lost as text.
fn literal(bits: u32) -> String {
    format!("(('<f'):unpack(('<I4'):pack({bits})))")
}

fn component() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<f32>().prop_filter("not NaN", |float| !float.is_nan()).prop_map(f32::to_bits),
        (-1000i16..1000).prop_map(|whole| f32::from(whole).to_bits()),
        Just(0x8000_0000), // negative zero
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn algebra_is_that_of_32_bit_floats(a in prop::array::uniform3(component()), b in prop::array::uniform3(component()), by in component()) {
        let vector = |bits: [u32; 3]| format!("vec3({})", bits.map(literal).join(", "));
        let script = format!(
            "local a, b, by = {}, {}, {}
             for _, v in ipairs {{ a + b, a - b, a * b, a / b, a * by, by - a, -a }} do print(('%.9g %.9g %.9g'):format(v.x, v.y, v.z)) end
             print(a == a.xyz, ({{ [a] = 1 }})[vec3(a)], msgpack.unpack(msgpack.pack(a)) == a, (a == b) == (a.x == b.x and a.y == b.y and a.z == b.z))
             local m = math.sqrt((a * a).x + (a * a).y + (a * a).z) print(m ~= m or m == #a or math.abs(#a / m - 1) < 1e-6)",
            vector(a), vector(b), literal(by),
        );
        let ran = World::new(&[("a/main.lua", script.as_str())]).run(0);
        prop_assert_eq!(ran.outcome.errors, []);
        // a vector has no negative zero
        let [a, b] = [a, b].map(|bits| bits.map(|bits| f32::from_bits(bits) + 0.0));
        let by = f32::from_bits(by);
        let each = |of: &dyn Fn(usize) -> f32| [0, 1, 2].map(|index| of(index) + 0.0);
        let expected = [
            each(&|i| a[i] + b[i]), each(&|i| a[i] - b[i]), each(&|i| a[i] * b[i]), each(&|i| a[i] / b[i]),
            each(&|i| a[i] * by), each(&|i| by - a[i]), each(&|i| -a[i]),
        ];
        for (line, expected) in ran.lines.iter().zip(expected) {
            let got: Vec<f32> = line.trim_start_matches("a: ").split(' ').map(|float| float.replace("-nan", "nan").parse().unwrap()).collect();
            for (got, expected) in got.iter().zip(expected) {
                prop_assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{got} is not {expected}");
            }
        }
        prop_assert_eq!(&ran.lines[7..], ["a: true\t1\ttrue\ttrue", "a: true"]);
    }
}
