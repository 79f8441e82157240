//! What `tickscope record` tells the agent, in one variable of the environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tickscope_core::Depth;

/// The variable. Children inherit it, and with it that they are recorded.
pub(crate) const VARIABLE: &str = "TICKSCOPE_AGENT";

/// How to record, and where: `depth=sample,hz=1000,in=/dev/shm/tickscope-4711`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) depth: Depth,
    /// Samples a second.
    pub(crate) hz: u32,
    /// Whether what scripts wait for is recorded too.
    pub(crate) io: bool,
    /// The folder for sessions and notes.
    pub(crate) folder: PathBuf,
}

impl Settings {
    /// The process that collects: its folder is called after it.
    pub(crate) fn collector(&self) -> Option<u32> {
        self.folder.file_name()?.to_str()?.rsplit('-').next()?.parse().ok()
    }

    /// `None` when the text is not what `tickscope record` writes: a program must not suffer from a variable that
    /// somebody else set.
    pub(crate) fn parse(text: &OsStr) -> Option<Self> {
        let text = text.as_bytes();
        // The folder comes last and may contain anything.
        let at = text.windows(4).position(|window| window == b",in=")?;
        let folder = PathBuf::from(OsStr::from_bytes(&text[at + 4..]));
        let (mut depth, mut hz, mut io) = (Depth::default(), 1_000, false);
        for setting in std::str::from_utf8(&text[..at]).ok()?.split(',') {
            match setting.split_once('=')? {
                ("depth", name) => depth = Depth::from_name(name)?,
                ("hz", number) => hz = number.parse().ok().filter(|hz| (1..=10_000).contains(hz))?,
                ("io", switch) => io = switch == "1",
                // Of a later version: not for this one.
                _ => {}
            }
        }
        folder.is_absolute().then_some(Self { depth, hz, io, folder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_record_writes_is_understood_and_nothing_else() {
        let parse = |text: &str| Settings::parse(OsStr::new(text));
        let settings = parse("depth=trace,hz=97,io=1,in=/dev/shm/a,b=c").unwrap();
        assert_eq!((settings.depth, settings.hz, settings.io), (Depth::Trace, 97, true));
        assert_eq!(settings.folder, PathBuf::from("/dev/shm/a,b=c"));
        assert!(parse("depth=sample,later=1,in=/x").is_some());
        for wrong in
            ["", "on", "depth=sample", "depth=deep,in=/x", "hz=0,in=/x", "hz=many,in=/x", "hz=9,in=x"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
