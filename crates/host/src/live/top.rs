//! `tickscope top`: a live table of a recording that goes on, or of a program that it starts.

use std::ffi::OsString;
use std::fs::File;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use rustix::process::{Pid, Signal, kill_process};
use tickscope_core::Depth;

use super::screen::Screen;
use super::socket::Client;
use crate::cli::{self, SortArg};
use crate::present::tell;

/// How long a program may take to begin to be recorded.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &cli::Top) -> Result<ExitCode> {
    let mut started = match options.program.is_empty() {
        true => None,
        false => Some(Started::new(options)?),
    };
    let recording = match &mut started {
        None => Client::find(options.pid)?,
        Some(started) => match started.client()? {
            Some(client) => client,
            // It is over already, and has said why.
            None => return started.end(),
        },
    };
    let mut screen = Screen::new(options.sort, options.resources);
    let shown = match options.batch {
        Some(times) => print(recording, &mut screen, options, times),
        None => show(recording, &mut screen, options.every),
    };
    let code = started.map_or(Ok(ExitCode::SUCCESS), |mut started| started.end());
    shown?;
    code
}

/// Tables as words, one after the other.
fn print(mut recording: Client, screen: &mut Screen, options: &cli::Top, times: u32) -> Result<()> {
    for _ in 0..times {
        std::thread::sleep(options.every);
        // The recording is over: nothing more will come.
        let Ok(snapshot) = recording.snapshot() else { break };
        screen.take(snapshot);
        let mut out = std::io::stdout().lock();
        std::io::Write::write_all(&mut out, format!("{}\n", screen.text(options.rows)).as_bytes())?;
    }
    Ok(())
}

/// Until `q` is pressed or the recording ends.
fn show(mut recording: Client, screen: &mut Screen, every: Duration) -> Result<()> {
    if !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        bail!("top draws on a terminal, and standard output is none: use --batch 1");
    }
    let mut terminal = ratatui::try_init().context("cannot use this terminal")?;
    let shown = (|| {
        loop {
            screen.take(recording.snapshot()?);
            let next = Instant::now() + every;
            loop {
                terminal.draw(|frame| screen.draw(frame))?;
                let left = next.saturating_duration_since(Instant::now());
                if left.is_zero() || !event::poll(left)? {
                    break;
                }
                if !pressed(&event::read()?, screen, &mut recording)? {
                    return Ok(());
                }
            }
        }
    })();
    ratatui::restore();
    shown
}

/// Whether to go on.
fn pressed(event: &Event, screen: &mut Screen, recording: &mut Client) -> Result<bool> {
    let Event::Key(key) = event else { return Ok(true) };
    if key.kind == KeyEventKind::Release {
        return Ok(true);
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(false),
        KeyCode::Char('q') | KeyCode::Esc => return Ok(false),
        KeyCode::Char('s') => screen.sort = SortArg::SelfTime,
        KeyCode::Char('t') => screen.sort = SortArg::Total,
        KeyCode::Char('c') => screen.sort = SortArg::Calls,
        KeyCode::Char('m') => screen.sort = SortArg::Memory,
        KeyCode::Char('g') => screen.sort = SortArg::Gc,
        KeyCode::Char('r') => screen.by_resource = !screen.by_resource,
        KeyCode::Char('a') => screen.whole = !screen.whole,
        KeyCode::Char('p') => screen.paused = !screen.paused,
        KeyCode::Char('d') => {
            let depth = match recording.snapshot()?.depth.as_str() {
                "boundary" => Depth::Sample,
                "sample" => Depth::Trace,
                _ => Depth::Boundary,
            };
            recording.choose_depth(depth, None)?;
        }
        KeyCode::Down => screen.scroll(1),
        KeyCode::Up => screen.scroll(-1),
        KeyCode::PageDown => screen.scroll(20),
        KeyCode::PageUp => screen.scroll(-20),
        _ => {}
    }
    Ok(true)
}

/// A `tickscope record` of our own, behind the table.
struct Started {
    record: Child,
}

impl Started {
    fn new(options: &cli::Top) -> Result<Self> {
        let this = std::env::current_exe().context("cannot find this program's own file")?;
        // Sinks that are always on are for recordings that somebody asks for.
        let mut words: Vec<OsString> = vec!["record".into(), "--no-config".into(), "--depth".into()];
        words.push(Depth::from(options.depth).name().into());
        words.push("-o".into());
        match &options.output {
            Some(capture) => words.push(capture.into()),
            // Nothing is kept, and no second file is begun.
            None => words.extend(["/dev/null".into(), "--max-size".into(), "1000000GiB".into()]),
        }
        words.push("--".into());
        words.extend(options.program.iter().cloned());
        let said = || -> Result<Stdio> {
            Ok(match &options.program_output {
                Some(path) => {
                    let file = File::options().create(true).append(true).open(path);
                    file.with_context(|| format!("cannot write {}", path.display()))?.into()
                }
                None => Stdio::null(),
            })
        };
        let record = Command::new(this)
            .args(words)
            .stdin(Stdio::null())
            .stdout(said()?)
            .stderr(if options.program_output.is_some() { said()? } else { Stdio::null() })
            .spawn()
            .context("cannot start recording")?;
        Ok(Self { record })
    }

    /// `None` when the program has ended before it could be asked.
    fn client(&mut self) -> Result<Option<Client>> {
        let begun = Instant::now();
        loop {
            match Client::find(Some(self.record.id())) {
                Ok(client) => return Ok(Some(client)),
                Err(error) if begun.elapsed() > STARTS_WITHIN => return Err(error),
                Err(_) if self.record.try_wait()?.is_some() => return Ok(None),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Ends the program as `kill` would, and answers with its code.
    fn end(&mut self) -> Result<ExitCode> {
        let ended = self.record.try_wait()?;
        if ended.is_none()
            && let Some(pid) = i32::try_from(self.record.id()).ok().and_then(Pid::from_raw)
        {
            // It may have ended just now. `record` passes the signal on.
            let _ = kill_process(pid, Signal::TERM);
        }
        let status = self.record.wait()?;
        Ok(match (ended.is_some(), status.code()) {
            // We ended it.
            (false, _) => ExitCode::SUCCESS,
            (true, code) => {
                let code = code.unwrap_or(1) as u8;
                if code != 0 {
                    tell!(
                        "tickscope: the program ended with code {code}; --program-output FILE keeps what it said"
                    );
                }
                ExitCode::from(code)
            }
        })
    }
}
