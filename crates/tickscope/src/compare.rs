//! Two implementations of the same work, run in turns: which is faster, by how much, and could that be chance?
//!
//! Rounds are pairs, so what slows the machine down for a while slows both. Over the logarithms of the ratios of the
//! rounds stands Wilcoxon's signed-rank test, whose distribution is computed, not approximated; the ratio is the
//! estimate of Hodges and Lehmann (Annals of Mathematical Statistics 34, 1963) that belongs to it, with the confidence
//! interval that the same distribution gives.

use std::fmt;
use std::time::Duration;

/// One run of one rival: so many calls.
type Run<'a> = (&'static str, &'a mut dyn FnMut(u64) -> Duration);

/// The least a run should take: a thousand times what reading the clock does.
const LONG_ENOUGH: Duration = Duration::from_micros(50);
const MOST_CALLS: u64 = 1 << 24;
/// With fewer rounds no result could be told from chance.
const FEWEST_ROUNDS: u32 = 6;
const MOST_ROUNDS: u32 = 200;
/// Chance of being wrong that is put up with.
const LEVEL: f64 = 0.05;

/// What [`compare!`](crate::compare) found.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Its name.
    pub name: &'static str,
    /// The one given first.
    pub first: Rival,
    /// The other.
    pub second: Rival,
    /// Time of the second over that of the first.
    pub ratio: f64,
    /// Where the ratio begins with a confidence of 95 %.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// How likely rounds as different as these are if both were equally fast: two-sided, exact.
    pub p_value: f64,
    /// How often each of them ran.
    pub rounds: u32,
}

/// One of two that were compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Rival {
    /// Its name.
    pub name: &'static str,
    /// The median of its rounds: nanoseconds a call.
    pub median_ns: f64,
    /// Calls in each round.
    pub calls: u64,
}

impl Comparison {
    /// The name of the faster one; `None` when the difference may be chance: above 5 %.
    pub fn faster(&self) -> Option<&'static str> {
        match self.p_value < LEVEL {
            true if self.low > 1.0 => Some(self.first.name),
            true if self.high < 1.0 => Some(self.second.name),
            _ => None,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first, second, ratio, low, high, p_value, rounds } = self;
        let verdict = match self.faster() {
            Some(faster) => format!("{faster} is faster"),
            None => "no difference that could not be chance".to_owned(),
        };
        write!(
            f,
            "{name}: {verdict}; {} takes {ratio:.3} x the time of {} (95 %: {low:.3} to {high:.3}), p = {p_value:.2e}; \
             medians {:.1} ns and {:.1} ns in {rounds} rounds",
            second.name, first.name, second.median_ns, first.median_ns,
        )
    }
}

/// Runs both in turns. For the macro.
#[doc(hidden)]
pub fn compare<'a>(name: &'static str, rounds: u32, first: Run<'a>, second: Run<'a>) -> Comparison {
    let rounds = rounds.clamp(FEWEST_ROUNDS, MOST_ROUNDS);
    let mut rivals = [first, second].map(|(name, run)| {
        let calls = enough_calls(run);
        (Rival { name, median_ns: 0.0, calls }, run, Vec::with_capacity(rounds as usize))
    });
    for round in 0..rounds {
        for turn in 0..2 {
            let (rival, run, times) = &mut rivals[(round as usize + turn) % 2];
            // A clock that did not move: less than a nanosecond.
            let took = run(rival.calls).max(Duration::from_nanos(1));
            times.push(took.as_nanos() as f64 / rival.calls as f64);
        }
    }
    let [(mut first, _, mut ones), (mut second, _, mut others)] = rivals;
    let ratios: Vec<f64> = ones.iter().zip(&others).map(|(one, other)| (other / one).ln()).collect();
    let Estimate { middle, low, high, p_value } = signed_rank(&ratios, LEVEL);
    first.median_ns = median(&mut ones);
    second.median_ns = median(&mut others);
    let (ratio, low, high) = (middle.exp(), low.exp(), high.exp());
    Comparison { name, first, second, ratio, low, high, p_value, rounds }
}

/// So many calls that a round takes long enough. What is done once, by the first call or a later one, must not make it
/// look so: the shortest of three runs counts, after one that does not.
fn enough_calls(run: &mut dyn FnMut(u64) -> Duration) -> u64 {
    let mut calls = 1;
    run(calls);
    while calls < MOST_CALLS && (0..3).any(|_| run(calls) < LONG_ENOUGH) {
        calls *= 2;
    }
    calls
}

#[derive(Debug, PartialEq)]
struct Estimate {
    middle: f64,
    low: f64,
    high: f64,
    p_value: f64,
}

/// Wilcoxon's test of `values` being as often above as below zero by as much, and what they are around.
fn signed_rank(values: &[f64], level: f64) -> Estimate {
    let mut means: Vec<f64> = values
        .iter()
        .enumerate()
        .flat_map(|(at, one)| values[at..].iter().map(move |other| (one + other) / 2.0))
        .collect();
    means.sort_by(f64::total_cmp);
    let plain: Vec<usize> = (1..=values.len()).map(|rank| 2 * rank).collect();
    let chances = distribution(&plain);
    // Doubled ranks: odd sums do not occur.
    let (mut outside, mut below) = (0, 0.0);
    for (sum, chance) in chances.iter().enumerate().step_by(2) {
        below += chance;
        if below > level / 2.0 {
            outside = sum / 2;
            break;
        }
    }
    let bound = outside.saturating_sub(1).min(means.len() / 2);
    let (low, high) = match outside {
        0 => (f64::NEG_INFINITY, f64::INFINITY),
        _ => (means[bound], means[means.len() - 1 - bound]),
    };
    Estimate { middle: median(&mut means), low, high, p_value: p_value(values) }
}

