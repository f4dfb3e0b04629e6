//! Every plan of a small case, reckoned from the case alone: slow, plain, and nothing in common with the solver.

use assay::reserve::{Case, Offer, Sort, Tail};

/// An order that may be placed.
struct Order<'a> {
    offer: &'a Offer,
    /// From 1, as in the case.
    period: usize,
    most: u32,
}

/// The cheapest plan: its cost, its orders (option, period, units), and the cost of the second best.
#[derive(Debug)]
pub struct Best {
    pub cost: f64,
    pub plan: Vec<(String, usize, u32)>,
    pub second: f64,
}

/// Tries every plan; nothing when none meets the constraints.
pub fn best(case: &Case) -> Option<Best> {
    let orders = orders(case);
    let mut best: Option<Best> = None;
    let mut plan = vec![0; orders.len()];
    loop {
        if let Some(cost) = cost(case, &orders, &plan) {
            match &mut best {
                Some(best) if cost >= best.cost => best.second = best.second.min(cost),
                _ => {
                    let named = orders.iter().zip(&plan).filter(|(_, units)| **units > 0);
                    let named = named.map(|(order, units)| (order.offer.id.clone(), order.period, *units)).collect();
                    let second = best.map_or(f64::INFINITY, |best| best.cost);
                    best = Some(Best { cost, plan: named, second });
                }
            }
        }
        let Some(next) = (0..plan.len()).find(|&slot| plan[slot] < orders[slot].most) else { return best };
        plan[next] += 1;
        plan[..next].fill(0);
    }
}

fn orders(case: &Case) -> Vec<Order<'_>> {
    let mut orders = Vec::new();
    for offer in case.options.iter().filter(|offer| offer.kind == Sort::Commit) {
        let periods = offer.order_periods.clone().unwrap_or_else(|| (1..=case.periods).collect());
        for period in periods {
            if period >= offer.available_from.unwrap_or(1) && period + offer.lead <= case.periods {
                orders.push(Order { offer, period, most: offer.max_units.expect("small cases have one") as u32 });
            }
        }
    }
    orders
}

fn worth_of(case: &Case, period: usize) -> f64 {
    (1.0 + case.discount_rate_annual).powf(-(period as f64 - 1.0) / 12.0)
}

fn quote(offer: &Offer, period: usize) -> f64 {
    (1.0 - offer.price_decline_annual).powf((period as f64 - 1.0) / 12.0)
}

/// What the plan costs, or nothing when it breaks a constraint.
fn cost(case: &Case, orders: &[Order], plan: &[u32]) -> Option<f64> {
    let limits = &case.constraints;
    let mut total = 0.0;
    let mut upfronts = 0.0;
    let mut shares: Vec<(&str, f64)> = Vec::new();
    for (order, units) in orders.iter().zip(plan).filter(|(_, units)| **units > 0) {
        let (offer, units) = (order.offer, f64::from(*units));
        let term = offer.term.expect("a commitment");
        let (first, last) = (order.period + offer.lead, order.period + offer.lead + term - 1);
        let within = (first..=last.min(case.periods)).count() as f64;
        let price = quote(offer, order.period) * units;
        let share = if case.tail == Tail::Prorate { within / term as f64 } else { 1.0 };
        total += offer.upfront * price * share * worth_of(case, order.period);
        for period in first..=last {
            if period <= case.periods || case.tail == Tail::Full {
                total += offer.per_period * price * worth_of(case, period);
            }
        }
        upfronts += offer.upfront * price;
        let kind = case.types.iter().find(|kind| kind.id == offer.of).expect("a type");
        let delivered = units * kind.availability * kind.cu[&case.classes[0]] * within;
        shares.push((&kind.provider, delivered));
    }
    let all: f64 = shares.iter().map(|(_, delivered)| delivered).sum();
    let too_much = |provider: &str, most: f64| {
        let mine: f64 = shares.iter().filter(|(of, _)| *of == provider).map(|(_, delivered)| delivered).sum();
        mine > most * all + 1e-9 * all
    };
    if limits.upfront_budget.is_some_and(|budget| upfronts > budget + 1e-9 * budget)
        || limits.max_provider_share.is_some_and(|most| shares.iter().any(|(provider, _)| too_much(provider, most)))
    {
        return None;
    }
    for period in 1..=case.periods {
        total += served(case, orders, plan, period)?;
    }
    Some(total)
}

/// Expected cost of flexible use and shortfall in a period, or nothing when too many scenarios are short.
fn served(case: &Case, orders: &[Order], plan: &[u32], period: usize) -> Option<f64> {
    let active = |order: &Order| {
        let first = order.period + order.offer.lead;
        (first..first + order.offer.term.expect("a commitment")).contains(&period)
    };
    let units: Vec<f64> = case
        .types
        .iter()
        .map(|kind| orders.iter().zip(plan).filter(|(order, _)| order.offer.of == kind.id && active(order)))
        .map(|mine| mine.map(|(_, units)| f64::from(*units)).sum())
        .collect();
    let floor = case.constraints.min_service_probability;
    let mut expected = 0.0;
    let mut short = 0.0;
    for scenario in 0..case.demand.len() {
        let probability = case.demand[scenario].prob;
        let (cost, missing) = if case.classes.len() == 1 {
            in_order(case, &units, period, scenario)
        } else {
            at_corners(case, &units, period, scenario, floor.is_some())
        };
        expected += probability * cost;
        short += if missing { probability } else { 0.0 };
    }
    (floor.is_none_or(|floor| short <= 1.0 - floor + 1e-9)).then_some(expected * worth_of(case, period))
}

