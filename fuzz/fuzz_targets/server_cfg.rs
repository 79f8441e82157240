//! The console's language: any bytes are commands of words, each on a line of the file, or lines told as broken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope_citizen::cfg::{broken_lines, commands, split, words};

fuzz_target!(|source: &[u8]| {
    let lines = source.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
    let broken: Vec<u32> = broken_lines(source).collect();
    assert!(broken.is_sorted() && broken.iter().all(|line| (1..=lines).contains(line)), "{broken:?} of {lines}");
    let mut last = 1;
    for command in commands(source) {
        assert!((last..=lines).contains(&command.line), "line {} behind {last}, of {lines}", command.line);
        assert!(!broken.contains(&command.line), "a command on a broken line");
        last = command.line;
        let words = words(command.text);
        assert!(!words.is_empty() && words.iter().all(|word| word.len() <= command.text.len()), "{words:?}");
        // what is one command is one command again
        assert_eq!(split(command.text), [command.text]);
    }
});
