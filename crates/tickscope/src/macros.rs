//! The macros. Options stand in front of the name, in the order `level`, `category`, `on`, `scope`, `follows`,
//! `critical`, `trace`, `if`.

/// Records a span from here to the end of the scope; answers its guard.
///
/// ```
/// use tickscope::{CategoryId, Category, FlowPoint, Level, span};
/// static NET: Category = Category::new("net", "Packets in and out.");
/// # let (debugging, cause, trace_id) = (false, FlowPoint::default(), 7u64);
///
/// let _plain = span!("load");
/// let _args = span!("load", player = 7, name = "Ann");
/// let _of_category = span!(category: NET, "read packet", bytes = 512);
/// let _caused = span!(follows: cause, "handle");               // an arrow from there to here
/// let _always = span!(critical: true, "payment");              // bypasses sampling
/// let _distributed = span!(trace: trace_id, "request");        // kept wherever that trace is kept
/// let _sometimes = span!(if: debugging, "check");              // asked only when the category is on
/// let _compiled_out = span!(level: Level::Verbose, "detail");  // needs the feature `verbose`
/// ```
///
/// Nothing of it is evaluated when nothing is recorded: neither arguments nor conditions.
/// With `on: &track` it answers an [`AsyncSpan`](crate::AsyncSpan) on that [`Track`](crate::Track).
#[macro_export]
macro_rules! span {
    ($name:literal $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        CALLSITE.enter($crate::CategoryId::DEFAULT)
    }};
    (category: $category:expr, $name:literal $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        CALLSITE.enter($crate::AsCategory::id(&$category))
    }};
    ($(level: $level:expr,)? $(category: $category:expr,)? on: $on:expr, $(follows: $follows:expr,)?
     $(critical: $critical:expr,)? $(if: $when:expr,)? $name:literal $(, $key:ident = $value:expr)* $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        if const { true $(&& $level.is_compiled())? }
            && CALLSITE.wanted($crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?))
            $(&& $when)?
        {
            let category = $crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?);
            match CALLSITE.admit_moment(category, $crate::__or!(false $(, $critical)?)) {
                ::core::option::Option::Some(_number) => CALLSITE.begin_on(
                    $on,
                    _number,
                    category,
                    $crate::__or!(::core::option::Option::None $(, ::core::option::Option::Some($follows))?),
                    &[$($crate::__arg!(_number, $key, $value)),*],
                ),
                ::core::option::Option::None => $crate::AsyncSpan::none(),
            }
        } else {
            $crate::AsyncSpan::none()
        }
    }};
    ($(level: $level:expr,)? $(category: $category:expr,)? $(follows: $follows:expr,)? $(critical: $critical:expr,)?
     $(trace: $trace:expr,)? $(if: $when:expr,)? $name:literal $(, $key:ident = $value:expr)* $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        if const { true $(&& $level.is_compiled())? }
            && CALLSITE.wanted($crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?))
            $(&& $when)?
        {
            let category = $crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?);
            let mut guard = CALLSITE.admit(
                category,
                $crate::__or!(false $(, $critical)?),
                $crate::__or!(::core::option::Option::None $(, ::core::option::Option::Some($trace))?),
            );
            if guard.is_admitted() {
                let _number = guard.number();
                CALLSITE.begin(
                    &mut guard,
                    category,
                    $crate::__or!(::core::option::Option::None $(, ::core::option::Option::Some($follows))?),
                    &[$($crate::__arg!(_number, $key, $value)),*],
                );
            }
            guard
        } else {
            $crate::SpanGuard::none()
        }
    }};
}

