//! The conservation law: every event a program attempted is somewhere.

/// Where the events of one ring went, counted from the session's start.
///
/// Two laws hold at the end of a session, and [`Account::holds`] checks them:
/// `attempted = committed + dropped` and `committed = delivered + overwritten + discarded`.
/// A process killed in the middle of a record leaves at most one event per ring attempted and not committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Events the program tried to record.
    pub attempted: u64,
    /// Events that reached the ring.
    pub committed: u64,
    /// Events that came out of it as samples.
    pub delivered: u64,
    /// Events a flight recorder replaced by newer ones.
    pub overwritten: u64,
    /// Events that could not be balanced: the end of a span whose begin was overwritten.
    pub discarded: u64,
    /// Events refused because the ring was full.
    pub dropped: u64,
}

impl Account {
    /// Whether both laws hold, with at most `in_flight` events attempted but not committed.
    pub fn holds(&self, in_flight: u64) -> bool {
        let settled = self.committed.saturating_add(self.dropped);
        settled <= self.attempted
            && self.attempted - settled <= in_flight
            && self.committed
                == self.delivered.saturating_add(self.overwritten).saturating_add(self.discarded)
    }

    /// The sum of two rings' accounts.
    pub fn plus(self, other: Self) -> Self {
        Self {
            attempted: self.attempted.saturating_add(other.attempted),
            committed: self.committed.saturating_add(other.committed),
            delivered: self.delivered.saturating_add(other.delivered),
            overwritten: self.overwritten.saturating_add(other.overwritten),
            discarded: self.discarded.saturating_add(other.discarded),
            dropped: self.dropped.saturating_add(other.dropped),
        }
    }
}

/// The newest [`Account`] of each ring, summed on demand: feed it every [`Event::Account`](crate::Event::Account).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    rings: Vec<Account>,
}

impl Accounts {
    /// Takes the newest account of `ring`.
    pub fn update(&mut self, ring: crate::RingId, account: Account) {
        // Ring numbers come from outside when a capture is read: do not let one allocate without bound.
        let index = ring.index().min(1 << 20);
        if self.rings.len() <= index {
            self.rings.resize(index + 1, Account::default());
        }
        self.rings[index] = account;
    }

    /// The sum over all rings.
    pub fn total(&self) -> Account {
        self.rings.iter().fold(Account::default(), |sum, account| sum.plus(*account))
    }
}
