//! Random small cases of every kind that the format knows, each with its plans enumerated.

use super::enumerate;
use assay::reserve::{CASE, Case, Constraints, Demand, Effort, Offer, Sort, Tail, Type, answer};
use std::collections::BTreeMap;

const SINGLE: u64 = 170;
const SHARED: u64 = 50;
const RICH: u64 = 150;
const RICH_SHARED: u64 = 40;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((low + share * (high - low)) * 1e4).round() / 1e4
    }

    fn chance(&mut self, share: f64) -> bool {
        self.between(0.0, 1.0) < share
    }
}

fn flex(dice: &mut Dice, of: &str, capped: bool) -> Offer {
    Offer {
        id: format!("{of}-od"),
        of: of.into(),
        kind: Sort::Flex,
        term: None,
        lead: 0,
        upfront: 0.0,
        per_period: dice.between(30_000.0, 60_000.0),
        price_decline_annual: if dice.chance(0.5) { dice.between(0.0, 0.4) } else { 0.0 },
        order_periods: None,
        available_from: dice.chance(0.2).then(|| 1 + dice.below(4)),
        max_units: (capped || dice.chance(0.4)).then(|| 1.0 + dice.below(5) as f64),
        ..Offer::default()
    }
}

fn commit(dice: &mut Dice, number: usize, of: &str, periods: usize) -> Offer {
    let term = [4, 6, 12, 24, 36][dice.below(5)];
    let orders = 1 + dice.below(3);
    let upfront = if dice.chance(0.5) { dice.between(10_000.0, 8_000.0 * term as f64) } else { 0.0 };
    Offer {
        id: format!("{of}-c{number}"),
        of: of.into(),
        kind: Sort::Commit,
        term: Some(term),
        lead: dice.below(4),
        upfront,
        per_period: f64::max(1_000.0, dice.between(18_000.0, 34_000.0) - upfront / term as f64),
        price_decline_annual: if dice.chance(0.5) { dice.between(0.0, 0.4) } else { 0.0 },
        order_periods: Some((0..orders).map(|n| 1 + n * periods.div_ceil(orders)).collect()),
        available_from: dice.chance(0.2).then(|| 1 + dice.below(6)),
        max_units: Some((1 + dice.below(4)) as f64),
        ..Offer::default()
    }
}

fn demand(dice: &mut Dice, classes: &[String], options: &[Offer], periods: usize, scenarios: usize) -> Vec<Demand> {
    let weights: Vec<f64> = (0..scenarios).map(|_| (1 + dice.below(9)) as f64).collect();
    let total: f64 = weights.iter().sum();
    let path = |dice: &mut Dice| {
        let (start, growth) = (dice.between(5.0, 30.0), dice.between(0.97, 1.07));
        (0..periods).map(|period| (start * growth.powi(period as i32) * 1e4).round() / 1e4).collect::<Vec<f64>>()
    };
    let factors = |dice: &mut Dice| {
        let capped = options.iter().filter(|offer| offer.kind == Sort::Flex && offer.max_units.is_some());
        capped.map(|offer| (offer.id.clone(), dice.between(0.0, 1.5))).collect::<BTreeMap<_, _>>()
    };
    let by_scenario = weights.into_iter().map(|weight| Demand {
        prob: weight / total,
        cu: classes.iter().map(|class| (class.clone(), path(dice))).collect(),
        flex_factor: if dice.chance(0.4) { factors(dice) } else { BTreeMap::new() },
        ..Demand::default()
    });
    by_scenario.collect()
}

fn constraints(dice: &mut Dice, shared: bool) -> Constraints {
    let floor = match (dice.below(3), shared) {
        (0, _) => None,
        // Two classes: no scenario may be short.
        (_, true) => Some(0.999),
        _ => Some([0.6, 0.8, 0.95][dice.below(3)]),
    };
    Constraints {
        // Above every flexible CU, so that being short is never a choice.
        shortfall_penalty_per_cu_period: dice.between(20_000.0, 90_000.0),
        min_service_probability: floor,
        upfront_budget: dice.chance(0.3).then(|| dice.between(100_000.0, 900_000.0)),
        max_provider_share: dice.chance(0.3).then(|| dice.between(0.4, 0.9)),
        ..Constraints::default()
    }
}

