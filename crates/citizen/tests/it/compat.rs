//! `docs/compat.md` says what the code says.

use crate::world::World;

#[test]
fn the_page_about_compatibility_is_that_of_the_code() {
    let server = World::new(&[("a/main.lua", "")]).start(&Default::default()).unwrap();
    let page = server.compatibility().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compat.md");
    if std::env::var_os("TICKSCOPE_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if committed != page {
        let differs = page.lines().zip(committed.lines().chain(std::iter::repeat(""))).find(|(a, b)| a != b);
        panic!(
            "docs/compat.md is old: run `cargo xtask bless -p tickscope-citizen`; first difference: {differs:?}"
        );
    }
}
