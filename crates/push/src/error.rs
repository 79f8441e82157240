//! What is wrong with what a user wrote.

/// Why something cannot be posted to. No message shows an address, a value of a header or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `http` nor `https`.
    #[error(
        "the address does not begin with http:// or https://; expected one as http://127.0.0.1:4318/path"
    )]
    Scheme,
    /// It cannot be read as an address.
    #[error("the address is none that HTTP has: {problem}; expected one as http://127.0.0.1:4318/path")]
    Address {
        /// What is wrong with it.
        problem: String,
    },
    /// The name of a header.
    #[error("the header {name:?} has a name that HTTP does not allow")]
    HeaderName {
        /// As it was given.
        name: String,
    },
    /// A header that follows from the address and the body.
    #[error("the header {name:?} follows from what is sent; leave it out")]
    HeaderOurs {
        /// As it was given.
        name: String,
    },
    /// The value of a header.
    #[error("the header {name:?} has a value that HTTP does not allow: a line break, for one")]
    HeaderValue {
        /// The header's name.
        name: String,
    },
    /// The value of a header is a number or a list.
    #[error("expected text, as \"env:TOKEN\"")]
    HeaderText,
    /// One of the headers that were given.
    #[error("headers: {name}: {error}")]
    Header {
        /// The header's name, as it was given.
        name: String,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// A variable that should hold a secret.
    #[error("the environment has no variable {name:?} with text in it, which `env:{name}` asks for")]
    Variable {
        /// The variable's name.
        name: String,
    },
}
