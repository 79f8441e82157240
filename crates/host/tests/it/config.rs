//! `tickscope.toml`: what it sets, what wins over it, and what is said of its mistakes.

use std::path::Path;
use std::process::{Command, Stdio};

use super::built;

struct Run {
    code: Option<i32>,
    out: String,
    said: String,
}

fn tickscope(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env("XDG_CONFIG_HOME", folder.join("user")).env("XDG_DATA_HOME", folder.join("data"));
    let output = command.env_remove("TICKSCOPE_PLUGINS").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code(), out: text(&output.stdout), said: text(&output.stderr) }
}

impl Run {
    #[track_caller]
    fn says(&self, lines: &[&str]) {
        for line in lines {
            assert!(self.said.lines().any(|said| said == *line), "{line:?}: {:#?}", self.said);
        }
    }
}

/// A program, and two plugins in the folder `plugins`.
fn prepared(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    built::c(&plugins, "c_count", &[]);
    std::fs::copy(built::rust(), plugins.join("libodd.so")).unwrap();
    std::fs::write(folder.path().join("program.lua"), "print 'done'").unwrap();
    std::fs::write(folder.path().join("tickscope.toml"), config).unwrap();
    folder
}

const WHOLE: &str = r#"[lua]
depth = "trace"
report = true

[collect]
token-file = "secret/token"

[plugins]
folders = ["plugins"]

[sinks.c-count]
loud = true

[[sinks.odd]]
file = "first.txt"
limit = 7

[[sinks.odd]]
plugin = "./plugins/libodd.so"
isolate = true
options = { file = "second.txt" }

[sinks.later]
plugin = "odd"
enabled = false
file = "later.txt"
limit = 3
"#;

#[test]
fn sinks_and_flags_of_the_file_are_in_force_and_what_is_typed_wins() {
    let folder = prepared(WHOLE);
    // Lasts long enough for the process of a plugin to begin on a machine under load.
    let program = folder.path().join("program.lua");
    std::fs::write(&program, "print 'done' io.stdout:flush() os.execute('sleep 3')").unwrap();
    let run = tickscope(folder.path(), &["lua", "--sink", "later=file=typed.txt", "program.lua"]);
    std::fs::write(&program, "print 'done'").unwrap();
    assert_eq!((run.code, &*run.out), (Some(0), "done\n"), "{}", run.said);
    for name in ["first.txt", "second.txt", "typed.txt"] {
        let noted = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(noted.contains(" begin "), "depth trace has calls: {noted}");
    }
    assert!(!folder.path().join("later.txt").exists());
    assert!(run.said.contains("sink c-count: opened for program.lua with {\"loud\":true}"), "{}", run.said);
    assert!(run.said.contains("took "), "{}", run.said);

    // A switch that is on is turned off, and so is the file.
    let quiet = tickscope(folder.path(), &["lua", "--report=false", "--depth", "boundary", "program.lua"]);
    assert_eq!(quiet.code, Some(0), "{}", quiet.said);
    assert!(run.said.contains("Where time went"), "{}", run.said);
    assert!(!quiet.said.contains("Where time went"), "{}", quiet.said);
    let none = tickscope(folder.path(), &["lua", "--no-config", "program.lua"]);
    assert_eq!((none.code, &*none.said), (Some(0), ""));
    // What the program is given is its own.
    let own = tickscope(folder.path(), &["lua", "--no-config", "program.lua", "--config", "nowhere"]);
    assert_eq!((own.code, &*own.said), (Some(0), ""));
}

