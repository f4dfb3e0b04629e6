//! Months: numbers from 1 within the horizon, or `YYYY-MM` of a calendar.

use super::text::{At, Refused, Text};
use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use std::fmt;

/// A month as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Month {
    /// Of the horizon, from 1.
    Number(i64),
    Of(Date),
}

/// A month of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
}

impl Date {
    /// A month from text such as `2027-03`; a day after it is left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (year, month) = (parts.next()?, parts.next()?);
        let plain = year.len() == 4 && month.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let month: u8 = month.parse().ok().filter(|month| (1..=12).contains(month))?;
        plain.then_some(Self { year: year.parse().ok()?, month })
    }

    /// Months since year 0.
    #[must_use]
    pub fn index(self) -> i64 {
        i64::from(self.year) * 12 + i64::from(self.month) - 1
    }

    #[must_use]
    pub fn plus(self, months: i64) -> Self {
        let index = self.index() + months;
        Self { year: index.div_euclid(12) as i32, month: (index.rem_euclid(12) + 1) as u8 }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04}-{:02}", self.year, self.month))
    }
}

impl Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Month;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a month: its number from 1, or text such as \"2027-03\"")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Month, E> {
                Ok(Month::Number(number))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Month, E> {
                let date = Date::parse(text).filter(|_| text.len() == 7);
                date.map(Month::Of).ok_or_else(|| E::custom(format!("`{text}` is no month; write for example \"2027-03\"")))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// The horizon: months from `start` on.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    pub start: Date,
    pub months: usize,
}

impl Horizon {
    /// The number of a month, from 1; it must lie within the horizon.
    ///
    /// # Errors
    /// When it does not.
    pub fn number(&self, text: &Text, at: &At<Month>, what: &str) -> Result<usize, Refused> {
        let number = match *at.get_ref() {
            Month::Number(number) => number,
            Month::Of(date) => date.index() - self.start.index() + 1,
        };
        if (1..=self.months as i64).contains(&number) {
            return Ok(number as usize);
        }
        let last = self.start.plus(self.months as i64 - 1);
        Err(text
            .refuse(at, format!("{what} is month {number}; the horizon has months 1 to {}, {} to {last}", self.months, self.start)))
    }

    /// Multipliers by month: 1, and from each step's month on its own.
    ///
    /// # Errors
    /// A month outside the horizon, steps out of order, or a multiplier that is none.
    pub fn path<'a>(&self, text: &Text, steps: impl Iterator<Item = (&'a At<Month>, &'a At<f64>)>) -> Result<Vec<f64>, Refused> {
        let (mut path, mut last) = (vec![1.0; self.months], 0);
        for (at, times) in steps {
            let month = self.number(text, at, "a step's month")?;
            if month <= last {
                return Err(text.refuse(at, format!("a step in month {month} follows one in month {last}; write them in order")));
            }
            path[month - 1..].fill(text.within("times", times, 0.0, 1e3)?);
            last = month;
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Line {
        month: At<Month>,
    }

    fn read(line: &str) -> Result<usize, Refused> {
        let text = Text { name: "plan.toml".into(), text: format!("month = {line}\n") };
        let line: Line = text.toml()?;
        let start = Date { year: 2026, month: 11 };
        Horizon { start, months: 24 }.number(&text, &line.month, "order")
    }

    #[test]
    fn a_month_is_a_number_or_a_date() {
        assert_eq!((read("3"), read("\"2026-11\""), read("\"2027-01\"")), (Ok(3), Ok(1), Ok(3)));
        assert_eq!(Date { year: 2026, month: 11 }.plus(2).to_string(), "2027-01");
        assert_eq!(Date::parse("2026-06-18"), Some(Date { year: 2026, month: 6 }));
    }

    #[test]
    fn a_month_outside_the_horizon_is_refused() {
        for (line, word) in
            [("0", "month 0"), ("\"2028-11\"", "2026-11 to 2028-10"), ("\"2027-13\"", "no month"), ("1.5", "from 1")]
        {
            let refused = read(line).expect_err(line).to_string();
            assert!(refused.starts_with("plan.toml, line 1: ") && refused.contains(word), "{refused}");
        }
    }
}