fn case(seed: u64, classes: usize, most_plans: usize) -> Case {
    let dice = &mut Dice(seed);
    let shared = classes > 1;
    let periods = if shared { 6 + dice.below(4) } else { 8 + dice.below(18) };
    let names: Vec<String> = ["serve", "train"][..classes].iter().map(|name| (*name).to_owned()).collect();
    let mut types = Vec::new();
    let mut options = Vec::new();
    for number in 0..2 + dice.below(2) {
        let id = format!("t{number}");
        let cu = names.iter().map(|name| (name.clone(), dice.between(4.0, 16.0))).collect();
        types.push(Type {
            id: id.clone(),
            provider: format!("p{}", number % 2),
            cu,
            availability: dice.between(0.9, 1.0),
            ..Type::default()
        });
        options.push(flex(dice, &id, false));
    }
    let mut plans = 1;
    for number in 0..5 {
        let of = types[dice.below(types.len())].id.clone();
        let offer = commit(dice, number, &of, periods);
        let slots = offer.order_periods.as_ref().map_or(0, Vec::len) as u32;
        let more = (offer.max_units.unwrap_or(0.0) as usize + 1).pow(slots);
        if plans * more <= most_plans {
            plans *= more;
            options.push(offer);
        }
    }
    let scenarios = 2 + dice.below(3);
    let demand = demand(dice, &names, &options, periods, scenarios);
    let constraints = constraints(dice, shared);
    Case {
        schema: CASE.into(),
        id: format!("random-{seed}"),
        description: String::new(),
        periods,
        discount_rate_annual: dice.between(0.0, 0.15),
        tail: if dice.chance(0.5) { Tail::Prorate } else { Tail::Full },
        classes: names,
        types,
        options,
        demand,
        constraints,
        ..Case::default()
    }
}

/// Solves the case and holds the answer to the enumerated one; whether any plan was feasible.
fn holds(case: &Case) -> bool {
    let problem = case.problem().expect("well formed");
    let (answer, _) = answer(&problem, Effort::default()).expect("solved");
    let Some(best) = enumerate::best(case) else {
        assert!(!answer.feasible && !answer.broken.is_empty(), "{}: enumerated as infeasible, {answer:?}", case.id);
        return false;
    };
    let cost = answer.objective.amount();
    let near = f64::max(0.01, 1e-6 * best.cost);
    assert!(answer.feasible && (cost - best.cost).abs() <= near, "{}: {cost}, enumerated {best:?}, {answer:?}", case.id);
    if best.second - best.cost > near {
        let mut plan: Vec<_> = answer.plan.iter().map(|line| (line.option.clone(), line.order_period, line.units)).collect();
        let mut known = best.plan.clone();
        plan.sort();
        known.sort();
        assert_eq!(plan, known, "{}: second best {}", case.id, best.second);
    }
    assert!(answer.lp_bound.amount() <= best.cost + near && answer.proved, "{}: {answer:?}", case.id);
    let Some(told) = answer.wait_and_see_cost else {
        let none = (0..case.demand.len()).any(|scenario| foreseen(case, scenario).is_nan());
        assert!(none, "{}: every scenario has a plan", case.id);
        return true;
    };
    let told = told.amount();
    let foreseen: f64 = (0..case.demand.len()).map(|scenario| case.demand[scenario].prob * foreseen(case, scenario)).sum();
    assert!((told - foreseen).abs() <= near, "{}: wait and see {told}, enumerated {foreseen}", case.id);
    true
}