#[test]
fn what_is_in_force_is_shown_with_where_it_comes_from() {
    let folder = prepared(WHOLE);
    let run = tickscope(folder.path(), &["config"]);
    assert_eq!((run.code, &*run.said), (Some(0), ""), "{}", run.out);
    let has = |set: &str, from: &str| {
        let line = run.out.lines().find(|line| line.starts_with(set) && line.ends_with(&format!("# {from}")));
        assert!(line.is_some(), "{set} # {from}: {}", run.out);
    };
    has("depth = \"trace\"", "tickscope.toml:2:1");
    has("depth = \"sample\"", "default");
    has("token-file = \"secret/token\"", "tickscope.toml:6:1");
    has("loud = true", "tickscope.toml:12:1");
    has("do = \"\"", "default of odd");
    has("file = \"second.txt\"", "tickscope.toml:21:13");
    has("enabled = false", "only `--sink` asks for it");
    // It is a configuration itself, which says the same.
    let again = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path().join("plugins"), again.path().join("plugins")).unwrap();
    let sinks = run.out.find("\n[sinks").unwrap();
    let plugins = format!("{}\n[plugins]\nfolders = [\"plugins\"]\n", &run.out[sinks..]);
    std::fs::write(again.path().join("shown.toml"), plugins).unwrap();
    let shown = tickscope(again.path(), &["config", "--config", "shown.toml"]);
    assert_eq!(shown.code, Some(0), "{}", shown.said);
    assert!(shown.out.contains("limit = 7"), "{}", shown.out);
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let folder = prepared(
        "[run]\ndepth = \"deep\"\nbudgt = \"5ms\"\nbudget = \"5 ms\"\nstrict = 1\n[rum]\n[plugins]\nfolders = \"plugins\"\n\
         [record]\nhz = 20000\n[sinks.odd]\nenabled = \"no\"\n[sinks]\nodder = 5\n",
    );
    let mistakes = [
        "tickscope: tickscope.toml:2:9: run.depth: expected boundary, sample or trace, found deep",
        "tickscope: tickscope.toml:4:10: run.budget: expected a time such as 50ms, 10s, 5m or 2h, found \"5 ms\"",
        "tickscope: tickscope.toml:5:10: run.strict: expected true or false, found a number",
        "tickscope: tickscope.toml:8:11: plugins.folders: expected a list of texts, found a text",
        "tickscope: tickscope.toml:12:11: sinks.odd.enabled: expected true or false, found a text",
        "tickscope: tickscope.toml:14:9: sinks.odder: expected a table, as in [sinks.odder], found a number",
    ];
    for arguments in [&["lua", "program.lua"][..], &["config"]] {
        let run = tickscope(folder.path(), arguments);
        assert_eq!(
            (run.code, &*run.out),
            (Some(if arguments.len() == 1 { 1 } else { 2 }), ""),
            "{}",
            run.said
        );
        run.says(&mistakes);
        let unknown = "tickscope: tickscope.toml:3:1: run.budgt is not known; did you mean budget? There are budget, cfg,";
        assert!(run.said.contains(unknown), "{}", run.said);
        assert!(
            run.said.contains(
                "tickscope: tickscope.toml:6:2: rum is not known; did you mean run? There are run,"
            )
        );
        assert!(run.said.contains("tickscope: tickscope.toml:10:6: record.hz: "), "{}", run.said);
        assert_eq!(run.said.lines().count(), mistakes.len() + 3, "{}", run.said);
    }
    // Commands that take nothing from it do not care.
    assert!(!tickscope(folder.path(), &["doctor"]).said.contains("tickscope.toml"));
    assert_eq!(tickscope(folder.path(), &["lua", "--no-config", "program.lua"]).code, Some(0));
}

#[test]
fn options_that_a_plugin_does_not_have_are_told_at_their_place() {
    let folder = prepared(
        "[plugins]\nfolders = [\"plugins\"]\n[sinks.odd]\nlimt = 3\nlimit = 0\n[sinks.none]\n[sinks.c-count]\n",
    );
    let told = [
        "tickscope.toml:4:1: sinks.odd.limt is not known; did you mean limit? There are do, file, limit",
        "tickscope.toml:5:1: sinks.odd.limit: expected 1 or more, found 0",
    ];
    let run = tickscope(folder.path(), &["lua", "program.lua"]);
    assert_eq!((run.code, &*run.out), (Some(1), "done\n"), "{}", run.said);
    run.says(
        &told.map(|line| format!("tickscope: a sink is not used: {line}")).each_ref().map(|line| &**line),
    );
    assert!(run.said.contains(
        "tickscope: a sink is not used: tickscope.toml:6:8: sinks.none: there is no sink \"none\""
    ));
    assert!(run.said.contains("sink c-count: took "), "{}", run.said);
    let run = tickscope(folder.path(), &["config"]);
    assert_eq!(run.code, Some(1));
    run.says(&told.map(|line| format!("tickscope: {line}")).each_ref().map(|line| &**line));
}

