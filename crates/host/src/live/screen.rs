//! What `top` shows: a table of functions or resources, and a line of how long the work took lately.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table, TableState};

use super::snapshot::{Function, Resource, Snapshot};
use crate::cli::SortArg;
use crate::present::text::{bytes, grouped, time};

/// Intervals of which the work is remembered: as wide as terminals get.
const REMEMBERED: usize = 512;

/// The state of the view.
pub(crate) struct Screen {
    pub(crate) sort: SortArg,
    pub(crate) by_resource: bool,
    /// Since the recording began, instead of the last interval.
    pub(crate) whole: bool,
    pub(crate) paused: bool,
    table: TableState,
    before: Option<Snapshot>,
    now: Snapshot,
    lately: Snapshot,
    /// Mean time of the work in each interval, in microseconds, the latest first.
    took_us: VecDeque<u64>,
}

/// One row, whatever it is of.
struct Entry {
    cells: [String; 7],
    order: u64,
}

impl Screen {
    pub(crate) fn new(sort: SortArg, by_resource: bool) -> Self {
        Self {
            sort,
            by_resource,
            whole: false,
            paused: false,
            table: TableState::default(),
            before: None,
            now: Snapshot::default(),
            lately: Snapshot::default(),
            took_us: VecDeque::new(),
        }
    }

    /// Takes the next snapshot in.
    pub(crate) fn take(&mut self, next: Snapshot) {
        if self.paused {
            return;
        }
        // The first interval began with the recording.
        self.lately = self.before.as_ref().map_or_else(|| next.clone(), |before| next.since(before));
        self.took_us
            .push_front(self.lately.work.total_ns.checked_div(self.lately.work.count).unwrap_or(0) / 1_000);
        self.took_us.truncate(REMEMBERED);
        self.before = Some(next.clone());
        self.now = next;
    }

    pub(crate) fn scroll(&mut self, rows: i32) {
        let at = self.table.selected().unwrap_or(0);
        self.table.select(Some(at.saturating_add_signed(rows as isize)));
    }

    fn shown(&self) -> &Snapshot {
        if self.whole { &self.now } else { &self.lately }
    }

    fn head(&self) -> [String; 7] {
        let per = |what: &str| if self.whole { what.to_owned() } else { format!("{what}/s") };
        if self.by_resource {
            return [
                "cpu %".into(),
                "cpu".into(),
                per("alloc"),
                "gc".into(),
                per("gcs"),
                per("errors"),
                "resource".into(),
            ];
        }
        [
            "self %".into(),
            "total %".into(),
            "self".into(),
            per("calls"),
            per("alloc"),
            "kind".into(),
            "function".into(),
        ]
    }

    fn entries(&self) -> Vec<Entry> {
        let shown = self.shown();
        let seconds = shown.elapsed_ns as f64 / 1e9;
        let rate =
            |count: u64| if self.whole || seconds <= 0.0 { count as f64 } else { count as f64 / seconds };
        let share = |ns: u64| match shown.elapsed_ns {
            0 => String::new(),
            elapsed => format!("{:.1}", ns as f64 * 100.0 / elapsed as f64),
        };
        let mut entries: Vec<Entry> = if self.by_resource {
            shown.resources.iter().map(|one| self.resource(one, &rate, &share)).collect()
        } else {
            shown.functions.iter().map(|one| self.function(one, &rate, &share)).collect()
        };
        entries.sort_by(|a, b| b.order.cmp(&a.order).then_with(|| a.cells[6].cmp(&b.cells[6])));
        entries
    }

    fn resource(&self, one: &Resource, rate: &dyn Fn(u64) -> f64, share: &dyn Fn(u64) -> String) -> Entry {
        let name = if one.name.is_empty() { "(the program itself)" } else { &one.name };
        Entry {
            cells: [
                share(one.cpu_ns),
                time(one.cpu_ns),
                bytes(rate(one.allocated) as u64),
                time(one.gc_ns),
                format!("{:.0}", rate(one.collections)),
                format!("{:.0}", rate(one.errors)),
                name.to_owned(),
            ],
            order: match self.sort {
                SortArg::SelfTime | SortArg::Total | SortArg::Calls => one.cpu_ns,
                SortArg::Memory => one.allocated,
                SortArg::Gc => one.gc_ns,
            },
        }
    }

