//! Quantities with their unit in the type, and the only arithmetic between units.
//!
//! Decimal prefixes throughout (1 GB = 1e9 bytes), as datasheets print them. Shapes that are powers of two are written with
//! binary prefixes and say so (`1GiB`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Sub},
    time::Duration,
};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty) $($also:ident)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema, $($also),*)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
    };
}

quantity!(/// Nanoseconds on the clock of a measurement, or a length of time.
    Nanos(u64) Eq Ord);
quantity!(/// Bytes read plus bytes written.
    Bytes(u64));
quantity!(/// Floating-point (or integer) operations; a fused multiply-add counts two.
    Flops(u64));
quantity!(/// Energy in joules.
    Joules(f64));
quantity!(/// Power in milliwatts, as NVML gives it.
    Milliwatts(u64));
quantity!(/// Temperature in degrees Celsius.
    Celsius(f64));
quantity!(/// Clock in megahertz.
    Megahertz(u32));

impl Nanos {
    /// Whole nanoseconds of a length given in seconds; negative lengths become zero.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e9) as u64)
    }

    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// `self - earlier`, or zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Nanos {
    fn from(value: Duration) -> Self {
        Self(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Duration {
    fn from(value: Nanos) -> Self {
        Self::from_nanos(value.0)
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self(0), Add::add)
    }
}

/// The decimal prefix that suits `value`: what to divide it by, and the prefix's letter.
#[must_use]
pub fn prefix(value: f64) -> (f64, &'static str) {
    const PREFIXES: [(f64, &str); 8] =
        [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ")];
    let magnitude = value.abs();
    let none = if magnitude == 0.0 { (1.0, "") } else { (1e-9, "n") };
    PREFIXES.into_iter().find(|(scale, _)| magnitude >= *scale).unwrap_or(none)
}

/// `value` with a decimal prefix and four significant digits: `1.234 G`; the unit follows the prefix.
#[must_use]
pub fn scaled(value: f64, unit: &str) -> String {
    let (scale, prefix) = prefix(value);
    let shown = value / scale;
    let decimals = if shown.abs() >= 100.0 {
        1
    } else if shown.abs() >= 10.0 {
        2
    } else {
        3
    };
    format!("{shown:.decimals$} {prefix}{unit}")
}

/// `bytes` with the largest binary prefix that leaves a whole number: `1GiB`, `96KiB`, `1000B`.
#[must_use]
pub fn binary(bytes: u64) -> String {
    const PREFIXES: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    PREFIXES
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift))
        .map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// Bytes from text such as `256MiB`, `1GB` or `4096`.
///
/// # Errors
/// A sentence that shows what is understood.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let (number, scale) =
        UNITS.iter().find_map(|(unit, scale)| text.strip_suffix(unit).map(|number| (number, *scale))).unwrap_or((text, 1));
    let number: u64 = number.trim().parse().map_err(|_| format!("`{text}` is no size; write for example 256MiB, 1GB or 4096"))?;
    number.checked_mul(scale).ok_or_else(|| format!("`{text}` is more bytes than can be counted"))
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&scaled(self.0 as f64, "B"))
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&scaled(self.seconds(), "s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_decimal_with_four_digits() {
        assert_eq!(scaled(788.2e12, "FLOP/s"), "788.2 TFLOP/s");
        assert_eq!(scaled(4.3e12, "B/s"), "4.300 TB/s");
        assert_eq!(scaled(0.0, "B/s"), "0.000 B/s");
        assert_eq!(Bytes(1_000).to_string(), "1.000 kB");
        assert_eq!(Nanos(1_500).to_string(), "1.500 µs");
    }

    #[test]
    fn shapes_use_binary_prefixes_only_when_whole() {
        assert_eq!(binary(1 << 30), "1GiB");
        assert_eq!(binary(96 << 10), "96KiB");
        assert_eq!(binary(1_000), "1000B");
        assert_eq!(binary(0), "0B");
    }

    #[test]
    fn sizes_are_read_in_both_kinds_of_prefixes() {
        assert_eq!((parse_bytes("256MiB"), parse_bytes("1GB"), parse_bytes("12")), (Ok(256 << 20), Ok(1_000_000_000), Ok(12)));
        assert!(parse_bytes("lots").unwrap_err().contains("256MiB"));
        assert!(parse_bytes("-1MiB").is_err() && parse_bytes("99999999TiB").is_err());
    }

    #[test]
    fn time_never_goes_negative() {
        assert_eq!(Nanos(3).since(Nanos(5)), Nanos(0));
        assert_eq!(Nanos::from_seconds(-1.0), Nanos(0));
        assert_eq!(Nanos::from_seconds(1.5), Nanos(1_500_000_000));
    }
}
