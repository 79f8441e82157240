//! HTTP: requests to a server of the test's own, and clients of its own at the handlers of scripts.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tickscope_citizen::{NoRecorder, Server};
use tickscope_core::{CategoryId, Event, RecordingSink};

use crate::world::{Transcript, World};

/// A server that answers each connection with the next of these, as they are; tells what it was asked.
struct Remote {
    address: SocketAddr,
    asked: Receiver<String>,
}

impl Remote {
    fn new(answers: Vec<Vec<u8>>) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let (to, asked) = channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = socket.accept().unwrap();
                let _ = to.send(request(&mut stream));
                let _ = stream.write_all(&answer); // a client may have had enough
            }
        });
        Self { address, asked }
    }
}

/// Reads one request, with the body its length tells.
fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut some) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&some[..count]),
            _ => return text,
        }
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// What the resource `a` prints within ten ticks, with `URL` as the address of a server that gives these answers; and
/// what that was asked.
fn answered(answers: Vec<Vec<u8>>, script: &str) -> (Vec<String>, Vec<String>) {
    let remote = Remote::new(answers);
    let script = format!("local URL = 'http://{}'\n{script}", remote.address);
    let ran = World::new(&[("a/main.lua", &script)]).run(10);
    let lines = ran.lines.iter().map(|line| line.strip_prefix("a: ").unwrap_or(line).to_owned()).collect();
    (lines, remote.asked.try_iter().collect())
}

#[track_caller]
fn check(answers: Vec<Vec<u8>>, script: &str, expected: &[&str]) {
    let (lines, _) = answered(answers, script);
    assert_eq!(lines, expected, "{script}");
}

#[test]
fn callbacks_get_status_body_and_headers() {
    let answer = b"HTTP/1.1 201 Created\r\ncontent-type: text/x\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    check(
        vec![answer.to_vec()],
        "PerformHttpRequest(URL .. '/x', function(status, body, headers, problem)
             print(status, body, problem, headers['Content-Type'], headers['content-type'], headers.nothing)
             print(table.concat(headers['set-cookie'], ','), math.type(status))
         end)
         print('first')",
        &["first", "201\thi\tnil\ttext/x\ttext/x\tnil", "a=1,b=2\tinteger"],
    );
}

#[test]
fn an_await_gives_the_same() {
    check(
        vec![ok("one"), ok("two")],
        "print(select('#', PerformHttpRequestAwait(URL)))
         local status, body, headers, problem = PerformHttpRequestAwait(URL)
         print(status, body, type(headers), problem)",
        &["4", "200\ttwo\ttable\tnil"],
    );
}

#[test]
fn what_is_asked_arrives() {
    let (lines, asked) = answered(
        vec![ok(""); 5],
        "PerformHttpRequestAwait(URL .. '/api?key=1', 'POST', '{}', { ['Content-Type'] = 'application/json', ['X-Number'] = 5 })
         PerformHttpRequestAwait(URL, 'PATCH', 'a=1')
         PerformHttpRequestAwait(URL, 'PROPFIND', '', {}, {})
         PerformHttpRequestAwait(URL, nil, nil, { ['User-Agent'] = 'mine' })
         PerformHttpRequestAwait(URL, 'DELETE', 'this')",
    );
    assert_eq!((lines.len(), asked.len()), (0, 5), "{lines:?}");
    assert!(
        asked[4].starts_with("DELETE / HTTP/1.1\r\n") && asked[4].ends_with("\r\n\r\nthis"),
        "{}",
        asked[4]
    );
    let low: Vec<_> = asked.iter().map(|text| text.to_ascii_lowercase()).collect();
    assert!(
        asked[0].starts_with("POST /api?key=1 HTTP/1.1\r\n") && asked[0].ends_with("\r\n\r\n{}"),
        "{}",
        asked[0]
    );
    assert!(low[0].contains("content-type: application/json\r\n") && low[0].contains("x-number: 5\r\n"));
    assert_eq!(low[0].matches("content-type").count(), 1);
    assert!(asked[1].starts_with("PATCH / HTTP/1.1\r\n") && asked[1].ends_with("\r\n\r\na=1"));
    assert!(low[1].contains("content-type: application/x-www-form-urlencoded\r\n"));
    assert!(low[1].contains("user-agent: fxserver/performhttprequest"));
    assert!(asked[2].starts_with("PROPFIND / HTTP/1.1\r\n") && !low[2].contains("content-"), "{}", asked[2]);
    assert!(low[3].contains("user-agent: mine\r\n") && low[3].matches("user-agent").count() == 1);
}

