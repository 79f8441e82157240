//! The console's language, which `server.cfg` is written in: commands, one a line or between `;`, made of words.
//!
//! - White space separates words. `"…"` is one word whatever is in it, `\"` a quote inside; a quote also ends the word
//!   before it.
//! - `//` and `#` at the start of a word end the command; so does `/*` that nothing closes.
//! - Complete JSON (`{…}`, `[…]`) at the start of a word is one word, and a `;` in it separates nothing.
//! - A `;` outside of quotes separates commands even in a comment, as on FXServer.

/// Values inside each other in a word of JSON.
const MAX_JSON_DEPTH: usize = 64;

/// A command of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// The line it is on, from 1.
    pub line: u32,
    /// It, as written.
    pub text: &'a str,
}

/// The commands of a file, without those that are empty or only a comment. Lines that are not UTF-8 hold none, as on
/// FXServer; [`broken_lines`] tells them.
///
/// ```
/// use tickscope_citizen::cfg;
/// let source = b"# my server\nset motd \"Hello; there\" // said at the door\nensure chat; ensure hardcap";
/// let commands: Vec<_> = cfg::commands(source).map(|command| (command.line, cfg::words(command.text))).collect();
/// assert_eq!(commands[0], (2, vec!["set".to_owned(), "motd".into(), "Hello; there".into()]));
/// assert_eq!(commands[2], (3, vec!["ensure".to_owned(), "hardcap".into()]));
/// ```
pub fn commands(source: &[u8]) -> impl Iterator<Item = Command<'_>> {
    let lines = lines(source).filter_map(|(line, text)| Some((line, std::str::from_utf8(text).ok()?)));
    lines.flat_map(|(line, text)| split(text).into_iter().map(move |text| Command { line, text }))
}

/// Numbers of the lines that are not UTF-8.
pub fn broken_lines(source: &[u8]) -> impl Iterator<Item = u32> {
    lines(source).filter(|(_, text)| std::str::from_utf8(text).is_err()).map(|(line, _)| line)
}

fn lines(source: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    (1..).zip(source.split(|byte| *byte == b'\n'))
}

/// The commands of one line, without the empty ones.
pub fn split(line: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let bytes = line.as_bytes();
    let (mut start, mut at, mut quoted) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => at += json_len(&bytes[at..]).map_or(0, |len| len - 1),
            b';' if !quoted => {
                commands.push(&line[start..at]);
                start = at + 1;
            }
            b'\r' => {
                commands.push(&line[start..at]);
                (start, quoted) = (at + 1, false);
            }
            _ => {}
        }
        at += 1;
    }
    commands.push(&line[start..]);
    commands.retain(|command| !words(command).is_empty());
    commands
}

/// The words of a command.
pub fn words(command: &str) -> Vec<String> {
    let bytes = command.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while at < bytes.len() && bytes[at] <= b' ' {
            at += 1;
        }
        let rest = &bytes[at..];
        if rest.is_empty() || rest.starts_with(b"//") || rest.starts_with(b"#") {
            return words;
        }
        if rest.starts_with(b"/*") {
            match command[at + 2..].find("*/") {
                Some(len) => at += 2 + len + 2,
                None => return words,
            }
        } else if let Some(len) = json_len(rest) {
            words.push(command[at..at + len].to_owned());
            at += len;
        } else if rest[0] == b'"' {
            let (word, len) = quoted(&command[at..]);
            words.push(word);
            at += len;
        } else {
            let ends = |byte: &u8| *byte <= b' ' || *byte == b'"';
            let len = rest.iter().position(ends).unwrap_or(rest.len());
            words.push(command[at..at + len].to_owned());
            at += len;
        }
    }
}

/// The word in quotes at the start of `text`, and its length with them. The last quote may be missing.
fn quoted(text: &str) -> (String, usize) {
    let mut word = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (word, at + 1),
            '\\' if characters.next_if(|(_, next)| *next == '"').is_some() => word.push('"'),
            other => word.push(other),
        }
    }
    (word, text.len())
}

