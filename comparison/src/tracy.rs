//! A server for Tracy's client: it shakes hands, then takes and throws away what comes.
//!
//! Without one the client keeps everything in memory, or, on demand, records nothing; with one it is measured as it is
//! used. The handshake is that of `TracyProtocol.hpp` in tracy-client-sys 0.30.1.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SHIBBOLETH: &[u8; 8] = b"TracyPrf";
const PROTOCOL: u32 = 82;
const WELCOME: u8 = 1;

/// A connection to this process's own client.
pub struct TracyServer {
    received: Arc<AtomicU64>,
}

impl TracyServer {
    /// Connects to the client, which listens already or will soon, at the port it looks at first.
    ///
    /// # Errors
    /// When nobody answers, or answers otherwise than this client version does.
    pub fn connect() -> Result<Self, String> {
        let end = Instant::now() + Duration::from_secs(10);
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", 8086)) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > end => return Err(format!("cannot connect: {error}")),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.write_all(SHIBBOLETH).map_err(|error| error.to_string())?;
        stream.write_all(&PROTOCOL.to_le_bytes()).map_err(|error| error.to_string())?;
        let mut answer = [0];
        stream.read_exact(&mut answer).map_err(|error| error.to_string())?;
        if answer[0] != WELCOME {
            return Err(format!("the client answers {} to the handshake", answer[0]));
        }
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 20];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                count.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
        Ok(Self { received })
    }

    /// Bytes taken so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}
