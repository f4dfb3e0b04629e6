//! The cards, and what each field of theirs holds.

use std::ffi::{CStr, c_uint, c_ulonglong};

pub struct Card {
    pub uuid: &'static CStr,
    pub bus: &'static CStr,
    pub milliwatts: c_uint,
    pub sm_mhz: c_uint,
    pub celsius: c_uint,
    /// Bit 40 has no name yet.
    pub reasons: c_ulonglong,
}

/// In the order of this library, which is not that of a backend: a join by index is found out.
pub static CARDS: [Card; 3] = [
    Card {
        uuid: c"GPU-bbbbbbbb-0000-0000-0000-000000000002",
        bus: c"00000000:0B:00.0",
        milliwatts: 222_000,
        sm_mhz: 1_222,
        celsius: 62,
        reasons: 0,
    },
    Card {
        uuid: c"GPU-aaaaaaaa-0000-0000-0000-000000000001",
        bus: c"00000000:0A:00.0",
        milliwatts: 111_000,
        sm_mhz: 1_111,
        celsius: 51,
        reasons: 0x4 | 0x20 | 1 << 40,
    },
    // The first device of the fake CUDA driver, as an sm_87.
    Card {
        uuid: c"GPU-face0000-0000-4000-8000-000000005700",
        bus: c"00000000:01:00.0",
        milliwatts: 333_000,
        sm_mhz: 1_333,
        celsius: 55,
        reasons: 0,
    },
];

/// A MIG slice of the second card; what a slice has no sensor for is never read from here.
pub static SLICE: Card =
    Card { uuid: c"MIG-aaaaaaaa-0000-0000-0000-00000000000a", bus: CARDS[1].bus, milliwatts: 0, sm_mhz: 0, celsius: 0, reasons: 0 };

/// Slices of the last card, where the fake CUDA driver cuts its first device.
pub static CUT: [Card; 2] = [
    Card { uuid: c"MIG-face0000-0000-4000-8000-000000015700", ..SLICE_OF_LAST },
    Card { uuid: c"MIG-face0000-0000-4000-8000-000000025700", ..SLICE_OF_LAST },
];

const SLICE_OF_LAST: Card = Card { uuid: c"", bus: c"00000000:01:00.0", milliwatts: 0, sm_mhz: 0, celsius: 0, reasons: 0 };

/// A field by its number in `nvml.h`, as an unsigned integer; blank where the card has none.
pub fn field(card: &Card, number: c_uint) -> Option<u64> {
    match number {
        // Power, instant and over a second.
        185 | 186 => Some(card.milliwatts.into()),
        // Memory's temperature, energy since the driver was loaded.
        82 => Some(71),
        83 => Some(5_000_000),
        // Time under the power cap.
        74 => Some(2_000_000_000),
        // One row was remapped for a corrected error.
        142 => Some(1),
        // Time with the clocks of other devices; rows remapped for uncorrected errors, pending, failed.
        76 | 143..=145 => Some(0),
        _ => None,
    }
}
