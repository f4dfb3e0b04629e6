//! Offers: what a unit costs on which terms, from the price card or as stated, as options of a case.

use super::{
    amount::Amount,
    card::{Card, Row, Upfront, Wanted},
    file::{File, Kind, Offer, Step, Type},
    month::Horizon,
    sources::{Grade, Source},
    text::{At, Refused, Text, nearest},
};
use crate::reserve::{Offer as Choice, Sort};
use std::ops::Range;

/// What offers are read by.
pub struct Terms<'a> {
    pub text: &'a Text,
    pub file: &'a File,
    pub horizon: Horizon,
    pub currency: &'a str,
    /// Hours in a month.
    pub hours: f64,
    pub card: &'a Card,
}

/// A price: what is paid at the order and by the month, and where it comes from.
struct Price {
    upfront: f64,
    monthly: f64,
    grade: Grade,
    how: String,
    line: usize,
    file: String,
}

impl Terms<'_> {
    /// An option of the case, and where its prices come from.
    ///
    /// # Errors
    /// What does not fit together, with the line.
    pub fn option(&self, offer: &Offer) -> Result<(Choice, Vec<Source>), Refused> {
        let kind = *offer.kind.get_ref();
        self.meaningful(offer)?;
        let of = self.of(offer)?;
        let term = self.term(offer)?;
        let price = match kind {
            Kind::Own => self.own(offer)?,
            _ => self.bought(offer, of, term.unwrap_or(0))?,
        };
        let later = |a: Option<usize>, b: Option<usize>| a.max(b);
        let month = |at: Option<&At<_>>| at.map(|at| self.horizon.number(self.text, at, "available_from")).transpose();
        let sources = self.sources(offer, &price);
        let total = |at: Option<&At<f64>>, what: &str| at.map(|at| self.text.within(what, at, 0.0, 1e6)).transpose();
        let option = Choice {
            id: offer.id.get_ref().clone(),
            of: offer.of.get_ref().clone(),
            kind: if kind.flexible() { Sort::Flex } else { Sort::Commit },
            term,
            lead: offer.lead_months.as_ref().map_or(0, |lead| *lead.get_ref()),
            upfront: price.upfront,
            per_period: price.monthly,
            price_decline_annual: match &offer.price_decline {
                Some(share) => self.text.within("price_decline", share, -1.0, 0.99)?,
                None => 0.0,
            },
            order_periods: if kind.flexible() { None } else { Some(self.orders(offer)?) },
            available_from: later(month(offer.available_from.as_ref())?, month(of.available_from.as_ref())?),
            max_units: total(offer.max_units.as_ref(), "max_units")?,
            min_total: total(offer.min_total.as_ref(), "min_total")?,
            max_total: total(offer.max_total.as_ref(), "max_total")?,
            step: offer.step.as_ref().map(|step| self.step(step)).transpose()?,
            salvage: self.optional(offer.salvage.as_ref(), "salvage")?,
            price_path: offer.price_steps.as_ref().map(|steps| self.path(steps.get_ref())).transpose()?,
            source: sources.first().map(Source::cite),
        };
        Ok((option, sources))
    }

    fn step(&self, step: &At<u32>) -> Result<u32, Refused> {
        if (1..=1_000_000).contains(step.get_ref()) {
            return Ok(*step.get_ref());
        }
        Err(self.text.refuse(step, format!("step is {}; units are ordered in multiples of at least 1", step.get_ref())))
    }

    /// What today's price is multiplied by, by month: of the last step until then.
    fn path(&self, steps: &[At<Step>]) -> Result<Vec<f64>, Refused> {
        let steps = steps.iter().map(toml::Spanned::get_ref).map(|step| (&step.month, &step.times));
        self.horizon.path(self.text, steps)
    }

    fn sources(&self, offer: &Offer, price: &Price) -> Vec<Source> {
        let id = offer.id.get_ref();
        let source = |what: &str, value: f64, unit: String| Source {
            figure: format!("{what} of {id}"),
            of: id.clone(),
            value,
            unit,
            grade: price.grade,
            file: price.file.clone(),
            line: Some(price.line),
            how: price.how.clone(),
        };
        let mut sources = vec![source("price", price.monthly, format!("{} a unit and month", self.currency))];
        if price.upfront > 0.0 {
            sources.push(source("upfront", price.upfront, format!("{} a unit", self.currency)));
        }
        sources
    }

    fn of(&self, offer: &Offer) -> Result<&Type, Refused> {
        let name = offer.of.get_ref();
        let types = || self.file.types.iter().map(toml::Spanned::get_ref);
        types().find(|kind| kind.id.get_ref() == name).ok_or_else(|| {
            let names: Vec<&str> = types().map(|kind| kind.id.get_ref().as_str()).collect();
            let meant = nearest(name, names.iter().copied())
                .map_or(format!("there are {}", names.join(", ")), |meant| format!("did you mean `{meant}`?"));
            self.text.refuse(&offer.of, format!("offer {} is of type `{name}`, which no [[type]] has; {meant}", offer.id.get_ref()))
        })
    }

    /// Refuses keys that mean nothing for the kind of offer: they would be passed over in silence.
    fn meaningful(&self, offer: &Offer) -> Result<(), Refused> {
        fn span<T>(key: Option<&At<T>>) -> Option<Range<usize>> {
            key.map(toml::Spanned::span)
        }
        let kind = *offer.kind.get_ref();
        let committed = [
            ("term_months", span(offer.term_months.as_ref())),
            ("lead_months", span(offer.lead_months.as_ref())),
            ("order_months", span(offer.order_months.as_ref())),
            ("order_from", span(offer.order_from.as_ref())),
            ("order_until", span(offer.order_until.as_ref())),
            ("order_every", span(offer.order_every.as_ref())),
            ("step", span(offer.step.as_ref())),
            ("salvage", span(offer.salvage.as_ref())),
            ("min_total", span(offer.min_total.as_ref())),
            ("max_total", span(offer.max_total.as_ref())),
        ];
        let bought = [
            ("card", span(offer.card.as_ref())),
            ("hourly", span(offer.hourly.as_ref())),
            ("monthly", span(offer.monthly.as_ref())),
            ("discount", span(offer.discount.as_ref())),
        ];
        let paid = [("upfront", span(offer.upfront.as_ref())), ("upfront_share", span(offer.upfront_share.as_ref()))];
        let owned = [
            ("capex", span(offer.capex.as_ref())),
            ("power_kw", span(offer.power_kw.as_ref())),
            ("pue", span(offer.pue.as_ref())),
            ("energy_per_kwh", span(offer.energy_per_kwh.as_ref())),
            ("hosting_monthly", span(offer.hosting_monthly.as_ref())),
        ];
        let mut meaningless: Vec<(&str, Option<Range<usize>>)> = Vec::new();
        if kind.flexible() {
            meaningless.extend(committed.into_iter().chain(paid.clone()));
        }
        if kind == Kind::Own {
            meaningless.extend(bought.into_iter().chain(paid));
        } else {
            meaningless.extend(owned);
        }
        match meaningless.into_iter().find_map(|(key, span)| Some((key, span?))) {
            Some((key, span)) => {
                let says = format!("`{key}` means nothing for an offer of kind \"{}\"; drop it, or change the kind", kind.name());
                Err(self.text.refuse_span(Some(span), says))
            }
            None => Ok(()),
        }
    }

    fn term(&self, offer: &Offer) -> Result<Option<usize>, Refused> {
        let kind = *offer.kind.get_ref();
        if kind.flexible() {
            return Ok(None);
        }
        let id = offer.id.get_ref();
        let Some(term) = &offer.term_months else {
            let what = if kind == Kind::Own { "the life of own hardware" } else { "the months that are committed to" };
            return Err(self.text.refuse(&offer.kind, format!("offer {id} needs `term_months`, {what}")));
        };
        if !(1..=240).contains(term.get_ref()) {
            return Err(self.text.refuse(term, format!("term_months is {}; it must lie between 1 and 240", term.get_ref())));
        }
        if kind == Kind::Own && offer.lead_months.is_none() {
            return Err(self.text.refuse(
                &offer.kind,
                format!("offer {id} needs `lead_months`: own hardware takes months to arrive and to be put up"),
            ));
        }
        Ok(Some(*term.get_ref()))
    }

    /// Months in which orders may be placed.
    fn orders(&self, offer: &Offer) -> Result<Vec<usize>, Refused> {
        let number = |at, what| self.horizon.number(self.text, at, what);
        if let Some(months) = &offer.order_months {
            let ranged = offer.order_from.as_ref().or(offer.order_until.as_ref());
            if let Some(other) = ranged {
                return Err(self.text.refuse(other, "an offer says `order_months`, or `order_from` and `order_until`; not both"));
            }
            if let Some(every) = &offer.order_every {
                return Err(self.text.refuse(every, "an offer says `order_months` or `order_every`; not both"));
            }
            return months.get_ref().iter().map(|at| number(at, "an order month")).collect();
        }
        let from = offer.order_from.as_ref().map_or(Ok(1), |at| number(at, "order_from"))?;
        let until = offer.order_until.as_ref().map_or(Ok(self.horizon.months), |at| number(at, "order_until"))?;
        let every = offer.order_every.as_ref().map_or(1, |every| *every.get_ref());
        if every == 0 || from > until {
            let says = format!("offer {} can never be ordered: from month {from} to {until}, every {every}", offer.id.get_ref());
            return Err(self.text.refuse(&offer.id, says));
        }
        Ok((from..=until).step_by(every).collect())
    }

    fn amount(&self, given: &At<Amount>, what: &str) -> Result<f64, Refused> {
        given.get_ref().within(self.text, given, what, self.currency)
    }

    fn optional(&self, given: Option<&At<Amount>>, what: &str) -> Result<f64, Refused> {
        given.map_or(Ok(0.0), |given| self.amount(given, what))
    }

    /// Capital, then power and hosting by the month.
    fn own(&self, offer: &Offer) -> Result<Price, Refused> {
        let Some(capex) = &offer.capex else {
            return Err(self.text.refuse(&offer.kind, format!("offer {} needs `capex`, the price of a unit", offer.id.get_ref())));
        };
        let power = offer.power_kw.as_ref().map_or(Ok(0.0), |at| self.text.within("power_kw", at, 0.0, 1e5))?;
        let pue = offer.pue.as_ref().map_or(Ok(1.0), |at| self.text.within("pue", at, 1.0, 5.0))?;
        let energy = self.optional(offer.energy_per_kwh.as_ref(), "energy_per_kwh")?;
        if let Some(at) = offer.power_kw.as_ref().filter(|_| offer.energy_per_kwh.is_none()) {
            return Err(self.text.refuse(at, "power costs nothing without `energy_per_kwh`; say the tariff"));
        }
        let hosting = self.optional(offer.hosting_monthly.as_ref(), "hosting_monthly")?;
        Ok(Price {
            upfront: self.amount(capex, "capex")?,
            monthly: power * pue * energy * self.hours + hosting,
            grade: Grade::Stated,
            how: format!("{power} kW x PUE {pue} x {energy} a kWh x {} h + hosting {hosting}{}", self.hours, because(offer)),
            line: self.text.line(capex.span().start),
            file: self.text.name.clone(),
        })
    }

    /// From the card or as stated, less a discount, with the part that is paid upfront.
    fn bought(&self, offer: &Offer, of: &Type, term: usize) -> Result<Price, Refused> {
        let id = offer.id.get_ref();
        let mut price = match (&offer.card, &offer.hourly, &offer.monthly) {
            (Some(option), None, None) => self.carded(option, of, term)?,
            (None, Some(hourly), None) => self.stated(self.amount(hourly, "hourly")? * self.hours, hourly),
            (None, None, Some(monthly)) => self.stated(self.amount(monthly, "monthly")?, monthly),
            _ => {
                let says =
                    format!("offer {id} must say its price in exactly one way: `card = \"on_demand\"`, `hourly`, or `monthly`");
                return Err(self.text.refuse(&offer.id, says));
            }
        };
        if let Some(discount) = &offer.discount {
            let share = self.text.within("discount", discount, 0.0, 0.99)?;
            price.upfront *= 1.0 - share;
            price.monthly *= 1.0 - share;
            price.how = format!("{}, less {:.1} %", price.how, 100.0 * share);
            price.grade = Grade::Stated;
        }
        price.how.push_str(&because(offer));
        match (&offer.upfront, &offer.upfront_share) {
            (Some(upfront), Some(_)) => {
                return Err(self.text.refuse(upfront, format!("offer {id} says both `upfront` and `upfront_share`; keep one")));
            }
            (Some(upfront), None) => price.upfront = self.amount(upfront, "upfront")?,
            (None, Some(share)) => {
                let share = self.text.within("upfront_share", share, 0.0, 1.0)?;
                let whole = price.upfront + price.monthly * term as f64;
                (price.upfront, price.monthly) = (whole * share, whole * (1.0 - share) / term as f64);
                price.how = format!("{}, {:.0} % of {term} months upfront", price.how, 100.0 * share);
            }
            (None, None) => {}
        }
        Ok(price)
    }

    fn stated<T>(&self, monthly: f64, at: &At<T>) -> Price {
        let line = self.text.line(at.span().start);
        Price { upfront: 0.0, monthly, grade: Grade::Stated, how: "stated".into(), line, file: self.text.name.clone() }
    }

    fn carded(&self, option: &At<String>, of: &Type, term: usize) -> Result<Price, Refused> {
        let Some(instance) = &of.instance else {
            let says = format!("a price of the card needs the `instance` of type {}", of.id.get_ref());
            return Err(self.text.refuse(option, says));
        };
        let wanted = Wanted {
            provider: of.provider.get_ref(),
            instance: instance.get_ref(),
            region: of.region.as_ref().map(|region| region.get_ref().as_str()),
            option: option.get_ref(),
            term,
            as_of: self.file.prices_as_of.as_ref().map(|date| date.get_ref().as_str()),
        };
        let row = self.card.find(&wanted).map_err(|says| self.text.refuse(option, says))?;
        if row.currency != self.currency {
            let says = format!(
                "prices are in {}, the plan is in {}; rates of exchange are not assumed: convert the card",
                row.currency, self.currency
            );
            return Err(Refused { file: self.card.name.clone(), line: Some(row.line), says });
        }
        Ok(self.of_row(row, term))
    }

    fn of_row(&self, row: &Row, term: usize) -> Price {
        let monthly = row.hourly * self.hours;
        let (upfront, monthly) = match row.upfront {
            Upfront::Amount(upfront) => (upfront, monthly),
            Upfront::All => (monthly * term as f64, 0.0),
        };
        Price {
            upfront,
            monthly,
            grade: Grade::Card,
            how: format!(
                "{} {} {} {} as of {}: {}/h, {}",
                row.provider, row.instance, row.region, row.option, row.as_of, row.hourly, row.source
            ),
            line: row.line,
            file: self.card.name.clone(),
        }
    }
}

fn because(offer: &Offer) -> String {
    offer.source.as_ref().map_or(String::new(), |source| format!(" ({})", source.get_ref()))
}
