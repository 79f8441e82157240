//! `tickscope resources`: the examples, and a directory in which everything is wrong.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

fn resources(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    // what somebody imported on this machine is no part of a test
    command.arg("resources").arg(directory).args(args).env("XDG_DATA_HOME", "/nowhere");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Compares with a file beside this one; `cargo xtask bless` writes it.
#[track_caller]
fn check_golden(name: &str, told: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/resources").join(name);
    if std::env::var_os("TICKSCOPE_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, told).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if golden != told {
        let differs = told.lines().zip(golden.lines().chain(std::iter::repeat(""))).find(|(a, b)| a != b);
        panic!(
            "{name} is old: run `cargo xtask bless -p tickscope-cli`; first difference: {differs:?}\n{told}"
        );
    }
}

/// The document of an example, without what `docs/compat.md` is about: how true each name is.
#[track_caller]
fn check_example(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let output = resources(&directory, &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = document["names"].as_object().unwrap();
    assert!(counts["exact"].as_u64().unwrap() > 40 && counts.len() == 5, "{counts:?}");
    document["names"] = Value::Null;
    document["directory"] = Value::Null;
    for resource in document["resources"].as_array_mut().unwrap() {
        let mut uses: Vec<String> = Vec::new();
        for used in resource["uses"].as_array().unwrap() {
            assert!(["native", "global", "export"].contains(&used["kind"].as_str().unwrap()), "{used}");
            let word = |key: &str| used[key].as_str().unwrap();
            uses.push(format!("{} {}:{} ×{}", word("name"), word("file"), used["line"], used["places"]));
        }
        uses.sort();
        resource["uses"] = uses.into();
    }
    check_golden(&format!("{name}.json"), &format!("{document:#}\n"));
}

#[test]
fn the_city_is_told() {
    check_example("city");
}

#[test]
fn the_roleplay_server_is_told() {
    check_example("roleplay");
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, contents) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_nasty_directory_is_told_in_no_time() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("nasty");
    let manifest = "fx_version 'cerulean'\ngame 'gta5'\n";
    let with = |rest: &str| format!("{manifest}{rest}\n");
    let file = |name: &str, rest: &str| (format!("resources/{name}/fxmanifest.lua"), with(rest));
    let mut files = vec![
        (
            "server.cfg".to_owned(),
            "ensure good\nensure itself\nensure round-a\nensure forever\nensure eats\nensure gone\nexec ../../etc/passwd\n\
             ensure sealed\nensure hostile\nensure needs\nensure old\nensure new\nensure [again]\nset\n"
                .to_owned(),
        ),
        file("[a]/good", "version '1.0.0'\nserver_scripts { 'main.lua', 'web.js', 'Server.net.dll' }\nprovide 'best'\nexport 'listed'"),
        (
            "resources/[a]/good/main.lua".to_owned(),
            "exports('there', function() end)\nlocal players = GetPlayers()\nfor _, name in ipairs(players) do Own(name) end\n\
             function Own(name) return nobody, os.execute, table.sorted(name), _G.RemovePed(`x`) end\n\
             exports.good:there()\nexports.good:elsewhere()\nexports['gone']:x()\nexports.sealed.y()\n\
             Citizen.InvokeNative(0xDEADBEEFDEADBEEF)\nCitizen.InvokeNative(0x1647F1CB, 1)\nrequire 'lmprof'\n\
             SetRoutingBucketPopulationEnabled(1, false)\nexports.oxmysql:query('SELECT 1')\nexports.oxmysql:nonsense()\n"
                .to_owned(),
        ),
        file("itself", "dependency 'itself'"),
        file("round-a", "dependency 'round-b'"),
        file("round-b", "dependency 'round-a'"),
        file("forever", "while true do end"),
        file("eats", "x = string.rep('x', 1000000000)"),
        file("sealed", "server_script 'main.lua'"),
        ("resources/sealed/main.lua".to_owned(), "FXAP\u{1}\u{2}".to_owned()),
        file(
            "hostile",
            "server_scripts { '../../etc/passwd', '/etc/passwd', 'round.lua', 'link.lua', 'folder.lua', 'syntax.lua', \
             'bytes.lua', '@gone/a.lua', '@nothing', 'notes.txt' }",
        ),
        ("resources/hostile/folder.lua/x".to_owned(), String::new()),
        ("resources/hostile/syntax.lua".to_owned(), "local a = 1\nlocal b = (\nend\n".to_owned()),
        ("resources/hostile/bytes.lua".to_owned(), "\u{1b}LuaT\0\0".to_owned()),
        ("resources/hostile/notes.txt".to_owned(), "x".to_owned()),
        file("needs", "dependencies { 'nowhere', '/server:99999', '/moon' }"),
        file("old", "version '1.2.0'"),
        file("new", "dependency 'old:1.10'"),
        ("resources/torn/fxmanifest.lua".to_owned(), "server_script {".to_owned()),
        ("resources/bare/main.lua".to_owned(), "print(1)".to_owned()),
        file("[b]/good", ""),
        file("odd\u{1b}[31m\nname", "author 'a\u{7}b'"),
    ];
    files.sort();
    let files: Vec<_> = files.iter().map(|(path, contents)| (&**path, &**contents)).collect();
    write(&root, &files);
    symlink(root.join("resources/hostile/round.lua"), root.join("resources/hostile/round.lua")).unwrap();
    symlink("/etc/passwd", root.join("resources/hostile/link.lua")).unwrap();
    symlink(root.join("resources"), root.join("resources/[again]")).unwrap();
    symlink(root.join("resources/[self]"), root.join("resources/[self]")).unwrap();

    let started = Instant::now();
    let output = resources(&root, &[]);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let root = root.canonicalize().unwrap();
    check_golden("nasty.txt", &text(&output.stdout).replace(&root.display().to_string(), "ROOT"));
    let json = resources(&root, &["--format", "json"]);
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&document["complete"], json.status.code()), (&Value::Bool(false), Some(1)));
}