/// Records an operation that may end on another thread; answers an [`AsyncSpan`](crate::AsyncSpan). Options as in
/// [`span!`].
#[macro_export]
macro_rules! async_span {
    ($(level: $level:expr,)? $(category: $category:expr,)? $(follows: $follows:expr,)? $(critical: $critical:expr,)?
     $(if: $when:expr,)? $name:literal $(, $key:ident = $value:expr)* $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        if const { true $(&& $level.is_compiled())? }
            && CALLSITE.wanted($crate::__or!($crate::CategoryId::TASK $(, $crate::AsCategory::id(&$category))?))
            $(&& $when)?
        {
            let category = $crate::__or!($crate::CategoryId::TASK $(, $crate::AsCategory::id(&$category))?);
            match CALLSITE.admit_moment(category, $crate::__or!(false $(, $critical)?)) {
                ::core::option::Option::Some(_number) => CALLSITE.begin_async(
                    _number,
                    category,
                    $crate::__or!(::core::option::Option::None $(, ::core::option::Option::Some($follows))?),
                    &[$($crate::__arg!(_number, $key, $value)),*],
                ),
                ::core::option::Option::None => $crate::AsyncSpan::none(),
            }
        } else {
            $crate::AsyncSpan::none()
        }
    }};
}

/// Records a moment.
///
/// ```
/// use tickscope::{ProcessTrack, Scope, instant};
/// instant!("player joined", id = 7, name = "Ann");
/// instant!(scope: Scope::Process, "configuration loaded");
/// instant!(on: &ProcessTrack, "out of memory", bytes = 1u64 << 33);
/// ```
#[macro_export]
macro_rules! instant {
    ($(level: $level:expr,)? $(category: $category:expr,)? $(on: $on:expr,)? $(scope: $scope:expr,)?
     $(critical: $critical:expr,)? $(if: $when:expr,)? $name:literal $(, $key:ident = $value:expr)* $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        if const { true $(&& $level.is_compiled())? }
            && CALLSITE.wanted($crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?))
            $(&& $when)?
        {
            let category = $crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?);
            let critical = $crate::__or!(false $(, $critical)?);
            if let ::core::option::Option::Some(_number) = CALLSITE.admit_moment(category, critical) {
                let scope = $crate::__or!($crate::Scope::Track $(, $scope)?);
                $crate::__on!(CALLSITE, instant, instant_on $(, $on)?; _number, category, scope,
                    &[$($crate::__arg!(_number, $key, $value)),*])
            }
        }
    }};
}

/// Notes a moment to be recorded later, or not; answers a [`Noted`](crate::Noted), which keeps time, thread and
/// arguments, and which any thread can log.
///
/// ```
/// let missed = tickscope::note!("cache miss", key = 7);
/// std::thread::spawn(move || {
///     let slow = true;
///     if slow {
///         missed.log(); // stands where it happened, not here
///     }
/// }).join().unwrap();
/// ```
///
/// It allocates: moments that are recorded in any case are [`instant!`]s.
#[macro_export]
macro_rules! note {
    ($(level: $level:expr,)? $(category: $category:expr,)? $(critical: $critical:expr,)? $(if: $when:expr,)?
     $name:literal $(, $key:ident = $value:expr)* $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        let category = $crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?);
        if const { true $(&& $level.is_compiled())? } && CALLSITE.wanted(category) $(&& $when)? {
            match CALLSITE.admit_moment(category, $crate::__or!(false $(, $critical)?)) {
                ::core::option::Option::Some(_number) => {
                    CALLSITE.note(_number, category, &[$($crate::__arg!(_number, $key, $value)),*])
                }
                ::core::option::Option::None => $crate::Noted::none(),
            }
        } else {
            $crate::Noted::none()
        }
    }};
}

