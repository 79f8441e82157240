//! Which spans are written.

use tickscope_abi::Names;

use crate::spans::Span;

/// Categories that are looked at once: there are a few, and one that nobody defined has an empty name and any number.
const MAX_CATEGORIES: usize = 1 << 16;

/// Which spans a plugin writes, as its options `categories` and `min_duration_us` say.
#[derive(Debug, Default)]
pub struct Wanted {
    categories: Vec<String>,
    min_duration_us: u64,
    /// By category. `None`: not looked at yet.
    known: Vec<Option<bool>>,
}

impl Wanted {
    /// Spans of these categories; all but `function` when there are none. Shorter ones are left out.
    pub fn new(categories: Vec<String>, min_duration_us: u64) -> Self {
        Self { categories, min_duration_us, known: Vec::new() }
    }

    /// Whether spans of the category are written, if they are long enough.
    pub fn category(&mut self, category: u32, names: &Names) -> bool {
        let at = category as usize;
        if let Some(Some(wanted)) = self.known.get(at) {
            return *wanted;
        }
        let name = &*names.category(category).name;
        let wanted = match &self.categories[..] {
            [] => name != "function",
            some => some.iter().any(|category| category == name),
        };
        if at < MAX_CATEGORIES {
            self.known.resize(self.known.len().max(at + 1), None);
            self.known[at] = Some(wanted);
        }
        wanted
    }

    /// Whether the span is written. Of one whose begin was not seen nobody knows the kind: it is, where all are.
    pub fn span(&mut self, span: &Span, names: &Names) -> bool {
        let wanted = match span.category {
            Some(category) => self.category(category, names),
            None => self.categories.is_empty(),
        };
        wanted && span.duration_ns() / 1_000 >= self.min_duration_us
    }
}
