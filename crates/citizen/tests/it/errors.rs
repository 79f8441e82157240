//! What goes wrong is told with its place, and the rest runs on.

use std::time::Duration;

use tickscope_citizen::{Error, ErrorKind, NoRecorder, Server, ServerConfig, Silent};

use crate::world::{World, check};

#[test]
fn errors_of_threads_name_file_and_line() {
    check(
        "CreateThread(function() local t t.x = 1 end)
         CreateThread(function() error({ list = { 1 } }) end)
         CreateThread(function() error(setmetatable({}, { __tostring = function() return 'speaks' end })) end)
         CreateThread(function() error('\\xff\\xfe bad') end)
         CreateThread(function() error() end)
         CreateThread(function() error('no position', 0) end)
         CreateThread(function() local function f() return 1 + f() end f() end)
         CreateThread(function() Wait(50) print('alive') end)",
        &[
            "error a: main.lua:1: attempt to index a nil value (local 't')",
            "error a: main.lua:2: (error object) {\"list\":[1]}",
            "error a: main.lua:3: speaks",
            "error a: main.lua:4: \\xff\\xfe bad",
            "error a: main.lua:5: nil",
            "error a: main.lua:6: no position",
            "error a: main.lua:7: stack overflow",
            "alive",
        ]
        .map(|line| line),
    );
}

#[test]
fn tracebacks_are_kept() {
    let ran = World::new(&[(
        "a/main.lua",
        "local function inner() error('x') end\nCreateThread(function() inner() end)",
    )])
    .run(1);
    let error = &ran.outcome.errors[0];
    assert_eq!(
        (error.kind.clone(), error.file.as_str(), error.line, error.tick),
        (ErrorKind::Script, "main.lua", 1, 1)
    );
    assert!(error.traceback.contains("@a/main.lua:2: in function"), "{}", error.traceback);
}

#[test]
fn a_native_that_does_not_exist_is_told_once_per_resource() {
    let script = "CreateThread(function() Wait(0) DrawMarker(1) end)\nCreateThread(function() DrawMarker(1) end)\nCreateThread(function() Citizen.InvokeNative(1) end)\nif Framework == nil then print('other globals are nil') end\nCreateThread(function() lib() end)";
    let ran = World::new(&[("a/main.lua", script), ("b/main.lua", "DrawMarker(1)")]).run(5);
    let told: Vec<_> = ran
        .outcome
        .errors
        .iter()
        .map(|error| (error.kind.clone(), error.resource.as_str(), error.file.as_str(), error.line))
        .collect();
    let missing = |name: &str| ErrorKind::MissingNative(name.into());
    assert_eq!(
        told,
        [
            (missing("DrawMarker"), "b", "main.lua", 1),
            (missing("DrawMarker"), "a", "main.lua", 2),
            (missing("0x0000000000000001"), "a", "main.lua", 3),
            (ErrorKind::Script, "a", "main.lua", 5),
        ]
    );
    assert!(ran.outcome.errors[0].message.contains("native DrawMarker does not exist"));
}

#[test]
fn scripts_that_do_not_load_name_file_and_line() {
    let ran = World::new(&[
        ("a/fxmanifest.lua", "fx_version 'cerulean' server_scripts { 'bad.lua', 'none.lua', 'good.lua', '../out.lua', 'x.js', '@gone/x.lua', 'binary.lua', 'late.lua' }"),
        ("a/bad.lua", "local x = 5\nlocal y = = 6"),
        ("a/good.lua", "print('good')"),
        ("a/binary.lua", "\u{1b}Lua"),
        ("a/x.js", ""),
        ("a/late.lua", "print('before') local t = nil + 1"),
    ])
    .run(1);
    assert_eq!(
        ran.lines,
        [
            "error a: bad.lua:2: unexpected symbol near '='",
            "error a: fxmanifest.lua:1: script \"none.lua\": there is no such file; mend its path, or take it out",
            "a: good",
            "error a: fxmanifest.lua:1: script \"../out.lua\": expected a path inside the resource",
            "error a: fxmanifest.lua:1: script \"@gone/x.lua\": there is no resource \"gone\"",
            "error a: binary.lua: attempt to load a binary chunk (mode is 't')",
            "a: before",
            "error a: late.lua:1: attempt to perform arithmetic on a nil value",
            ": a: only Lua runs here; left out: x.js (JavaScript)",
        ]
    );
}

