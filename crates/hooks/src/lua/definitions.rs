//! Function names from source text: a scan over tokens, not a parser.

/// The name each function definition in `source` gives its function, with the line of the word `function`, as Lua
/// itself counts lines. In source order; functions without a name are left out.
///
/// Understands `function a.b:c(`, `local function f(`, `x.y = function(` with several targets, `key = function(` and
/// `["key"] = function(` in constructors. Text that is no Lua gives whatever looks like a definition, never an error.
///
/// ```
/// use tickscope_hooks::lua::definitions;
/// let source = b"local M = {}\nfunction M.items:sort() end\nM.load = function() end\n";
/// assert_eq!(definitions(source), [(2, "M.items:sort".into()), (3, "M.load".into())]);
/// ```
pub fn definitions(source: &[u8]) -> Vec<(u32, String)> {
    let tokens = Scanner::new(source).tokens();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.kind == Kind::Function {
            let name = match declared(&tokens, at) {
                Some(name) => Some(name),
                None => assigned(&tokens, at),
            };
            if let Some(name) = name {
                found.push((token.line, name));
            }
        }
    }
    found
}

/// Functions by which scripts of a host give names to functions of theirs: which of the arguments, from the first, are the
/// name and the function, which is the last.
const REGISTRARS: &[(&str, usize, usize)] = &[
    // HAProxy
    ("register_action", 0, 2),
    ("register_converters", 0, 1),
    ("register_fetches", 0, 1),
    ("register_service", 0, 2),
];

/// The names under which `source` registers functions with its host, with the lines on which those are defined:
/// `core.register_service("hello", "http", function`, or the name of a function instead.
pub(crate) fn registrations(source: &[u8]) -> Vec<(u32, String)> {
    let tokens = Scanner::new(source).tokens();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let rule =
            REGISTRARS.iter().find(|rule| token.kind == Kind::Name && token.bytes == rule.0.as_bytes());
        let Some((_, name, function)) = rule else { continue };
        let (Some(name), Some(function)) = (argument(&tokens, at, *name), argument(&tokens, at, *function))
        else {
            continue;
        };
        let line = match function.kind {
            Kind::Function => Some(function.line),
            Kind::Name => {
                let called = function.text();
                definitions(source).into_iter().find(|(_, name)| *name == called).map(|(line, _)| line)
            }
            _ => None,
        };
        if let (Kind::Text, Some(line)) = (name.kind, line) {
            found.push((line, name.text()));
        }
    }
    found
}

