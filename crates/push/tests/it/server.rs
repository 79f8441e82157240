//! A server that does to each request what a test says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::LIMIT;

/// What becomes of one request.
pub enum Act {
    /// These bytes, and the connection is closed.
    Answer(&'static str),
    /// The connection is closed.
    Close,
    /// Nothing, until the client goes or the test ends.
    Hang,
    /// Answered when the other end says so, or is dropped.
    Hold(Receiver<()>),
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub head: String,
    pub body: Vec<u8>,
}

pub struct Server {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let over = Arc::<AtomicBool>::default();
        let (seen, end) = (Arc::clone(&asked), Arc::clone(&over));
        let serve = move || {
            let mut acts = acts.into_iter();
            for stream in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let Some(act) = acts.next() else { continue };
                serve(stream.unwrap(), act, &seen, &end);
            }
        };
        let thread = Some(std::thread::spawn(serve));
        Self { address, asked, over, thread }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// What came so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, act: Act, seen: &Mutex<Vec<Asked>>, over: &AtomicBool) {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).unwrap_or(0);
        bytes.extend_from_slice(&piece[..read]);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let whole = end.is_some_and(|end| {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            bytes.len() >= end + 4 + length
        });
        if let (true, Some(end)) = (whole, end) {
            let head = String::from_utf8_lossy(&bytes[..end + 4]).into_owned();
            seen.lock().unwrap().push(Asked { head, body: bytes[end + 4..].to_vec() });
            break;
        }
        // Not HTTP, or it was cut off: the act is all there is to do.
        if read == 0 || bytes.first().is_some_and(|first| *first == 0x16) {
            break;
        }
    }
    match act {
        Act::Answer(answer) => {
            let _ = stream.write_all(answer.as_bytes()); // they may have gone
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        Act::Close => {}
        Act::Hang => {
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let gone = |read: std::io::Result<usize>| read.is_ok_and(|read| read == 0);
            while !gone(stream.read(&mut piece)) && !over.load(Ordering::Relaxed) {}
        }
        Act::Hold(held) => {
            let _ = held.recv_timeout(LIMIT);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes it.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