/// Two-sided, ties given the mean of their ranks; zeros, which speak for neither side, left out.
fn p_value(values: &[f64]) -> f64 {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| *value != 0.0).collect();
    values.sort_by(|one, other| one.abs().total_cmp(&other.abs()));
    let (mut doubled, mut positive, mut start) = (Vec::with_capacity(values.len()), 0, 0);
    for tied in values.chunk_by(|one, other| one.abs() == other.abs()) {
        // Ranks start + 1 to start + n: twice their mean.
        let rank = 2 * start + tied.len() + 1;
        doubled.extend(std::iter::repeat_n(rank, tied.len()));
        positive += rank * tied.iter().filter(|value| **value > 0.0).count();
        start += tied.len();
    }
    let chances = distribution(&doubled);
    let smaller = positive.min(chances.len() - 1 - positive);
    (2.0 * chances[..=smaller].iter().sum::<f64>()).min(1.0)
}

/// The chance of each sum of those ranks that are positive, if each is with a chance of one half.
fn distribution(ranks: &[usize]) -> Vec<f64> {
    let mut chances = vec![0.0; ranks.iter().sum::<usize>() + 1];
    chances[0] = 1.0;
    let mut most = 0;
    for &rank in ranks {
        most += rank;
        for sum in (0..=most).rev() {
            let with = if sum >= rank { chances[sum - rank] } else { 0.0 };
            chances[sum] = 0.5 * (chances[sum] + with);
        }
    }
    chances
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chances_are_those_of_the_tables() {
        let below = |n: usize, sum: usize| -> f64 {
            let ranks: Vec<usize> = (1..=n).collect();
            distribution(&ranks)[..=sum].iter().sum()
        };
        // Critical values of Wilcoxon's table, two-sided 5 %: n = 6: 0, 10: 8, 20: 52, 30: 137.
        for (n, critical) in [(6, 0), (10, 8), (20, 52), (30, 137)] {
            assert!(below(n, critical) <= 0.025 && below(n, critical + 1) > 0.025, "{n}");
        }
        assert!((below(10, 8) - 25.0 / 1_024.0).abs() < 1e-15);
    }

    #[test]
    fn p_values_are_exact_with_ties_and_zeros() {
        // Darwin's maize, in eighths of an inch: W+ = 96 of 120; R's wilcox.test: V = 96, p = 0.04125.
        let maize = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48].map(f64::from);
        assert!((p_value(&maize) - 0.041_26).abs() < 1e-4, "{}", p_value(&maize));
        assert_eq!(p_value(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), 2.0 / 64.0);
        assert_eq!(p_value(&[1.0, -1.0, 1.0, -1.0]), 1.0);
        assert_eq!(p_value(&[0.0, 0.0, 3.0]), 1.0);
        assert_eq!(p_value(&[]), 1.0);
    }

    #[test]
    fn the_interval_agrees_with_the_test() {
        // Numbers without ties, shifted until zero is no longer among what is likely.
        let values =
            |shift: f64| -> Vec<f64> { (0..20).map(|n| f64::from(n).powf(1.3) - 20.0 + shift).collect() };
        for step in -80..80 {
            let shift = f64::from(step) * 0.25;
            let estimate = signed_rank(&values(shift), LEVEL);
            let outside = estimate.low > 0.0 || estimate.high < 0.0;
            assert_eq!(outside, estimate.p_value < LEVEL, "{shift}: {estimate:?}");
            assert!(estimate.low <= estimate.middle && estimate.middle <= estimate.high);
        }
    }

    #[test]
    fn what_is_done_once_does_not_make_a_round_long_enough() {
        for slow in 0..8 {
            let mut runs = 0;
            // Ten nanoseconds a call, and forty to read the clock; one early run fills a table.
            let mut fills = |calls: u64| {
                runs += 1;
                let once = if runs == slow + 1 { 1_000_000 } else { 0 };
                Duration::from_nanos(once + 40 + calls * 10)
            };
            let mut plain = |calls: u64| Duration::from_nanos(40 + calls * 10);
            let verdict = compare("once", 20, ("fills", &mut fills), ("plain", &mut plain));
            assert_eq!(verdict.first.calls, verdict.second.calls, "run {slow}");
            assert_eq!((verdict.ratio, verdict.faster()), (1.0, None), "run {slow}");
            assert!(verdict.first.calls * 10 >= 49_000);
        }
    }

    #[test]
    fn equals_are_not_told_apart() {
        // A clock of our own: both take the same, but for what comes at random.
        let mut state = 7u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % 1_000
        };
        let mut other_noise = noise;
        let mut took = 0;
        for _ in 0..100 {
            let mut one = |calls: u64| Duration::from_nanos(calls * (100_000 + noise()));
            let mut other = |calls: u64| {
                Duration::from_nanos(
                    calls
                        * (100_000 + {
                            other_noise();
                            other_noise()
                        }),
                )
            };
            let verdict = compare("equals", 20, ("one", &mut one), ("other", &mut other));
            took += u32::from(verdict.faster().is_some());
        }
        assert!(took <= 15, "{took} of 100 where 5 are expected: fifteen are five standard deviations away");
    }
}
