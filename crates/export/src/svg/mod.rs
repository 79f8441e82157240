//! A flame graph as one SVG file that needs nothing else: zoom by click, search, details under the pointer.
//!
//! Time runs sideways in no order, wide frames first; each row is called by the one above. Widths are proportional
//! to total time. Colours tell the kind of a frame. Without scripts (in a README, in a mail) the whole graph stands
//! as it is. What counts as time is told in [`paths`](crate::paths).
//!
//! # Limits
//! The widest [`MAX_FRAMES`] frames are drawn; what is thinner leaves a gap, and the note under the title says how
//! much time is missing from the last row it belongs to.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;

use tickscope_core::{Batch, CategoryId, Flow, Metadata, Runtime, Sink, SinkError};

use crate::output::Output;
use crate::paths::{Node, Paths, place};

/// Most frames of a graph.
pub const MAX_FRAMES: usize = 8_000;

const WIDTH: f64 = 1200.0;
const PAD: f64 = 12.0;
const ROW: f64 = 19.0;
const TOP: f64 = 96.0;

/// What a colour says, in the order of the classes of the style sheet.
const KINDS: [&str; 12] = [
    "host", "tick", "resource", "thread", "event", "export", "timer", "command", "native", "function", "gc",
    "waiting",
];

fn kind(category: CategoryId, runtime: Runtime) -> usize {
    match category {
        CategoryId::TICK => 1,
        CategoryId::RESOURCE => 2,
        CategoryId::THREAD | CategoryId::TASK | CategoryId::COROUTINE => 3,
        CategoryId::EVENT | CategoryId::STATE_BAG => 4,
        CategoryId::EXPORT => 5,
        CategoryId::TIMER => 6,
        CategoryId::COMMAND | CategoryId::ENTRY => 7,
        CategoryId::NATIVE | CategoryId::SQL | CategoryId::IO | CategoryId::HTTP => 8,
        CategoryId::GC => 10,
        CategoryId::AWAIT | CategoryId::SLEEP => 11,
        _ if runtime == Runtime::Native => 8,
        _ if runtime == Runtime::Host => 0,
        _ => 9,
    }
}

/// A frame to be drawn.
struct Shape {
    node: u32,
    offset_ns: u64,
    depth: usize,
}

/// Writes the flame graph of `paths`, of one resource or (`None`) of all, under `title`.
///
/// # Errors
/// Those of `writer`.
pub fn write(
    paths: &Paths,
    resource: Option<&str>,
    title: &str,
    writer: impl Write,
) -> Result<(), SinkError> {
    let (own, total) = paths.times(resource);
    let whole = total.first().copied().unwrap_or_default();
    let (shapes, left_out) = arrange(paths, &total);
    let rows = shapes.iter().map(|shape| shape.depth + 1).max().unwrap_or(1);
    let height = TOP + rows as f64 * ROW + 2.0 * PAD;
    let mut out = Output::new("the flame graph", writer);
    let mut text = String::new();
    head(&mut text, title, resource, whole, height);
    let mut used: Vec<usize> = shapes
        .iter()
        .filter_map(|shape| paths.symbol(shape.node).map(|symbol| (shape, symbol)))
        .map(|(shape, symbol)| kind(paths.nodes()[shape.node as usize].category, symbol.runtime))
        .collect();
    used.sort_unstable();
    used.dedup();
    legend(&mut text, &used);
    if left_out > 0 {
        let _ = write!(
            text,
            "<text class=\"note\" x=\"{PAD}\" y=\"{:.0}\">{left_out} frames are too thin to be drawn</text>",
            height - 6.0
        );
    }
    let lanes: HashMap<u32, &str> = paths.lanes().map(|(name, root)| (root, name)).collect();
    for shape in &shapes {
        let node = &paths.nodes()[shape.node as usize];
        let times = (own[shape.node as usize], total[shape.node as usize]);
        frame(&mut text, paths, &lanes, shape, node, times, whole, resource);
        out.bytes.extend_from_slice(text.as_bytes());
        text.clear();
        out.settle()?;
    }
    let _ = write!(text, "<script><![CDATA[\n{}]]></script>\n</svg>\n", include_str!("flame.js"));
    out.bytes.extend_from_slice(text.as_bytes());
    out.flush()
}

