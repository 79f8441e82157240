//! Mail, taken by a real server: `aiosmtpd`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::{Played, hitch, play};

struct MailServer {
    process: Child,
    lines: BufReader<ChildStdout>,
    port: String,
}

impl MailServer {
    fn start() -> Option<Self> {
        let mut command = Command::new(tickscope_trial::python("aiosmtpd.smtp")?);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/smtp.py"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        assert!(port.trim().parse::<u16>().is_ok(), "it says no port: {port:?}");
        Some(Self { process, lines, port: port.trim().to_owned() })
    }

    /// Ends it; the mails it got.
    fn end(mut self) -> Vec<Value> {
        drop(self.process.stdin.take());
        let mails =
            self.lines.by_ref().lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        self.process.wait().unwrap();
        mails
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn mailed(server: &MailServer, to: &str, more: &Value) -> Played {
    let mut channel = json!({
        "kind": "email", "server": format!("127.0.0.1:{}", server.port), "security": "none",
        "from": "Tickscope <tickscope@example.com>", "to": [to],
    });
    channel.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let rules = json!([{"name": "löng", "measure": "tick_ms", "above": 70, "clear_s": 2}]);
    play(&hitch(), &json!({"rules": rules, "channels": [channel], "server": "city\r\nBcc: all@example.com"}))
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
    let mails = server.end();
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
    assert_eq!(server.end().len(), 2);
}