/// Price (undiscounted) and most units of each flexible option that can be had.
fn flexes(case: &Case, period: usize, scenario: usize) -> Vec<(&Offer, f64, f64)> {
    let usable = case.options.iter().filter(|offer| offer.kind == Sort::Flex && period >= offer.available_from.unwrap_or(1));
    let factor = |offer: &Offer| case.demand[scenario].flex_factor.get(&offer.id).copied().unwrap_or(1.0);
    usable
        .map(|offer| {
            (offer, offer.per_period * quote(offer, period), offer.max_units.map_or(f64::INFINITY, |most| most * factor(offer)))
        })
        .collect()
}

fn effective(case: &Case, kind: &str, class: usize) -> f64 {
    let kind = case.types.iter().find(|of| of.id == kind).expect("a type");
    kind.availability * kind.cu.get(&case.classes[class]).copied().unwrap_or(0.0)
}

/// One class: the cheapest CU first. In these cases none is dearer than the penalty.
fn in_order(case: &Case, units: &[f64], period: usize, scenario: usize) -> (f64, bool) {
    let there: f64 = case.types.iter().zip(units).map(|(kind, units)| units * effective(case, &kind.id, 0)).sum();
    let mut rest = case.demand[scenario].cu[&case.classes[0]][period - 1] - there;
    let mut offers = flexes(case, period, scenario);
    offers.sort_by(|a, b| {
        let price = |offer: &(&Offer, f64, f64)| offer.1 / effective(case, &offer.0.of, 0);
        price(a).total_cmp(&price(b))
    });
    let mut cost = 0.0;
    for (offer, price, most) in offers {
        let cu = effective(case, &offer.of, 0);
        let taken = (rest.max(0.0) / cu).min(most);
        cost += taken * price;
        rest -= taken * cu;
    }
    (cost + rest.max(0.0) * case.constraints.shortfall_penalty_per_cu_period, rest > 1e-7)
}

/// Two classes: the dual of the split has two unknowns, what a CU of each class is worth, and its optimum lies where two of the
/// lines cross at which something changes. With a floor, no scenario of these cases may be short, so a CU may be worth anything.
fn at_corners(case: &Case, units: &[f64], period: usize, scenario: usize, forced: bool) -> (f64, bool) {
    const ANYTHING: f64 = 1e11;
    let most = if forced { ANYTHING } else { case.constraints.shortfall_penalty_per_cu_period };
    let offers = flexes(case, period, scenario);
    let demand: Vec<f64> = case.classes.iter().map(|class| case.demand[scenario].cu[class][period - 1]).collect();
    let cu = |kind: &str| [effective(case, kind, 0), effective(case, kind, 1)];
    let ceiling = |class: usize| {
        let open = offers.iter().filter(|(offer, _, most)| most.is_infinite() && cu(&offer.of)[class] > 0.0);
        open.map(|(offer, price, _)| price / cu(&offer.of)[class]).fold(most, f64::min)
    };
    let top = [ceiling(0), ceiling(1)];
    let mut levels = [vec![0.0, top[0]], vec![0.0, top[1]]];
    for (offer, price, _) in &offers {
        for class in 0..2 {
            let level = price / cu(&offer.of)[class];
            levels[class].extend((level < top[class]).then_some(level));
        }
    }
    let mut corners: Vec<[f64; 2]> = levels[0].iter().flat_map(|a| levels[1].iter().map(|b| [*a, *b])).collect();
    for kind in &case.types {
        let ratio = cu(&kind.id)[0] / cu(&kind.id)[1];
        if ratio.is_finite() && ratio > 0.0 {
            corners.extend(levels[0].iter().map(|a| [*a, a * ratio]).filter(|corner| corner[1] <= top[1]));
            corners.extend(levels[1].iter().map(|b| [b / ratio, *b]).filter(|corner| corner[0] <= top[0]));
        }
    }
    let best = |kind: &str, at: &[f64; 2]| f64::max(cu(kind)[0] * at[0], cu(kind)[1] * at[1]);
    let value = |at: &[f64; 2]| {
        let held: f64 = case.types.iter().zip(units).map(|(kind, units)| units * best(&kind.id, at)).sum();
        let capped = offers.iter().filter(|(_, _, most)| most.is_finite());
        let bought: f64 = capped.map(|(offer, price, most)| most * (best(&offer.of, at) - price).max(0.0)).sum();
        at[0] * demand[0] + at[1] * demand[1] - held - bought
    };
    let optimum = corners.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
    // A CU that cannot be served shows at a worth no price explains.
    (optimum, forced && optimum > ANYTHING * 1e-3)
}
