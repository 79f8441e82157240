//! `server.cfg`, the console, and what becomes of resources by it.

use proptest::prelude::*;
use tickscope_citizen::{Error, ErrorKind};

use crate::world::{Transcript, World};

/// Resources `a`, `b`, `c`, each telling that it was loaded, and what else is given.
fn world(cfg: &str, files: &[(&str, &str)]) -> World {
    let mut all = vec![("server.cfg", cfg)];
    for name in ["resources/[x]/a", "resources/[x]/[y]/b", "resources/c"] {
        let main = [name, "/main.lua"].concat();
        if !files.iter().any(|(path, _)| *path == main) {
            all.push((String::leak(main), "print('loaded')"));
        }
    }
    all.extend(files);
    World::new(&all)
}

#[track_caller]
fn check(cfg: &str, files: &[(&str, &str)], expected: &[&str]) {
    let world = world(cfg, files);
    let root = world.folder.path().canonicalize().unwrap().display().to_string();
    let lines: Vec<_> = world.run(1).lines.iter().map(|line| line.replace(&root, "ROOT")).collect();
    assert_eq!(lines, expected, "{cfg}");
}

#[test]
fn only_what_is_ensured_runs_and_in_that_order() {
    check("ensure c\n# ensure b\nstart a", &[], &["c: loaded", "a: loaded"]);
    check("ensure [x]", &[], &["a: loaded", "b: loaded"]);
    check("ensure [y]; ensure c;ensure b", &[], &["b: loaded", "c: loaded"]);
    check("ensure a\nstop a\nensure b\nrestart b", &[], &["a: loaded", "b: loaded", "b: loaded"]);
    check(
        "sv_hostname x",
        &[],
        &[": no resource runs: server.cfg has no line such as `ensure name` that could be followed"],
    );
}

#[test]
fn dependencies_start_first_wherever_they_are_named() {
    let needs = "fx_version 'cerulean' server_script 'main.lua' dependency 'c'";
    let files = [("resources/[x]/a/fxmanifest.lua", needs)];
    check("ensure a\nensure b\nensure c", &files, &["c: loaded", "a: loaded", "b: loaded"]);
    check("ensure a", &files, &["c: loaded", "a: loaded"]);
}

#[test]
fn convars_are_set_before_and_between_resources() {
    let script = "print(GetConvar('motd', ''), GetConvarInt('sv_maxclients', 0), GetConvar('late', 'not yet'), GetConvar('json', ''))";
    check(
        "set motd \"two words; and more\"\nSV_MaxClients 48\nset json {\"a\": [1, 2]}\nensure a\nseta late 1\nensure b",
        &[("resources/[x]/a/main.lua", script), ("resources/[x]/[y]/b/main.lua", script)],
        &[
            "a: two words; and more\t48\tnot yet\t{\"a\": [1, 2]}",
            "b: two words; and more\t48\t1\t{\"a\": [1, 2]}",
        ],
    );
}

#[test]
fn what_the_run_chose_is_not_changed_by_files() {
    let mut world = world(
        "set chosen file\nset other file\nensure a",
        &[(
            "resources/[x]/a/main.lua",
            "print(GetConvar('chosen', ''), GetConvar('other', '')) SetConvar('chosen', 'script') print(GetConvar('chosen', ''))",
        )],
    );
    world.config.convars = vec![("chosen".into(), "run".into())];
    assert_eq!(world.run(0).lines, ["a: run\tfile", "a: run"]);
}

#[test]
fn files_run_each_other() {
    let late = [("cfg/more.cfg", "ensure b\nexec cfg/deep.cfg"), ("cfg/deep.cfg", "nonsense here\nensure a")];
    check(
        "ensure c\nexec cfg/more.cfg\nnonsense\nensure c",
        &late,
        &["c: loaded", "b: loaded", ": No such command nonsense. (cfg/deep.cfg:1)", "a: loaded"],
    );
    check("exec @a/own.cfg\nensure a", &[("resources/[x]/a/own.cfg", "set x 1")], &["a: loaded"]);
}

