//! The libraries that tests load: one in Rust, several of one source in C. Tests of the command use them too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// This package's folder, from whichever package of the workspace.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin")
}

/// The plugin in `tests/plugin`, built once.
pub fn rust() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "--offline", "--manifest-path"]);
        command.arg(here().join("tests/plugin/Cargo.toml")).arg("--target-dir").arg(&target);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target.join("debug/libodd_sink.so")
    };
    BUILT.get_or_init(build).clone()
}

/// `tests/data/sink.c` with `defines`, in `folder`.
pub fn c(folder: &Path, name: &str, defines: &[&str]) -> PathBuf {
    let library = folder.join(format!("lib{name}.so"));
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]);
    command.args(["-O1", "-I"]).arg(here().join("../abi/include"));
    command.args(defines.iter().map(|define| format!("-D{define}")));
    command.arg(here().join("tests/data/sink.c")).arg("-o").arg(&library);
    let output = command.output().expect("a C compiler is needed to build Tickscope");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}
