//! The rewriting of MySQL's dialect: any text is SQLite's statements, or an error in words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope_sql::rewrite;

fuzz_target!(|statement: &str| {
    if let Err(error) = rewrite(statement) {
        assert!(!error.is_empty());
    }
});
