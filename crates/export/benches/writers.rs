//! What a span costs in each format, beside serde_json's derived Chrome JSON.

fn main() {}
