//! Mail, from a thread of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};
use tickscope_abi::Error;
use tickscope_push::Report;

/// Mails that wait.
const QUEUE: usize = 64;
/// How often one is tried, and how long after the first time the second is; then twice as long.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The same at the end, where there is little time.
const END_WAIT: Duration = Duration::from_millis(200);
/// For each step of a conversation with the server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of what a server says that are shown.
const MAX_SAID: usize = 160;

/// How the connection is kept from others.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Encrypted from its begin: port 465.
    Tls,
    /// Encrypted once the server was asked to: port 587.
    Starttls,
    /// Not at all: port 25, for a server on this machine.
    None,
}

/// Where mail goes.
#[derive(Clone)]
pub struct Settings {
    /// The server, as `smtp.example.com` or `127.0.0.1:2525`.
    pub server: String,
    /// How it is talked to.
    pub security: Security,
    /// Name and password, where the server asks.
    pub login: Option<(String, String)>,
    /// Who sends.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
}

/// A mail to be sent.
pub struct Mail {
    /// One line.
    pub subject: String,
    /// All of it.
    pub body: String,
}

/// Sends mail.
pub struct Mailer {
    queue: Option<SyncSender<Mail>>,
    shared: Arc<Shared>,
    over: Receiver<()>,
}

#[derive(Default)]
struct Shared {
    report: Mutex<Report>,
    /// After which nothing is tried again.
    until: Mutex<Option<Instant>>,
}

impl Mailer {
    /// Checks addresses, and starts the thread. It connects when there is a mail.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        // They may come from the environment: no line shows them.
        let address = |name: &str, text: &str| {
            let parsed = text.parse::<Mailbox>();
            parsed.map_err(|error| {
                Error::new(format!("{name}: expected an address, as you@example.com: {error}"))
            })
        };
        let from = address("from", &settings.from)?;
        let to = settings.to.iter().map(|to| address("to", to)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(Error::new("to: expected somebody who gets the mail"));
        }
        let transport = transport(settings)?;
        let place = settings.server.clone();
        let (queue, mails) = sync_channel::<Mail>(QUEUE);
        let (end, over) = sync_channel::<()>(1);
        let shared = Arc::<Shared>::default();
        let sharing = Arc::clone(&shared);
        let work = move || {
            let _end = end; // dropped when all is sent
            for mail in mails {
                // What is not on its way by then is counted as lost.
                if sharing.until().is_some_and(|until| until <= Instant::now()) {
                    break;
                }
                let mut message = Message::builder().from(from.clone()).subject(mail.subject);
                for to in &to {
                    message = message.to(to.clone());
                }
                let outcome = message.body(mail.body).map_err(|error| error.to_string());
                let outcome = outcome.and_then(|message| sharing.send(&transport, &message, &place));
                sharing.note(outcome);
            }
        };
        thread::Builder::new().name("alerts-mail".into()).spawn(work)?;
        Ok(Self { queue: Some(queue), shared, over })
    }

    /// Queues a mail; whether there was room. Never waits.
    pub fn send(&self, mail: Mail) -> bool {
        // The thread may be done with it at once: it is counted before.
        let mut report = self.shared.report();
        let queued = self.queue.as_ref().is_some_and(|queue| match queue.try_send(mail) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        });
        if queued {
            report.waiting += 1;
        } else {
            report.lost += 1;
            report.error.get_or_insert_with(|| format!("no room for a mail more: {QUEUE} wait"));
        }
        queued
    }

    /// How it goes.
    pub fn report(&self) -> Report {
        self.shared.report().clone()
    }

    /// Sends what waits, for as long as `until` is ahead. What is not sent by then is lost.
    pub fn finish(mut self, until: Instant) -> Report {
        *self.shared.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.queue = None;
        let left = until.saturating_duration_since(Instant::now());
        let late = matches!(self.over.recv_timeout(left), Err(RecvTimeoutError::Timeout));
        let mut report = self.report();
        if late {
            report.error.get_or_insert_with(|| "there was no time left to send what waited".into());
        }
        report.lost += std::mem::take(&mut report.waiting) as u64;
        report
    }
}

