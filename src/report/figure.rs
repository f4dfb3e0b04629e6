//! Figures as they may be printed: no digit that the interval does not support, and the interval always beside.

use crate::{
    record::{Interval, RateUnit},
    units::{self, Nanos},
};

/// Most significant digits of any figure.
const MOST: i32 = 4;
/// A figure whose interval is not known gets this many.
const UNSURE: i32 = 3;
/// Below this a first digit says too little alone.
const SMALL: f64 = 3.55;

/// A decimal prefix shared by figures that are to be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    factor: f64,
    prefix: &'static str,
    unit: RateUnit,
}

impl Scale {
    /// The prefix that suits the largest of some values.
    #[must_use]
    pub fn of(unit: RateUnit, values: impl Iterator<Item = f64>) -> Self {
        let (factor, prefix) = units::prefix(values.fold(0.0, f64::max));
        Self { factor, prefix, unit }
    }

    /// `TFLOP/s`
    #[must_use]
    pub fn symbol(self) -> String {
        format!("{}{}", self.prefix, self.unit.symbol())
    }

    /// The value of an interval in this scale.
    #[must_use]
    pub fn figure(self, interval: Interval) -> String {
        let half = (interval.high - interval.low) / 2.0;
        digits(interval.value / self.factor, half / self.factor)
    }
}

/// `51.74 TFLOP/s ±0.10%`
#[must_use]
pub fn quoted(unit: RateUnit, interval: Interval) -> String {
    let scale = Scale::of(unit, std::iter::once(interval.value));
    format!("{} {} {}", scale.figure(interval), scale.symbol(), spread(interval))
}

/// `value` with the digits that an interval of `half` to either side supports, two at least and four at most: to the first digit
/// of `half`, and to its second where the first is small (the rule of the Particle Data Group).
#[must_use]
pub fn digits(value: f64, half: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let place = |x: f64| x.abs().log10().floor() as i32;
    let second = half > 0.0 && half / 10_f64.powi(place(half)) < SMALL;
    let supported = if half > 0.0 { place(value) - place(half) + 1 + i32::from(second) } else { UNSURE };
    let last = place(value) + 1 - supported.clamp(2, MOST);
    let unit = 10_f64.powi(last);
    // What is rounded up to the next power of ten has a digit more than it should.
    let last = if place((value / unit).round() * unit) > place(value) { last + 1 } else { last };
    let unit = 10_f64.powi(last);
    format!("{:.*}", usize::try_from(-last).unwrap_or(0), (value / unit).round() * unit)
}

/// Half the width of a 95 % interval as a share of its value, never rounded to nothing; `±?` where no spread was had.
#[must_use]
pub fn spread(interval: Interval) -> String {
    let percent = (interval.high - interval.low) / 2.0 / interval.value.abs() * 100.0;
    match percent {
        percent if percent.is_nan() || percent <= 0.0 => "±?".into(),
        percent if percent >= 100.0 => "±>100%".into(),
        percent if percent >= 9.95 => format!("±{percent:.0}%"),
        percent if percent >= 0.995 => format!("±{percent:.1}%"),
        percent => format!("±{:.2}%", percent.max(0.01)),
    }
}

/// A time of a launch with three digits, whole nanoseconds below a microsecond.
#[must_use]
pub fn time(time: Nanos) -> String {
    if time.0 < 1_000 {
        return format!("{} ns", time.0);
    }
    let (factor, prefix) = units::prefix(time.seconds());
    let shown = time.seconds() / factor;
    let decimals = 2 - (shown.log10().floor() as usize).min(2);
    format!("{shown:.decimals$} {prefix}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(value: f64, share: f64) -> Interval {
        Interval { value, low: value * (1.0 - share), high: value * (1.0 + share) }
    }

    #[test]
    fn digits_end_where_the_interval_begins() {
        let shown = |share| digits(51.7384, 51.7384 * share);
        assert_eq!([shown(1e-6), shown(0.001), shown(0.01), shown(0.1), shown(0.9)], ["51.74", "51.74", "51.7", "52", "52"]);
        assert_eq!([digits(48.374, 0.14), digits(28.196, 0.08), digits(9.367, 0.027)], ["48.37", "28.20", "9.367"], "one spread");
        assert_eq!([digits(51.7384, 0.0), digits(1234.5, 900.0), digits(12_345.0, 1.0)], ["51.7", "1200", "12350"]);
        assert_eq!([digits(0.012_341, 1e-9), digits(9.999_96, 1e-9), digits(0.0, 1.0)], ["0.01234", "10.00", "0"]);
    }

    #[test]
    fn a_spread_is_never_nothing() {
        let shown = |share| spread(around(4e12, share));
        assert_eq!([shown(0.0029), shown(0.029), shown(0.29), shown(1e-7)], ["±0.29%", "±2.9%", "±29%", "±0.01%"]);
        assert_eq!([shown(0.0), shown(3.0), spread(around(0.0, 1.0))], ["±?", "±>100%", "±?"]);
    }

    #[test]
    fn figures_that_are_compared_share_a_prefix() {
        let scale = Scale::of(RateUnit::Bytes, [4e10, 4.2e12].into_iter());
        assert_eq!((scale.symbol().as_str(), scale.figure(around(4e10, 0.001)).as_str()), ("TB/s", "0.04000"));
        assert_eq!(quoted(RateUnit::Flops, around(51.74e12, 0.001)), "51.74 TFLOP/s ±0.10%");
    }

    #[test]
    fn times_have_three_digits() {
        let shown = |nanos| time(Nanos(nanos));
        assert_eq!(
            [shown(9), shown(243_600), shown(21_250_000), shown(1_500), shown(2_000_000_000)],
            ["9 ns", "244 µs", "21.2 ms", "1.50 µs", "2.00 s"]
        );
    }
}
