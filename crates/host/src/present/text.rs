//! The report in words.

use std::cmp::Reverse;
use std::fmt::Write;

use tickscope_analysis::{Blame, Cause, Chain, LateTick, Report, ResourceStats, SlowOperation, SymbolStats};
use tickscope_core::{Depth, Metadata, Symbol};

use super::style::Style;

/// The report as a page of text. A pure function of its arguments.
pub(crate) fn page(report: &Report, metadata: &Metadata, capture: &str, top: usize, style: Style) -> String {
    let mut page = Page { out: String::new(), top, style };
    page.head(report, metadata);
    page.culprits(report);
    page.late_ticks(report);
    page.anomalies(report);
    page.slow_operations(report);
    page.resources(report);
    page.functions(report);
    page.open_spans(report);
    page.foot(report, metadata, capture);
    page.out
}

/// A heap that grew by as many bytes, and by a tenth, is told of.
const GREW: u64 = 1 << 20;

/// The late ticks that took longest, the longest first.
pub(crate) fn worst(report: &Report, top: usize) -> Vec<&LateTick> {
    let mut late: Vec<&LateTick> = report.late_ticks.iter().collect();
    late.sort_by_key(|tick| (Reverse(tick.duration_ns), tick.tick));
    late.truncate(top);
    late
}

struct Page {
    out: String,
    top: usize,
    style: Style,
}

/// Writing to a String cannot fail.
macro_rules! line {
    ($page:expr) => { $page.out.push('\n') };
    ($page:expr, $($arg:tt)*) => {{ let _ = writeln!($page.out, $($arg)*); }};
}

impl Page {
    fn head(&mut self, report: &Report, metadata: &Metadata) {
        let seconds = report.last_ns.saturating_sub(report.first_ns) as f64 / 1e9;
        let ticks = &report.ticks;
        let subject = self.style.bold(plain(&metadata.subject));
        if ticks.count == 0 {
            line!(self, "{subject}: {seconds:.1} s recorded at depth {}", report.depth.name());
            return;
        }
        let late = match ticks.late {
            0 => "none late".to_owned(),
            late => self.style.red(format!("{late} late")),
        };
        line!(
            self,
            "{subject}: {} ticks in {seconds:.1} s, {late} (budget {}, depth {})",
            grouped(ticks.count),
            time(report.budget_ns),
            report.depth.name(),
        );
        line!(
            self,
            "tick times: median {}, 95 % {}, 99 % {}, longest {}",
            time(ticks.p50_ns),
            time(ticks.p95_ns),
            time(ticks.p99_ns),
            time(ticks.max_ns),
        );
    }

    fn title(&mut self, title: &str) {
        line!(self);
        line!(self, "{}", self.style.bold(title));
    }

    fn culprits(&mut self, report: &Report) {
        if report.culprits.is_empty() {
            return;
        }
        self.title("Who made ticks late");
        let rows = report.culprits.iter().take(self.top.max(10)).map(|culprit| {
            let ticks = match culprit.ticks {
                1 => "1 tick".to_owned(),
                n => format!("{n} ticks"),
            };
            let worst = format!("worst {} (tick {})", time(culprit.worst_ns), culprit.worst_tick);
            [
                ticks,
                time(culprit.total_ns),
                worst,
                plain(&culprit.symbol.resource).into_owned(),
                what(&culprit.kind, &culprit.symbol),
            ]
        });
        let rows: Vec<_> = rows.collect();
        self.table(&[Align::Right, Align::Right, Align::Left, Align::Left, Align::Left], None, &rows);
    }

    fn late_ticks(&mut self, report: &Report) {
        let late = worst(report, self.top);
        if report.late_ticks.is_empty() {
            return;
        }
        self.title(&match late.len() {
            1 => "The worst late tick".to_owned(),
            n => format!("The {n} worst late ticks"),
        });
        for tick in late {
            let open = if tick.open { ", and it had not ended" } else { "" };
            let head = format!("tick {}, {}{open}", tick.tick, time(tick.duration_ns));
            line!(self, "  {}", self.style.red(head));
            match tick.blame {
                Blame::Machine => line!(
                    self,
                    "    the machine's: scripts took {}, and for {} the thread was ready but did not get a processor",
                    time(tick.script_ns),
                    time(tick.run_delay_ns),
                ),
                Blame::Script if tick.chains.is_empty() => {
                    line!(self, "    many small pieces; no single one stands out");
                }
                Blame::Script => {
                    for chain in &tick.chains {
                        self.chain(chain);
                    }
                }
            }
            for anomaly in report.anomalies.iter().filter(|anomaly| anomaly.tick == tick.tick) {
                let (what, of) = (what("anomaly", &anomaly.symbol), plain(&anomaly.symbol.resource));
                line!(
                    self,
                    "    reported in it: {what} of {of}  {}",
                    self.style.dim(plain(&anomaly.details))
                );
            }
        }
    }

