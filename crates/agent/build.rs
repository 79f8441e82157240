//! Has the library ask for nothing but a C library, so that one file works with glibc and with musl.
//!
//! A Rust library for glibc names three files it needs. musl takes `libc.so.6` for itself, but has neither of the
//! others: `libgcc_s.so.1`, the unwinder, and glibc's loader. So the linker is led to two scripts before it comes to the
//! libraries that rustc asks for. In place of `libgcc_s` there is the same unwinder as an archive, of which nothing is
//! exported; and in place of `libc` is glibc without its loader, whose one function, `__tls_get_addr`, every process has.
//! References to glibc's functions keep their versions, which musl does not look at.
//!
//! What the library then still asks for must be in both C libraries: see `src/libc.rs`, and `cargo xtask test --only agent`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Of GCC: the unwinder, and what it and compiled code call.
const UNWINDER: [&str; 2] = ["libgcc_eh.a", "libgcc.a"];
/// Of glibc: what is shared, and what is linked into each.
const C_LIBRARY: [&str; 2] = ["libc.so.6", "libc_nonshared.a"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let is = |variable: &str, wanted: &str| env::var(variable).is_ok_and(|found| found == wanted);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    match (find(&UNWINDER), find(&C_LIBRARY)) {
        (Some(unwinder), Some(c_library)) => {
            script(&folder.join("libgcc_s.so"), &unwinder);
            script(&folder.join("libc.so"), &c_library);
            // Looked into before the compiler's own folders. Only for this library: nothing else is linked so.
            println!("cargo:rustc-cdylib-link-arg=-L{}", folder.display());
        }
        _ => println!(
            "cargo:warning=the C compiler has no {}: the agent is linked for glibc alone",
            [UNWINDER, C_LIBRARY].concat().join(", ")
        ),
    }
}

/// Where the C compiler, which rustc links with, has these files.
fn find(names: &[&str]) -> Option<Vec<PathBuf>> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let find = |name: &&str| {
        let output = Command::new(&linker).arg(format!("-print-file-name={name}")).output().ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        // A name that it does not know is given back as it was.
        path.is_absolute().then_some(path)
    };
    names.iter().map(find).collect()
}

/// A library that consists of others.
fn script(path: &Path, of: &[PathBuf]) {
    let names: Vec<String> = of.iter().map(|path| format!("\"{}\"", path.display())).collect();
    fs::write(path, format!("GROUP({})\n", names.join(" "))).expect("OUT_DIR can be written");
}
