//! What is known of each symbol and each resource: dense tables, found by index.

use std::collections::HashMap;
use std::sync::Arc;

use tickscope_core::{CategoryId, Dictionary, Symbol, SymbolId};

use crate::Sketch;
use crate::throughput::Work;

/// Index of a symbol's statistics. 0 is `<other>`.
pub(crate) type Slot = u32;

/// Where a symbol's figures go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub slot: Slot,
    pub resource: u32,
}

impl Place {
    const UNKNOWN: Self = Self { slot: u32::MAX, resource: 0 };
}

/// Running totals of one symbol.
#[derive(Clone, Debug)]
pub(crate) struct Stat {
    pub symbol: Symbol,
    /// Smallest category its spans had: the same whichever span came first.
    pub category: Option<CategoryId>,
    pub count: u64,
    pub self_ns: u64,
    pub total_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
    pub sketch: Sketch,
    /// Signed: a coroutine's function may end in a later slice than it allocated in.
    pub self_bytes: i64,
    pub errors: u64,
    /// Self time that no sampled function has been given yet.
    pub unassigned_ns: u64,
    /// Self time given to sampled functions below.
    pub assigned_ns: u64,
    pub sampled: u64,
    pub sampled_self_ns: u64,
    pub sampled_total_ns: u64,
    pub sampled_bytes: u64,
    /// Number of the last stack sample it was counted for: recursion counts once.
    pub last_stack: u64,
    pub awaits: u64,
    pub awaited_ns: u64,
    pub work: Option<Box<Work>>,
}

impl Stat {
    fn new(symbol: Symbol) -> Self {
        Self {
            symbol,
            category: None,
            count: 0,
            self_ns: 0,
            total_ns: 0,
            min_ns: u64::MAX,
            max_ns: 0,
            sketch: Sketch::default(),
            self_bytes: 0,
            errors: 0,
            unassigned_ns: 0,
            assigned_ns: 0,
            sampled: 0,
            sampled_self_ns: 0,
            sampled_total_ns: 0,
            sampled_bytes: 0,
            last_stack: 0,
            awaits: 0,
            awaited_ns: 0,
            work: None,
        }
    }

    /// A span of it that ran for `duration` ended.
    #[inline]
    pub fn ended(&mut self, duration: u64, category: CategoryId) {
        self.count += 1;
        self.min_ns = self.min_ns.min(duration);
        self.max_ns = self.max_ns.max(duration);
        self.sketch.add(duration);
        self.is_a(category);
    }

    #[inline]
    pub fn is_a(&mut self, category: CategoryId) {
        if self.category.is_none_or(|known| category < known) {
            self.category = Some(category);
        }
    }
}

/// How many categories are counted per resource: the well-known ones.
const COUNTED: usize = CategoryId::STATE_BAG.0 as usize + 1;

/// Running totals of one resource.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub name: Arc<str>,
    pub cpu_ns: u64,
    pub bytes: i64,
    pub sampled_ns: u64,
    pub sampled_bytes: u64,
    pub gc_measured_ns: u64,
    pub gc_inferred_ns: u64,
    pub heap: Option<Heap>,
    /// It has spans: its time is exact.
    pub exact: bool,
    counts: [u64; COUNTED],
}

/// The heaps of a resource's machines, together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heap {
    pub bytes: u64,
    pub peak: u64,
    /// Each when it was seen first.
    pub first: u64,
}

impl Heap {
    /// One of them has `bytes` and had `before`; none: it is seen for the first time.
    pub fn changes(&mut self, before: Option<u64>, bytes: u64) {
        if before.is_none() {
            self.first = self.first.saturating_add(bytes);
        }
        self.bytes = self.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(bytes);
        self.peak = self.peak.max(self.bytes);
    }
}

impl Resource {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            cpu_ns: 0,
            bytes: 0,
            sampled_ns: 0,
            sampled_bytes: 0,
            gc_measured_ns: 0,
            gc_inferred_ns: 0,
            heap: None,
            exact: false,
            counts: [0; COUNTED],
        }
    }

    #[inline]
    pub fn counted(&mut self, category: CategoryId) {
        if let Some(count) = self.counts.get_mut(usize::from(category.0)) {
            *count += 1;
        }
    }

    pub fn count(&self, category: CategoryId) -> u64 {
        self.counts.get(usize::from(category.0)).copied().unwrap_or(0)
    }
}