/// The length of the JSON array or object at the start of `bytes`, if there is a whole one.
fn json_len(bytes: &[u8]) -> Option<usize> {
    if !matches!(bytes.first(), Some(b'{' | b'[')) {
        return None;
    }
    value(bytes, 0, 0)
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The end of the JSON value at `at`.
fn value(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'{' | b'[' if depth >= MAX_JSON_DEPTH => None,
        open @ (b'{' | b'[') => {
            let close = if *open == b'{' { b'}' } else { b']' };
            let mut at = skip_space(bytes, at + 1);
            if *bytes.get(at)? == close {
                return Some(at + 1);
            }
            loop {
                if *open == b'{' {
                    at = skip_space(bytes, string(bytes, at)?);
                    if *bytes.get(at)? != b':' {
                        return None;
                    }
                    at = skip_space(bytes, at + 1);
                }
                at = skip_space(bytes, value(bytes, at, depth + 1)?);
                match bytes.get(at)? {
                    b',' => at = skip_space(bytes, at + 1),
                    byte if *byte == close => return Some(at + 1),
                    _ => return None,
                }
            }
        }
        b'"' => string(bytes, at),
        _ => {
            let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            let len = bytes[at..].iter().take_while(|byte| word(byte)).count();
            let text = std::str::from_utf8(&bytes[at..at + len]).ok()?;
            let known = matches!(text, "true" | "false" | "null");
            // `inf` and `nan` are numbers to Rust, not to JSON
            let number =
                text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && text.parse::<f64>().is_ok();
            (known || number).then_some(at + len)
        }
    }
}

fn string(bytes: &[u8], at: usize) -> Option<usize> {
    if *bytes.get(at)? != b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_words(command: &str, expected: &[&str]) {
        assert_eq!(words(command), expected, "{command}");
    }

    #[test]
    fn words_are_told_as_the_console_does() {
        check_words("give 5 bread", &["give", "5", "bread"]);
        check_words("  say  \"hello  world\"\tx ", &["say", "hello  world", "x"]);
        check_words(r#"say "a \"b\"" """#, &["say", "a \"b\"", ""]);
        check_words(r#"set path "C:\dir\""#, &["set", "path", "C:\\dir\""]);
        check_words(r#"a"b c"d"#, &["a", "b c", "d"]);
        check_words("\"open", &["open"]);
        check_words("", &[]);
        check_words("# set a b", &[]);
        check_words("// set a b", &[]);
        check_words("set url http://x/#top // why", &["set", "url", "http://x/#top"]);
        check_words("set a b#c # d", &["set", "a", "b#c"]);
        check_words("set a /* not this */ b /* nor this", &["set", "a", "b"]);
        check_words(
            "set x {\"a\": [1, \"two words\"], \"b\": null} y",
            &["set", "x", "{\"a\": [1, \"two words\"], \"b\": null}", "y"],
        );
        check_words("ensure [my gamemode]", &["ensure", "[my", "gamemode]"]);
        check_words("ensure [system]", &["ensure", "[system]"]);
        check_words("set x [inf]", &["set", "x", "[inf]"]);
        check_words("sag größe", &["sag", "größe"]);
    }

    #[track_caller]
    fn check(source: &str, expected: &[(u32, &str)]) {
        let commands: Vec<_> =
            commands(source.as_bytes()).map(|command| (command.line, command.text.trim())).collect();
        assert_eq!(commands, expected, "{source}");
    }

    #[test]
    fn commands_are_told_apart() {
        check("a\r\n\r\nb c\r\n", &[(1, "a"), (3, "b c")]);
        check("\u{feff}a;b ;; c", &[(1, "a"), (1, "b"), (1, "c")]);
        check("set m \"a;b\"; x", &[(1, "set m \"a;b\""), (1, "x")]);
        check("set m \"open; x\ny", &[(1, "set m \"open; x"), (2, "y")]);
        check("set j {\"a\":\";\"}; x", &[(1, "set j {\"a\":\";\"}"), (1, "x")]);
        check("# off; on", &[(1, "on")]);
        assert_eq!(commands(b"a\n\xff\xfe b\nc").map(|command| command.line).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(broken_lines(b"a\n\xff\xfe b\nc").collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn much_that_looks_like_json_takes_no_time() {
        for text in
            ["[".repeat(200_000), "[1,".repeat(100_000), "{\"a\":".repeat(100_000), "[\"".repeat(100_000)]
        {
            assert!(!words(&text).is_empty());
            assert!(!split(&text).is_empty());
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(source in proptest::collection::vec(any::<u8>(), 0..300)) {
            for command in commands(&source) {
                prop_assert!(!words(command.text).is_empty());
            }
        }

        #[test]
        fn near_commands_never_panic(source in "([a-z]{0,3}[ \t\"\\\\;#/*\\[\\]{}:,0-9é\r\n]{0,4}){0,20}") {
            for command in commands(source.as_bytes()) {
                prop_assert!(command.line > 0 && !words(command.text).is_empty());
            }
        }

        #[test]
        fn quoted_words_come_back(values in proptest::collection::vec("[^\"\\\\\r\n]{0,12}", 1..6)) {
            let command = values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(&words(&command), &values);
            prop_assert_eq!(split(&command), vec![command.as_str()]);
        }
    }
}
