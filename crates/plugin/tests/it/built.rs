//! The libraries that tests load: one in Rust, several of one example in C. Tests of the command use them too.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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

/// `plugins/c-example`, with fields of its table set otherwise (`major = 2`), or with a `constructor`, in `folder`.
pub fn c(folder: &Path, name: &str, fields: &[&str]) -> PathBuf {
    let example = here().join("../../plugins/c-example/sink.c");
    let mut source = std::fs::read_to_string(example).unwrap();
    for field in fields {
        let (field, value) = field.split_once(" = ").unwrap();
        if field == "constructor" {
            let constructor =
                format!("__attribute__((constructor)) static void constructed(void) {{ {value}; }}\n");
            source.push_str(&constructor);
            continue;
        }
        let set = format!("    .{field} = ");
        let begin = source.find(&set).unwrap() + set.len();
        let end = begin + source[begin..].find(",\n    .").unwrap();
        source.replace_range(begin..end, value);
    }
    let library = folder.join(format!("lib{name}.so"));
    // A function that is not in the table any more.
    let unused = if fields.is_empty() { "-Wunused-function" } else { "-Wno-unused-function" };
    compile(&source, &library, &["cc", "-x", "c", "-std=c11", unused]);
    library
}

/// `source` as a plugin, by a compiler that lets nothing pass.
pub fn compile(source: &str, library: &Path, compiler: &[&str]) {
    let mut command = Command::new(compiler[0]);
    command.args(["-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"]).args(&compiler[1..]);
    command.arg("-I").arg(here().join("../abi/include")).arg("-o").arg(library).arg("-");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
