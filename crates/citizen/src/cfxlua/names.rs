//! The global names that a source speaks of, found by the walk over its grammar: nothing runs.
//!
//! Local variables are told from globals by their scopes. What a source does with names it computes (`_G[name]`, `load`)
//! is not seen.

use std::collections::BTreeSet;

use super::lexer::{Kind, Token};
use super::parser::Parser;

/// Links of a path that are kept: `exports`, the resource, the export.
const MAX_PATH: usize = 3;

/// A global that is read, with the fields that are looked up in it by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// `GetPlayers`, or `exports`, `chat`, `addMessage`.
    pub(crate) path: Vec<String>,
    /// From 1.
    pub(crate) line: u32,
    /// Whether what the path leads to is called.
    pub(crate) called: bool,
    /// The first argument of that call, if it is text or a whole number written there.
    pub(crate) argument: Option<Argument>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    Text(String),
    Number(u64),
}

/// What a source says about globals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// In the order of the source.
    pub(crate) uses: Vec<Use>,
    /// Globals that are given a value, fields of globals as `table.name`.
    pub(crate) sets: BTreeSet<String>,
}

/// The names in a source, up to where it stops being Lua.
pub(crate) fn names(source: &[u8]) -> Names {
    let observer = Parser::observe(source);
    let starts = line_starts(source);
    let mut names = Names::default();
    for seen in observer.seen {
        let mut path = seen.path;
        // `_G.name` is `name`
        if path.len() > 1 && matches!(&*path[0], "_G" | "_ENV") {
            path.remove(0);
        }
        if seen.written {
            names.sets.insert(path.join("."));
            continue;
        }
        let line = starts.partition_point(|start| *start <= seen.at);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        names.uses.push(Use { path, line, called: seen.called, argument: seen.argument });
    }
    names
}

/// Where lines begin, as Lua counts them: `\r\n` and `\n\r` are one break.
fn line_starts(source: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut at = 0;
    while at < source.len() {
        let byte = source[at];
        at += 1;
        if matches!(byte, b'\n' | b'\r') {
            if source.get(at).is_some_and(|next| matches!(next, b'\n' | b'\r') && *next != byte) {
                at += 1;
            }
            starts.push(at);
        }
    }
    starts
}

/// A global that was met.
struct Seen {
    path: Vec<String>,
    at: usize,
    called: bool,
    argument: Option<Argument>,
    written: bool,
    /// The path goes on with the next link.
    open: bool,
}

/// Notes names while the parser walks.
#[derive(Default)]
pub(super) struct Observer<'s> {
    /// Local variables in scope, those of the functions around too.
    scope: Vec<&'s [u8]>,
    seen: Vec<Seen>,
}

/// A name that was met; `None` for a local, or when nobody observes.
pub(super) type Met = Option<usize>;

impl<'s> Parser<'s> {
    fn observe(source: &'s [u8]) -> Observer<'s> {
        let mut parser = Self::new(source);
        parser.observer = Some(Box::default());
        // what is no Lua is told by whoever loads it
        let _ = parser.chunk();
        parser.observer.take().map(|observer| *observer).unwrap_or_default()
    }

    /// Names of local variables that are in scope from here on.
    pub(super) fn name_locals(&mut self, names: &[&'s [u8]]) {
        if let Some(observer) = &mut self.observer {
            observer.scope.extend(names);
        }
    }

    /// A scope begins; give what this answers to [`Parser::forget_locals`] when it ends.
    pub(super) fn named_locals(&self) -> usize {
        self.observer.as_ref().map_or(0, |observer| observer.scope.len())
    }

    pub(super) fn forget_locals(&mut self, named: usize) {
        if let Some(observer) = &mut self.observer {
            observer.scope.truncate(named);
        }
    }

    /// A chain begins with `name`.
    pub(super) fn meet(&mut self, name: Token) -> Met {
        let text = self.text(name);
        let observer = self.observer.as_mut()?;
        if observer.scope.iter().rev().any(|local| *local == text) {
            return None;
        }
        let path = vec![String::from_utf8_lossy(text).into_owned()];
        let at = name.start;
        observer.seen.push(Seen { path, at, called: false, argument: None, written: false, open: true });
        Some(observer.seen.len() - 1)
    }

    fn met(&mut self, met: Met) -> Option<&mut Seen> {
        let seen = self.observer.as_mut()?.seen.get_mut(met?)?;
        seen.open.then_some(seen)
    }

    /// The chain goes on with a field: a name or text in brackets; any other key ends what is known of it.
    pub(super) fn meet_field(&mut self, met: Met, key: Option<Token>) {
        if met.is_none() {
            return;
        }
        let name = key.and_then(|key| match key.kind {
            Kind::Name => Some(String::from_utf8_lossy(self.text(key)).into_owned()),
            Kind::Text => unquoted(self.text(key)),
            _ => None,
        });
        let Some(seen) = self.met(met) else { return };
        match name {
            Some(name) if seen.path.len() < MAX_PATH => seen.path.push(name),
            _ => seen.open = false,
        }
    }

    /// The chain is called: the current token begins the arguments.
    pub(super) fn meet_call(&mut self, met: Met) {
        if met.is_none() {
            return;
        }
        let argument = self.first_argument();
        let Some(seen) = self.met(met) else { return };
        seen.called = true;
        seen.argument = argument;
        seen.open = false;
    }

    /// The chain is given a value.
    pub(super) fn meet_assignment(&mut self, met: Met) {
        if let Some(seen) = self.met(met) {
            seen.written = true;
        }
    }

    fn first_argument(&mut self) -> Option<Argument> {
        let first = match self.token.kind {
            Kind::Text => return unquoted(self.text(self.token)).map(Argument::Text),
            Kind::OpenParen => self.peek_token(),
            _ => return None,
        };
        let behind = self.source.get(first.end..).unwrap_or_default();
        let end = behind.iter().find(|byte| !byte.is_ascii_whitespace());
        if !matches!(end, Some(b',' | b')')) {
            return None; // it goes on
        }
        let text = self.text(first);
        match first.kind {
            Kind::Text => unquoted(text).map(Argument::Text),
            Kind::Number => {
                let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
                let number = match text.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16),
                    None => text.parse(),
                };
                number.ok().map(Argument::Number)
            }
            _ => None,
        }
    }
}