#[test]
fn a_status_from_400_on_is_an_error_with_the_body() {
    let answer =
        b"HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone".to_vec();
    check(
        vec![answer],
        "PerformHttpRequest(URL, function(status, body, headers, problem)
             print(status, body, next(headers), problem)
         end, 'GET')",
        &["404\tnil\tnil\tHTTP 404: gone"],
    );
}

#[test]
fn redirects_are_followed_unless_told_otherwise() {
    let away =
        b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
    let (lines, asked) = answered(
        vec![away.clone(), ok("here"), away],
        "print((select(2, PerformHttpRequestAwait(URL))))
         local status, body, headers = PerformHttpRequestAwait(URL, 'GET', '', {}, { followLocation = false })
         print(status, headers.Location)",
    );
    assert_eq!(lines, ["here", "302\t/there"]);
    assert!(asked[1].starts_with("GET /there HTTP/1.1\r\n"));
}

#[test]
fn redirects_in_a_circle_are_a_failure() {
    let away =
        b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
    let (lines, asked) = answered(
        vec![away; 20],
        "local status, body, _, problem = PerformHttpRequestAwait(URL) print(status, body, type(problem))",
    );
    assert_eq!(lines, ["0\tnil\tstring"]);
    assert!(asked.len() <= 11, "{}", asked.len());
}

#[test]
fn what_is_no_tls_is_a_failure() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let script = format!(
        "local status, body, _, problem = PerformHttpRequestAwait('https://{}')
         print(status, body, type(problem))",
        socket.local_addr().unwrap()
    );
    let remote = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        let hello = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(&ok("plain")).unwrap();
        hello
    });
    assert_eq!(World::new(&[("a/main.lua", &script)]).run(5).lines, ["a: 0\tnil\tstring"]);
    assert!(remote.join().unwrap() > 0, "somebody began to speak");
}

#[test]
fn an_answer_that_comes_slowly_comes() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let script =
        format!("print((select(2, PerformHttpRequestAwait('http://{}'))))", socket.local_addr().unwrap());
    let remote = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        request(&mut stream);
        stream.set_nodelay(true).unwrap();
        for byte in ok("slow") {
            stream.write_all(&[byte]).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    assert_eq!(World::new(&[("a/main.lua", &script)]).run(5).lines, ["a: slow"]);
    remote.join().unwrap();
}

#[test]
fn a_failure_has_status_0_and_says_why() {
    // a port that nobody listens at any more
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let script = format!(
        "local function try(url, method, headers)
             local status, body, sent, problem = PerformHttpRequestAwait(url, method, '', headers)
             print(status, body, next(sent), type(problem) == 'string' and #problem > 0)
         end
         try('http://{nobody}/')
         try(nil)
         try('ftp://localhost/')
         try('file:///etc/passwd')
         try('http://{nobody}/', 'BAD METHOD')
         try('http://{nobody}/', 'GET', {{ ['X-Bad'] = 'a\\r\\nB: c' }})"
    );
    check(vec![], &script, &["0\tnil\tnil\ttrue"; 6]);
}

#[test]
fn answers_that_make_no_sense_are_failures() {
    let failing: [&[u8]; 5] = [
        b"",
        b"\x00\x01\x02 nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 2",
    ];
    let answers = failing.iter().map(|bytes| bytes.to_vec()).collect();
    check(
        answers,
        "for _ = 1, 5 do
             local status, body, headers, problem = PerformHttpRequestAwait(URL)
             print(status, body, next(headers), type(problem))
         end",
        &["0\tnil\tnil\tstring"; 5],
    );
}

#[test]
fn bodies_are_bytes_and_may_be_large() {
    let large = "x".repeat(5 << 20);
    let (lines, asked) = answered(
        vec![
            ok(&large),
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n\xff\x00a".to_vec(),
        ],
        "print(#(select(2, PerformHttpRequestAwait(URL, 'POST', ('y'):rep(1 << 20)))))
         print((select(2, PerformHttpRequestAwait(URL))):byte(1, -1))",
    );
    assert_eq!(lines, ["5242880", "255\t0\t97"]);
    assert!(asked[0].ends_with(&"y".repeat(1 << 20)));
}

#[test]
fn a_body_beyond_the_limit_is_a_failure() {
    let answer =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat((64 << 20) + 1)).into_bytes();
    check(
        vec![answer],
        "local status, body, _, problem = PerformHttpRequestAwait(URL) print(status, body, type(problem))",
        &["0\tnil\tstring"],
    );
}

