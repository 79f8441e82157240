//! The roleplay server of `examples/roleplay`: nothing in it goes wrong with 64 players on it, its working day ends as it
//! must, and over MariaDB as over the embedded database.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::deterministic::copy;
use crate::mariadb::MariaDb;

/// A copy of the server, for one run.
struct Roleplay {
    folder: TempDir,
}

impl Roleplay {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        copy(&examples(), &folder.path().join("roleplay"));
        Self { folder }
    }

    /// With its tables on that server.
    fn connected(connection: &str) -> Self {
        let server = Self::new();
        let cfg = server.folder.path().join("roleplay/server.cfg");
        let text = std::fs::read_to_string(&cfg).expect("a server.cfg");
        let text = format!("set mysql_connection_string \"{connection}\"\n{text}");
        std::fs::write(cfg, text).expect("a writable file");
        server
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
            .arg("run")
            .arg(self.folder.path().join("roleplay"))
            .args(["--virtual-time", "--seed", "7", "--depth", "boundary"])
            .args(args)
            .arg("-o")
            .arg(self.folder.path().join("run.perfetto-trace"))
            .stdin(Stdio::null())
            .output()
            .expect("the command runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !errors.contains("error:"), "{}\n{errors}", output.status);
        output
    }

    /// The working day: how many expectations held, and the totals that it prints.
    fn working_day(&self, players: u32) -> (String, String) {
        let scenario = examples().join("rush-hour.lua");
        let scenario = scenario.to_str().expect("a path in UTF-8");
        let players = players.to_string();
        let output =
            self.run(&["--scenario", scenario, "--players", &players, "--for", "4m", "--format", "json"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = |with: &str| {
            said.lines().find(|line| line.contains(with)).unwrap_or_else(|| panic!("{said}")).to_owned()
        };
        (line("expectations held"), line("totals: "))
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/roleplay")
}

#[test]
fn nothing_goes_wrong_with_64_players() {
    Roleplay::new().run(&["--players", "64", "--ticks", "10000", "--on-hitch", "1s", "--format", "json"]);
}

#[test]
fn a_working_day_ends_as_it_must_over_either_database() {
    let embedded = Roleplay::new().working_day(12);
    let Some(server) = MariaDb::start() else {
        eprintln!(
            "skipped: the working day over MariaDB (mariadbd is not installed: Debian's mariadb-server)"
        );
        return;
    };
    server.create("roleplay");
    let real = Roleplay::connected(&server.connection("roleplay")).working_day(12);
    assert_eq!(embedded, real);
}
