//! What tells one Lua from another.

use std::fmt;

/// A Lua that is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LuaVersion {
    /// PUC-Rio's 5.1.
    V51,
    /// PUC-Rio's 5.2.
    V52,
    /// PUC-Rio's 5.3.
    V53,
    /// PUC-Rio's 5.4.
    V54,
    /// LuaJIT 2, whose interface is 5.1's and more.
    LuaJit,
}

impl LuaVersion {
    /// As people write it: `Lua 5.4`, `LuaJIT`.
    pub fn name(self) -> &'static str {
        self.marks().name
    }

    fn marks(self) -> &'static Marks {
        match self {
            Self::V51 => &MARKS[0],
            Self::V52 => &MARKS[1],
            Self::V53 => &MARKS[2],
            Self::V54 => &MARKS[3],
            Self::LuaJit => &MARKS[4],
        }
    }
}

impl fmt::Display for LuaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Functions that a version must have, has one of, and must not have.
struct Marks {
    version: LuaVersion,
    name: &'static str,
    all: &'static [&'static str],
    any: &'static [&'static str],
    none: &'static [&'static str],
}

const SINCE_54: &[&str] = &["lua_toclose", "lua_closeslot", "lua_setwarnf"];
const JIT: &[&str] = &["luaJIT_setmode", "luaJIT_profile_start"];

const MARKS: &[Marks] = &[
    Marks {
        version: LuaVersion::V51,
        name: "Lua 5.1",
        all: &["lua_newstate", "lua_call", "lua_pcall", "lua_getfenv"],
        any: &[],
        none: &["lua_callk", "lua_pcallk", "luaJIT_setmode", "luaJIT_profile_start"],
    },
    Marks {
        version: LuaVersion::V52,
        name: "Lua 5.2",
        all: &["lua_newstate", "lua_callk", "lua_pcallk", "lua_getctx"],
        any: &[],
        none: &["lua_rotate"],
    },
    Marks {
        version: LuaVersion::V53,
        name: "Lua 5.3",
        all: &["lua_newstate", "lua_callk", "lua_pcallk", "lua_rotate", "lua_isyieldable"],
        any: &[],
        none: &["lua_getctx", "lua_toclose", "lua_closeslot", "lua_setwarnf"],
    },
    Marks {
        version: LuaVersion::V54,
        name: "Lua 5.4",
        all: &["lua_newstate", "lua_callk", "lua_pcallk", "lua_rotate", "lua_isyieldable"],
        any: SINCE_54,
        none: &["lua_getctx"],
    },
    Marks {
        version: LuaVersion::LuaJit,
        name: "LuaJIT",
        all: &["lua_newstate", "lua_call", "lua_pcall"],
        any: JIT,
        none: &["lua_callk", "lua_pcallk"],
    },
];

/// Functions of relatives that would else be taken for one of the above.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    ("Lua 5.5", &["lua_numbertocstring", "luaL_makeseed", "luaL_openselectedlibs"]),
    ("Luau", &["luau_load", "lua_setreadonly"]),
];

/// A Lua that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which one it is, if that is known.
    pub known: Option<&'static str>,
    /// Functions it has that tell versions apart.
    pub seen: Vec<&'static str>,
    /// Functions it lacks that tell versions apart.
    pub missing: Vec<&'static str>,
    /// The release it claims to be, where its functions say another.
    pub claims: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        match (self.known, &self.claims) {
            (Some(known), Some(claims)) => {
                write!(f, "it has the functions of {known} but calls itself Lua {claims}")
            }
            (Some(known), None) => {
                write!(
                    f,
                    "{known} is not supported, only Lua 5.1 to 5.4 and LuaJIT (it has {})",
                    list(&self.seen)
                )
            }
            (None, _) => write!(
                f,
                "no version of Lua that is known: of the functions that tell versions apart it has {}, and lacks {}",
                list(&self.seen),
                list(&self.missing)
            ),
        }
    }
}

/// The one version whose marks fit.
pub(super) fn decide(has: &dyn Fn(&str) -> bool) -> Result<LuaVersion, Refusal> {
    let refused = |known, seen, missing| Err(Refusal { known, seen, missing, claims: None });
    for (name, functions) in UNSUPPORTED {
        let seen: Vec<_> = functions.iter().copied().filter(|function| has(function)).collect();
        if !seen.is_empty() {
            return refused(Some(*name), seen, Vec::new());
        }
    }
    let mut fitting = MARKS.iter().filter(|marks| {
        marks.all.iter().all(|name| has(name))
            && (marks.any.is_empty() || marks.any.iter().any(|name| has(name)))
            && !marks.none.iter().any(|name| has(name))
    });
    if let (Some(marks), None) = (fitting.next(), fitting.next()) {
        return Ok(marks.version);
    }
    let mut names: Vec<&str> =
        MARKS.iter().flat_map(|marks| marks.all.iter().chain(marks.any).copied()).collect();
    names.sort_unstable();
    names.dedup();
    let (seen, missing) = names.into_iter().partition(|name| has(name));
    refused(None, seen, missing)
}

