//! Natives that look something up or keep something, and the standard library.

use crate::world::{World, check, check_world};

#[test]
fn a_resource_knows_itself_and_others() {
    check_world(
        &[
            ("b/fxmanifest.lua", "fx_version 'cerulean'\nauthor 'me'\nthing 'x' { 1 }\nfiles { 'p', 'q' }"),
            (
                "a/main.lua",
                "print(GetCurrentResourceName(), IsDuplicityVersion(), GetNumResources(), GetResourceByFindIndex(1))
                 print(GetResourceState('a'), GetResourceState('b'), GetResourceState('c'))
                 print(GetResourceMetadata('b', 'author', 0), GetResourceMetadata('b', 'file', 1), GetNumResourceMetadata('b', 'file'))
                 print(GetResourceMetadata('b', 'thing_extra', 0), GetResourceMetadata('b', 'nothing', 0), GetResourceMetadata('c', 'x', 0))
                 print(GetResourcePath('a'):match('[^/]+$'), GetResourcePath('c'), GetInvokingResource())",
            ),
        ],
        1,
        &[
            "a\t1\t2\tb",
            "starting\tstopped\tmissing",
            "me\tq\t2",
            "[1]\tnil\tnil",
            "a\tnil\tnil",
        ],
    );
}

#[test]
fn convars_keep_text_and_are_read_as_other_types() {
    check(
        "print(GetConvar('x', 'd'), GetConvarInt('x', 7), GetConvarBool('x', true), GetConvarFloat('x', 0.5))
         SetConvar('x', '12') print(GetConvar('x', 'd') == '12', GetConvarInt('x', 7), GetConvarFloat('x', 0.5))
         SetConvarReplicated('y', 'true') print(GetConvarBool('y', false), GetConvarInt('y', 3))
         SetConvar('n', 5) print(GetConvar('n', ''))
         print(type(GetConvar('none', 30)), GetConvar('none', 30) == '30', GetConvarInt('none', false), GetConvarInt('none', 2.9))",
        &["d\t7\t1\t0.5", "true\t12\t12.0", "1\t3", "5", "string\ttrue\t0\t2"],
    );
}

#[test]
fn the_store_keeps_values_by_type() {
    check(
        "SetResourceKvp('p:a', 'text') SetResourceKvpInt('p:b', 5) SetResourceKvpFloat('q', 1.5)
         print(GetResourceKvpString('p:a'), GetResourceKvpInt('p:b'), GetResourceKvpFloat('q'))
         print(GetResourceKvpString('none'), GetResourceKvpInt('none'), GetResourceKvpInt('p:a'))
         local h = StartFindKvp('p:') print(FindKvp(h), FindKvp(h), FindKvp(h)) EndFindKvp(h) print(FindKvp(h))
         DeleteResourceKvp('p:a') print(GetResourceKvpString('p:a'), StartFindKvp('none'))",
        &["text\t5\t1.5", "nil\t0\t0", "p:a\tp:b\tnil", "nil", "nil\t0"],
    );
}

#[test]
fn the_store_is_kept_apart_by_resource() {
    check_world(
        &[("a/main.lua", "SetResourceKvp('k', 'of a')"), ("b/main.lua", "print(GetResourceKvpString('k'))")],
        1,
        &["b: nil"],
    );
}

#[test]
fn commands_get_source_words_and_line() {
    check(
        "RegisterCommand('Give', function(source, args, raw) print(source, #args, args[1], args[2], raw) end, false)
         ExecuteCommand('give \"two words\" 5') ExecuteCommand('nope 1')
         for _, c in ipairs(GetRegisteredCommands()) do print(c.name, c.resource) end
         ExecuteCommand('set conv 9') print(GetConvarInt('conv', 0))",
        &["0\t2\ttwo words\t5\tgive \"two words\" 5", ": No such command nope.", "give\ta", "9"],
    );
}

#[test]
fn files_are_those_of_resources_only() {
    let world = World::new(&[
        (
            "a/main.lua",
            "print(SaveResourceFile('a', 'data/x.json', 'abc', -1), LoadResourceFile('a', 'data/x.json'))
             print(SaveResourceFile('a', 'cut.txt', 'abcdef', 3), LoadResourceFile('a', 'cut.txt'))
             print(LoadResourceFile('b', 'secret.txt'), LoadResourceFile('c', 'x'), LoadResourceFile('a', 'none'))
             print(SaveResourceFile('a', '../evil', 'x'), LoadResourceFile('a', '../../top.txt'), SaveResourceFile('a', '/etc/x', 'x'))
             print(LoadResourceFile('a', 'link/hosts'), SaveResourceFile('a', 'nodir/x', 'y'))
             local f = io.open(GetResourcePath('a') .. '/cut.txt') print(f:read('a')) f:close()
             print(io.open('/etc/hosts'))
             print(io.open(GetResourcePath('a') .. '/../b/secret.txt'))
             for line in io.lines('cut.txt') do print(line) end
             print(pcall(io.lines, '/etc/hosts'))
             print(os.remove('cut.txt'), os.remove(GetResourcePath('a') .. '/../top.txt'), LoadResourceFile('a', 'cut.txt'))
             print(os.createdir(GetResourcePath('a') .. '/new'), SaveResourceFile('a', 'new/x', 'y'))
             print(io.popen('ls'), os.execute('ls'), os.getenv('HOME'), os.exit)",
        ),
        ("a/data/keep", ""),
        ("b/main.lua", ""),
        ("b/secret.txt", "of b"),
        ("top.txt", "outside"),
    ]);
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc", world.folder.path().join("a/link")).unwrap();
    let ran = world.run(1);
    let path = world.folder.path().display();
    let beside = format!("a: nil\t{path}/a/../b/secret.txt: Permission denied\t13");
    assert_eq!(
        ran.lines,
        [
            "a: 1\tabc",
            "a: 1\tabc",
            "a: of b\tnil\tnil",
            "a: false\tnil\tfalse",
            "a: nil\tfalse",
            "a: abc",
            "a: nil\t/etc/hosts: Permission denied\t13",
            &beside,
            "a: abc",
            "a: false\t/etc/hosts: Permission denied",
            "a: true\tnil\tnil",
            "a: true\t1",
            "a: nil\tnil\tnil\tnil",
        ]
    );
}

