//! The resource `tickscope`: a server does the same with the probe in its resources as without it.

mod transport;

use std::fs;
use std::path::{Path, PathBuf};

use tickscope_citizen::{ScenarioConfig, ServerConfig};
use tickscope_core::Depth;

use crate::world::{Ran, World};

const LINE: &str = "shared_script '@tickscope/probe.lua'\n";

const NASTY: &str = include_str!("probe/nasty.lua");

/// The folder at the project's root.
fn resource() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../resources/tickscope")
}

/// A server directory whose resources all begin with the probe.
fn probed(files: &[(&str, &str)]) -> World {
    let world = World::new(files);
    install(world.folder.path());
    world
}

/// Puts the probe first in each manifest of a server directory, and the resource `tickscope` first in its `server.cfg`.
fn install(root: &Path) {
    add_line(root);
    let cfg = root.join("server.cfg");
    if let Ok(text) = fs::read_to_string(&cfg) {
        fs::write(&cfg, format!("ensure tickscope\n{text}")).unwrap();
    }
    let resources = root.join("resources");
    copy(&resource(), &if resources.is_dir() { resources } else { root.to_owned() }.join("tickscope"));
}

fn add_line(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_line(&path);
        } else if path.ends_with("fxmanifest.lua") {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{LINE}{text}")).unwrap();
        }
    }
}

/// What the server said, without the resource's own lines. A traceback has one line more for each function that the
/// probe calls, at that function's place: the two become one again.
fn said(ran: &Ran) -> Vec<String> {
    let lines: Vec<_> = ran.lines.iter().filter(|line| !line.starts_with("tickscope: ")).collect();
    let mut kept = Vec::new();
    for line in lines {
        let mut text = String::new();
        for part in line.split_inclusive('\n') {
            match text.strip_suffix(": in upvalue 'call'\n") {
                Some(before) if part.contains(": in function <") => {
                    let function = &part[part.find(": in function <").unwrap()..];
                    text = format!("{before}{function}");
                }
                _ => text.push_str(part),
            }
        }
        kept.push(text);
    }
    kept
}

#[track_caller]
fn check_same(files: &[(&str, &str)], ticks: u64) {
    let plain = World::new(files).run(ticks);
    assert!(plain.lines.len() > 5, "a server that says nothing proves nothing: {:?}", plain.lines);
    for armed in ["true", "false"] {
        let mut world = probed(files);
        world.config.convars.push(("tickscope_armed".into(), armed.into()));
        let ran = world.run(ticks);
        assert_eq!(said(&ran), said(&plain), "armed: {armed}");
    }
}

/// What resource `a` prints within `ticks` when all are probed.
#[track_caller]
fn check(files: &[(&str, &str)], ticks: u64, expected: &[&str]) {
    let ran = probed(files).run(ticks);
    let lines: Vec<_> = ran.lines.iter().filter_map(|line| line.strip_prefix("a: ")).collect();
    assert_eq!(lines, expected);
}

#[test]
fn whatever_a_script_does_comes_to_the_same() {
    check_same(&[("nasty/main.lua", NASTY)], 60);
}

#[test]
fn several_resources_come_to_the_same() {
    check_same(
        &[
            ("server.cfg", "ensure bank\nensure shop"),
            (
                "bank/main.lua",
                "local balance = 10
                 exports('take', function(amount)
                     Wait(50)
                     if amount > balance then error('not enough') end
                     balance = balance - amount
                     TriggerEvent('bank:taken', amount, nil)
                     return balance, nil
                 end)
                 exports('on_close', function(call) SetTimeout(200, function() call('closed', nil) end) end)",
            ),
            (
                "shop/main.lua",
                "AddEventHandler('bank:taken', function(...) print('taken', select('#', ...), ..., GetInvokingResource()) end)
                 CreateThread(function()
                     for amount = 3, 5 do
                         print(pcall(function() return select('#', exports.bank:take(amount)), exports.bank:take(0) end))
                     end
                     exports.bank:on_close(function(...) print(..., GetGameTimer()) end)
                     print(GetGameTimer())
                     Wait(100)
                     exports.bank:take(100)
                 end)",
            ),
        ],
        40,
    );
}

