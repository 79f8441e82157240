//! Requests as they come: in pieces, wrong, and large.

use proptest::prelude::*;

use super::*;

const MAX_BODY: usize = 16 << 20;

/// Gives its bytes in pieces of a size.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.size.min(into.len()).min(self.bytes.len());
        let (now, rest) = self.bytes.split_at(count);
        into[..count].copy_from_slice(now);
        self.bytes = rest;
        Ok(count)
    }
}

fn read_in(bytes: &[u8], size: usize) -> Result<Asked, Problem> {
    read(&mut Pieces { bytes, size }, MAX_BODY, |_| Ok(()), || Ok(()))
}

#[track_caller]
fn check(text: &str, expected: Result<(&str, &str, &str), Problem>) {
    for size in [1, 7, 1 << 20] {
        let got = read_in(text.as_bytes(), size);
        let got = got.map(|asked| (asked.method, asked.target, String::from_utf8(asked.body).unwrap()));
        let expected = expected.map(|(method, target, body)| (method.into(), target.into(), body.into()));
        assert_eq!(got, expected, "{text:?} in pieces of {size}");
    }
}

#[test]
fn bodies_end_where_the_head_says() {
    check("GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n", Ok(("GET", "/a?b=1", "")));
    check("GET / HTTP/1.0\n\n", Ok(("GET", "/", "")));
    check("POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc and more", Ok(("POST", "/a", "abc")));
    check(
        "PUT /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
        Ok(("PUT", "/a", "abcde")),
    );
}

#[test]
fn what_is_wrong_has_its_status() {
    let refused = |status| Err(Problem::Refused(status));
    check("", Err(Problem::Gone));
    check("GET", refused(400));
    check("\u{16}\u{3}\u{1}\r\n\r\n", refused(400));
    check("GET / HTTP/2.0\r\n\r\n", refused(400));
    check("GET / HTTP/1.1\r\nno colon\r\n\r\n", refused(400));
    check("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", refused(400));
    check("POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", refused(400));
    check("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", refused(400));
    check("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", refused(400));
    check("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc", refused(501));
    check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", refused(400));
    check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", refused(400));
    check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", refused(413));
    check("POST / HTTP/1.1\r\nContent-Length: 16777217\r\n\r\n", refused(413));
    check("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", refused(413));
    check(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(129)), refused(431));
}

#[test]
fn a_head_has_a_limit() {
    let head = format!("GET / HTTP/1.1\r\nlong: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    assert_eq!(read_in(head.as_bytes(), 1 << 10), Err(Problem::Refused(431)));
}

#[test]
fn a_gate_sees_the_head_and_no_body_is_read() {
    let text = b"POST /a HTTP/1.1\r\nKey:  b \r\nContent-Length: 3\r\n\r\n";
    let mut pieces = Pieces { bytes: text, size: 7 };
    let gate = |head: Head<'_>| {
        let seen = (head.method, head.target, head.value("key"), head.value("other"));
        assert_eq!(seen, ("POST", "/a", Some(&b"b"[..]), None));
        Err(401)
    };
    assert_eq!(read(&mut pieces, MAX_BODY, gate, || Ok(())), Err(Problem::Refused(401)));
}

#[test]
fn who_waits_is_told_to_go_on() {
    let told = |text: &str, size| {
        let mut told = false;
        let asked = read(
            &mut Pieces { bytes: text.as_bytes(), size },
            MAX_BODY,
            |_| Ok(()),
            || {
                told = true;
                Ok(())
            },
        );
        (told, asked.is_ok())
    };
    let head = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(told(&format!("{head}x"), head.len()), (true, true));
    assert_eq!(told(&format!("{head}x"), 1 << 10), (false, true), "the body is there already");
}

#[test]
fn answers_are_framed() {
    let text = |reply: &Reply, head_only| String::from_utf8(reply.bytes(head_only)).unwrap();
    let reply = Reply { status: 200, headers: vec![("A".into(), b"b".to_vec())], body: b"hi".to_vec() };
    let head = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
    assert_eq!(text(&reply, false), format!("{head}hi"));
    assert_eq!(text(&reply, true), head);
    let reply = Reply { status: 204, ..reply };
    assert_eq!(text(&reply, false), "HTTP/1.1 204 No Content\r\nA: b\r\nConnection: close\r\n\r\n");
}

proptest! {
    #[test]
    fn garbage_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..400), size in 1_usize..64) {
        let _ = read_in(&bytes, size);
    }

    #[test]
    fn garbage_in_chunks_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..64) {
        let mut request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        request.extend(bytes);
        let _ = read_in(&request, size);
    }

    #[test]
    fn a_request_is_what_was_written(
        method in "[A-Z]{1,8}",
        target in "/[a-z0-9/?=&%]{0,30}",
        value in "[a-zA-Z0-9]{0,20}",
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..6),
        chunked: bool,
        size in 1_usize..64,
    ) {
        let body = chunks.concat();
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nX-Value: {value}\r\n").into_bytes();
        if chunked {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in &chunks {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(&body);
        }
        let asked = read_in(&bytes, size).unwrap();
        prop_assert_eq!((asked.method, asked.target, asked.body), (method, target, body));
        prop_assert_eq!(asked.headers[0].clone(), ("X-Value".to_owned(), value.into_bytes()));
    }
}
