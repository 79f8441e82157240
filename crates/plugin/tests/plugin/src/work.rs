//! Work of the kind a sink does: the time of each symbol, and how often it was called. The bench does it in a plugin and beside.

use tickscope_abi::{Batch, Event};

/// Calls and nanoseconds by symbol.
#[derive(Debug, Default)]
pub struct Work {
    pub totals: Vec<(u64, u64)>,
}

impl Work {
    pub fn take(&mut self, batch: &Batch<'_>) {
        for sample in batch.samples() {
            if let Event::End(end) = sample.event {
                let index = end.symbol as usize;
                if self.totals.len() <= index {
                    self.totals.resize(index + 1, (0, 0));
                }
                let total = &mut self.totals[index];
                total.0 += 1;
                total.1 += sample.time_ns - end.begin_ns;
            }
        }
    }
}
