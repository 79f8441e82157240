//! Closures, loops, futures, comparisons.

use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tickscope::{
    ArgValue, Category, Event, Outcome, RecordingSink, compare, span, trace_closure, trace_future, trace_loop,
};
use tickscope_core::{ArgRange, LinkKind, TrackKind};

use crate::{check, record, story};

/// The numbers among arguments.
fn numbers(sink: &RecordingSink, range: ArgRange) -> Vec<(String, u64)> {
    let number = |arg: &tickscope_core::Arg| match arg.value {
        ArgValue::Uint(value) => Some((sink.dictionary.key(arg.key).to_string(), value)),
        _ => None,
    };
    sink.as_batch().args(range).iter().filter_map(number).collect()
}

/// What the only end of a span of that name on a track of that kind says.
fn end_of(sink: &RecordingSink, kind: TrackKind, name: &str) -> (u64, Outcome, Vec<(String, u64)>) {
    let ends = sink.samples.iter().filter_map(|sample| match sample.event {
        Event::End(end)
            if sink.dictionary.track(sample.track).kind == kind
                && &*sink.dictionary.symbol(end.symbol).name == name =>
        {
            Some((sample.time_ns - end.begin_ns, end.outcome, numbers(sink, end.args)))
        }
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 1, "{:?}", story(sink));
    ends[0].clone()
}

#[test]
fn closures_record_each_call() {
    static PRICES: Category = Category::new("test.work.prices", "");
    check(
        |_| {
            let mut total = 0;
            let mut add = trace_closure!("add", |items: u64, (each, _): (u64, u64)| {
                if items == 0 {
                    return 0;
                }
                total += items * each;
                total
            });
            assert_eq!((add(2, (3, 0)), add(0, (9, 0)), add(1, (1, 0))), (6, 0, 7));
            let given = String::from("given");
            let owned = trace_closure!(category: PRICES, "owned", move || given.len());
            assert_eq!(owned(), 5);
            assert_eq!([1, 2].map(trace_closure!("double", |n| n * 2)), [2, 4]);
        },
        &[
            "begin add",
            "end add",
            "begin add",
            "end add",
            "begin add",
            "end add",
            "begin owned[test.work.prices]",
            "end owned",
            "begin double",
            "end double",
            "begin double",
            "end double",
        ],
    );
}

#[test]
fn a_million_iterations_are_one_span() {
    let sink = record(|_| {
        let mut sum = 0u64;
        for n in trace_loop!(over: 0..1_000_000u64, "sum", step = 1) {
            sum += n;
        }
        assert_eq!(sum, 499_999_500_000);
    });
    assert_eq!(story(&sink).len(), 2);
    assert_eq!(story(&sink)[0], "begin sum step=Int(1)");
    let (took, _, args) = end_of(&sink, TrackKind::Thread, "sum");
    let [(_, iterations), (_, total), (_, min), (_, max)] = &args[..] else { panic!("{args:?}") };
    assert_eq!(
        args.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["iterations", "total_ns", "min_ns", "max_ns"]
    );
    assert_eq!(*iterations, 1_000_000);
    assert!(min <= max && *max < *total && min * iterations <= *total, "{args:?}");
    // The clocks differ by some ppm.
    assert!(*total < took + took / 100, "{total} of {took}");
}

#[test]
fn iterations_are_counted_where_the_loop_is_left_and_where_nothing_is_recorded() {
    let sink = record(|_| {
        for n in trace_loop!(over: 0.., "left") {
            let _body = span!("body");
            if n == 2 {
                break;
            }
        }
        let mut bodies = trace_loop!("bodies");
        for _ in 0..4 {
            let _iteration = bodies.iteration();
        }
        drop(bodies);
        for _ in trace_loop!(over: 0..0, "none") {}
        assert_eq!(trace_loop!(over: 0..5, if: false, "off").sum::<i32>(), 10);
    });
    assert_eq!(story(&sink)[1..4], ["begin body", "end body", "begin body"]);
    for (name, iterations) in [("left", 3), ("bodies", 4), ("none", 0)] {
        assert_eq!(end_of(&sink, TrackKind::Thread, name).2[0].1, iterations, "{name}");
    }
    assert!(!story(&sink).iter().any(|line| line.contains("off")));
}

/// Ready at the poll after `left`, each on another thread.
struct Countdown {
    left: u32,
    works: Duration,
}

impl Future for Countdown {
    type Output = &'static str;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'static str> {
        let _work = span!("work");
        let start = Instant::now();
        while start.elapsed() < self.works {
            std::hint::spin_loop();
        }
        if self.left == 0 {
            return Poll::Ready("done");
        }
        self.left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Tells which task is to be polled.
struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// Polls on two threads in turns; each waits until the task was woken, and for `rest`.
fn run_on_two_threads<F>(future: F, recording: &tickscope::Recording, rest: Duration) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let (wakes, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Bell(wakes)));
    let mut task = Box::pin(future);
    let poll_once = |task: &mut Pin<Box<F>>| {
        let _chosen = recording.on_this_thread();
        task.as_mut().poll(&mut Context::from_waker(&waker))
    };
    std::thread::scope(|scope| {
        let (to_other, others) = mpsc::channel::<Pin<Box<F>>>();
        let (to_us, ours) = mpsc::channel();
        let poll = &poll_once;
        scope.spawn(move || {
            for mut task in others {
                let answer = poll(&mut task);
                if to_us.send((task, answer)).is_err() {
                    break;
                }
            }
        });
        loop {
            if let Poll::Ready(output) = poll_once(&mut task) {
                return output;
            }
            woken.recv_timeout(Duration::from_secs(10)).expect("the task wakes itself");
            std::thread::sleep(rest);
            to_other.send(task).expect("the other thread lives");
            let (back, answer) = ours.recv_timeout(Duration::from_secs(10)).expect("the other thread polls");
            task = back;
            if let Poll::Ready(output) = answer {
                return output;
            }
            woken.recv_timeout(Duration::from_secs(10)).expect("the task wakes itself");
        }
    })
}

#[test]
fn a_future_tells_running_from_waiting_across_threads() {
    let (works, rest) = (Duration::from_millis(2), Duration::from_millis(5));
    let sink = record(|recording| {
        let future = trace_future!(of: Countdown { left: 3, works }, "count down", from = 3);
        assert_eq!(run_on_two_threads(future, recording, rest), "done");
    });
    let (took, outcome, args) = end_of(&sink, TrackKind::Async, "count down");
    let [(_, busy), (_, idle), (_, polls)] = &args[..] else { panic!("{args:?}") };
    assert_eq!((args[0].0.as_str(), args[1].0.as_str(), args[2].0.as_str()), ("busy_ns", "idle_ns", "polls"));
    assert_eq!((*polls, outcome), (4, Outcome::Ok));
    assert!(*busy >= 4 * 2_000_000, "four polls of 2 ms: {busy}");
    assert!(*idle >= 2 * 5_000_000, "two rests of 5 ms: {idle}");
    // The clocks differ by some ppm; the span ends after the times were taken.
    assert!(busy + idle < took + took / 100, "{busy} + {idle} in {took}");

    // Each poll is a span of the thread that made it, linked to the one before, and the work is inside.
    let mut polls = Vec::new();
    for sample in &sink.samples {
        if let Event::Begin(begin) = sample.event
            && sink.dictionary.track(sample.track).kind == TrackKind::Thread
            && &*sink.dictionary.symbol(begin.symbol).name == "count down"
        {
            polls.push((sample.time_ns, sample.track, begin));
        }
    }
    polls.sort_by_key(|(time, ..)| *time);
    assert_eq!(polls.len(), 4);
    assert_ne!(polls[0].1, polls[1].1, "on another thread");
    assert_eq!(polls[0].1, polls[2].1, "and back");
    for pair in polls.windows(2) {
        let link = pair[1].2.link.unwrap();
        assert_eq!((link.kind, link.source), (LinkKind::Await, pair[0].2.span));
    }
    let parents: Vec<_> = sink
        .samples
        .iter()
        .filter_map(|sample| match sample.event {
            Event::Begin(begin) if &*sink.dictionary.symbol(begin.symbol).name == "work" => begin.parent,
            _ => None,
        })
        .collect();
    assert!(polls.iter().all(|(.., begin)| parents.contains(&begin.span)) && parents.len() == 4);
}

#[test]
fn a_future_that_is_dropped_or_panics_says_so() {
    let sink = record(|_| {
        let context = &mut Context::from_waker(Waker::noop());
        let mut dropped = Box::pin(trace_future!(of: std::future::pending::<()>(), "dropped"));
        assert!(dropped.as_mut().poll(context).is_pending());
        drop(dropped);
        drop(trace_future!(of: std::future::ready(1), "never polled"));
        let mut panics = Box::pin(trace_future!(of: std::future::poll_fn(|_| -> Poll<()> {
            std::panic::resume_unwind(Box::new(()))
        }), "panics"));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| panics.as_mut().poll(context)));
        assert!(caught.is_err());
        drop(panics);
        let mut off = Box::pin(trace_future!(of: std::future::ready(2), if: false, "off"));
        assert_eq!(off.as_mut().poll(context), Poll::Ready(2));
    });
    let ends: Vec<String> = story(&sink).into_iter().filter(|line| line.contains(": end")).collect();
    assert!(ends[0].starts_with("async dropped: end dropped busy_ns="), "{ends:?}");
    assert!(ends[0].ends_with("polls=Uint(1) cancelled=Bool(true)"), "{ends:?}");
    assert!(ends[1].ends_with("polls=Uint(0) cancelled=Bool(true)"), "{ends:?}");
    assert!(ends[2].starts_with("async panics: end panics unwound"), "{ends:?}");
    assert_eq!(ends.len(), 3);
    assert!(story(&sink).contains(&"end panics unwound".to_owned()), "the poll too");
}

