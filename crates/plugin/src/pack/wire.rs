//! Packed batches as bytes, for sinks in processes of their own.
//!
//! What is read is checked: what is read back points nowhere outside of itself, whoever wrote it.

use std::sync::Arc;

use tickscope_abi::raw::*;
use tickscope_abi::{CounterValue, Event};
use tickscope_core::{ClockInfo, Depth, Metadata};

use super::{Body, EMPTY, NewNames};
use crate::isolated::frame::{Garbled, In, Out};

/// Bytes that a sample has at least, and each argument.
const LEAST_SAMPLE: usize = 17;
const ARG: usize = 13;

impl Body {
    pub(crate) fn write(&self, out: &mut Out) {
        out.text(&self.text);
        out.count(self.args.len());
        for arg in &self.args {
            out.u32(arg.key);
            out.u8(arg.kind as u8);
            // SAFETY: `args_of` wrote all eight bytes, whichever field it is.
            out.u64(unsafe { arg.value.uint_value });
        }
        out.count(self.samples.len());
        for sample in &self.samples {
            write_sample(out, sample);
        }
    }

    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(from: &mut In<'_>) -> Result<Self, Garbled> {
        let text = from.text()?.to_owned();
        let n_args = from.count(ARG)?;
        let mut args = Vec::with_capacity(n_args);
        for _ in 0..n_args {
            let (key, kind) = (from.u32()?, u32::from(from.u8()?));
            let value = match kind {
                TICKSCOPE_ARG_TEXT => {
                    let range = range(from)?;
                    let (start, len) = (range.start as usize, range.len as usize);
                    text.get(start..start.saturating_add(len))
                        .ok_or(Garbled("an argument is outside of the text"))?;
                    TickscopeNumber { text: range }
                }
                TICKSCOPE_ARG_INT..=TICKSCOPE_ARG_POINTER => TickscopeNumber { uint_value: from.u64()? },
                _ => return Err(Garbled("an argument is of no known type")),
            };
            args.push(TickscopeArg { key, kind, value });
        }
        let n_samples = from.count(LEAST_SAMPLE)?;
        let mut samples = Vec::with_capacity(n_samples);
        for _ in 0..n_samples {
            samples.push(read_sample(from, args.len())?);
        }
        Ok(Self { samples, args, text })
    }
}

fn write_range(out: &mut Out, range: TickscopeRange) {
    out.u32(range.start);
    out.u32(range.len);
}

fn range(from: &mut In<'_>) -> Result<TickscopeRange, Garbled> {
    Ok(TickscopeRange { start: from.u32()?, len: from.u32()? })
}

fn write_sample(out: &mut Out, sample: &TickscopeSample) {
    out.u8(sample.kind as u8);
    out.u64(sample.time_ns);
    out.u32(sample.ring);
    out.u32(sample.track);
    // SAFETY: `fill` wrote the field that the kind says.
    match unsafe { sample.read() }.event {
        Event::Begin(begin) => {
            out.u64s(&[begin.span, begin.parent, begin.link]);
            out.u32s(&[begin.link_kind, begin.symbol, begin.category]);
            write_range(out, begin.args);
        }
        Event::End(end) => {
            out.u64s(&[end.span, end.begin_ns]);
            out.u32s(&[end.symbol, end.outcome, end.bytes]);
            write_range(out, end.args);
        }
        Event::Instant(instant) => {
            out.u32s(&[instant.symbol, instant.category, instant.scope]);
            write_range(out, instant.args);
        }
        Event::Counter { symbol, value } => {
            out.u32(symbol);
            out.u64(match value {
                CounterValue::Int(value) => value as u64,
                CounterValue::Float(value) => value.to_bits(),
            });
        }
        Event::Resume(switch) | Event::Suspend(switch) => {
            out.u32s(&[switch.host, switch.reason]);
        }
        Event::LinkPoint(point) => {
            out.u64s(&[point.id, point.span]);
        }
        Event::Stack(stack) => {
            out.u64s(&[stack.time_ns, stack.bytes]);
            out.u32(stack.stack);
        }
        Event::Gap(events) => out.u64(events),
        Event::Account(account) => {
            let (attempted, committed, delivered) = (account.attempted, account.committed, account.delivered);
            let (overwritten, discarded, dropped) = (account.overwritten, account.discarded, account.dropped);
            out.u64s(&[attempted, committed, delivered, overwritten, discarded, dropped]);
        }
        // No host makes one.
        _ => {}
    }
}