/// The text of a plain string in quotes, without escapes.
fn unquoted(text: &[u8]) -> Option<String> {
    let (first, last) = (text.first()?, text.last()?);
    if text.len() < 2 || first != last || !matches!(first, b'"' | b'\'') {
        return None;
    }
    let inner = &text[1..text.len() - 1];
    let plain = !inner.contains(&b'\\');
    plain.then(|| String::from_utf8_lossy(inner).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses as `path:line`, with `()` for calls and the first argument in it; then what is set.
    #[track_caller]
    fn check(source: &str, uses: &[&str], sets: &[&str]) {
        let names = names(source.as_bytes());
        let shown = |used: &Use| {
            let argument = match &used.argument {
                Some(Argument::Text(text)) => text.clone(),
                Some(Argument::Number(number)) => format!("{number:#x}"),
                None => String::new(),
            };
            let call = if used.called { format!("({argument})") } else { String::new() };
            format!("{}{call}:{}", used.path.join("."), used.line)
        };
        assert_eq!(names.uses.iter().map(shown).collect::<Vec<_>>(), uses, "{source}");
        assert_eq!(names.sets.iter().collect::<Vec<_>>(), sets, "{source}");
    }

    #[test]
    fn globals_are_told_from_locals() {
        check("local a = a\na = b; c = a", &["a:1", "b:2"], &["c"]);
        check("local function f(x) return f(x), y end f() g()", &["y:1", "g():1"], &[]);
        check("local f = function() return f end", &["f:1"], &[]);
        check(
            "for i, v in pairs(t) do print(i, v) end print(i)",
            &["pairs():1", "t:1", "print():1", "print():1", "i:1"],
            &[],
        );
        check("for i = i, 2 do j = i end", &["i:1"], &["j"]);
        check("do local a = 1 end return a", &["a:1"], &[]);
        check("repeat local done = f() until done\nreturn done", &["f():1", "done:2"], &[]);
        check(
            "function o.m() end function o:n() return self end function g() return self end",
            &["self:1"],
            &["g", "o.m", "o.n"],
        );
        check("if x then local y = 1 elseif y then return y end", &["x:1", "y:1", "y:1"], &[]);
        check("local a, b in t\r\nreturn a, b, c", &["t:1", "c:2"], &[]);
        check("local x <const>, y <close> = 1, x return x, y", &["x:1"], &[]);
        check("goto done ::done:: t = { key = 1, [k] = v, .set }", &["k:1", "v:1"], &["t"]);
    }

    #[test]
    fn paths_calls_and_arguments_are_kept() {
        check("exports['chat']:add(1)", &["exports.chat.add(0x1):1"], &[]);
        check("exports.a.b('x').c.d = 5", &["exports.a.b(x):1"], &[]);
        check("exports('name', function() end)", &["exports(name):1"], &[]);
        check("exports('a' .. b)", &["exports():1", "b:1"], &[]);
        check("exports[name]:f() x[1].y()", &["exports:1", "name:1", "x:1"], &[]);
        check(
            "require 'glm'\nCitizen.InvokeNative(0xAF35D0D2583051B0, `m`)",
            &["require(glm):1", "Citizen.InvokeNative(0xaf35d0d2583051b0):2"],
            &[],
        );
        check("a?.b?.c(x)", &["a.b.c():1", "x:1"], &[]);
        check("_G.f(1) _ENV['g'] = 2 _G[h] = 3", &["f(0x1):1", "_G:1", "h:1"], &["g"]);
        check("table.size = 1; a.b, c = 1, 2; d += e", &["d:1", "e:1"], &["a.b", "c", "table.size"]);
        check("print(\"a\\nb\") print [[x]]", &["print():1", "print():1"], &[]);
    }

    #[test]
    fn what_is_no_lua_is_read_up_to_there() {
        check("f()\ng( = h", &["f():1", "g():2"], &[]);
        check("\u{1b}Lua", &[], &[]);
    }
}
