//! The names samples refer to: append-only tables, one set per session.

use std::sync::Arc;

use crate::{Categories, Category, CategoryId, KeyId, StackId, Symbol, SymbolId, Track, TrackId, TrackKind};

/// One node of the tree of sampled call stacks: a frame under its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StackNode {
    /// The caller's frame; [`StackId::ROOT`] for an outermost one. Always less than the node's own id.
    pub parent: StackId,
    /// The function of this frame.
    pub symbol: SymbolId,
    /// Line that was executing, from 1; 0 when unknown.
    pub line: u32,
}

/// Every symbol, track, category, argument key and stack node a session has named so far.
///
/// Entries are only ever added, so a sink that remembers how many it has written finds the new ones behind them.
/// Index 0 of each table exists from the start (`<other>`, the process, the empty stack).
#[derive(Clone, Debug)]
pub struct Dictionary {
    symbols: Vec<Symbol>,
    tracks: Vec<Track>,
    categories: Vec<Category>,
    keys: Vec<Arc<str>>,
    stacks: Vec<StackNode>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            symbols: vec![Symbol::other()],
            tracks: vec![Track {
                kind: TrackKind::Process,
                parent: TrackId::PROCESS,
                os_id: 0,
                name: "".into(),
                resource: "".into(),
            }],
            categories: Categories::global().list(),
            keys: vec!["<other>".into()],
            stacks: vec![StackNode { parent: StackId::ROOT, symbol: SymbolId::OTHER, line: 0 }],
        }
    }
}

impl Dictionary {
    /// Every symbol, by id.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Every track, by id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Every category, by id.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// Every argument key, by id.
    pub fn keys(&self) -> &[Arc<str>] {
        &self.keys
    }

    /// Every node of the stack tree, by id; entry 0 is the empty stack.
    pub fn stacks(&self) -> &[StackNode] {
        &self.stacks
    }

    /// The symbol, or `<other>` for an id nobody defined.
    pub fn symbol(&self, id: SymbolId) -> &Symbol {
        self.symbols.get(id.index()).unwrap_or(&self.symbols[0])
    }

    /// The track, or the process for an id nobody defined.
    pub fn track(&self, id: TrackId) -> &Track {
        self.tracks.get(id.index()).unwrap_or(&self.tracks[0])
    }

    /// The category, or `default` for an id nobody defined.
    pub fn category(&self, id: CategoryId) -> &Category {
        self.categories.get(usize::from(id.0)).unwrap_or(&self.categories[0])
    }

    /// The argument's name, or `<other>` for an id nobody defined.
    pub fn key(&self, id: KeyId) -> &str {
        self.keys.get(id.index()).unwrap_or(&self.keys[0])
    }

    /// The frames of a stack, innermost first.
    pub fn frames(&self, mut id: StackId) -> impl Iterator<Item = StackNode> + '_ {
        std::iter::from_fn(move || {
            let node = *self.stacks.get(id.index()).filter(|_| id != StackId::ROOT)?;
            id = if node.parent < id { node.parent } else { StackId::ROOT };
            Some(node)
        })
    }

    /// Adds a symbol; ids follow each other.
    pub fn push_symbol(&mut self, symbol: Symbol) -> SymbolId {
        self.symbols.push(symbol);
        SymbolId(self.symbols.len() as u32 - 1)
    }

    /// Adds a track; ids follow each other.
    pub fn push_track(&mut self, track: Track) -> TrackId {
        self.tracks.push(track);
        TrackId(self.tracks.len() as u32 - 1)
    }

    /// Replaces what is known of a track: its name was given after it was made.
    pub fn set_track(&mut self, id: TrackId, track: Track) {
        if let Some(entry) = self.tracks.get_mut(id.index()) {
            *entry = track;
        }
    }

    /// Adds a category; ids follow each other.
    pub fn push_category(&mut self, category: Category) -> CategoryId {
        self.categories.push(category);
        CategoryId(self.categories.len() as u16 - 1)
    }

    /// Adds the name of an argument; ids follow each other.
    pub fn push_key(&mut self, key: &str) -> KeyId {
        self.keys.push(key.into());
        KeyId(self.keys.len() as u32 - 1)
    }

    /// Adds a node of the stack tree; ids follow each other. A parent that does not exist yet becomes the root.
    pub fn push_stack(&mut self, mut node: StackNode) -> StackId {
        if node.parent.index() >= self.stacks.len() {
            node.parent = StackId::ROOT;
        }
        self.stacks.push(node);
        StackId(self.stacks.len() as u32 - 1)
    }

    /// Brings the category table up to what the process has named by now.
    pub fn refresh_categories(&mut self) {
        while let Some(category) = Categories::global().get(CategoryId(self.categories.len() as u16)) {
            self.categories.push(category);
        }
    }
}