/// Places the widest frames, a child inside its parent, wide ones first; how many were left out.
fn arrange(paths: &Paths, total: &[u64]) -> (Vec<Shape>, usize) {
    let nodes = paths.nodes();
    let mut widths: Vec<u64> = total.iter().copied().filter(|total| *total > 0).collect();
    let least = if widths.len() > MAX_FRAMES {
        *widths.select_nth_unstable_by(MAX_FRAMES, |a, b| b.cmp(a)).1 + 1
    } else {
        1
    };
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut left_out = 0;
    let one_lane = paths.lanes().count() == 1;
    let first = if one_lane { paths.lanes().next().map_or(0, |(_, root)| root) } else { 0 };
    for node in 1..nodes.len() as u32 {
        if total[node as usize] >= least {
            children.entry(nodes[node as usize].parent).or_default().push(node);
        } else if total[node as usize] > 0 {
            left_out += 1;
        }
    }
    let mut shapes = Vec::new();
    let mut open = vec![(Shape { node: 0, offset_ns: 0, depth: 0 }, first)];
    while let Some((shape, under)) = open.pop() {
        let (mut offset_ns, depth) = (shape.offset_ns, shape.depth + 1);
        if total[shape.node as usize] > 0 {
            shapes.push(shape);
        }
        let Some(below) = children.get_mut(&under) else { continue };
        below.sort_by(|a, b| {
            let name = |node: &u32| paths.symbol(*node).map(|symbol| symbol.name.clone());
            total[*b as usize].cmp(&total[*a as usize]).then_with(|| name(a).cmp(&name(b))).then(a.cmp(b))
        });
        for node in below {
            open.push((Shape { node: *node, offset_ns, depth }, *node));
            offset_ns += total[*node as usize];
        }
    }
    shapes.sort_by_key(|shape| (shape.depth, shape.offset_ns));
    (shapes, left_out)
}

fn head(text: &mut String, title: &str, resource: Option<&str>, whole: u64, height: f64) {
    let _ = write!(
        text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" data-pad=\"{PAD}\" data-total=\"{}\">\n<title>{}</title>\n<style><![CDATA[\n{}]]></style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        whole.max(1),
        escaped(title),
        include_str!("flame.css"),
    );
    let of = match resource {
        None => "all resources".to_owned(),
        Some("") => "the host itself".to_owned(),
        Some(name) => format!("resource {name}"),
    };
    let _ = write!(
        text,
        "<text class=\"title\" x=\"{PAD}\" y=\"28\">{}</text>\n\
         <text class=\"note\" x=\"{PAD}\" y=\"48\">{} on the CPU · {} · each row is called by the one above</text>\n\
         <text class=\"note\" id=\"details\" x=\"{PAD}\" y=\"88\">point at a frame for details, click to zoom, / to search, \
         Esc to reset</text>\n\
         <g data-right=\"232\" transform=\"translate({} 0)\"><foreignObject x=\"0\" y=\"12\" width=\"220\" height=\"26\">\
         <input xmlns=\"http://www.w3.org/1999/xhtml\" class=\"search\" id=\"search\" type=\"search\" \
         placeholder=\"search\" aria-label=\"search\"/></foreignObject>\
         <text class=\"note\" id=\"matched\" x=\"0\" y=\"54\"></text></g>\n\
         <g class=\"button hidden\" id=\"reset\" data-right=\"322\" transform=\"translate({} 0)\">\
         <rect x=\"0\" y=\"12\" width=\"82\" height=\"26\"/><text x=\"41\" y=\"29\">reset zoom</text></g>\n",
        escaped(title),
        time(whole),
        escaped(&of),
        WIDTH - 232.0,
        WIDTH - 322.0,
    );
}

fn legend(text: &mut String, used: &[usize]) {
    let mut x = PAD;
    for kind in used {
        let name = KINDS[*kind];
        let _ = write!(
            text,
            "<rect class=\"c{kind}\" x=\"{x:.0}\" y=\"58\" width=\"11\" height=\"11\" rx=\"2\"/>\
             <text class=\"note\" x=\"{:.0}\" y=\"68\">{name}</text>",
            x + 16.0
        );
        x += 32.0 + 6.8 * name.len() as f64;
    }
    text.push('\n');
}

