//! Real servers with Lua inside, from Debian, under `tickscope record`: they answer as without it, and their functions
//! are named.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::lua::{DEPTHS, conserved};
use super::{engine, folder, install, tickscope};
use crate::process;
use crate::tally::Tally;

/// A server and what is asked of it. `PORT` and `FOLDER` in its words are filled in.
struct Server {
    name: &'static str,
    program: &'static str,
    words: &'static [&'static str],
    files: &'static [(&'static str, &'static str)],
    /// What it answers, with what differs each time left out.
    ask: fn(u16) -> Result<Vec<u8>>,
    /// How many requests a second it answers, for the bench.
    load: fn(&Server, u16) -> Result<f64>,
    /// Functions of its scripts that a trace must name.
    named: &'static [&'static str],
    /// What it calls its scripts: resources that a trace must have.
    scripts: &'static [&'static str],
}

const SERVERS: &[Server] = &[
    Server {
        name: "redis-server (Lua 5.1, linked in)",
        program: "/usr/bin/redis-server",
        words: &["--port", "PORT", "--bind", "127.0.0.1", "--save", "", "--dir", "FOLDER"],
        files: &[],
        ask: ask_redis,
        load: load_redis,
        named: &["fib", "count"],
        // The sum of `COUNT`.
        scripts: &["9bb400779e8a50f47da226d86317187466e39203"],
    },
    Server {
        name: "haproxy (Lua 5.3, a shared library)",
        program: "/usr/sbin/haproxy",
        words: &["-db", "-f", "FOLDER/haproxy.cfg"],
        files: &[("haproxy.cfg", HAPROXY_CFG), ("work.lua", HAPROXY_LUA)],
        ask: ask_haproxy,
        load: load_http,
        named: &["fib", "respond"],
        scripts: &["work"],
    },
    Server {
        name: "prosody (Lua 5.4, run by lua5.4)",
        program: "/usr/bin/prosody",
        words: &["-F", "--config", "FOLDER/prosody.cfg.lua"],
        files: &[("prosody.cfg.lua", PROSODY_CFG)],
        ask: ask_prosody,
        load: load_by_asking,
        named: &["streamopened", "fire_event"],
        scripts: &["saslauth"],
    },
    Server {
        name: "nginx (LuaJIT, by dlopen)",
        program: "/usr/sbin/nginx",
        words: &["-p", "FOLDER/", "-e", "FOLDER/data/error", "-c", "FOLDER/nginx.conf"],
        files: &[("nginx.conf", NGINX_CONF)],
        ask: ask_nginx,
        load: load_http,
        named: &["fib"],
        scripts: &["content_by_lua(nginx.conf:14)"],
    },
];

const HAPROXY_CFG: &str = "global
  lua-load FOLDER/work.lua
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend web
  bind 127.0.0.1:PORT
  http-request use-service lua.work
";

