//! The survey in words.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use tickscope_citizen::{Fidelity, ScriptKind, Start, Survey, Surveyed, Use, UseKind};

use crate::present::style::Style;

pub(super) fn page(found: &Survey, root: &Path, style: Style) -> String {
    let mut page = String::new();
    let title = root.file_name().unwrap_or_default().to_string_lossy();
    let (started, others): (Vec<_>, Vec<_>) = found.resources.iter().partition(|one| one.start.is_some());
    let by = match &found.cfg {
        Some(cfg) => format!(
            "{} starts {}",
            clean(&cfg.strip_prefix(root).unwrap_or(cfg).to_string_lossy()),
            started.len()
        ),
        None => format!("no server.cfg, so {} start", started.len()),
    };
    // writing into a string does not fail
    let _ =
        writeln!(page, "{}: {}; {by}", style.bold(clean(&title)), counted(found.resources.len(), "resource"));
    table(&mut page, "Started, in this order", &started, found.cfg.is_some(), style);
    table(&mut page, "Not started", &others, false, style);
    names(&mut page, found, style);
    problems(&mut page, found, style);
    page
}

/// One line for each resource, in columns.
fn table(page: &mut String, title: &str, resources: &[&Surveyed], with_reason: bool, style: Style) {
    if resources.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n{}", style.bold(title));
    let rows: Vec<Vec<String>> = (1..)
        .zip(resources)
        .map(|(at, one)| {
            let order = if one.start.is_some() { format!("{at:>3}") } else { "   ".into() };
            let mut row = vec![
                order,
                clean(&one.name),
                clean(one.version.as_deref().unwrap_or("")),
                clean(&one.categories.concat()),
            ];
            if with_reason {
                row.push(match &one.start {
                    Some(Start::Line { file, line }) => clean(&format!("{file}:{line}")),
                    Some(Start::Needed { by }) => clean(&format!("needed by {by}")),
                    _ => String::new(),
                });
            }
            row.push(scripts(one));
            row.push(needs(one));
            row
        })
        .collect();
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<_> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(page, "{}", line.trim_end());
    }
}

/// `14 Lua, 1 JavaScript (not run)`.
fn scripts(resource: &Surveyed) -> String {
    let count = |kind: ScriptKind| resource.scripts.iter().filter(|script| script.kind == kind).count();
    let words = [
        (ScriptKind::Lua, "Lua"),
        (ScriptKind::JavaScript, "JavaScript (not run)"),
        (ScriptKind::CSharp, "C# (not run)"),
        (ScriptKind::Other, "no script"),
        (ScriptKind::Escrowed, "escrowed"),
        (ScriptKind::Missing, "missing"),
        (ScriptKind::Broken, "broken"),
    ];
    let counts = words.iter().map(|(kind, word)| (count(*kind), word)).filter(|(count, _)| *count > 0);
    counts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// `needs oxmysql, chat (rp-chat); /onesync; provides chat`.
fn needs(resource: &Surveyed) -> String {
    let mut parts = Vec::new();
    let dependencies: Vec<_> = resource
        .dependencies
        .iter()
        .map(|one| {
            let version = one.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            match &one.resource {
                Some(meant) if *meant == one.name => format!("{}{version}", one.name),
                Some(meant) => format!("{}{version} ({meant})", one.name),
                None => format!("{}{version} (not there)", one.name),
            }
        })
        .collect();
    if !dependencies.is_empty() {
        parts.push(format!("needs {}", dependencies.join(", ")));
    }
    parts.extend(resource.constraints.iter().map(|(constraint, unmet)| match unmet {
        None => constraint.clone(),
        Some(_) => format!("{constraint} (not met)"),
    }));
    if !resource.provides.is_empty() {
        parts.push(format!("provides {}", resource.provides.join(", ")));
    }
    clean(&parts.join("; "))
}

/// A name, and all that use it.
struct Row<'a> {
    first: (&'a Surveyed, &'a Use),
    places: usize,
    resources: usize,
}

