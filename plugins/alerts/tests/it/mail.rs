//! Mail, taken by a real server: `aiosmtpd`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::{Played, hitch, play_until};

struct MailServer {
    process: Child,
    port: String,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl MailServer {
    fn start() -> Option<Self> {
        let mut command = Command::new(tickscope_trial::python("aiosmtpd.smtp")?);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/smtp.py"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap();
        assert!(port.parse::<u16>().is_ok(), "it says no port: {port:?}");
        let mails = Arc::<Mutex<Vec<Value>>>::default();
        let keep = Arc::clone(&mails);
        let read = move || {
            for line in lines.map_while(Result::ok) {
                keep.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        };
        // It ends with the process.
        std::thread::spawn(read);
        Some(Self { process, port, mails })
    }

    /// The mails it got.
    fn mails(&self) -> Vec<Value> {
        self.mails.lock().unwrap().clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn mailed(server: &MailServer, to: &str, more: &Value) -> Played {
    let grey = to.starts_with("grey");
    let mut channel = json!({
        "kind": "email", "server": format!("127.0.0.1:{}", server.port), "security": "none",
        "from": "Tickscope <tickscope@example.com>", "to": [to],
    });
    channel.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let rules = json!([{"name": "löng", "measure": "tick_ms", "above": 70, "clear_s": 2}]);
    let options = json!({"rules": rules, "channels": [channel], "server": "city\r\nBcc: all@example.com"});
    // What becomes of the first mail is seen; the second needs no time then.
    let before = server.mails().len();
    let failed = |said: &[String]| said.iter().any(|line| line.contains("email does not work"));
    play_until(&hitch(), &options, |said| server.mails().len() == before + 2 || !grey && failed(said))
}

#[test]
fn mail_is_sent() {
    let Some(server) = MailServer::start() else { return };
    let played = mailed(
        &server,
        "Somebody <you@example.com>",
        &json!({"user": "city", "password": "env:CARGO_PKG_NAME"}),
    );
    assert_eq!((played.health.written, played.health.lost, &*played.health.message), (2, 0, ""));
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    let mail = &mails[0];
    assert_eq!((&mail["from"], &mail["to"]), (&json!("tickscope@example.com"), &json!(["you@example.com"])));
    assert_eq!(mail["login"]["name"], "city");
    let text = mail["text"].as_str().unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    for line in ["From: Tickscope <tickscope@example.com>", "To: Somebody <you@example.com>"] {
        assert!(head.lines().any(|found| found == line), "no {line} in {head}");
    }
    // A name is no header.
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert!(head.contains("Subject: ") && head.contains("\r\nDate: "), "{head}");
}

#[test]
fn a_server_that_asks_for_time_gets_it_and_one_that_refuses_is_believed() {
    let Some(server) = MailServer::start() else { return };
    let played = mailed(&server, "no@example.com", &json!({}));
    assert_eq!((played.health.written, played.health.lost), (0, 2));
    let message = &played.health.message;
    assert!(message.contains("550") && !message.contains("no@example.com"), "{message}");
    let place = format!("email: 2 lost: 127.0.0.1:{}: ", server.port);
    assert!(message.starts_with(&place) && message.contains("Nobody is called so"), "{message}");

    let played = mailed(&server, "you@example.com", &json!({"user": "city", "password": "secret"}));
    assert_eq!((played.health.written, played.health.lost), (0, 2));
    assert!(!played.health.message.contains("secret"), "{}", played.health.message);

    // It does not offer to encrypt.
    let played = mailed(&server, "you@example.com", &json!({"security": "starttls"}));
    assert_eq!((played.health.written, played.health.lost), (0, 2), "{}", played.health.message);

    // The first of two mails has to come again.
    let played = mailed(&server, "grey@example.com", &json!({}));
    assert_eq!((played.health.written, played.health.lost), (2, 0), "{}", played.health.message);
    assert_eq!(server.mails().len(), 2);
}
