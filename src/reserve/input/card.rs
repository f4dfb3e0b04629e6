//! A price card: offers of providers with their prices by the hour, as a CSV.
//!
//! Columns: provider, instance, accelerator, count, region, option, term_months, upfront, hourly_CUR (the currency's code in small
//! letters; or `hourly` beside a column `currency`), as_of, source. Of several rows of one offer the newest counts.

use super::{amount::currency, text::Refused};
use crate::files;
use std::{collections::BTreeSet, path::Path};

/// The card that is shipped: published list prices, each with its source.
const SHIPPED: &str = include_str!("../../../data/price_card.csv");
/// Its name in messages and citations.
pub const SHIPPED_NAME: &str = "data/price_card.csv (shipped)";
/// What the upfront column says where all is paid at once.
const ALL: &str = "all_upfront";

/// What is paid before use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Upfront {
    Amount(f64),
    /// The price of the whole term.
    All,
}

/// A row of the card.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub line: usize,
    pub provider: String,
    pub instance: String,
    pub accelerator: String,
    pub count: u32,
    pub region: String,
    pub option: String,
    pub term_months: Option<usize>,
    pub upfront: Upfront,
    pub hourly: f64,
    pub currency: String,
    pub as_of: String,
    pub source: String,
}

/// Which row is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub provider: &'a str,
    pub instance: &'a str,
    pub region: Option<&'a str>,
    pub option: &'a str,
    /// Of a commitment; zero else.
    pub term: usize,
    /// Newest date that counts.
    pub as_of: Option<&'a str>,
}

/// The rows of a file.
#[derive(Clone, Debug)]
pub struct Card {
    pub name: String,
    rows: Vec<Row>,
}

struct Columns {
    at: [usize; 9],
    hourly: usize,
    currency: Result<String, usize>,
    as_of: usize,
}

const NAMES: [&str; 9] = ["provider", "instance", "accelerator", "count", "region", "option", "term_months", "upfront", "source"];

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, String> {
        let column = |name: &str| header.iter().position(|column| column == name);
        let missing = |name: &str| format!("column `{name}` is missing; a card has {}, hourly_usd, as_of", NAMES.join(", "));
        let mut at = [0; 9];
        for (place, name) in at.iter_mut().zip(NAMES) {
            *place = column(name).ok_or_else(|| missing(name))?;
        }
        let coded = header.iter().enumerate().find_map(|(at, name)| {
            let code = currency(&name.strip_prefix("hourly_")?.to_ascii_uppercase())?;
            Some((at, Ok(code)))
        });
        let (hourly, currency) = coded
            .or_else(|| Some((column("hourly")?, Err(column("currency")?))))
            .ok_or("no column says prices and their currency; name it for example `hourly_usd`")?;
        Ok(Self { at, hourly, currency, as_of: column("as_of").ok_or_else(|| missing("as_of"))? })
    }

    fn row(&self, line: usize, record: &csv::StringRecord) -> Result<Row, String> {
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        let text = |at: usize| cell(self.at[at]).to_owned();
        let count = cell(self.at[3]);
        let term = cell(self.at[6]);
        let upfront = match cell(self.at[7]) {
            ALL => Upfront::All,
            amount => Upfront::Amount(price(amount, "upfront")?),
        };
        let currency = match &self.currency {
            Ok(code) => code.clone(),
            Err(at) => currency(cell(*at)).ok_or_else(|| format!("`{}` is no currency; write three letters", cell(*at)))?,
        };
        Ok(Row {
            line,
            provider: text(0),
            instance: text(1),
            accelerator: text(2),
            count: count.parse().map_err(|_| format!("count `{count}` is no whole number"))?,
            region: text(4),
            option: text(5),
            term_months: if term.is_empty() {
                None
            } else {
                Some(term.parse().map_err(|_| format!("term_months `{term}` is no whole number"))?)
            },
            upfront,
            hourly: price(cell(self.hourly), "the hourly price")?,
            currency,
            as_of: cell(self.as_of).to_owned(),
            source: text(8),
        })
    }
}

fn price(text: &str, what: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| *price >= 0.0 && price.is_finite());
    price.ok_or_else(|| format!("{what} `{text}` is no price"))
}

impl Card {
    /// # Errors
    /// When the file cannot be read, with the line where it is no card.
    pub fn read(path: &Path) -> Result<Self, Refused> {
        let name = path.display().to_string();
        let text = files::text(path).map_err(|error| Refused {
            file: name.clone(),
            line: None,
            says: format!("cannot be read: {error}"),
        })?;
        Self::of(&name, &text)
    }

    /// The card that comes with the program.
    ///
    /// # Errors
    /// Never, as a test sees to.
    pub fn shipped() -> Result<Self, Refused> {
        Self::of(SHIPPED_NAME, SHIPPED)
    }

