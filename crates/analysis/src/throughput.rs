//! Work that spans declare, per second.

/// What the spans of a symbol declared by their arguments `operations`, `flops` and `bytes`, and how fast that was.
///
/// ```
/// use tickscope_analysis::Throughput;
/// let matrix = Throughput { spans: 1, flops: Some(2_000_000_000), time_ns: 1_000_000_000, ..Throughput::default() };
/// assert_eq!(matrix.flops_per_second(), Some(2e9));
/// assert_eq!(matrix.bytes_per_second(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throughput {
    /// Ended spans that declared any work.
    pub spans: u64,
    /// Time those spans took.
    pub time_ns: u64,
    /// Operations they declared.
    pub operations: Option<u64>,
    /// Floating-point operations they declared.
    pub flops: Option<u64>,
    /// Bytes they declared to have moved.
    pub bytes: Option<u64>,
}

impl Throughput {
    /// Operations per second; `None` without operations or without time.
    pub fn operations_per_second(&self) -> Option<f64> {
        self.per_second(self.operations)
    }

    /// Floating-point operations per second; `None` without any or without time.
    pub fn flops_per_second(&self) -> Option<f64> {
        self.per_second(self.flops)
    }

    /// Bytes per second; `None` without bytes or without time.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.per_second(self.bytes)
    }

    fn per_second(&self, amount: Option<u64>) -> Option<f64> {
        amount.filter(|_| self.time_ns > 0).map(|amount| amount as f64 * 1e9 / self.time_ns as f64)
    }
}

/// Which of the three an argument declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    Operations,
    Flops,
    Bytes,
}

impl Quantity {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "operations" => Some(Self::Operations),
            "flops" => Some(Self::Flops),
            "bytes" => Some(Self::Bytes),
            _ => None,
        }
    }
}

/// Declared work of one symbol while it adds up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work(pub Throughput);

impl Work {
    pub fn add(&mut self, quantity: Quantity, amount: u64) {
        let sum = match quantity {
            Quantity::Operations => &mut self.0.operations,
            Quantity::Flops => &mut self.0.flops,
            Quantity::Bytes => &mut self.0.bytes,
        };
        *sum = Some(sum.unwrap_or(0).saturating_add(amount));
    }

    pub fn ended(&mut self, duration: u64) {
        self.0.spans += 1;
        self.0.time_ns = self.0.time_ns.saturating_add(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_no_rate() {
        let work = Throughput { operations: Some(5), ..Throughput::default() };
        assert_eq!(work.operations_per_second(), None);
        assert_eq!(Throughput { time_ns: 500_000_000, ..work }.operations_per_second(), Some(10.0));
    }
}