#[test]
fn resources_that_cannot_start_are_left_out() {
    let ran = World::new(&[
        ("broken/fxmanifest.lua", "fx_version 'cerulean'\nserver_script {"),
        ("old/fxmanifest.lua", "server_script 'main.lua'"),
        ("needs/fxmanifest.lua", "fx_version 'cerulean' dependency 'nothing'"),
        ("needs2/fxmanifest.lua", "fx_version 'cerulean' dependency 'needs'"),
        ("x/fxmanifest.lua", "fx_version 'cerulean' dependency 'y'"),
        ("y/fxmanifest.lua", "fx_version 'cerulean' dependency 'z'"),
        ("z/fxmanifest.lua", "fx_version 'cerulean'\ndependency 'x'"),
        ("itself/fxmanifest.lua", "fx_version 'cerulean' dependency 'itself'"),
        ("[cat]/[sub]/fine/main.lua", "print('fine')"),
        ("[cat]/twice/main.lua", ""),
        ("[dog]/twice/main.lua", ""),
        ("plain/inside/main.lua", "print('not looked into')"),
    ])
    .run(1);
    assert_eq!(ran.outcome.resources, 6);
    let problems: Vec<_> = ran
        .outcome
        .errors
        .iter()
        .map(|error| (error.resource.as_str(), error.message.split(": ").last().unwrap_or("").to_owned()))
        .collect();
    let find = |name: &str| {
        let of: Vec<_> = problems.iter().filter(|(resource, _)| *resource == name).collect();
        assert_eq!(of.len(), 1, "{name}: {problems:?}");
        of[0].1.clone()
    };
    assert!(find("broken").contains("unexpected symbol near <eof>"), "{problems:?}");
    assert!(find("old").contains("fx_version 'cerulean'"));
    assert!(find("needs").contains("\"nothing\", which is not there"));
    assert!(find("needs2").contains("\"needs\", which cannot start"));
    assert!(find("z").contains("x → y → z → x; they start all the same"));
    let circle = ran.outcome.errors.iter().find(|error| error.resource == "z").unwrap();
    assert_eq!((circle.file.as_str(), circle.line), ("fxmanifest.lua", 2));
    assert!(find("itself").contains("it depends on itself"));
    let left_out: Vec<_> = ran.outcome.not_started.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(left_out, ["broken", "needs", "needs2", "old"]);
    assert!(find("twice").contains("[cat]"));
}

