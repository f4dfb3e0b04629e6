//! What each offer asks for a unit of what it delivers, how much of it must be used to be worth it, and what to do without a
//! forecast.

use super::{
    case::{Case, Offer, Sort},
    terms::{decline, discount},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What an option costs by what it delivers, and how much of it must be used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worth {
    pub option: String,
    pub kind: Sort,
    /// Today's price of a firm CU-hour by class, upfront and salvage spread over the term, undiscounted.
    pub per_cu_hour: BTreeMap<String, f64>,
    /// The flexible option that would serve instead, and the share of the term in which a unit must be used to be cheaper: at
    /// today's prices, and as prices are taken to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_even_today: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_even_over_term: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The deterministic rule for those who trust no forecast (Wang, Li and Liang, arXiv 1305.5608).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fallback {
    pub option: String,
    pub against: String,
    /// Reserve a unit in the month with which it would have been used in so many of the last `window` months.
    pub months: usize,
    pub window: usize,
    /// What it then costs at most, in multiples of the best plan with all known; and that of the randomised rule.
    pub at_most: f64,
    pub randomised: f64,
}

impl Offer {
    /// Months that an order lasts.
    fn length(&self) -> usize {
        self.term.unwrap_or(1).max(1)
    }

    /// The first month, from zero, in which it can be ordered or used.
    fn opens(&self) -> usize {
        let ordered = self
            .order_periods
            .as_ref()
            .and_then(|periods| periods.iter().copied().filter(|at| Some(*at) >= self.available_from).min());
        ordered.or(self.available_from).unwrap_or(1).max(1) - 1
    }

    /// What a quote of a month is of today's.
    fn quoted(&self, month: usize) -> f64 {
        // Past the path its last value stands.
        let step = self.price_path.as_ref().and_then(|path| path.get(month).or(path.last())).copied().unwrap_or(1.0);
        step * decline(self.price_decline_annual, month)
    }

    /// What a unit costs in a month on average at today's prices.
    fn monthly(&self) -> f64 {
        self.per_period + (self.upfront - self.salvage) / self.length() as f64
    }
}

/// CU of the class that a unit of a type delivers.
fn firm(case: &Case, of: &str, class: &str) -> f64 {
    let kind = case.types.iter().find(|kind| kind.id == of);
    kind.map_or(0.0, |kind| kind.availability * kind.cu.get(class).copied().unwrap_or(0.0))
}

/// The cheapest flexible CU of the first class that can be had in a month, with what it costs at prices that `quote` gives.
fn instead(case: &Case, month: usize, quote: impl Fn(&Offer) -> f64) -> Option<(&Offer, f64)> {
    let class = case.classes.first()?;
    let there = case.offers(Sort::Flex).filter(|offer| offer.opens() <= month);
    let priced: Vec<(&Offer, f64)> = there
        .map(|offer| (offer, firm(case, &offer.of, class)))
        .filter(|(_, firm)| *firm > 0.0)
        .map(|(offer, firm)| (offer, offer.per_period * quote(offer) / firm))
        .collect();
    // What is capped, as spot is, cannot be counted on.
    let counted = priced.iter().filter(|(offer, _)| offer.max_units.is_none());
    let cheapest = |a: &&(&Offer, f64), b: &&(&Offer, f64)| a.1.total_cmp(&b.1);
    counted.min_by(cheapest).or_else(|| priced.iter().min_by(cheapest)).copied()
}

/// What an offer is worth, where a period has so many hours.
#[must_use]
pub fn worth(case: &Case, offer: &Offer, hours: f64) -> Worth {
    let per_cu_hour = |class: &String| {
        let firm = firm(case, &offer.of, class);
        (firm > 0.0).then(|| (class.clone(), offer.monthly() / firm / hours))
    };
    let active = offer.opens() + offer.lead;
    let against = if offer.kind == Sort::Commit { instead(case, active, |_| 1.0) } else { None };
    let firm = case.classes.first().map_or(0.0, |class| firm(case, &offer.of, class));
    let even = against.filter(|(_, price)| *price > 0.0 && firm > 0.0);
    Worth {
        option: offer.id.clone(),
        kind: offer.kind,
        per_cu_hour: case.classes.iter().filter_map(per_cu_hour).collect(),
        against: even.map(|(flex, _)| flex.id.clone()),
        break_even_today: even.map(|(_, price)| offer.monthly() / firm / price),
        break_even_over_term: even.map(|_| over_term(case, offer, firm)),
        source: offer.source.clone(),
    }
}

/// Discounted cost of a unit of the first order over what the cheapest flexible CU of each month of its term would cost, as prices
/// are taken to go.
fn over_term(case: &Case, offer: &Offer, firm: f64) -> f64 {
    let (ordered, active) = (offer.opens(), offer.opens() + offer.lead);
    let months = active..active + offer.length();
    let now = |month: usize| discount(case.discount_rate_annual, month);
    let flexible: f64 =
        months.clone().filter_map(|month| Some(instead(case, month, |flex| flex.quoted(month))?.1 * firm * now(month))).sum();
    let monthly = offer.per_period * months.clone().map(now).sum::<f64>();
    ((offer.upfront * now(ordered) + monthly) * offer.quoted(ordered) - offer.salvage * now(months.end)) / flexible
}

/// The rule for an offer; none where its term costs more than flexible use through all of it.
#[must_use]
pub fn fallback(case: &Case, offer: &Offer) -> Option<Fallback> {
    let (flex, price) = instead(case, offer.opens() + offer.lead, |_| 1.0)?;
    let firm = firm(case, &offer.of, case.classes.first()?);
    let window = offer.term?;
    let months = (offer.monthly() * window as f64 / (price * firm)).ceil();
    // Everything committed is paid whether used or not, so that no discount is left on use (alpha is zero).
    let at_most = 2.0;
    let e = std::f64::consts::E;
    (firm > 0.0 && months <= window as f64).then(|| Fallback {
        option: offer.id.clone(),
        against: flex.id.clone(),
        months: months as usize,
        window,
        at_most,
        randomised: e / (e - 1.0),
    })
}
