//! What the fuzz target of isolation feeds: both ends of the socket between a host and a sink's process.

use tickscope_abi::{Batch, Names};

use crate::isolated::{
    MAX_ANSWER, described,
    frame::{self, Garbled, Head, In, Out, kind},
    health, said, wants_more,
};
use crate::opened::printable;
use crate::pack::{self, Body, NewNames};

/// A host reads what a sink's process may have written.
pub fn host_reads(mut bytes: &[u8]) {
    let mut body = Vec::new();
    let shown = |text: &str| assert_eq!(printable(text), text);
    while let Ok(Some(head)) = frame::read(&mut bytes, MAX_ANSWER, &mut body) {
        let from = || In(&body);
        if head.kind == kind::LINE {
            if let Ok((_, line)) = said(&body) {
                shown(&crate::opened::line(line));
            }
            continue;
        }
        match described(&mut from()) {
            Ok(Ok(described)) => {
                shown(&described.name);
                if let Err(problem) = crate::Schema::parse(&described.schema) {
                    shown(&printable(&problem));
                }
            }
            Ok(Err(why)) => shown(&why.to_string()),
            Err(_) => {}
        }
        if let Ok(Err(failure)) = wants_more(&mut from()) {
            shown(&failure.to_string());
        }
        match health(&mut from()) {
            Ok((_, Ok(Some(health)))) => shown(&health.message),
            Ok((_, Err(failure))) => shown(&failure.to_string()),
            _ => {}
        }
    }
}

/// The process of a sink reads calls; what can be read is lent to a sink, and is the same when it is sent again.
pub fn process_reads(mut bytes: &[u8]) {
    let (mut body, mut names) = (Vec::new(), Names::default());
    while let Ok(Some(head)) = frame::read(&mut bytes, 1 << 20, &mut body) {
        let mut from = In(&body);
        match head.kind {
            kind::OPEN => {
                let texts = from.text().and_then(|_| from.text());
                if let Ok(metadata) = texts.and_then(|_| pack::read_metadata(&mut from)) {
                    let write = |out: &mut Out| pack::write_metadata(out, &metadata);
                    let again = sent(head, write);
                    assert_eq!(pack::read_metadata(&mut In(&again)), Ok(metadata));
                }
            }
            kind::NAMES => {
                let Ok(new) = NewNames::read(&mut from) else { continue };
                same(
                    head,
                    |out| new.write(out),
                    |from| NewNames::read(from).map(|read| sent(head, |out| read.write(out))),
                );
                // A host's numbers follow each other, and tables are as long as the largest.
                if new.largest() < 1 << 10 {
                    // SAFETY: it was read back, so it points nowhere outside of itself, and lives until this returns.
                    unsafe { names.take(&new.raw()) };
                }
            }
            kind::BATCH => {
                let Ok(new) = from.u64().and_then(|_| Body::read(&mut from)) else { continue };
                same(
                    head,
                    |out| new.write(out),
                    |from| Body::read(from).map(|read| sent(head, |out| read.write(out))),
                );
                let raw = new.raw(0);
                // SAFETY: as above.
                let batch = unsafe { Batch::new(&raw, &names) };
                lent(&batch);
            }
            _ => {}
        }
    }
}

/// All that a sink may look at.
fn lent(batch: &Batch<'_>) {
    use tickscope_abi::Event;
    let mut seen = 0;
    for sample in batch.samples() {
        let args = match sample.event {
            Event::Begin(begin) => begin.args,
            Event::End(end) => end.args,
            Event::Instant(instant) => instant.args,
            Event::Stack(stack) => {
                seen += batch.names().frames(stack.stack).count();
                continue;
            }
            _ => continue,
        };
        seen += batch.args(args).map(|(name, value)| name.len() + format!("{value:?}").len()).sum::<usize>();
    }
    std::hint::black_box(seen);
}

/// The body of a frame, as it is read.
fn sent(head: Head, write: impl FnOnce(&mut Out)) -> Vec<u8> {
    let (mut out, mut bytes, mut body) = (Out::default(), Vec::new(), Vec::new());
    out.begin(head);
    write(&mut out);
    out.send(&mut bytes).expect("it is shorter than 4 GiB");
    frame::read(&bytes[..], u32::MAX, &mut body).expect("what was written is read");
    body
}

/// What was read is written so that it is read again.
fn same(
    head: Head,
    write: impl FnOnce(&mut Out),
    again: impl FnOnce(&mut In<'_>) -> Result<Vec<u8>, Garbled>,
) {
    let first = sent(head, write);
    let mut from = In(&first);
    assert_eq!(again(&mut from), Ok(first.clone()));
    assert_eq!(from.end(), Ok(()));
}
