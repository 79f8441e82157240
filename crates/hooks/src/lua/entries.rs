//! What functions that the program calls from outside of Lua are called: asked once, then looked up.

use std::cell::Cell;

use tickscope_core::SymbolId;

use super::identity::Identity;

const PLACES: usize = 256;

/// Which function is called, for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The address of its machine.
    pub(crate) machine: usize,
    pub(crate) function: Identity,
    /// The script that the host keeps it as; 0 where that is told by the chunk.
    pub(crate) kept: u32,
}

type Place = Cell<Option<(Entry, SymbolId, u32)>>;

/// The symbol and the script's number of functions called lately.
pub(crate) struct Entries(Box<[Place; PLACES]>);

impl Entries {
    pub(crate) fn new() -> Self {
        Self(Box::new([const { Cell::new(None) }; PLACES]))
    }

    fn place(&self, entry: &Entry) -> &Place {
        let mixed = entry.function.key ^ entry.function.code ^ (entry.kept as usize) << 20;
        &self.0[mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (usize::BITS - PLACES.trailing_zeros())]
    }

    pub(crate) fn get(&self, entry: &Entry) -> Option<(SymbolId, u32)> {
        let (known, symbol, script) = self.place(entry).get()?;
        (known == *entry).then_some((symbol, script))
    }

    pub(crate) fn insert(&self, entry: Entry, symbol: SymbolId, script: u32) {
        self.place(&entry).set(Some((entry, symbol, script)));
    }

    /// A machine is gone: another may be made at its address.
    pub(crate) fn forget(&self, machine: usize) {
        for place in &*self.0 {
            if place.get().is_some_and(|(known, ..)| known.machine == machine) {
                place.set(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_one_chunk_and_one_function_kept_as_two_scripts_are_told_apart() {
        let entries = Entries::new();
        let entry =
            |line, kept| Entry { machine: 1, function: Identity { key: 0x1000, code: 5, line }, kept };
        entries.insert(entry(1, 0), SymbolId(7), 3);
        assert_eq!(entries.get(&entry(1, 0)), Some((SymbolId(7), 3)));
        assert_eq!(entries.get(&entry(2, 0)), None);
        assert_eq!(entries.get(&entry(1, 4)), None);
        entries.insert(entry(1, 4), SymbolId(8), 4);
        assert_eq!(entries.get(&entry(1, 4)), Some((SymbolId(8), 4)));
        entries.forget(1);
        assert_eq!(entries.get(&entry(1, 0)), None);
    }
}
