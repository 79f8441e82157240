//! What is watched, and from which value on it is too much.

use std::fmt;

use serde::Deserialize;
use tickscope_abi::Error;

/// How bad it is; in this order.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at some time.
    Warning,
    /// To be looked at now.
    Critical,
    /// Somebody is to be woken.
    Emergency,
}

impl Severity {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Critical, Self::Emergency];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Emergency => "emergency",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Ticks over the budget.
    LateTicksPerMinute,
    /// The longest tick.
    TickMs,
    /// Ticks that ended.
    TicksPerS,
    /// Time of a resource in each tick, on average.
    MsPerTick,
    /// Time of a resource in each second.
    MsPerS,
    /// Lua heaps of a resource.
    HeapMb,
    /// Memory that a resource allocates.
    AllocatedMbPerS,
    /// Errors that a resource reports.
    ErrorsPerMinute,
    /// Events, exports, natives and so on of a resource that are called.
    CallsPerS,
}

impl Measure {
    /// What it is called in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::LateTicksPerMinute => "late_ticks_per_minute",
            Self::TickMs => "tick_ms",
            Self::TicksPerS => "ticks_per_s",
            Self::MsPerTick => "ms_per_tick",
            Self::MsPerS => "ms_per_s",
            Self::HeapMb => "heap_mb",
            Self::AllocatedMbPerS => "allocated_mb_per_s",
            Self::ErrorsPerMinute => "errors_per_minute",
            Self::CallsPerS => "calls_per_s",
        }
    }

    /// Whether it is the server's, and no resource's.
    fn is_of_server(self) -> bool {
        matches!(self, Self::LateTicksPerMinute | Self::TickMs | Self::TicksPerS)
    }

    /// Seconds that are looked back, where the rule does not say.
    fn window_s(self) -> u64 {
        if self == Self::ErrorsPerMinute { 60 } else { 10 }
    }
}

/// On which side of it is too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// More is.
    Above(f64),
    /// Less is.
    Below(f64),
}

impl Limit {
    /// Whether `value` is too much, or too little.
    pub fn broken_by(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::Below(limit) => value < limit,
        }
    }

    /// Whether `value` is well again: it must be away from the limit by a share of it, so that one that trembles about the
    /// limit is one alert.
    pub fn cleared_by(self, value: f64, share: f64) -> bool {
        match self {
            Self::Above(limit) => value <= limit - limit.abs() * share,
            Self::Below(limit) => value >= limit + limit.abs() * share,
        }
    }

    /// The worse of two values.
    pub fn worse(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Above(_) => one.max(other),
            Self::Below(_) => one.min(other),
        }
    }
}

/// One thing that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Short.
    pub name: String,
    /// What is measured.
    pub measure: Measure,
    /// Whose: a name, in which `*` stands for anything.
    pub resource: String,
    /// From where on.
    pub limit: Limit,
    /// How bad that is.
    pub severity: Severity,
    /// Seconds that are looked back.
    pub window_s: u64,
    /// How long it must be so before it is told.
    pub for_ns: u64,
    /// How long it must be well before that is told.
    pub clear_ns: u64,
}

/// A rule as a user writes it.
#[derive(Debug, Deserialize)]
pub struct Given {
    name: Option<String>,
    measure: Measure,
    resource: Option<String>,
    above: Option<f64>,
    below: Option<f64>,
    #[serde(default = "warning")]
    severity: Severity,
    window_s: Option<u64>,
    #[serde(default)]
    for_s: f64,
    #[serde(default = "ten")]
    clear_s: f64,
}

fn anything() -> String {
    "*".into()
}

fn warning() -> Severity {
    Severity::Warning
}

fn ten() -> f64 {
    10.0
}

