//! The file with the token, which is made when it is not there.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use tickscope_collect::Token;

use crate::present::tell;

/// Random bytes of a token that is made here.
const RANDOM: usize = 24;

pub(super) fn read(path: &Path) -> Result<Token> {
    let name = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => make(path)?,
        Err(error) => return Err(error).with_context(|| format!("cannot read the token in {name}")),
    };
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        tell!("tickscope: others than its owner can read {name}, and so may post; chmod 600 {name}");
    }
    match Token::read(&text) {
        Ok(token) => Ok(token),
        Err(problem) => bail!("{name} is no token: {problem}; remove it, and one is made"),
    }
}

/// A new token, in a file that only its owner can read.
fn make(path: &Path) -> Result<String> {
    let name = path.display();
    let mut random = [0; RANDOM];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .context("cannot read /dev/urandom")?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()))
        .with_context(|| format!("cannot write a token to {name}"))?;
    tell!("tickscope: made a token in {name}; what it holds goes into server.cfg: set tickscope_token \"…\"");
    Ok(text)
}
