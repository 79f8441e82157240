//! The `.sql` files of resources set the embedded database up.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use tickscope_core::Recorder;
use tickscope_sql::statements;

use super::service::{Done, Task};
use crate::host::Host;
use crate::resource::Resource;

/// Folders inside each other that are looked into.
const MAX_DEPTH: usize = 3;
/// Bytes of one file.
const MAX_FILE: u64 = 32 << 20;
/// Problems that are told in full.
const TOLD: usize = 5;

fn files(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            let skipped = path.file_name().is_some_and(|name| name == "node_modules" || name == ".git");
            if depth < MAX_DEPTH && !skipped {
                files(&path, depth + 1, found);
            }
        } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
            && path.metadata().is_ok_and(|data| data.len() <= MAX_FILE)
        {
            found.push(path);
        }
    }
}

/// Whether a statement of a file is run: it makes a table or fills one.
fn sets_up(statement: &str) -> bool {
    let mut words = statement.split_whitespace().map(str::to_ascii_uppercase);
    match words.next().as_deref() {
        Some("CREATE") => words.next().as_deref() == Some("TABLE"),
        Some("INSERT" | "REPLACE" | "ALTER") => true,
        _ => false,
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Applies the `.sql` files of a resource that is about to start. `set tickscope_sql off` leaves them alone.
    pub(crate) fn apply_schema(self: &Rc<Self>, resource: &Rc<Resource>) {
        let off =
            self.convars.get("tickscope_sql").is_some_and(|value| matches!(&*value, "off" | "false" | "0"));
        if off || super::is_built_in(&resource.path) {
            return;
        }
        let mut found = Vec::new();
        files(&resource.path, 1, &mut found);
        for path in found {
            let file = path.strip_prefix(&resource.path).unwrap_or(&path).display().to_string();
            let name = format!("{}/{file}", resource.name);
            let text = match std::fs::read(&path) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => {
                    self.say(&format!("{name}: cannot be read: {error}"));
                    continue;
                }
            };
            let wanted: Vec<String> =
                statements(&text).into_iter().filter(|one| sets_up(one)).map(str::to_owned).collect();
            if wanted.is_empty() {
                continue;
            }
            let task = Task::Schema { name: name.clone(), statements: wanted };
            self.query(
                resource,
                None,
                (format!("sql file {file}"), task),
                move |host, result, _| match result {
                    Ok(Done::Schema { run, problems }) => {
                        host.say(&format!("{name}: {run} statements set the database up"));
                        for (statement, error) in problems.iter().take(TOLD) {
                            let start: String = statement.chars().take(80).collect();
                            host.say(&format!("{name}: left out {start:?}…: {error}"));
                        }
                        if problems.len() > TOLD {
                            host.say(&format!("{name}: left out {} statements more", problems.len() - TOLD));
                        }
                    }
                    Ok(_) => {}
                    Err((_, error)) => host.say(&format!("{name}: {error}")),
                },
            );
        }
    }
}
