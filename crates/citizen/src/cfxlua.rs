//! CfxLua, the Lua that FXServer runs, as plain Lua 5.4: what LuaGLM added to the syntax is rewritten, token by token.
//!
//! Every token stays on its line, so errors and profiles point at the lines of the user's file. A source that uses
//! none of it is given back as it is, after one look at its tokens.
//!
//! | CfxLua | becomes |
//! |---|---|
//! | `` `adder` `` | `(-1216765807)`, the hash of the lower-cased text, signed |
//! | `n += e` (`-= *= /= <<= >>= &= \|= ^=`, and `//= %= ..=`) | `n = n + (e)` |
//! | `t[f()].x += e` | `do local v = t[f()] v.x = v.x + (e) end` |
//! | `a?.b.c(x)` | `(a and a.b.c(x))` |
//! | `f()?.x?[k]` | `(function() local v = f() v = v and v.x return v and v[k] end)()` |
//! | `f()?.x = e`, and calls as statements | `do local v = f() if v then v.x = e end end` |
//! | `local a, b in t` | `local a, b = t; a, b = a.a, a.b` |
//! | `{ .a, [k] }` | `{ a = true, [k] = true }` |
//! | `/* … */` | a space, and its line breaks |
//!
//! # Guarantees
//! - What plain Lua 5.4 accepts is given back unchanged: each piece of the syntax above is an error there.
//! - What is neither is left to Lua, which then finds the error on its line. Errors of our own are about what only
//!   CfxLua has.
//! - Linear in the size of the source; nesting is limited as Lua limits it.
//!
//! # How
//! `lexer` finds the tokens and replaces what is one token; `parser` walks the grammar to know where expressions and
//! statements begin and end, `chain` and `assign` rewrite what takes more than a token. All of them only note
//! `Edits`: pieces of text to put in place of, or between, those of the source.
//!
//! # Source
//! The behaviour is that of the VM FXServer pins (LuaGLM 5.4.8): a falsy value ends a chain and is its value, a chain
//! with `?` has one value, a statement whose first `?` finds nothing is skipped whole, `^=` is bitwise exclusive or.

mod assign;
mod chain;
mod edits;
mod lexer;
mod names;
mod parser;

use std::borrow::Cow;

use edits::Edits;
use lexer::{Kind, Lexer};

pub(crate) use names::{Argument, Names, Use, names};

/// What is wrong with a piece of CfxLua's own syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {message}")]
#[non_exhaustive]
pub struct Error {
    /// The line, from 1.
    pub line: u32,
    /// What was expected, near what.
    pub message: String,
}

/// Plain Lua that does what `source` does, line by line.
///
/// # Errors
/// Of what only CfxLua has: a hash or C comment without an end, a `?` with nothing to navigate to, a name that `in`
/// cannot unpack.
///
/// ```
/// let plain = tickscope_citizen::cfxlua::rewrite(b"local hash = `adder`")?;
/// assert_eq!(&*plain, b"local hash = (-1216765807)");
/// # Ok::<(), tickscope_citizen::cfxlua::Error>(())
/// ```
pub fn rewrite(source: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let mut lexer = Lexer::new(source);
    if has_structure(&mut lexer) {
        return parser::rewrite(source).map(Cow::Owned);
    }
    if lexer.edits.is_empty() {
        return Ok(Cow::Borrowed(source));
    }
    Ok(Cow::Owned(lexer.edits.apply(source)))
}

/// Whether there is syntax that a look at single tokens cannot rewrite.
fn has_structure(lexer: &mut Lexer<'_>) -> bool {
    let mut before = Kind::Eof;
    // between `for` and its `in`
    let mut header = false;
    // of each open bracket: whether it is the key of a constructor
    let mut brackets = Vec::new();
    loop {
        let token = lexer.next();
        let opens_field = matches!(before, Kind::OpenBrace | Kind::Comma | Kind::Semicolon);
        if before == Kind::CloseBracket && brackets.pop() == Some(true) && token.kind != Kind::Equals {
            return true;
        }
        match token.kind {
            Kind::Compound | Kind::Question | Kind::Bad => return true,
            Kind::Eof => return false,
            Kind::In if !header => return true,
            Kind::Dot if opens_field => return true,
            Kind::OpenBracket => brackets.push(opens_field),
            _ => {}
        }
        header = match token.kind {
            Kind::For => true,
            Kind::Name | Kind::Comma => header,
            _ => false,
        };
        before = token.kind;
    }
}

/// The name of a chunk as Lua writes it in front of a line: `@file` without its sign, text as `[string "…"]`.
pub(crate) fn chunk_name(name: &[u8]) -> Vec<u8> {
    const SIZE: usize = 59;
    match name {
        [b'=', rest @ ..] => rest[..rest.len().min(SIZE)].to_vec(),
        [b'@', rest @ ..] if rest.len() <= SIZE => rest.to_vec(),
        [b'@', rest @ ..] => [b"...", &rest[rest.len() - (SIZE - 3)..]].concat(),
        _ => {
            let room = SIZE - b"[string \"...\"]".len();
            let line = name.split(|byte| *byte == b'\n').next().unwrap_or_default();
            match line.len() == name.len() && name.len() <= room {
                true => [b"[string \"", name, b"\"]"].concat(),
                false => [b"[string \"", &line[..line.len().min(room)], b"...\"]"].concat(),
            }
        }
    }
}

/// A message of Lua without the names of variables that the source does not have.
pub(crate) fn without_own_variables(message: &str) -> String {
    const OPENING: &str = " (local '__cfx";
    let mut out = String::new();
    let mut rest = message;
    while let Some(at) = rest.find(OPENING) {
        let behind = rest[at + OPENING.len()..].trim_start_matches('_');
        let behind = behind.strip_prefix('k').unwrap_or(behind);
        match behind.strip_prefix("')") {
            Some(behind) => {
                out += &rest[..at];
                rest = behind;
            }
            None => {
                let (shown, behind) = rest.split_at(at + OPENING.len());
                out += shown;
                rest = behind;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests;