    fn chain(&mut self, chain: &Chain) {
        // The tick itself is the heading.
        let (mut before, mut left_out): (Option<&Cause>, usize) = (None, 0);
        for cause in chain.causes.iter().skip(1) {
            // The body of a thread or handler stands where the thread or handler does: one line for both.
            let place =
                |cause: &Cause| (cause.symbol.resource.clone(), cause.symbol.file.clone(), cause.symbol.line);
            let body = cause.symbol.name.starts_with("function <")
                && !cause.culprit
                && before.is_some_and(|before| place(before) == place(cause));
            before = Some(cause);
            if body {
                left_out += 1;
                continue;
            }
            let indent = "  ".repeat((cause.depth - left_out.min(cause.depth)).min(20) + 1);
            let mark = if cause.culprit { self.style.red("▶ ") } else { String::new() };
            let name = self::cause(cause);
            let name = if cause.culprit { self.style.bold(name) } else { name };
            line!(self, "{indent}{mark}{name}  {}", self.style.dim(figures(cause)));
            if let Some(origin) = &cause.started_by
                && !origin.name.is_empty()
            {
                let origin = format!("started by {} of {}", plain(&origin.name), plain(&origin.resource));
                line!(self, "{indent}  {}", self.style.dim(origin));
            }
        }
    }

    fn anomalies(&mut self, report: &Report) {
        if report.anomalies.is_empty() {
            return;
        }
        self.title("Anomalies: what scripts reported");
        for anomaly in report.anomalies.iter().take(self.top) {
            let tick = if anomaly.tick == 0 { String::new() } else { format!("tick {}, ", anomaly.tick) };
            let reported = self.style.bold(format!("{tick}{}", plain(&anomaly.symbol.resource)));
            let details = self.style.dim(plain(&anomaly.details));
            line!(self, "  {reported}: {}  {details}", what("anomaly", &anomaly.symbol));
        }
        let all = report.anomalies.len() as u64 + report.overflow.anomalies;
        self.more(usize::try_from(all).unwrap_or(usize::MAX));
    }

    fn slow_operations(&mut self, report: &Report) {
        if report.slow_operations.is_empty() {
            return;
        }
        self.title("Slow operations: they waited, and held up no tick");
        for slow in report.slow_operations.iter().take(self.top) {
            self.slow_operation(slow);
        }
        self.more(report.slow_operations.len());
    }

    fn slow_operation(&mut self, slow: &SlowOperation) {
        let times = if slow.count == 1 { String::new() } else { format!(", {} times", slow.count) };
        let open = if slow.open { ", not ended yet" } else { "" };
        let what_waits = format!("{} of {}", what(&slow.kind, &slow.symbol), plain(&slow.symbol.resource));
        line!(self, "  {} took {}{times}{open}", self.style.bold(what_waits), time(slow.worst_ns));
        line!(
            self,
            "    {} awaits in {}; waiting {}, running {} in all",
            grouped(slow.worst_awaits),
            what("function", &slow.waited_in),
            time(slow.awaited_ns),
            time(slow.on_cpu_ns),
        );
    }

    fn resources(&mut self, report: &Report) {
        let resources: Vec<&ResourceStats> =
            report.resources.iter().filter(|stats| !stats.name.is_empty()).collect();
        if resources.is_empty() {
            return;
        }
        self.title("Resources");
        let total: u64 = report.resources.iter().map(|stats| stats.cpu_ns).sum();
        let rows: Vec<_> = resources
            .iter()
            .take(self.top.max(10))
            .map(|stats| {
                let gc = stats.gc_measured_ns + stats.gc_inferred_ns;
                [
                    plain(&stats.name).into_owned(),
                    format!("{}{}", if stats.estimated { "~" } else { "" }, time(stats.cpu_ns)),
                    percent(stats.cpu_ns, total),
                    bytes(stats.allocated),
                    if gc == 0 {
                        "-".into()
                    } else {
                        format!("{}{}", if stats.gc_inferred_ns > 0 { "~" } else { "" }, time(gc))
                    },
                    stats.heap_bytes.map_or_else(|| "-".into(), bytes),
                    stats.errors.to_string(),
                ]
            })
            .collect();
        let head = ["", "CPU", "", "allocated", "GC", "heap", "errors"];
        let align =
            [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right];
        self.table(&align, Some(&head), &rows);
        self.more(resources.len().saturating_sub(self.top.max(10)) + self.top);
        self.heaps(&resources);
    }

