//! What hosts call their scripts, from the names that they give to chunks.

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
        rest.strip_suffix(rule.behind).filter(|name| !name.is_empty())
    });
    found.map(|name| escape(name.as_bytes()).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_called_as_their_hosts_do() {
        for (chunk, expected) in [
            ("@/usr/lib/prosody/modules/mod_saslauth.lua", "saslauth"),
            ("@/usr/lib/prosody/modules/mod_pubsub/mod_pubsub.lua", "pubsub"),
            ("@/usr/lib/prosody/modules/mod_pubsub/commands.lib.lua", ""),
            ("@/usr/lib/prosody/util/async.lua", ""),
            ("=content_by_lua(nginx.conf:12)", "content_by_lua(nginx.conf:12)"),
            ("=stdin", ""),
            ("return 1", ""),
        ] {
            assert_eq!(of_chunk(chunk.as_bytes()), expected, "{chunk}");
        }
    }
}