fn read_sample(from: &mut In<'_>, n_args: usize) -> Result<TickscopeSample, Garbled> {
    let kind = from.u8()?.into();
    let mut sample =
        TickscopeSample { kind, time_ns: from.u64()?, ring: from.u32()?, track: from.u32()?, ..EMPTY };
    let args = |from: &mut In<'_>| {
        let range = range(from)?;
        if (range.start as usize).saturating_add(range.len as usize) > n_args {
            return Err(Garbled("a sample has arguments that are not there"));
        }
        Ok(range)
    };
    let event = &mut sample.event;
    match kind {
        TICKSCOPE_BEGIN => {
            event.begin = TickscopeBegin {
                span: from.u64()?,
                parent: from.u64()?,
                link: from.u64()?,
                link_kind: from.u32()?,
                symbol: from.u32()?,
                category: from.u32()?,
                args: args(from)?,
            };
        }
        TICKSCOPE_END => {
            event.end = TickscopeEnd {
                span: from.u64()?,
                begin_ns: from.u64()?,
                symbol: from.u32()?,
                outcome: from.u32()?,
                bytes: from.u32()?,
                args: args(from)?,
            };
        }
        TICKSCOPE_INSTANT => {
            event.instant = TickscopeInstant {
                symbol: from.u32()?,
                category: from.u32()?,
                scope: from.u32()?,
                args: args(from)?,
            };
        }
        TICKSCOPE_COUNTER_INT | TICKSCOPE_COUNTER_FLOAT => {
            let symbol = from.u32()?;
            let value = TickscopeNumber { uint_value: from.u64()? };
            event.counter = TickscopeCounter { symbol, spare: 0, value };
        }
        TICKSCOPE_RESUME => event.resume = TickscopeSwitch { host: from.u32()?, reason: from.u32()? },
        TICKSCOPE_SUSPEND => event.suspend = TickscopeSwitch { host: from.u32()?, reason: from.u32()? },
        TICKSCOPE_LINK_POINT => event.link_point = TickscopeLinkPoint { id: from.u64()?, span: from.u64()? },
        TICKSCOPE_STACK => {
            let (time_ns, bytes) = (from.u64()?, from.u64()?);
            event.stack = TickscopeStack { time_ns, bytes, stack: from.u32()?, spare: 0 };
        }
        TICKSCOPE_GAP => event.gap = from.u64()?,
        TICKSCOPE_ACCOUNT => {
            event.account = TickscopeAccount {
                attempted: from.u64()?,
                committed: from.u64()?,
                delivered: from.u64()?,
                overwritten: from.u64()?,
                discarded: from.u64()?,
                dropped: from.u64()?,
            };
        }
        _ => return Err(Garbled("a sample is of no known kind")),
    }
    Ok(sample)
}

impl NewNames {
    /// The texts go in the order in which they are held: that of the lists.
    pub(crate) fn write(&self, out: &mut Out) {
        let mut texts = self.held.iter();
        let mut text = |out: &mut Out| out.text(texts.next().map_or("", |text| text));
        out.count(self.symbols.len());
        for symbol in &self.symbols {
            out.u32s(&[symbol.id, symbol.runtime, symbol.line]);
            (0..3).for_each(|_| text(out));
        }
        out.count(self.tracks.len());
        for track in &self.tracks {
            out.u32s(&[track.id, track.kind, track.parent, track.os_id]);
            (0..2).for_each(|_| text(out));
        }
        out.count(self.categories.len());
        for category in &self.categories {
            out.u32(category.id);
            (0..2).for_each(|_| text(out));
        }
        out.count(self.keys.len());
        for key in &self.keys {
            out.u32(key.id);
            text(out);
        }
        out.count(self.stacks.len());
        for node in &self.stacks {
            out.u32s(&[node.id, node.parent, node.symbol, node.line]);
        }
    }

    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(from: &mut In<'_>) -> Result<Self, Garbled> {
        let mut names = Self::default();
        for _ in 0..from.count(24)? {
            let (id, runtime, line) = (from.u32()?, from.u32()?, from.u32()?);
            let resource = names.hold(Arc::from(from.text()?));
            let (name, file) = (names.hold(from.text()?.into()), names.hold(from.text()?.into()));
            names.symbols.push(TickscopeSymbol { id, runtime, resource, name, file, line, spare: 0 });
        }
        for _ in 0..from.count(24)? {
            let (id, kind, parent, os_id) = (from.u32()?, from.u32()?, from.u32()?, from.u32()?);
            let (name, resource) = (names.hold(from.text()?.into()), names.hold(from.text()?.into()));
            names.tracks.push(TickscopeTrack { id, kind, parent, os_id, name, resource });
        }
        for _ in 0..from.count(12)? {
            let id = from.u32()?;
            let (name, description) = (names.hold(from.text()?.into()), names.hold(from.text()?.into()));
            names.categories.push(TickscopeCategory { id, spare: 0, name, description });
        }
        for _ in 0..from.count(8)? {
            let (id, name) = (from.u32()?, names.hold(from.text()?.into()));
            names.keys.push(TickscopeKey { id, spare: 0, name });
        }
        for _ in 0..from.count(16)? {
            let (id, parent, symbol, line) = (from.u32()?, from.u32()?, from.u32()?, from.u32()?);
            names.stacks.push(TickscopeStackNode { id, parent, symbol, line });
        }
        Ok(names)
    }
}