    /// Those that hold much more than at first.
    fn heaps(&mut self, resources: &[&ResourceStats]) {
        let mut grown: Vec<(u64, u64, &str)> = resources
            .iter()
            .filter_map(|stats| Some((stats.heap_first_bytes?, stats.heap_bytes?, &*stats.name)))
            .filter(|(first, last, _)| last.saturating_sub(*first) >= GREW.max(first / 10))
            .collect();
        if grown.is_empty() {
            return;
        }
        grown.sort_by_key(|(first, last, name)| (Reverse(last - first), *name));
        let grown: Vec<_> = grown
            .iter()
            .take(3)
            .map(|(first, last, name)| format!("{} from {} to {}", plain(name), bytes(*first), bytes(*last)))
            .collect();
        line!(self, "  heaps that grew most: {}", grown.join(", "));
    }

    fn functions(&mut self, report: &Report) {
        let functions: Vec<&SymbolStats> = report
            .symbols
            .iter()
            .filter(|stats| stats.self_ns > 0 && !matches!(&*stats.kind, "tick" | "await" | "sleep"))
            .take(self.top.max(10))
            .collect();
        if functions.is_empty() {
            return;
        }
        self.title(match report.depth {
            Depth::Sample => "Where time went (functions are estimates from 1,000 samples a second)",
            _ => "Where time went",
        });
        let rows: Vec<_> = functions
            .iter()
            .map(|stats| {
                let mark = if stats.estimated { "~" } else { "" };
                [
                    format!("{mark}{}", time(stats.self_ns)),
                    format!("{mark}{}", time(stats.total_ns)),
                    stats.count.map_or_else(|| "-".into(), grouped),
                    plain(&stats.symbol.resource).into_owned(),
                    what(&stats.kind, &stats.symbol),
                ]
            })
            .collect();
        let head = ["self", "total", "calls", "resource", ""];
        self.table(&[Align::Right, Align::Right, Align::Right, Align::Left, Align::Left], Some(&head), &rows);
    }

    fn open_spans(&mut self, report: &Report) {
        let running: Vec<_> = report.open_spans.iter().filter(|span| span.running).collect();
        if running.is_empty() {
            return;
        }
        self.title("Still running at the end");
        for span in running.iter().take(self.top.max(10)) {
            let since = time(report.last_ns.saturating_sub(span.begin_ns));
            let indent = "  ".repeat(span.depth.min(20) + 1);
            line!(self, "{indent}{}{} for {since}", what(&span.kind, &span.symbol), of(&span.symbol));
        }
    }

    fn foot(&mut self, report: &Report, metadata: &Metadata, capture: &str) {
        line!(self);
        let accounts = report.accounts.total;
        line!(
            self,
            "{} events recorded, {} dropped; clock {}, set to ± {} at the start",
            grouped(accounts.delivered),
            grouped(accounts.dropped.saturating_add(accounts.overwritten)),
            metadata.clock.source,
            time(metadata.clock.error_ns),
        );
        if let Some((_, part)) = metadata.facts.iter().find(|(fact, _)| fact == tickscope_session::PART) {
            line!(self, "part {} of a recording: what was before is in another capture", plain(part));
        }
        if accounts.dropped > 0 {
            let advice = "what was dropped is missing above: record less (--depth), or only --resource NAME";
            line!(self, "{}", self.style.red(advice));
        }
        if !report.accounts.holds && !report.truncated && accounts.attempted > 0 {
            line!(self, "events that are unaccounted for: please report this");
        }
        if report.machine.late_ticks > 0 {
            line!(
                self,
                "{} late {} the machine's fault, not a script's",
                report.machine.late_ticks,
                if report.machine.late_ticks == 1 { "tick was" } else { "ticks were" },
            );
        }
        if report.truncated {
            line!(self, "the recording was cut off: what was open then is counted up to there");
        }
        if !capture.is_empty() {
            line!(self, "capture: {} (open it at https://ui.perfetto.dev)", self.style.cyan(capture));
        }
    }

    fn more(&mut self, count: usize) {
        if count > self.top {
            line!(self, "  {}", self.style.dim(format!("… and {} more (--top)", count - self.top)));
        }
    }

