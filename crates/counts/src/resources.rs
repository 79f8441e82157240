//! What is counted by resource, under a bounded number of labels.

use std::collections::{HashMap, HashSet};

use tickscope_abi::Names;

/// Kinds of spans that are counted as calls: what hosts start, and natives.
pub const CALLS: [&str; 11] = [
    "resource",
    "thread",
    "event",
    "export",
    "timer",
    "command",
    "native",
    "state_bag",
    "http",
    "entry",
    "task",
];

/// The label of all resources beyond the limit.
pub const OTHER: &str = "other";
/// The label of what no resource does: the server itself.
pub const HOST: &str = "(host)";
/// Bytes of a label.
const MAX_LABEL: usize = 128;

/// What one resource did.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    /// Its label.
    pub name: String,
    /// Nanoseconds that its code ran, natives it called and garbage collection included, other resources not.
    pub running_ns: u64,
    /// Nanoseconds of these in garbage collection.
    pub gc_ns: u64,
    /// Bytes that its code allocated; only grows.
    pub allocated: u64,
    /// The same before it is settled. What a span told too much, its caller takes back.
    unsettled: i64,
    changed: bool,
    /// Bytes of its Lua heaps, where it told.
    pub heap: Option<u64>,
    /// Errors that were reported.
    pub errors: u64,
    /// Spans begun, by kind: in the order of [`CALLS`].
    pub calls: [u64; CALLS.len()],
}

/// All resources, in the order they came.
#[derive(Debug)]
pub struct Resources {
    limit: usize,
    list: Vec<Resource>,
    by_label: HashMap<String, usize>,
    /// Of each symbol, once it is known.
    by_symbol: Vec<Option<usize>>,
    beyond: HashSet<Box<str>>,
    /// Places of those that allocated since it was settled.
    changed: Vec<usize>,
}

impl Resources {
    /// Tells `limit` resources apart.
    pub fn new(limit: usize) -> Self {
        let mut resources = Self {
            limit,
            list: Vec::new(),
            by_label: HashMap::new(),
            by_symbol: Vec::new(),
            beyond: HashSet::new(),
            changed: Vec::new(),
        };
        resources.add(HOST);
        resources
    }

    /// Those that have a label, the host first.
    pub fn list(&self) -> &[Resource] {
        &self.list
    }

    /// The code of the resource at `place` allocated so much more, as far as is known yet.
    #[inline]
    pub(crate) fn allocate(&mut self, place: usize, bytes: i64) {
        let resource = &mut self.list[place];
        resource.unsettled = resource.unsettled.saturating_add(bytes);
        if !std::mem::replace(&mut resource.changed, true) {
            self.changed.push(place);
        }
    }

    /// No span is open that may take something back.
    pub(crate) fn settle(&mut self) {
        for place in self.changed.drain(..) {
            let resource = &mut self.list[place];
            resource.changed = false;
            resource.allocated = resource.allocated.max(u64::try_from(resource.unsettled).unwrap_or(0));
        }
    }

    /// How many share the label [`OTHER`].
    pub fn beyond(&self) -> usize {
        self.beyond.len()
    }

    /// The resource at a place that [`Resources::named`] gave.
    pub fn at(&mut self, place: usize) -> &mut Resource {
        &mut self.list[place]
    }

    /// Where the resource of a symbol is; of one that has none, the host's.
    #[inline]
    pub(crate) fn of_symbol(&mut self, symbol: u32, names: &Names) -> usize {
        match self.by_symbol.get(symbol as usize) {
            Some(Some(place)) => *place,
            _ => self.meet(symbol, names),
        }
    }

    /// As above; where the symbol has no resource, that of the track.
    pub(crate) fn of_symbol_or_track(&mut self, symbol: u32, track: u32, names: &Names) -> usize {
        match &*names.symbol(symbol).resource {
            "" => self.named(&names.track(track).resource),
            _ => self.of_symbol(symbol, names),
        }
    }

    #[cold]
    fn meet(&mut self, symbol: u32, names: &Names) -> usize {
        let place = self.named(&names.symbol(symbol).resource);
        // Nobody defined the others, and they have no bound.
        if (symbol as usize) < names.symbols().len() {
            let known = self.by_symbol.len().max(symbol as usize + 1);
            self.by_symbol.resize(known, None);
            self.by_symbol[symbol as usize] = Some(place);
        }
        place
    }

    /// Where the resource of that name is, or those are that share the name [`OTHER`].
    pub fn named(&mut self, name: &str) -> usize {
        let label = if name.is_empty() { HOST } else { &name[..name.floor_char_boundary(MAX_LABEL)] };
        if let Some(place) = self.by_label.get(label) {
            return *place;
        }
        // The host is none of them, and neither are the others.
        let apart = self.list.len() - 1 - usize::from(self.by_label.contains_key(OTHER));
        if label == OTHER || apart < self.limit {
            return self.add(label);
        }
        self.beyond.insert(name.into());
        self.by_label.get(OTHER).copied().unwrap_or_else(|| self.add(OTHER))
    }

    fn add(&mut self, label: &str) -> usize {
        let place = self.list.len();
        self.list.push(Resource { name: label.to_owned(), ..Resource::default() });
        self.by_label.insert(label.to_owned(), place);
        place
    }
}
