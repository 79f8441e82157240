//! Every `tickscope …` that the pages of the repository and the command's own help show is one that the command takes.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::cli::Cli;

/// The commands of one line of a shell, each as its words. Enough of a shell for what pages show: quotes, comments, pipes,
/// lists and redirections.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut skip = false; // the next word is a redirection's file
    let mut quote = None;
    let mut chars = line.chars().chain([' ']).peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, ' ' | '|' | '&' | ';' | '>' | '<') => {
                // `2>` is a redirection, not a word.
                let descriptor = c == '>' && word.as_deref().is_some_and(|word| word.parse::<u8>().is_ok());
                if let Some(word) = word.take().filter(|_| !descriptor && !std::mem::take(&mut skip)) {
                    commands.last_mut().expect("there is one").push(word);
                }
                match c {
                    '|' | ';' => commands.push(Vec::new()),
                    '&' if !skip => commands.push(Vec::new()), // behind `>` it is `>&1`
                    '>' | '<' => skip = true,
                    _ => {}
                }
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    commands.retain(|words| !words.is_empty());
    commands
}

/// What is wrong with a line that is shown, if it calls `tickscope`. `cargo run` is that too, but for an example's own program.
fn wrong(line: &str, example: bool) -> Option<String> {
    for mut words in commands(line) {
        while words.first().is_some_and(|word| word == "sudo" || word.contains('=')) {
            words.remove(0);
        }
        let built = words.iter().position(|word| word == "--").filter(|_| {
            !example
                && words.starts_with(&["cargo".into(), "run".into()])
                && !words
                    .iter()
                    .any(|word| matches!(&**word, "-p" | "--package" | "--example" | "--manifest-path"))
        });
        if let Some(place) = built {
            words.splice(..=place, ["tickscope".to_owned()]);
        }
        if words.first().is_none_or(|word| word != "tickscope" && !word.ends_with("/tickscope")) {
            continue;
        }
        if words.iter().any(|word| word == "…" || word == "...") {
            continue; // `tickscope record …`: left to the reader
        }
        match Cli::try_parse_from(&words) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {}
            Err(error) => {
                let said = error.to_string();
                return Some(format!("{}: {}", words.join(" "), said.lines().next().unwrap_or_default()));
            }
        }
    }
    None
}

fn pages(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            pages(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            into.push(path);
        }
    }
}

#[test]
fn what_pages_show_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    pages(&root, &mut all);
    let (mut shown, mut broken) = (0, Vec::new());
    for page in all {
        let text = std::fs::read_to_string(&page).unwrap();
        let example =
            page.strip_prefix(root.join("examples")).is_ok_and(|page| page.components().count() > 1);
        let mut console = false;
        for (index, line) in text.lines().enumerate() {
            match line.trim_start().strip_prefix("```") {
                Some(language) => console = language == "console",
                None if console => {
                    let Some(command) = line.trim_start().strip_prefix("$ ") else { continue };
                    shown += usize::from(command.contains("tickscope "));
                    broken.extend(
                        wrong(command, example).map(|why| format!("{}:{}: {why}", page.display(), index + 1)),
                    );
                }
                None => {}
            }
        }
    }
    assert!(shown > 50, "{shown} commands were found in the pages");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn what_the_help_shows_is_understood() {
    let mut shown = 0;
    for command in Cli::command().get_subcommands() {
        let Some(help) = command.get_after_help() else { continue };
        for line in help.to_string().lines().filter_map(|line| line.strip_prefix("  ")) {
            // What stands far to the right explains.
            let line = line.split("   ").next().unwrap_or_default();
            shown += usize::from(line.contains("tickscope "));
            assert_eq!(wrong(line, false), None, "in the help of {}", command.get_name());
        }
    }
    assert!(shown > 30, "{shown} commands were found in the help");
}

#[test]
fn lines_of_a_shell_are_split() {
    let words = |line| commands(line).into_iter().map(|words| words.join("|")).collect::<Vec<_>>();
    assert_eq!(words("a 'b c' \"d\"e   # f"), ["a|b c|de"]);
    assert_eq!(words("a > b | c 2>&1 && d <e; f"), ["a", "c", "d", "f"]);
    assert_eq!(words("tickscope x --sink o='{\"e\": 1}'"), ["tickscope|x|--sink|o={\"e\": 1}"]);
    assert!(wrong("tickscope run . --no-such-option", false).is_some());
    assert!(wrong("cargo run --release -- run . --tisck 5", false).is_some());
    assert!(wrong("tickscope nonsense", false).is_some());
    assert_eq!(wrong("cargo run -p x --example y -- z", false), None);
    assert_eq!(wrong("docker logs x | tickscope watch --log -", false), None);
}
