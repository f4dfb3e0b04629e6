//! A file's text, and errors that say where in it: file, line, what is wrong, the way out.

use crate::files;
use serde::{
    Deserialize, Deserializer,
    de::{IntoDeserializer, SeqAccess, Visitor, value},
};
use std::{fmt, marker::PhantomData, ops::Range, path::Path};

/// A value, and where it stands.
pub type At<T> = toml::Spanned<T>;

/// What is wrong with an input, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {says}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct Refused {
    pub file: String,
    pub line: Option<usize>,
    pub says: String,
}

/// A file's name and text.
#[derive(Clone, Debug)]
pub struct Text {
    pub name: String,
    pub text: String,
}

impl Text {
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Refused> {
        let name = path.display().to_string();
        match files::text(path) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => Err(Refused { file: name, line: None, says: format!("cannot be read: {error}") }),
        }
    }

    #[must_use]
    pub fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    /// Refuses what stands there.
    pub fn refuse<T>(&self, at: &At<T>, says: impl Into<String>) -> Refused {
        self.refuse_span(Some(at.span()), says)
    }

    pub fn refuse_span(&self, span: Option<Range<usize>>, says: impl Into<String>) -> Refused {
        Refused { file: self.name.clone(), line: span.map(|span| self.line(span.start)), says: says.into() }
    }

    /// The number there, if it lies within the bounds.
    ///
    /// # Errors
    /// What it is, and what it must be.
    pub fn within(&self, what: &str, given: &At<f64>, low: f64, high: f64) -> Result<f64, Refused> {
        let value = *given.get_ref();
        if value.is_finite() && (low..=high).contains(&value) {
            return Ok(value);
        }
        Err(self.refuse(given, format!("{what} is {value}; it must lie between {low} and {high}")))
    }

    /// Deserialises TOML.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with the nearest key where one is not known.
    pub fn toml<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Refused> {
        toml::from_str(&self.text).map_err(|error| self.refuse_span(error.span(), said(error.message())))
    }
}

/// The parser's message in one line, with the key that was likely meant.
fn said(message: &str) -> String {
    let message = message.lines().collect::<Vec<_>>().join(" ");
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (Some((unknown, known)), true) = (names.split_first(), message.starts_with("unknown field")) else {
        let missing = message.starts_with("missing field");
        return if missing { format!("{message}; `assay size init` prints a plan that has it") } else { message };
    };
    match nearest(unknown, known.iter().copied()) {
        Some(meant) => format!("`{unknown}` is no key of this table; did you mean `{meant}`?"),
        None => format!("`{unknown}` is no key of this table; there are {}", known.join(", ")),
    }
}

/// Of some names the one that was likely meant: at most a third of the letters differ.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let closest = known.map(|name| (distance(word, name), name)).min()?;
    (closest.0 * 3 <= word.chars().count().max(closest.1.chars().count())).then_some(closest.1)
}

/// Letters to insert, drop or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A value, or a list of them.
#[derive(Debug)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Vec<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("one value or a list")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
                let one: value::StrDeserializer<E> = text.into_deserializer();
                T::deserialize(one).map(|one| vec![one])
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Vec<T>, E> {
                let one: value::I64Deserializer<E> = number.into_deserializer();
                T::deserialize(one).map(|one| vec![one])
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Vec<T>, E> {
                let one: value::U64Deserializer<E> = number.into_deserializer();
                T::deserialize(one).map(|one| vec![one])
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Vec<T>, E> {
                let one: value::F64Deserializer<E> = number.into_deserializer();
                T::deserialize(one).map(|one| vec![one])
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_any(Either(PhantomData)).map(Self)
    }
}

/// Figures, of which one alone stands for all.
///
/// # Errors
/// When it is neither a figure nor a list of them.
pub fn figures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    OneOrMany::deserialize(deserializer).map(|many| many.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_leads_to_the_one_that_was_meant() {
        let known = ["lead_months", "term_months", "hourly"];
        assert_eq!(nearest("laed_months", known.into_iter()), Some("lead_months"));
        assert_eq!(nearest("salary", known.into_iter()), None);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
    }

    #[test]
    fn a_parsers_message_becomes_one_line_with_a_way_out() {
        assert_eq!(
            said("unknown field `hourlie`, expected one of `id`, `hourly`"),
            "`hourlie` is no key of this table; did you mean `hourly`?"
        );
        assert!(said("unknown field `x`, expected `months`").contains("there are months"));
        assert!(said("missing field `months`").contains("size init"));
    }
}
