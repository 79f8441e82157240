//! The attribute: functions, methods, `impl` blocks; a share of the calls, the long ones.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tickscope::{
    Category, FlowPoint, Level, Probe, Recording, SamplingConfig, instant, probes, profile, span,
};

use crate::{check, record, record_with, story};

static STOCK: Category = Category::new("test.profile.stock", "");

/// Tests that count calls or change a probe take turns.
static ALONE: Mutex<()> = Mutex::new(());

fn probe(name: &str) -> &'static Probe {
    probes().into_iter().find(|probe| probe.name().ends_with(name)).expect("a call came by")
}

fn busy(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[profile]
fn plain(n: u64) -> u64 {
    if n == 0 {
        return 7;
    }
    let _inside = span!("inside");
    n * 2
}

#[profile(name = "named", category = STOCK, args(category, items = items.len(), first = items[0]))]
fn with_options(items: &[u64], category: &str) -> Result<usize, std::num::ParseIntError> {
    let parsed: usize = category.parse()?;
    Ok(parsed + items.len())
}

#[profile]
fn generic<'a, T>(text: &'a str, value: T) -> (&'a str, impl Fn() -> u64 + use<T>)
where
    T: Into<u64> + Copy,
{
    (text, move || value.into())
}

#[test]
fn functions_are_recorded_as_they_are() {
    check(
        |_| {
            assert_eq!((plain(0), plain(4)), (7, 8));
            assert_eq!(with_options(&[3, 4], "5").unwrap(), 7);
            assert!(with_options(&[3, 4], "x").is_err());
            let (text, value) = generic("né", 9u32);
            assert_eq!((text, value()), ("né", 9));
        },
        &[
            "begin it::profile::plain[function]",
            "end it::profile::plain",
            "begin it::profile::plain[function]",
            "begin inside",
            "end inside",
            "end it::profile::plain",
            "begin named[test.profile.stock] category=\"5\" items=Uint(2) first=Uint(3)",
            "end named",
            "begin named[test.profile.stock] category=\"x\" items=Uint(2) first=Uint(3)",
            "end named",
            "begin it::profile::generic[function]",
            "end it::profile::generic",
        ],
    );
}

#[test]
fn a_panic_ends_the_call_as_unwound() {
    #[profile]
    fn panics() {
        std::panic::resume_unwind(Box::new(()));
    }
    check(
        |_| assert!(std::panic::catch_unwind(panics).is_err()),
        &[
            "begin it::profile::a_panic_ends_the_call_as_unwound::panics[function]",
            "end it::profile::a_panic_ends_the_call_as_unwound::panics unwound",
        ],
    );
}

#[test]
fn nothing_is_evaluated_where_nothing_is_recorded() {
    let evaluated = Cell::new(0);
    let count = || {
        evaluated.set(evaluated.get() + 1);
        evaluated.get()
    };
    #[profile(category = STOCK, args(n = count()))]
    fn off(count: &dyn Fn() -> i32) {}
    #[profile(level = Level::Verbose, args(n = count()))]
    fn compiled_out(count: &dyn Fn() -> i32) {}
    off(&count);
    let sink = record_with(Recording::builder().filter("*,-test.profile.*"), |_| {
        off(&count);
        if !cfg!(feature = "verbose") {
            compiled_out(&count);
        }
    });
    assert_eq!((evaluated.get(), story(&sink).len()), (0, 0));
}

struct Shop<T> {
    stock: Vec<T>,
}

trait Open {
    fn open(&mut self) -> usize;
    fn is_open(&self) -> bool {
        true
    }
}

#[profile(category = STOCK)]
impl<T: Clone> Shop<T> {
    const MOST: usize = 3;

    fn new() -> Self {
        Self { stock: Vec::new() }
    }

    #[profile(args(items, held = self.stock.len()))]
    fn put(&mut self, item: T, items: usize) -> &mut Self {
        self.stock.extend(std::iter::repeat_n(item, items.min(Self::MOST)));
        self
    }

    #[profile(skip)]
    fn len(&self) -> usize {
        self.stock.len()
    }

    const fn capacity() -> usize {
        Self::MOST
    }

    #[tickscope::profile(name = "take all", category = tickscope::CategoryId::DEFAULT)]
    fn into_stock(self) -> Vec<T> {
        self.stock
    }

    async fn later(&self) -> Option<T> {
        let last = self.stock.last()?;
        Some(last.clone())
    }
}

#[profile]
impl<T> Open for Shop<T> {
    fn open(&mut self) -> usize {
        self.stock.len()
    }
}

#[test]
fn every_method_of_a_type_is_recorded_under_its_name() {
    let sink = record(|_| {
        let mut shop = Shop::new();
        assert_eq!(shop.put('a', 2).put('b', 9).len(), 2 + Shop::<char>::capacity());
        assert_eq!((shop.open(), shop.is_open()), (5, true));
        {
            let mut later = std::pin::pin!(shop.later());
            let later = later.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(later, Poll::Ready(Some('b')));
        }
        assert_eq!(shop.into_stock().len(), 5);
    });
    // How long a future took is not for comparison.
    let story: Vec<String> =
        story(&sink).into_iter().map(|line| line.split(" busy_ns").next().unwrap().to_owned()).collect();
    assert_eq!(
        story,
        [
            "begin Shop::new[test.profile.stock]",
            "end Shop::new",
            "begin Shop::put[test.profile.stock] items=Uint(2) held=Uint(0)",
            "end Shop::put",
            "begin Shop::put[test.profile.stock] items=Uint(9) held=Uint(2)",
            "end Shop::put",
            "begin Shop::open[function]",
            "end Shop::open",
            "async Shop::later: begin Shop::later[test.profile.stock]",
            "begin Shop::later[test.profile.stock] <-flow",
            "end Shop::later",
            "async Shop::later: end Shop::later",
            "begin take all",
            "end take all",
        ]
    );
}

#[profile(args(n), rate = 0.5)]
async fn countdown(mut n: u32) -> Result<String, std::num::ParseIntError> {
    "7".parse::<u32>()?;
    while n > 0 {
        n -= 1;
        let mut pending = true;
        std::future::poll_fn(|_| if std::mem::take(&mut pending) { Poll::Pending } else { Poll::Ready(()) })
            .await;
    }
    if n == 1 {
        return "x".parse::<u32>().map(|_| String::new());
    }
    Ok("done".into())
}

#[test]
fn async_functions_tell_running_from_waiting_and_take_turns() {
    let sink = record(|_| {
        for _ in 0..4 {
            let mut future = Box::pin(countdown(2));
            let context = &mut Context::from_waker(Waker::noop());
            assert!(future.as_mut().poll(context).is_pending() && future.as_mut().poll(context).is_pending());
            assert_eq!(future.as_mut().poll(context).map(Result::unwrap), Poll::Ready("done".to_owned()));
        }
    });
    let story = story(&sink);
    let name = "async it::profile::countdown: ";
    let begun = format!("{name}begin it::profile::countdown[task] n=Uint(2)");
    assert_eq!(story.iter().filter(|line| **line == begun).count(), 2, "each second call: {story:?}");
    let ends = story.iter().filter(|line| line.starts_with(name) && line.ends_with(" polls=Uint(3)")).count();
    assert_eq!(ends, 2);
    assert_eq!(story.iter().filter(|line| line.starts_with("begin ")).count(), 6, "the polls");
}

#[profile]
async fn for_ever(polls: &Cell<u32>) -> ! {
    loop {
        let mut pending = true;
        std::future::poll_fn(|_| if std::mem::take(&mut pending) { Poll::Pending } else { Poll::Ready(()) })
            .await;
        polls.set(polls.get() + 1);
    }
}

#[test]
fn an_async_function_that_never_returns_is_recorded() {
    let polls = Cell::new(0);
    let sink = record(|_| {
        let mut future = std::pin::pin!(for_ever(&polls));
        (0..3).for_each(|_| {
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        });
    });
    assert_eq!(polls.get(), 2);
    let ends = story(&sink).iter().filter(|line| line.contains("polls=Uint(3) cancelled=")).count();
    assert_eq!(ends, 1, "{:?}", story(&sink));
}

struct Till;

#[profile(min_duration = "100s")]
impl Till {
    fn count(&self) {}

    async fn close(&self) {}
}

#[test]
fn the_least_time_of_a_block_is_not_for_its_async_methods() {
    let sink = record(|_| {
        Till.count();
        let mut close = std::pin::pin!(Till.close());
        assert!(close.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
    let mut begun = story(&sink);
    begun.retain(|line| line.contains("begin"));
    assert_eq!(begun, ["async Till::close: begin Till::close[task]", "begin Till::close[task] <-flow"]);
}

/// The type comes as a group of tokens.
macro_rules! doors {
    ($($door:ty),*) => {
        $(
            #[profile]
            impl $door {
                fn pass(&self) {}
            }
        )*
    };
}

struct Front;
struct Back;
doors!(Front, Back);

#[test]
fn an_impl_that_a_macro_writes_is_recorded() {
    check(
        |_| {
            Front.pass();
            Back.pass();
        },
        &["begin Front::pass[function]", "end Front::pass", "begin Back::pass[function]", "end Back::pass"],
    );
}

#[profile(rate = 0.25)]
fn sometimes() {
    let _inside = span!("inside");
}

#[test]
fn a_share_of_the_calls_is_recorded_and_can_be_changed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let calls = |share: &[f64]| {
        let sink = record(|_| {
            for rate in share {
                probe("sometimes").set_rate(*rate);
                for _ in 0..100 {
                    sometimes();
                }
            }
        });
        story(&sink).iter().filter(|line| *line == "begin it::profile::sometimes[function]").count()
    };
    sometimes();
    let before = probe("sometimes").left_out();
    assert_eq!(probe("sometimes").rate(), 0.25);
    assert_eq!(calls(&[0.25]), 25);
    assert_eq!(probe("sometimes").left_out() - before, 75);
    assert_eq!(calls(&[1.0]), 100);
    assert_eq!(calls(&[0.0]), 0);
    assert_eq!(calls(&[0.1, 1.0, 0.5]), 10 + 100 + 50);
}

#[profile(min_duration = "5ms", args(what))]
fn only_long(what: &str, takes: Duration) {
    match what {
        "calls a short one" => only_long("short", Duration::ZERO),
        "calls a long one" => only_long("long", takes),
        "records" => instant!("something"),
        "records behind a short one" => {
            only_long("short", Duration::ZERO);
            let _span = span!("span");
            only_long("short", Duration::ZERO);
        }
        "asks for a point" => assert_ne!(FlowPoint::here(), FlowPoint::default()),
        _ => busy(takes),
    }
}

#[test]
fn short_calls_are_counted_and_not_written_and_what_is_written_nests() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (short, long) = (Duration::ZERO, Duration::from_millis(6));
    let plainly = |program: &dyn Fn()| -> Vec<String> {
        story(&record(|_| program()))
            .into_iter()
            .map(|line| line.replace("it::profile::only_long", "call").replace("[function]", ""))
            .collect()
    };
    only_long("x", short);
    let counted = || probe("only_long").short();
    let before = counted();
    assert!(plainly(&|| (0..1_000).for_each(|_| only_long("short", short))).is_empty());
    assert_eq!(counted() - before, 1_000);

    assert_eq!(plainly(&|| only_long("long", long)), ["begin call what=\"long\"", "end call"]);
    assert_eq!(counted() - before, 1_000);
    // Neither, both: the inner one is recorded, so what it happens in is.
    assert!(plainly(&|| only_long("calls a short one", short)).is_empty());
    assert_eq!(counted() - before, 1_002);
    assert_eq!(
        plainly(&|| only_long("calls a long one", long)),
        ["begin call what=\"calls a long one\"", "begin call what=\"long\"", "end call", "end call",]
    );
    assert_eq!(
        plainly(&|| only_long("records", short)),
        ["begin call what=\"records\"", "instant something Track", "end call"]
    );
    assert_eq!(
        plainly(&|| {
            let _around = span!("around");
            only_long("records behind a short one", short);
            let _behind = span!("behind");
        }),
        [
            "begin around",
            "begin call what=\"records behind a short one\"",
            "begin span",
            "end span",
            "end call",
            "begin behind",
            "end behind",
            "end around",
        ]
    );
    assert_eq!(
        plainly(&|| only_long("asks for a point", short)),
        ["begin call what=\"asks for a point\"", "link point", "end call"]
    );

    probe("only_long").set_min_duration(Duration::ZERO);
    assert_eq!(plainly(&|| only_long("short", short)).len(), 2);
    probe("only_long").set_min_duration(Duration::from_millis(5));
    assert_eq!(probe("only_long").min_duration(), Duration::from_millis(5));
}

#[test]
fn begins_of_waiting_calls_keep_their_time() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let sink = record(|_| {
        #[profile(min_duration = "1ms")]
        fn waits() {
            busy(Duration::from_millis(2));
            instant!("half");
        }
        waits();
    });
    let times: Vec<u64> = sink
        .samples
        .iter()
        .filter(|sample| !matches!(sample.event, tickscope::Event::Account(_)))
        .map(|sample| sample.time_ns)
        .collect();
    assert_eq!(times.len(), 3);
    assert!(times[1] - times[0] >= 1_900_000, "{times:?}: the begin is where the call began");
}

#[test]
fn roots_that_are_sampled_out_take_their_calls_along() {
    let config = SamplingConfig { rate: 0.0, ..SamplingConfig::default() };
    let sink = record_with(Recording::builder().sampling(config), |_| {
        plain(1);
        only_long("long", Duration::from_millis(6));
        let _root = span!(critical: true, "root");
        plain(0);
        only_long("records", Duration::ZERO);
    });
    assert_eq!(
        story(&sink),
        [
            "begin root",
            "begin it::profile::plain[function]",
            "end it::profile::plain",
            "begin it::profile::only_long[function] what=\"records\"",
            "instant something Track",
            "end it::profile::only_long",
            "end root",
        ]
    );
}
