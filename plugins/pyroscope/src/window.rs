//! What came since the last time, as profiles.

use std::collections::HashSet;

use tickscope_core::SinkError;
use tickscope_export::paths::Paths;
use tickscope_export::pprof::{About, Functions, Profile, ValueType};

/// The label of resources beyond the limit, and of the host's own work.
const OTHER: &str = "other";
const HOST: &str = "(host)";

/// Pyroscope knows these by name: its profile types `process_cpu:cpu` and `memory:alloc_space`.
const TIME: ValueType<'static> = ValueType { name: "cpu", unit: "nanoseconds" };
const MEMORY: ValueType<'static> = ValueType { name: "alloc_space", unit: "bytes" };
/// What these are periods of.
const SPACE: ValueType<'static> = ValueType { name: "space", unit: "bytes" };

/// What a profile is of. Each is sent in a lane of its own, at that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Time that passed.
    Time,
    /// Memory that was allocated.
    Memory,
}

/// Remembers what each path had the last time.
#[derive(Debug, Default)]
pub struct Window {
    program: String,
    limit: usize,
    resources: HashSet<Box<str>>,
    time: Vec<u64>,
    memory: Vec<u64>,
}

impl Window {
    /// Nothing sent yet; so many resources are told apart.
    pub fn new(program: &str, limit: usize) -> Self {
        Self { program: program.to_owned(), limit, ..Self::default() }
    }

    /// Time and memory since the last time, each as a profile of `pprof`; without those that are empty.
    ///
    /// # Errors
    /// None: they are written to memory.
    pub fn profiles(
        &mut self,
        paths: &Paths,
        begin_unix_ns: u64,
        duration_ns: u64,
    ) -> Result<Vec<(Kind, Vec<u8>)>, SinkError> {
        let mut out = Vec::new();
        for of in [Kind::Time, Kind::Memory] {
            let memory = of == Kind::Memory;
            let (kind, period, now) = match memory {
                true => (MEMORY, SPACE, paths.allocated()),
                false => (TIME, TIME, paths.nodes().iter().map(|node| node.self_ns).collect()),
            };
            let mut profile = Profile::new(Vec::new(), &[kind]);
            let mut functions = Functions::default();
            let mut any = false;
            for (at, now) in now.into_iter().enumerate() {
                let last = if memory { &mut self.memory } else { &mut self.time };
                if last.len() <= at {
                    last.resize(paths.nodes().len(), 0);
                }
                // Estimates of memory may go down again; then they wait until they are where they were.
                let more = now.saturating_sub(last[at]);
                last[at] += more;
                let Some(symbol) = paths.symbol(at as u32).filter(|_| more > 0) else { continue };
                let resource = label(&mut self.resources, self.limit, &symbol.resource).to_owned();
                let path = functions.path(&mut profile, paths, at as u32);
                profile.sample(path, &[more], &[("resource", &resource)])?;
                any = true;
            }
            let about = About {
                program: &self.program,
                begin_unix_ns,
                duration_ns,
                period: Some((period, 1)),
                comments: &[],
            };
            let body = profile.finish(kind.name, &about)?;
            if any {
                out.push((of, body));
            }
        }
        Ok(out)
    }
}

fn label<'r>(known: &mut HashSet<Box<str>>, limit: usize, resource: &'r str) -> &'r str {
    match resource {
        "" => HOST,
        _ if known.contains(resource) => resource,
        _ if known.len() < limit => {
            known.insert(resource.into());
            resource
        }
        _ => OTHER,
    }
}
