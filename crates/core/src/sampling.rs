//! Recording less on purpose: whole traces are kept or dropped at their root, and a token bucket bounds their number.
//!
//! Off by default and off in `tickscope run`: this is for programs that instrument themselves and want it.

/// How much of a program's own instrumentation to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingConfig {
    /// Share of root spans to keep with everything below them, 0 to 1.
    pub rate: f64,
    /// Root spans admitted in any one second; `None` for no limit.
    pub max_per_second: Option<u64>,
    /// Share of one core the recording may cost, above 0 to 1: above it the rate is lowered, below it raised again,
    /// never beyond `rate`. `None` keeps the rate as it is.
    pub overhead_budget: Option<f64>,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self { rate: 1.0, max_per_second: None, overhead_budget: None }
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// `rate` is not a share.
    #[error("sampling rate {0} is not between 0 and 1")]
    Rate(f64),
    /// `overhead_budget` is not a share.
    #[error("overhead budget {0} is not above 0 and at most 1")]
    Budget(f64),
}

impl SamplingConfig {
    /// For servers under normal load: 1 root in 100, at most 1,000 a second.
    pub const PRODUCTION: Self =
        Self { rate: 0.01, max_per_second: Some(1_000), overhead_budget: Some(0.01) };
    /// For very busy servers: 1 root in 200, at most 5,000 a second.
    pub const HIGH_THROUGHPUT: Self =
        Self { rate: 0.005, max_per_second: Some(5_000), overhead_budget: Some(0.01) };
    /// Everything, as long as it costs less than 1 % of a core.
    pub const LIGHTWEIGHT: Self = Self { rate: 1.0, max_per_second: None, overhead_budget: Some(0.01) };

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field out of range and its value.
    pub fn validate(&self) -> Result<(), SamplingError> {
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(SamplingError::Rate(self.rate));
        }
        match self.overhead_budget {
            Some(budget) if !(budget > 0.0 && budget <= 1.0) => Err(SamplingError::Budget(budget)),
            _ => Ok(()),
        }
    }
}

/// What became of a root span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Record it and everything below.
    Keep,
    /// The rate decided against it.
    SampledOut,
    /// The limit was reached.
    Limited,
}

/// Decides about root spans: a deterministic function of the trace id, then a token bucket.
///
/// Two processes with the same rate decide alike about one trace id, so a distributed trace is kept or dropped whole.
#[derive(Clone, Debug)]
pub struct RootSampler {
    config: SamplingConfig,
    /// The rate now in force.
    rate: f64,
    bucket: Option<TokenBucket>,
}

impl RootSampler {
    /// A sampler for `config`.
    ///
    /// # Errors
    /// See [`SamplingConfig::validate`].
    pub fn new(config: SamplingConfig) -> Result<Self, SamplingError> {
        config.validate()?;
        Ok(Self { config, rate: config.rate, bucket: config.max_per_second.map(TokenBucket::per_second) })
    }

    /// Decides about the root of trace `trace_id` at `now_ns`. Critical roots bypass rate and limit.
    pub fn admit(&mut self, trace_id: u64, critical: bool, now_ns: u64) -> Admission {
        if critical {
            return Admission::Keep;
        }
        // SplitMix64's finalizer: consecutive ids become uniform.
        let mut hash = trace_id.wrapping_add(0x9E37_79B9_7F4A_7C15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        hash ^= hash >> 31;
        self.admit_decided((hash >> 11) as f64 / ((1u64 << 53) as f64) < self.rate, now_ns)
    }

    /// Decides about a root of which the rate need not be asked: somebody has decided for its whole trace.
    pub fn admit_decided(&mut self, keep: bool, now_ns: u64) -> Admission {
        if !keep {
            return Admission::SampledOut;
        }
        let admitted = self.bucket.as_mut().is_none_or(|bucket| bucket.take(now_ns));
        if admitted { Admission::Keep } else { Admission::Limited }
    }

    /// Tells the sampler what recording cost lately, as a share of one core. Above the budget the rate is halved,
    /// below half of it the rate grows by a tenth of the configured one (additive increase, multiplicative decrease).
    pub fn observe_overhead(&mut self, share: f64) {
        if let Some(budget) = self.config.overhead_budget {
            if share > budget {
                self.rate *= 0.5;
            } else if share < budget * 0.5 {
                self.rate = (self.rate + self.config.rate * 0.1).min(self.config.rate);
            }
        }
    }

    /// The rate in force.
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

/// Admits at most `n` in any window of one second: the generic cell rate algorithm (ITU-T I.371) without a burst
/// beyond what one second holds.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// Times of the last `n` admissions; the oldest decides.
    admitted: std::collections::VecDeque<u64>,
    limit: usize,
}

impl TokenBucket {
    /// At most `limit` a second. Takes `8 · limit` bytes once that many were admitted; limits above 2^20 count as 2^20.
    pub fn per_second(limit: u64) -> Self {
        Self { admitted: std::collections::VecDeque::new(), limit: limit.min(1 << 20) as usize }
    }

