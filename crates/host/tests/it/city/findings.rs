//! What a run found, read from the document it printed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::assemble::Fault;

/// A function that a report names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    resource: String,
    function: String,
    file: String,
    line: u64,
    culprit: bool,
}

impl Place {
    fn read(cause: &Value) -> Self {
        let text = |key: &str| cause[key].as_str().unwrap_or_default().to_owned();
        Self {
            resource: text("resource"),
            function: text("function"),
            file: text("file"),
            line: cause["line"].as_u64().unwrap_or_default(),
            culprit: cause["culprit"].as_bool().unwrap_or_default(),
        }
    }

    fn is(&self, fault: &Fault) -> bool {
        self.resource == fault.resource
            && self.function == fault.function
            && self.file == fault.file
            && self.line == fault.line
    }

    fn is_planted(&self, planted: &[Fault], late_tick: bool) -> bool {
        planted.iter().any(|fault| fault.late_tick == late_tick && self.is(fault))
    }

    fn describe(&self) -> String {
        format!("{} {}:{} {}", self.resource, self.file, self.line, self.function)
    }
}

/// A late tick that the scripts are blamed for.
#[derive(Debug)]
struct LateTick {
    tick: u64,
    causes: Vec<Place>,
}

/// What the report says, as far as this test asks.
#[derive(Debug)]
pub struct Findings {
    pub ticks: u64,
    late_ticks: Vec<LateTick>,
    slow_operations: Vec<Place>,
}

impl Findings {
    pub fn read(stdout: &[u8]) -> Result<Self, String> {
        let report: Value =
            serde_json::from_slice(stdout).map_err(|problem| format!("not a report: {problem}"))?;
        let list =
            |key: &str| report[key].as_array().ok_or_else(|| format!("the report has no list {key:?}"));
        let late_ticks = list("late_ticks")?
            .iter()
            .filter(|tick| tick["blame"] == "script")
            .map(|tick| {
                let causes = tick["causes"].as_array().ok_or("a late tick has no list of causes")?;
                Ok(LateTick {
                    tick: tick["tick"].as_u64().ok_or("a late tick has no number")?,
                    causes: causes.iter().map(Place::read).collect(),
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            ticks: report["ticks"].as_u64().ok_or("the report does not say how many ticks were played")?,
            late_ticks,
            slow_operations: list("slow_operations")?.iter().map(Place::read).collect(),
        })
    }

    /// Faults that the report does not name.
    pub fn missed<'a>(&self, planted: &'a [Fault]) -> Vec<&'a Fault> {
        let named = |fault: &Fault| {
            if fault.late_tick {
                self.late_ticks.iter().flat_map(|tick| &tick.causes).any(|cause| cause.is(fault))
            } else {
                self.slow_operations.iter().any(|operation| operation.is(fault))
            }
        };
        planted.iter().filter(|fault| !named(fault)).collect()
    }

    /// Whom the report accuses without reason: of a late tick, or of a slow operation. A late tick is explained when
    /// each culprit in it is a planted fault, and there is one.
    pub fn wrongly_accused(&self, planted: &[Fault]) -> Vec<String> {
        let mut wrong = BTreeSet::new();
        for tick in &self.late_ticks {
            let (right, others): (Vec<_>, Vec<_>) = tick
                .causes
                .iter()
                .filter(|cause| cause.culprit)
                .partition(|cause| cause.is_planted(planted, true));
            wrong.extend(others.iter().map(|cause| format!("late tick: {}", cause.describe())));
            if right.is_empty() && others.is_empty() {
                wrong.insert(format!("late tick {}: nobody in particular", tick.tick));
            }
        }
        let operations =
            self.slow_operations.iter().filter(|operation| !operation.is_planted(planted, false));
        wrong.extend(operations.map(|operation| format!("slow operation: {}", operation.describe())));
        wrong.into_iter().collect()
    }
}
