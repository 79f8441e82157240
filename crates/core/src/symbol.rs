//! What was called: the identity of a function, an event, an export, a counter.

use std::sync::Arc;

/// The language runtime a symbol's code runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Runtime {
    /// A Lua function.
    Lua = 0,
    /// C, C++ or Rust code called by a script runtime: a native, a C function.
    Native = 1,
    /// A C# method under Mono.
    CSharp = 2,
    /// A JavaScript function.
    JavaScript = 3,
    /// The host program itself: ticks, scheduling, Rust spans.
    #[default]
    Host = 4,
}

impl Runtime {
    /// Every runtime, in the order of its numbers.
    pub const ALL: [Self; 5] = [Self::Lua, Self::Native, Self::CSharp, Self::JavaScript, Self::Host];

    /// The name shown to people and stored in captures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lua => "Lua",
            Self::Native => "Native",
            Self::CSharp => "C#",
            Self::JavaScript => "JavaScript",
            Self::Host => "Host",
        }
    }

    /// The runtime of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The runtime of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|runtime| runtime.name() == name)
    }
}

/// The identity of a piece of code, borrowed: equal fields are one symbol, and equal names in two resources are two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SymbolRef<'a> {
    /// Where the code runs.
    pub runtime: Runtime,
    /// The resource (VM) it runs in; empty for the host itself.
    pub resource: &'a str,
    /// Name of the function, event, export, native, counter …; escaped by [`escape`](crate::escape).
    pub name: &'a str,
    /// Source file relative to its resource, `@other/file.lua` when it belongs to another; empty when unknown.
    pub file: &'a str,
    /// Line of the definition, from 1; 0 when unknown.
    pub line: u32,
}

/// A [`SymbolRef`] that owns its text. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// See [`SymbolRef::runtime`].
    pub runtime: Runtime,
    /// See [`SymbolRef::resource`].
    pub resource: Arc<str>,
    /// See [`SymbolRef::name`].
    pub name: Arc<str>,
    /// See [`SymbolRef::file`].
    pub file: Arc<str>,
    /// See [`SymbolRef::line`].
    pub line: u32,
}

impl Symbol {
    /// The symbol everything falls to that the arena could not hold.
    pub fn other() -> Self {
        SymbolRef { runtime: Runtime::Host, name: "<other>", ..SymbolRef::default() }.into()
    }

    /// This symbol, borrowed.
    pub fn as_ref(&self) -> SymbolRef<'_> {
        SymbolRef {
            runtime: self.runtime,
            resource: &self.resource,
            name: &self.name,
            file: &self.file,
            line: self.line,
        }
    }
}

impl From<SymbolRef<'_>> for Symbol {
    fn from(symbol: SymbolRef<'_>) -> Self {
        Self {
            runtime: symbol.runtime,
            resource: symbol.resource.into(),
            name: symbol.name.into(),
            file: symbol.file.into(),
            line: symbol.line,
        }
    }
}

impl<'a> SymbolRef<'a> {
    /// A symbol of the host program itself, known by its name only.
    pub const fn host(name: &'a str) -> Self {
        Self { runtime: Runtime::Host, resource: "", name, file: "", line: 0 }
    }
}
