//! Samples with their ids replaced by what they stand for: what must survive a round trip.

use tickscope_core::{ArgRange, ArgValue, Batch, Event, RecordingSink, SymbolId, TrackId};

fn symbol(batch: &Batch<'_>, id: SymbolId) -> String {
    let symbol = batch.dictionary.symbol(id);
    let (runtime, line) = (symbol.runtime.name(), symbol.line);
    format!("{runtime}|{}|{}|{}:{line}", symbol.resource, symbol.name, symbol.file)
}

/// A track by its name and those it stands under; its number among its equals tells twins apart.
fn track(batch: &Batch<'_>, seen: &mut Vec<TrackId>, id: TrackId) -> String {
    let id = if id.index() < batch.dictionary.tracks().len() { id } else { TrackId::PROCESS };
    let number = match seen.iter().position(|known| *known == id) {
        Some(number) => number,
        None => {
            seen.push(id);
            seen.len() - 1
        }
    };
    let known = batch.dictionary.track(id);
    let parent = batch.dictionary.track(known.parent);
    let (kind, os_id) = (known.kind.name(), known.os_id);
    format!(
        "#{number} {kind} {os_id} {:?} {:?} in {:?} {:?}",
        known.name, known.resource, parent.kind, parent.name
    )
}

fn args(batch: &Batch<'_>, range: ArgRange) -> String {
    let each = batch.args(range).iter().map(|arg| match arg.value {
        text @ ArgValue::Text { .. } => format!("{}={:?}", batch.dictionary.key(arg.key), batch.text(text)),
        ArgValue::Float(value) => format!("{}={:x}", batch.dictionary.key(arg.key), value.to_bits()),
        other => format!("{}={other:?}", batch.dictionary.key(arg.key)),
    });
    each.collect::<Vec<_>>().join(" ")
}

/// Every sample as a line.
pub fn lines(recording: &RecordingSink) -> Vec<String> {
    let batch = recording.as_batch();
    let mut seen = Vec::new();
    recording
        .samples
        .iter()
        .map(|sample| {
            let category = |id| batch.dictionary.category(id).name.clone();
            let on = track(&batch, &mut seen, sample.track);
            let what = match sample.event {
                Event::Begin(begin) => format!(
                    "begin {:?} in {:?} {} {} {:?} [{}]",
                    begin.span,
                    begin.parent,
                    symbol(&batch, begin.symbol),
                    category(begin.category),
                    begin.link,
                    args(&batch, begin.args)
                ),
                Event::End(end) => format!(
                    "end {:?} {} since {} {:?} {} [{}]",
                    end.span,
                    symbol(&batch, end.symbol),
                    end.begin_ns,
                    end.outcome,
                    end.bytes,
                    args(&batch, end.args)
                ),
                Event::Instant { symbol: id, category: kind, scope, args: range } => format!(
                    "instant {} {} {scope:?} [{}]",
                    symbol(&batch, id),
                    category(kind),
                    args(&batch, range)
                ),
                Event::Counter { symbol: id, value } => format!("counter {} {value:?}", symbol(&batch, id)),
                Event::Resume { host } => format!("resume on {}", track(&batch, &mut seen, host)),
                Event::Suspend { host, reason } => {
                    format!("suspend on {} {reason:?}", track(&batch, &mut seen, host))
                }
                Event::Stack { stack, weight } => {
                    let frames: Vec<_> = batch
                        .dictionary
                        .frames(stack)
                        .map(|node| format!("{}@{}", symbol(&batch, node.symbol), node.line))
                        .collect();
                    format!("stack {weight:?} {frames:?}")
                }
                other => format!("{other:?}"),
            };
            format!("{} ring {} {on}: {what}", sample.time_ns, sample.ring.0)
        })
        .collect()
}
