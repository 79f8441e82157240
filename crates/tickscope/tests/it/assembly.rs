//! What is not compiled in leaves no instruction behind.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate as cargo built it for this test: the newest one beside it.
fn library() -> Option<(PathBuf, PathBuf)> {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libtickscope-") && name.ends_with(".rlib")
    };
    let files = std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path());
    let newest =
        files.filter(is_ours).max_by_key(|path| path.metadata().and_then(|known| known.modified()).ok());
    Some((folder, newest?))
}

/// The instructions of `work`, compiled with `--cfg how`.
fn instructions(how: &str) -> Vec<String> {
    let (folder, library) = library().expect("cargo builds the crate before its tests");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("work-{how}.s"));
    let argument = |name: &str, path: &Path| {
        let mut argument = std::ffi::OsString::from(name);
        argument.push(path);
        argument
    };
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assembly/work.rs"))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "asm",
            "-C",
            "opt-level=3",
            "--cfg",
            how,
        ])
        .args([argument("--extern=tickscope=", &library), argument("-Ldependency=", &folder)])
        .arg("-o")
        .arg(&out)
        .output()
        .expect("rustc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&out).expect("rustc wrote it");
    let body = text.lines().skip_while(|line| *line != "work:").skip(1);
    let body = body.take_while(|line| !line.contains(".cfi_endproc") && !line.starts_with(".Lfunc_end"));
    let is_instruction = |line: &&str| !line.trim_start().starts_with(['.', '#']) || line.starts_with(".LBB");
    let instructions: Vec<String> = body.filter(is_instruction).map(str::to_owned).collect();
    assert!(instructions.len() > 5, "{how}: no body of `work` in\n{text}");
    instructions
}

#[test]
#[cfg(not(feature = "verbose"))]
fn what_is_not_compiled_in_has_the_instructions_of_nothing() {
    let bare = instructions("bare");
    assert_eq!(instructions("macros"), bare);
    if cfg!(feature = "profile") {
        assert_eq!(instructions("attribute"), bare);
    }
    assert_ne!(instructions("recorded"), bare, "what is compiled in does show");
}