#[expect(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
fn frame(
    text: &mut String,
    paths: &Paths,
    lanes: &HashMap<u32, &str>,
    shape: &Shape,
    node: &Node,
    (own, total): (u64, u64),
    whole: u64,
    resource: Option<&str>,
) {
    let scale = (WIDTH - 2.0 * PAD) / whole.max(1) as f64;
    let (x, width) = (PAD + shape.offset_ns as f64 * scale, total as f64 * scale);
    let y = TOP + shape.depth as f64 * ROW;
    let symbol = paths.symbol(shape.node);
    let (name, place) = match symbol {
        Some(symbol) if symbol.name.is_empty() => ("(no name)", place(symbol)),
        Some(symbol) => (&*symbol.name, place(symbol)),
        None => (lanes.get(&shape.node).copied().unwrap_or("all"), String::new()),
    };
    let colour = symbol.map_or(0, |symbol| kind(node.category, symbol.runtime));
    let shade = name.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 3;
    let context = symbol.is_some_and(|symbol| resource.is_some_and(|wanted| *symbol.resource != *wanted));
    let share = |nanos: u64| 100.0 * nanos as f64 / whole.max(1) as f64;
    let _ = write!(
        text,
        "<g class=\"frame{}\" data-o=\"{}\" data-t=\"{total}\" data-s=\"{own}\" data-d=\"{}\" data-n=\"{}\"><title>{}",
        if context { " context" } else { "" },
        shape.offset_ns,
        shape.depth,
        escaped(name),
        escaped(name),
    );
    if !place.is_empty() {
        let _ = write!(text, "\n{}", escaped(&place));
    }
    let _ = write!(
        text,
        "\ntotal {} ({:.2} %)\nself {} ({:.2} %)",
        time(total),
        share(total),
        time(own),
        share(own)
    );
    if node.calls > 0 {
        let _ = write!(text, "\n{} calls", node.calls);
    }
    if node.samples > 0 {
        let _ = write!(text, "\n{} samples (estimated)", node.samples);
    }
    let drawn = if width > 3.0 { width - 0.7 } else { width }; // a gap between neighbours that can spare it
    // What fits at 7 units a character; the script fits it again to the window.
    let most = ((width - 8.0) / 7.0).max(0.0) as usize;
    let label = match name.chars().count() {
        _ if most < 3 => String::new(),
        count if count <= most => name.to_owned(),
        _ => name.chars().take(most - 1).chain(['…']).collect(),
    };
    let _ = writeln!(
        text,
        "</title><rect class=\"c{colour} s{shade}\" x=\"{x:.2}\" y=\"{y:.1}\" width=\"{drawn:.2}\" height=\"{:.1}\"/>\
         <text x=\"{:.2}\" y=\"{:.1}\">{}</text></g>",
        ROW - 1.0,
        x + 4.0,
        y + 13.0,
        escaped(&label),
    );
}

/// Time as people read it.
fn time(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        1_000_000..10_000_000_000 => format!("{:.2} ms", nanos as f64 / 1e6),
        _ => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

/// Text of an XML element or attribute. Control characters, which XML 1.0 cannot hold, become pictures of themselves.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{7f}' => out.push('\u{2421}'),
            control if control < ' ' => out.push(char::from_u32(0x2400 + control as u32).unwrap_or('?')),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// The sink: adds up paths, and draws them when the recording is over.
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// let mut svg = Vec::new();
/// let mut writer = tickscope_export::svg::Writer::new(&mut svg);
/// writer.batch(&conformance::example().as_batch())?;
/// writer.finish()?;
/// drop(writer);
/// assert!(svg.ends_with(b"</svg>\n"));
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    paths: Paths,
    resource: Option<String>,
    title: Option<String>,
    subject: String,
    writer: W,
}

impl<W: Write> Writer<W> {
    /// A writer to `writer`.
    pub fn new(writer: W) -> Self {
        Self { paths: Paths::default(), resource: None, title: None, subject: String::new(), writer }
    }

    /// Counts time of that resource only.
    pub fn resource(mut self, resource: Option<String>) -> Self {
        self.resource = resource;
        self
    }

    /// Writes that title; else the recording's subject.
    pub fn title(mut self, title: Option<String>) -> Self {
        self.title = title;
        self
    }
}

impl<W: Write> Sink for Writer<W> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.subject.clone_from(&metadata.subject);
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.paths.batch(batch)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.paths.finish()?;
        let title = match (&self.title, self.subject.as_str()) {
            (Some(title), _) => title,
            (None, "") => "recording",
            (None, subject) => subject,
        };
        write(&self.paths, self.resource.as_deref(), title, &mut self.writer)
    }
}
