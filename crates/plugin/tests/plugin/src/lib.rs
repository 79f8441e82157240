//! A sink that writes down what it gets, or behaves as badly as its option `do` says.

mod work;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tickscope_abi::{
    ArgValue, Batch, Error, Event, Flow, Health, Host, Metadata, Sample, Sink, export_sink, link_kind_name,
    outcome_name,
};

/// Sinks that were opened in this process.
static OPENED: AtomicU32 = AtomicU32::new(0);

struct Odd {
    behaviour: String,
    file: Option<String>,
    host: Host,
    text: String,
    samples: u64,
    missed: u64,
    work: work::Work,
}

/// A value of the options, which the host has checked: no need for a parser of JSON.
fn option<'a>(options: &'a str, name: &str) -> Option<&'a str> {
    let rest = options.split_once(&format!("\"{name}\":\""))?.1;
    Some(rest.split_once('"')?.0)
}

impl Odd {
    fn may(&mut self, call: &str) -> Result<(), Error> {
        match self.behaviour.split_once(' ') {
            Some(("panic", place)) if place == call => panic!("{place} is more than it can bear"),
            Some(("fail", place)) if place == call => {
                Err(Error::new(format!("{place} is not\nto its taste")))
            }
            Some(("hang", place)) if place == call => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            Some(("wait", file)) if call == "batch" => {
                while !std::path::Path::new(file).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            }
            // Ends when another was opened, and says that it waits for that.
            Some(("meet", file)) if call == "finish" => {
                std::fs::write(file, "")?;
                while OPENED.load(Ordering::Acquire) < 2 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            }
            Some((crime, place)) if place == call => {
                self.commit(crime);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What only a process of its own survives; none of the words above.
    fn commit(&self, crime: &str) {
        match crime {
            "abort" => std::process::abort(),
            "exit" => std::process::exit(0),
            "spin" => loop {
                std::hint::spin_loop();
            },
            // SAFETY: none. Nothing is there.
            "segfault" => unsafe { std::ptr::without_provenance_mut::<u64>(64).write_volatile(1) },
            "memory" => {
                std::hint::black_box(vec![1_u8; 2 << 30]);
            }
            // Whatever is open, as somebody who has lost count of what is.
            "garble" => {
                for file in 3..16 {
                    // SAFETY: none. They are not its own.
                    let file = unsafe { <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(file) };
                    let _ = std::io::Write::write_all(&mut &file, &[0xff; 64]);
                    std::mem::forget(file);
                }
            }
            "shut" => {
                let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
                let socket = |entry: &std::fs::DirEntry| {
                    std::fs::read_link(entry.path()).is_ok_and(|file| file.to_string_lossy().starts_with("socket:"))
                };
                let sockets: Vec<i32> = open
                    .filter(socket)
                    .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                    .filter(|file| *file > 2)
                    .collect();
                for file in sockets {
                    // SAFETY: none, as above.
                    drop(unsafe { <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(file) });
                }
                loop {
                    std::thread::sleep(Duration::from_secs(3600));
                }
            }
            "look" => {
                let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
                let mut open: Vec<_> = open
                    .filter_map(|entry| std::fs::read_link(entry.path()).ok())
                    .map(|file| file.display().to_string())
                    .filter(|file| !file.starts_with("/proc/"))
                    .collect();
                open.sort();
                self.host.info(&format!("open: {}", open.join(" ")));
                println!("printed, which is no frame");
            }
            _ => {}
        }
    }

    /// Writes to what it was lent.
    fn scribble(batch: &Batch<'_>) {
        let samples = batch.raw_samples();
        // SAFETY: none. They are lent to be read.
        unsafe { samples.as_ptr().cast_mut().cast::<u8>().write_bytes(0xff, size_of_val(samples)) };
    }

    fn note(&mut self, batch: &Batch<'_>, sample: &Sample<'_>) -> std::fmt::Result {
        let names = batch.names();
        let out = &mut self.text;
        let track = names.track(sample.track);
        write!(out, "{} {} {} {:?}", sample.time_ns, sample.ring, track.kind_name(), track.name)?;
        let symbol = |out: &mut String, id| {
            let symbol = names.symbol(id);
            let (runtime, line) = (symbol.runtime_name(), symbol.line);
            write!(out, " {runtime} {:?} {:?} {:?} {line}", symbol.resource, symbol.name, symbol.file)
        };
        let args = match sample.event {
            Event::Begin(begin) => {
                let category = &names.category(begin.category).name;
                write!(out, " begin {} {} {category}", begin.span, begin.parent)?;
                symbol(out, begin.symbol)?;
                if begin.link != 0 {
                    write!(out, " {} {}", link_kind_name(begin.link_kind), begin.link)?;
                }
                begin.args
            }
            Event::End(end) => {
                let outcome = outcome_name(end.outcome);
                write!(out, " end {} {} {outcome} {}", end.span, end.begin_ns, end.bytes)?;
                symbol(out, end.symbol)?;
                end.args
            }
            Event::Instant(instant) => {
                write!(out, " instant {} {}", names.category(instant.category).name, instant.scope)?;
                symbol(out, instant.symbol)?;
                instant.args
            }
            Event::Counter { symbol: id, value } => {
                write!(out, " counter {value:?}")?;
                symbol(out, id)?;
                Default::default()
            }
            Event::Stack(stack) => {
                write!(out, " stack {} {}", stack.time_ns, stack.bytes)?;
                for frame in names.frames(stack.stack) {
                    write!(out, " {}:{}", names.symbol(frame.symbol).name, frame.line)?;
                }
                Default::default()
            }
            Event::Resume(switch) => {
                write!(out, " resume {}", switch.host)?;
                Default::default()
            }
            Event::Suspend(switch) => {
                write!(out, " suspend {} {}", switch.host, switch.reason)?;
                Default::default()
            }
            Event::LinkPoint(point) => {
                write!(out, " point {} {}", point.id, point.span)?;
                Default::default()
            }
            Event::Gap(events) => {
                write!(out, " gap {events}")?;
                Default::default()
            }
            Event::Account(account) => {
                write!(out, " account {} {} {}", account.attempted, account.committed, account.delivered)?;
                write!(out, " {} {} {}", account.overwritten, account.discarded, account.dropped)?;
                Default::default()
            }
            other => {
                write!(out, " {other:?}")?;
                Default::default()
            }
        };
        for (key, value) in batch.args(args) {
            match value {
                ArgValue::Text(text) => write!(out, " {key}={text:?}")?,
                other => write!(out, " {key}={other:?}")?,
            }
        }
        writeln!(out)
    }
}

impl Sink for Odd {
    const NAME: &'static str = "odd";
    const ABOUT: &'static str = "Writes down what it gets, or misbehaves.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "x-short": "do",
        "properties": {
            "do": { "type": "string", "default": "", "description": "How to misbehave, and in which call." },
            "file": { "type": "string", "description": "Where to write what came." },
            "limit": { "type": "integer", "minimum": 1 }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        OPENED.fetch_add(1, Ordering::Release);
        let behaviour = option(options, "do").unwrap_or_default().to_owned();
        let file = option(options, "file").map(str::to_owned);
        let work = work::Work::default();
        let mut sink = Self { behaviour, file, host, text: String::new(), samples: 0, missed: 0, work };
        sink.may("open")?;
        if sink.behaviour == "chat" {
            (0..1_000).for_each(|line| host.info(&format!("line {line} \x1b[31m\n of many")));
        }
        let facts: Vec<_> = metadata.facts().map(|(name, value)| format!(" {name}={value}")).collect();
        sink.text = format!("{:?} {}{}\n", metadata.subject(), metadata.pid(), facts.concat());
        Ok(sink)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        self.missed += batch.missed();
        if batch.raw_samples().is_empty() {
            return Ok(Flow::Continue);
        }
        self.may("batch")?;
        if self.behaviour == "scribble" {
            Self::scribble(batch);
        }
        self.samples += batch.raw_samples().len() as u64;
        if self.file.is_some() {
            for sample in batch.samples() {
                self.note(batch, &sample)?;
            }
        } else {
            self.work.take(batch);
        }
        Ok(if self.behaviour == "stop" { Flow::Stop } else { Flow::Continue })
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, Error> {
        self.may("tick")?;
        if self.file.is_some() {
            writeln!(self.text, "tick {end_ns}")?;
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        self.may("flush")
    }

    fn finish(&mut self, _within: Duration) -> Result<(), Error> {
        self.may("finish")?;
        if let Some(file) = &self.file {
            let text = format!("{}missed {}\n", self.text, self.missed);
            std::fs::write(file, text)?;
        }
        self.host.info(&format!("took {} samples, missed {}", self.samples, self.missed));
        Ok(())
    }

    fn health(&self) -> Health {
        assert!(self.behaviour != "panic health", "health is more than it can bear");
        let message = format!("{} samples are written down", self.samples);
        Health { message, written: self.samples, ..Health::default() }
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        let _ = self.may("close");
    }
}

export_sink!(Odd);
