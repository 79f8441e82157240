//! The hash that names of models, events and natives go by.

/// Jenkins' one-at-a-time hash of the text in lower case, as a signed number.
pub(crate) fn joaat(text: &[u8]) -> i32 {
    hash(text.iter().map(u8::to_ascii_lowercase))
}

/// The same of the text as it is.
pub(crate) fn exact(text: &[u8]) -> i32 {
    hash(text.iter().copied())
}

fn hash(bytes: impl Iterator<Item = u8>) -> i32 {
    let mut hash = bytes.fold(0u32, |hash, byte| {
        // bytes above 127 are negative in the game's code
        let hash = hash.wrapping_add(i32::from(byte.cast_signed()).cast_unsigned());
        let hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_are_published() {
        assert_eq!(joaat(b"adder"), -1_216_765_807);
        assert_eq!(joaat(b"ADDER"), joaat(b"adder"));
        assert_eq!(joaat(b"Hello, World!"), 1_395_890_823);
        assert_eq!(exact(b"adder"), joaat(b"adder"));
        assert_ne!(exact(b"ADDER"), joaat(b"adder"));
        assert_eq!(joaat(b""), 0);
    }
}
