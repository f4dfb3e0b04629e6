//! Instances of any size with realistic prices and growth, the same for the same seed: what the solver is measured on.
//!
//! Prices of a type follow its CU within a generation and fall by about a sixth of the price of a CU from one generation to the
//! next; discounts of commitments grow with their term. Demand grows by a lognormal factor that each scenario draws once, at a
//! quantile of its own, so that few scenarios span what may come.

use super::{
    case::{CASE, Case, Constraints, Demand, Offer, Sort, Type},
    terms::Tail,
};
use std::collections::BTreeMap;

/// What an instance is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub types: usize,
    pub periods: usize,
    pub scenarios: usize,
    /// Units of the first type that the demand of the first period takes.
    pub fleet: usize,
}

/// Fleets of seeds 1 to 10, and so on again.
pub const FLEETS: [usize; 10] = [5, 10, 20, 35, 60, 100, 150, 230, 350, 500];
const CLASS: &str = "serve";
/// Monthly price of a CU on demand in the first generation: eight cards at 6.88 an hour.
const PRICE: f64 = 40_178.0 / 8.0;
/// Term, lead, discount on demand's price, and the share of it that is paid upfront.
const TERMS: [(usize, usize, f64, f64); 4] = [(12, 0, 0.27, 0.0), (36, 1, 0.46, 0.3), (60, 2, 0.54, 0.5), (84, 4, 0.6, 0.7)];

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.share() * (high - low)
    }
}

/// Draws an instance; each type has two flexible offers and four commitments.
#[must_use]
pub fn generate(seed: u64, shape: Shape) -> Case {
    let dice = &mut Dice(seed);
    let mut types = Vec::new();
    let mut options = Vec::new();
    for number in 0..shape.types {
        let generation = number * 4 / shape.types.max(1);
        let cards = [8.0, 8.0, 4.0, 8.0][number % 4];
        let cu = round(cards * 1.7_f64.powi(generation as i32) * dice.between(0.92, 1.08), 3);
        let id = format!("t{number:02}-g{generation}x{cards}");
        let provider = format!("p{}", number % 4);
        let from = 1 + generation * shape.periods / 8;
        let price = PRICE * cu * 0.84_f64.powi(generation as i32) * dice.between(0.9, 1.15);
        let cap = (shape.fleet as f64 * 8.0 / cu * dice.between(0.3, 1.0)).ceil();
        types.push(Type {
            id: id.clone(),
            provider,
            cu: BTreeMap::from([(CLASS.into(), cu)]),
            availability: round(dice.between(0.96, 0.999), 4),
            ..Type::default()
        });
        options.extend(offers(dice, &id, from, price, cap, shape));
    }
    let demand = demand(dice, &options, shape);
    let constraints = Constraints {
        shortfall_penalty_per_cu_period: round(PRICE * 4.0, 2),
        min_service_probability: Some(0.95),
        upfront_budget: Some(round(PRICE * 8.0 * shape.fleet as f64 * 60.0, 2)),
        max_provider_share: Some(0.6),
        ..Constraints::default()
    };
    Case {
        schema: CASE.into(),
        id: format!("generated-{seed}"),
        description: format!(
            "{} types, {} months, {} scenarios, fleet of {}",
            shape.types, shape.periods, shape.scenarios, shape.fleet
        ),
        periods: shape.periods,
        discount_rate_annual: 0.08,
        tail: Tail::Prorate,
        classes: vec![CLASS.into()],
        types,
        options,
        demand,
        constraints,
        ..Case::default()
    }
}

fn offers(dice: &mut Dice, of: &str, from: usize, price: f64, cap: f64, shape: Shape) -> Vec<Offer> {
    let fall = round(dice.between(0.0, 0.25), 3);
    let plain = Offer {
        id: format!("{of}-od"),
        of: of.into(),
        kind: Sort::Flex,
        term: None,
        lead: 0,
        upfront: 0.0,
        per_period: round(price, 2),
        price_decline_annual: fall,
        order_periods: None,
        available_from: Some(from.min(shape.periods)),
        ..Offer::default()
    };
    let spot = Offer {
        id: format!("{of}-spot"),
        per_period: round(price * dice.between(0.35, 0.6), 2),
        max_units: Some((cap / 4.0).ceil()),
        ..plain.clone()
    };
    let mut offers = vec![plain.clone(), spot];
    for (term, lead, discount, upfront) in TERMS {
        let whole = price * (1.0 - discount * dice.between(0.85, 1.1));
        offers.push(Offer {
            id: format!("{of}-{}y", term / 12),
            kind: Sort::Commit,
            term: Some(term),
            lead,
            upfront: round(whole * term as f64 * upfront, 2),
            per_period: round(whole * (1.0 - upfront), 2),
            max_units: Some(cap * 4.0),
            ..plain.clone()
        });
    }
    offers
}

fn demand(dice: &mut Dice, options: &[Offer], shape: Shape) -> Vec<Demand> {
    let scenarios = shape.scenarios;
    let (growth, spread) = (dice.between(0.08, 0.3), dice.between(0.1, 0.22));
    let start = shape.fleet as f64 * 8.0;
    let mut demand = Vec::new();
    for scenario in 0..scenarios {
        let rate = (growth + spread * normal_quantile((scenario as f64 + 0.5) / scenarios as f64)).exp();
        let mut noise = 0.0;
        let path = (0..shape.periods).map(|period| {
            noise = 0.8 * noise + 0.04 * normal_quantile(dice.between(0.01, 0.99));
            let season = 1.0 + 0.05 * (std::f64::consts::TAU * period as f64 / 12.0).sin();
            round(start * rate.powf(period as f64 / 12.0) * season * f64::exp(noise), 4)
        });
        let cu = BTreeMap::from([(CLASS.into(), path.collect())]);
        let capped = options.iter().filter(|offer| offer.kind == Sort::Flex && offer.max_units.is_some());
        let flex_factor = capped.map(|offer| (offer.id.clone(), round(dice.between(0.2, 1.0), 2))).collect();
        demand.push(Demand { prob: 1.0 / scenarios as f64, cu, flex_factor, ..Demand::default() });
    }
    demand
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// The standard normal quantile, by Acklam's rational approximation (relative error below 1.2e-9).
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let along = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        along(&C, q) / (along(&D, q) * q + 1.0)
    };
    if p < 0.024_25 {
        tail(p)
    } else if p > 1.0 - 0.024_25 {
        -tail(1.0 - p)
    } else {
        let (q, r) = (p - 0.5, (p - 0.5) * (p - 0.5));
        along(&A, r) * q / (along(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_well_formed_and_the_same_again() {
        let shape = Shape { types: 5, periods: 36, scenarios: 10, fleet: 20 };
        let case = generate(3, shape);
        assert_eq!(case.problem().map(|problem| (problem.kinds.len(), problem.flexes.len())), Ok((5, 10)));
        let text = |case: &Case| serde_json::to_string(case).expect("plain data");
        assert_eq!(text(&case), text(&generate(3, shape)));
        assert_ne!(text(&case), text(&generate(4, shape)));
    }

    #[test]
    fn quantiles_of_the_normal_are_those_of_tables() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.01, -2.326_347_874), (0.9, 1.281_551_566)] {
            assert!((normal_quantile(p) - z).abs() < 1e-7, "{p}");
        }
    }
}
