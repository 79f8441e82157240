//! Colours, on terminals only.

use std::io::IsTerminal;

/// Escape sequences, or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    on: bool,
}

impl Style {
    /// For standard output: colours when it is a terminal and `NO_COLOR` is not set.
    pub(crate) fn stdout() -> Self {
        Self { on: wanted() && std::io::stdout().is_terminal() }
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self { on: wanted() && std::io::stderr().is_terminal() }
    }

    pub(crate) fn bold(self, text: impl std::fmt::Display) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: impl std::fmt::Display) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: impl std::fmt::Display) -> String {
        self.paint("31;1", text)
    }

    pub(crate) fn cyan(self, text: impl std::fmt::Display) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: impl std::fmt::Display) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// See no-color.org.
fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
