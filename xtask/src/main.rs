//! The chores of this repository, as `cargo xtask <chore>`.
//!
//! Everything here runs other programs (cargo, node, a browser, plain Lua) and judges what they say. What is not on
//! the machine is reported as skipped, by name, and never counted as passed.

mod agent;
mod alone;
mod bench;
mod book;
mod cargo;
mod dist;
mod examples;
mod features;
mod fuzz;
mod header;
mod links;
mod loom;
mod metadata;
mod natives;
mod new_plugin;
mod oracles;
mod overdue;
mod process;
mod publish;
mod sanitizer;
mod soak;
mod tally;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::tally::Tally;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "The chores of the Tickscope repository",
    after_help = "Examples:\n  cargo xtask check            before a commit\n  cargo xtask test             before a merge\n  \
                  cargo xtask test --install   on a machine that has nothing yet, as root\n  \
                  cargo xtask test --only lua  one stage again\n  cargo xtask fuzz --seconds 60"
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Formatting, clippy without a warning, tidy.
    Check,
    /// The rules no compiler knows: who depends on whom, module docs, file lengths, words, licences.
    Tidy,
    /// All that a merge needs, a stage after the other, each timed.
    #[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --install\n  \
                            cargo xtask test --only tidy --only loom\n\nStages: tidy, workspace, doc, book, release, agent, dist, loom, \
                            sanitizer, examples, captures, perfetto, speedscope, svg, lua, soak")]
    Test(test::Options),
    /// The loom models, and each again with one ordering weakened, which must fail.
    #[command(after_help = "Example:\n  cargo xtask loom --package tickscope-ring")]
    Loom(loom::Options),
    /// The thread sanitizer over the lock-free crates.
    Sanitizer,
    /// The long runs: order of the ring, long virtual servers, kills; releases built twice, crates as they are published.
    #[command(after_help = "Examples:\n  cargo xtask soak\n  cargo xtask soak --dose small\n  \
                            cargo xtask soak --only dist --only packages\n  \
                            cargo xtask soak --only semver --since v0.1.0")]
    Soak(soak::Options),
    /// The fuzz targets, some seconds each.
    #[command(after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz --seconds 600 capture")]
    Fuzz(fuzz::Options),
    /// The benches, peers beside us in the same run. Not for CI.
    #[command(after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench --bench pair -- --quick")]
    Bench(bench::Options),
    /// The table of natives, from FXServer's published type definitions.
    #[command(after_help = "Example:\n  npm pack @citizenfx/server && tar xzf citizenfx-server-*.tgz\n  \
                            cargo xtask natives package/natives_server.d.ts")]
    Natives(natives::Options),
    /// The C headers: the agent's from its functions, the plugins' from the structures that cross.
    Header,
    /// Features only add: every crate with none of its features, the default ones, all. A part of the full soak.
    Features,
    /// The book of `docs/`, into target/book, by mdBook.
    Book,
    /// For mdBook, which calls it: makes links out of the book lead to the repository.
    #[command(hide = true)]
    BookLinks {
        /// `supports` and a renderer, when mdBook asks whether it is known.
        asked: Vec<String>,
    },
    /// What a server owner downloads: an archive with the command, the agent and the plugins, checksums, a bill of
    /// materials, licences.
    #[command(
        after_help = "Examples:\n  cargo xtask dist\n  cargo xtask dist --plugins prometheus,otlp --out /tmp/dist"
    )]
    Dist(dist::Options),
    /// A new sink plugin, to begin from: a package that builds, loads and passes `tickscope plugins --test`.
    #[command(after_help = "Example:\n  cargo xtask new-plugin my-sink ../my-sink")]
    NewPlugin(new_plugin::Options),
    /// Runs the tests and takes what they say now as the golden files; look at the difference before a commit.
    Bless {
        /// Only this package.
        #[arg(short, long)]
        package: Option<String>,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let chore = Arguments::parse().chore;
    let here = std::env::current_dir()?;
    std::env::set_current_dir(metadata::root())?;
    let mut tally = Tally::default();
    match chore {
        Chore::Check => {
            tally.stage("fmt", |tally| tally.command("fmt", cargo::cargo(["fmt", "--all", "--", "--check"])));
            tally.stage("clippy", |tally| {
                let mut lint = cargo::cargo(["clippy", "--workspace", "--all-targets"]);
                lint.args(cargo::FEATURES).args(["--", "-D", "warnings"]);
                tally.command("clippy", lint)
            });
            tally.stage("tidy", tidy::run);
        }
        Chore::Tidy => tally.stage("tidy", tidy::run),
        Chore::Test(options) => test::run(&options, &mut tally)?,
        Chore::Loom(options) => tally.stage("loom", |tally| loom::run(&options, tally)),
        Chore::Sanitizer => tally.stage("sanitizer", sanitizer::run),
        Chore::Soak(options) => tally.stage("soak", |tally| soak::run(&options, tally)),
        Chore::Fuzz(options) => tally.stage("fuzz", |tally| fuzz::run(&options, tally)),
        Chore::Bench(options) => {
            bench::run(&options)?;
            return Ok(true);
        }
        Chore::Natives(options) => {
            natives::run(&options)?;
            return Ok(true);
        }
        Chore::Header => {
            header::write()?;
            return Ok(true);
        }
        Chore::Features => tally.stage("features", features::run),
        Chore::Book => tally.stage("book", book::run),
        Chore::BookLinks { asked } => {
            book::preprocess(!asked.is_empty())?;
            return Ok(true);
        }
        Chore::Dist(options) => {
            dist::run(&options)?;
            return Ok(true);
        }
        Chore::NewPlugin(options) => {
            new_plugin::run(&options, &here)?;
            return Ok(true);
        }
        Chore::Bless { package } => tally.stage("bless", |tally| cargo::bless(package.as_deref(), tally)),
    }
    tally.finish();
    Ok(tally.is_good())
}
