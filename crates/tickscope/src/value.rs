//! Arguments that are kept until they are recorded.

use tickscope_core::{ArgInput, KeyId};

/// An argument's value, kept.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Uint(u64),
    Float(f64),
    Bool(bool),
    Pointer(u64),
    Text(String),
}

impl Value {
    pub(crate) fn input(&self) -> ArgInput<'_> {
        match self {
            Self::Int(value) => ArgInput::Int(*value),
            Self::Uint(value) => ArgInput::Uint(*value),
            Self::Float(value) => ArgInput::Float(*value),
            Self::Bool(value) => ArgInput::Bool(*value),
            Self::Pointer(value) => ArgInput::Pointer(*value),
            Self::Text(text) => ArgInput::Text(text),
        }
    }
}

impl From<ArgInput<'_>> for Value {
    fn from(value: ArgInput<'_>) -> Self {
        match value {
            ArgInput::Int(value) => Self::Int(value),
            ArgInput::Uint(value) => Self::Uint(value),
            ArgInput::Float(value) => Self::Float(value),
            ArgInput::Bool(value) => Self::Bool(value),
            ArgInput::Pointer(value) => Self::Pointer(value),
            ArgInput::Text(text) => Self::Text(text.to_owned()),
        }
    }
}

/// Arguments with the ids of their names in one recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args(Vec<(KeyId, Value)>);

impl Args {
    pub(crate) fn keep(args: &[(KeyId, ArgInput<'_>)]) -> Self {
        Self(args.iter().map(|(key, value)| (*key, (*value).into())).collect())
    }

    pub(crate) fn inputs(&self) -> Vec<(KeyId, ArgInput<'_>)> {
        self.0.iter().map(|(key, value)| (*key, value.input())).collect()
    }
}