/// The rules that were given, or those for a server with a budget of 50 ms.
///
/// # Errors
/// When a rule has no limit or two, or what means nothing for it, or two have one name.
pub fn rules(given: Vec<Given>) -> Result<Vec<Rule>, Error> {
    if given.is_empty() {
        return Ok(defaults());
    }
    let mut rules: Vec<Rule> = Vec::new();
    for (index, given) in given.into_iter().enumerate() {
        let name = given.name.unwrap_or_else(|| given.measure.name().replace('_', "-"));
        let limit = match (given.above, given.below) {
            (Some(limit), None) => Limit::Above(limit),
            (None, Some(limit)) => Limit::Below(limit),
            _ => {
                return Err(Error::new(format!(
                    "rules[{index}]: expected `above` or `below`, and one of them"
                )));
            }
        };
        if given.resource.is_some() && given.measure.is_of_server() {
            return Err(Error::new(format!(
                "rules[{index}]: `resource` means nothing for {}, which is of the whole server; leave it out",
                given.measure.name()
            )));
        }
        if rules.iter().any(|rule| rule.name == name) {
            return Err(Error::new(format!(
                "rules[{index}]: a rule is called {name} already; give it another `name`"
            )));
        }
        rules.push(Rule {
            name,
            measure: given.measure,
            resource: given.resource.unwrap_or_else(anything),
            limit,
            severity: given.severity,
            window_s: given.window_s.unwrap_or(given.measure.window_s()),
            for_ns: nanoseconds(given.for_s),
            clear_ns: nanoseconds(given.clear_s),
        });
    }
    Ok(rules)
}

/// Up to an hour, as the schema allows.
pub fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

fn defaults() -> Vec<Rule> {
    let rule = |name: &str, measure: Measure, limit, severity, for_s| Rule {
        name: name.into(),
        measure,
        resource: anything(),
        limit: Limit::Above(limit),
        severity,
        window_s: measure.window_s(),
        for_ns: nanoseconds(for_s),
        clear_ns: nanoseconds(ten()),
    };
    vec![
        rule("late-ticks", Measure::LateTicksPerMinute, 30.0, Severity::Warning, 0.0),
        rule("long-tick", Measure::TickMs, 500.0, Severity::Critical, 0.0),
        rule("busy-resource", Measure::MsPerTick, 10.0, Severity::Warning, 10.0),
        rule("big-heap", Measure::HeapMb, 512.0, Severity::Warning, 10.0),
        rule("errors", Measure::ErrorsPerMinute, 30.0, Severity::Warning, 0.0),
    ]
}

/// Whether a name is what a pattern means: `*` stands for anything.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        // The part before has one behind it: its first occurrence leaves most for the others.
        if let Some(before) = last.replace(part) {
            let Some(at) = rest.find(before) else { return false };
            rest = &rest[at + before.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_in_order() {
        assert!(Severity::ALL.is_sorted());
        assert!(Severity::Info < Severity::Warning && Severity::Critical < Severity::Emergency);
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "bank", true),
            ("bank", "bank", true),
            ("bank", "banking", false),
            ("bank*", "banking", true),
            ("*ing", "banking", true),
            ("*ing", "ring a bell", false),
            ("b*k*g", "banking", true),
            ("b*k*g", "bang", false),
            ("a*a", "a", false),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "xab", false),
            ("", "", true),
            ("", "x", false),
            ("ü*", "über", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn limits_are_cleared_away_from_them() {
        let above = Limit::Above(50.0);
        assert_eq!((above.broken_by(50.0), above.broken_by(50.1)), (false, true));
        assert_eq!((above.cleared_by(45.1, 0.1), above.cleared_by(45.0, 0.1)), (false, true));
        let below = Limit::Below(20.0);
        assert_eq!((below.broken_by(20.0), below.broken_by(19.9)), (false, true));
        assert_eq!((below.cleared_by(21.9, 0.1), below.cleared_by(22.0, 0.1)), (false, true));
        assert_eq!((above.worse(1.0, 2.0), below.worse(1.0, 2.0)), (2.0, 1.0));
    }

    #[test]
    fn rules_say_what_is_wrong_with_them() {
        let check = |json: &str| {
            let given: Vec<Given> = serde_json::from_str(json).expect("rules");
            rules(given).map_err(|error| error.to_string())
        };
        let one_of = "rules[0]: expected `above` or `below`, and one of them";
        assert_eq!(check(r#"[{"measure": "tick_ms"}]"#), Err(one_of.into()));
        assert_eq!(check(r#"[{"measure": "tick_ms", "above": 1, "below": 2}]"#), Err(one_of.into()));
        let twice = r#"[{"measure": "tick_ms", "above": 1}, {"measure": "tick_ms", "above": 2}]"#;
        assert_eq!(
            check(twice),
            Err("rules[1]: a rule is called tick-ms already; give it another `name`".into())
        );
        assert_eq!(
            check(r#"[{"measure": "tick_ms", "above": 1, "resource": "bank"}]"#),
            Err("rules[0]: `resource` means nothing for tick_ms, which is of the whole server; leave it out"
                .into())
        );
        assert_eq!(check("[]").map(|rules| rules.len()), Ok(5));
    }
}
