//! Where each field lies, as one number: what a plugin was compiled with is what the host reads, or it is refused.

use std::mem::offset_of;

use crate::raw::*;

macro_rules! layout {
    ($($kind:ident { $($field:ident)* })*) => {
        /// The number for this compiler and target: 64 bits of FNV-1a over the size of each type and the offset of each
        /// field.
        pub const fn layout() -> u64 {
            let mut hash = 0xcbf2_9ce4_8422_2325;
            $(
                hash = mix(hash, size_of::<$kind>());
                $(hash = mix(hash, offset_of!($kind, $field));)*
            )*
            hash
        }
    };
}

const fn mix(hash: u64, number: usize) -> u64 {
    (hash ^ number as u64).wrapping_mul(0x100_0000_01b3)
}

layout! {
    TickscopeText { bytes len }
    TickscopeSink {
        magic major minor layout size name version about schema open batch tick flush finish health close
    }
    TickscopeHost { size major minor context log fail }
    TickscopeFact { name value }
    TickscopeMetadata {
        size producer subject depth budget_ns pid schema start_ns start_unix_ns clock_error_ns clock_source facts
        n_facts
    }
    TickscopeSymbol { id runtime resource name file line spare }
    TickscopeTrack { id kind parent os_id name resource }
    TickscopeCategory { id spare name description }
    TickscopeKey { id spare name }
    TickscopeStackNode { id parent symbol line }
    TickscopeRange { start len }
    TickscopeBegin { span parent link link_kind symbol category args }
    TickscopeEnd { span begin_ns symbol outcome bytes args }
    TickscopeInstant { symbol category scope args }
    TickscopeNumber { int_value uint_value float_value text }
    TickscopeCounter { symbol spare value }
    TickscopeSwitch { host reason }
    TickscopeLinkPoint { id span }
    TickscopeStack { time_ns bytes stack spare }
    TickscopeAccount { attempted committed delivered overwritten discarded dropped }
    TickscopeEvent { begin end instant counter resume suspend link_point stack gap account }
    TickscopeSample { time_ns ring track kind spare event }
    TickscopeArg { key kind value }
    TickscopeBatch {
        size missed samples n_samples args n_args text symbols n_symbols tracks n_tracks categories n_categories keys
        n_keys stacks n_stacks
    }
    TickscopeHealth { size state spare message written lost bytes }
}

/// The layouts of this major version, by minor: what a plugin of each must say.
pub const LAYOUTS: &[u64] = &[TICKSCOPE_LAYOUT];

const _: () = {
    assert!(layout() == TICKSCOPE_LAYOUT, "a structure that crosses to plugins has changed: see layout.rs");
    assert!(LAYOUTS.len() == TICKSCOPE_MINOR as usize + 1, "each minor version has its layout");
};