/// Records a counter's new value: a whole number or a floating-point one.
///
/// ```
/// use tickscope::{ProcessTrack, counter};
/// counter!("queue length", 3);
/// counter!(on: &ProcessTrack, "heap", 1.5e6);
/// ```
#[macro_export]
macro_rules! counter {
    ($(level: $level:expr,)? $(category: $category:expr,)? $(on: $on:expr,)? $(if: $when:expr,)?
     $name:literal, $value:expr $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        if const { true $(&& $level.is_compiled())? }
            && CALLSITE.wanted($crate::__or!($crate::CategoryId::METRIC $(, $crate::AsCategory::id(&$category))?))
            $(&& $when)?
        {
            let category = $crate::__or!($crate::CategoryId::METRIC $(, $crate::AsCategory::id(&$category))?);
            $crate::__on!(CALLSITE, counter, counter_on $(, $on)?; category, $crate::CounterValue::from($value))
        }
    }};
}

/// Records an error with the stack that led to it, whatever sampling says.
///
/// ```
/// use tickscope::error_event;
/// error_event!("card refused", code = 402, recovered = true);
/// ```
#[macro_export]
macro_rules! error_event {
    ($message:expr $(, $key:ident = $value:expr)* $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new("error", ::core::file!(), ::core::line!());
        if let ::core::option::Option::Some(number) = CALLSITE.admit_moment($crate::CategoryId::ERROR, true) {
            CALLSITE.error(
                number,
                &[$crate::__arg!(number, message, $message) $(, $crate::__arg!(number, $key, $value))*],
            );
        }
    }};
}

/// Begins a span that [`end!`](macro@crate::end) ends by its name, on the same thread. Guards are safer where scopes allow them.
#[macro_export]
macro_rules! begin {
    ($(category: $category:expr,)? $name:literal $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        CALLSITE.begin_named($crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?))
    }};
}

/// Ends the innermost span of that name begun with [`begin!`] on this thread. Those begun inside it and not ended end
/// too, as unwound; an end without a begin is recorded as an error.
#[macro_export]
macro_rules! end {
    ($name:literal $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        CALLSITE.end()
    }};
}

/// Adds arguments to an open span, their names looked up once.
///
/// ```
/// use tickscope::{args, span};
/// let query = span!("query");
/// args!(query, rows = 12, cached = false);
/// ```
#[macro_export]
macro_rules! args {
    ($guard:expr $(, $key:ident = $value:expr)+ $(,)?) => {{
        let guard = &$guard;
        if guard.is_recorded() {
            $({
                static KEY: $crate::Key = $crate::Key::new(::core::stringify!($key));
                guard.arg_with_key(&KEY, $crate::ArgInput::from($value));
            })+
        }
    }};
}

/// Records the function it stands in, from here to its end, under its whole name.
///
/// ```
/// fn restock() {
///     tickscope::trace_function!();
/// }
/// # restock();
/// ```
#[macro_export]
macro_rules! trace_function {
    (category: $category:expr $(, $key:ident = $value:expr)* $(,)?) => {
        let _guard = {
            fn here() {}
            fn name() -> &'static str {
                $crate::__function_name(::core::any::type_name_of_val(&here))
            }
            static CALLSITE: $crate::Callsite = $crate::Callsite::asking(name, ::core::file!(), ::core::line!());
            let category = $crate::AsCategory::id(&$category);
            let mut guard = CALLSITE.admit(category, false, ::core::option::Option::None);
            if guard.is_admitted() {
                let _number = guard.number();
                CALLSITE.begin(&mut guard, category, ::core::option::Option::None,
                    &[$($crate::__arg!(_number, $key, $value)),*]);
            }
            guard
        };
    };
    ($($key:ident = $value:expr),* $(,)?) => {
        $crate::trace_function!(category: $crate::CategoryId::FUNCTION $(, $key = $value)*);
    };
}

/// Records the rest of the scope it stands in: [`span!`] with a guard that needs no name.
#[macro_export]
macro_rules! trace_scope {
    ($($span:tt)+) => {
        let _guard = $crate::span!($($span)+);
    };
}

