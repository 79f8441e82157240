//! The line in the text of a manifest. Everything else of the text stays, byte for byte.

/// What is included.
pub(super) const SCRIPT: &str = "@tickscope/probe.lua";

/// The line, without its end.
pub(super) const LINE: &str =
    "shared_script '@tickscope/probe.lua' -- by `tickscope install`; `uninstall` takes it out";

/// What some editors begin a file with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text with the line on top, where it comes before all other scripts whatever follows.
pub(super) fn add(text: &[u8]) -> Vec<u8> {
    let rest = text.strip_prefix(MARK).unwrap_or(text);
    let mark = &text[..text.len() - rest.len()];
    let first_end = rest.iter().position(|byte| *byte == b'\n');
    let end: &[u8] = match first_end {
        Some(at) if at > 0 && rest[at - 1] == b'\r' => b"\r\n",
        _ => b"\n",
    };
    [mark, LINE.as_bytes(), end, rest].concat()
}

/// The text without the line; `None` when it is not in it.
pub(super) fn remove(text: &[u8]) -> Option<Vec<u8>> {
    let at = text.windows(LINE.len()).position(|part| part == LINE.as_bytes())?;
    let starts_line = at == 0 || text[at - 1] == b'\n' || text[..at] == *MARK;
    let behind = &text[at + LINE.len()..];
    let rest = behind.strip_prefix(b"\r\n").or_else(|| behind.strip_prefix(b"\n"));
    match rest {
        Some(rest) if starts_line => Some([&text[..at], rest].concat()),
        None if starts_line && behind.is_empty() => Some(text[..at].to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: &[u8]) {
        let after = add(text);
        assert_eq!(String::from_utf8_lossy(&after), String::from_utf8_lossy(expected));
        assert_eq!(remove(&after).as_deref(), Some(text), "it can be taken out again");
        assert_eq!(remove(text), None);
    }

    fn with_line(parts: [&[u8]; 3]) -> Vec<u8> {
        [parts[0], LINE.as_bytes(), parts[1], parts[2]].concat()
    }

    #[test]
    fn the_line_goes_in_and_out() {
        for text in [
            &b"fx_version 'cerulean'\n"[..],
            b"-- a comment\n\nfx_version 'cerulean'",
            b"\nx 'y'",
            b"x 'y'",
            b"\xff\n",
        ] {
            check(text, &with_line([b"", b"\n", text]));
        }
    }

    #[test]
    fn ends_of_lines_and_marks_stay() {
        check(
            b"fx_version 'a'\r\ngame 'b'\r\n",
            &with_line([b"", b"\r\n", b"fx_version 'a'\r\ngame 'b'\r\n"]),
        );
        check(b"\xef\xbb\xbffx_version 'a'\n", &with_line([MARK, b"\n", b"fx_version 'a'\n"]));
    }

    #[test]
    fn only_a_line_of_its_own_is_taken_out() {
        assert_eq!(remove(&with_line([b"x 'y' ", b"\n", b""])), None);
        assert_eq!(remove(&with_line([b"", b" more\n", b""])), None);
        assert_eq!(
            remove(&with_line([b"moved 'down'\n", b"", b""])).as_deref(),
            Some(&b"moved 'down'\n"[..])
        );
    }
}