#[test]
fn wrong_arguments_are_errors_and_no_callback_is_fine() {
    check(
        vec![ok("")],
        "PerformHttpRequest(URL, nil, 'GET')
         print(pcall(PerformHttpRequest, URL, print, 'POST', {}))
         print(pcall(PerformHttpRequest, URL, print, 'POST', '', { A = {} }))
         print(pcall(PerformHttpRequest, URL, print, 'POST', '', 'A: b'))",
        &[
            "false\tbad data of 'PerformHttpRequest' (string expected, got table)",
            "false\tbad header A of 'PerformHttpRequest' (string expected, got table)",
            "false\tbad headers of 'PerformHttpRequest' (table expected, got string)",
        ],
    );
}

#[test]
fn the_natives_answer_with_an_event_of_their_resource() {
    let remote = Remote::new(vec![ok("one"), ok("two")]);
    let script = format!(
        "AddEventHandler('__cfx_internal:httpResponse', function(...) print(GetCurrentResourceName(), ...) end)
         if GetCurrentResourceName() ~= 'a' then return end
         print(PerformHttpRequestInternalEx({{ url = 'http://{0}', method = 'GET' }}))
         Wait(0)
         local data = json.encode({{ url = 'http://{0}', method = 'POST', data = 'x' }})
         print(PerformHttpRequestInternal(data, #data))",
        remote.address
    );
    let ran = World::new(&[("a/main.lua", &script), ("b/main.lua", &script)]).run(10);
    let lines: Vec<_> = ran.lines.iter().map(|line| line.split("\ttable").next().unwrap()).collect();
    assert_eq!(lines, ["a: 0", "a: a\t0\t200\tone", "a: 1", "a: a\t1\t200\ttwo"]);
}

#[test]
fn a_run_without_http_refuses() {
    let mut world = World::new(&[(
        "a/main.lua",
        "PerformHttpRequest('http://127.0.0.1:1/', function(...) print(...) end)
         print((select(4, PerformHttpRequestAwait('http://127.0.0.1:1/'))))",
    )]);
    world.config.http = false;
    let ran = world.run(5);
    // told once, counted twice
    assert_eq!(ran.lines.len(), 3, "{:?}", ran.lines);
    assert_eq!(
        ran.lines[0],
        ": a: http GET 127.0.0.1 is not asked, nor is any other request made: HTTP is turned off for this run"
    );
    assert_eq!(ran.outcome.refused_requests, [("a".to_owned(), 2)]);
    assert!(ran.lines[1].starts_with("a: 0\tnil\ttable: "), "{:?}", ran.lines);
    assert_eq!(ran.lines[2], "a: HTTP is turned off for this run");
}

#[test]
fn nobody_is_called_back_once_the_resource_has_stopped() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let script = format!(
        "PerformHttpRequest('http://{}', function() print('answer') end)",
        socket.local_addr().unwrap()
    );
    let mut world = World::new(&[("a/main.lua", &script)]);
    world.config.virtual_time = false;
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    let (mut stream, _) = socket.accept().unwrap();
    request(&mut stream);
    server.tick();
    server.execute("stop a");
    stream.write_all(&ok("late")).unwrap();
    drop(stream);
    for _ in 0..5 {
        server.tick();
    }
    assert_eq!(server.stop().error_count, 0);
    assert!(!transcript.lines.take().iter().any(|line| line.contains("answer")));
}

#[test]
fn a_request_is_an_operation_that_names_the_host_only() {
    let remote = Remote::new(vec![ok("")]);
    let url = format!("http://localhost:{}/secret?key=1", remote.address.port());
    let script = format!("PerformHttpRequest('{url}', function() end)");
    let (sink, _) = World::new(&[("a/main.lua", &script)]).record(5);
    assert_eq!(spans(&sink), ["http GET localhost  <- flow", "@a/main.lua:1 main.lua:1 <- await"]);
}

/// The spans of category `http`: name, place, and what they follow from.
fn spans(sink: &RecordingSink) -> Vec<String> {
    let begins = sink.samples.iter().filter_map(|sample| match sample.event {
        Event::Begin(begin) if begin.category == CategoryId::HTTP => Some(begin),
        _ => None,
    });
    let text = |begin: tickscope_core::Begin| {
        let symbol = sink.dictionary.symbol(begin.symbol);
        let place = if symbol.line > 0 { format!("{}:{}", symbol.file, symbol.line) } else { String::new() };
        let link = begin.link.map_or_else(String::new, |link| format!(" <- {}", link.kind.name()));
        format!("{} {place}{link}", symbol.name)
    };
    begins.map(text).collect()
}

/// The handler of the resource `a` at work, and what it printed.
struct Handled {
    server: Server<NoRecorder>,
    transcript: Transcript,
    address: SocketAddr,
    _world: World,
}

impl Handled {
    fn new(script: &str) -> Self {
        let mut world = World::new(&[("a/main.lua", script), ("b/main.lua", "")]);
        world.config.http_listen = Some((Ipv4Addr::LOCALHOST, 0).into());
        let transcript = Transcript::default();
        let server = world.start(&transcript).unwrap();
        let address = server.http_address().unwrap();
        Self { server, transcript, address, _world: world }
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// Ticks until `done`; the other side's threads have their own pace.
    fn tick_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let limit = Instant::now() + Duration::from_secs(30);
        while !done(self) {
            assert!(Instant::now() < limit, "{:?}", self.transcript.lines.borrow());
            self.server.tick();
            std::thread::yield_now();
        }
    }

    /// The whole answer to a request.
    fn ask(&mut self, bytes: &[u8]) -> String {
        let mut stream = self.send(bytes);
        let reader = std::thread::spawn(move || {
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer); // what came before an error counts
            String::from_utf8(answer).unwrap()
        });
        self.tick_until(|_| reader.is_finished());
        reader.join().unwrap()
    }

    /// What `a` printed.
    fn lines(&self) -> Vec<String> {
        let lines = self.transcript.lines.borrow();
        lines.iter().filter_map(|line| line.strip_prefix("a: ")).map(str::to_owned).collect()
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn a_handler_sees_the_request_and_answers() {
    let mut handled = Handled::new(
        "SetHttpHandler(function(request, response)
             print(request.method, request.path, request.headers['X-One'], request.address:match('^127.0.0.1:%d+$') ~= nil)
             response.writeHead(201, { ['Content-Type'] = 'text/x', ['Set-Cookie'] = { 'a=1', 'b=2' }, ['Content-Length'] = '99' })
             response.write('hello ')
             response.send('world')
             response.send('not any more')
         end)",
    );
    let answer = handled.ask(b"GET /a/some/path?x=1 HTTP/1.1\r\nX-One: 1\r\nX-One: 2\r\n\r\n");
    assert_eq!(
        answer,
        "HTTP/1.1 201 Created\r\nContent-Type: text/x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world"
    );
    assert_eq!(handled.lines(), ["GET\t/some/path?x=1\t1\ttrue"]);
    let told = |line: &&String| line.contains(&format!("http://{}/", handled.address));
    assert_eq!(handled.transcript.lines.borrow().iter().filter(told).count(), 1);
}

#[test]
fn bodies_come_to_the_data_handler_and_answers_may_be_late() {
    let mut handled = Handled::new(
        "SetHttpHandler(function(request, response)
             local binary = request.path == '/binary' and 'binary' or nil
             if request.path == '/late' then Wait(200) end
             request.setDataHandler(function(body)
                 Wait(100)
                 response.send(binary and table.concat(body, ',') or body:upper())
             end, binary)
         end)",
    );
    let post = |path: &str| format!("POST /a{path} HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    assert!(handled.ask(post("").as_bytes()).ends_with("\r\n\r\nABC"));
    assert!(handled.ask(post("/late").as_bytes()).ends_with("\r\n\r\nABC"));
    assert!(handled.ask(post("/binary").as_bytes()).ends_with("\r\n\r\n97,98,99"));
    let chunked = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    assert!(handled.ask(chunked).ends_with("\r\n\r\nABC"));
    let large = format!("POST /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}", 2 << 20, "x".repeat(2 << 20));
    assert!(handled.ask(large.as_bytes()).ends_with(&"X".repeat(2 << 20)));
}

#[test]
fn what_is_wrong_never_reaches_a_handler() {
    let mut handled =
        Handled::new("SetHttpHandler(function(request, response) print('called') response.send() end)");
    for (request, expected) in [
        (&b"nonsense\r\n\r\n"[..], "400"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", "400"),
        (b"POST /a HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "413"),
        (b"GET /b HTTP/1.1\r\n\r\n", "404"),
        (b"GET /nobody/x HTTP/1.1\r\n\r\n", "404"),
        (b"GET / HTTP/1.1\r\n\r\n", "404"),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", "404"),
    ] {
        assert_eq!(status(&handled.ask(request)), expected, "{}", String::from_utf8_lossy(request));
    }
    let long = format!("GET /a HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(70 << 10));
    assert_eq!(status(&handled.ask(long.as_bytes())), "431");
    assert_eq!(handled.lines(), [""; 0]);
    assert_eq!(status(&handled.ask(b"HEAD /a HTTP/1.1\r\n\r\n")), "200");
}

#[test]
fn a_handler_that_fails_is_500_and_reported() {
    let mut handled = Handled::new(
        "SetHttpHandler(function(request, response)
             if request.path == '/late' then Wait(100) end
             if request.path == '/data' then return request.setDataHandler(function() error('in data') end) end
             if request.path == '/head' then response.writeHead(200, { ['X'] = 'a\\r\\nY: b' }) end
             if request.path == '/status' then response.writeHead(20) end
             error('oops ' .. request.path)
         end)",
    );
    for path in ["/now", "/late", "/head", "/status", "/data"] {
        let request = format!("POST /a{path} HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
        let answer = handled.ask(request.as_bytes());
        assert_eq!(status(&answer), "500", "{path}: {answer}");
    }
    let errors = handled.server.errors();
    let messages: Vec<_> = errors.iter().map(|error| (error.line, error.message.as_str())).collect();
    assert_eq!(messages[..2], [(6, "oops /now"), (6, "oops /late")]);
    assert!(messages[2].1.contains("characters that no header may have"), "{messages:?}");
    assert!(messages[3].1.contains("a status from 200 to 999 expected"), "{messages:?}");
    assert_eq!(messages[4], (3, "in data"));
    assert_eq!(messages.len(), 5);
}

#[test]
fn what_fails_after_the_answer_is_reported() {
    let mut handled = Handled::new(
        "SetHttpHandler(function(request, response)
             response.send('done')
             while GetResourceState('b') == 'started' do Wait(0) end
             error('afterwards')
         end)",
    );
    assert_eq!(status(&handled.ask(b"GET /a HTTP/1.1\r\n\r\n")), "200");
    handled.server.execute("stop b"); // whose requests are nobody else's
    handled.tick_until(|handled| !handled.server.errors().is_empty());
    assert_eq!(handled.server.errors()[0].message, "afterwards");
}

#[test]
fn a_client_that_goes_away_cancels() {
    let mut handled = Handled::new(
        "SetHttpHandler(function(request, response)
             request.setCancelHandler(function() print('cancelled', request.path) response.send('nobody') end)
             print('waiting')
         end)",
    );
    let stream = handled.send(b"GET /a/x HTTP/1.1\r\n\r\n");
    handled.tick_until(|handled| handled.lines().len() == 1);
    drop(stream);
    handled.tick_until(|handled| handled.lines().len() == 2);
    assert_eq!(handled.lines(), ["waiting", "cancelled\t/x"]);
    assert_eq!(handled.server.stop().error_count, 0);
}

#[test]
fn a_resource_that_stops_turns_its_clients_away() {
    let mut handled =
        Handled::new("SetHttpHandler(function(request) print('waiting') Wait(1000) error('never') end)");
    let mut stream = handled.send(b"GET /a HTTP/1.1\r\n\r\n");
    handled.tick_until(|handled| handled.lines().len() == 1);
    handled.server.execute("stop a");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "503");
    assert_eq!(status(&handled.ask(b"GET /a HTTP/1.1\r\n\r\n")), "404");
    handled.server.execute("start a");
    let _again = handled.send(b"GET /a HTTP/1.1\r\n\r\n");
    handled.tick_until(|handled| handled.lines().len() == 2);
    assert_eq!(handled.server.stop().error_count, 0);
}

#[test]
fn the_end_of_a_run_waits_for_no_client() {
    let mut handled = Handled::new("SetHttpHandler(function(request) print('waiting') end)");
    let mut slow = handled.send(b"GET /a HTT");
    let mut patient = handled.send(b"GET /a HTTP/1.1\r\n\r\n");
    handled.tick_until(|handled| handled.lines().len() == 1);
    let address = handled.address;
    handled.server.stop();
    let mut answer = String::new();
    patient.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "503");
    assert!(!matches!(slow.read(&mut [0]), Ok(count) if count > 0));
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn many_connections_are_bounded_and_freed() {
    let mut handled = Handled::new("SetHttpHandler(function(request, response) response.send('hi') end)");
    let idle: Vec<_> = (0..64).map(|_| handled.send(b"")).collect();
    assert_eq!(status(&handled.ask(b"")), "503");
    drop(idle);
    let limit = Instant::now() + Duration::from_secs(30);
    while status(&handled.ask(b"GET /a HTTP/1.1\r\n\r\n")) != "200" {
        assert!(Instant::now() < limit, "connections that ended are still counted");
    }
}

#[test]
fn a_server_may_ask_itself() {
    let mut handled = Handled::new(
        "SetHttpHandler(function(request, response)
             request.setDataHandler(function(body) Wait(100) response.send('got ' .. body) end)
         end)
         RegisterCommand('ask', function(_, args)
             print(PerformHttpRequestAwait('http://127.0.0.1:' .. args[1] .. '/a', 'POST', 'this'))
         end)",
    );
    handled.server.execute(&format!("ask {}", handled.address.port()));
    handled.tick_until(|handled| !handled.lines().is_empty());
    assert!(handled.lines()[0].starts_with("200\tgot this\ttable"), "{:?}", handled.lines());
}