#[test]
fn a_directory_that_cannot_be_run_is_refused() {
    #[track_caller]
    fn refuse(world: &World, expected: &str) {
        let error = world.start(&Default::default()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let empty = World::new(&[("x/readme", "")]);
    refuse(&empty, "no resource found; expected folders with a fxmanifest.lua");
    let mut world = World::new(&[("a/main.lua", "")]);
    world.config.resources = Some(vec!["b".into()]);
    refuse(&world, "no resource is called \"b\"; there are: a");
    world.config.root = world.folder.path().join("none");
    refuse(&world, "not a directory");
    let nowhere = Server::start(ServerConfig::new("/nonexistent"), NoRecorder::default(), Silent);
    assert!(matches!(nowhere.err(), Some(Error::NotADirectory { .. })));
}

#[test]
fn memory_has_a_limit_per_resource() {
    let mut world = World::new(&[
        (
            "a/main.lua",
            "CreateThread(function() local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end end)\nCreateThread(function() Wait(0) print('a lives') end)",
        ),
        ("b/main.lua", "local s = ('x'):rep(20 << 20) print('b has its own', #s)"),
    ]);
    world.config.memory_limit = 64 << 20;
    let ran = world.run(3);
    assert_eq!(
        ran.lines,
        ["b: b has its own\t20971520", "error a: main.lua:1: not enough memory", "a: a lives",]
    );
}

#[test]
fn loops_that_never_end_are_stopped() {
    let mut world = World::new(&[
        (
            "a/main.lua",
            "CreateThread(function() while true do pcall(function() while true do end end) end end)
             CreateThread(function() print('next in the same tick') end)
             AddEventHandler('spin', function() while true do end end)
             CreateThread(function() Wait(0) while true do TriggerEvent('spin') end end)
             CreateThread(function() Wait(0) print('and the others') end)",
        ),
        ("b/main.lua", "CreateThread(function() while true do Wait(0) end end)"),
    ]);
    world.config.tick_limit = Some(Duration::from_millis(300));
    let ran = world.run(4);
    let limit = "stopped: the tick took longer than 300 ms";
    assert_eq!(
        ran.lines,
        [
            format!("error a: main.lua:1: {limit}"),
            "a: next in the same tick".into(),
            format!("error a: main.lua:3: {limit}"),
            "a: and the others".into(),
        ]
    );
    assert!(ran.outcome.errors.iter().all(|error| error.kind == ErrorKind::TickLimit));
}

#[test]
fn recursion_across_resources_ends() {
    let ran = World::new(&[
        ("a/main.lua", "AddEventHandler('ping', function(n) TriggerEvent('pong', n + 1) end)"),
        ("b/main.lua", "Deepest = 0 AddEventHandler('pong', function(n) Deepest = n TriggerEvent('ping', n + 1) end) TriggerEvent('ping', 1) print(Deepest > 20)"),
        ("c/main.lua", "exports('f', function() return exports.c:f() end) print(pcall(function() exports.c:f() end))"),
    ])
    .run(1);
    assert!(ran.lines.contains(&"b: true".to_owned()), "{:?}", ran.lines);
    let nested = ran.lines.iter().filter(|line| line.contains("nested 48 deep")).count();
    assert_eq!(nested, 2, "{:?}", ran.lines);
}

#[test]
fn a_run_can_be_ended_from_another_thread() {
    let world = World::new(&[(
        "a/main.lua",
        "CreateThread(function() while true do end end)\nAddEventHandler('onResourceStop', function() print('goodbye') end)",
    )]);
    let transcript = crate::world::Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    let handle = server.stop_handle();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        handle.stop();
    });
    server.tick();
    assert!(server.is_stopping());
    assert_eq!(server.tick().slices, 0);
    stopper.join().unwrap();
    let outcome = server.stop();
    assert_eq!(outcome.errors[0].message, "the run was ended");
    assert_eq!(transcript.lines.borrow().last().unwrap(), "a: goodbye");
}

#[test]
fn garbage_never_panics() {
    use proptest::test_runner::{Config, TestRunner};
    let words = [
        "Wait(0)",
        "exports",
        ".a",
        ":b",
        "(",
        ")",
        "TriggerEvent(",
        "'e'",
        ",",
        "{",
        "}",
        "function()",
        " end ",
        "=",
        "nil ",
        "AddEventHandler(",
        "CreateThread(",
        "promise.new()",
        "Citizen.",
        "Await(",
        "json.decode(",
        "msgpack.unpack(",
        "'\\xc1'",
        "1e999",
        "...",
        "coroutine.yield(",
        "error(",
        "SetTimeout(-1,",
        "source",
        "setmetatable(",
        "RemoveEventHandler(",
        "LoadResourceFile(",
        "load(",
        "debug.traceback(",
        "print(",
        "Foo(",
        "\n",
    ];
    let mut runner = TestRunner::new(Config::with_cases(150));
    let script = proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..25);
    let strategy = proptest::collection::vec(script, 1..12);
    runner
        .run(&strategy, |scripts| {
            // each line a chunk of its own, so that a syntax error does not hide the rest
            let mut source = String::new();
            for script in scripts {
                source += &format!(
                    "local f = load([==[{}]==]) if f then CreateThread(f) pcall(f) end\n",
                    script.join(" ")
                );
            }
            let mut world = World::new(&[("a/main.lua", &source)]);
            world.config.tick_limit = Some(Duration::from_secs(5));
            world.run(3);
            Ok(())
        })
        .unwrap();
}
