//! json and msgpack, as scripts see them.

use proptest::prelude::*;

use crate::world::{World, check};

#[test]
fn json_is_written_as_servers_expect_it() {
    check(
        "print(json.encode(nil), json.encode(true), json.encode(5), json.encode(1.0), json.encode(0.1), json.encode(1e300), json.encode(0/0), json.encode(-1/0))
         print(json.encode('a\"b\\\\c/\\n\\t\\1é'), json.encode({}), json.encode({ 1, { 2 } }), json.encode({ [1] = 1, [3] = 3 }), json.encode({ [1] = 1, [100] = 2 }))
         print(json.encode({ a = { b = {} } }), json.encode({ [1.5] = 1 }), json.encode({ [7] = 1 }), json.encode({}, { empty_table_as_object = true }))
         print(json.encode({ a = { 1, 2 } }, { indent = true }), json.encode({}, { indent = true }))
         print(pcall(json.encode, print)) print(pcall(json.encode, { [true] = 1 })) print(pcall(json.encode, { coroutine.create(print) }))
         local t = {} t.t = t print(pcall(json.encode, t))",
        &[
            "null\ttrue\t5\t1.0\t0.1\t1e300\tNaN\t-Infinity",
            "\"a\\\"b\\\\c/\\n\\t\\u0001é\"\t[]\t[1,[2]]\t[1,null,3]\t{\"1\":1,\"100\":2}",
            "{\"a\":{\"b\":[]}}\t{\"1.5\":1}\t[null,null,null,null,null,null,1]\t{}",
            "{\n    \"a\": [\n        1,\n        2\n    ]\n}\t[]",
            "false\tjson.encode: cannot write a function",
            "false\tjson.encode: cannot write a key of type boolean",
            "false\tjson.encode: cannot write a value of type thread",
            "false\tjson.encode: more than 128 tables inside each other (does one contain itself?)",
        ],
    );
}

#[test]
fn json_is_read_and_what_is_wrong_is_told() {
    check(
        "local v = json.decode(' {\"a\": [1, -2.5, 1e3, true, false, null, \"x\\\\u00e9\\\\ud83d\\\\ude00\\\\/\"], \"b\": {}} ')
         print(v.a[1], v.a[2], v.a[3], v.a[4], v.a[5], v.a[6], v.a[7], next(v.b), math.type(v.a[1]))
         print(json.decode('9007199254740993'), json.decode('123456789012345678901'), json.decode('-0'), json.decode('5'), json.decode('\"s\"'), json.decode(5))
         for _, bad in ipairs { '', '{', '[1,]', '{\"a\":1,}', '01', '1.', '\"open', 'nul', '[1] x', '{1:2}', '\"\\\\x\"', ('['):rep(200) } do print(json.decode(bad)) end
         print(pcall(json.decode)) print(pcall(json.decode, {}))",
        &[
            "1\t-2.5\t1000.0\ttrue\tfalse\tnil\txé😀/\tnil\tinteger",
            "9007199254740993\t1.2345678901235e+20\t-0.0\t5\ts\t5",
            "nil\t1\texpected a value, found the end of the text at byte 1",
            "nil\t2\texpected a key in quotes at byte 2",
            "nil\t4\texpected a value at byte 4",
            "nil\t8\texpected a key in quotes at byte 8",
            "nil\t1\texpected a number at byte 1",
            "nil\t3\texpected a digit behind the point at byte 3",
            "nil\t1\ta string without its closing quote at byte 1",
            "nil\t1\texpected a value at byte 1",
            "nil\t5\texpected the end of the text at byte 5",
            "nil\t2\texpected a key in quotes at byte 2",
            "nil\t2\tan escape that JSON does not know at byte 2",
            "nil\t130\ttoo many tables inside each other at byte 130",
            "false\tbad argument #1 to 'json.decode' (string expected, got no value)",
            "false\tbad argument #1 to 'json.decode' (string expected, got table)",
        ],
    );
}