impl Shared {
    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, outcome: Result<u64, String>) {
        let mut report = self.report();
        report.waiting = report.waiting.saturating_sub(1);
        report.failing = outcome.is_err();
        match outcome {
            Ok(bytes) => {
                report.sent += 1;
                report.bytes += bytes;
            }
            Err(why) => {
                report.lost += 1;
                report.error = Some(why);
            }
        }
    }

    /// Sends a message, and again where that failed for now.
    fn send(&self, transport: &SmtpTransport, message: &Message, place: &str) -> Result<u64, String> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let error = match transport.send(message) {
                Ok(_) => return Ok(message.formatted().len() as u64),
                Err(error) => error,
            };
            let why = format!("{place}: {}", reason(&error));
            let until = self.until();
            let over = Instant::now() + if until.is_some() { END_WAIT } else { wait };
            // An answer that begins with 5 stays what it is; so does a server that lacks what is needed.
            if error.is_permanent()
                || error.is_client()
                || error.is_tls()
                || attempt >= ATTEMPTS
                || until.is_some_and(|until| over > until)
            {
                return Err(why);
            }
            let mut report = self.report();
            report.retried += 1;
            report.failing = true;
            report.error = Some(why);
            drop(report);
            // In pieces, for the end may come meanwhile, and then it is tried at once.
            while Instant::now() < over && (until.is_some() || self.until().is_none()) {
                thread::sleep(Duration::from_millis(50));
            }
            wait *= 2;
        }
        Err(format!("{place}: it was not tried"))
    }
}

/// What the error says, its causes included, on one short line without addresses, which servers repeat.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !reason.contains(&more) {
            reason.push_str(": ");
            reason.push_str(&more);
        }
        cause = error.source();
    }
    let words = reason.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let shown = words.filter(|word| !word.is_empty()).map(|word| if word.contains('@') { "…" } else { word });
    let line = shown.collect::<Vec<_>>().join(" ");
    line[..line.floor_char_boundary(MAX_SAID)].to_owned()
}

/// Host and port. What is no server is not shown: it may have a password in it.
fn server(given: &str) -> Result<(&str, Option<u16>), Error> {
    let wrong =
        || Error::new("server: expected a host, perhaps with a port, as smtp.example.com or 127.0.0.1:2525");
    if given.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((given, None));
    }
    let (host, port) = match given.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (host, behind)
        }
        None => given.split_at(given.find(':').unwrap_or(given.len())),
    };
    let plain = |letter: char| letter.is_alphanumeric() || "-._:".contains(letter);
    if host.is_empty() || !host.chars().all(plain) {
        return Err(wrong());
    }
    match port.strip_prefix(':') {
        Some(port) => port.parse().map(|port| (host, Some(port))).map_err(|_| wrong()),
        None if port.is_empty() => Ok((host, None)),
        None => Err(wrong()),
    }
}

fn transport(settings: &Settings) -> Result<SmtpTransport, Error> {
    let (host, port) = server(&settings.server)?;
    let (tls, usual) = match settings.security {
        Security::Tls => (Tls::Wrapper(parameters(host)?), 465),
        Security::Starttls => (Tls::Required(parameters(host)?), 587),
        Security::None => (Tls::None, 25),
    };
    let mut builder =
        SmtpTransport::builder_dangerous(host).port(port.unwrap_or(usual)).tls(tls).timeout(Some(TIMEOUT));
    if let Some((user, password)) = &settings.login {
        if settings.security == Security::None && !matches!(host, "localhost" | "127.0.0.1" | "::1") {
            return Err(Error::new(
                "a password would go over the network unencrypted; set security to tls or starttls",
            ));
        }
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    Ok(builder.build())
}

fn parameters(host: &str) -> Result<TlsParameters, Error> {
    TlsParameters::new(host.to_owned()).map_err(|error| Error::new(format!("server: {}", reason(&error))))
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn a_server_is_a_host_and_a_port_and_nothing_secret() {
        for (given, host, port) in [
            ("smtp.example.com", "smtp.example.com", None),
            ("127.0.0.1:2525", "127.0.0.1", Some(2525)),
            ("::1", "::1", None),
            ("[::1]:25", "::1", Some(25)),
            ("почта.example", "почта.example", None),
        ] {
            assert_eq!(server(given).ok(), Some((host, port)), "{given}");
        }
        for given in [
            "",
            ":25",
            "h:",
            "user:secret",
            "smtp://user:secret@host",
            "user:secret@host:25",
            "host/secret",
            "host:25:secret",
            "[::1]secret",
            "[secret",
        ] {
            let error = server(given).expect_err(given).to_string();
            assert!(error.starts_with("server: expected a host") && !error.contains("secret"), "{error}");
        }
    }
}
