//! `cargo xtask test`: all that a merge needs.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::cargo::{FEATURES, cargo, run_tests};
use crate::oracles::{self, captures, install, lua, pages, perfetto, record};
use crate::tally::Tally;
use crate::{agent, book, dist, examples, loom, overdue, sanitizer, soak, tidy};

#[derive(Args)]
pub struct Options {
    /// Installs what the oracles need first (apt as root, npm).
    #[arg(long)]
    install: bool,
    /// Only these stages.
    #[arg(long)]
    only: Vec<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Stage {
    Tidy,
    Workspace,
    Doc,
    Book,
    Release,
    Agent,
    Dist,
    Loom,
    Sanitizer,
    Examples,
    Captures,
    Perfetto,
    Speedscope,
    Svg,
    Lua,
    Record,
    Soak,
}

impl Stage {
    const ALL: &[Self] = &[
        Self::Tidy,
        Self::Workspace,
        Self::Doc,
        Self::Book,
        Self::Release,
        Self::Agent,
        Self::Dist,
        Self::Captures,
        Self::Perfetto,
        Self::Speedscope,
        Self::Svg,
        Self::Lua,
        Self::Record,
        Self::Examples,
        Self::Loom,
        Self::Sanitizer,
        Self::Soak,
    ];

    /// Whether the stage runs the release build.
    fn needs_release(self) -> bool {
        matches!(
            self,
            Self::Agent
                | Self::Dist
                | Self::Captures
                | Self::Perfetto
                | Self::Speedscope
                | Self::Svg
                | Self::Lua
                | Self::Record
                | Self::Soak
        )
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

pub fn run(options: &Options, tally: &mut Tally) -> Result<()> {
    overdue::watch();
    if options.install {
        tally.stage("install", install::run);
    }
    for &stage in Stage::ALL {
        let wanted = options.only.is_empty() || options.only.contains(&stage);
        if !wanted {
            continue;
        }
        tally.stage(&stage.name(), |tally| {
            if stage.needs_release() && options.only.is_empty() {
                ensure!(oracles::tickscope().is_file(), "there is no release build to run");
            }
            body(stage, tally)
        });
    }
    Ok(())
}

fn body(stage: Stage, tally: &mut Tally) -> Result<()> {
    match stage {
        Stage::Tidy => {
            tally.command("fmt", cargo(["fmt", "--all", "--", "--check"]))?;
            tidy::run(tally)
        }
        Stage::Workspace => {
            let mut command = cargo(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
            command.args(FEATURES);
            run_tests("workspace", &mut command, tally)
        }
        Stage::Doc => {
            let mut command = cargo(["test", "--workspace", "--doc", "--no-fail-fast"]);
            command.args(FEATURES);
            run_tests("doc", &mut command, tally)?;
            let mut document = cargo(["doc", "--workspace", "--no-deps"]);
            document.args(FEATURES).env("RUSTDOCFLAGS", "-D warnings");
            tally.command("documentation without a warning", document)
        }
        Stage::Book => book::run(tally),
        Stage::Release => {
            tally.command("release build", cargo(["build", "--release", "--package", "tickscope-cli"]))
        }
        Stage::Agent => agent::run(tally),
        Stage::Dist => dist::smoke::run(tally),
        Stage::Loom => loom::run(&loom::Options::default(), tally),
        Stage::Sanitizer => sanitizer::run(tally),
        Stage::Examples => examples::run(tally),
        Stage::Captures => captures::run(tally),
        Stage::Perfetto => perfetto::run(tally),
        Stage::Speedscope => pages::speedscope(tally),
        Stage::Svg => pages::flame_graph(tally),
        Stage::Lua => lua::run(tally),
        Stage::Record => record::run(tally),
        Stage::Soak => soak::run(&soak::Options::small(), tally),
    }
}
