//! Legal streams of samples, made from random choices.

use std::sync::Arc;

use proptest::prelude::*;
use tickscope_core::{
    Account, Arg, ArgRange, ArgValue, Begin, CategoryId, CounterValue, End, Event, KeyId, Link, LinkKind,
    Metadata, Outcome, RecordingSink, RingId, Runtime, Sample, Scope, SpanId, StackId, StackNode,
    SwitchReason, Symbol, SymbolId, SymbolRef, Track, TrackId, TrackKind, Weight,
};

/// One choice: what to do, and numbers to do it with.
pub type Choice = (u8, u16, u16, u64);

pub fn choices(most: usize) -> impl Strategy<Value = Vec<Choice>> {
    proptest::collection::vec(
        (
            0u8..16,
            any::<u16>(),
            any::<u16>(),
            prop_oneof![3 => 0u64..2_000, 1 => any::<u64>().prop_map(|n| n >> 20)],
        ),
        0..most,
    )
}

struct Thread {
    ring: RingId,
    now_ns: u64,
    /// The thread's track and what runs on top of it.
    running: Vec<TrackId>,
    position: u64,
}

/// Plays `choices` on two threads with four coroutines each.
pub fn play(choices: &[Choice]) -> RecordingSink {
    let mut out = RecordingSink {
        metadata: Metadata {
            producer: "streams".into(),
            subject: "random".into(),
            start_ns: 500,
            start_unix_ns: 1_790_000_000_000_000_000,
            ..Metadata::default()
        },
        finished: true,
        ..RecordingSink::default()
    };
    let names = ["", "f", "f", "a;b", "ü\n\"x\"", "<&>", "long name ".repeat(40).leak()];
    let dictionary = &mut out.dictionary;
    for (at, name) in names.iter().enumerate() {
        let resource = if at % 2 == 0 { "one" } else { "" };
        let file = if at % 3 == 0 { "" } else { "server/main.lua" };
        let runtime = Runtime::ALL[at % 5];
        let symbol = SymbolRef { runtime, resource, name, file, line: at as u32 };
        dictionary.push_symbol(Symbol::from(symbol));
        dictionary.push_key(name);
    }
    let mut parent = StackId::ROOT;
    for line in 0..20u32 {
        parent = dictionary.push_stack(StackNode { parent, symbol: SymbolId(line % 8), line });
        if line % 5 == 4 {
            parent = StackId(line / 2);
        }
    }
    let mut threads = Vec::new();
    let mut coroutines = Vec::new();
    for thread in 0..2u32 {
        let track = |kind, parent, name: String, os_id| Track {
            kind,
            parent,
            os_id,
            name: Arc::from(name),
            resource: Arc::from(if kind == TrackKind::Thread { "" } else { "one" }),
        };
        let own = dictionary.push_track(track(
            TrackKind::Thread,
            TrackId::PROCESS,
            format!("thread {thread}"),
            100 + thread,
        ));
        threads.push(Thread { ring: RingId(thread + 1), now_ns: 1_000, running: vec![own], position: 0 });
        let made =
            (0..4).map(|_| dictionary.push_track(track(TrackKind::Coroutine, own, "coroutine".into(), 0)));
        coroutines.push(made.collect::<Vec<_>>());
    }
    let tracks = out.dictionary.tracks().len();
    let mut open: Vec<Vec<(SpanId, u64, SymbolId)>> = vec![Vec::new(); tracks];
    let mut links = Vec::new();

    for &(what, a, b, n) in choices {
        let which = usize::from(a) % 2;
        let thread = &mut threads[which];
        thread.now_ns += n;
        thread.position += 3;
        let (time_ns, ring) = (thread.now_ns, thread.ring);
        let track = *thread.running.last().expect("the thread's own track runs at least");
        let id = SpanId::new(ring, thread.position).expect("rings count from 1");
        let symbol = SymbolId(u32::from(b) % 9); // one more than there are
        let category = CategoryId(a / 2 % 20);
        let stack = &mut open[track.index()];
        let args = |out: &mut RecordingSink| args(out, b, n);
        let event = match what {
            0..=3 => {
                let link = (b % 5 == 0).then(|| Link {
                    kind: LinkKind::ALL[usize::from(a) % 8],
                    source: links.get(usize::from(a)).copied().unwrap_or(id),
                });
                let args = if what == 0 { args(&mut out) } else { ArgRange::NONE };
                let parent = stack.last().map(|open| open.0).filter(|_| b % 13 != 0);
                stack.push((id, time_ns, symbol));
                Event::Begin(Begin { span: id, parent, symbol, category, link, args })
            }
            4..=7 => {
                let Some((span, begin_ns, symbol)) = stack.pop() else { continue };
                let args = if what == 4 { args(&mut out) } else { ArgRange::NONE };
                let bytes = if b % 2 == 0 { 0 } else { u32::from(b) << (a % 17) };
                Event::End(End {
                    span,
                    symbol,
                    begin_ns,
                    outcome: Outcome::ALL[usize::from(b) % 4],
                    bytes,
                    args,
                })
            }
            8 => {
                let scope = [Scope::Track, Scope::Process, Scope::Global][usize::from(b) % 3];
                Event::Instant { symbol, category, scope, args: args(&mut out) }
            }
            9 => {
                let value = if b % 2 == 0 {
                    CounterValue::Int(n as i64 - 900)
                } else {
                    CounterValue::Float(n as f64 / 3.0)
                };
                Event::Counter { symbol, value }
            }
            10 | 11 => {
                let next = coroutines[which][usize::from(b) % 4];
                if thread.running.contains(&next) {
                    continue;
                }
                thread.running.push(next);
                out.samples.push(Sample { time_ns, ring, track: next, event: Event::Resume { host: track } });
                continue;
            }
            12 => {
                if thread.running.len() < 2 {
                    continue;
                }
                thread.running.pop();
                let host = *thread.running.last().expect("the thread's own track runs at least");
                Event::Suspend { host, reason: SwitchReason::ALL[usize::from(b) % 3] }
            }
            13 => {
                links.push(id);
                let span = stack.last().map(|open| open.0).filter(|_| b % 7 != 0);
                Event::LinkPoint { id, span }
            }
            14 => Event::Stack {
                stack: StackId(u32::from(b) % 21),
                weight: Weight { time_ns: n, bytes: n / 2 },
            },
            _ if b % 2 == 0 => Event::Gap { events: n },
            _ => Event::Account(Account {
                attempted: n + 7,
                committed: n,
                delivered: n,
                dropped: 7,
                ..Account::default()
            }),
        };
        out.samples.push(Sample { time_ns, ring, track, event });
    }
    for thread in &mut threads {
        while let (Some(track), Some(host)) = (thread.running.pop(), thread.running.last()) {
            let event = Event::Suspend { host: *host, reason: SwitchReason::Yield };
            out.samples.push(Sample { time_ns: thread.now_ns, ring: thread.ring, track, event });
        }
    }
    for (track, stack) in open.iter_mut().enumerate() {
        while let Some((span, begin_ns, symbol)) = stack.pop() {
            let which = usize::from(track > 5);
            let (time_ns, ring) = (threads[which].now_ns, threads[which].ring);
            let (outcome, bytes, args) = (Outcome::Ok, 1, ArgRange::NONE);
            let event = Event::End(End { span, symbol, begin_ns, outcome, bytes, args });
            out.samples.push(Sample { time_ns, ring, track: TrackId(track as u32), event });
        }
    }
    out
}

fn args(out: &mut RecordingSink, b: u16, n: u64) -> ArgRange {
    let start = out.args.len() as u32;
    let count = u32::from(b) % 4;
    for at in 0..count {
        let value = match (u32::from(b) / 4 + at) % 7 {
            0 => ArgValue::Int(n as i64 - 1_000),
            1 => ArgValue::Uint(u64::MAX - n),
            2 => ArgValue::Float(n as f64 / 7.0),
            3 => ArgValue::Bool(n.is_multiple_of(2)),
            4 => ArgValue::Pointer(n),
            5 => ArgValue::Float(f64::NAN),
            _ => {
                let start = out.text.len() as u32;
                out.text.push_str("=ä\"\n\u{1}");
                ArgValue::Text { start, len: out.text.len() as u32 - start }
            }
        };
        out.args.push(Arg { key: KeyId((u32::from(b) + at) % 9), value });
    }
    if count == 0 { ArgRange::NONE } else { ArgRange { start, len: count } }
}
