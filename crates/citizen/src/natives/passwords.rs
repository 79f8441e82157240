//! Hashes of passwords: bcrypt, as FXServer makes and reads them.

use bcrypt::Version;
use tickscope_core::Recorder;

use super::Definer;
use super::time::seed_of;
use crate::host::{Calls, Host, one};

/// The work a hash costs: 2 to the power of this many rounds.
const COST: u32 = 11;

/// A salt that no other hash of this run gets, and the same one in each run of a seed. It need not be secret.
fn salt<R: Recorder + 'static>(host: &Host<R>) -> [u8; 16] {
    let count = host.passwords.get();
    host.passwords.set(count + 1);
    let half = |name: &str| seed_of(host.seed.wrapping_add(count), name).to_le_bytes();
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&half("first half of a salt"));
    salt[8..].copy_from_slice(&half("second half of a salt"));
    salt
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetPasswordHash", Calls::Recorded, |host, _, lua, args| {
        let password = if args.get(0).is_nil() { Vec::new() } else { args.bytes(0)? };
        match bcrypt::hash_with_salt(password, COST, salt(host)) {
            Ok(hash) => one(lua, hash.format_for_version(Version::TwoA)),
            Err(problem) => Err(problem.to_string().into()),
        }
    })?;
    define.global("VerifyPasswordHash", Calls::Recorded, |_, _, lua, args| {
        let fits = bcrypt::verify(args.bytes(0)?, &args.text(1)?);
        one(lua, fits.unwrap_or(false)) // what is no hash fits nothing
    })
}