/// What is known of a recording.
pub(crate) fn write_metadata(out: &mut Out, metadata: &Metadata) {
    out.u32s(&[metadata.schema, metadata.pid]);
    let (start, start_unix) = (metadata.start_ns, metadata.start_unix_ns);
    out.u64s(&[metadata.budget_ns, start, start_unix, metadata.clock.error_ns]);
    for text in [&metadata.producer, &metadata.subject, metadata.depth.name(), &metadata.clock.source] {
        out.text(text);
    }
    out.count(metadata.facts.len());
    for (name, value) in &metadata.facts {
        out.text(name);
        out.text(value);
    }
}

/// # Errors
/// What is wrong with it.
pub(crate) fn read_metadata(from: &mut In<'_>) -> Result<Metadata, Garbled> {
    let (schema, pid) = (from.u32()?, from.u32()?);
    let (budget_ns, start_ns, start_unix_ns, error_ns) = (from.u64()?, from.u64()?, from.u64()?, from.u64()?);
    let (producer, subject) = (from.text()?.to_owned(), from.text()?.to_owned());
    let depth = Depth::from_name(from.text()?).ok_or(Garbled("a depth is none"))?;
    let clock = ClockInfo { source: from.text()?.to_owned(), error_ns };
    let n_facts = from.count(8)?;
    let mut facts = Vec::with_capacity(n_facts);
    for _ in 0..n_facts {
        facts.push((from.text()?.to_owned(), from.text()?.to_owned()));
    }
    Ok(Metadata { schema, producer, subject, budget_ns, depth, pid, start_ns, start_unix_ns, clock, facts })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tickscope_core::conformance;

    use super::*;
    use crate::isolated::frame::{self, Head, kind};
    use crate::pack::Packer;

    fn written(write: impl FnOnce(&mut Out)) -> Vec<u8> {
        let (mut out, mut bytes, mut body) = (Out::default(), Vec::new(), Vec::new());
        out.begin(Head { kind: kind::BATCH, call: 0 });
        write(&mut out);
        out.send(&mut bytes).unwrap();
        frame::read(&bytes[..], u32::MAX, &mut body).unwrap();
        body
    }

    /// One of everything, as bytes: names, samples, metadata.
    fn example() -> [Vec<u8>; 3] {
        let example = conformance::example();
        let (names, body) = Packer::default().pack(&example.as_batch());
        let names = written(|out| names.unwrap().write(out));
        [names, written(|out| body.write(out)), written(|out| write_metadata(out, &example.metadata))]
    }

    /// Reads all three, and writes what was read.
    fn again(part: usize, bytes: &[u8]) -> Result<Vec<u8>, Garbled> {
        let mut from = In(bytes);
        let written = match part {
            0 => NewNames::read(&mut from).map(|names| written(|out| names.write(out))),
            1 => Body::read(&mut from).map(|body| written(|out| body.write(out))),
            _ => read_metadata(&mut from).map(|metadata| written(|out| write_metadata(out, &metadata))),
        }?;
        from.end()?;
        Ok(written)
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_refused() {
        for (part, bytes) in example().iter().enumerate() {
            assert_eq!(again(part, bytes).as_ref(), Ok(bytes), "part {part}");
            for cut in 0..bytes.len() {
                assert!(again(part, &bytes[..cut]).is_err(), "part {part} at {cut}");
            }
        }
        let metadata = &conformance::example().metadata;
        let read = read_metadata(&mut In(&written(|out| write_metadata(out, metadata))));
        assert_eq!(read.as_ref(), Ok(metadata));
    }

    proptest! {
        /// What was changed anywhere is refused, or is something else that is whole.
        #[test]
        fn what_was_changed_is_read_or_refused(
            part in 0_usize..3,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = example()[part].clone();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(read) = again(part, &bytes) {
                prop_assert_eq!(again(part, &read), Ok(read));
            }
        }

        #[test]
        fn whatever_comes_is_read_or_refused(part in 0_usize..3, bytes: Vec<u8>) {
            if let Ok(read) = again(part, &bytes) {
                prop_assert_eq!(again(part, &read), Ok(read));
            }
        }
    }
}