#[test]
fn the_standard_library_is_a_servers() {
    check(
        "print(package, dofile, loadfile, debug.sethook, debug.getlocal, os.exit, type(debug.traceback()))
         print(load('return 1 + 1')(), load(function() return nil end) ~= nil, load('syntax error here'))
         print(load('\\27Lua'))
         print(pcall(require, 'socket'))
         print(load('return x', 'chunk', 't', { x = 5 })(), load('return x', 'chunk', 'bt', nil) ~= nil)
         print(string.format('%5.2f', 1.5), table.concat({ 1, 2 }, ','), utf8.len('é'), math.type(1))
         io.write('a', 1, '\\n')
         print(tostring(nil), 1e15, 2^53, -0.0, 1/0, print == nil)",
        &[
            "nil\tnil\tnil\tnil\tnil\tnil\tstring",
            "2\ttrue\tnil\t[string \"syntax error here\"]:1: syntax error near 'error'",
            "nil\tattempt to load a binary chunk (mode is 't')",
            "false\tmodule 'socket' not found",
            "5\ttrue",
            " 1.50\t1,2\t1\tinteger",
            "a1",
            "nil\t1e+15\t9.007199254741e+15\t-0.0\tinf\tfalse",
        ],
    );
}

#[test]
fn virtual_time_is_what_every_clock_tells() {
    check(
        "print(GetGameTimer(), os.time(), os.date('!%Y-%m-%d', os.time()), os.clock(), os.nanotime(), os.microtime())
         CreateThread(function() Wait(200) print(GetGameTimer(), os.clock(), os.nanotime(), os.time{year=2020,month=1,day=1,hour=12} > 0, os.deltatime()) end)",
        &[
            "0\t1767225600\t2026-01-01\t0.0\t0\t0",
            "250\t0.25\t250000000\ttrue\t0.25",
        ],
    );
}

#[test]
fn a_seed_makes_random_numbers_repeat() {
    let files = [
        ("a/main.lua", "print(math.random(1 << 40)) math.randomseed() print(math.random(1 << 40))"),
        ("b/main.lua", "print(math.random(1 << 40))"),
    ];
    let mut world = World::new(&files);
    world.config.seed = 7;
    let first = world.run(1).lines;
    assert_eq!(world.run(1).lines, first);
    assert_ne!(first[0], first[1], "a second seed is another");
    assert_ne!(first[0].split(": ").last(), first[2].split(": ").last(), "resources differ");
    world.config.seed = 8;
    assert_ne!(world.run(1).lines, first);
}

#[test]
fn a_seed_fixes_the_order_of_pairs() {
    let script = "local t, all = {}, {}
        for i = 1, 30 do t['key' .. i] = i end
        for key in pairs(t) do all[#all + 1] = key end
        print(table.concat(all, ' '))";
    let mut world = World::new(&[("a/main.lua", script)]);
    world.config.seed = 7;
    let first = world.run(1).lines;
    assert_eq!(world.run(1).lines, first);
    world.config.seed = 8;
    assert_ne!(world.run(1).lines, first);
}

#[test]
fn scripts_are_chosen_by_patterns_and_shared_ones_come_first() {
    check_world(
        &[
            (
                "a/fxmanifest.lua",
                "fx_version 'cerulean'
                 server_scripts { 'server/*.lua', '@b/lib/*.lua' }
                 client_script 'client.lua'
                 shared_scripts { 'shared/**/*.lua', 'config.lua' }",
            ),
            ("a/client.lua", "print('client')"),
            ("a/config.lua", "print('config')"),
            ("a/shared/z.lua", "print('z')"),
            ("a/shared/deep/er/y.lua", "print('y')"),
            ("a/server/2.lua", "print('two')"),
            ("a/server/1.lua", "print('one')"),
            ("a/server/no/3.lua", "print('three')"),
            ("b/fxmanifest.lua", "fx_version 'cerulean'"),
            ("b/lib/lib.lua", "print('lib in ' .. GetCurrentResourceName())"),
        ],
        1,
        &["y", "z", "config", "one", "two", "lib in a"],
    );
}
