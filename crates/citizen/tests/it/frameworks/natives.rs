//! The natives that the frameworks of real servers call on the server, by name in `tests/data/framework-natives.txt`.

use crate::world::World;

const NAMES: &str = include_str!("../../data/framework-natives.txt");

/// How many of them may do nothing, each with a reason.
const NEUTRAL: usize = 25;

#[test]
fn what_frameworks_call_does_something_or_says_why_not() {
    let server = World::new(&[("a/main.lua", "")]).start(&Default::default()).unwrap();
    let page = server.compatibility().unwrap();
    let mut neutral = Vec::new();
    for name in NAMES.lines() {
        let row = page.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let cells: Vec<_> =
            row.unwrap_or_else(|| panic!("{name} is not known")).split('|').map(str::trim).collect();
        match cells[2] {
            "exact" | "approximated" => {}
            "neutral" if !cells[3].is_empty() => neutral.push(name),
            other => panic!("{name} is {other}, and no reason is given"),
        }
    }
    assert!(neutral.len() <= NEUTRAL, "{} do nothing: {neutral:?}", neutral.len());
}