#[test]
fn a_handler_runs_in_a_span_of_its_own() {
    let mut world =
        World::new(&[("a/main.lua", "SetHttpHandler(function(request, response) response.send() end)")]);
    world.config.http_listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    let (sink, ran) = world.record_play(|server| {
        let mut stream = TcpStream::connect(server.http_address().unwrap()).unwrap();
        stream.write_all(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
        let reader = std::thread::spawn(move || stream.read_to_end(&mut Vec::new()));
        let limit = Instant::now() + Duration::from_secs(30);
        while !reader.is_finished() && Instant::now() < limit {
            server.tick();
            std::thread::yield_now();
        }
        assert!(reader.join().unwrap().unwrap() > 0);
    });
    assert_eq!(ran.outcome.error_count, 0);
    assert_eq!(spans(&sink), ["http handler main.lua:1"]);
}

#[test]
fn an_address_in_use_is_told() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut world = World::new(&[("a/main.lua", "SetHttpHandler(print) SetHttpHandler(print)")]);
    world.config.http_listen = Some(taken.local_addr().unwrap());
    let ran = world.run(2);
    assert_eq!(ran.outcome.error_count, 1);
    assert!(
        ran.outcome.errors[0].message.contains("cannot listen on 127.0.0.1:"),
        "{}",
        ran.outcome.errors[0]
    );
}