/// A closure that records each of its calls. Its arguments are names, `_` or tuples; the only option is `category`. A
/// closure that wants more holds a [`trace_scope!`] itself.
///
/// ```
/// let price = tickscope::trace_closure!("price", |items: u64| items * 7);
/// assert_eq!(price(6), 42);
/// ```
#[macro_export]
macro_rules! trace_closure {
    ($(category: $category:expr,)? $name:literal, || $body:expr) => {
        || {
            $crate::trace_scope!($(category: $category,)? $name);
            $body
        }
    };
    ($(category: $category:expr,)? $name:literal, move || $body:expr) => {
        move || {
            $crate::trace_scope!($(category: $category,)? $name);
            $body
        }
    };
    ($(category: $category:expr,)? $name:literal, |$($arg:tt $(: $of:ty)?),+| $body:expr) => {
        |$($arg $(: $of)?),+| {
            $crate::trace_scope!($(category: $category,)? $name);
            $body
        }
    };
    ($(category: $category:expr,)? $name:literal, move |$($arg:tt $(: $of:ty)?),+| $body:expr) => {
        move |$($arg $(: $of)?),+| {
            $crate::trace_scope!($(category: $category,)? $name);
            $body
        }
    };
}

/// Records a loop as one span that says how often it went round, and how long that took: arguments `iterations`,
/// `total_ns`, `min_ns` and `max_ns`. Around an iterator with `over`, around bodies without. Options as in [`span!`].
///
/// ```
/// use tickscope::trace_loop;
/// let mut sum = 0;
/// for n in trace_loop!(over: 0..1_000, "sum") {
///     sum += n;
/// }
///
/// let mut halves = trace_loop!("halve", of = sum);
/// while sum > 1 {
///     let _iteration = halves.iteration();
///     sum /= 2;
/// }
/// ```
///
/// Around an iterator, making the next item belongs to the iteration; it takes one reading of the clock each, bodies two.
#[macro_export]
macro_rules! trace_loop {
    (over: $over:expr, $($span:tt)+) => {
        $crate::LoopSpan::new($crate::span!($($span)+)).over($over)
    };
    ($($span:tt)+) => {
        $crate::LoopSpan::new($crate::span!($($span)+))
    };
}

/// A future that records itself from here until it is ready or dropped, on a track of its own, and each of its polls on
/// the thread that makes it, each linked to the one before. When it ends, arguments say `busy_ns` in polls, `idle_ns`
/// between them, `polls`, and `cancelled` if it was dropped before it was ready. Options as in [`async_span!`].
///
/// ```
/// async fn load(player: u64) -> u64 { player }
/// # fn spawn(_: impl Future<Output = u64> + Send + 'static) {}
///
/// spawn(tickscope::trace_future!(of: load(7), "load", player = 7));
/// ```
#[macro_export]
macro_rules! trace_future {
    (of: $future:expr, $($span:tt)+) => {
        $crate::__around($crate::async_span!($($span)+), $future)
    };
}