#[test]
fn each_kind_of_work_is_counted_where_it_is_defined() {
    check(
        &[
            (
                "a/main.lua",
                "CreateThread(function()
                     Wait(0)
                     TriggerEvent('worked', 1)
                     TriggerEvent('worked', 2)
                     ExecuteCommand('work')
                     exports.b:add(1)
                     SetTimeout(0, function() end)
                     GlobalState.rain = true
                     Wait(200)
                     for _, of in ipairs({ 'a', 'b' }) do
                         local rows = exports[of]:tickscope_probe('totals')
                         for at, row in ipairs(rows) do rows[at] = row[2] .. ' ' .. row[1] end
                         table.sort(rows)
                         for _, row in ipairs(rows) do
                             if not row:find('tickscope_probe') then print(of, row) end
                         end
                     end
                 end)
                 RegisterCommand('work', function() end)
                 AddStateBagChangeHandler('rain', 'global', function() end)
                 AddEventHandler('worked', function() end)",
            ),
            ("b/main.lua", "\n\nexports('add', function(x) return x + 1 end)"),
        ],
        20,
        &[
            "a\t1 call b.add",
            "a\t1 command work @a/main.lua:19",
            "a\t1 state_bag rain global @a/main.lua:20",
            "a\t1 timer @a/main.lua:7",
            "a\t2 event worked @a/main.lua:21",
            "a\t2 thread @a/main.lua:1",
            "a\t2 trigger worked",
            "b\t1 export add @b/main.lua:3",
        ],
    );
}

