//! The natives that the frameworks of real servers call on the server, by name in `tests/data/framework-natives.txt`.

use std::collections::BTreeMap;

use crate::world::World;

const NAMES: &str = include_str!("../../data/framework-natives.txt");

/// How many of them may do nothing, each with a reason of its own.
const NEUTRAL: usize = 25;

/// The rows of the page about compatibility: what is said of each native, and why.
fn rows(page: &str) -> BTreeMap<&str, (&str, &str)> {
    let (_, natives) = page.split_once("## Natives").unwrap();
    let cells = natives.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells.len() >= 2)
        .map(|cells| (cells[0], (cells[1].trim_end_matches(" |"), cells.get(2).copied().unwrap_or(""))))
        .collect()
}

#[test]
fn what_frameworks_call_does_something_or_says_why_not() {
    let server = World::new(&[("a/main.lua", "")]).start(&Default::default()).unwrap();
    let page = server.compatibility().unwrap();
    let rows = rows(&page);
    let names: Vec<_> = NAMES.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(names.len() >= 124 && names.is_sorted(), "{} names", names.len());
    let mut neutral = BTreeMap::new();
    for name in names {
        match rows.get(name) {
            Some(("exact" | "approximated", _)) => {}
            Some(("neutral", reason)) if !reason.is_empty() => {
                let other = neutral.insert(*reason, name);
                assert_eq!(other, None, "{name} has the same reason");
                let others = rows.iter().find(|(of, row)| **of != name && row.1 == *reason);
                assert_eq!(others, None, "the reason of {name} is not its own");
            }
            other => panic!("{name} is {other:?}"),
        }
    }
    assert!(neutral.len() <= NEUTRAL, "{} do nothing: {neutral:?}", neutral.len());
}

#[test]
fn what_does_nothing_says_why() {
    let server = World::new(&[("a/main.lua", "")]).start(&Default::default()).unwrap();
    let page = server.compatibility().unwrap();
    let silent: Vec<_> =
        rows(&page).into_iter().filter(|(_, row)| row.0 == "neutral" && row.1.is_empty()).collect();
    assert_eq!(silent, [], "no reason is given");
}