/// The first token of an argument of the call of the function named by token `at`.
fn argument<'t, 's>(tokens: &'t [Token<'s>], at: usize, index: usize) -> Option<&'t Token<'s>> {
    let mut rest = tokens.get(at + 1..)?.iter();
    if rest.next()?.bytes != b"(" {
        return None;
    }
    let (mut passed, mut depth) = (0, 0_usize);
    for token in rest {
        if passed == index {
            return Some(token);
        }
        match (token.kind, token.bytes) {
            (Kind::Function, _) => return None,
            (Kind::Comma, _) if depth == 0 => passed += 1,
            (Kind::OpenBracket, _) | (Kind::Other, b"(" | b"{") => depth += 1,
            (Kind::CloseBracket, _) | (Kind::Other, b")" | b"}") => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// `function a.b:c(`
fn declared(tokens: &[Token<'_>], at: usize) -> Option<String> {
    let mut name = String::new();
    for token in &tokens[at + 1..] {
        match token.kind {
            Kind::Name => name += &token.text(),
            Kind::Dot => name.push('.'),
            Kind::Colon => name.push(':'),
            _ => break,
        }
    }
    (!name.is_empty()).then_some(name)
}

/// What stands before `= function`: the target in the same place of the list, when `function` is an item of its own.
fn assigned(tokens: &[Token<'_>], at: usize) -> Option<String> {
    // Back over earlier values of a list: `a, b = 1, function`. Only simple values; anything else has no name.
    let mut values = 0;
    let mut equals = at.checked_sub(1)?;
    while tokens[equals].kind == Kind::Comma {
        let value = equals.checked_sub(1)?;
        if !matches!(tokens[value].kind, Kind::Name | Kind::Text | Kind::Other) {
            return None;
        }
        values += 1;
        equals = value.checked_sub(1)?;
    }
    if tokens[equals].kind != Kind::Equals {
        return None;
    }
    let mut targets = Vec::new();
    let mut end = equals;
    loop {
        let (start, name) = target(tokens, end)?;
        targets.push(name);
        match start.checked_sub(1) {
            // In a constructor a comma parts fields, not targets: there the first field is the only one.
            Some(comma) if tokens[comma].kind == Kind::Comma && targets.len() < 32 => {
                match target(tokens, comma) {
                    Some(_) => end = comma,
                    None => break,
                }
            }
            _ => break,
        }
    }
    if values == 0 {
        // The usual case, and the only one in a constructor: `b` of `{ a = 1, b = function`.
        return targets.into_iter().next();
    }
    targets.reverse();
    targets.into_iter().nth(values)
}

/// The name expression that ends before token `end`, and where it starts: `a.b["c"]`, `["c"]`.
fn target(tokens: &[Token<'_>], end: usize) -> Option<(usize, String)> {
    let mut parts: Vec<String> = Vec::new();
    let mut at = end;
    loop {
        let last = at.checked_sub(1)?;
        match tokens[last].kind {
            Kind::Name => {
                let mut part = tokens[last].text();
                match last.checked_sub(1).map(|before| tokens[before].kind) {
                    Some(Kind::Dot) => part.insert(0, '.'),
                    Some(Kind::Attribute) => return None,
                    _ => {
                        parts.push(part);
                        return Some((last, parts.into_iter().rev().collect()));
                    }
                }
                parts.push(part);
                at = last - 1;
            }
            // `local f <const> = function`
            Kind::Attribute => {
                let open = tokens[..last].iter().rposition(|token| token.kind == Kind::Less)?;
                at = open;
            }
            Kind::CloseBracket => {
                let (key, open) = (last.checked_sub(1)?, last.checked_sub(2)?);
                if tokens[open].kind != Kind::OpenBracket {
                    return None;
                }
                let whole = match tokens[key].kind {
                    Kind::Text => tokens[key].text(),
                    Kind::Name | Kind::Other => format!("[{}]", tokens[key].text()),
                    _ => return None,
                };
                let indexes = open
                    .checked_sub(1)
                    .is_some_and(|before| matches!(tokens[before].kind, Kind::Name | Kind::CloseBracket));
                if !indexes {
                    parts.push(whole);
                    return Some((open, parts.into_iter().rev().collect()));
                }
                parts.push(if whole.starts_with('[') { whole } else { format!(".{whole}") });
                at = open;
            }
            _ => return None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Function,
    Name,
    /// A string; its text is what stands between the quotes.
    Text,
    Dot,
    Colon,
    Comma,
    Equals,
    Less,
    /// The `>` of `<const>`.
    Attribute,
    OpenBracket,
    CloseBracket,
    Other,
}

struct Token<'a> {
    kind: Kind,
    line: u32,
    bytes: &'a [u8],
}

impl Token<'_> {
    fn text(&self) -> String {
        tickscope_core::escape(self.bytes).into_owned()
    }
}

struct Scanner<'a> {
    source: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Scanner<'a> {
    fn new(source: &'a [u8]) -> Self {
        let mut scanner = Self { source, at: 0, line: 1 };
        if source.first() == Some(&b'#') {
            scanner.skip_line(); // as `luaL_loadfile` does
        }
        scanner
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.source.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Takes one byte; `\r\n` and `\n\r` are one line break.
    fn bump(&mut self) {
        let byte = self.peek(0);
        self.at += 1;
        if byte == b'\n' || byte == b'\r' {
            let next = self.peek(0);
            if (next == b'\n' || next == b'\r') && next != byte {
                self.at += 1;
            }
            self.line += 1;
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.source.len() && !matches!(self.peek(0), b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn tokens(mut self) -> Vec<Token<'a>> {
        let mut tokens = Vec::new();
        while self.at < self.source.len() {
            let (start, line, byte) = (self.at, self.line, self.peek(0));
            let mut inner = None;
            let kind = match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {
                    self.bump();
                    continue;
                }
                b'-' if self.peek(1) == b'-' => {
                    self.at += 2;
                    match self.long_level() {
                        Some(level) => drop(self.long(level)),
                        None => self.skip_line(),
                    }
                    continue;
                }
                b'"' | b'\'' => {
                    inner = Some(self.quoted(byte));
                    Kind::Text
                }
                b'[' => match self.long_level() {
                    Some(level) => {
                        inner = Some(self.long(level));
                        Kind::Text
                    }
                    None => {
                        self.at += 1;
                        Kind::OpenBracket
                    }
                },
                b'_' | b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => {
                    while matches!(self.peek(0), b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80..) {
                        self.at += 1;
                    }
                    word(&self.source[start..self.at])
                }
                b'0'..=b'9' => {
                    self.number();
                    Kind::Other
                }
                b'.' if self.peek(1) == b'.' => {
                    self.at += if self.peek(2) == b'.' { 3 } else { 2 };
                    Kind::Other
                }
                b'=' | b'~' | b'<' | b'>' if self.peek(1) == b'=' => {
                    self.at += 2;
                    Kind::Other
                }
                b':' if self.peek(1) == b':' => {
                    self.at += 2;
                    Kind::Other
                }
                _ => {
                    self.at += 1;
                    match byte {
                        b'.' => Kind::Dot,
                        b':' => Kind::Colon,
                        b',' => Kind::Comma,
                        b'=' => Kind::Equals,
                        b'<' => Kind::Less,
                        b'>' if attribute(&tokens) => Kind::Attribute,
                        b']' => Kind::CloseBracket,
                        _ => Kind::Other,
                    }
                }
            };
            let bytes = inner.unwrap_or(&self.source[start..self.at]);
            tokens.push(Token { kind, line, bytes });
        }
        tokens
    }

    /// At `[`: how many `=` before the second bracket, if it opens a long string.
    fn long_level(&self) -> Option<usize> {
        if self.peek(0) != b'[' {
            return None;
        }
        let mut level = 0;
        while self.peek(1 + level) == b'=' {
            level += 1;
        }
        (self.peek(1 + level) == b'[').then_some(level)
    }

    fn long(&mut self, level: usize) -> &'a [u8] {
        self.at += level + 2;
        let start = self.at;
        while self.at < self.source.len() {
            if self.peek(0) == b']'
                && (0..level).all(|index| self.peek(1 + index) == b'=')
                && self.peek(1 + level) == b']'
            {
                let text = &self.source[start..self.at];
                self.at += level + 2;
                return text;
            }
            self.bump();
        }
        &self.source[start.min(self.source.len())..]
    }

    fn quoted(&mut self, quote: u8) -> &'a [u8] {
        self.at += 1;
        let start = self.at;
        while self.at < self.source.len() {
            match self.peek(0) {
                b'\\' => {
                    self.at += 1;
                    if self.peek(0) == b'z' {
                        self.at += 1;
                        while self.peek(0).is_ascii_whitespace() {
                            self.bump();
                        }
                    } else {
                        self.bump();
                    }
                }
                b'\n' | b'\r' => break, // unfinished: Lua refuses it
                byte => {
                    self.at += 1;
                    if byte == quote {
                        return &self.source[start..self.at - 1];
                    }
                }
            }
        }
        self.at = self.at.min(self.source.len());
        &self.source[start.min(self.at)..self.at]
    }

    fn number(&mut self) {
        let hex = self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X');
        loop {
            match self.peek(0) {
                b'e' | b'E' if !hex && matches!(self.peek(1), b'+' | b'-') => self.at += 2,
                b'p' | b'P' if hex && matches!(self.peek(1), b'+' | b'-') => self.at += 2,
                b'.' if self.peek(1) == b'.' => return,
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'_' => self.at += 1,
                _ => return,
            }
        }
    }
}

/// Whether a `>` after these tokens closes `<const>` or `<close>`.
fn attribute(tokens: &[Token<'_>]) -> bool {
    matches!(tokens, [.., less, name] if less.kind == Kind::Less && matches!(name.bytes, b"const" | b"close"))
}

fn word(bytes: &[u8]) -> Kind {
    match bytes {
        b"function" => Kind::Function,
        b"and" | b"break" | b"do" | b"else" | b"elseif" | b"end" | b"false" | b"for" | b"goto" | b"if"
        | b"in" | b"local" | b"nil" | b"not" | b"or" | b"repeat" | b"return" | b"then" | b"true"
        | b"until" | b"while" => Kind::Other,
        _ => Kind::Name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_with_a_host_is_known_by_its_line() {
        let source = br#"
local function later(applet) end
core.register_service("hello", "http", function(applet)
end)
core.register_action('mark', { "http-req", "tcp-req" }, function(txn) end, 0)
core.register_service("late", "http", later)
core.register_fetches("look", nowhere)
core.register_task(function() end)
core.register_service(name, "http", function() end)
core.register_service("cut", "#;
        let expected = [(3, "hello".into()), (5, "mark".into()), (2, "late".into())];
        assert_eq!(registrations(source), expected);
    }

    #[track_caller]
    fn check(source: &str, expected: &[(u32, &str)]) {
        let found = definitions(source.as_bytes());
        let found: Vec<(u32, &str)> = found.iter().map(|(line, name)| (*line, &**name)).collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn declarations() {
        check(
            "function f() end function a.b.c() end function a.b:m() end",
            &[(1, "f"), (1, "a.b.c"), (1, "a.b:m")],
        );
        check("local function g()\nend\n\nlocal function h() end", &[(1, "g"), (4, "h")]);
    }

    #[test]
    fn assignments() {
        check("x.y = function() end", &[(1, "x.y")]);
        check("local f = function() end", &[(1, "f")]);
        check("local f <const> = function() end", &[(1, "f")]);
        check("a, b.c = 1, function() end", &[(1, "b.c")]);
        check("a.b['c d'].e = function() end", &[(1, "a.b.c d.e")]);
        check("t[i] = function() end", &[(1, "t[i]")]);
        check("t[1] = function() end", &[(1, "t[1]")]);
    }

    #[test]
    fn constructors() {
        check(
            "return {\n  one = function() end,\n  ['two'] = function() end,\n  function() end,\n  a = b, three = function() end }",
            &[(2, "one"), (3, "two"), (5, "three")],
        );
    }

    #[test]
    fn arguments_have_no_name() {
        check("call(function() end) call(x, function() end) return function() end", &[]);
        check("if a == function() end then end", &[]);
    }

    #[test]
    fn strings_and_comments_define_nothing() {
        check(
            "-- function a() end\n--[[ function b()\n end ]] s = 'function c() end' s = [==[ ]] function d() ]==]",
            &[],
        );
        check("s = \"\\\"function a() end\" function real() end", &[(1, "real")]);
        check("s = 'a\\\nb' function real() end", &[(2, "real")]);
        check("s = 'a\\z \n\n b' function real() end", &[(3, "real")]);
        check("#!/usr/bin/lua function x()\nfunction real() end", &[(2, "real")]);
        check("--[==[\n]]\n]==] function real() end", &[(3, "real")]);
        check("x = 3..function_name function real() end", &[(1, "real")]);
    }

    #[test]
    fn line_breaks_count_as_in_lua() {
        check("\r\n\n\r\n\rfunction real() end", &[(4, "real")]);
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(source in proptest::collection::vec(proptest::prop_oneof![
            proptest::prelude::any::<u8>(),
            proptest::sample::select(&b"function=[],.:'\"\\z\n\r-<>const a"[..]),
        ], 0..200)) {
            definitions(&source);
        }

        #[test]
        fn tokens_in_any_order_never_panic(words in proptest::collection::vec(proptest::sample::select(
            &["function ", "a", ".", ":", "=", ",", "[", "]", "'s'", "<", "const", ">", "1", "(", "[[", "]]", "--", "\n"][..]
        ), 0..60)) {
            definitions(words.concat().as_bytes());
        }
    }
}