/// Work that the compiler cannot shorten.
fn churn(rounds: u64) -> u64 {
    (0..rounds).fold(1, |hash: u64, n| std::hint::black_box(hash.wrapping_mul(0x100_0000_01b3) ^ n))
}

#[test]
fn what_takes_twice_as_long_is_told() {
    let sink = record(|_| {
        let verdict = compare!(rounds: 40, "churn", once = || churn(2_000), twice = || churn(4_000));
        assert_eq!(verdict.faster(), Some("once"), "{verdict}");
        assert!(verdict.p_value < 1e-4 && verdict.rounds == 40, "{verdict}");
        assert!(1.3 < verdict.ratio && verdict.ratio < 3.5, "{verdict}");
        assert!(verdict.low <= verdict.ratio && verdict.ratio <= verdict.high, "{verdict}");
        let text = verdict.to_string();
        assert!(text.starts_with("churn: once is faster; twice takes "), "{text}");
    });
    let story = story(&sink);
    let runs = |which: &str| {
        story.iter().filter(|line| line.starts_with(&format!("begin churn which=\"{which}\""))).count()
    };
    assert!(runs("once") > 40 && runs("twice") > 40, "the calibration's and 40 rounds");
    let verdict = story.last().unwrap();
    assert!(
        verdict.starts_with("instant churn Track once=Float(") && verdict.contains(" p_value="),
        "{verdict}"
    );
}