#[test]
fn what_a_user_mistypes_about_sinks_is_told_with_what_to_do() {
    let folder = prepared("");
    let check = |config: &str, expected: &str| {
        let config = format!("[plugins]\nfolders = [\"plugins\", \"elsewhere\"]\n{config}\n");
        std::fs::write(folder.path().join("tickscope.toml"), config).unwrap();
        let run = tickscope(folder.path(), &["config"]);
        assert_eq!(run.code, Some(1), "{}", run.said);
        let line = format!("tickscope: tickscope.toml:{expected}");
        assert!(run.said.starts_with(&line), "{line}: {}", run.said);
        assert_eq!(run.said.lines().count(), 1, "{}", run.said);
    };
    check("[sinks.odd]\nlimit = nan", "4:1: sinks.odd.limit: expected an integer, found \"nan\"\n");
    check(
        "[sinks.odd]\nenable = false",
        "4:1: sinks.odd.enable is not known; there are do, file, limit; did you mean enabled, which every sink has?\n",
    );
    check(
        "[sinks.odd]\nplugin = \"\"",
        "4:10: sinks.odd.plugin: expected a name or a file, found nothing; without this line it is odd\n",
    );
    check(
        "[sinks.odd]\nisolate = true\nisolate-memory = \"lots\"",
        "5:18: sinks.odd.isolate-memory: expected a size such as 500MB or 2GiB, at least 64KiB, found \"lots\"\n",
    );
    check(
        "[sinks.odd]\n[sinks.odd]",
        "4:8: odd is there already, above; one of them has to go, or several sinks of one name are [[sinks.NAME]] each\n",
    );
    check(
        "[sinks.odd]\nfile = first.txt",
        "4:8: invalid boolean, expected `false`; a text stands in quotes\n",
    );
    check(
        "[sinks]\nodd = true",
        "4:7: sinks.odd: expected a table, as in [sinks.odd], found true or false\n",
    );
    check(
        "[sinks.none]",
        "3:8: sinks.none: there is no sink \"none\"; looked for libnone.so and libtickscope_none.so in plugins, elsewhere (not there), ",
    );
    std::fs::write(folder.path().join("tickscope.toml"), "sinks = 3\n").unwrap();
    let run = tickscope(folder.path(), &["plugins"]);
    let line = "tickscope: tickscope.toml:1:1: sinks: expected a table, as in [sinks.NAME], found a number\n";
    assert_eq!((run.code, &*run.said), (Some(2), line));
    std::fs::write(folder.path().join("tickscope.toml"), "").unwrap();
    let run = tickscope(folder.path(), &["config", "nowhere"]);
    assert_eq!(run.code, Some(1));
    run.says(&[
        "tickscope: there is no folder nowhere; expected a server's, in which tickscope.toml may lie",
    ]);
}

