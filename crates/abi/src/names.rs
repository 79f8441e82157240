//! The names that samples refer to, kept by the plugin: each crosses once.

use crate::batch::{slice, text};
use crate::raw::*;

/// A name of code: a function, an event, an export, a counter. Equal names in two resources are two symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// The language it runs in: see [`Symbol::runtime_name`].
    pub runtime: u32,
    /// The resource it runs in; empty for the host.
    pub resource: Box<str>,
    /// Name of the function, event, native, counter.
    pub name: Box<str>,
    /// Source file; empty when unknown.
    pub file: Box<str>,
    /// Line of the definition, from 1; 0 when unknown.
    pub line: u32,
}

impl Symbol {
    /// The language it runs in, for people.
    pub fn runtime_name(&self) -> &'static str {
        name_of(&["Lua", "Native", "C#", "JavaScript", "Host"], self.runtime)
    }
}

/// A track: one stack of spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// What it stands for: see [`Track::kind_name`].
    pub kind: u32,
    /// The track it is shown under.
    pub parent: u32,
    /// Process or thread id of the system; 0 for other kinds.
    pub os_id: u32,
    /// Name shown to people; equal names are different tracks.
    pub name: Box<str>,
    /// The resource its spans run in; empty when they belong to several or none.
    pub resource: Box<str>,
}

impl Track {
    /// What it stands for, in lower case.
    pub fn kind_name(&self) -> &'static str {
        name_of(&["process", "thread", "coroutine", "fiber", "task", "async", "custom"], self.kind)
    }
}

/// What became of a span, in lower case, by [`TickscopeEnd::outcome`].
pub fn outcome_name(outcome: u32) -> &'static str {
    name_of(&["ok", "error", "unwound", "truncated"], outcome)
}

/// Why a span happened, in lower case, by [`TickscopeBegin::link_kind`].
pub fn link_kind_name(kind: u32) -> &'static str {
    name_of(&["flow", "event", "export", "spawn", "timer", "task", "await", "remote"], kind)
}

fn name_of(names: &[&'static str], number: u32) -> &'static str {
    names.get(number as usize).copied().unwrap_or("unknown")
}

/// A kind of span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Category {
    /// Short lower-case name.
    pub name: Box<str>,
    /// One line.
    pub description: Box<str>,
}

/// A frame of a sampled stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackNode {
    /// The caller's frame; 0 for an outermost one.
    pub parent: u32,
    /// The function.
    pub symbol: u32,
    /// Line that was executing; 0 when unknown.
    pub line: u32,
}

/// Every symbol, track, category, argument name and stack that has crossed so far. Memory grows with them; the host bounds
/// how many there are.
#[derive(Clone, Debug, Default)]
pub struct Names {
    symbols: Vec<Symbol>,
    tracks: Vec<Track>,
    categories: Vec<Category>,
    keys: Vec<Box<str>>,
    stacks: Vec<StackNode>,
    unknown: (Symbol, Track, Category),
}

impl Names {
    /// Takes what a batch brings.
    ///
    /// # Safety
    /// As for [`Batch::new`](crate::Batch::new).
    pub unsafe fn take(&mut self, batch: &TickscopeBatch) {
        // SAFETY: the caller's.
        unsafe {
            for entry in slice(batch.symbols, batch.n_symbols) {
                *place(&mut self.symbols, entry.id) = Symbol {
                    runtime: entry.runtime,
                    resource: text(entry.resource).into(),
                    name: text(entry.name).into(),
                    file: text(entry.file).into(),
                    line: entry.line,
                };
            }
            for entry in slice(batch.tracks, batch.n_tracks) {
                *place(&mut self.tracks, entry.id) = Track {
                    kind: entry.kind,
                    parent: entry.parent,
                    os_id: entry.os_id,
                    name: text(entry.name).into(),
                    resource: text(entry.resource).into(),
                };
            }
            for entry in slice(batch.categories, batch.n_categories) {
                *place(&mut self.categories, entry.id) =
                    Category { name: text(entry.name).into(), description: text(entry.description).into() };
            }
            for entry in slice(batch.keys, batch.n_keys) {
                *place(&mut self.keys, entry.id) = text(entry.name).into();
            }
            for entry in slice(batch.stacks, batch.n_stacks) {
                *place(&mut self.stacks, entry.id) =
                    StackNode { parent: entry.parent, symbol: entry.symbol, line: entry.line };
            }
        }
    }

    /// Every symbol, by id.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Every track, by id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The symbol; an empty one for an id nobody defined.
    pub fn symbol(&self, id: u32) -> &Symbol {
        self.symbols.get(id as usize).unwrap_or(&self.unknown.0)
    }

    /// The track; an empty one for an id nobody defined.
    pub fn track(&self, id: u32) -> &Track {
        self.tracks.get(id as usize).unwrap_or(&self.unknown.1)
    }

    /// The category; an empty one for an id nobody defined.
    pub fn category(&self, id: u32) -> &Category {
        self.categories.get(id as usize).unwrap_or(&self.unknown.2)
    }

    /// The name of an argument; empty for an id nobody defined.
    pub fn key(&self, id: u32) -> &str {
        self.keys.get(id as usize).map_or("", |key| key)
    }

    /// The frames of a stack, innermost first.
    pub fn frames(&self, mut id: u32) -> impl Iterator<Item = StackNode> + '_ {
        std::iter::from_fn(move || {
            let node = *self.stacks.get(id as usize).filter(|_| id != 0)?;
            id = if node.parent < id { node.parent } else { 0 };
            Some(node)
        })
    }
}

/// Where the entry `id` goes. Ids follow each other, so the table is as long as it has entries.
fn place<T: Default>(table: &mut Vec<T>, id: u32) -> &mut T {
    let index = id as usize;
    while table.len() <= index {
        table.push(T::default());
    }
    &mut table[index]
}
