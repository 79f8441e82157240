//! Categories: what kind of thing a span is, and the switch that turns the kind off at run time.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Number of a [`Category`] in the process-wide registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryId(pub u16);

/// A kind of span, with a description for those who choose which to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Short lower-case name; also the `kind` of a cause in a report.
    pub name: Cow<'static, str>,
    /// One line for `--help` and listings.
    pub description: Cow<'static, str>,
}

impl Category {
    /// Whether the name matches `pattern`, where `*` stands for any run of characters.
    pub fn matches(&self, pattern: &str) -> bool {
        glob(pattern.as_bytes(), self.name.as_bytes())
    }
}

macro_rules! well_known {
    ($($number:literal $constant:ident $name:literal $description:literal)*) => {
        impl CategoryId {
            $(#[doc = $description] pub const $constant: Self = Self($number);)*
        }
        const WELL_KNOWN: &[(&str, &str)] = &[$(($name, $description)),*];
    };
}

well_known! {
    0 DEFAULT "default" "Spans of a program that chose no category."
    1 TICK "tick" "One turn of a server's main loop."
    2 RESOURCE "resource" "Start or stop of a resource."
    3 THREAD "thread" "A slice of a script thread, from resume to yield."
    4 EVENT "event" "One event handler."
    5 EXPORT "export" "A call of another resource's export."
    6 TIMER "timer" "A callback of SetTimeout."
    7 COMMAND "command" "A console or chat command."
    8 NATIVE "native" "A call from script into the host."
    9 FUNCTION "function" "A script function."
    10 GC "gc" "Garbage collection."
    11 AWAIT "await" "A coroutine suspended until something answers."
    12 SLEEP "sleep" "A coroutine suspended for a chosen time."
    13 SQL "sql" "A database query, from request to answer."
    14 IO "io" "Waiting for a file, a socket or a lock."
    15 TASK "task" "A task of the scheduler."
    16 COROUTINE "coroutine" "A coroutine running on its thread, from resume to yield."
    17 METRIC "metric" "Counters."
    18 ERROR "error" "Errors that were reported."
    19 STATE_BAG "state_bag" "A handler of changes to a state bag."
    20 HTTP "http" "A request to or from another program, and what handles it."
    21 SCOPE "scope" "A stretch of work that a script named for the profiler."
    22 ENTRY "entry" "A call of a script by the program that embeds it."
    23 ANOMALY "anomaly" "Something that a script found worth a look."
    24 PROFILER "profiler" "What a script does with the samples it is given."
}

/// How many categories one process can name. The rest share [`CategoryId::DEFAULT`].
pub(crate) const MAX_CATEGORIES: usize = 1024;

/// The process-wide registry of categories: names are interned for ever, ids are stable in the process.
#[derive(Debug)]
pub struct Categories {
    dynamic: RwLock<Vec<Category>>,
}

static CATEGORIES: Categories = Categories { dynamic: RwLock::new(Vec::new()) };

impl Categories {
    /// The registry of this process.
    pub fn global() -> &'static Self {
        &CATEGORIES
    }

    /// The category called `name`, made if it is new; [`CategoryId::DEFAULT`] once the registry is full.
    pub fn intern(&self, name: &str, description: &str) -> CategoryId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let mut dynamic = self.dynamic.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = dynamic.iter().position(|category| category.name == name) {
            return CategoryId((WELL_KNOWN.len() + at) as u16);
        }
        if WELL_KNOWN.len() + dynamic.len() >= MAX_CATEGORIES {
            return CategoryId::DEFAULT;
        }
        dynamic.push(Category {
            name: Cow::Owned(name.to_owned()),
            description: Cow::Owned(description.to_owned()),
        });
        CategoryId((WELL_KNOWN.len() + dynamic.len() - 1) as u16)
    }

    /// The category called `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<CategoryId> {
        let known = WELL_KNOWN.iter().position(|(known, _)| *known == name);
        known
            .or_else(|| {
                let dynamic = self.dynamic.read().unwrap_or_else(PoisonError::into_inner);
                dynamic.iter().position(|category| category.name == name).map(|at| WELL_KNOWN.len() + at)
            })
            .map(|index| CategoryId(index as u16))
    }

    /// The category with that id.
    pub fn get(&self, id: CategoryId) -> Option<Category> {
        let index = usize::from(id.0);
        match WELL_KNOWN.get(index) {
            Some((name, description)) => {
                Some(Category { name: Cow::Borrowed(name), description: Cow::Borrowed(description) })
            }
            None => {
                let dynamic = self.dynamic.read().unwrap_or_else(PoisonError::into_inner);
                dynamic.get(index - WELL_KNOWN.len()).cloned()
            }
        }
    }

    /// Every category there is, in the order of their ids.
    pub fn list(&self) -> Vec<Category> {
        (0..).map_while(|id| self.get(CategoryId(id))).collect()
    }
}

/// Which categories are on: a bit each, switched while others read it.
///
/// A look costs one relaxed load. A switch is seen by other threads soon, not at once.
#[derive(Debug)]
pub struct CategorySet {
    words: [AtomicU64; MAX_CATEGORIES / 64],
}

impl CategorySet {
    /// Every category on, those not yet named included.
    pub const fn all() -> Self {
        Self { words: [const { AtomicU64::new(u64::MAX) }; MAX_CATEGORIES / 64] }
    }

    /// Whether spans of `id` are wanted.
    #[inline]
    pub fn contains(&self, id: CategoryId) -> bool {
        let (word, bit) = Self::place(id);
        self.words[word].load(Ordering::Relaxed) & bit != 0
    }

    /// Turns one category on or off.
    pub fn set(&self, id: CategoryId, on: bool) {
        let (word, bit) = Self::place(id);
        if on {
            self.words[word].fetch_or(bit, Ordering::Relaxed);
        } else {
            self.words[word].fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Turns on or off every category known now whose name matches `pattern`, where `*` stands for any run of
    /// characters. Returns how many matched.
    pub fn set_matching(&self, pattern: &str, on: bool) -> usize {
        let mut matched = 0;
        for (index, category) in Categories::global().list().iter().enumerate() {
            if category.matches(pattern) {
                self.set(CategoryId(index as u16), on);
                matched += 1;
            }
        }
        matched
    }

    fn place(id: CategoryId) -> (usize, u64) {
        let index = usize::from(id.0) % MAX_CATEGORIES;
        (index / 64, 1 << (index % 64))
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        Some((byte, rest)) => text.first() == Some(byte) && glob(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_ids_are_their_places() {
        let categories = Categories::global();
        assert_eq!(categories.find("native"), Some(CategoryId::NATIVE));
        assert_eq!(categories.find("error"), Some(CategoryId::ERROR));
        assert_eq!(categories.get(CategoryId::TICK).unwrap().name, "tick");
    }

    #[test]
    fn interning_is_stable_and_listed_with_its_description() {
        let categories = Categories::global();
        let net = categories.intern("test.net", "packets");
        assert_eq!(categories.intern("test.net", "something else"), net);
        assert_eq!(categories.list()[usize::from(net.0)].description, "packets");
    }

    #[test]
    fn globs_switch_categories() {
        let (one, two) =
            (Categories::global().intern("glob.one", ""), Categories::global().intern("glob.two", ""));
        let set = CategorySet::all();
        assert_eq!(set.set_matching("glob.*", false), 2);
        assert_eq!(set.set_matching("*.two", true), 1);
        assert!(!set.contains(one) && set.contains(two));
    }
}
