//! Symbols by function identity: what makes a traced call cheap.

use std::cell::Cell;

use tickscope_core::SymbolId;

use super::identity::Identity;

const SETS: usize = 2048;
const WAYS: usize = 4;

#[derive(Clone, Copy)]
struct Entry {
    key: usize,
    code: usize,
    line: u32,
    symbol: SymbolId,
}

const EMPTY: Entry = Entry { key: 0, code: 0, line: 0, symbol: SymbolId::OTHER };

/// A four-way set-associative cache. An entry is valid while the function lives: the allocator takes it out when the
/// function's memory is freed, and line and code address tell a reused address apart where the allocator is not ours.
pub(crate) struct SymbolCache {
    sets: Box<[[Cell<Entry>; WAYS]; SETS]>,
}

impl SymbolCache {
    pub(crate) fn new() -> Self {
        let sets: Box<[[Cell<Entry>; WAYS]]> =
            (0..SETS).map(|_| std::array::from_fn(|_| Cell::new(EMPTY))).collect();
        match sets.try_into() {
            Ok(sets) => Self { sets },
            Err(_) => unreachable!("as many as the array has"),
        }
    }

    #[inline(always)]
    fn set(&self, key: usize) -> &[Cell<Entry>; WAYS] {
        let hash = (key >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.sets[hash >> (usize::BITS - SETS.trailing_zeros())]
    }

    #[inline(always)]
    pub(crate) fn get(&self, identity: Identity) -> Option<SymbolId> {
        let set = self.set(identity.key);
        let first = set[0].get();
        if first.key == identity.key && first.code == identity.code && first.line == identity.line {
            return Some(first.symbol);
        }
        self.look_further(set, identity)
    }

    /// The symbol and the line of a prototype, by its address and its code's, when it is the one its set used last. Where
    /// the allocator is not ours, another function may have taken both addresses of one that is gone: then the line has to
    /// be compared.
    #[inline(always)]
    pub(crate) fn get_prototype(&self, (key, code): (usize, usize)) -> Option<(SymbolId, u32)> {
        let first = &self.set(key)[0];
        // SAFETY: one thread; the reference ends with the expression.
        let first = unsafe { &*first.as_ptr() };
        (first.key == key && first.code == code).then_some((first.symbol, first.line))
    }

    #[cold]
    #[inline(never)]
    fn look_further(&self, set: &[Cell<Entry>; WAYS], identity: Identity) -> Option<SymbolId> {
        let way = set[1..].iter().position(|cell| {
            let entry = cell.get();
            entry.key == identity.key && entry.code == identity.code && entry.line == identity.line
        })?;
        set[0].swap(&set[way + 1]);
        Some(set[0].get().symbol)
    }

    pub(crate) fn insert(&self, identity: Identity, symbol: SymbolId) {
        let set = self.set(identity.key);
        let way = set.iter().position(|cell| cell.get().key == identity.key);
        let way = way.or_else(|| set.iter().position(|cell| cell.get().key == 0)).unwrap_or(WAYS - 1);
        for place in (0..way).rev() {
            set[place + 1].set(set[place].get()); // the least recently named falls out
        }
        set[0].set(Entry { key: identity.key, code: identity.code, line: identity.line, symbol });
    }

    /// Forgets what is known of the address.
    #[inline]
    pub(crate) fn forget(&self, key: usize) {
        for cell in self.set(key) {
            if cell.get().key == key {
                cell.set(EMPTY);
            }
        }
    }

    pub(crate) fn clear(&self) {
        for cell in self.sets.iter().flatten() {
            cell.set(EMPTY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(key: usize, code: usize) -> Identity {
        Identity { key, code, line: 1 }
    }

    #[test]
    fn a_reused_address_with_other_code_is_unknown() {
        let cache = SymbolCache::new();
        cache.insert(identity(0x1000, 7), SymbolId(5));
        assert_eq!(cache.get(identity(0x1000, 7)), Some(SymbolId(5)));
        assert_eq!(cache.get(identity(0x1000, 8)), None);
        cache.insert(identity(0x1000, 8), SymbolId(6));
        assert_eq!(cache.get(identity(0x1000, 8)), Some(SymbolId(6)));
        cache.forget(0x1000);
        assert_eq!(cache.get(identity(0x1000, 8)), None);
    }

    #[test]
    fn four_functions_of_one_set_stay() {
        let cache = SymbolCache::new();
        let set = |key: usize| (key >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 53;
        let keys: Vec<usize> = (1..).map(|n| n * 16).filter(|key| set(*key) == 9).take(4).collect();
        for (index, key) in keys.iter().enumerate() {
            cache.insert(identity(*key, 1), SymbolId(index as u32 + 1));
        }
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(cache.get(identity(*key, 1)), Some(SymbolId(index as u32 + 1)));
        }
    }
}