fn names(page: &mut String, found: &Survey, style: Style) {
    let mut rows: BTreeMap<(Fidelity, UseKind, &str, &str), Row<'_>> = BTreeMap::new();
    for resource in found.resources.iter().filter(|resource| resource.is_wanted()) {
        for used in &resource.uses {
            let key = (used.fidelity, used.kind, &*used.name, &*used.reason);
            let row = rows.entry(key).or_insert(Row { first: (resource, used), places: 0, resources: 0 });
            row.places += used.places;
            row.resources += 1;
        }
    }
    let count = |fidelity: Fidelity| rows.keys().filter(|(of, ..)| *of == fidelity).count();
    let counts: Vec<_> = super::FIDELITIES
        .iter()
        .filter(|fidelity| count(**fidelity) > 0)
        .map(|fidelity| format!("{} {}", count(*fidelity), fidelity.word()))
        .collect();
    if counts.is_empty() {
        return;
    }
    let title = "Natives, globals and exports that they use";
    let _ = writeln!(page, "\n{}: {}", style.bold(title), counts.join(", "));
    for fidelity in super::FIDELITIES.into_iter().rev().filter(|fidelity| *fidelity != Fidelity::Exact) {
        let rows: Vec<_> = rows.iter().filter(|((of, ..), _)| *of == fidelity).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(page, "  {}", fidelity.word());
        let shown: Vec<_> = rows
            .iter()
            .map(|((_, kind, name, reason), row)| {
                let (resource, used) = row.first;
                let name =
                    if *kind == UseKind::Export { format!("export {name}") } else { (*name).to_owned() };
                let place = format!("{} {}:{}{}", resource.name, used.file, used.line, more(row));
                (clean(&name), clean(&place), clean(reason))
            })
            .collect();
        let width = |of: fn(&(String, String, String)) -> &String| {
            shown.iter().map(|row| of(row).chars().count()).max().unwrap_or(0)
        };
        let (first, second) = (width(|row| &row.0), width(|row| &row.1));
        for (name, place, reason) in &shown {
            let line = format!("    {name:first$}  {place:second$}  {}", style.dim(reason));
            let _ = writeln!(page, "{}", line.trim_end());
        }
    }
}

fn more(row: &Row<'_>) -> String {
    match (row.places, row.resources) {
        (1, _) => String::new(),
        (places, 1) => format!(" (and {} more)", places - 1),
        (places, resources) => format!(" (and {} more, in {resources} resources)", places - 1),
    }
}

fn problems(page: &mut String, found: &Survey, style: Style) {
    let mut lines: Vec<String> = found.problems.iter().map(|problem| clean(&problem.to_string())).collect();
    lines.extend(found.missing.iter().map(|(name, problem)| clean(&format!("{name}: {problem}"))));
    let (mut count, mut idle) = (lines.len(), Vec::new());
    for resource in &found.resources {
        let told = resource.problems.iter().map(|problem| clean(&problem.to_string()));
        if resource.is_wanted() {
            lines.extend(told);
            count = lines.len();
        } else {
            idle.extend(told);
        }
    }
    if !lines.is_empty() || !found.without_manifest.is_empty() || !idle.is_empty() {
        page.push('\n');
    }
    for line in &lines {
        let _ = writeln!(page, "{} {line}", style.red("error:"));
    }
    for line in idle {
        let _ = writeln!(page, "not started, but: {line}");
    }
    if !found.without_manifest.is_empty() {
        let names = found.without_manifest.iter().filter_map(|path| path.file_name());
        let names: Vec<_> = names.map(|name| clean(&name.to_string_lossy())).collect();
        let _ = writeln!(page, "folders without a manifest: {}", names.join(", "));
    }
    let _ = match count {
        0 => writeln!(page, "\nAll that is to start can run."),
        count => writeln!(page, "\n{} to mend before all of it can run.", counted(count, "error")),
    };
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Text from outside, without what a terminal would obey.
fn clean(text: &str) -> String {
    let safe =
        |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() };
    text.chars().map(safe).collect()
}