#[test]
fn msgpack_follows_its_specification() {
    check(
        "local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end
         print(hex(msgpack.pack(nil)), hex(msgpack.pack(true)), hex(msgpack.pack(5)), hex(msgpack.pack(-1)), hex(msgpack.pack(1.5)), hex(msgpack.pack('ab')))
         print(hex(msgpack.pack({ 1, 2 })), hex(msgpack.pack({ a = 1 })), hex(msgpack.pack({ [1] = 1, [3] = 3 })), hex(msgpack.pack_args(1, 'x')))
         for _, v in ipairs { 0, 127, 128, -32, -33, 2^31, -2^31, math.maxinteger, math.mininteger, 0.1, ('x'):rep(31), ('x'):rep(255), ('x'):rep(70000) } do assert(msgpack.unpack(msgpack.pack(v)) == v) end
         print(msgpack.unpack('\\xcd\\x01\\x00'), msgpack.unpack('\\xcf\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff'), msgpack.unpack('\\xca\\x3f\\x80\\x00\\x00'), msgpack.unpack('\\xd1\\xff\\x00'))
         print(pcall(msgpack.unpack, '\\xdd\\xff\\xff\\xff\\xff')) print(pcall(msgpack.unpack, '\\xc1')) print(pcall(msgpack.unpack, '\\x01\\x02'))
         print(msgpack.unpack(msgpack.pack(function(x) return x + 1 end))(4))",
        &[
            "c0\tc3\t05\tff\tcb3ff8000000000000\ta26162",
            "920102\t81a16101\t8201010303\t9201a178",
            "256\t1.844674407371e+19\t1.0\t-256",
            "false\tmsgpack.unpack: the message ends in the middle of a value at byte 6",
            "false\tmsgpack.unpack: a byte that no value begins with at byte 1",
            "true\t1\t2",
            "5",
        ],
    );
}

#[test]
fn json_numbers_lists_and_keys_are_laid_out_as_on_a_server() {
    check(
        "print(json.encode({ 1e15, 1e16, 1e20, 1e21, 1e-5, 1e-6, 1e-7, 0.1 + 0.2, -0.0, 2^53, math.maxinteger, math.mininteger }))
         print(json.encode(table.pack(1, nil, 3, nil)), json.encode({ [1] = 1, [11] = 2 }), json.encode({ [1] = 1, [10] = 2 }))
         print(json.encode({ n = 'x' }), json.encode({ n = 2 }), json.encode({ [0] = 1 }), json.encode({ [-1] = 1 }), json.encode({ [1] = 1, a = 2 }))
         print(json.encode({ b = 1, a = { d = {}, c = 'x' }, ['a b'] = 2, a1 = 3 }, { sort_keys = true }))
         print(json.encode({ b = 1, a = { c = 'x' } }, { sort_keys = true, indent = true }))
         print(json.encode({ a = json.null }), json.encode(json.null), json.encode({}, { empty_table_as_array = false }))",
        &[
            "[1000000000000000.0,10000000000000000.0,100000000000000000000.0,1e21,0.00001,0.000001,1e-7,0.30000000000000004,-0.0,9007199254740992.0,9223372036854775807,-9223372036854775808]",
            "[1,null,3,null]\t{\"1\":1,\"11\":2}\t[1,null,null,null,null,null,null,null,null,2]",
            "{\"n\":\"x\"}\t[null,null]\t{\"0\":1}\t{\"-1\":1}\t{\"1\":1,\"a\":2}",
            "{\"a\":{\"c\":\"x\",\"d\":[]},\"a b\":2,\"a1\":3,\"b\":1}",
            "{\n    \"a\": {\n        \"c\": \"x\"\n    },\n    \"b\": 1\n}",
            "{\"a\":null}\tnull\t{}",
        ],
    );
}

#[test]
fn msgpack_is_written_as_on_a_server() {
    check(
        "local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end
         local list = {} for _, v in ipairs { 127, 128, 255, 256, 65535, 65536, 0xffffffff, 0x100000000, -32, -33, -128, -129, -32769, -0x80000001 } do list[#list + 1] = hex(msgpack.pack(v)) end
         print(table.concat(list, ' '))
         print(hex(msgpack.pack(('x'):rep(32))):sub(1, 8), hex(msgpack.pack({})), hex(msgpack.pack(1.0)), hex(msgpack.pack(table.pack(1, 2))))
         print(hex(msgpack.pack_args(1, nil, 'x', nil)), hex(msgpack.pack_args()), hex(msgpack.pack(1, 'x')), hex(msgpack.pack(msgpack.null)))
         print(msgpack.unpack('\\x01\\xa1x\\xc0'))
         print(msgpack.unpack('\\xd6\\x63abcd'), msgpack.unpack(msgpack.pack_args(nil, 2))[2])
         print(hex(msgpack.pack(Player(12))), msgpack.unpack(msgpack.pack(Player(12))).__data, hex(msgpack.pack(Entity(5))))
         print(getmetatable(msgpack.unpack(msgpack.pack(Player(1)))) == getmetatable(Player(2)), msgpack.unpack('\\xc7\\x01\\x29x'))",
        &[
            "7f cc80 ccff cd0100 cdffff ce00010000 ceffffffff cf0000000100000000 e0 d0df d080 d1ff7f d2ffff7fff d3ffffffff7fffffff",
            "da002078\t90\tcb3ff0000000000000\t920102",
            "9401c0a178c0\t90\t01a178\tc0",
            "1\tx\tnil",
            "abcd\t2",
            "c7022a3132\t12\tc7012935",
            "true\tx",
        ],
    );
}

/// Text of a JSON value whose objects have at most one key, so that their order cannot matter.
fn json_text() -> impl Strategy<Value = String> {
    let string = proptest::collection::vec(any::<char>(), 0..6).prop_map(|characters| {
        let mut text = String::from("\"");
        for character in characters {
            match character {
                '"' => text += "\\\"",
                '\\' => text += "\\\\",
                '\n' => text += "\\n",
                '\r' => text += "\\r",
                '\t' => text += "\\t",
                '\u{8}' => text += "\\b",
                '\u{c}' => text += "\\f",
                control if control < ' ' => text += &format!("\\u{:04x}", control as u32),
                other => text.push(other),
            }
        }
        text + "\""
    });
    // where Rust begins an exponent sooner, `{:?}` is not what is written
    let differs = |number: &f64| {
        (1e16..1e21).contains(&number.abs()) || (1e-6..1e-4).contains(&number.abs()) || !number.is_finite()
    };
    let number = any::<f64>().prop_filter("as Rust writes it", move |number| !differs(number));
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        number.prop_map(|number| format!("{number:?}")),
        string.clone(),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(|list| format!("[{}]", list.join(","))),
            (string.clone(), inner).prop_map(|(key, value)| format!("{{{key}:{value}}}")),
        ]
    })
}

