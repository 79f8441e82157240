//! The session's clock: the time stamp counter where it can be trusted, the system's monotonic clock elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tickscope_core::{Calibration, Ticks};

/// How a session measures time.
///
/// The counter is used when the processor says it is invariant (constant rate, running through all sleep states);
/// reading it takes a third of a `clock_gettime` on the machines measured. It drifts against the system's clock by
/// some 80 ppm, so the collector anchors it again each second and steers the conversion back, without jumps.
#[derive(Debug)]
pub struct Clock {
    source: ClockSource,
    start: Anchor,
    max_error_ns: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClockSource {
    Tsc,
    Monotonic,
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) ticks: Ticks,
    pub(crate) monotonic_ns: u64,
    /// How far apart the two readings may be.
    pub(crate) error_ns: u64,
}

impl Clock {
    /// The best clock of this machine, and its calibration: takes about 5 ms.
    pub(crate) fn calibrated() -> (Self, Calibration) {
        if invariant_tsc() {
            let start = anchor(ClockSource::Tsc);
            std::thread::sleep(Duration::from_millis(5));
            let end = anchor(ClockSource::Tsc);
            if let Some(calibration) =
                Calibration::from_anchors((start.ticks, start.monotonic_ns), (end.ticks, end.monotonic_ns))
            {
                let error = AtomicU64::new(start.error_ns + end.error_ns);
                return (Self { source: ClockSource::Tsc, start, max_error_ns: error }, calibration);
            }
        }
        let start = anchor(ClockSource::Monotonic);
        (
            Self { source: ClockSource::Monotonic, start, max_error_ns: AtomicU64::new(0) },
            Calibration::NANOSECONDS,
        )
    }

    /// The clock of a session that another process started at `base_ticks` and `base_ns`, by the time stamp counter or
    /// by the system's monotonic clock: both are the machine's, so that they can be read here too. Takes about 5 ms.
    pub(crate) fn of_another(tsc: bool, base_ticks: Ticks, base_ns: u64) -> (Self, Calibration) {
        let start = Anchor { ticks: base_ticks, monotonic_ns: base_ns, error_ns: 0 };
        if !tsc {
            let clock = Self { source: ClockSource::Monotonic, start, max_error_ns: AtomicU64::new(0) };
            return (clock, Calibration::NANOSECONDS);
        }
        let (here, calibration) = Self::calibrated();
        (Self { source: ClockSource::Tsc, start, ..here }, calibration)
    }

    /// This clock, for a session that starts now.
    pub(crate) fn again(&self) -> Self {
        let error = AtomicU64::new(self.max_error_ns.load(Ordering::Relaxed));
        Self { source: self.source, start: anchor(self.source), max_error_ns: error }
    }

    pub(crate) fn is_tsc(&self) -> bool {
        self.source == ClockSource::Tsc
    }

    /// Reads the clock.
    #[inline(always)]
    pub fn now(&self) -> Ticks {
        match self.source {
            ClockSource::Tsc => tsc(),
            ClockSource::Monotonic => Ticks(monotonic_ns()),
        }
    }

    /// `tsc` or `monotonic`.
    pub fn name(&self) -> &'static str {
        match self.source {
            ClockSource::Tsc => "tsc",
            ClockSource::Monotonic => "monotonic",
        }
    }

    /// The largest error seen against the system's clock, in nanoseconds.
    pub fn error_ns(&self) -> u64 {
        self.max_error_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn start(&self) -> Anchor {
        self.start
    }

    /// Takes a fresh anchor and answers a conversion that continues `current` at this moment and runs back to the
    /// system's clock within a second.
    pub(crate) fn steer(&self, current: Calibration) -> Calibration {
        if self.source == ClockSource::Monotonic {
            return current;
        }
        let here = anchor(self.source);
        let converted = current.nanos(here.ticks);
        let error = converted as i64 - here.monotonic_ns as i64;
        self.max_error_ns.fetch_max(error.unsigned_abs() + here.error_ns, Ordering::Relaxed);
        // The true rate over the whole session, bent so that the error is gone after a second. A bend is at most
        // 1 %: after a suspended machine the clocks may be far apart, and time must not run backwards.
        let elapsed = here.monotonic_ns.saturating_sub(self.start.monotonic_ns);
        let bend = (-error).clamp(-10_000_000, 10_000_000);
        let target =
            elapsed.saturating_add_signed((i128::from(elapsed) * i128::from(bend) / 1_000_000_000) as i64);
        Calibration::from_anchors((self.start.ticks, 0), (here.ticks, target))
            .unwrap_or(current)
            .rebased(here.ticks, converted)
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn tsc() -> Ticks {
    // SAFETY: every x86-64 processor has the instruction; it touches no memory.
    Ticks(unsafe { std::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn tsc() -> Ticks {
    Ticks(monotonic_ns())
}

#[cfg(target_arch = "x86_64")]
fn invariant_tsc() -> bool {
    use std::arch::x86_64::__cpuid;
    // CPUID 8000_0007h, EDX bit 8 (AMD APM 3, Intel SDM 2A): constant in all P-, C- and T-states.
    __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & 1 << 8 != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn invariant_tsc() -> bool {
    false
}

pub(crate) fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

pub(crate) fn realtime_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME)
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer; these clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The tightest of several simultaneous readings: an interrupt between the two loosens one of them.
fn anchor(source: ClockSource) -> Anchor {
    let reading = || {
        let before = monotonic_ns();
        let ticks = match source {
            ClockSource::Tsc => tsc(),
            ClockSource::Monotonic => Ticks(before),
        };
        let after = monotonic_ns();
        Anchor { ticks, monotonic_ns: before + (after - before) / 2, error_ns: (after - before).div_ceil(2) }
    };
    let mut best = reading();
    for _ in 0..8 {
        let next = reading();
        if next.error_ns < best.error_ns {
            best = next;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_readings_never_go_backwards() {
        let (clock, calibration) = Clock::calibrated();
        let mut last = calibration.nanos(clock.now());
        for _ in 0..1_000_000 {
            let now = calibration.nanos(clock.now());
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn steering_continues_where_it_was_and_stays_close() {
        let (clock, mut calibration) = Clock::calibrated();
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(20));
            let now = clock.now();
            let (before, steered) = (calibration.nanos(now), clock.steer(calibration));
            assert!(steered.nanos(now).abs_diff(before) < 100_000, "no jump");
            calibration = steered;
        }
        assert!(clock.error_ns() < 1_000_000, "anchors agree within a millisecond: {}", clock.error_ns());
    }
}
