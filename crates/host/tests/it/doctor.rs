//! `tickscope doctor`: what it finds in real programs, and what it says of what cannot be recorded.

use std::process::{Command, Stdio};

use crate::record::installed;

fn doctor(words: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope")).arg("doctor").args(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (text.into_owned(), output.status.code())
}

#[track_caller]
fn check(words: &[&str], code: i32, wanted: &[&str]) {
    let (text, found) = doctor(words);
    assert_eq!(found, Some(code), "{text}");
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is missing:\n{text}");
    }
}

#[test]
fn the_machine_is_looked_at() {
    check(&[], 0, &["this machine\n", "ok    the agent is /", "/dev/shm has room for "]);
}

#[test]
fn a_lua_is_found_where_it_is() {
    let programs = [
        ("lua5.1", "Lua 5.1.5 in /"),
        ("lua5.4", "Lua 5.4.4 in /usr/bin/lua5.4: depths boundary, sample and trace"),
        ("haproxy", "Lua 5.3.6 in /"),
        ("redis-server", "Lua 5.1.5 in /usr/bin/redis-"),
    ];
    for (program, wanted) in programs.into_iter().filter(|(program, _)| installed(program)) {
        check(&["--", program, "-any", "--argument"], 0, &[wanted]);
    }
    if installed("prosody") {
        check(&["--", "prosody"], 0, &["prosody is a script, run by lua5.4", "Lua 5.4.4 in /usr/bin/lua5.4"]);
    }
}

#[test]
fn a_process_is_looked_into() {
    if !installed("lua5.4") {
        return;
    }
    let mut process = Command::new("lua5.4").args(["-e", "io.read()"]).stdin(Stdio::piped()).spawn().unwrap();
    let pid = process.id().to_string();
    check(&["--pid", &pid], 0, &["runs /usr/bin/lua5.4", "Lua 5.4.4 in /usr/bin/lua5.4"]);
    drop(process.stdin.take());
    process.wait().unwrap();
    check(&["--pid", &pid], 1, &[&format!("there is no process {pid}")]);
}

#[test]
fn what_has_nothing_to_record_is_said() {
    check(&["--", "true"], 1, &["no Lua and no Mono in /usr/bin/true and its "]);
    check(&["--", "no-such-program"], 1, &["no folder of PATH has a program no-such-program"]);
    check(&["--", "./no/such/program"], 1, &["there is no program ./no/such/program"]);
    check(&["--", "/etc/passwd"], 1, &["cannot look into /etc/passwd"]);
}

#[test]
fn a_static_program_takes_no_agent() {
    if !installed("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.c"), "int main(void) { return 0; }").unwrap();
    let built =
        Command::new("cc").args(["-static", "-o", "a", "a.c"]).current_dir(folder.path()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    check(&["--", folder.path().join("a").to_str().unwrap()], 1, &["linked statically"]);
}