#[test]
fn natives_that_are_asked_for_are_counted_and_do_the_same() {
    let files = [(
        "a/main.lua",
        "local function rows()
             local rows = {}
             for _, row in ipairs(exports.a:tickscope_probe('totals')) do
                 if row[1]:find('^native') then rows[#rows + 1] = row[2] .. ' ' .. row[1] end
             end
             table.sort(rows)
             return rows
         end
         CreateThread(function()
             Wait(0)
             print(json.encode({ 1, 'two' }), json.decode('[3]')[1], select('#', json.decode('null')))
             print(pcall(json.encode, print))
             print(pcall(function() local name = GetPlayerName() return name end))
             print(Citizen.InvokeNative(GetHashKey('GET_GAME_TIMER'), Citizen.ResultAsInteger()) == GetGameTimer())
             print(LoadResourceFile('a', 'missing.txt'), #LoadResourceFile('a', 'main.lua') > 100)
             for _ = 1, 100 do GetNumPlayerIndices() end
             Wait(0)
             if GetConvar('tickscope_natives', '') ~= '' then print(table.unpack(rows())) end
         end)",
    )];
    let plain = World::new(&files).run(10);
    let mut world = probed(&files);
    let asked =
        "files,json  GetPlayerName GetNumPlayerIndices NoSuchNative Wait Citizen.InvokeNative no.such";
    world.config.convars.push(("tickscope_natives".into(), asked.into()));
    let mut lines = said(&world.run(10));
    let counted = lines.pop().expect("what was counted is printed last");
    assert_eq!(lines, said(&plain));
    let expected = [
        "1 native Citizen.InvokeNative",
        "1 native GetPlayerName",
        "100 native GetNumPlayerIndices",
        "2 native LoadResourceFile",
        "2 native json.decode",
        "2 native json.encode",
    ];
    assert_eq!(counted, format!("a: {}", expected.join("\t")));
}

#[test]
fn what_fails_or_is_suspended_by_others_keeps_the_count_right() {
    check(
        &[
            (
                "a/main.lua",
                "AddEventHandler('fails', function() error('on purpose') end)
                 AddEventHandler('waits', function() Wait(50) end)
                 CreateThread(function()
                     TriggerEvent('fails')
                     TriggerEvent('waits')
                     exports.b:slow()        -- the server suspends it, the probe is not asked
                     coroutine.yield(50)
                     Wait(0)
                     for _, row in ipairs(exports.a:tickscope_probe('totals')) do
                         if row[1]:find('main.lua') then print(row[2], row[1]) end
                     end
                 end)",
            ),
            ("b/main.lua", "exports('slow', function() Wait(100) end)"),
        ],
        20,
        &["1\tevent fails @a/main.lua:1", "2\tevent waits @a/main.lua:2", "1\tthread @a/main.lua:3"],
    );
}

#[test]
fn a_storm_of_short_calls_is_counted_whole_and_measured_in_part() {
    let mut world = probed(&[(
        "a/main.lua",
        "local function burn(us) local to = os.nanotime() + us * 1000 while os.nanotime() < to do end end
         local calls = 0
         AddEventHandler('short', function() calls = calls + 1 end)
         AddEventHandler('long', function() burn(30) end)
         CreateThread(function()
             Wait(0)
             local from = os.nanotime()
             for _ = 1, 5000 do TriggerEvent('short') end
             for _ = 1, 100 do TriggerEvent('long') end
             local to = os.nanotime()
             Wait(0)
             for _ = 1, 10 do TriggerEvent('short') end
             Wait(0)
             for _, row in ipairs(exports.a:tickscope_probe('between', from, to, 1000000).rows) do
                 if row[1]:find('^event short') then print('between', calls, row[2] > 4900 and row[2] <= 5000, row[4] > 5000) end
             end
             for _, row in ipairs(exports.a:tickscope_probe('totals')) do
                 local name, count, took, longest, estimated = table.unpack(row)
                 if name:find('^event short') then print('short', count, estimated > 4000, took > 5000) end
                 if name:find('^event long') then print('long', count, estimated, longest >= 30000) end
             end
         end)",
    )]);
    world.config.real_nanotime = true;
    let ran = world.run(20);
    let lines: Vec<_> = ran.lines.iter().filter_map(|line| line.strip_prefix("a: ")).collect();
    assert_eq!(lines, ["between\t5010\ttrue\ttrue", "short\t5010\ttrue\ttrue", "long\t100\t0\ttrue"]);
}

#[test]
fn a_probe_that_is_there_twice_or_too_late_says_so_once() {
    let world = probed(&[
        (
            "a/fxmanifest.lua",
            "fx_version 'cerulean' shared_script '@tickscope/probe.lua' server_script 'main.lua'",
        ),
        ("a/main.lua", "print('runs')"),
        ("b/fxmanifest.lua", ""),
        ("b/main.lua", "print('runs')"),
    ]);
    let late = "fx_version 'cerulean' shared_scripts { 'main.lua', '@tickscope/probe.lua' }";
    fs::write(world.folder.path().join("b/fxmanifest.lua"), late).unwrap();
    let ran = world.run(5);
    let count = |text: &str| ran.lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count("probe.lua is loaded twice"), 1, "{:?}", ran.lines);
    assert_eq!(count("b: ^3tickscope: probe.lua is not the first"), 1, "{:?}", ran.lines);
    assert_eq!((count(": runs"), count("error")), (2, 0), "{:?}", ran.lines);
}

#[test]
fn what_is_held_stays_as_it_is_and_says_what_caused_what() {
    check(
        &[(
            "a/main.lua",
            "local function ask(...) return exports.a:tickscope_probe(...) end
             AddEventHandler('often', function() end)
             AddEventHandler('first', function()
                 TriggerEvent('second')
                 SetTimeout(0, function() end)
             end)
             AddEventHandler('second', function() end)
             CreateThread(function()
                 Wait(0)
                 ask('hold')
                 ask('release')
                 TriggerEvent('first')
                 Wait(0)
                 Wait(0)
                 print(ask('hold'), ask('hold'))
                 -- not more in a tick than are measured each
                 for _ = 1, 200 do
                     for _ = 1, 30 do TriggerEvent('often') end
                     Wait(0)
                 end
                 local columns = ask('read', 1, 100)
                 local lives, causes = {}, {}
                 for life in columns.lives:gmatch('%d+') do lives[#lives + 1] = math.tointeger(life) >> 16 end
                 for cause in columns.causes:gmatch('%d+') do causes[#causes + 1] = math.tointeger(cause) end
                 local caused = 0
                 for at, cause in ipairs(causes) do
                     -- a trigger and a call have their slice's number; what a slice started has its own
                     for other, life in ipairs(lives) do
                         if cause == life and lives[at] ~= life and other ~= at then caused = caused + 1 end
                     end
                 end
                 print(caused > 0)
                 print(columns.count < 20, columns.lost, #lives == columns.count, #causes == columns.count)
                 local named = {}
                 for at = 1, #columns.names, 2 do named[columns.names[at]] = columns.names[at + 1] end
                 for life in columns.lives:gmatch('%d+') do
                     if not named[math.tointeger(life) & 0xffff] then print('a symbol without a name') end
                 end
                 ask('release')
                 print(ask('read', 1, 100))
                 ask('hold')
                 local later = ask('read', 1, 1)
                 print(later.count, later.lost > 0)
                 ask('release')
                 ask('hold', os.nanotime() + 1)
                 print(ask('read', 1, 1).count)
             end)",
        )],
        230,
        &["true\tfalse", "true", "true\t0\ttrue\ttrue", "nil", "4096\ttrue", "0"],
    );
}

#[test]
fn its_memory_is_bounded() {
    let files = [(
        "a/main.lua",
        "AddEventHandler('often', function() end)
         CreateThread(function()
             for _ = 1, 20 do
                 for _ = 1, 1000 do TriggerEvent('often') end
                 Wait(0)
             end
             collectgarbage() collectgarbage()
             print(math.floor(collectgarbage('count')))
         end)",
    )];
    let heap = |world: World| {
        let lines = world.run(30).lines;
        let line = lines.iter().find_map(|line| line.strip_prefix("a: ")).expect("it prints");
        line.parse::<u64>().unwrap()
    };
    let (with, without) = (heap(probed(&files)), heap(World::new(&files)));
    assert!(with < without + 1024, "{with} KiB with the probe, {without} KiB without");
}

/// A server of `examples`, copied: it writes files while it runs.
fn example(name: &str, with_probe: bool) -> World {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name), folder.path());
    let mut config = ServerConfig::new(folder.path());
    config.virtual_time = true;
    config.depth = Depth::Boundary;
    config.seed = 7;
    config.scenario = Some(ScenarioConfig::players(8));
    if with_probe {
        install(folder.path());
    }
    World { folder, config }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[track_caller]
fn check_example(name: &str, ticks: u64) {
    let (plain, with) = (example(name, false).run(ticks), example(name, true).run(ticks));
    assert_eq!(said(&with), said(&plain));
    assert_eq!(with.outcome.client_events, plain.outcome.client_events, "what players are sent");
}

#[test]
fn the_city_comes_to_the_same() {
    check_example("city", 70);
}

#[test]
fn the_roleplay_server_comes_to_the_same() {
    check_example("roleplay", 400);
}

#[test]
fn a_late_tick_is_blamed_on_who_did_it() {
    let burn =
        "function burn(ms) local to = os.nanotime() + ms * 1000000 while os.nanotime() < to do end end\n";
    let mut world = probed(&[
        ("server.cfg", "set tickscope_late_ms 200\nensure a\nensure b"),
        ("a/main.lua", "CreateThread(function() Wait(300) exports.b:pay() end)"),
        (
            "b/main.lua",
            &format!(
                "{burn}AddEventHandler('paid', function() burn(600) end)\nexports('pay', function() burn(20) TriggerEvent('paid') end)"
            ),
        ),
    ]);
    world.config.virtual_time = false;
    let ran = world.run(20);
    let at = ran.lines.iter().position(|line| line.contains("late tick, "));
    let blamed = &ran.lines[at.expect("the tick was late") + 1];
    assert!(blamed.starts_with("tickscope:   b  event paid @b/main.lua:2  "), "{:?}", ran.lines);
}
