//! What the fuzz target of the configuration feeds.

use std::path::Path;

use super::document::{Document, Value};
use super::{Config, show};

/// Any bytes are a configuration, or mistakes, each in one line at its place.
pub(crate) fn read(text: &[u8]) {
    let file = "tickscope.toml";
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let config = match Document::parse(Path::new(file), text) {
        Ok(document) => Config::of(document),
        Err(mistakes) => Config { mistakes, ..Config::default() },
    };
    for mistake in &config.mistakes {
        assert!(!mistake.contains(char::is_control), "{mistake:?}");
        let place = mistake.strip_prefix(&format!("{file}:")).expect(mistake);
        if place.ends_with(" more mistakes") {
            continue;
        }
        let (line, rest) = place.split_once(':').expect(mistake);
        assert!((1..=lines).contains(&line.parse().expect(mistake)), "{mistake}");
        let (column, said) = rest.split_once(": ").expect(mistake);
        assert!(column.parse::<usize>().expect(mistake) >= 1 && !said.is_empty(), "{mistake}");
    }
    if config.mistakes.is_empty() {
        shown(&config);
    }
}

/// What is shown of each sink says the same when it is read.
fn shown(config: &Config) {
    for section in &config.sections {
        let mut text = String::from("[sinks.it]\n");
        for (key, value) in &section.options {
            text.push_str(&format!("{}\n", show::set(&key.name, &json(value))));
        }
        let again = Document::parse(Path::new("shown.toml"), text.as_bytes());
        let again = Config::of(again.unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}")));
        assert_eq!(again.mistakes, [""; 0], "{text}");
        let all = |config: &super::Section| {
            let mut all: Vec<_> =
                config.options.iter().map(|(key, value)| (key.name.clone(), json(value))).collect();
            all.sort_by(|one, other| one.0.cmp(&other.0));
            all
        };
        assert_eq!(all(&again.sections[0]), all(section), "{text}");
    }
}

fn json(value: &Value) -> serde_json::Value {
    value.json("it", &mut std::collections::BTreeMap::new())
}
