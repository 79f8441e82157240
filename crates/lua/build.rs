//! Builds Lua 5.4 with the seed of its string hashes taken from this crate.
//!
//! Lua asks the macro `luai_makeseed` for the seed of a new machine; by default that mixes addresses and the time. The
//! sources let whoever compiles them define the macro, and the C compiler's flags are the way to it.

use std::path::Path;
use std::{env, fs};

const HEADER: &str = "\
/* Included before each file of Lua. */
extern unsigned int tickscope_lua_hash_seed(void);
#define luai_makeseed(L) ((void)(L), tickscope_lua_hash_seed())
";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let header = Path::new(&folder).join("seed.h");
    fs::write(&header, HEADER).expect("OUT_DIR can be written");

    let flag = if target.contains("msvc") { "/FI" } else { "-include " };
    let header = header.display().to_string().replace('\'', r"'\''");
    // The most specific of the variables that the C compiler's driver looks at; what the user set stays in force.
    let variable = format!("CFLAGS_{}", target.replace('-', "_"));
    let dashed = format!("CFLAGS_{target}");
    let names = [&*dashed, &*variable, "TARGET_CFLAGS", "CFLAGS"];
    let theirs = names.iter().find_map(|name| env::var(name).ok()).unwrap_or_default();
    // SAFETY: a build script has one thread here.
    unsafe {
        env::set_var("CC_SHELL_ESCAPED_FLAGS", "1");
        env::set_var(&dashed, format!("{theirs} {flag}'{header}'"));
    }
    let lua = lua_src::Build::new().build(lua_src::Lua54);
    println!("cargo:rustc-link-search=native={}", lua.lib_dir().display());
    for library in lua.libs() {
        // Whole: the functions that call into it stand in another crate, which the linker may see later.
        println!("cargo:rustc-link-lib=static:+whole-archive={library}");
    }
}
