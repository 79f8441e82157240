//! Any program.

use std::path::Path;

use mlua::Lua;
use proptest::prelude::*;

use super::super::lexer::{Kind, Lexer};
use super::super::{Cow, parser, rewrite};
use super::programs::{Program, Tape};

/// Whether plain Lua takes the source.
fn compiles(source: &[u8]) -> bool {
    Lua::new().load(source).set_mode(mlua::chunk::ChunkMode::Text).into_function().is_ok()
}

/// What a program looked up, set and called in objects that tell, what it gave out, and whether it failed.
fn trace(source: &str) -> Vec<String> {
    let lua = Lua::new();
    let script = r##"
        local source = ...
        local log, names = {}, {}
        local function say(text) log[#log + 1] = text end
        local function describe(value)
            if type(value) == 'table' then return names[value] or 'table' end
            if type(value) == 'function' then return 'function' end
            return tostring(value)
        end
        local function operator(name) return function(l, r) say(name .. describe(l) .. describe(r)) return 7 end end
        local function object(name, depth)
            local store, self = { n = 1 }, {}
            names[self] = name
            if depth > 0 then
                store.x = object(name .. '.x', depth - 1)
                store.f = function(...) say('call ' .. name .. ' ' .. select('#', ...)) return depth ~= 2 and store.x or nil, 2 end
            end
            return setmetatable(self, {
                __add = operator '+', __sub = operator '-', __concat = operator '..',
                __band = operator '&', __bxor = operator '~',
                __index = function(_, key) say('get ' .. name .. ' ' .. describe(key)) return store[key] end,
                __newindex = function(_, key, value)
                    say('set ' .. name .. ' ' .. describe(key) .. ' ' .. describe(value))
                    store[key] = value
                end,
            })
        end
        function seen(id, ...) say('seen ' .. id) return ... end
        function out(...) say('out ' .. describe((...)) .. ' ' .. select('#', ...)) end
        b = object('b', 3)
        local chunk = assert(load('local a, c = ... ' .. source, '=t'))
        local fine = pcall(chunk, object('a', 3), object('c', 2))
        say(fine and 'ended' or 'failed')
        return log
    "##;
    lua.load(script).call(source).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// The tokens with random blanks, comments and line breaks between them.
fn spread(tokens: &[String], tape: &mut Tape<'_>) -> String {
    const GAPS: [&str; 10] =
        [" ", " ", " ", " ", "\n", "\r\n", " /* += */ ", "/*\n`*/", " -- ?.\n", "--[[\n]]"];
    tokens.iter().flat_map(|token| [token.as_str(), GAPS[tape.pick(GAPS.len())]]).collect()
}

/// The names on each line.
fn names(source: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut lexer = Lexer::new(source);
    let mut lines = vec![Vec::new()];
    let mut done = 0;
    loop {
        let token = lexer.next();
        let breaks = source[done..token.start].iter().filter(|byte| **byte == b'\n').count();
        done = token.start;
        lines.extend(std::iter::repeat_n(Vec::new(), breaks));
        match token.kind {
            Kind::Eof => return lines,
            Kind::Name => lines.last_mut().unwrap().push(&source[token.start..token.end]),
            _ => {}
        }
    }
}

/// Every name of the source is on its line still, in order.
#[track_caller]
fn check_lines(source: &[u8], rewritten: &[u8]) {
    let (before, after) = (names(source), names(rewritten));
    assert_eq!(before.len(), after.len(), "lines of {}", String::from_utf8_lossy(rewritten));
    for (line, (before, after)) in before.iter().zip(&after).enumerate() {
        let mut rest = after.iter();
        for name in before {
            assert!(
                rest.any(|other| other == name),
                "line {}: {}",
                line + 1,
                String::from_utf8_lossy(rewritten)
            );
        }
    }
}

const TOKENS: &[&str] = &[
    "a", "b", "f", "1", "'s'", "`h`", "`h", "(", ")", "[", "]", "{", "}", "?", ".", ":", "::", ",", ";", "=",
    "+=", "..=", "+", "-", "..", "...", "<", ">", "==", "#", "not", "and", "local", "in", "for", "do", "end",
    "if", "then", "else", "while", "repeat", "until", "function", "return", "break", "goto", "const", "nil",
    "/*", "*/", "--", "--[[", "]]", "\n", "[[", "\\", "\"", "__cfx",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn programs_mean_what_they_say(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut tape = Tape::new(&bytes);
        let program = Program::new(&mut tape);
        let source = spread(&program.tokens(), &mut tape);
        let rewritten = rewrite(source.as_bytes()).unwrap_or_else(|error| panic!("{source}: {error}"));
        check_lines(source.as_bytes(), &rewritten);
        prop_assert!(parser::is_whole(source.as_bytes()));
        let text = std::str::from_utf8(&rewritten).unwrap();
        prop_assert_eq!(trace(text), trace(&program.plain()), "{}\nas {}", source, text);
    }

    /// A walk that gives up early must not leave a program that Lua takes.
    #[test]
    fn broken_programs_stay_broken(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        token in proptest::sample::select(TOKENS),
        replace in any::<bool>(),
    ) {
        let mut tape = Tape::new(&bytes);
        let mut tokens = Program::new(&mut tape).tokens();
        let at = at.index(tokens.len() + 1);
        if replace && at < tokens.len() { tokens[at] = token.into() } else { tokens.insert(at, token.into()) }
        let source = spread(&tokens, &mut tape);
        check_any(source.as_bytes());
    }

    #[test]
    fn tokens_in_any_order(tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 0..40)) {
        check_any(tokens.join(" ").as_bytes());
        check_any(tokens.concat().as_bytes());
    }

    #[test]
    fn garbage_never_panics(source in proptest::collection::vec(prop_oneof![
        any::<u8>(),
        proptest::sample::select(&b"`?.:[](){}=+-/*'\"\\zux{}09af\n\r<>~, in"[..]),
    ], 0..200)) {
        check_any(&source);
    }
}

/// What holds for any bytes.
fn check_any(source: &[u8]) {
    let lua_takes_it = compiles(source);
    match rewrite(source) {
        Ok(text) => {
            let breaks = |text: &[u8]| text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            assert_eq!(breaks(&text), breaks(source));
            assert!(!lua_takes_it || matches!(text, Cow::Borrowed(_)), "changed plain Lua");
            if matches!(text, Cow::Owned(_)) && !parser::is_whole(source) {
                assert!(!compiles(&text), "left to Lua, which takes it: {}", String::from_utf8_lossy(&text));
            }
        }
        Err(error) => {
            let lines = source.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u32 + 1;
            assert!((1..=lines).contains(&error.line) && !error.message.is_empty());
            assert!(!lua_takes_it, "refused plain Lua");
        }
    }
}

/// Every Lua file of this repository that plain Lua takes.
#[test]
fn real_files_are_given_back() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && !matches!(name.to_str(), Some("target" | ".git" | "node_modules")) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lua") {
                let source = std::fs::read(&path).unwrap();
                if compiles(&source) {
                    assert!(matches!(rewrite(&source), Ok(Cow::Borrowed(_))), "{}", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 10, "{seen} files");
}

/// Sizes at which time that grows with the square would show, and nesting that would use up the stack.
#[test]
fn hostile_sources_end() {
    for piece in [
        "a?.b(",
        "a[",
        "{",
        "(",
        "function() ",
        "do ",
        "if a then ",
        "a?.b?.c?.d",
        "x += ",
        "local a in ",
        "{.a,",
        "__cfx_",
        "`",
        "/*",
        "[=[",
        "not ",
        "a.b.c += 1 ",
        "f{",
        "a?",
        "[[",
        "a, ",
    ] {
        let source = piece.repeat(100_000);
        let _ = rewrite(source.as_bytes());
        let _ = rewrite([b"x += 1 ", source.as_bytes()].concat().as_slice());
    }
}
