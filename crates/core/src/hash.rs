//! The hash FiveM names resources and natives by.

/// Bob Jenkins' one-at-a-time hash of `name` in ASCII lower case, as FiveM uses it for resources, natives and
/// back-tick literals. Two names can collide: use it for display and interchange, never as identity.
///
/// ```
/// assert_eq!(tickscope_core::joaat("adder"), 0xB779_A091);
/// assert_eq!(tickscope_core::joaat("ADDER"), tickscope_core::joaat("adder"));
/// ```
pub fn joaat(name: &str) -> u32 {
    let mut hash = 0u32;
    for byte in name.bytes() {
        hash = hash.wrapping_add(u32::from(byte.to_ascii_lowercase()));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}