#[test]
fn what_counts_as_missing_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(
        root,
        &[
            ("a/fxmanifest.lua", "fx_version 'cerulean'\nserver_script 'main.lua'\ndependency '/onesync'"),
            ("a/main.lua", "if nobody then SetRoutingBucketPopulationEnabled(1, true) end"),
            ("b/fxmanifest.lua", "server_script {"),
            ("a.cfg", "ensure a"),
            ("b.cfg", "ensure b"),
        ],
    );
    #[track_caller]
    fn check(root: &Path, args: &[&str], code: i32) {
        let output = resources(root, args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    check(root, &["--cfg", "a.cfg"], 0);
    check(root, &["--cfg", "a.cfg", "--strict"], 1);
    check(root, &["--cfg", "a.cfg", "--set", "onesync=off"], 1);
    check(root, &["--cfg", "b.cfg"], 1);
    check(root, &[], 1);
    check(root, &["--cfg", "none.cfg"], 1);
    check(&root.join("a"), &[], 0);
    check(&root.join("nowhere"), &[], 1);
    check(root, &["--unheard-of"], 2);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("a/main.lua");
    write(
        dir.path(),
        &[("a/fxmanifest.lua", "fx_version 'cerulean'\nserver_script 'main.lua'"), ("a/main.lua", "")],
    );
    fs::set_permissions(&main, fs::Permissions::from_mode(0o000)).unwrap();
    let output = resources(dir.path(), &[]);
    // who may read everything finds an empty script
    let unreadable = fs::read(&main).is_err();
    assert_eq!(
        text(&output.stdout).contains("a: main.lua: cannot read"),
        unreadable,
        "{}",
        text(&output.stdout)
    );
    assert_eq!(output.status.success(), !unreadable);
}

#[test]
fn a_hundred_resources_take_no_time() {
    let dir = tempfile::tempdir().unwrap();
    let script = "CreateThread(function() while true do Wait(0) local a = GetPlayers() print(#a, GetGameTimer()) end end)\n";
    for at in 0..100 {
        let folder = format!("resources/r{at}");
        let needs = if at > 0 { format!("dependency 'r{}'", at - 1) } else { String::new() };
        let manifest = format!("fx_version 'cerulean'\nserver_script 'main.lua'\n{needs}");
        write(
            dir.path(),
            &[
                (&format!("{folder}/fxmanifest.lua"), &manifest),
                (&format!("{folder}/main.lua"), &script.repeat(200)),
            ],
        );
    }
    let started = Instant::now();
    let output = resources(dir.path(), &["--format", "json"]);
    // some tenths of a second; far off means that something is looked at again and again
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["complete"], true, "{}", text(&output.stderr));
    let order: Vec<_> =
        document["resources"].as_array().unwrap().iter().map(|one| one["order"].as_u64()).collect();
    assert_eq!(order, (1..=100).map(Some).collect::<Vec<_>>());
}
