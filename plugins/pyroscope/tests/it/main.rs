//! The plugin as hosts load it, and servers that it posts to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tickscope_core::{RecordingSink, Sink, conformance};
use tickscope_plugin::{Chosen, Level, Log, Outcome, Plugin, Sinks};

/// For anything to happen that a test waits for.
const LIMIT: Duration = Duration::from_secs(30);

/// The library that cargo made of this package beside the tests.
fn library() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.with_file_name("libtickscope_pyroscope.so")
}

fn chosen(options: &str) -> Chosen {
    let plugin = Arc::new(Plugin::load(&library()).unwrap());
    let options = plugin.schema.read("pyroscope", options).unwrap();
    Chosen { name: plugin.name.clone(), plugin, options }
}

/// What sinks say.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    fn log(&self) -> Log {
        let said = self.0.clone();
        Arc::new(move |name: &str, level: Level, line: &str| {
            said.lock().unwrap().push(format!("{name}: {level:?}: {line}"));
        })
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A request that was taken.
#[derive(Debug)]
struct Asked {
    /// Method and target.
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// Takes posts and answers each with `status`.
struct Server {
    address: String,
    asked: Receiver<Asked>,
}

impl Server {
    fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (send, asked) = channel();
        // Ends with the process: it waits for a connection that does not come.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let send = send.clone();
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(asked) = request(&mut reader) {
                        if send.send(asked).is_err() {
                            return;
                        }
                        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                        (&stream).write_all(answer.as_bytes()).unwrap();
                    }
                });
            }
        });
        Self { address, asked }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let (mut headers, mut length) = (Vec::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_owned();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse().unwrap();
        }
        headers.push(header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line: line.trim_end().to_owned(), headers, body })
}

/// Records the example of the conformance suite `times` times, each 20 s after the one before, and what was posted then.
fn posted(options: &str, times: u64) -> (Vec<Asked>, Outcome, RecordingSink) {
    let server = Server::start("200 OK");
    let said = Said::default();
    let options = format!("{{\"url\": \"http://{}\"{options}}}", server.address);
    let mut sinks = Sinks::new(vec![chosen(&options)], said.log());
    let mut example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    let mut all = RecordingSink { metadata: example.metadata.clone(), ..RecordingSink::default() };
    for _ in 0..times {
        sinks.batch(&example.as_batch()).unwrap();
        all.batch(&example.as_batch()).unwrap();
        for sample in &mut example.samples {
            sample.time_ns += 20_000_000_000;
            if let tickscope_core::Event::End(end) = &mut sample.event {
                end.begin_ns += 20_000_000_000;
            }
        }
    }
    sinks.finish().unwrap();
    assert_eq!(said.lines(), Vec::<String>::new());
    let outcome = sinks.outcomes()[0].clone();
    (server.asked.try_iter().collect(), outcome, all)
}
