//! `#[tickscope::profile]`. Use it from the `tickscope` crate.

use proc_macro::TokenStream;

mod expand;
mod options;

/// Records each call of a function, a method, or all methods of an `impl` block.
///
/// | option | |
/// |---|---|
/// | `name = "…"` | the span's name: the function's whole path unless given, `Type::method` in an `impl` that has the attribute |
/// | `category = NET` | a `Category` or `CategoryId`; `CategoryId::FUNCTION` unless given, `TASK` for `async` |
/// | `level = Level::Verbose` | compiled in by the feature of that `Level` only |
/// | `rate = 0.1` | which share of the calls is recorded: here each tenth. What they call is recorded nevertheless |
/// | `min_duration = "1ms"` | shorter calls are counted and not written, unless something was recorded inside. Units: `ns`, `us`, `ms`, `s`. Not for `async` |
/// | `args(player, items = items.len())` | arguments of the span, evaluated when it is recorded |
/// | `skip` | on a method of an `impl` that has the attribute: not recorded |
///
/// Options of an `impl` hold for its methods, `min_duration` for those that are not `async`; a method's own come first. `rate` and `min_duration` can be changed while
/// the program runs: `tickscope::probes()`.
///
/// An `async` function is recorded as `trace_future!` records a future: time running and time waiting.
#[proc_macro_attribute]
pub fn profile(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::profile(options.into(), item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}