#[test]
fn commands_that_make_no_sense_are_told_with_file_and_line() {
    check(
        "ensure a\n\nexec a.cfg\nexec ../../etc/passwd\nexec /etc/passwd\nexec none.cfg\nexec @none/x.cfg\nset\nensure\nensure none\nensure [none]\nrestart c\nadd_ace group.admin command allow\nendpoint_add_tcp \"0.0.0.0:30120\"",
        &[("a.cfg", "exec b.cfg"), ("b.cfg", "exec a.cfg"), ("resources/[x]/a/main.lua", "")],
        &[
            "error server: b.cfg:1: exec: the files run each other: server.cfg → a.cfg → b.cfg → a.cfg",
            "error server: server.cfg:4: exec \"../../etc/passwd\": it leads out of ROOT",
            "error server: server.cfg:5: exec \"/etc/passwd\": it leads out of ROOT",
            "error server: server.cfg:6: exec \"none.cfg\": there is no such file in ROOT",
            "error server: server.cfg:7: exec \"@none/x.cfg\": there is no resource \"none\"",
            "error server: server.cfg:8: set: expected the name of a convar and a value",
            "error server: server.cfg:9: ensure: expected the name of a resource",
            ": Couldn't find resource none. (server.cfg:10)",
            ": Couldn't find resource category [none]. (server.cfg:11)",
            ": Can't restart a stopped resource.",
        ],
    );
}

#[test]
fn files_that_multiply_come_to_an_end() {
    let twice = |name: &str| format!("exec {name}\n").repeat(20);
    let (a, b, c) = (twice("b.cfg"), twice("c.cfg"), twice("d.cfg"));
    let files = [("a.cfg", &*a), ("b.cfg", &*b), ("c.cfg", &*c), ("d.cfg", "")];
    let ran = world("exec a.cfg\nensure a", &files).run(0);
    assert!(ran.lines[0].contains("1000 in all"), "{}", ran.lines[0]);
    assert_eq!(ran.lines.last().unwrap(), "a: loaded");
}

#[test]
fn a_file_is_chosen() {
    let mut world = world("ensure a", &[("other.cfg", "ensure b")]);
    world.config.cfg = Some("other.cfg".into());
    assert_eq!(world.run(0).lines, ["b: loaded"]);
    world.config.cfg = Some(world.folder.path().join("other.cfg"));
    world.config.resources = Some(vec!["c".into(), "b".into()]);
    assert_eq!(world.run(0).lines, ["b: loaded", "c: loaded"], "only those, the file's first");
    world.config.cfg = Some("none.cfg".into());
    assert!(matches!(world.start(&Transcript::default()), Err(Error::NoCfg { .. })));
}

#[test]
fn garbage_in_a_file_of_commands_does_no_harm() {
    let world = world("", &[]);
    let mut garbage = b"ensure a\n\xff\xfe ensure b\n\0\0\n\"\n{[\n".to_vec();
    garbage.extend((0..=255u8).cycle().take(5_000));
    garbage.extend(b"\nensure c\n");
    std::fs::write(world.folder.path().join("server.cfg"), garbage).unwrap();
    let lines = world.run(0).lines;
    assert!(
        lines
            .contains(&"error server: server.cfg:2: not UTF-8, and left out like every such line".to_owned()),
        "{lines:?}"
    );
    assert_eq!(lines.iter().filter(|line| line.ends_with(": loaded")).count(), 2, "{lines:?}");
    std::fs::write(world.folder.path().join("server.cfg"), vec![b'x'; (16 << 20) + 1]).unwrap();
    assert!(world.run(0).lines[0].contains("at most 16 MiB"));
}

