//! Files that are no sink: each is refused in one line that says what to do.

use std::path::Path;

use tickscope_plugin::{Plugin, SearchPath};

use crate::built;

#[track_caller]
fn refused(file: &Path, expected: &str) {
    let error = Plugin::load(file).unwrap_err().to_string();
    assert_eq!(error, format!("{}: {expected}", file.display()));
    assert!(!error.contains('\n') && error.len() < 400, "{error}");
}

#[test]
fn tables_of_other_versions() {
    let folder = tempfile::tempdir().unwrap();
    let c = |name: &str, fields: &[&str]| built::c(folder.path(), name, fields);
    let none = folder.path().join("libnone.so");
    built::compile("int nothing;", &none, &["cc", "-x", "c"]);
    refused(
        &none,
        "it exports no `tickscope_sink`, so it is no sink; in Rust tickscope_abi::export_sink! makes one, in C the \
         table of tickscope_sink.h",
    );
    refused(
        &c("newer", &["major = 2"]),
        "it is made for version 2.0 of the table, this host for 1.0: take a newer tickscope",
    );
    refused(
        &c("older", &["major = 0"]),
        "it is made for version 0.0 of the table, this host for 1.0: build it against a newer tickscope-abi",
    );
    refused(
        &c("minor", &["minor = 1"]),
        "it needs version 1.1 of the table, this host has 1.0: take a newer tickscope, or build it with \
         version 1.0 of the table",
    );
    let layout = tickscope_abi::layout();
    refused(
        &c("layout", &["layout = 7"]),
        &format!(
            "its structures lie otherwise than version 1.0 says (layout 0x0000000000000007, expected {layout:#018x}): \
             build it against the unchanged header or tickscope-abi"
        ),
    );
    refused(
        &c("short", &["size = 40"]),
        "its table has 40 bytes, that of version 1.0 has 152: build it against the unchanged header or tickscope-abi",
    );
    refused(
        &c("magic", &["magic = 1"]),
        "its `tickscope_sink` is no table of a sink (it begins with 0x0000000000000001): build it with version \
         1.0 of the table",
    );
    refused(&c("nobatch", &["batch = NULL"]), "its table has no `batch`: fill it in");
    refused(
        &c("name", &[r#"name = TICKSCOPE_TEXT("My Sink")"#]),
        "its table's `name` is no name: expected lower-case letters, digits, - and _",
    );
    refused(
        &c("schema", &[r#"schema = TICKSCOPE_TEXT("{\"type\":\"object\",\"oneOf\":[]}")"#]),
        "the schema of its options cannot be used: the top has `oneOf`, which is not known; see docs/plugins.md",
    );
}

#[test]
fn files_that_are_no_library_for_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read(built::c(folder.path(), "good", &[])).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    refused(
        &file("text.so", b"# a text\n"),
        "it is no shared library, its first bytes are \"# a text\"; expected a file such as libmy_sink.so",
    );
    refused(
        &file("empty.so", b""),
        "it is no shared library, its first bytes are \"\"; expected a file such as libmy_sink.so",
    );
    let mut object = good.clone();
    object[16] = 1;
    refused(
        &file("object.so", &object),
        "it is an ELF file that is no shared object; expected a shared library, such as `cc -shared` and crate-type \
         cdylib make",
    );
    let mut other = good.clone();
    other[18] = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    let (found, here) = match std::env::consts::ARCH {
        "aarch64" => ("x86_64", "aarch64"),
        here => ("aarch64", here),
    };
    refused(
        &file("arm.so", &other),
        &format!("it is built for {found}, this program for {here}: build it for {here}"),
    );
    refused(&file("head.so", &good[..40]), "it is cut off at 40 of at least 64 bytes: copy it again");
    // Every length: one that is loaded although it is cut kills this process.
    for length in (64..good.len()).step_by(97) {
        // A name of its own each: what is loaded is mapped, and must not be written to.
        let path = file(&format!("cut.so.{length}"), &good[..length]);
        if let Err(error) = Plugin::load(&path) {
            assert!(error.to_string().contains("it is cut off at "), "{error}");
        }
    }
    let gone = folder.path().join("gone.so");
    assert!(Plugin::load(&gone).unwrap_err().to_string().contains("cannot read it: No such file"));
    assert!(Plugin::load(folder.path()).unwrap_err().to_string().contains("cannot read it: "));
    let program = std::env::current_exe().unwrap();
    let error = Plugin::load(&program).unwrap_err().to_string();
    assert!(error.contains("the system does not load it: "), "{error}");
}

#[test]
fn names_are_looked_up_in_the_folders_in_order() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let used = built::c(first.path(), "c_count", &[]);
    built::c(second.path(), "c_count", &[r#"name = TICKSCOPE_TEXT("hidden")"#]);
    let only = built::c(second.path(), "tickscope_other", &[r#"name = TICKSCOPE_TEXT("other")"#]);
    std::fs::write(second.path().join("libbad.so"), "bad").unwrap();
    std::fs::write(second.path().join("README.md"), "no library").unwrap();
    let path = SearchPath(vec![first.path().into(), second.path().into(), "/nowhere/at/all".into()]);

    assert_eq!(path.file("c-count").unwrap(), used);
    assert_eq!(path.file("other").unwrap(), only);
    let error = path.file("prometheus").unwrap_err().to_string();
    assert!(
        error.starts_with("there is no sink \"prometheus\"; looked for libprometheus.so and "),
        "{error}"
    );

    assert!(error.contains("/nowhere/at/all (not there); "), "{error}");
    let error = path.choose("=limit=3").unwrap_err().to_string();
    assert!(error.starts_with("a sink without a name; expected NAME, "), "{error}");

    // As lists show it, whatever its file is called.
    assert_eq!(path.find("hidden", None).unwrap().file, second.path().join("libc_count.so"));
    assert!(path.find("prometheus", None).is_err());

    let found = path.list(None);
    let told: Vec<_> = found
        .iter()
        .map(|found| match &found.plugin {
            Ok(plugin) => (plugin.name.as_str(), found.hidden_by.is_some()),
            Err(_) => ("refused", false),
        })
        .collect();
    assert_eq!(told, [("c-count", false), ("refused", false), ("hidden", true), ("other", false)]);

    let chosen = path.choose("c-count=loud=true").unwrap();
    assert_eq!(chosen.options, r#"{"loud":true}"#);
    let error = path.choose("c-count=loud=very").unwrap_err().to_string();
    assert_eq!(error, "options of c-count: loud: expected a boolean, found \"very\"");
    let odd = second.path().join("a=b");
    std::fs::create_dir(&odd).unwrap();
    let inside = built::c(&odd, "c_count", &[]);
    let asked = format!("{}=loud=true", inside.display());
    assert_eq!(tickscope_plugin::split(&asked), (inside.to_str().unwrap(), "loud=true"));
    assert_eq!(path.choose(&asked).unwrap().options, r#"{"loud":true}"#);
    assert_eq!(tickscope_plugin::split("otlp=http://a/?b=c"), ("otlp", "http://a/?b=c"));
    let mut twice = [chosen.clone(), path.choose("other").unwrap(), chosen];
    tickscope_plugin::number(&mut twice);
    assert_eq!(twice.map(|chosen| chosen.name), ["c-count", "other", "c-count 2"]);
}

#[test]
fn what_everybody_may_write_to_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let library = built::c(folder.path(), "c_count", &[]);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(folder.path(), 0o755);
    assert_eq!(tickscope_plugin::warning(&library), None);
    mode(folder.path(), 0o777);
    let warning = tickscope_plugin::warning(&library).unwrap();
    let real = folder.path().canonicalize().unwrap();
    assert!(warning.ends_with(&format!("chmod o-w {}", real.display())), "{warning}");
}
