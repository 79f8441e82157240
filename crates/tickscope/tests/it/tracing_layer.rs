//! What a program tells the `tracing` crate.

use tickscope::{MemorySink, Recording, RecordingSink};
use tracing::{Level, event, info, info_span, span};
use tracing_subscriber::prelude::*;

use crate::{record_with, story};

fn traced(filter: &str, program: impl FnOnce()) -> RecordingSink {
    record_with(Recording::builder().filter(filter), |_| {
        let subscriber = tracing_subscriber::registry().with(tickscope::layer());
        tracing::subscriber::with_default(subscriber, program);
    })
}

/// The story without figures that time makes.
fn told(sink: &RecordingSink) -> Vec<String> {
    let without = |line: String| match line.find(" busy_ns=") {
        Some(at) => format!("{} …", &line[..at]),
        None => line,
    };
    story(sink).into_iter().map(|line| without(line).replace("[it::tracing_layer]", "")).collect()
}

#[test]
fn spans_fields_and_events_arrive() {
    let sink = traced("", || {
        let outer = info_span!("outer", n = 1, late = tracing::field::Empty, name = %"x", list = ?[1, 2]);
        let _entered = outer.enter();
        let _inner = span!(Level::DEBUG, "inner").entered();
        outer.record("late", true);
        info!(rows = 3u64, "done");
        event!(Level::ERROR, code = -1, "failed");
    });
    assert_eq!(
        told(&sink),
        [
            "begin outer n=Int(1) name=\"x\" list=\"[1, 2]\"",
            "begin inner",
            "instant it::tracing_layer Track message=\"done\" rows=Uint(3)",
            "instant it::tracing_layer Track message=\"failed\" code=Int(-1)",
            "end inner",
            "end outer late=Bool(true)",
        ]
    );
}

#[test]
fn a_span_entered_again_is_slices_and_tells_busy_and_idle() {
    let sink = traced("", || {
        let task = info_span!("task", id = 7);
        for _ in 0..2 {
            task.in_scope(|| {});
        }
        std::thread::scope(|scope| {
            let (task, dispatch) = (&task, tracing::dispatcher::get_default(Clone::clone));
            scope.spawn(move || tracing::dispatcher::with_default(&dispatch, || task.in_scope(|| {})));
        });
    });
    // The other thread records nothing: the recording was chosen for this one only.
    assert_eq!(
        told(&sink),
        [
            "begin task id=Int(7)",
            "end task",
            "begin task <-await id=Int(7)",
            "end task",
            "instant task Track …"
        ]
    );
}

#[test]
fn a_parent_elsewhere_and_follows_from_are_links() {
    let sink = traced("", || {
        let parent = info_span!("parent");
        parent.in_scope(|| {});
        info_span!(parent: &parent, "child").in_scope(|| {});
        let other = info_span!("other");
        other.follows_from(&parent);
        other.in_scope(|| {});
    });
    assert_eq!(
        told(&sink),
        ["begin parent", "end parent", "begin child <-task", "end child", "begin other <-flow", "end other"]
    );
}

#[test]
fn a_target_can_be_left_out() {
    let sink = traced("*,-noisy*", || {
        let _span = info_span!(target: "noisy::part", "chatter").entered();
        info!(target: "noisy", "chatter");
        info!(target: "quiet", "heard");
    });
    assert_eq!(told(&sink), ["instant quiet Track message=\"heard\""]);
}

#[test]
fn a_span_exited_before_one_inside_it_ends_that_one_too() {
    let memory = MemorySink::default();
    let recording = Recording::builder().sink("memory", memory.clone()).start_apart().unwrap();
    let chosen = recording.on_this_thread();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(tickscope::layer()), || {
        let (a, b) = (info_span!("a"), info_span!("b"));
        let (first, second) = (a.enter(), b.enter());
        drop(first);
        drop(second);
    });
    drop(chosen);
    assert_eq!(recording.stop().account.discarded, 1, "the late end of b");
    assert_eq!(told(&memory.take()), ["begin a", "begin b", "end b unwound", "end a"]);
}
