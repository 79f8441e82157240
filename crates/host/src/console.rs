//! The server's console: commands on standard input while it runs.

use std::io::{BufRead, IsTerminal};
use std::sync::mpsc::{Receiver, sync_channel};

/// Lines that wait for the server, which takes them between ticks; who types faster waits.
const WAITING: usize = 256;

/// Lines typed so far. There are none where standard input is closed, empty, or the terminal of another job.
pub(crate) struct Typed(Option<Receiver<String>>);

impl Typed {
    /// Reads standard input on a thread of its own, which ends with it.
    pub(crate) fn listen() -> Self {
        let stdin = std::io::stdin();
        // a job in the background that reads from its terminal is stopped by the system
        if stdin.is_terminal() && !in_foreground() {
            return Self(None);
        }
        let (sender, receiver) = sync_channel(WAITING);
        let read = move || {
            let mut line = Vec::new();
            loop {
                line.clear();
                match stdin.lock().read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) if sender.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() => return,
                    Ok(_) => {}
                }
            }
        };
        // without the thread nobody can type, and the run goes on
        let thread = std::thread::Builder::new().name("console".into()).spawn(read);
        Self(thread.ok().map(|_| receiver))
    }

    /// What was typed since the last time.
    pub(crate) fn take(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().flat_map(Receiver::try_iter).filter(|line| !line.is_empty())
    }
}

/// Whether this process belongs to the job its terminal listens to; yes where the system does not tell.
fn in_foreground() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // behind the name in brackets: state, parent, process group, session, terminal, its foreground group
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    match (fields.get(2), fields.get(5)) {
        (Some(group), Some(foreground)) => group == foreground,
        _ => true,
    }
}
