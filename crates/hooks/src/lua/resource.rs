//! What hosts call their scripts, from the names that they give to chunks.

use std::collections::HashMap;

use tickscope_core::escape;

/// A rule: what a chunk's name begins with and contains, and what of it is the script's name.
struct Rule {
    /// What the name begins with.
    begins: &'static str,
    /// What stands directly before the script's name.
    before: &'static str,
    /// What stands directly behind it; the end of the chunk's name when empty.
    behind: &'static str,
}

/// The first that fits decides.
const RULES: &[Rule] = &[
    // Prosody: modules, plain or in a folder of their own.
    Rule { begins: "@", before: "/mod_", behind: ".lua" },
    // nginx: `=content_by_lua(nginx.conf:12)`, before that `=(content_by_lua…`; the phase and where it stands.
    Rule { begins: "=access_by_lua", before: "=", behind: "" },
    Rule { begins: "=balancer_by_lua", before: "=", behind: "" },
    Rule { begins: "=body_filter_by_lua", before: "=", behind: "" },
    Rule { begins: "=content_by_lua", before: "=", behind: "" },
    Rule { begins: "=header_filter_by_lua", before: "=", behind: "" },
    Rule { begins: "=init_by_lua", before: "=", behind: "" },
    Rule { begins: "=init_worker_by_lua", before: "=", behind: "" },
    Rule { begins: "=log_by_lua", before: "=", behind: "" },
    Rule { begins: "=rewrite_by_lua", before: "=", behind: "" },
    Rule { begins: "=server_rewrite_by_lua", before: "=", behind: "" },
    Rule { begins: "=set_by_lua", before: "=", behind: "" },
    Rule { begins: "=ssl_certificate_by_lua", before: "=", behind: "" },
];

/// What the host calls the script of a chunk; empty where no rule knows.
pub(crate) fn of_chunk(chunk: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(chunk) else { return String::new() };
    let found = RULES.iter().filter(|rule| text.starts_with(rule.begins)).find_map(|rule| {
        let rest = &text[text.rfind(rule.before)? + rule.before.len()..];
        let name = match rest.split_once('/') {
            // A further file in the folder of a script.
            Some((folder, _)) if !rule.behind.is_empty() => Some(folder),
            _ => rest.strip_suffix(rule.behind),
        };
        name.filter(|name| !name.is_empty())
    });
    found.map(|name| escape(name.as_bytes()).into_owned()).unwrap_or_default()
}

/// Chunks that all have one name, and are kept by the host under keys of their own, which begin like this: in the registry,
/// or in older releases among the globals.
const KEPT: &[(&[u8], &[u8])] = &[
    // Redis: `f_` and the sum of the script.
    (b"@user_script", b"f_"),
];

/// What keys of the chunk's functions begin with, if its host keeps them by keys.
pub(crate) fn key_prefix(chunk: &[u8]) -> Option<&'static [u8]> {
    KEPT.iter().find(|(name, _)| *name == chunk).map(|(_, prefix)| *prefix)
}

/// Scripts that are told apart; the functions of later ones go without.
const SCRIPTS: usize = 4096;

/// What scripts are called, by number from 1; 0 for none.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    /// Numbers by the address of the function that the host calls, which may have become another's.
    functions: HashMap<usize, u32>,
}

impl Scripts {
    /// The number of a name.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        if self.names.len() == SCRIPTS {
            return 0;
        }
        self.names.push(name.into());
        let number = self.names.len() as u32;
        self.numbers.insert(name.into(), number);
        number
    }

    /// The name of a number; empty for 0.
    pub(crate) fn name(&self, number: u32) -> &str {
        (number as usize).checked_sub(1).and_then(|index| self.names.get(index)).map_or("", |name| name)
    }

    /// What the function at an address was found to be.
    pub(crate) fn function(&self, address: usize) -> Option<u32> {
        self.functions.get(&address).copied()
    }

    /// The function at an address is of a script.
    pub(crate) fn found(&mut self, address: usize, number: u32) {
        if self.functions.len() >= 2 * SCRIPTS {
            self.functions.clear();
        }
        self.functions.insert(address, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_called_as_their_hosts_do() {
        for (chunk, expected) in [
            ("@/usr/lib/prosody/modules/mod_saslauth.lua", "saslauth"),
            ("@/usr/lib/prosody/modules/mod_pubsub/mod_pubsub.lua", "pubsub"),
            ("@/usr/lib/prosody/modules/mod_pubsub/commands.lib.lua", "pubsub"),
            ("@/usr/lib/prosody/util/async.lua", ""),
            ("=content_by_lua(nginx.conf:12)", "content_by_lua(nginx.conf:12)"),
            ("=stdin", ""),
            ("return 1", ""),
        ] {
            assert_eq!(of_chunk(chunk.as_bytes()), expected, "{chunk}");
        }
    }
}