    fn function(&self, one: &Function, rate: &dyn Fn(u64) -> f64, share: &dyn Fn(u64) -> String) -> Entry {
        let mut name = one.name.clone();
        if !one.resource.is_empty() {
            name = format!("{}: {name}", one.resource);
        }
        if !one.place.is_empty() {
            name = format!("{name}  {}", one.place);
        }
        let calls = match one.calls {
            // Only samples tell of it.
            0 => String::new(),
            calls => format!("{:.0}", rate(calls)),
        };
        Entry {
            cells: [
                share(one.self_ns),
                share(one.total_ns),
                time(one.self_ns),
                calls,
                bytes(rate(one.allocated) as u64),
                one.kind.clone(),
                name,
            ],
            order: match self.sort {
                SortArg::SelfTime | SortArg::Gc => one.self_ns,
                SortArg::Total => one.total_ns,
                SortArg::Calls => one.calls,
                SortArg::Memory => one.allocated,
            },
        }
    }

    /// Two lines: what it is, and how it goes.
    fn summary(&self) -> [String; 2] {
        let (now, shown) = (&self.now, self.shown());
        let processes = match now.processes {
            1 => String::new(),
            count => format!(", {count} processes"),
        };
        let work = &shown.work;
        let mean = work.total_ns.checked_div(work.count).map_or_else(|| "-".to_owned(), time);
        let late = if now.work.late > 0 {
            format!(", {} late in all", grouped(now.work.late))
        } else {
            String::new()
        };
        [
            format!(
                "{}{processes}: recorded for {} at depth {}; {} events, {} dropped",
                now.subject,
                time(now.elapsed_ns),
                now.depth,
                grouped(now.events),
                grouped(now.dropped),
            ),
            format!(
                "{} {} in {}, {mean} each{late}",
                grouped(work.count),
                if work.name.is_empty() { "calls" } else { &work.name },
                if self.whole { "all".to_owned() } else { time(shown.elapsed_ns) },
            ),
        ]
    }

    /// The same as words: for where there is no terminal.
    pub(crate) fn text(&self, rows: usize) -> String {
        let [first, second] = self.summary();
        let mut text = format!("{first}\n{second}\n");
        for cells in
            std::iter::once(self.head()).chain(self.entries().into_iter().take(rows).map(|entry| entry.cells))
        {
            let [a, b, c, d, e, f, name] = cells;
            text.push_str(format!("{a:>8} {b:>8} {c:>9} {d:>9} {e:>10} {f:>9}  {name}").trim_end());
            text.push('\n');
        }
        text
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>) {
        let [top, spark, middle, keys] = Layout::vertical([
            Constraint::Length(2),
            Constraint::Length(2),
            Constraint::Min(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.summary().map(Line::from).to_vec()), top);
        let took: Vec<u64> = self.took_us.iter().take(usize::from(spark.width)).rev().copied().collect();
        frame.render_widget(Sparkline::default().data(took).style(Style::new().fg(Color::Cyan)), spark);
        self.draw_table(frame, middle);
        frame.render_widget(self.keys(), keys);
    }

    fn draw_table(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let right = |text: String| Cell::from(Line::from(text).right_aligned());
        let row = |cells: [String; 7]| {
            let [a, b, c, d, e, f, name] = cells;
            Row::new([a, b, c, d, e, f].map(right).into_iter().chain([Cell::from(name)]))
        };
        let widths = [7, 8, 9, 9, 10, 9].map(Constraint::Length).into_iter().chain([Constraint::Fill(1)]);
        let entries = self.entries();
        if let Some(at) = self.table.selected() {
            self.table.select(Some(at.min(entries.len().saturating_sub(1))));
        }
        // A terminal that grew shows what it has room for.
        let most = entries.len().saturating_sub(usize::from(area.height.saturating_sub(1)));
        *self.table.offset_mut() = self.table.offset().min(most);
        let table = Table::new(entries.into_iter().map(|entry| row(entry.cells)), widths)
            .header(row(self.head()).style(bold))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, area, &mut self.table);
    }