    /// The text of the shipped card.
    #[must_use]
    pub fn shipped_text() -> &'static str {
        SHIPPED
    }

    fn of(name: &str, text: &str) -> Result<Self, Refused> {
        let refused = |line: usize, says: String| Refused { file: name.to_owned(), line: Some(line), says };
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let columns = reader.headers().map_err(|error| error.to_string()).and_then(Columns::of).map_err(|says| refused(1, says))?;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(1, |position| position.line() as usize);
                refused(line, error.to_string())
            })?;
            let line = record.position().map_or(1, |position| position.line() as usize);
            rows.push(columns.row(line, &record).map_err(|says| refused(line, says))?);
        }
        Ok(Self { name: name.to_owned(), rows })
    }

    /// Devices in an instance.
    #[must_use]
    pub fn count(&self, provider: &str, instance: &str) -> Option<u32> {
        self.rows.iter().find(|row| row.provider == provider && row.instance == instance).map(|row| row.count)
    }

    /// The newest row of an offer.
    ///
    /// # Errors
    /// What the card has instead, or what must be said besides.
    pub fn find(&self, wanted: &Wanted) -> Result<&Row, String> {
        let Wanted { provider, instance, region, option, term, as_of } = *wanted;
        let own: Vec<&Row> = self.rows.iter().filter(|row| row.provider == provider && row.instance == instance).collect();
        let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        if own.is_empty() {
            let names: BTreeSet<&str> =
                self.rows.iter().filter(|row| row.provider == provider).map(|row| row.instance.as_str()).collect();
            return Err(format!("{} has no {instance} of {provider}; of {provider} it has {}", self.name, list(names)));
        }
        // A price without a term is that of any term: a discount of a plan may be taken off it.
        let fits = |row: &&Row| row.option == option && row.term_months.is_none_or(|months| months == 0 || months == term);
        let offered: Vec<&Row> = own.iter().copied().filter(fits).collect();
        if offered.is_empty() {
            let names: BTreeSet<String> = own
                .iter()
                .map(|row| match row.term_months {
                    Some(months) if months > 0 => format!("{} of {months} months", row.option),
                    _ => row.option.clone(),
                })
                .collect();
            let asked = if term > 0 { format!("{option} of {term} months") } else { option.to_owned() };
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            return Err(format!("{} has no {asked} for {instance}; it has {names}", self.name));
        }
        let regions: BTreeSet<&str> = offered.iter().map(|row| row.region.as_str()).collect();
        let here: Vec<&Row> = offered.into_iter().filter(|row| region.is_none_or(|region| row.region == region)).collect();
        if here.is_empty() || region.is_none() && regions.len() > 1 {
            return Err(format!("{} has {option} for {instance} in {}; say `region` of the type", self.name, list(regions)));
        }
        let newest = here.into_iter().filter(|row| as_of.is_none_or(|last| known_by(&row.as_of, last)));
        newest
            .max_by(|a, b| age(&a.as_of).cmp(&age(&b.as_of)).then(b.line.cmp(&a.line)))
            .ok_or_else(|| format!("{} has no {option} for {instance} as of {}", self.name, as_of.unwrap_or_default()))
    }
}

/// By which dates are ordered: what was before a date is older than it, and what has none is oldest.
fn age(as_of: &str) -> (&str, bool) {
    let date = as_of.strip_prefix("before ").unwrap_or(as_of);
    let digits = date.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(date.len());
    (&date[..digits], date.len() == as_of.len())
}

fn known_by(as_of: &str, last: &str) -> bool {
    let (date, exact) = age(as_of);
    !date.is_empty() && (date <= last || !exact && last.starts_with(date))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted =
        Wanted { provider: "aws", instance: "p5.48xlarge", region: Some("us-east-1"), option: "on_demand", term: 0, as_of: None };

    fn said(wanted: Wanted) -> String {
        Card::shipped().expect("whole").find(&wanted).expect_err("no such row")
    }

    #[test]
    fn the_newest_row_of_an_offer_counts() {
        let card = Card::shipped().expect("whole");
        let row = card.find(&WANTED).expect("there");
        assert_eq!((row.hourly, row.as_of.as_str(), row.currency.as_str()), (55.04, "2026-07-20", "USD"));
        let before = card.find(&Wanted { as_of: Some("2025-04-01"), ..WANTED }).expect("there");
        assert_eq!((before.hourly, before.as_of.as_str()), (98.32, "2025-03-31"));
        let block = Wanted { option: "capacity_block", term: 1, ..WANTED };
        assert_eq!(card.find(&block).map(|row| (row.upfront, row.hourly)), Ok((Upfront::All, 39.33)));
        assert_eq!(card.count("azure", "Standard_NC96ads_A100_v4"), Some(4));
    }

    #[test]
    fn what_the_card_lacks_is_said_with_what_it_has() {
        assert!(said(Wanted { instance: "p7", ..WANTED }).contains("p5.48xlarge"));
        assert!(said(Wanted { option: "reserved", term: 36, ..WANTED }).contains("capacity_block, on_demand"));
        assert!(said(Wanted { provider: "gcp", instance: "a3-highgpu-8g", region: None, ..WANTED }).contains("us-central1"));
        assert!(said(Wanted { as_of: Some("2020"), ..WANTED }).contains("as of 2020"));
    }

    #[test]
    fn what_is_no_card_is_refused_with_its_line() {
        let header = "provider,instance,accelerator,count,region,option,term_months,upfront,hourly_eur,as_of,source\n";
        let row = "aws,x,H100,8,r,on_demand,0,0,1.5,2026,s\n";
        let card = Card::of("card.csv", &format!("{header}{row}")).expect("whole");
        assert_eq!(card.rows[0].currency, "EUR");
        for (text, word) in [
            (header.replace("region,", ""), "line 1: column `region`"),
            (header.replace("_eur", ""), "line 1: no column says"),
            (format!("{header}{row}{}", row.replace("1.5", "cheap")), "line 3: the hourly price `cheap`"),
            (format!("{header}{}", row.replace(",8,", ",some,")), "line 2: count `some`"),
            (format!("{header}a,b\n"), "line 2"),
        ] {
            let refused = Card::of("card.csv", &text).expect_err(word).to_string();
            assert!(refused.starts_with("card.csv, ") && refused.contains(word), "{refused}");
        }
    }
}
