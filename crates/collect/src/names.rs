//! How the probe names what it measures: `event shops:open @shops/server/main.lua:88`.

use tickscope_core::{CategoryId, Runtime, SymbolRef};

/// A name taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) symbol: SymbolRef<'a>,
    pub(crate) category: CategoryId,
    /// A call of something elsewhere, whose slice lies within.
    pub(crate) call: bool,
}

impl<'a> Named<'a> {
    /// What `name` says in `resource`.
    pub(crate) fn parse(resource: &'a str, name: &'a str) -> Self {
        let (kind, rest) = name.split_once(' ').unwrap_or((name, ""));
        let category = match kind {
            "thread" => CategoryId::THREAD,
            "timer" => CategoryId::TIMER,
            "event" => CategoryId::EVENT,
            "export" => CategoryId::EXPORT,
            "command" => CategoryId::COMMAND,
            "state_bag" => CategoryId::STATE_BAG,
            "http" => CategoryId::HTTP,
            "call" | "trigger" | "native" => {
                let name = if kind == "native" { rest } else { name };
                let symbol = SymbolRef { runtime: Runtime::Native, resource, name, file: "", line: 0 };
                return Self { symbol, category: CategoryId::NATIVE, call: true };
            }
            _ => {
                let symbol = SymbolRef { runtime: Runtime::Lua, resource, name, file: "", line: 0 };
                return Self { symbol, category: CategoryId::SCOPE, call: false };
            }
        };
        // threads and timers have a place for a name
        let (called, place) = match rest.rfind(" @") {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None if matches!(kind, "thread" | "timer") || rest.starts_with('@') => ("", rest),
            None => (rest, ""),
        };
        let (file, line) = match place.rsplit_once(':').map(|(file, line)| (file, line.parse())) {
            Some((file, Ok(line))) => (file, line),
            _ => ("", 0),
        };
        let own = file.strip_prefix('@').and_then(|file| file.strip_prefix(resource)?.strip_prefix('/'));
        let name = if called.is_empty() { rest } else { called };
        let symbol = SymbolRef { runtime: Runtime::Lua, resource, name, file: own.unwrap_or(file), line };
        Self { symbol, category, call: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: (CategoryId, &str, &str, u32)) {
        let Named { symbol, category, .. } = Named::parse("shops", name);
        assert_eq!((category, symbol.name, symbol.file, symbol.line), expected);
    }

    #[test]
    fn names_are_taken_apart() {
        check("event shops:open @shops/main.lua:88", (CategoryId::EVENT, "shops:open", "main.lua", 88));
        check("event a @b @lib/x.lua:2", (CategoryId::EVENT, "a @b", "@lib/x.lua", 2));
        check("thread @shops/a b.lua:1", (CategoryId::THREAD, "@shops/a b.lua:1", "a b.lua", 1));
        check("thread [string \"x\"]:3", (CategoryId::THREAD, "[string \"x\"]:3", "[string \"x\"]", 3));
        check("call bank.take", (CategoryId::NATIVE, "call bank.take", "", 0));
        check("native GetPlayerPed", (CategoryId::NATIVE, "GetPlayerPed", "", 0));
        check("other <other>", (CategoryId::SCOPE, "other <other>", "", 0));
        check("event x", (CategoryId::EVENT, "x", "", 0));
        check("event", (CategoryId::EVENT, "", "", 0));
    }
}
