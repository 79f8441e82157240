//! The socket of a recording: one line of JSON asks, one answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tickscope_core::Depth;

use super::control::Control;
use super::snapshot::Snapshot;
use crate::record::place;

/// What it is called in the recording's folder.
const NAME: &str = "control";
/// A question is no longer than this; an answer may be.
const LONGEST_QUESTION: u64 = 4 << 10;
/// Who is silent so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    Snapshot,
    Depth { depth: String, for_ms: Option<u64> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Snapshot(Box<Snapshot>),
    Done,
    Refused(String),
}

/// Answers questions about `control` as long as this process runs.
pub(crate) fn listen(folder: &Path, control: Control) -> Result<()> {
    let path = folder.join(NAME);
    // What a recorder that died left here answers nobody.
    let _ = std::fs::remove_file(&path);
    let listener =
        UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            for client in listener.incoming().flatten() {
                let control = control.clone();
                // A client that asks nothing must not keep others waiting.
                let thread = std::thread::Builder::new().name("control".into());
                let _ = thread.spawn(move || serve(&client, &control));
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// Until the client has no more questions. Errors end the conversation and nothing else.
fn serve(client: &UnixStream, control: &Control) -> Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(client);
    loop {
        let mut line = String::new();
        if reader.by_ref().take(LONGEST_QUESTION).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut answer = serde_json::to_vec(&answer(&line, control))?;
        answer.push(b'\n');
        (&mut &*client).write_all(&answer)?;
    }
}

fn answer(line: &str, control: &Control) -> Answer {
    match serde_json::from_str(line) {
        Ok(Question::Snapshot) => Answer::Snapshot(Box::new(control.snapshot())),
        Ok(Question::Depth { depth, for_ms }) => match Depth::from_name(&depth) {
            Some(depth) => {
                control.choose(depth, for_ms.map(Duration::from_millis));
                Answer::Done
            }
            None => Answer::Refused(format!("there is no depth {depth}")),
        },
        Err(error) => Answer::Refused(format!("not understood: {error}")),
    }
}

/// A conversation with a recording.
#[derive(Debug)]
pub(crate) struct Client {
    reader: BufReader<UnixStream>,
}

impl Client {
    /// The recording of process `pid`: the `tickscope` that records, or a program that is recorded. Without, the only one
    /// there is.
    pub(crate) fn find(pid: Option<u32>) -> Result<Self> {
        let mut found = recordings();
        if let Some(pid) = pid {
            found.retain(|(owner, folder)| *owner == pid || place::has_session_of(folder, pid));
        }
        match (&found[..], pid) {
            ([(_, folder)], _) => Self::connect(folder),
            ([], None) => {
                bail!("nothing is being recorded by this user; start with: tickscope record -- PROGRAM")
            }
            ([], Some(pid)) => bail!("process {pid} is not being recorded by this user"),
            (several, _) => {
                let pids: Vec<_> = several.iter().map(|(pid, _)| pid.to_string()).collect();
                bail!("several recordings go on; choose one with --pid: {}", pids.join(", "))
            }
        }
    }

    fn connect(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let stream = UnixStream::connect(&path)
            .with_context(|| format!("the recording does not answer on {}", path.display()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    fn ask(&mut self, question: &Question) -> Result<Answer> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.reader.get_mut().write_all(&line).context("the recording has ended")?;
        let mut line = String::new();
        self.reader.read_line(&mut line).context("the recording does not answer")?;
        if line.is_empty() {
            bail!("the recording has ended");
        }
        serde_json::from_str(&line).context("the recording speaks another version of tickscope")
    }

    /// How it goes.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot> {
        match self.ask(&Question::Snapshot)? {
            Answer::Snapshot(snapshot) => Ok(*snapshot),
            other => bail!("asked how it goes, the recording says {other:?}"),
        }
    }

    /// Records at another depth, for a while or for good.
    pub(crate) fn choose_depth(&mut self, depth: Depth, for_: Option<Duration>) -> Result<()> {
        let for_ms = for_.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        match self.ask(&Question::Depth { depth: depth.name().to_owned(), for_ms })? {
            Answer::Done => Ok(()),
            Answer::Refused(why) => bail!("{why}"),
            Answer::Snapshot(_) => bail!("asked for another depth, the recording says how it goes"),
        }
    }
}

/// Recordings of this user that can be talked to: the process that records, and its folder.
fn recordings() -> Vec<(u32, PathBuf)> {
    let mut found: Vec<_> = place::folders()
        .into_iter()
        .filter(|folder| UnixStream::connect(folder.path.join(NAME)).is_ok())
        .filter_map(|folder| Some((folder.collector()?, folder.path)))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_cross_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::new("game".into(), Depth::Sample);
        listen(folder.path(), control.clone()).unwrap();
        let mut client = Client::connect(folder.path()).unwrap();
        assert_eq!(client.snapshot().unwrap().subject, "game");
        client.choose_depth(Depth::Trace, None).unwrap();
        assert_eq!(client.snapshot().unwrap().depth, "trace");
        let Answer::Refused(why) = answer("{\"depth\":{\"depth\":\"deep\"}}\n", &control) else { panic!() };
        assert_eq!(why, "there is no depth deep");
        // Nonsense is answered, and the next question too.
        for nonsense in ["", "{}", "[1", "\u{0}"] {
            client.reader.get_mut().write_all(format!("{nonsense}\n").as_bytes()).unwrap();
            let mut line = String::new();
            client.reader.read_line(&mut line).unwrap();
            assert!(line.contains("not understood"), "{nonsense}: {line}");
        }
        client.snapshot().unwrap();
    }
}
