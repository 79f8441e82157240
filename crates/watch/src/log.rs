//! Lines of FXServer's console that say something about time, scripts and resources.
//!
//! A line is `[           channel] message`, perhaps with colours and a time in front. (Sources: GameServer.cpp and
//! ServerWatchdog.cpp of github.com/citizenfx/fivem, lines people show in issues, oxmysql's logger.)

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Said<'a> {
    /// `server thread hitch warning: timer interval of 412 milliseconds`.
    Hitch {
        /// `server`, `network` or `sync`.
        thread: &'a str,
        /// How long.
        ms: u64,
    },
    /// `Loop svMain seems hung! (last checkin 30 seconds ago)`.
    Hung {
        /// `svMain`.
        thread: &'a str,
        /// Since when.
        seconds: u64,
    },
    /// `SCRIPT ERROR: @shop/server.lua:12: …`.
    ScriptError {
        /// The resource, where the message names one.
        resource: &'a str,
        /// What it says.
        message: &'a str,
    },
    /// `Started resource shop`.
    Started(&'a str),
    /// `Stopping resource shop`.
    Stopping(&'a str),
    /// `shop took 896.6ms to execute a query!`, of oxmysql: until the answer was there, other waits included.
    SlowQuery {
        /// Who asked.
        resource: &'a str,
        /// How long.
        ms: f64,
    },
}

/// What `line` says, if it is something of these.
pub fn read(line: &str) -> Option<Said<'_>> {
    let message = message(line);
    if let Some((thread, rest)) = message.split_once(" thread hitch warning: timer interval of ") {
        let thread = thread.rsplit(' ').next()?;
        return Some(Said::Hitch { thread, ms: number(rest)? });
    }
    if let Some((thread, rest)) = message.split_once(" seems hung! (last checkin ") {
        let thread = thread.rsplit(' ').next()?;
        return Some(Said::Hung { thread, seconds: number(rest)? });
    }
    if let Some((asked, rest)) = message.split_once("ms to execute a query")
        && let Some((resource, ms)) = asked.rsplit_once(" took ")
    {
        let _ = rest;
        return Some(Said::SlowQuery { resource: resource.rsplit(' ').next()?, ms: ms.trim().parse().ok()? });
    }
    if let Some((_, message)) = message.split_once("SCRIPT ERROR: ") {
        let resource = message.split('@').nth(1).and_then(|place| place.split('/').next()).unwrap_or("");
        let resource = if resource.contains(char::is_whitespace) { "" } else { resource };
        return Some(Said::ScriptError { resource, message: message.trim() });
    }
    let named =
        |rest: &'_ str| rest.split_whitespace().next().map(|name| name.trim_end_matches(['.', '!']).len());
    for (start, make) in [
        ("Started resource ", Said::Started as fn(_) -> _),
        ("Stopping resource ", Said::Stopping as fn(_) -> _),
    ] {
        if let Some(rest) = message.strip_prefix(start) {
            let rest = rest.trim_start();
            return named(rest).map(|length| make(&rest[..length]));
        }
    }
    None
}

/// A line without the time and the channel in front.
fn message(line: &str) -> &str {
    let line = line.trim_end();
    // The channel is the last pair of brackets that words follow, before any message begins.
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let Some(inner) = rest.strip_prefix('[') else { break };
        let Some((_, behind)) = inner.split_once(']') else { break };
        rest = behind;
    }
    rest
}

fn number(text: &str) -> Option<u64> {
    let digits = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

/// `line` without terminal colours and FXServer's own (`^1`).
pub fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' => {
                if rest.next_if_eq(&'[').is_some() {
                    while rest.next().is_some_and(|part| !part.is_ascii_alphabetic()) {}
                }
            }
            '^' if rest.peek().is_some_and(char::is_ascii_digit) => {
                rest.next();
            }
            _ => out.push(next),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_real_consoles_are_understood() {
        let hitch = |thread, ms| Some(Said::Hitch { thread, ms });
        for (line, said) in [
            ("server thread hitch warning: timer interval of 412 milliseconds", hitch("server", 412)),
            (
                "[           citizen] sync thread hitch warning: timer interval of 151 milliseconds",
                hitch("sync", 151),
            ),
            (
                "[12:01:07] [ citizen-server-impl] network thread hitch warning: timer interval of 900 milliseconds",
                hitch("network", 900),
            ),
            (
                "[    citizen-server-] Loop svMain seems hung! (last checkin 35 seconds ago)",
                Some(Said::Hung { thread: "svMain", seconds: 35 }),
            ),
            (
                "[      script:oxmysql] [WARNING] esx_status took 896.620105ms to execute a query!",
                Some(Said::SlowQuery { resource: "esx_status", ms: 896.620105 }),
            ),
            (
                "[     script:shop] SCRIPT ERROR: @shop/server.lua:12: attempt to index a nil value",
                Some(Said::ScriptError {
                    resource: "shop",
                    message: "@shop/server.lua:12: attempt to index a nil value",
                }),
            ),
            ("[    c-resources-core] Started resource es_extended", Some(Said::Started("es_extended"))),
            ("[    c-resources-core] Stopping resource chat", Some(Said::Stopping("chat"))),
            ("[   script:chat] hello: Started resource none", None),
            ("", None),
            ("[", None),
        ] {
            assert_eq!(read(line), said, "{line}");
        }
        assert_eq!(plain("\u{1b}[33m^1red^7 a^b\u{1b}[0m"), "red a^b");
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_borne(line in "\\PC{0,60}", at in 0usize..5) {
            let starts = ["", "SCRIPT ERROR: @", "x thread hitch warning: timer interval of ", "[a] Started resource ", "a took 1ms to execute a query"];
            let line = format!("{}{line}", starts[at]);
            let _ = (read(&line), plain(&line));
        }
    }
}