    /// Takes a token at `now_ns`, if there is one.
    pub fn take(&mut self, now_ns: u64) -> bool {
        if self.limit == 0 {
            return false;
        }
        if self.admitted.len() == self.limit {
            match self.admitted.front() {
                Some(oldest) if now_ns.saturating_sub(*oldest) < 1_000_000_000 => return false,
                _ => {
                    self.admitted.pop_front();
                }
            }
        }
        self.admitted.push_back(now_ns);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_of_a_million_roots() {
        let mut sampler = RootSampler::new(SamplingConfig { rate: 0.01, ..Default::default() }).unwrap();
        let kept = (0..1_000_000).filter(|id| sampler.admit(*id, false, 0) == Admission::Keep).count();
        assert!(kept.abs_diff(10_000) < 300, "3 sigma of a binomial: {kept}");
        let mut other = RootSampler::new(SamplingConfig { rate: 0.01, ..Default::default() }).unwrap();
        assert!((0..10_000).all(|id| sampler.admit(id, false, 0) == other.admit(id, false, 9)));
    }

    #[test]
    fn any_second_admits_at_most_the_limit() {
        let mut bucket = TokenBucket::per_second(100);
        let admitted: Vec<u64> =
            (0..5_000).map(|tick| tick * 1_000_000).filter(|now| bucket.take(*now)).collect();
        assert!(admitted.windows(101).all(|window| window[100] - window[0] >= 1_000_000_000));
        assert!(admitted.len() >= 500);
    }

    #[test]
    fn critical_roots_pass_at_rate_and_limit_zero() {
        let config = SamplingConfig { rate: 0.0, max_per_second: Some(0), overhead_budget: None };
        let mut sampler = RootSampler::new(config).unwrap();
        assert_eq!(sampler.admit(1, false, 0), Admission::SampledOut);
        assert_eq!(sampler.admit(1, true, 0), Admission::Keep);
    }

    #[test]
    fn the_rate_follows_the_budget_down_and_up() {
        let mut sampler = RootSampler::new(SamplingConfig::LIGHTWEIGHT).unwrap();
        for _ in 0..10 {
            sampler.observe_overhead(0.05);
        }
        assert!(sampler.rate() < 0.002);
        for _ in 0..20 {
            sampler.observe_overhead(0.001);
        }
        assert_eq!(sampler.rate(), 1.0);
    }

    #[test]
    fn presets_are_valid_and_bad_fields_are_named() {
        for preset in [
            SamplingConfig::PRODUCTION,
            SamplingConfig::HIGH_THROUGHPUT,
            SamplingConfig::LIGHTWEIGHT,
            SamplingConfig::default(),
        ] {
            preset.validate().unwrap();
        }
        let bad = SamplingConfig { rate: 1.5, ..Default::default() };
        assert_eq!(bad.validate().unwrap_err().to_string(), "sampling rate 1.5 is not between 0 and 1");
        let bad = SamplingConfig { overhead_budget: Some(f64::NAN), ..Default::default() };
        assert!(bad.validate().is_err());
    }
}
