//! Money: whole millionths of a currency's unit wherever an amount comes in or goes out.
//!
//! Between the edges the solver reckons in `f64`; what it found is reckoned anew by the evaluator before it is told.

use serde::{Serialize, Serializer};
use std::fmt;

const MILLION: f64 = 1e6;
/// Beyond this an `f64` no longer holds every millionth.
const MOST: f64 = 9e9;

/// An amount in millionths of a currency's unit (micros).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub i128);

impl Micros {
    /// The nearest whole micro of an amount that came in.
    ///
    /// # Errors
    /// A sentence, when the amount is no number or is past what can be told exactly.
    pub fn of(amount: f64) -> Result<Self, String> {
        if !amount.is_finite() || amount.abs() > MOST {
            return Err(format!("{amount} is no amount; amounts lie within ±{MOST:e} of the currency"));
        }
        Ok(Self((amount * MILLION).round() as i128))
    }

    /// The nearest whole micro of an amount that goes out; a total may be past what comes in.
    #[must_use]
    pub fn total(amount: f64) -> Self {
        Self((amount * MILLION).round() as i128)
    }

    /// The amount in the currency's unit.
    #[must_use]
    pub fn amount(self) -> f64 {
        self.0 as f64 / MILLION
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.amount())
    }
}

impl fmt::Display for Micros {
    /// Whole units with thin groups, as a ledger prints them: `2,400,000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = (self.0.unsigned_abs() + 500_000) / 1_000_000;
        let digits = whole.to_string();
        let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 1);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let sign = if self.0 < 0 && whole > 0 { "-" } else { "" };
        f.pad(&format!("{sign}{grouped}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_micros() {
        assert_eq!(Micros::of(21.957_642), Ok(Micros(21_957_642)));
        assert_eq!(Micros::of(0.1).map(Micros::amount), Ok(0.1));
        assert!(Micros::of(f64::NAN).is_err() && Micros::of(1e12).is_err());
    }

    #[test]
    fn amounts_are_shown_in_groups() {
        assert_eq!(Micros(2_400_000_000_000).to_string(), "2,400,000");
        assert_eq!(Micros(-1_234_499_999).to_string(), "-1,234");
        assert_eq!(Micros(0).to_string(), "0");
        assert_eq!(Micros::total(1.5e15).to_string(), "1,500,000,000,000,000", "yen are many");
    }
}
