//! What somebody reads who wrote the attribute wrong: the compiler's own words.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The macro crate as cargo built it for this test: the newest one beside it.
fn macros() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?;
    let folder = std::fs::read_dir(beside.parent()?).ok()?.flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(std::env::consts::DLL_PREFIX)
            && name.contains("tickscope_macros-")
            && name.ends_with(std::env::consts::DLL_SUFFIX)
    };
    folder.filter(is_ours).max_by_key(|path| path.metadata().and_then(|known| known.modified()).ok())
}

#[test]
fn what_is_refused_is_said_where_it_stands() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut extern_macros = std::ffi::OsString::from("tickscope_macros=");
    extern_macros.push(macros().expect("cargo builds the crate before its tests"));
    let output = Command::new(rustc)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui"))
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--out-dir"])
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .args(["--color", "never", "-A", "warnings", "--extern"])
        .arg(extern_macros)
        .arg("refused.rs")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    insta::assert_snapshot!(said);
}
