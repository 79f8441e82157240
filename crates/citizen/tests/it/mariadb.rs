//! A MariaDB server for a test, where one is installed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A MariaDB server of this test's own.
pub struct MariaDb {
    child: Child,
    folder: tempfile::TempDir,
}

impl MariaDb {
    /// `None` where there is none on this machine.
    pub fn start() -> Option<Self> {
        let server =
            ["/usr/sbin/mariadbd", "/usr/bin/mariadbd"].into_iter().find(|path| Path::new(path).exists())?;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let installed = Command::new("mariadb-install-db")
            .args([
                "--no-defaults",
                "--user=root",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .arg(option("datadir", &data))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(installed.success(), "mariadb-install-db failed");
        let mut child = Command::new(server)
            .args(["--no-defaults", "--skip-networking", "--user=root"])
            .arg(option("datadir", &data))
            .arg(option("socket", &folder.path().join("s")))
            .arg(option("pid-file", &folder.path().join("p")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let limit = Instant::now() + Duration::from_secs(60);
        while !folder.path().join("s").exists() {
            assert!(child.try_wait().unwrap().is_none(), "mariadbd ended");
            assert!(Instant::now() < limit, "mariadbd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { child, folder })
    }

    /// Makes a database.
    pub fn create(&self, database: &str) {
        let made = Command::new("mariadb")
            .args(["--no-defaults", "-uroot", "-e"])
            .arg(format!("CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"))
            .arg(format!("--socket={}", self.folder.path().join("s").display()))
            .status()
            .unwrap();
        assert!(made.success());
    }

    /// What `mysql_connection_string` says to get there.
    pub fn connection(&self, database: &str) -> String {
        format!("mysql://root@localhost/{database}?socketPath={}", self.folder.path().join("s").display())
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