    fn keys(&self) -> Line<'static> {
        let chosen = Style::new().add_modifier(Modifier::REVERSED);
        let mut spans = Vec::new();
        let mut key = |text: &'static str, on: bool| {
            spans.push(Span::styled(text, if on { chosen } else { Style::new() }));
            spans.push(Span::raw("  "));
        };
        key("q quit", false);
        key("s self", self.sort == SortArg::SelfTime);
        key("t total", self.sort == SortArg::Total);
        key("c calls", self.sort == SortArg::Calls);
        key("m memory", self.sort == SortArg::Memory);
        key("g gc", self.sort == SortArg::Gc);
        key("r resources", self.by_resource);
        key("a since the start", self.whole);
        key("p pause", self.paused);
        key("d depth", false);
        Line::from(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::snapshot::Work;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn snapshot(seconds: u64) -> Snapshot {
        let function = |name: &str, self_ms: u64, calls| Function {
            resource: "shop".into(),
            kind: "function".into(),
            name: name.into(),
            place: "shop.lua:3".into(),
            calls,
            self_ns: self_ms * 1_000_000 * seconds,
            total_ns: self_ms * 2_000_000 * seconds,
            allocated: 1_000_000 * seconds,
        };
        Snapshot {
            subject: "game".into(),
            depth: "sample".into(),
            processes: 1,
            elapsed_ns: seconds * 1_000_000_000,
            events: 1_234 * seconds,
            work: Work {
                name: "ticks".into(),
                count: 20 * seconds,
                total_ns: 400_000_000 * seconds,
                late: seconds,
            },
            resources: vec![Resource {
                name: "shop".into(),
                cpu_ns: 500_000_000 * seconds,
                ..Resource::default()
            }],
            functions: vec![function("warm", 100, 10 * seconds), function("hot", 400, 0)],
            ..Snapshot::default()
        }
    }

    #[test]
    fn rows_are_of_the_last_interval_and_sorted() {
        let mut screen = Screen::new(SortArg::SelfTime, false);
        screen.take(snapshot(1));
        screen.take(snapshot(3));
        let text = screen.text(10);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "game: recorded for 3.00 s at depth sample; 3,702 events, 0 dropped");
        assert_eq!(lines[1], "40 ticks in 2.00 s, 20.0 ms each, 3 late in all");
        assert!(
            lines[3].contains("40.0")
                && lines[3].contains("800 ms")
                && lines[3].ends_with("shop: hot  shop.lua:3")
        );
        assert!(lines[4].contains("10.0") && lines[4].ends_with("shop: warm  shop.lua:3"), "{text}");
        screen.sort = SortArg::Calls;
        assert!(screen.text(1).lines().nth(3).unwrap().contains("warm"));
        screen.by_resource = true;
        assert!(screen.text(10).lines().nth(3).unwrap().contains("50.0"));
    }

    #[test]
    fn a_terminal_of_any_size_is_drawn() {
        let mut screen = Screen::new(SortArg::SelfTime, false);
        for seconds in 1..5 {
            screen.take(snapshot(seconds));
        }
        for (width, height) in [(1, 1), (10, 3), (80, 24), (300, 60)] {
            screen.scroll(1);
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| screen.draw(frame)).unwrap();
            if width >= 80 {
                let drawn = terminal.backend().to_string();
                assert!(drawn.contains("shop: hot") && drawn.contains("q quit"), "{drawn}");
            }
        }
    }
}