const HAPROXY_LUA: &str = r#"
local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local function respond(applet, body)
  applet:set_status(200)
  applet:add_header("content-length", #body)
  applet:start_response()
  applet:send(body)
end

core.register_service("work", "http", function(applet)
  local inner = coroutine.wrap(function(n) coroutine.yield(fib(n)) end)
  respond(applet, applet.path .. " " .. inner(17) .. "\n")
end)
"#;

const PROSODY_CFG: &str = r#"
run_as_root = true
pidfile = "FOLDER/prosody.pid"
data_path = "FOLDER/data"
log = { warn = "*console" }
plugin_paths = {}
modules_enabled = { "saslauth", "disco", "ping" }
allow_unencrypted_plain_auth = true
certificates = "data"
modules_disabled = { "s2s" }
interfaces = { "127.0.0.1" }
c2s_ports = { PORT }
c2s_require_encryption = false
authentication = "internal_plain"
VirtualHost "localhost"
"#;

/// Debian's modules; workers give up their rights.
const NGINX_CONF: &str = "load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off;
worker_processes 2;
pid FOLDER/data/pid;
error_log FOLDER/data/error;
events { worker_connections 256; }
http {
  access_log off;
  server {
    listen 127.0.0.1:PORT;
    location / {
      access_by_lua_block { ngx.ctx.asked = ngx.var.uri }
      content_by_lua_block {
        local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
        ngx.sleep(0.001)
        local inner = coroutine.wrap(function(n) coroutine.yield(fib(n)) end)
        ngx.say(ngx.ctx.asked, ' ', inner(24))
      }
    }
  }
}
";

fn ask_nginx(port: u16) -> Result<Vec<u8>> {
    let mut answers = Vec::new();
    for index in 0..60 {
        let mut stream = connect(port)?;
        write!(stream, "GET /{index} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        answers.extend(answer.lines().filter(|line| !line.starts_with("Date:")).flat_map(str::bytes));
    }
    Ok(answers)
}

fn ask_redis(port: u16) -> Result<Vec<u8>> {
    const FIB: &str = "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end \
                       return fib(tonumber(ARGV[1]))";
    const COUNT: &str = "local function count() for i = 1, 20 do redis.call('INCR', 'counted') end end \
                         count() return redis.call('GET', 'counted')";
    const CAUGHT: &str = "return tostring(pcall(function() error({ 1 }) end)) .. cjson.encode({ a = 1 })";
    const THROWN: &str = "error('boom')";
    let mut stream = connect(port)?;
    let mut ask = |words: &[&str], lines: usize| -> Result<Vec<u8>> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        while answer.iter().filter(|byte| **byte == b'\n').count() < lines {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        Ok(answer)
    };
    let mut answers = ask(&["DEL", "counted"], 1)?;
    answers.clear();
    for _ in 0..20 {
        answers.extend(ask(&["EVAL", FIB, "0", "18"], 1)?);
        answers.extend(ask(&["EVAL", COUNT, "0"], 2)?);
        answers.extend(ask(&["EVAL", CAUGHT, "0"], 2)?);
        answers.extend(ask(&["EVAL", THROWN, "0"], 1)?);
    }
    Ok(answers)
}

fn ask_haproxy(port: u16) -> Result<Vec<u8>> {
    let mut answers = Vec::new();
    for index in 0..40 {
        let mut stream = connect(port)?;
        write!(stream, "GET /{index} HTTP/1.0\r\n\r\n")?;
        stream.read_to_end(&mut answers)?;
    }
    Ok(answers)
}

fn ask_prosody(port: u16) -> Result<Vec<u8>> {
    let mut answers = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(port)?;
        stream.write_all(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
              xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
        )?;
        let mut answer = Vec::new();
        while !contains(&answer, b"</stream:features>") {
            let mut piece = [0; 4_096];
            let read = stream.read(&mut piece)?;
            ensure!(read > 0, "it hung up after {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..read]);
        }
        stream.write_all(b"</stream:stream>")?;
        stream.read_to_end(&mut answer)?;
        answers.extend(without_ids(&String::from_utf8_lossy(&answer)).into_bytes());
    }
    Ok(answers)
}

/// A stream's header without its random id, sorted: Lua's `pairs` gives attributes and mechanisms in any order.
fn without_ids(text: &str) -> String {
    let tag = |tag: &str| -> String {
        let mut words: Vec<&str> = tag.split_whitespace().filter(|word| !word.starts_with("id=")).collect();
        words.sort_unstable();
        words.join(" ")
    };
    let mut tags: Vec<String> = text.replace("/>", " / >").split(['<', '>']).map(tag).collect();
    tags.sort_unstable();
    tags.join("\n")
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Runs every server plainly, and recorded at each depth.
pub fn run(tally: &mut Tally) -> Result<()> {
    for server in SERVERS {
        if !Path::new(server.program).is_file() {
            tally.skip(
                &format!("record {}", server.name),
                format_args!("{} is not installed", server.program),
            );
            continue;
        }
        let plain = match serve(server, None) {
            Ok(plain) => plain,
            Err(error) => {
                tally.fail(&format!("{} by itself", server.name), format_args!("{error:#}"));
                continue;
            }
        };
        for depth in DEPTHS {
            let result = recorded(server, depth, &plain, tally);
            tally.judge(&format!("record {} at depth {depth}", server.name), result);
        }
    }
    Ok(())
}

struct Served {
    answers: Vec<u8>,
    status: ExitStatus,
    log: String,
}

fn recorded(server: &Server, depth: &str, plain: &Served, tally: &mut Tally) -> Result<()> {
    let served = serve(server, Some(depth))?;
    if served.answers != plain.answers {
        let (expected, actual) = (place(server).join("expected"), place(server).join("actual"));
        fs::write(&expected, &plain.answers)?;
        fs::write(&actual, &served.answers)?;
        bail!("it answers something else: compare {} and {}", expected.display(), actual.display());
    }
    ensure!(
        code(served.status) == code(plain.status),
        "it ends with {} instead of {}: {}",
        served.status,
        plain.status,
        served.log
    );
    let captures = captures(server)?;
    ensure!(!captures.is_empty(), "it left no capture: {}", served.log);
    let (mut names, mut scripts) = (Vec::new(), Vec::new());
    for capture in &captures {
        let mut command = process::limited(tickscope(), Duration::from_secs(120));
        command.args(["report", "--format", "json"]).arg(capture);
        let report: Value = serde_json::from_slice(&process::capture(&mut command)?.stdout)?;
        conserved(&report)?;
        ensure!(report["irregular"] == 0, "{} samples are irregular", report["irregular"]);
        let symbols = report["symbols"].as_array().context("the report has no `symbols`")?;
        names.extend(symbols.iter().filter_map(|symbol| Some(symbol["function"].as_str()?.to_owned())));
        scripts.extend(symbols.iter().filter_map(|symbol| Some(symbol["resource"].as_str()?.to_owned())));
        if install::trace_processor().is_some() && process::find("node").is_some() {
            engine::sound(capture)?;
        } else {
            tally
                .skip(&format!("soundness of {}", capture.display()), "the trace processor is not installed");
        }
    }
    for wanted in server.named.iter().filter(|_| depth == "trace") {
        let found = names.iter().any(|name| name.rsplit(['.', ':']).next() == Some(wanted));
        ensure!(found, "the function `{wanted}` is not among those recorded: {}", names.join(", "));
    }
    for wanted in server.scripts.iter().filter(|_| depth == "trace") {
        let found = scripts.iter().any(|script| script == wanted);
        ensure!(found, "the script `{wanted}` is not among those recorded: {}", scripts.join(", "));
    }
    Ok(())
}

/// The exit code as a shell has it: a signal's is 128 and its number.
fn code(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| Some(128 + status.signal()?))
}

/// Starts the server, asks, and ends it.
fn serve(server: &Server, depth: Option<&str>) -> Result<Served> {
    let (answers, status, log) = with(server, depth, server.ask)?;
    Ok(Served { answers, status, log })
}

/// Starts the server, plainly or recorded, does `work` with its port, and ends it.
fn with<T>(
    server: &Server,
    depth: Option<&str>,
    work: impl FnOnce(u16) -> Result<T>,
) -> Result<(T, ExitStatus, String)> {
    let place = place(server);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(place.join("data"))?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let fill =
        |text: &str| text.replace("PORT", &port.to_string()).replace("FOLDER", &place.display().to_string());
    for (name, contents) in server.files {
        fs::write(place.join(name), fill(contents))?;
    }
    let mut command = match depth {
        None => Command::new(server.program),
        Some(depth) => {
            let mut command = Command::new(tickscope());
            command.args(["record", "--depth", depth, "-o"]).arg(place.join("capture.perfetto-trace"));
            command.arg("--").arg(server.program);
            command
        }
    };
    let log = place.join("log");
    command.args(server.words.iter().map(|word| fill(word))).current_dir(&place);
    command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", server.program))?;
    let done = ready(&mut child, port, &log).and_then(|()| work(port));
    let ended = end(&mut child);
    let log = fs::read_to_string(&log).unwrap_or_default();
    let done = done.with_context(|| log.clone())?;
    Ok((done, ended?, log))
}

/// What recording costs each server's throughput, for the bench: one line a server and depth.
pub fn throughput(rounds: usize, depths: &[&str]) -> Result<()> {
    for server in SERVERS.iter().filter(|server| Path::new(server.program).is_file()) {
        let measure = |depth| with(server, depth, |port| (server.load)(server, port)).map(|(rate, ..)| rate);
        let mut rates = vec![Vec::new(); depths.len() + 1];
        for _ in 0..rounds {
            // In turn, so that what else the machine does meets all of them.
            rates[0].push(measure(None)?);
            for (index, depth) in depths.iter().enumerate() {
                rates[index + 1].push(measure(Some(depth))?);
            }
        }
        let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
        for (depth, rate) in depths.iter().zip(&medians[1..]) {
            let cost = (1.0 - rate / medians[0]) * 100.0;
            println!(
                "{}: {:.0} requests/s, {rate:.0} at depth {depth}: {cost:.1} % less",
                server.name, medians[0]
            );
        }
    }
    Ok(())
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Requests a second by HTTP clients that ask as fast as they are answered.
fn load_http(_: &Server, port: u16) -> Result<f64> {
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", "8", "-d", "3s"]).arg(format!("http://127.0.0.1:{port}/x"));
    let said =
        process::capture(&mut command).context("wrk asks this server; it is in Debian's package `wrk`")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(!said.contains("Non-2xx"), "it answers with errors: {said}");
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.with_context(|| format!("wrk says {said}"))
}

fn load_redis(_: &Server, port: u16) -> Result<f64> {
    const FIB: &str = "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end \
                       return fib(tonumber(ARGV[1]))";
    let mut command = Command::new("redis-benchmark");
    command.args(["-p", &port.to_string(), "-n", "40000", "-c", "8", "--csv", "EVAL", FIB, "0", "10"]);
    let said = process::capture(&mut command).context("redis-benchmark asks this server")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    // The test's name has commas and quotes: what is measured stands behind it.
    let rate = said.lines().last().and_then(|line| {
        let numbers: Vec<&str> = line.rsplit("\",\"").collect();
        numbers.get(numbers.len().checked_sub(2)?)?.parse().ok()
    });
    rate.with_context(|| format!("redis-benchmark says {said}"))
}

/// Requests a second by one client that asks what the test asks.
fn load_by_asking(server: &Server, port: u16) -> Result<f64> {
    let begin = Instant::now();
    let mut times = 0.0;
    while begin.elapsed() < Duration::from_secs(3) {
        (server.ask)(port)?;
        times += 1.0;
    }
    Ok(times / begin.elapsed().as_secs_f64())
}

fn ready(child: &mut Child, port: u16, log: &Path) -> Result<()> {
    let begin = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}: {}", fs::read_to_string(log)?);
        }
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "it does not listen: {}",
            fs::read_to_string(log)?
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Asks it to end, as a service manager would.
fn end(child: &mut Child) -> Result<ExitStatus> {
    process::capture(Command::new("kill").args(["-TERM", &child.id().to_string()])).map(drop).or_else(
        |error| match child.try_wait()? {
            Some(_) => Ok(()),
            None => Err(error),
        },
    )?;
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if begin.elapsed() > Duration::from_secs(60) {
            child.kill()?;
            child.wait()?;
            bail!("it did not end when it was asked to");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn place(server: &Server) -> PathBuf {
    let name = server.name.split(' ').next().unwrap_or_default();
    folder().join("record").join(name)
}

fn captures(server: &Server) -> Result<Vec<PathBuf>> {
    let mut captures: Vec<PathBuf> = fs::read_dir(place(server))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "perfetto-trace"))
        .collect();
    captures.sort();
    Ok(captures)
}
