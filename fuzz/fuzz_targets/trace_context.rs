//! Headers of distributed traces: any text is one or none, and what was read is written so that it is read again.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use tickscope::{Baggage, ContextError, TraceContext, TraceState};

fn check<T: FromStr<Err = ContextError> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(read) => assert_eq!(read.to_string().parse().as_ref(), Ok(&read)),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}

fuzz_target!(|text: &str| {
    check::<TraceContext>(text);
    check::<TraceState>(text);
    check::<Baggage>(text);
});