/// The release in a Lua's own words must be of the version that its functions say.
pub(super) fn check_release(version: LuaVersion, release: Option<&str>) -> Result<(), Refusal> {
    let number = version.name().strip_prefix("Lua ").unwrap_or_default();
    match release {
        Some(claims) if !claims.starts_with(number) => Err(Refusal {
            known: Some(version.name()),
            seen: Vec::new(),
            missing: Vec::new(),
            claims: Some(claims.to_owned()),
        }),
        _ => Ok(()),
    }
}

/// What each Lua has in its read-only data, up to the release's number.
const TEXTS: &[&str] = &["$LuaVersion: Lua ", "$Lua: Lua "];

/// The release in the text at the beginning of `bytes`, as `5.4.4`.
pub(super) fn release_of(bytes: &[u8]) -> Option<String> {
    let rest = TEXTS.iter().find_map(|text| bytes.strip_prefix(text.as_bytes()))?;
    number(rest)
}

fn number(bytes: &[u8]) -> Option<String> {
    let len = bytes.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    (len > 0 && len < 16).then(|| String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// The first text anywhere in `bytes` by which a Lua gives itself away though it has no symbols: `Lua 5.4.4`.
pub(super) fn text_in(bytes: &[u8]) -> Option<String> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|byte| matches!(byte, b'$' | b'L'))?;
        let here = &bytes[at..];
        if let Some(release) = release_of(here) {
            return Some(format!("Lua {release}"));
        }
        if let Some(release) = here.strip_prefix(b"LuaJIT ").and_then(number) {
            return Some(format!("LuaJIT {release}"));
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(functions: &str, expected: Result<LuaVersion, &str>) {
        let functions: Vec<&str> = functions.split_whitespace().collect();
        let decided = decide(&|name| functions.contains(&name)).map_err(|refusal| refusal.to_string());
        match (&decided, expected) {
            (Err(text), Err(part)) => assert!(text.contains(part), "{functions:?}: {text}"),
            _ => assert_eq!(decided.as_ref().ok(), expected.as_ref().ok(), "{functions:?}: {decided:?}"),
        }
    }

    const K: &str = "lua_newstate lua_callk lua_pcallk";

    #[test]
    fn versions_are_told_by_their_functions() {
        check("lua_newstate lua_call lua_pcall lua_getfenv", Ok(LuaVersion::V51));
        check("lua_newstate lua_call lua_pcall lua_getfenv luaJIT_setmode", Ok(LuaVersion::LuaJit));
        check(&format!("{K} lua_getctx"), Ok(LuaVersion::V52));
        check(&format!("{K} lua_rotate lua_isyieldable"), Ok(LuaVersion::V53));
        check(&format!("{K} lua_rotate lua_isyieldable lua_toclose"), Ok(LuaVersion::V54));
        check(&format!("{K} lua_rotate lua_isyieldable lua_setwarnf"), Ok(LuaVersion::V54));
    }

    #[test]
    fn others_are_refused_with_what_was_seen() {
        check(
            &format!("{K} lua_rotate lua_isyieldable lua_toclose lua_numbertocstring"),
            Err("Lua 5.5 is not supported, only Lua 5.1 to 5.4 and LuaJIT (it has lua_numbertocstring)"),
        );
        check("lua_newstate lua_call lua_pcall luau_load", Err("Luau is not supported"));
        check(K, Err("it has lua_callk, lua_newstate, lua_pcallk, and lacks luaJIT_profile_start"));
        check("lua_gettop", Err("it has none, and lacks"));
    }

    #[test]
    fn a_release_must_fit_the_functions() {
        assert_eq!(release_of(b"$LuaVersion: Lua 5.4.4  Copyright").as_deref(), Some("5.4.4"));
        assert_eq!(release_of(b"$Lua: Lua 5.1.5 Copyright").as_deref(), Some("5.1.5"));
        assert_eq!(release_of(b"$LuaVersion: Lua "), None);
        assert!(check_release(LuaVersion::V54, Some("5.4.4")).is_ok());
        let refusal = check_release(LuaVersion::V53, Some("5.4.4")).unwrap_err();
        assert_eq!(refusal.to_string(), "it has the functions of Lua 5.3 but calls itself Lua 5.4.4");
    }

    #[test]
    fn a_stripped_lua_gives_itself_away() {
        assert_eq!(text_in(b"xx$L$LuaVersion: Lua 5.3.6  C").as_deref(), Some("Lua 5.3.6"));
        assert_eq!(text_in(b"\0LuaJIT 2.1.0-beta3\0").as_deref(), Some("LuaJIT 2.1.0"));
        assert_eq!(text_in(b"Lua LuaJIT $Lua"), None);
        assert_eq!(text_in(b""), None);
    }
}