#[test]
fn files_that_are_no_configuration() {
    use std::os::unix::fs::PermissionsExt;
    let folder = prepared("");
    let file = folder.path().join("tickscope.toml");
    let refused = |expected: &str| {
        let run = tickscope(folder.path(), &["lua", "program.lua"]);
        assert_eq!((run.code, &*run.out), (Some(2), ""), "{}", run.said);
        assert!(run.said.starts_with(&format!("tickscope: tickscope.toml{expected}")), "{}", run.said);
    };
    std::fs::write(&file, b"[run]\n# \xff\xfe").unwrap();
    refused(":2:3: this is not UTF-8");
    std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    refused(": it has more than 1 MiB");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("tickscope.toml", &file).unwrap();
    refused(": cannot read it: ");
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    refused(": it is no file");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "[lua]\ndepth = \"trace\"\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let run = tickscope(folder.path(), &["lua", "--config", "tickscope.toml", "program.lua"]);
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(run.said.starts_with("tickscope: everybody may write to "), "{}", run.said);
    let run = tickscope(folder.path(), &["lua", "--config", "nowhere.toml", "program.lua"]);
    assert_eq!(run.code, Some(2));
    run.says(&["tickscope: nowhere.toml: cannot read it: No such file or directory (os error 2)"]);
}

#[test]
fn the_file_is_looked_for_where_a_user_expects_it() {
    let folder = prepared("");
    let file = folder.path().join("tickscope.toml");
    let user = folder.path().join("user/tickscope");
    std::fs::create_dir_all(&user).unwrap();
    std::fs::write(user.join("config.toml"), "[lua]\ndepth = \"boundary\"\n").unwrap();
    assert!(tickscope(folder.path(), &["config"]).out.starts_with("# tickscope.toml\n"));
    std::fs::remove_file(&file).unwrap();
    let shown = tickscope(folder.path(), &["config"]).out;
    assert!(shown.starts_with(&format!("# {}\n", user.join("config.toml").display())), "{shown}");
    std::fs::remove_file(user.join("config.toml")).unwrap();
    assert!(
        tickscope(folder.path(), &["config"]).out.starts_with("# no file; looked for tickscope.toml and ")
    );
    // A server brings its own.
    let server = folder.path().join("server");
    std::fs::create_dir_all(server.join("resources")).unwrap();
    std::fs::write(server.join("tickscope.toml"), "[run]\ndepth = \"deep\"\n").unwrap();
    let run = tickscope(folder.path(), &["run", "server"]);
    assert_eq!(run.code, Some(2));
    run.says(&[
        "tickscope: server/tickscope.toml:2:9: run.depth: expected boundary, sample or trace, found deep",
    ]);
}

#[test]
fn a_file_of_somebody_else_is_not_taken_because_it_lies_there() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    let folder = prepared("[plugins]\nfolders = [\"plugins\"]\n[sinks.c-count]\n");
    let file = folder.path().join("tickscope.toml");
    let refused = |why: &str| {
        let run = tickscope(folder.path(), &["lua", "program.lua"]);
        let line = format!(
            "tickscope: tickscope.toml is not used: it decides what code runs, and {why}; --config tickscope.toml uses it all the same\n"
        );
        assert_eq!((run.code, run.said), (Some(0), line));
        let named = tickscope(folder.path(), &["lua", "--config", "tickscope.toml", "program.lua"]);
        assert!(named.said.contains("sink c-count: took "), "{}", named.said);
    };
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o646)).unwrap();
    refused("others may write to it");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(tickscope(folder.path(), &["lua", "program.lua"]).said.contains("sink c-count: took "));
    if chown(&file, Some(12345), None).is_err() {
        eprintln!("skipped: files of another user, which root alone makes");
        return;
    }
    refused("belongs to user 12345");
    // What a name leads to, and who has made the name.
    let elsewhere = folder.path().join("other.toml");
    std::fs::rename(&file, &elsewhere).unwrap();
    symlink("other.toml", &file).unwrap();
    refused("belongs to user 12345");
    chown(&elsewhere, Some(0), None).unwrap();
    std::os::unix::fs::lchown(&file, Some(12345), None).unwrap();
    refused("belongs to user 12345");
    // Wherever it stands on the way.
    std::fs::rename(&file, folder.path().join("on-the-way.toml")).unwrap();
    symlink("on-the-way.toml", &file).unwrap();
    refused("belongs to user 12345");
    std::os::unix::fs::lchown(folder.path().join("on-the-way.toml"), Some(0), None).unwrap();
    assert!(tickscope(folder.path(), &["lua", "program.lua"]).said.contains("sink c-count: took "));
}