    fn table<const N: usize>(&mut self, align: &[Align; N], head: Option<&[&str; N]>, rows: &[[String; N]]) {
        let width = |column: usize| {
            let head = head.map_or(0, |head| head[column].chars().count());
            rows.iter().map(|row| row[column].chars().count()).fold(head, usize::max)
        };
        let widths: [usize; N] = std::array::from_fn(width);
        let print = |row: [&str; N]| {
            let mut text = String::from("  ");
            for (column, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                match align[column] {
                    Align::Left => text.extend([cell, &*pad]),
                    Align::Right => text.extend([&*pad, cell]),
                }
                text.push_str("  ");
            }
            text.truncate(text.trim_end().len());
            text
        };
        if let Some(head) = head {
            let head = print(*head);
            line!(self, "{}", self.style.dim(head));
        }
        for row in rows {
            let row = print(std::array::from_fn(|column| &*row[column]));
            line!(self, "{row}");
        }
    }
}

#[derive(Clone, Copy)]
enum Align {
    Left,
    Right,
}

/// A cause in a few words: `resource shops`, `event bank:pay server/main.lua:12 of banking`.
pub(crate) fn cause(cause: &Cause) -> String {
    match (&*cause.kind, cause.symbol.name.is_empty()) {
        ("resource", true) => format!("resource {}", plain(&cause.symbol.resource)),
        _ => {
            let player = cause.player.map_or_else(String::new, |player| format!(" from player {player}"));
            format!("{}{}{player}", what(&cause.kind, &cause.symbol), in_resource(cause))
        }
    }
}

/// What may stand in a line of text: a name from a script must not move the cursor.
pub(crate) fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// `event bank:pay server/main.lua:12`, `restock() server/main.lua:88`.
fn what(kind: &str, symbol: &Symbol) -> String {
    plain(&what_raw(kind, symbol)).into_owned()
}

fn what_raw(kind: &str, symbol: &Symbol) -> String {
    let place = match (&*symbol.file, symbol.line) {
        ("", _) => String::new(),
        (file, 0) => format!(" {file}"),
        // Threads and timers are named after their place.
        (file, line) if symbol.name.ends_with(&format!("{file}:{line}")) => String::new(),
        (file, line) => format!(" {file}:{line}"),
    };
    match kind {
        // A function without a name is called after its place.
        "function" if symbol.name.starts_with("function <") => symbol.name.to_string(),
        "function" => format!("{}(){place}", symbol.name),
        "state_bag" => format!("state bag {}{place}", symbol.name),
        "gc" => format!("garbage collection, {}", symbol.name),
        kind => format!("{kind} {}{place}", symbol.name),
    }
}

fn of(symbol: &Symbol) -> String {
    if symbol.resource.is_empty() { String::new() } else { format!(" of {}", plain(&symbol.resource)) }
}

/// Where a chain crosses into another resource it says which.
fn in_resource(cause: &Cause) -> String {
    match &*cause.kind {
        "event" | "state_bag" | "export" | "command" | "resource" => of(&cause.symbol),
        _ => String::new(),
    }
}

fn figures(cause: &Cause) -> String {
    let mark = if cause.estimated { "~" } else { "" };
    let calls = match cause.calls {
        Some(1) => ", 1 call".to_owned(),
        Some(calls) => format!(", {} calls", grouped(calls)),
        None => String::new(),
    };
    format!("{mark}{} ({mark}{} itself{calls})", time(cause.total_ns), time(cause.self_ns))
}

/// Three digits and a unit.
pub(crate) fn time(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => scaled(value / 1e3, "µs"),
        1_000_000..1_000_000_000 => scaled(value / 1e6, "ms"),
        _ => scaled(value / 1e9, "s"),
    }
}

fn scaled(value: f64, unit: &str) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2} {unit}"),
        value if value < 99.95 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
    }
}

/// Bytes in powers of 1,024.
pub(crate) fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => scaled(value / 1_024.0, "KiB"),
        1_048_576..1_073_741_824 => scaled(value / 1_048_576.0, "MiB"),
        _ => scaled(value / 1_073_741_824.0, "GiB"),
    }
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let times = [999, 1_500, 412_345_678, 99_960_000, 1_000_000_000];
        assert_eq!(times.map(time), ["999 ns", "1.50 µs", "412 ms", "100 ms", "1.00 s"]);
        assert_eq!([0, 1_536, 5 << 20].map(bytes), ["0 B", "1.50 KiB", "5.00 MiB"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
