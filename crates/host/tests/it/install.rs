//! `tickscope install` and `uninstall`: a server gets the probe, runs with it, and is as it was afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::deterministic::copy;

fn tickscope(arguments: &[&str], server: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg(arguments[0])
        .arg(server)
        .args(&arguments[1..])
        .stdin(Stdio::null())
        .output()
        .expect("the command runs")
}

#[track_caller]
fn check(arguments: &[&str], server: &Path, says: &[&str]) {
    let output = tickscope(arguments, server);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    for part in says {
        assert!(said.contains(part), "{arguments:?}: {part:?} is not in {said}");
    }
}

#[track_caller]
fn check_refused(arguments: &[&str], server: &Path, says: &str) {
    let before = tree(server);
    let output = tickscope(arguments, server);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?}: {says:?} is not in {said}");
    assert_eq!(tree(server), before, "nothing was changed");
}

/// Each file and its bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            let bytes = fs::read(&path).expect("a readable file");
            files.insert(path, bytes);
        }
    }
    files
}

fn server(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join("resources").join(name);
        fs::create_dir_all(path.parent().expect("is in a folder")).expect("a writable folder");
        fs::write(path, text).expect("a writable file");
    }
    folder
}

#[test]
fn the_city_is_as_it_was_afterwards() {
    let folder = TempDir::new().expect("a temporary folder");
    let city = folder.path().join("city");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/city"), &city);
    // What the city writes while it runs, here or in a run before.
    let is_own = |path: &PathBuf| path.ends_with("characters.save");
    let mut before = tree(&city);
    before.retain(|path, _| !is_own(path));
    check(&["install", "inventory", "tracker"], &city, &["inventory: ", "tracker: ", "ensure tickscope"]);
    let installed = tree(&city);
    check(&["install", "inventory", "tracker"], &city, &["inventory: has the line already"]);
    assert_eq!(tree(&city), installed, "twice is once");

    let capture = folder.path().join("run.perfetto-trace");
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg("run")
        .arg(&city)
        .args(["--virtual-time", "--ticks", "10", "--format", "json", "-o"])
        .arg(&capture)
        .stdin(Stdio::null())
        .output()
        .expect("the command runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("error"), "{said}");

    check(&["uninstall", "tracker"], &city, &["tracker: ", "stays for inventory"]);
    check(&["uninstall"], &city, &["inventory: ", "is as it was", "is gone"]);
    let mut after = tree(&city);
    after.retain(|path, _| !is_own(path));
    assert_eq!(after, before);
}

#[test]
fn manifests_of_many_shapes() {
    let shapes = [
        "fx_version 'cerulean'\ngame 'gta5'\nserver_script 'main.lua'\n",
        "fx_version 'cerulean'\r\ngame 'gta5'\r\nshared_scripts { 'a.lua', 'b.lua' }\r\nserver_script 'main.lua'",
        "\u{feff}fx_version 'cerulean' game 'gta5' server_script 'main.lua'",
        "--[[ head\n]]\n\n  fx_version('cerulean') game\n'gta5' server_scripts { 'main.lua' }\n\n",
        "fx_version 'cerulean'\nlocal list = { '@ox_lib/init.lua' }\nshared_scripts(list)\nserver_script 'main.lua'\ndata 'x' { a = 1 }\n",
    ];
    for shape in shapes {
        let folder = server(&[("shop/fxmanifest.lua", shape), ("shop/main.lua", "")]);
        let before = tree(folder.path());
        check(&["install", "shop"], folder.path(), &["begins with the probe"]);
        assert_ne!(tree(folder.path()), before);
        check(&["uninstall", "shop"], folder.path(), &["is as it was"]);
        assert_eq!(tree(folder.path()), before, "{shape:?}");
    }
}

#[test]
fn what_was_changed_in_between_stays() {
    let folder = server(&[("shop/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua'\n")]);
    check(&["install", "shop"], folder.path(), &[]);
    let manifest = folder.path().join("resources/shop/fxmanifest.lua");
    let mut text = fs::read_to_string(&manifest).expect("a manifest");
    text.push_str("version '2'\n");
    fs::write(&manifest, text).expect("a writable manifest");
    check(&["uninstall"], folder.path(), &["what else was changed since stays"]);
    let after = fs::read_to_string(&manifest).expect("a manifest");
    assert_eq!(after, "fx_version 'cerulean' server_script 'main.lua'\nversion '2'\n");
}

#[test]
fn what_is_not_understood_is_refused() {
    let folder = server(&[
        ("fine/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua'"),
        ("broken/fxmanifest.lua", "fx_version 'cerulean' server_script {"),
        ("map/fxmanifest.lua", "fx_version 'cerulean' this_is_a_map 'yes'"),
        ("js/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.js'"),
        ("late/fxmanifest.lua", "fx_version 'cerulean' shared_scripts { 'a.lua', '@tickscope/probe.lua' }"),
    ]);
    let root = folder.path();
    check_refused(&["install", "nowhere"], root, "there is no resource \"nowhere\"; there are: broken, fine");
    check_refused(&["install", "fine", "broken"], root, "broken: ");
    check_refused(&["install", "fine", "map"], root, "map: it has no script in Lua");
    check_refused(&["install", "js"], root, "js: it has no script in Lua");
    check_refused(&["install", "late"], root, "not as the first shared script");
    check_refused(&["install", "tickscope"], root, "name the resources to look into");
    check_refused(&["install", "fine"], &root.join("resources/fine"), "is one resource");
    check_refused(&["uninstall", "fine"], root, "nothing was taken out");

    fs::create_dir(root.join("resources/tickscope")).expect("a writable folder");
    fs::write(root.join("resources/tickscope/fxmanifest.lua"), "fx_version 'cerulean' name 'other'")
        .expect("a file");
    check_refused(&["install", "fine"], root, "is something else; move it away");
}