#[test]
fn a_server_brings_flags_and_no_code() {
    let folder = prepared("");
    std::fs::remove_file(folder.path().join("tickscope.toml")).unwrap();
    let server = folder.path().join("server");
    let resource = server.join("resources/shop");
    std::fs::create_dir_all(&resource).unwrap();
    std::fs::write(resource.join("fxmanifest.lua"), "fx_version 'cerulean' game 'gta5'").unwrap();
    std::fs::rename(folder.path().join("plugins"), server.join("plugins")).unwrap();
    let config = "[run]\nbudget = \"7ms\"\n[plugins]\nfolders = [\"plugins\"]\n[sinks.mine]\nplugin = \"plugins/libc_count.so\"\n";
    std::fs::write(server.join("tickscope.toml"), config).unwrap();
    let told = |file: &str| {
        [(4, 1, "plugins.folders"), (5, 8, "sinks.mine")].map(|(line, column, what)| {
            format!(
                "tickscope: {file}:{line}:{column}: {what} is not used, for code is not taken from a server's folder; --config {file} takes it"
            )
        })
    };
    let run = ["run", "--virtual-time", "--ticks", "1"];
    for (place, server_is, file) in
        [(folder.path(), "server", "server/tickscope.toml"), (&server, ".", "tickscope.toml")]
    {
        let played = tickscope(place, &[&run[..], &[server_is]].concat());
        assert_eq!(played.code, Some(0), "{}", played.said);
        played.says(&told(file).each_ref().map(|line| &**line));
        assert!(!played.said.contains("sink c-count"), "{}", played.said);
        let shown = tickscope(place, &["config", server_is]);
        assert!(shown.out.contains("budget = \"7ms\""), "{}", shown.out);
        assert!(!shown.out.contains("sinks.mine"), "{}", shown.out);
        let named = tickscope(place, &[&run[..], &["--config", file, server_is]].concat());
        assert_eq!(named.code, Some(0), "{}", named.said);
        assert!(named.said.contains("sink c-count: took "), "{}", named.said);
    }
}

#[test]
fn a_switch_that_is_turned_off_hides_nothing() {
    let folder = prepared(
        "[lua]\nreport = true\n[plugins]\nfolders = [\"plugins\"]\nisolate = true\n[sinks.c-count]\n",
    );
    std::fs::rename(folder.path().join("tickscope.toml"), folder.path().join("named.toml")).unwrap();
    let run = |arguments: &[&str]| {
        let run = tickscope(folder.path(), &[&["lua"], arguments, &["program.lua"]].concat());
        assert_eq!((run.code, &*run.out), (Some(0), "done\n"), "{arguments:?}: {}", run.said);
        run.said
    };
    assert_eq!(run(&["--isolate=false", "--report=false"]), "");
    for orders in [
        &["--isolate=false", "--config", "named.toml"][..],
        &["--config", "named.toml", "--isolate=false"],
        &["--report=true", "--isolate", "--config=named.toml"],
        &["--isolate-memory", "512MiB", "--isolate=true", "--config=named.toml"],
    ] {
        assert!(run(orders).contains("sink c-count: took "), "{orders:?}");
    }
    std::fs::rename(folder.path().join("named.toml"), folder.path().join("tickscope.toml")).unwrap();
    assert_eq!(run(&["--report=false", "--no-config"]), "");
    // A server's folder behind it.
    let server = folder.path().join("server");
    std::fs::create_dir_all(server.join("resources")).unwrap();
    std::fs::write(server.join("tickscope.toml"), "[run]\ndepth = \"deep\"\n").unwrap();
    std::fs::remove_file(folder.path().join("tickscope.toml")).unwrap();
    let played = tickscope(folder.path(), &["run", "--strict=false", "--isolate=false", "server"]);
    assert_eq!(played.code, Some(2), "{}", played.said);
}

