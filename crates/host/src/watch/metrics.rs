//! What is known, for Prometheus to scrape.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tickscope_watch::{Summary, Watch};

use crate::present::tell;

/// Resources that are told apart; the rest are one.
const RESOURCES: usize = 100;
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Answers on `address` from now on.
pub(super) fn serve(address: SocketAddr, watch: Arc<Mutex<Watch>>) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr().unwrap_or(address);
    tell!("tickscope: metrics at http://{address}/metrics");
    thread::Builder::new()
        .name("metrics".into())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                let summary = watch.lock().unwrap_or_else(PoisonError::into_inner).summary();
                // Who asks badly or goes away gets nothing.
                let _ = answer(stream, &text(&summary));
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}

fn answer(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TIME_LIMIT))?;
    stream.set_write_timeout(Some(TIME_LIMIT))?;
    let mut request = [0; 4 << 10];
    let mut length = 0;
    while !request[..length].windows(4).any(|end| end == b"\r\n\r\n") && length < request.len() {
        match stream.read(&mut request[length..])? {
            0 => return Ok(()),
            read => length += read,
        }
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    )
}

/// The text format of Prometheus.
fn text(summary: &Summary) -> String {
    let mut out = String::new();
    let mut metric = |name: &str, help: &str, values: &[(&str, &str, f64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
        for (label, value, number) in values {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
            let _ = match *label {
                "" => writeln!(out, "{name} {number}"),
                label => writeln!(out, "{name}{{{label}=\"{value}\"}} {number}"),
            };
        }
    };
    let by_thread = |of: fn(&tickscope_watch::Hitches) -> f64| -> Vec<(&str, &str, f64)> {
        summary.hitches.iter().map(|hitches| ("thread", hitches.thread.as_str(), of(hitches))).collect()
    };
    metric("fxserver_hitches_total", "Hitch warnings in the console.", &by_thread(|of| of.count as f64));
    metric(
        "fxserver_hitch_seconds_total",
        "Time of all ticks that were warned of.",
        &by_thread(|of| of.sum_ms as f64 / 1e3),
    );
    let (told, rest) = summary.errors.split_at(summary.errors.len().min(RESOURCES));
    let mut errors: Vec<(&str, &str, f64)> =
        told.iter().map(|(resource, count)| ("resource", resource.as_str(), *count as f64)).collect();
    if !rest.is_empty() {
        errors.push(("resource", "others", rest.iter().map(|(_, count)| *count as f64).sum()));
    }
    metric("fxserver_script_errors_total", "Script errors in the console.", &errors);
    metric("fxserver_hung_total", "Threads that the watchdog found hung.", &[("", "", summary.hung as f64)]);
    out
}
