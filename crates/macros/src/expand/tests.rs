//! What stays and what is inherited. What is refused is tested with the compiler, in `tests/`; what is recorded in
//! `tickscope`.

use super::*;

#[track_caller]
fn expands(options: &str, item: &str) -> String {
    profile(options.parse().expect("tokens"), item.parse().expect("tokens")).expect("it is fine").to_string()
}

#[test]
fn what_is_skipped_stays_as_it_was() {
    let block = "impl Shop { const fn a() {} const B : u64 = 7 ; fn c() {} }";
    let skipped = block.replace("fn c", "#[profile(skip)] fn c");
    let plain: TokenStream = block.parse().expect("tokens");
    assert_eq!(expands("", &skipped), plain.to_string());
}

#[test]
fn a_methods_own_options_come_first() {
    let expanded = expands(
        "rate = 0.5, category = NET",
        "impl<T> Shop<T> { #[tickscope::profile(rate = 0.25, name = \"own\")] fn a(&self) {} fn b(&self) {} }",
    );
    assert!(expanded.contains("limited (0.25f64 , 0u64)") && expanded.contains("\"own\""), "{expanded}");
    assert!(expanded.contains("limited (0.5f64 , 0u64)") && expanded.contains("\"Shop::b\""), "{expanded}");
    assert_eq!(expanded.matches("NET").count(), 2, "{expanded}");
    assert!(!expanded.contains("tickscope :: profile"), "{expanded}");
}

#[test]
fn a_type_in_parentheses_has_a_name() {
    assert!(expands("", "impl (Shop) { fn a(&self) {} }").contains("\"Shop::a\""));
}

#[test]
fn durations_have_units() {
    for (text, nanos) in
        [("7ns", 7), ("7us", 7_000), ("7µs", 7_000), ("7 ms", 7_000_000), ("7s", 7_000_000_000_u64)]
    {
        let expanded = expands(&format!("min_duration = \"{text}\""), "fn f() {}");
        assert!(expanded.contains(&format!("limited (1f64 , {nanos}u64)")), "{expanded}");
    }
}
