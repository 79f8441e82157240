//! Programs to which bad things happen while they are recorded: they do what they do alone. See `tests/data/c/trouble.c`.

use std::process::Command;

use super::hostile::{LUAS, reports};
use super::record::{conserved, functions, installed, record, report, same};

#[test]
fn a_program_that_filters_its_system_calls_is_recorded_until_then() {
    for way in ["filter-outside", "filter-inside"] {
        for report in reports("trouble.c", way, &LUAS) {
            conserved(&report, 1);
            assert!(functions(&report).iter().any(|name| name == "main chunk"), "{way}: {report}");
        }
    }
}

/// 5.4 only: 5.1 has no collection for want of memory, and whether it finds any afterwards is chance.
#[test]
fn a_program_without_memory_goes_on() {
    reports("trouble.c", "no-memory", &LUAS[1..]).iter().for_each(|report| conserved(report, 1));
}

/// They write into their parent's rings, so that what is recorded is not to be believed; but they run.
#[test]
fn children_past_the_c_library_run() {
    reports("trouble.c", "bare-clone", &LUAS);
}

#[test]
fn a_program_may_close_every_descriptor() {
    reports("trouble.c", "close-all", &LUAS).iter().for_each(|report| conserved(report, 1));
}

#[test]
fn threads_that_are_cancelled_end_as_they_do_alone() {
    reports("trouble.c", "cancelled", &LUAS).iter().for_each(|report| conserved(report, 1));
}

#[test]
fn a_thread_that_blocks_signals_has_none_of_ours_pending() {
    reports("trouble.c", "blocked-signals", &LUAS).iter().for_each(|report| conserved(report, 1));
}

/// Without the look at whether there is any, this takes minutes.
#[test]
fn without_writable_code_the_program_runs_unrecorded() {
    // SAFETY: numbers only; PR_GET_MDWE changes nothing.
    if unsafe { libc::prctl(66, 0, 0, 0, 0) } < 0 {
        eprintln!("skipped: memory that is never executable: Linux before 6.3 has no PR_SET_MDWE");
        return;
    }
    let recorded = reports("trouble.c", "no-writable-code", &LUAS[1..]);
    assert!(recorded.iter().all(|report| functions(report).is_empty()), "{recorded:?}");
}

const PROGRAM: &str = "local function work(n) local s = 0 for i = 1, n do s = s + i end return s end
local t = {} for i = 1, 2000 do t[i] = work(100) end print('sum', #t, work(10))";

#[test]
fn what_is_preloaded_already_stays() {
    if !installed("lua5.4") || !installed("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("program.lua"), PROGRAM).unwrap();
    let other = folder.path().join("other.so");
    let source = "#include <unistd.h>\n__attribute__((constructor)) static void here(void)
        { if (write(1, \"here too\\n\", 9) != 9) _exit(9); }";
    std::fs::write(folder.path().join("other.c"), source).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "other.c", "-o"]).arg(&other).current_dir(folder.path());
    assert!(compiler.status().unwrap().success());
    // By name, so that only the Lua and not the command that records has it as well.
    let words = ["env", "lua5.4", "program.lua"];
    let mut plain = Command::new(words[0]);
    plain.args(&words[1..]).current_dir(folder.path()).env("LD_PRELOAD", &other);
    let plain = plain.output().unwrap();
    let mut recorded = record(folder.path(), &["--depth", "trace"], &words);
    let recorded = recorded.env("LD_PRELOAD", &other).output().unwrap();
    // Once more for the command itself, which got it as we asked.
    let text = String::from_utf8_lossy(&recorded.stdout);
    assert_eq!(
        text.matches("here too").count(),
        1 + String::from_utf8_lossy(&plain.stdout).matches("here too").count()
    );
    assert!(text.ends_with("sum\t2000\t55\n"), "{text}");
    let report = report(&folder.path().join("run.perfetto-trace"));
    conserved(&report, 0);
    assert!(functions(&report).iter().any(|name| name == "work"));
}

#[test]
fn without_room_for_records_the_program_runs_and_why_is_said() {
    if !installed("lua5.4") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("program.lua"), PROGRAM).unwrap();
    let words = ["lua5.4", "program.lua"];
    let plain = Command::new(words[0]).args(&words[1..]).current_dir(folder.path()).output().unwrap();
    for size in ["4k", "64k", "500k", "3m"] {
        // A file system of its own, which only this command and what it starts see.
        let inner = record(folder.path(), &["--depth", "trace"], &words);
        let mut outer = Command::new("unshare");
        let mount = format!("mount -t tmpfs -o size={size} none /dev/shm || exit 77; exec \"$@\"");
        outer.args(["--mount", "sh", "-c", &mount, "sh"]).arg(inner.get_program()).args(inner.get_args());
        let Ok(output) = outer.current_dir(folder.path()).output() else {
            println!("skipped: there is no unshare");
            return;
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        if errors.starts_with("unshare:") || output.status.code() == Some(77) {
            println!("skipped: a full /dev/shm: mounting one takes root");
            return;
        }
        same(&output, &plain);
        assert!(errors.contains("/dev/shm has no room left"), "{size}: {errors}");
        assert!(errors.contains("--shm-size"), "{size}: {errors}");
    }
}
