//! Narrow floating-point formats (PTX ISA, Alternate Floating-Point Data Formats).

/// A format by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Bits of the exponent.
    pub exponent: u32,
    /// Bits of the significand that are stored.
    pub mantissa: u32,
    /// Whether the largest exponent holds infinities. e4m3 has none: all its patterns but S.1111.111 are numbers.
    pub infinities: bool,
}

pub const F16: Format = Format { exponent: 5, mantissa: 10, infinities: true };
pub const BF16: Format = Format { exponent: 8, mantissa: 7, infinities: true };
/// As 19 bits at the top of a word, of which the lower 13 are not read.
pub const TF32: Format = Format { exponent: 8, mantissa: 10, infinities: true };
pub const E4M3: Format = Format { exponent: 4, mantissa: 3, infinities: false };
pub const E5M2: Format = Format { exponent: 5, mantissa: 2, infinities: true };

impl Format {
    fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    fn top(self) -> u32 {
        (1 << self.exponent) - 1
    }

    /// The value of a pattern, exactly.
    #[must_use]
    pub fn decode(self, bits: u32) -> f32 {
        let mantissa = bits & ((1 << self.mantissa) - 1);
        let exponent = bits >> self.mantissa & self.top();
        let sign = if bits >> (self.mantissa + self.exponent) & 1 == 1 { -1.0_f64 } else { 1.0 };
        let special = exponent == self.top();
        if special && (self.infinities && mantissa != 0 || !self.infinities && mantissa == (1 << self.mantissa) - 1) {
            return f32::NAN;
        }
        if special && self.infinities {
            return (sign * f64::INFINITY) as f32;
        }
        let scale = 2_f64.powi(exponent.max(1) as i32 - self.bias() - self.mantissa as i32);
        let whole = mantissa + if exponent == 0 { 0 } else { 1 << self.mantissa };
        (sign * f64::from(whole) * scale) as f32
    }

    /// The largest finite pattern.
    fn largest(self) -> u32 {
        if self.infinities { (self.top() << self.mantissa) - 1 } else { (1 << (self.mantissa + self.exponent)) - 2 }
    }

    /// The nearest pattern, ties to even. Beyond the largest: that one where `saturate`, infinity or NaN otherwise.
    #[must_use]
    pub fn encode(self, value: f32, saturate: bool) -> u32 {
        let sign = u32::from(value.is_sign_negative()) << (self.mantissa + self.exponent);
        let nan = if self.infinities { (1 << (self.mantissa + self.exponent)) - 1 } else { self.largest() + 1 };
        if value.is_nan() {
            return nan;
        }
        let beyond = if saturate {
            self.largest()
        } else if self.infinities {
            self.largest() + 1
        } else {
            nan
        };
        let magnitude = f64::from(value.abs());
        if magnitude.is_infinite() {
            return sign | beyond;
        }
        // The step between patterns at this magnitude; all of it is exact in f64.
        let exponent = if magnitude == 0.0 { i32::MIN } else { (magnitude.to_bits() >> 52) as i32 - 1023 };
        let least = 1 - self.bias();
        let scale = exponent.max(least);
        let steps = (magnitude * 2_f64.powi(self.mantissa as i32 - scale)).round_ties_even() as u32;
        // A carry out of the significand lands in the exponent, where it belongs.
        let pattern = ((scale - least) as u32) * (1 << self.mantissa) + steps;
        sign | if pattern > self.largest() { beyond } else { pattern }
    }
}

/// The nearest tf32, ties away from zero, as a word (PTX ISA, cvt.rna.tf32.f32).
#[must_use]
pub fn tf32_nearest_away(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_finite() { bits.wrapping_add(1 << 12) & !0x1fff } else { bits }
}

#[test]
fn every_pattern_of_every_narrow_format_survives_the_round_trip() {
    for (format, bits) in [(F16, 16), (BF16, 16), (E4M3, 8), (E5M2, 8)] {
        for pattern in 0..1_u32 << bits {
            let value = format.decode(pattern);
            if !value.is_nan() {
                assert_eq!(format.encode(value, false), pattern, "{format:?} {pattern:#x} {value}");
            }
        }
    }
}

// PTX ISA, Alternate Floating-Point Data Formats: e4m3 reaches 448 and has no infinity, e5m2 reaches 57344.
#[test]
fn ranges_are_those_of_the_manual() {
    assert_eq!((E4M3.decode(0x7e), E4M3.decode(0x01)), (448.0, 2_f32.powi(-9)));
    assert!(E4M3.decode(0x7f).is_nan() && E4M3.decode(0xff).is_nan());
    assert_eq!((E5M2.decode(0x7b), E5M2.decode(0x7c)), (57_344.0, f32::INFINITY));
    assert_eq!((E4M3.encode(1e9, true), E4M3.encode(-1e9, true), E5M2.encode(1e9, true)), (0x7e, 0xfe, 0x7b));
    assert_eq!((F16.encode(65_520.0, false), F16.encode(65_519.0, false)), (0x7c00, 0x7bff));
}

#[test]
fn rounding_is_to_nearest_even() {
    assert_eq!(BF16.encode(1.0 + 2_f32.powi(-8), false), 0x3f80);
    assert_eq!(BF16.encode(1.0 + 3.0 * 2_f32.powi(-8), false), 0x3f82);
    assert_eq!(BF16.encode(f32::from_bits(0x3f80_8001), false), 0x3f81);
    assert_eq!(E4M3.encode(17.0, false), E4M3.encode(16.0, false));
    assert_eq!(tf32_nearest_away(f32::from_bits(0x3f80_1000)), 0x3f80_2000);
    assert_eq!(tf32_nearest_away(f32::from_bits(0x3f80_0fff)), 0x3f80_0000);
}
