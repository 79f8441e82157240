//! Concurrent interning: equal keys get one id, whichever thread asks.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

const SHARDS: usize = 16;

/// Gives each distinct key one id, made by the caller on first sight.
///
/// For cold paths: a look takes the lock of one of 16 shards. Hot paths keep the id they were given.
/// A full arena is the caller's matter: `make` returns `None`, the key gets `K`'s fallback and is counted.
#[derive(Debug)]
pub struct Interner<K, V> {
    shards: [Mutex<HashMap<K, V>>; SHARDS],
    hasher: RandomState,
    refused: AtomicU64,
}

impl<K, V> Default for Interner<K, V> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            refused: AtomicU64::new(0),
        }
    }
}

impl<K: Hash + Eq, V: Copy> Interner<K, V> {
    /// The id of `key`. `make` is called once per distinct key, under the shard's lock; where it returns `None` the
    /// answer is `fallback`, nothing is remembered, and [`Interner::refused`] counts it.
    pub fn intern<Q>(&self, key: &Q, fallback: V, make: impl FnOnce() -> Option<(K, V)>) -> V
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = shard.get(key) {
            return *id;
        }
        match make() {
            Some((key, id)) => *shard.entry(key).or_insert(id),
            None => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                fallback
            }
        }
    }

    /// How many distinct keys have an id.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Whether nothing was interned yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often `make` refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_million_interns_of_five_hundred_names_make_five_hundred_entries() {
        let (interner, next) = (Interner::<String, u32>::default(), AtomicU32::new(0));
        let ids: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let work = || {
                let mut ids = vec![u32::MAX; 500];
                for round in 0..250_000 {
                    let name = format!("name {}", round % 500);
                    let id = interner.intern(name.as_str(), 0, || {
                        Some((name.clone(), next.fetch_add(1, Ordering::Relaxed)))
                    });
                    assert!(ids[round % 500] == u32::MAX || ids[round % 500] == id);
                    ids[round % 500] = id;
                }
                ids
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(interner.len(), 500);
        assert!(ids.iter().all(|thread| *thread == ids[0]), "every thread sees the same ids");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let interner = Interner::<String, u32>::default();
        assert_eq!(interner.intern("a", 0, || None), 0);
        assert_eq!((interner.refused(), interner.len()), (1, 0));
    }
}