#[test]
fn flags_of_the_file_and_of_the_line_go_together() {
    let folder = prepared("");
    let with = |config: &str, arguments: &[&str]| {
        std::fs::write(folder.path().join("tickscope.toml"), config).unwrap();
        tickscope(folder.path(), arguments)
    };
    std::fs::write(folder.path().join("server.log"), "").unwrap();
    let log = "[watch]\nlog = \"server.log\"\n";
    assert_eq!(with(log, &["watch", "--from-start", "--for", "10ms"]).code, Some(0));
    let run = with("", &["watch", "--from-start", "--for", "10ms"]);
    assert_eq!((run.code, &*run.said), (Some(2), "tickscope: --from-start needs --log FILE as well\n"));
    let run = with("[watch]\nuser = \"me\"\n", &["watch", "--server", "http://127.0.0.1:1"]);
    let line = "tickscope: tickscope.toml:2:1: watch.user needs --password-file FILE as well\n";
    assert_eq!((run.code, &*run.said), (Some(2), line));
    let run = with("[record]\nio = true\n", &["record", "--pid", "2147483647"]);
    assert_eq!(run.code, Some(1));
    run.says(&["tickscope: tickscope.toml:2:1: record.io has no effect with --pid: what a process that runs waits for is not recorded"]);
    let attach = ["record", "--attach", "2147483646"];
    let config = "[record]\nhz = 99\ndepth = \"trace\"\nreport = true\n";
    let run = with(config, &attach);
    assert_eq!(run.code, Some(1));
    run.says(&["tickscope: tickscope.toml:3:1: record.depth and tickscope.toml:2:1: record.hz have no effect with --attach: the recording goes on as it was begun; its depth changes with tickscope ctl depth"]);
    let run = with("[record]\nreport = true\n", &attach);
    assert!(!run.said.contains("no effect"), "{}", run.said);
    for typed in [&["--depth", "trace"][..], &["--hz", "99"], &["--io"]] {
        let run = with(config, &[&attach, typed].concat());
        assert_eq!(run.code, Some(2), "{}", run.said);
        assert!(run.said.contains("cannot be used with"), "{}", run.said);
    }
}

#[test]
fn memory_that_is_limited_is_that_of_an_isolated_sink() {
    let folder = prepared("");
    let with = |config: &str, arguments: &[&str]| {
        let config = format!("[plugins]\nfolders = [\"plugins\"]\n{config}");
        std::fs::write(folder.path().join("tickscope.toml"), config).unwrap();
        tickscope(folder.path(), &[arguments, &["program.lua"]].concat())
    };
    let run = with("[sinks.odd]\nisolate-memory = \"1GiB\"\n", &["lua"]);
    let line = "tickscope: tickscope.toml:4:1: sinks.odd.isolate-memory limits nothing, for it is not isolated; set sinks.odd.isolate = true\n";
    assert_eq!((run.code, &*run.said), (Some(2), line));
    // So little is not enough to begin: what is typed wins over it, or is the little.
    let little = "isolate = true\n[sinks.c-count]\nisolate-memory = \"64KiB\"\n";
    assert_eq!(with(little, &["lua"]).code, Some(1));
    let run = with(little, &["lua", "--isolate-memory", "1GiB"]);
    assert_eq!(run.code, Some(0), "{}", run.said);
}

#[test]
fn to_show_what_is_in_force_no_plugin_is_loaded_into_it() {
    let folder = prepared(
        "[sinks.bad]\nplugin = \"./libbad.so\"\n[sinks.off]\nenabled = false\nplugin = \"./libnone.so\"\nlimit = 3\n",
    );
    built::c(folder.path(), "bad", &["constructor = abort()"]);
    let run = tickscope(folder.path(), &["config"]);
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("its process died of SIGABRT while it was loaded"), "{}", run.said);
    assert_eq!(run.said.lines().count(), 1, "{}", run.said);
    assert!(run.out.lines().any(|line| line.starts_with("limit = 3 ")), "{}", run.out);
}
