//! An amount of money as it is written: a number in the plan's currency, or text such as `"55.04 USD"` that says its own.

use super::text::{At, Refused, Text};
use crate::reserve::Micros;
use serde::{Deserialize, Deserializer, de::Visitor};
use std::fmt;

/// An amount, and the currency where one is written beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Amount {
    pub value: f64,
    pub currency: Option<String>,
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Amount;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an amount such as 55.04 or \"55.04 USD\"")
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Amount, E> {
                Ok(Amount { value: value as f64, currency: None })
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Amount, E> {
                Ok(Amount { value, currency: None })
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
                let parts = text.split_once(' ').and_then(|(value, code)| Some((value.parse().ok()?, currency(code.trim())?)));
                let (value, code) =
                    parts.ok_or_else(|| E::custom(format!("`{text}` is no amount; write for example \"55.04 USD\"")))?;
                Ok(Amount { value, currency: Some(code) })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// The three letters of a currency.
pub fn currency(code: &str) -> Option<String> {
    (code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then(|| code.to_owned())
}

impl Amount {
    /// The amount in the plan's currency, in whole micros.
    ///
    /// # Errors
    /// Another currency, a negative amount, or one past what is reckoned with.
    pub fn within<T>(&self, text: &Text, at: &At<T>, what: &str, plan: &str) -> Result<f64, Refused> {
        if let Some(other) = self.currency.as_ref().filter(|other| *other != plan) {
            let says = format!(
                "{what} is in {other}, the plan is in {plan}; rates of exchange are not assumed: convert it, and say in `source` at which rate"
            );
            return Err(text.refuse(at, says));
        }
        let micros = Micros::of(self.value).map_err(|says| text.refuse(at, format!("{what}: {says}")))?;
        if micros.0 < 0 {
            return Err(text.refuse(at, format!("{what} is {}; amounts are not negative", self.value)));
        }
        Ok(micros.amount())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Line {
        amount: At<Amount>,
    }

    fn read(line: &str) -> Result<f64, Refused> {
        let text = Text { name: "plan.toml".into(), text: format!("\namount = {line}\n") };
        let line: Line = text.toml()?;
        line.amount.get_ref().within(&text, &line.amount, "amount", "USD")
    }

    #[test]
    fn an_amount_is_whole_micros_of_the_plans_currency() {
        assert_eq!((read("55.0400004"), read("\"7 USD\""), read("3")), (Ok(55.04), Ok(7.0), Ok(3.0)));
    }

    #[test]
    fn another_currency_and_nonsense_are_refused_with_the_line() {
        for (line, word) in
            [("\"7 EUR\"", "EUR"), ("-1", "negative"), ("\"many USD\"", "no amount"), ("nan", "no amount"), ("true", "55.04")]
        {
            let refused = read(line).expect_err(line).to_string();
            assert!(refused.starts_with("plan.toml, line 2: ") && refused.contains(word), "{refused}");
        }
    }
}