/// Every symbol and resource seen.
#[derive(Clone, Debug)]
pub(crate) struct SymbolTable {
    /// By symbol id: 8 bytes for each symbol the dictionary holds.
    places: Vec<Place>,
    pub stats: Vec<Stat>,
    pub resources: Vec<Resource>,
    by_name: HashMap<Arc<str>, u32>,
    kinds: Vec<String>,
    max_symbols: usize,
    max_resources: usize,
    pub other_symbols: u64,
    pub other_resources: u64,
}

/// Index of the resource that stands for all beyond the cap.
const OTHER_RESOURCE: u32 = 1;

impl SymbolTable {
    pub fn new(max_symbols: usize, max_resources: usize) -> Self {
        let mut table = Self {
            places: Vec::new(),
            stats: vec![Stat::new(Symbol::other())],
            resources: Vec::new(),
            by_name: HashMap::new(),
            kinds: Vec::new(),
            max_symbols: max_symbols.max(1),
            max_resources: max_resources.max(2),
            other_symbols: 0,
            other_resources: 0,
        };
        for name in ["", "<other>"] {
            table.resource(&Arc::from(name));
        }
        table
    }

    /// Where the figures of `id` go. An id the dictionary does not know is `<other>`.
    #[inline]
    pub fn place(&mut self, id: SymbolId, dictionary: &Dictionary) -> Place {
        match self.places.get(id.index()) {
            Some(place) if place.slot != u32::MAX => *place,
            _ => self.new_place(id, dictionary),
        }
    }

    #[cold]
    fn new_place(&mut self, id: SymbolId, dictionary: &Dictionary) -> Place {
        let symbols = dictionary.symbols();
        let Some(symbol) = symbols.get(id.index()).filter(|_| id != SymbolId::OTHER) else {
            return Place { slot: 0, resource: 0 };
        };
        if self.places.len() <= id.index() {
            // Doubling, but never more than the dictionary has: a hostile id cannot make this large.
            let len = (2 * id.index()).clamp(id.index() + 1, symbols.len().max(id.index() + 1));
            self.places.resize(len, Place::UNKNOWN);
        }
        let resource = self.resource(&symbol.resource);
        let slot = if self.stats.len() > self.max_symbols {
            self.other_symbols += 1;
            0
        } else {
            self.stats.push(Stat::new(symbol.clone()));
            self.stats.len() as u32 - 1
        };
        let place = Place { slot, resource };
        self.places[id.index()] = place;
        place
    }

    /// Index of the resource called `name`.
    pub fn resource(&mut self, name: &Arc<str>) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        if self.resources.len() >= self.max_resources {
            self.other_resources += 1;
            return OTHER_RESOURCE;
        }
        let index = self.resources.len() as u32;
        self.resources.push(Resource::new(name.clone()));
        self.by_name.insert(name.clone(), index);
        index
    }

    /// Takes the categories `dictionary` has named since the last batch.
    pub fn learn_kinds(&mut self, dictionary: &Dictionary) {
        let known = self.kinds.len();
        self.kinds
            .extend(dictionary.categories().iter().skip(known).map(|category| category.name.to_string()));
    }

    /// The name of a category; `default` for an id nobody defined.
    pub fn kind(&self, category: CategoryId) -> String {
        self.kinds.get(usize::from(category.0)).map_or("default", String::as_str).to_owned()
    }

    #[inline]
    pub fn stat(&mut self, slot: Slot) -> &mut Stat {
        &mut self.stats[slot as usize]
    }

    #[inline]
    pub fn res(&mut self, resource: u32) -> &mut Resource {
        &mut self.resources[resource as usize]
    }

    pub fn symbol(&self, slot: Slot) -> &Symbol {
        &self.stats[slot as usize].symbol
    }
}
