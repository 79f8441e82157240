//! C modules (`require "lfs"`) find Lua's functions in the executable, so the executable exports them.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os == "linux" {
        // Exported functions are kept by the linker although nothing in the executable calls them.
        println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic");
    }
}