/// What is wrong with a file of these bytes is told with the file and a line of it, and the server runs.
fn check_bytes(world: &World, bytes: &[u8]) -> Result<(), TestCaseError> {
    std::fs::write(world.folder.path().join("server.cfg"), bytes).unwrap();
    let ran = world.run(1);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
    for error in ran.outcome.errors.iter().filter(|error| error.kind == ErrorKind::Config) {
        prop_assert_eq!(&error.file, "server.cfg");
        prop_assert!((1..=lines).contains(&error.line), "{} of {} lines", error, lines);
    }
    for said in ran.lines.iter().filter(|line| line.contains("No such command")) {
        prop_assert!(said.contains(" (server.cfg:"), "{}", said);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_bytes_are_a_file_of_commands(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check_bytes(&world("", &[]), &bytes)?;
    }

    #[test]
    fn commands_without_sense_have_a_place(
        lines in proptest::collection::vec(
            "(set|setr|exec|ensure|start|stop|restart|add_ace|add_principal|toggle|quit|x)( [a-c\"{;#/.@]{0,4}){0,3}",
            0..12,
        ),
    ) {
        check_bytes(&world("", &[]), lines.join("\n").as_bytes())?;
    }
}

#[test]
fn what_a_manifest_demands_is_judged() {
    let manifest = |demand: &str| format!("fx_version 'cerulean' server_script 'main.lua' {demand}");
    let check = |cfg: &str, demand: &str, expected: &str| {
        let manifest = manifest(demand);
        let other = "fx_version 'cerulean' version '1.4.0'";
        let files = [("resources/[x]/a/fxmanifest.lua", &*manifest), ("resources/c/fxmanifest.lua", other)];
        let ran = world(&format!("{cfg}\nensure a"), &files).run(0);
        let told = ran.lines.first().map_or("", |line| line);
        assert!(told.contains(expected), "{demand}: {told}");
    };
    check("", "dependencies { '/server:4500', '/onesync', '/policy:x', '/native:0x12' }", "a: loaded");
    check(
        "",
        "dependency '/server:99999'",
        "it cannot run on this server: /server:99999: this host stands for build",
    );
    check("onesync off", "dependency '/onesync'", "OneSync is off");
    check("set onesync legacy", "dependency '/onesync'", "a: loaded");
    check("", "dependency 'c:1.3'", "a: loaded");
    check("", "dependency 'c:1.10'", "it needs c 1.10 or newer, and 1.4.0 is there");
    check("set gamename rdr3", "game 'gta5'", "it is for gta5, and the convar gamename is \"rdr3\"");
    check("set gamename rdr3", "games { 'gta5', 'rdr3' }", "a: loaded");
    check("", "games { 'ny' }", "a: loaded");
}

#[test]
fn escrowed_scripts_are_told_and_the_rest_runs() {
    let world = world(
        "ensure a\nensure b\nensure c",
        &[
            ("resources/[x]/a/.fxap", "FXAP"),
            ("resources/[x]/a/main.lua", "FXAP\u{1}\u{2}\u{3}"),
            ("resources/[x]/[y]/b/.fxap", "FXAP"),
        ],
    );
    let ran = world.run(0);
    assert!(ran.lines[0].starts_with("error a: its script main.lua is escrowed"), "{:?}", ran.lines);
    assert_eq!(ran.lines[1..], ["b: loaded", "c: loaded"]);
    assert_eq!(ran.outcome.not_started[0].0, "a");
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_out_of_a_resource() {
    use std::os::unix::fs::symlink;
    let world = world(
        "ensure [x]\nensure linked\nensure odd",
        &[
            ("outside/linked/main.lua", "print('linked')"),
            ("outside/secret.lua", "print('secret')"),
            ("resources/odd/fxmanifest.lua", "fx_version 'cerulean' server_scripts { 'link.lua', 'l*.lua' }"),
        ],
    );
    let at = |path: &str| world.folder.path().join(path);
    symlink(at("outside/linked"), at("resources/linked")).unwrap();
    symlink(at("outside/secret.lua"), at("resources/odd/link.lua")).unwrap();
    symlink(at("resources/[x]"), at("resources/[x]/[again]")).unwrap();
    let ran = world.run(0);
    assert_eq!(ran.lines[..3], ["a: loaded", "b: loaded", "linked: linked"]);
    assert!(
        ran.lines[3..].iter().all(|line| line.contains("it is a link that leads out")),
        "{:?}",
        ran.lines
    );
    assert_eq!(ran.lines.len(), 5);
}

#[test]
fn names_may_hold_odd_characters() {
    check(
        "ensure \"two words\"\nensure größe\nensure a.b-c_d!",
        &[
            ("resources/two words/main.lua", "print(GetCurrentResourceName())"),
            ("resources/größe/main.lua", "print(LoadResourceFile('größe', 'main.lua') ~= nil)"),
            ("resources/a.b-c_d!/main.lua", "error('here')"),
        ],
        &["two words: two words", "größe: true", "error a.b-c_d!: main.lua:1: here"],
    );
}

/// Runs lines of the console, one before each tick, and gives what was said after the start.
#[track_caller]
fn typed(world: &World, mut edit: impl FnMut(usize), lines: &[&str]) -> Vec<String> {
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    transcript.lines.borrow_mut().clear();
    for (at, line) in lines.iter().enumerate() {
        edit(at);
        server.execute(line);
        server.tick();
    }
    let said = transcript.lines.take();
    server.stop();
    said
}

#[test]
fn the_console_starts_stops_and_asks() {
    let world = world(
        "set motd hi\nensure a",
        &[(
            "resources/[x]/a/main.lua",
            "RegisterCommand('greet', function(source, args) print(source, args[1]) end)",
        )],
    );
    let said = typed(
        &world,
        |_| {},
        &[
            "greet you",
            "motd",
            "motd \"other words\"; motd",
            "toggle flag",
            "nope",
            "nope",
            "start c",
            "start c",
            "ensure c",
            "stop c",
            "stop c",
            "restart c",
            "stop none",
        ],
    );
    assert_eq!(
        said,
        [
            "a: 0\tyou",
            ": \"motd\" is \"hi\"",
            ": \"motd\" is \"other words\"",
            ": No such command nope.",
            ": No such command nope.",
            "c: loaded",
            ": Started resource c",
            ": Stopping resource c",
            "c: loaded",
            ": Started resource c",
            ": Stopping resource c",
            ": Can't restart a stopped resource.",
            ": Couldn't find resource none.",
        ]
    );
    let said = typed(&world, |_| {}, &["status", "quit"]);
    assert_eq!(said[0], ": tick 0, 1 of 3 resources running");
    assert!(
        said[1].starts_with(": a: started, ") && said[2] == ":   b: stopped"
            || said[1].starts_with(":   a: started, "),
        "{said:?}"
    );
}

#[test]
fn who_depends_on_a_stopped_resource_is_stopped_and_stays_so() {
    let needs = |name: &str| format!("fx_version 'cerulean' server_script 'main.lua' dependency '{name}'");
    let (a, b) = (needs("b"), needs("c"));
    let files = [("resources/[x]/a/fxmanifest.lua", &*a), ("resources/[x]/[y]/b/fxmanifest.lua", &*b)];
    let said = typed(&world("ensure a", &files), |_| {}, &["restart c", "ensure a"]);
    assert_eq!(
        said,
        [
            ": Stopping resource a",
            ": a was stopped with b, which it depends on",
            ": Stopping resource b",
            ": b was stopped with c, which it depends on",
            ": Stopping resource c",
            "c: loaded",
            ": Started resource c",
            "b: loaded",
            ": Started resource b",
            "a: loaded",
            ": Started resource a",
        ]
    );
}

#[test]
fn what_could_not_start_starts_once_its_dependency_does() {
    let broken = "fx_version 'cerulean' server_script (";
    let files = [
        ("resources/c/fxmanifest.lua", broken),
        ("resources/[x]/a/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua' dependency 'c'"),
    ];
    let world = world("ensure a", &files);
    let manifest = world.folder.path().join("resources/c/fxmanifest.lua");
    let mend = |_| std::fs::write(&manifest, "fx_version 'cerulean' server_script 'main.lua'").unwrap();
    assert_eq!(
        typed(&world, mend, &["start c"]),
        ["c: loaded", ": Started resource c", "a: loaded", ": Started resource a"]
    );
}

#[test]
fn a_restart_reads_files_and_manifest_again() {
    let world = world("ensure c", &[]);
    let at = |path: &str| world.folder.path().join("resources").join(path);
    let edit = |step| match step {
        0 => std::fs::write(at("c/main.lua"), "print('changed')").unwrap(),
        1 => {
            std::fs::write(at("c/more.lua"), "print('more')").unwrap();
            std::fs::write(
                at("c/fxmanifest.lua"),
                "fx_version 'cerulean' server_scripts { 'main.lua', 'more.lua' }",
            )
            .unwrap();
        }
        2 => {
            std::fs::create_dir_all(at("new")).unwrap();
            std::fs::write(at("new/fxmanifest.lua"), "fx_version 'cerulean' server_script 'main.lua'")
                .unwrap();
            std::fs::write(at("new/main.lua"), "print('new')").unwrap();
            std::fs::write(at("[x]/a/fxmanifest.lua"), "fx_version 'cerulean' author 'me'").unwrap();
        }
        _ => {}
    };
    let said = typed(&world, edit, &["restart c", "ensure c", "refresh", "ensure new", "refresh"]);
    assert_eq!(
        said,
        [
            ": Stopping resource c",
            "c: changed",
            ": Started resource c",
            ": Stopping resource c",
            "c: changed",
            "c: more",
            ": Started resource c",
            ": refresh: 1 new (new), 1 changed (a)",
            "new: new",
            ": Started resource new",
            ": refresh: 0 new, 0 changed",
        ]
    );
}

#[test]
fn a_resource_that_moved_is_stopped_and_found_again() {
    let world = world("ensure c", &[]);
    let at = |path: &str| world.folder.path().join("resources").join(path);
    let edit = |step| {
        if step == 0 {
            std::fs::rename(at("c"), at("[x]/c")).unwrap();
        }
    };
    let said = typed(&world, edit, &["refresh", "ensure [x]"]);
    assert_eq!(said[..2], [": Stopping resource c", ": refresh: 0 new, 0 changed, 1 moved and stopped (c)"]);
    assert_eq!(said.iter().filter(|line| line.ends_with(": loaded")).count(), 3, "{said:?}");
}

#[test]
fn scripts_start_resources_at_once_and_stop_them_between_ticks() {
    let script = "print(StartResource('b'), GetResourceState('b'), exports.b:answer())
        print(StopResource('b'), GetResourceState('b'), StopResource('a'), StartResource('none'))
        CreateThread(function() Wait(0) print(GetResourceState('b')) ExecuteCommand('ensure b') print(GetResourceState('b')) end)";
    let said = world(
        "add_ace resource.a command.ensure allow\nensure a",
        &[
            ("resources/[x]/a/main.lua", script),
            ("resources/[x]/[y]/b/main.lua", "exports('answer', function() return 42 end)"),
        ],
    )
    .run(3)
    .lines;
    assert_eq!(
        said,
        [
            "a: 1\tstarted\t42",
            "a: 1\tstarted\tfalse\tfalse",
            ": Stopping resource b",
            "a: stopped",
            ": Started resource b",
            "a: started",
        ]
    );
}

#[test]
fn quit_ends_the_run() {
    let world = world("ensure a\nquit\nensure b", &[]);
    let transcript = Transcript::default();
    let server = world.start(&transcript).unwrap();
    assert!(server.is_stopping());
    assert_eq!(transcript.lines.take(), ["a: loaded"]);
}

#[test]
fn a_directory_may_be_given_in_a_roundabout_way() {
    let mut world = world("ensure a", &[]);
    world.config.root = world.folder.path().join("resources/..");
    assert_eq!(typed(&world, |_| {}, &["refresh"]), [": refresh: 0 new, 0 changed"]);
}
