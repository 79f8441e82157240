//! What the captures of one recording are called: no two processes write one file, and nothing is opened that may hang.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The names given out. A process that replaces itself (`exec`) keeps its number, and numbers come again.
pub(super) struct Captures {
    first: PathBuf,
    given: HashSet<PathBuf>,
}

impl Captures {
    /// # Errors
    /// When the first one cannot be written: said before a program is started or touched.
    pub(super) fn new(first: PathBuf) -> Result<Self> {
        is_a_file(&first)?;
        is_writable(&first)?;
        Ok(Self { first, given: HashSet::new() })
    }

    /// The capture that has the name.
    pub(super) fn first(&mut self) -> Result<PathBuf> {
        self.give(self.first.clone())
    }

    /// `nginx-4711.perfetto-trace` beside `nginx.perfetto-trace`; `nginx-4711-2` for the next process 4711.
    pub(super) fn of_process(&mut self, pid: u32) -> Result<PathBuf> {
        let begins = format!("-{pid}");
        let mut capture = self.beside(&begins);
        let mut next = 2_u64;
        while self.given.contains(&capture) {
            capture = self.beside(&format!("{begins}-{next}"));
            next += 1;
        }
        self.give(capture)
    }

    fn give(&mut self, capture: PathBuf) -> Result<PathBuf> {
        is_a_file(&capture)?;
        self.given.insert(capture.clone());
        Ok(capture)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.first.file_stem().unwrap_or_default().to_owned();
        name.push(ending);
        if let Some(extension) = self.first.extension() {
            name.push(".");
            name.push(extension);
        }
        self.first.with_file_name(name)
    }
}

/// Refuses what is there and no file: nobody may ever read the other end of a pipe.
fn is_a_file(capture: &Path) -> Result<()> {
    if let Ok(there) = fs::metadata(capture)
        && !there.is_file()
        && !there.file_type().is_char_device()
    {
        let what = if there.is_dir() { "a directory" } else { "a pipe, a socket or a disk" };
        bail!("{} is {what}, and a capture is a file; choose another place with -o", capture.display());
    }
    Ok(())
}

/// Whether a capture can be written there. One that is there stays as it is, and nothing is left behind.
fn is_writable(capture: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let written = match options.write(true).create_new(true).open(capture) {
        Ok(_) => fs::remove_file(capture),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            match OpenOptions::new().write(true).open(capture) {
                // A link that leads nowhere yet.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                there => there.map(drop),
            }
        }
        Err(error) => Err(error),
    };
    written.with_context(|| {
        format!("cannot write the capture {}; choose another place with -o", capture.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_out_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut captures = Captures::new(folder.path().join("a.b.perfetto-trace")).unwrap();
        let mut given = vec![captures.first().unwrap()];
        given.extend((0..3).map(|_| captures.of_process(7).unwrap()));
        given.push(captures.of_process(8).unwrap());
        let names: Vec<_> = given.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        let expected =
            ["a.b", "a.b-7", "a.b-7-2", "a.b-7-3", "a.b-8"].map(|name| format!("{name}.perfetto-trace"));
        assert_eq!(names, expected);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn what_is_there_stays_and_what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there");
        fs::write(&there, "as it was").unwrap();
        let check = |path: &Path| is_a_file(path).and_then(|()| is_writable(path));
        check(&there).unwrap();
        assert_eq!(fs::read_to_string(&there).unwrap(), "as it was");
        check(Path::new("/dev/null")).unwrap();
        let error = |path: &Path| format!("{:#}", check(path).unwrap_err());
        assert!(error(folder.path()).contains("is a directory"));
        assert!(error(&folder.path().join("none/x")).contains("cannot write the capture"));
    }
}