/// Runs two implementations of the same work in turns and says which is faster; answers a
/// [`Comparison`](crate::Comparison). `rounds` are 30 unless given, 6 to 200.
///
/// ```
/// let text = "a,b,c".repeat(50);
/// let verdict = tickscope::compare!("commas",
///     bytes = || text.bytes().filter(|byte| *byte == b',').count(),
///     chars = || text.chars().filter(|character| *character == ',').count(),
/// );
/// println!("{verdict}");
/// ```
///
/// Each round runs both for at least 50 µs, the other one first each time, each run a span; at the end a moment carries
/// the verdict. Compare optimised builds.
#[macro_export]
macro_rules! compare {
    ($(rounds: $rounds:expr,)? $name:literal, $first:ident = $one:expr, $second:ident = $other:expr $(,)?) => {{
        let (mut one, mut other) = ($one, $other);
        let verdict = $crate::__compare(
            $name,
            $crate::__or!(30 $(, $rounds)?),
            (::core::stringify!($first), &mut |calls| {
                $crate::__run!($name, $first, calls, one)
            }),
            (::core::stringify!($second), &mut |calls| {
                $crate::__run!($name, $second, calls, other)
            }),
        );
        $crate::instant!(
            $name,
            $first = verdict.first.median_ns,
            $second = verdict.second.median_ns,
            ratio = verdict.ratio,
            ratio_low = verdict.low,
            ratio_high = verdict.high,
            p_value = verdict.p_value,
        );
        verdict
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __run {
    ($name:literal, $which:ident, $calls:ident, $work:ident) => {{
        let _run = $crate::span!($name, which = ::core::stringify!($which), calls = $calls);
        let start = ::std::time::Instant::now();
        for _ in 0..$calls {
            ::core::hint::black_box($work());
        }
        start.elapsed()
    }};
}

/// Records a span of a trace that spans processes; answers a [`ContextSpan`](crate::ContextSpan), which is a guard.
///
/// It is a child of `from`, a [`TraceContext`](crate::TraceContext) or an `Option` of one; else of the one the thread
/// works in; else the root of a new trace. Its arguments `trace_id`, `span_id` and `parent_id` join it to what other
/// processes recorded. Whether a recording that samples keeps it is decided at the trace's root, for all processes.
///
/// ```
/// use tickscope::{TraceContext, context_span};
/// let incoming: Option<TraceContext> = None;
/// let request = context_span!(from: incoming, "request", player = 7);
/// let context = request.context().clone();
/// std::thread::spawn(move || {
///     let _work = context_span!(from: context, "work");
/// }).join().unwrap();
/// ```
///
/// The context is passed on whether or not something is recorded, so it costs about as much as two spans in any case.
#[macro_export]
macro_rules! context_span {
    ($(category: $category:expr,)? $(from: $from:expr,)? $(follows: $follows:expr,)? $(critical: $critical:expr,)?
     $name:literal $(, $key:ident = $value:expr)* $(,)?) => {{
        static CALLSITE: $crate::Callsite = $crate::Callsite::new($name, ::core::file!(), ::core::line!());
        let category = $crate::__or!($crate::CategoryId::DEFAULT $(, $crate::AsCategory::id(&$category))?);
        let mut span = $crate::ContextSpan::admit(
            &CALLSITE,
            category,
            $crate::__or!(false $(, $critical)?),
            $crate::__or!(::core::option::Option::None $(, ::core::convert::Into::into($from))?),
        );
        span.begin(|guard| {
            let _number = guard.number();
            CALLSITE.begin(
                guard,
                category,
                $crate::__or!(::core::option::Option::None $(, ::core::option::Option::Some($follows))?),
                &[$($crate::__arg!(_number, $key, $value)),*],
            );
        });
        span
    }};
}

/// Counts and times the function it stands in, without recording each call; see
/// [`function_stats`](crate::function_stats).
#[macro_export]
macro_rules! trace_function_stats {
    () => {
        let _guard = {
            fn here() {}
            fn name() -> &'static str {
                $crate::__function_name(::core::any::type_name_of_val(&here))
            }
            static STATS: $crate::FunctionTimer = $crate::FunctionTimer::new(name);
            STATS.start()
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __or {
    ($default:expr) => {
        $default
    };
    ($default:expr, $given:expr) => {
        $given
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __arg {
    // No block around the value: what it borrows from must live until the arguments are recorded.
    ($number:ident, $key:ident, $value:expr) => {
        (
            {
                static KEY: $crate::Key = $crate::Key::new(::core::stringify!($key));
                &KEY
            }
            .id($number),
            $crate::ArgInput::from($value),
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __on {
    ($callsite:ident, $plain:ident, $on_track:ident; $($arg:expr),+) => {
        $callsite.$plain($($arg),+)
    };
    ($callsite:ident, $plain:ident, $on_track:ident, $on:expr; $($arg:expr),+) => {
        $callsite.$on_track($on, $($arg),+)
    };
}
