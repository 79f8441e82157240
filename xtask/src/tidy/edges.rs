//! Who depends on whom: the table in ARCHITECTURE.md against the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, ensure};

use crate::metadata::Package;

/// Edges that tests, examples and benches may have beyond the table.
const DEV_EDGES: &[(&str, &[&str])] = &[
    ("export", &["session", "ring", "analysis"]),
    ("import", &["analysis", "export"]),
    ("collect", &["analysis", "export"]),
    ("analysis", &["export"]),
    ("hooks", &["session", "ring", "citizen", "lua"]),
    ("citizen", &["session", "ring", "analysis", "export"]),
    ("tickscope", &["ring", "analysis"]),
    ("plugin", &["session"]),
    ("cloudwatch-emf", &["core", "plugin"]),
    ("markers", &["core", "plugin"]),
    ("otlp", &["core", "http", "plugin"]),
    ("prometheus", &["core", "plugin"]),
    ("tensorboard", &["core", "plugin"]),
];

/// As above, for every package in `plugins/`.
const DEV_EDGES_OF_PLUGINS: &[&str] = &["core", "plugin", "trial"];

/// Packages from elsewhere that belong to a few of ours only.
const KEPT_APART: &[(&str, &[&str])] =
    &[("anyhow", &["host", "xtask"]), ("mlua", &["citizen", "lua", "worker"])];

type Table = BTreeMap<String, Allowed>;

#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    All,
    Only(BTreeSet<String>),
}

/// Every edge that the table does not have, and every crate that it does not name.
pub fn check(architecture: &str, root: &Path, members: &[Package]) -> Result<Vec<String>> {
    let table = parse(architecture)?;
    let mut broken = Vec::new();
    let folder_of = |package: &Package| -> Option<String> {
        let within = |place: &str| package.folder.strip_prefix(root.join(place)).ok();
        let folder = within("crates").or_else(|| within("plugins"))?;
        Some(folder.to_string_lossy().into_owned())
    };
    let folders: BTreeMap<&str, String> =
        members.iter().filter_map(|package| Some((package.name.as_str(), folder_of(package)?))).collect();
    for name in table.keys().filter(|name| !folders.values().any(|folder| folder == *name)) {
        broken.push(format!("ARCHITECTURE.md names {name}/, which is not in the workspace"));
    }
    for package in members {
        let Some(folder) = folders.get(package.name.as_str()) else { continue };
        let Some(allowed) = table.get(folder) else {
            broken.push(format!("{folder}/ is not in the table of ARCHITECTURE.md"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path) {
            let Some(target) = folders.get(dependency.name.as_str()) else {
                broken.push(format!(
                    "{} depends on {}, outside crates/ and plugins/",
                    package.name, dependency.name
                ));
                continue;
            };
            let of_plugins = package.folder.starts_with(root.join("plugins"));
            let tested = dependency.dev && of_plugins && DEV_EDGES_OF_PLUGINS.contains(&target.as_str());
            if !tested && !may(folder, target, allowed, dependency.dev) {
                let kind = if dependency.dev { "dev-depend" } else { "depend" };
                broken.push(format!(
                    "{folder} must not {kind} on {target}: a new edge is a design decision, see ARCHITECTURE.md"
                ));
            }
        }
    }
    for package in members {
        let name = folders.get(package.name.as_str()).unwrap_or(&package.name);
        for (apart, owners) in KEPT_APART {
            let uses =
                package.dependencies.iter().any(|dependency| dependency.name == *apart && !dependency.dev);
            if uses && !owners.contains(&name.as_str()) {
                broken.push(format!("{name} must not depend on {apart}; only {} may", owners.join(" and ")));
            }
        }
    }
    Ok(broken)
}

fn may(from: &str, to: &str, allowed: &Allowed, dev: bool) -> bool {
    let in_table = match allowed {
        Allowed::All => true,
        Allowed::Only(names) => names.contains(to),
    };
    let extra = DEV_EDGES.iter().any(|(name, more)| *name == from && more.contains(&to));
    // A dev-dependency on itself turns features on for tests.
    in_table || dev && (extra || from == to)
}

/// Reads the block in which a crate's line, or the line after it, ends in `→` and the crates it may use.
fn parse(architecture: &str) -> Result<Table> {
    let mut table = Table::new();
    let mut current = None;
    let block = architecture.split("```").nth(1).unwrap_or_default();
    for line in block.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if line.starts_with("  ") && first.ends_with('/') {
            current = Some(first.trim_end_matches('/').to_owned());
        }
        if let (Some(name), Some((_, names))) = (&current, line.rsplit_once('→')) {
            let allowed = match names.trim() {
                "nobody" => Allowed::Only(BTreeSet::new()),
                "all" => Allowed::All,
                names => Allowed::Only(names.split(',').map(|name| name.trim().to_owned()).collect()),
            };
            table.insert(name.clone(), allowed);
            current = None;
        }
    }
    ensure!(!table.is_empty(), "ARCHITECTURE.md: its first code block has no line `crate/ … → crates`");
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    const TABLE: &str = "# A\n```text\ncrates/\n  core/   Samples   → nobody\n  session/ clock and\n           \
                         registry → core, ring\n  ring/ x → nobody\n  host/ command → all\n```\n";

    fn package(folder: &str, dependencies: &[(&str, bool)]) -> Package {
        Package {
            name: format!("tickscope-{folder}"),
            version: "0.1.0".into(),
            licence: None,
            member: true,
            folder: format!("/r/crates/{folder}").into(),
            published: true,
            callable: true,
            features: Vec::new(),
            described: [("description", true), ("keywords", true), ("categories", true), ("readme", true)],
            dependencies: dependencies
                .iter()
                .map(|(name, dev)| Dependency {
                    name: if name.contains(':') {
                        name.replace(':', "")
                    } else {
                        format!("tickscope-{name}")
                    },
                    path: !name.contains(':'),
                    dev: *dev,
                })
                .collect(),
            repository: None,
            library: None,
            tests: Vec::new(),
            weakenings: Vec::new(),
        }
    }

    fn broken(packages: &[Package]) -> Vec<String> {
        let mut all =
            vec![package("core", &[]), package("ring", &[]), package("session", &[]), package("host", &[])];
        for package in packages {
            all.retain(|other| other.name != package.name);
            all.push(package.clone());
        }
        check(TABLE, Path::new("/r"), &all).unwrap()
    }

    #[test]
    fn a_table_entry_may_span_lines() {
        let table = parse(TABLE).unwrap();
        assert_eq!(table["session"], Allowed::Only(["core".into(), "ring".into()].into()));
        assert_eq!(table["host"], Allowed::All);
    }

    #[test]
    fn edges_of_the_table_are_allowed() {
        let good =
            [package("session", &[("core", false), ("ring", false)]), package("host", &[("session", false)])];
        assert_eq!(broken(&good), Vec::<String>::new());
    }

    #[test]
    fn an_edge_upwards_is_named() {
        let broken = broken(&[package("ring", &[("core", false)])]);
        assert!(broken[0].starts_with("ring must not depend on core"), "{broken:?}");
    }

    #[test]
    fn a_crate_outside_the_table_is_named() {
        assert!(broken(&[package("extra", &[])])[0].contains("extra/ is not in the table"));
    }

    #[test]
    fn mlua_belongs_to_citizen() {
        assert_eq!(broken(&[package("ring", &[("mlua:", false)])]).len(), 1);
        assert_eq!(broken(&[package("ring", &[("mlua:", true)])]).len(), 0);
    }
}