/// Draws what the base cases leave out: every other field of the format.
fn rich(seed: u64, classes: usize) -> Case {
    let mut case = case(seed, classes, if classes > 1 { 200 } else { 500 });
    let dice = &mut Dice(seed ^ 0x5eed);
    let periods = case.periods;
    let path = |dice: &mut Dice, low: f64, high: f64| (0..periods).map(|_| dice.between(low, high)).collect::<Vec<f64>>();
    for (number, kind) in case.types.iter_mut().enumerate() {
        kind.region = format!("r{}", number % 2);
        kind.owned = match dice.below(4) {
            0 => vec![dice.below(2) as f64],
            1 => (0..periods).map(|period| f64::from(u8::from(period < periods / 2))).collect(),
            _ => Vec::new(),
        };
    }
    for offer in &mut case.options {
        // From some month on, a step down or up.
        let from = dice.below(periods);
        let step = dice.between(0.6, 1.1);
        offer.price_path = dice.chance(0.4).then(|| (0..periods).map(|period| if period < from { 1.0 } else { step }).collect());
        if offer.kind == Sort::Commit {
            offer.step = dice.chance(0.3).then_some(2);
            offer.salvage = if dice.chance(0.3) { dice.between(1_000.0, 30_000.0) } else { 0.0 };
            offer.max_total = dice.chance(0.3).then(|| 1.0 + dice.below(4) as f64);
            offer.min_total = dice.chance(0.15).then_some(1.0);
        }
    }
    let options: Vec<(String, Sort, bool)> =
        case.options.iter().map(|offer| (offer.id.clone(), offer.kind, offer.max_units.is_some())).collect();
    let (priced, spotty, measured) = (dice.chance(0.4), dice.chance(0.5), dice.chance(0.3));
    let types: Vec<String> = case.types.iter().map(|kind| kind.id.clone()).collect();
    for given in &mut case.demand {
        for (id, sort, capped) in &options {
            if priced && dice.chance(0.6) {
                given.price_path.insert(id.clone(), path(dice, 0.7, 1.3));
            }
            if spotty && *sort == Sort::Flex && *capped {
                given.flex_path.insert(id.clone(), path(dice, 0.0, 1.5));
            }
        }
        if measured {
            given.cu_factor.extend(types.iter().map(|id| (id.clone(), dice.between(0.85, 1.1))));
        }
    }
    let limits = &mut case.constraints;
    // Below some prices, so that being short is a choice that only the floor forbids.
    limits.shortfall_penalty_per_cu_period = dice.between(3_000.0, 30_000.0);
    limits.yearly_budget = if dice.chance(0.3) { vec![dice.between(200_000.0, 1_500_000.0)] } else { Vec::new() };
    limits.region_caps = if dice.chance(0.3) { BTreeMap::from([("r0".into(), 3.0)]) } else { BTreeMap::new() };
    limits.provider_caps = if dice.chance(0.3) { BTreeMap::from([("p0".into(), 2.0)]) } else { BTreeMap::new() };
    limits.cvar_weight = dice.chance(0.5).then(|| dice.between(0.1, 1.0));
    limits.cvar_tail = dice.chance(0.5).then(|| dice.between(0.1, 0.7));
    if classes > 1 {
        // Two classes with a floor are enumerated only where no price is past the penalty.
        limits.shortfall_penalty_per_cu_period = 90_000.0;
    }
    case.id = format!("rich-{seed}-{classes}");
    case
}

#[test]
fn cases_of_every_field_agree_with_enumeration() {
    let feasible = (0..RICH).filter(|seed| holds(&rich(20_000 + seed, 1))).count();
    assert!(feasible as u64 > RICH / 3, "only {feasible} of {RICH} were feasible; draw them better");
}

#[test]
fn cases_of_every_field_and_two_classes_agree_with_enumeration() {
    let feasible = (0..RICH_SHARED).filter(|seed| holds(&rich(30_000 + seed, 2))).count();
    assert!(feasible as u64 > RICH_SHARED / 3, "only {feasible} of {RICH_SHARED} were feasible; draw them better");
}

/// The cheapest plan when the scenario is known.
fn foreseen(case: &Case, scenario: usize) -> f64 {
    let demand = vec![Demand { prob: 1.0, ..case.demand[scenario].clone() }];
    let constraints = Constraints { min_service_probability: None, cvar_weight: None, ..case.constraints.clone() };
    enumerate::best(&Case { demand, constraints, ..case.clone() }).map_or(f64::NAN, |best| best.cost)
}

#[test]
fn random_cases_of_one_class_agree_with_enumeration() {
    let feasible = (0..SINGLE).filter(|seed| holds(&case(*seed, 1, 3_000))).count();
    assert!(feasible as u64 > SINGLE / 2, "only {feasible} of {SINGLE} were feasible; draw them better");
}

#[test]
fn random_cases_of_two_classes_agree_with_enumeration() {
    let feasible = (0..SHARED).filter(|seed| holds(&case(10_000 + seed, 2, 300))).count();
    assert!(feasible as u64 > SHARED / 2, "only {feasible} of {SHARED} were feasible; draw them better");
}
