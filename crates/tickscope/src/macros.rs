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

/// Begins a span that [`end!`] ends by its name, on the same thread. Guards are safer where scopes allow them.
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
