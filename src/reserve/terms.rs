//! Terms of a commitment, and the orders they allow: what each costs today and which periods it covers.

use serde::{Deserialize, Serialize};

/// What becomes of a commitment that outlives the horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tail {
    /// The upfront and what is fetched at the end count by the share of its periods within the horizon, and fees after it are
    /// left out.
    #[default]
    Prorate,
    /// Everything is paid, also after the horizon.
    Full,
}

/// An order that may be placed: an option in a period.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub option: usize,
    pub kind: usize,
    /// The period of the order, from zero.
    pub period: usize,
    /// Periods covered: from `first` on, before `end`.
    pub first: usize,
    pub end: usize,
    /// The period after its term, which may lie after the horizon.
    pub last: usize,
    /// Orders at most; each is of `step` units.
    pub most: u32,
    pub step: u32,
    /// Discounted cost of one order over the horizon; what it fetches at the end is taken off.
    pub cost: f64,
    /// What it fetches at the end, discounted.
    pub salvage: f64,
    /// Quoted upfront of one order, undiscounted and whole.
    pub upfront: f64,
    /// Of one order, undiscounted: fees after the horizon, and the part of the upfront that is for then.
    pub owed: f64,
    pub paid_ahead: f64,
    /// Undiscounted spend of one order by year of the horizon.
    pub spend: Vec<f64>,
}

impl Slot {
    #[must_use]
    pub fn covers(&self, period: usize) -> bool {
        (self.first..self.end).contains(&period)
    }

    /// Periods of the horizon that an order covers.
    #[must_use]
    pub fn length(&self) -> usize {
        self.end - self.first
    }
}

/// A commitment as it is quoted: per unit, in the currency's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    pub option: usize,
    pub kind: usize,
    /// Periods that an order covers, and periods until it begins.
    pub term: usize,
    pub lead: usize,
    pub upfront: f64,
    pub per_period: f64,
    /// What a unit fetches in the period after its term, undiscounted.
    pub salvage: f64,
    /// What today's quote is multiplied by, by period of the order.
    pub quote: Vec<f64>,
    /// Periods in which orders may be placed, from zero.
    pub orders: Vec<usize>,
    pub most: u32,
    pub step: u32,
}

/// The value in the first period of a payment in `period` (from zero), at a yearly rate.
#[must_use]
pub fn discount(rate: f64, period: usize) -> f64 {
    (1.0 + rate).powf(-(period as f64) / 12.0)
}

/// What a price that declines by a yearly share is multiplied by in `period` (from zero).
#[must_use]
pub fn decline(share: f64, period: usize) -> f64 {
    (1.0 - share).powf(period as f64 / 12.0)
}

/// Orders that the terms allow within a horizon; one that would first be active after it is none.
#[must_use]
pub fn slots(terms: &Terms, periods: usize, rate: f64, tail: Tail) -> Vec<Slot> {
    let begins = |&order: &usize| order + terms.lead < periods;
    terms.orders.iter().copied().filter(begins).map(|order| slot(terms, order, periods, rate, tail)).collect()
}

fn slot(terms: &Terms, order: usize, periods: usize, rate: f64, tail: Tail) -> Slot {
    let first = order + terms.lead;
    let last = first + terms.term;
    let end = last.min(periods);
    let (quote, step) = (terms.quote[order], f64::from(terms.step));
    let (upfront, fee) = (terms.upfront * quote * step, terms.per_period * quote * step);
    let within = (end - first) as f64 / terms.term as f64;
    let (owed, paid_ahead) = (fee * (last - end) as f64, upfront * (1.0 - within));
    let share = match tail {
        Tail::Prorate => within,
        Tail::Full => 1.0,
    };
    let paid = match tail {
        Tail::Prorate => first..end,
        Tail::Full => first..last,
    };
    let mut spend = vec![0.0; periods.div_ceil(12)];
    spend[order / 12] += upfront;
    for period in first..end {
        spend[period / 12] += fee;
    }
    let fees: f64 = paid.map(|period| fee * discount(rate, period)).sum();
    let salvage = terms.salvage * step * share * discount(rate, last);
    let cost = upfront * share * discount(rate, order) + fees - salvage;
    let (option, kind, most) = (terms.option, terms.kind, terms.most);
    let step = terms.step;
    Slot { option, kind, period: order, first, end, last, most, step, cost, salvage, upfront, owed, paid_ahead, spend }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms {
            option: 0,
            kind: 0,
            term: 12,
            lead: 2,
            upfront: 120.0,
            per_period: 10.0,
            salvage: 0.0,
            quote: (0..24).map(|period| decline(0.2, period)).collect(),
            orders: vec![0, 12, 20, 22],
            most: 3,
            step: 1,
        }
    }

    #[test]
    fn an_order_past_the_horizon_is_none() {
        let slots = slots(&terms(), 24, 0.0, Tail::Prorate);
        let windows: Vec<_> = slots.iter().map(|slot| (slot.period, slot.first, slot.end)).collect();
        assert_eq!(windows, [(0, 2, 14), (12, 14, 24), (20, 22, 24)]);
    }

    #[test]
    fn a_tail_is_prorated_or_paid_whole() {
        let prorated = &slots(&terms(), 24, 0.0, Tail::Prorate)[2];
        let full = &slots(&terms(), 24, 0.0, Tail::Full)[2];
        let quote = 0.8_f64.powf(20.0 / 12.0);
        assert!((prorated.cost - quote * (120.0 * 2.0 / 12.0 + 20.0)).abs() < 1e-9);
        assert!((full.cost - quote * 240.0).abs() < 1e-9);
        assert!((prorated.upfront - quote * 120.0).abs() < 1e-9, "the budget sees the whole upfront");
    }

    #[test]
    fn what_is_paid_for_after_the_horizon_is_told_whatever_is_counted() {
        for tail in [Tail::Prorate, Tail::Full] {
            let slots = slots(&terms(), 24, 0.21, tail);
            let quote = 0.8_f64.powf(20.0 / 12.0);
            assert_eq!((slots[0].last, slots[0].owed, slots[2].last), (14, 0.0, 34));
            assert!((slots[2].owed - quote * 100.0).abs() < 1e-9 && (slots[2].paid_ahead - quote * 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn salvage_comes_after_the_term_and_is_prorated_like_the_upfront() {
        let salvaged = Terms { salvage: 60.0, ..terms() };
        let worth = |tail: Tail, at: usize| slots(&terms(), 24, 0.21, tail)[at].cost - slots(&salvaged, 24, 0.21, tail)[at].cost;
        assert!((worth(Tail::Prorate, 0) - 60.0 * 1.21_f64.powf(-14.0 / 12.0)).abs() < 1e-9);
        let last = 60.0 * 1.21_f64.powf(-34.0 / 12.0);
        assert!((worth(Tail::Full, 2) - last).abs() < 1e-9 && (worth(Tail::Prorate, 2) - last * 2.0 / 12.0).abs() < 1e-9);
    }

    #[test]
    fn payments_are_discounted_by_their_own_period() {
        let slot = &slots(&terms(), 24, 0.21, Tail::Prorate)[1];
        let quote = 0.8;
        let fees: f64 = (14..24).map(|period| 10.0 * quote * 1.21_f64.powf(-f64::from(period) / 12.0)).sum();
        assert!((slot.cost - (120.0 * quote * (10.0 / 12.0) / 1.21 + fees)).abs() < 1e-9);
    }
}
