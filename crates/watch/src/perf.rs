//! The histograms of `/perf/`: how long the ticks of each thread took, since the server started.
//!
//! `tickTime_bucket{name="svMain",le="0.05"} 1206`, `tickTime_sum{name="svMain"} 0.76`, `tickTime_count{name="svMain"} 1212`,
//! in the text format of Prometheus. Threads are `svMain` (scripts), `svNetwork`, `svSync`.

use std::collections::BTreeMap;

/// Why an answer is none of FXServer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PerfError {
    /// It is a web page.
    #[error(
        "a web page, not the text of /perf/: is the address that of the server itself, not of txAdmin or a proxy?"
    )]
    Html,
    /// There is no `tickTime` in it.
    #[error("a text without tickTime: this is not the /perf/ of an FXServer")]
    NoTicks,
    /// A line of `tickTime` makes no sense.
    #[error("line {line}: {text:?} is no figure of a histogram")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
}

/// Ticks of one thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Upper bounds in seconds, rising, and how many ticks took no longer; the last is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Time of all ticks, in seconds.
    pub sum: f64,
    /// How many ticks.
    pub count: u64,
}

impl Histogram {
    /// What came since `before`, which was read earlier; all of it when the server was restarted between.
    pub fn since(&self, before: &Self) -> Self {
        if self.count < before.count || self.buckets.len() != before.buckets.len() {
            return self.clone();
        }
        let buckets = self.buckets.iter().zip(&before.buckets);
        Self {
            buckets: buckets.map(|((bound, now), (_, then))| (*bound, now.saturating_sub(*then))).collect(),
            sum: (self.sum - before.sum).max(0.0),
            count: self.count - before.count,
        }
    }

    /// Adds ticks of the same bounds.
    pub fn add(&mut self, other: &Self) {
        if self.buckets.len() != other.buckets.len() {
            self.clone_from(other);
            return;
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.sum += other.sum;
        self.count += other.count;
    }

    /// Mean time of a tick, in seconds; 0 without ticks.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The bound that `share` (0 to 1) of the ticks kept, in seconds: infinite when it is beyond the last.
    pub fn bound(&self, share: f64) -> f64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        self.buckets.iter().find(|(_, count)| *count >= wanted).map_or(f64::INFINITY, |(bound, _)| *bound)
    }

    /// Ticks that took longer than `seconds`, as far as the bounds tell: than the next bound above.
    pub fn longer_than(&self, seconds: f64) -> u64 {
        let kept =
            self.buckets.iter().find(|(bound, _)| *bound >= seconds).map_or(self.count, |(_, count)| *count);
        self.count.saturating_sub(kept)
    }
}

/// Reads an answer of `/perf/`: a histogram per thread.
///
/// # Errors
/// See [`PerfError`].
pub fn read(text: &str) -> Result<BTreeMap<String, Histogram>, PerfError> {
    let start = text.trim_start();
    if start.starts_with('<') {
        return Err(PerfError::Html);
    }
    let mut threads: BTreeMap<String, Histogram> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let Some(rest) = line.trim().strip_prefix("tickTime") else { continue };
        let wrong = || PerfError::Line { line: number + 1, text: line.chars().take(80).collect() };
        let (kind, rest) = rest.split_once('{').ok_or_else(wrong)?;
        let (labels, value) = rest.rsplit_once('}').ok_or_else(wrong)?;
        let value: f64 =
            value.split_whitespace().next().and_then(|value| value.parse().ok()).ok_or_else(wrong)?;
        let label = |name: &str| {
            labels.split(',').find_map(|label| {
                let (key, value) = label.split_once('=')?;
                (key.trim() == name).then(|| value.trim().trim_matches('"'))
            })
        };
        let thread = threads.entry(label("name").ok_or_else(wrong)?.to_owned()).or_default();
        match kind {
            "_sum" => thread.sum = value,
            "_count" => thread.count = value as u64,
            "_bucket" => {
                let bound = match label("le").ok_or_else(wrong)? {
                    "+Inf" => f64::INFINITY,
                    bound => bound.parse().map_err(|_| wrong())?,
                };
                thread.buckets.push((bound, value as u64));
            }
            _ => {}
        }
    }
    if threads.is_empty() {
        return Err(PerfError::NoTicks);
    }
    for thread in threads.values_mut() {
        thread.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    Ok(threads)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    pub(crate) const ANSWER: &str = r#"# HELP tickTime Time spent on server ticks
# TYPE tickTime histogram
tickTime_count{name="svMain"} 100
tickTime_sum{name="svMain"} 0.500000
tickTime_bucket{name="svMain",le="0.005000"} 90
tickTime_bucket{name="svMain",le="0.050000"} 98
tickTime_bucket{name="svMain",le="+Inf"} 100
tickTime_count{name="svNetwork"} 7
tickTime_sum{name="svNetwork"} 0.01
tickTime_bucket{name="svNetwork",le="+Inf"} 7
process_resident_memory_bytes 1000
"#;

    #[test]
    fn histograms_are_read_by_thread_and_told_since_the_last_time() {
        let first = read(ANSWER).unwrap();
        let main = &first["svMain"];
        assert_eq!((main.count, main.mean(), main.bound(0.9), main.bound(0.95)), (100, 0.005, 0.005, 0.05));
        assert_eq!((main.bound(1.0), main.longer_than(0.05), main.longer_than(0.02)), (f64::INFINITY, 2, 2));
        let later = ANSWER.replace("} 100", "} 150").replace("0.500000", "1.5").replace("} 98", "} 148");
        let since = read(&later).unwrap()["svMain"].since(main);
        assert_eq!((since.count, since.sum, since.longer_than(0.05)), (50, 1.0, 0));
        // A server that was restarted counts from 0.
        let fresh = Histogram { buckets: main.buckets.clone(), sum: 0.1, count: 3 };
        assert_eq!(fresh.since(main), fresh);
    }

    #[test]
    fn what_is_no_perf_is_said() {
        assert_eq!(read("<!DOCTYPE html><html>"), Err(PerfError::Html));
        assert_eq!(read("up 1\n"), Err(PerfError::NoTicks));
        assert_eq!(read(""), Err(PerfError::NoTicks));
        let error = read("tickTime_sum{name=\"svMain\"} lots\n").unwrap_err();
        assert!(error.to_string().starts_with("line 1:"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(tickTime(_sum|_count|_bucket|)?[{}a-z\"=,+ .0-9-]{0,40}\n){0,9}") {
            if let Ok(threads) = read(&text) {
                for thread in threads.values() {
                    let _ = (thread.mean(), thread.bound(0.99), thread.longer_than(0.1), thread.since(thread));
                }
            }
        }
    }
}