/// Runs `main.lua` of one resource beside a file with these bytes.
fn run_beside(data: &[u8], script: &str) -> Vec<String> {
    let world = World::new(&[("a/main.lua", script)]);
    std::fs::write(world.folder.path().join("a/data"), data).unwrap();
    let ran = world.run(0);
    assert_eq!(ran.outcome.errors, []);
    ran.lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn json_that_is_read_is_written_the_same(text in json_text()) {
        let script = "local text = LoadResourceFile('a', 'data')
            local again = json.encode(json.decode(text))
            print(again == text) if again ~= text then print(text) print(again) end
            local packed = json.encode(msgpack.unpack(msgpack.pack(json.decode(text))))
            print(packed == text)";
        prop_assert_eq!(run_beside(text.as_bytes(), script), ["a: true", "a: true"]);
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..64)) {
        let script = "local data = LoadResourceFile('a', 'data')
            local value, at, problem = json.decode(data)
            if problem then assert(at >= 1 and at <= #data + 1) end
            local fine, value = pcall(msgpack.unpack, data)
            if fine and type(value) == 'table' then pcall(json.encode, value) end
            load(data) load('return ' .. data)
            print('done')";
        prop_assert_eq!(run_beside(&data, script), ["a: done"]);
    }

    #[test]
    fn broken_json_is_refused_with_a_place(text in json_text(), cut in any::<prop::sample::Index>()) {
        let at = cut.index(text.len());
        let script = "local data = LoadResourceFile('a', 'data') local value, at = json.decode(data)
            assert(value ~= nil or at >= 1) print('done')";
        prop_assert_eq!(run_beside(&text.as_bytes()[..at], script), ["a: done"]);
    }
}

#[test]
fn what_scripts_set_for_all_their_json_and_messages_holds() {
    check(
        "local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end
         print(json.getoption('empty_table_as_array'), json.getoption('indent'), json.getoption('x'), type(json.version))
         json.setoption('empty_table_as_array', false) json.setoption('sort_keys', true) json.setoption('with_hole', true)
         print(json.encode({ b = {}, a = 1 }), json.encode({}, { empty_table_as_array = true }), json.quotestring('a\"b'))
         msgpack.set_integer('signed') msgpack.set_number('float') msgpack.set_array('with_hole') msgpack.set_string('string')
         print(hex(msgpack.pack(128)), hex(msgpack.pack(65536)), hex(msgpack.pack(1 << 32)), hex(msgpack.pack(1.5)), hex(msgpack.pack({ [1] = 1, [3] = 3 })), hex(msgpack.pack(('x'):rep(32))):sub(1, 6))
         for _, n in ipairs { 127, 128, 32767, 32768, 0x7fffffff, 0x80000000, math.maxinteger } do assert(msgpack.unpack(msgpack.pack(n)) == n) end
         msgpack.set_string('binary') print(hex(msgpack.pack('ab')), msgpack.unpack(msgpack.pack(('y'):rep(70000))) == ('y'):rep(70000))
         print(pcall(msgpack.set_array, 'always_as_map'))",
        &[
            "true\tfalse\tnil\tstring",
            "{\"a\":1,\"b\":{}}\t[]\t\"a\\\"b\"",
            "d10080\td200010000\td30000000100000000\tca3fc00000\t9301c003\td92078",
            "c4026162\ttrue",
            "false\tbad argument #1 to 'msgpack.set_array' (this host does not write 'always_as_map')",
        ],
    );
}
