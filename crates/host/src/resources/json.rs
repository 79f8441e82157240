//! The survey as one JSON document. Its fields are a promise: see `docs/resources.md`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use tickscope_citizen::{ScriptError, ScriptKind, Start, Survey, Surveyed, UseKind};

#[derive(Serialize)]
struct Document<'a> {
    directory: String,
    cfg: Option<String>,
    complete: bool,
    names: BTreeMap<&'static str, usize>,
    resources: Vec<Resource<'a>>,
    missing: Vec<Missing<'a>>,
    problems: Vec<Problem<'a>>,
    without_manifest: Vec<String>,
}

#[derive(Serialize)]
struct Resource<'a> {
    name: &'a str,
    path: String,
    categories: &'a [String],
    version: Option<&'a str>,
    author: Option<&'a str>,
    order: Option<usize>,
    started_by: Option<StartedBy<'a>>,
    dependencies: Vec<Dependency<'a>>,
    constraints: Vec<Constraint<'a>>,
    provides: &'a [String],
    scripts: Vec<Script<'a>>,
    exports: &'a [String],
    uses: Vec<Use<'a>>,
    problems: Vec<Problem<'a>>,
}

#[derive(Serialize)]
struct StartedBy<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    resource: Option<&'a str>,
}

#[derive(Serialize)]
struct Dependency<'a> {
    name: &'a str,
    version: Option<&'a str>,
    resource: Option<&'a str>,
}

#[derive(Serialize)]
struct Constraint<'a> {
    constraint: &'a str,
    unmet: Option<&'a str>,
}

#[derive(Serialize)]
struct Script<'a> {
    file: &'a str,
    kind: &'static str,
}

#[derive(Serialize)]
struct Use<'a> {
    kind: &'static str,
    name: &'a str,
    fidelity: &'static str,
    reason: &'a str,
    file: &'a str,
    line: u32,
    places: usize,
}

#[derive(Serialize)]
struct Problem<'a> {
    resource: &'a str,
    file: &'a str,
    line: u32,
    message: &'a str,
}

#[derive(Serialize)]
struct Missing<'a> {
    name: &'a str,
    problem: &'a str,
}

pub(super) fn write(
    out: &mut impl Write,
    found: &Survey,
    root: &Path,
    complete: bool,
) -> std::io::Result<()> {
    let mut names: BTreeMap<&'static str, usize> =
        super::FIDELITIES.iter().map(|fidelity| (fidelity.word(), 0)).collect();
    let mut seen = std::collections::BTreeSet::new();
    for used in super::uses(found).filter(|used| seen.insert((used.kind, &used.name, used.fidelity))) {
        *names.entry(used.fidelity.word()).or_default() += 1;
    }
    let below = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let document = Document {
        directory: root.display().to_string(),
        cfg: found.cfg.as_deref().map(below),
        complete,
        names,
        resources: (1..).zip(&found.resources).map(|(at, one)| resource(at, one, &below)).collect(),
        missing: found.missing.iter().map(|(name, problem)| Missing { name, problem }).collect(),
        problems: found.problems.iter().map(problem).collect(),
        without_manifest: found.without_manifest.iter().map(|path| below(path)).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn resource<'a>(order: usize, of: &'a Surveyed, below: &dyn Fn(&Path) -> String) -> Resource<'a> {
    Resource {
        name: &of.name,
        path: below(&of.path),
        categories: &of.categories,
        version: of.version.as_deref(),
        author: of.author.as_deref(),
        order: of.start.is_some().then_some(order),
        started_by: match &of.start {
            Some(Start::Line { file, line }) => {
                Some(StartedBy { file: Some(file), line: Some(*line), resource: None })
            }
            Some(Start::Needed { by }) => Some(StartedBy { file: None, line: None, resource: Some(by) }),
            _ => None,
        },
        dependencies: of
            .dependencies
            .iter()
            .map(|one| Dependency {
                name: &one.name,
                version: one.version.as_deref(),
                resource: one.resource.as_deref(),
            })
            .collect(),
        constraints: of
            .constraints
            .iter()
            .map(|(constraint, unmet)| Constraint { constraint, unmet: unmet.as_deref() })
            .collect(),
        provides: &of.provides,
        scripts: of
            .scripts
            .iter()
            .map(|script| Script { file: &script.file, kind: script_kind(script.kind) })
            .collect(),
        exports: &of.exports,
        uses: of
            .uses
            .iter()
            .map(|used| Use {
                kind: use_kind(used.kind),
                name: &used.name,
                fidelity: used.fidelity.word(),
                reason: &used.reason,
                file: &used.file,
                line: used.line,
                places: used.places,
            })
            .collect(),
        problems: of.problems.iter().map(problem).collect(),
    }
}

fn problem(error: &ScriptError) -> Problem<'_> {
    Problem { resource: &error.resource, file: &error.file, line: error.line, message: &error.message }
}

fn script_kind(kind: ScriptKind) -> &'static str {
    match kind {
        ScriptKind::Lua => "lua",
        ScriptKind::JavaScript => "javascript",
        ScriptKind::CSharp => "csharp",
        ScriptKind::Escrowed => "escrowed",
        ScriptKind::Missing => "missing",
        ScriptKind::Broken => "broken",
        _ => "other",
    }
}

fn use_kind(kind: UseKind) -> &'static str {
    match kind {
        UseKind::Native => "native",
        UseKind::Export => "export",
        _ => "global",
    }
}
