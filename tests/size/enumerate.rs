//! Every plan of a small case, reckoned from the case alone: slow, plain, and nothing in common with the solver.

use assay::reserve::{Case, Offer, Sort, Tail, Type};

/// An order that may be placed.
struct Order<'a> {
    offer: &'a Offer,
    /// From 1, as in the case.
    period: usize,
    /// Orders at most, each of so many units.
    most: u32,
    step: u32,
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
                    let named = named.map(|(order, orders)| (order.offer.id.clone(), order.period, orders * order.step)).collect();
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
                let (most, step) = (offer.max_units.expect("small cases have one") as u32, offer.step.unwrap_or(1));
                orders.push(Order { offer, period, most: most / step, step });
            }
        }
    }
    orders
}

fn worth_of(case: &Case, period: usize) -> f64 {
    (1.0 + case.discount_rate_annual).powf(-(period as f64 - 1.0) / 12.0)
}

fn quote(offer: &Offer, period: usize) -> f64 {
    let path = offer.price_path.as_ref().map_or(1.0, |path| path[period - 1]);
    (1.0 - offer.price_decline_annual).powf((period as f64 - 1.0) / 12.0) * path
}

/// What a scenario multiplies an option's price by.
fn turn(case: &Case, scenario: usize, offer: &Offer, period: usize) -> f64 {
    case.demand[scenario].price_path.get(&offer.id).map_or(1.0, |path| path[period - 1])
}

/// Units of the plan by order, and those of types that are owned, in a period.
fn there(case: &Case, orders: &[Order], plan: &[u32], period: usize) -> Vec<f64> {
    let active = |order: &Order| {
        let first = order.period + order.offer.lead;
        (first..first + order.offer.term.expect("a commitment")).contains(&period)
    };
    let ordered = |id: &str| {
        let mine = orders.iter().zip(plan).filter(|(order, _)| order.offer.of == id && active(order));
        mine.map(|(order, orders)| f64::from(orders * order.step)).sum::<f64>()
    };
    let owned = |owned: &[f64]| match owned {
        [] => 0.0,
        [all] => *all,
        path => path[period - 1],
    };
    case.types.iter().map(|kind| ordered(&kind.id) + owned(&kind.owned)).collect()
}

/// What orders come to in one scenario: discounted cost, quoted upfronts, and spend by year.
fn paid(case: &Case, orders: &[Order], plan: &[u32], scenario: usize) -> (f64, f64, Vec<f64>) {
    let (mut total, mut upfronts, mut years) = (0.0, 0.0, vec![0.0; case.periods.div_ceil(12)]);
    for (order, count) in orders.iter().zip(plan).filter(|(_, count)| **count > 0) {
        let (offer, units) = (order.offer, f64::from(count * order.step));
        let term = offer.term.expect("a commitment");
        let (first, last) = (order.period + offer.lead, order.period + offer.lead + term - 1);
        let within = (first..=last.min(case.periods)).count() as f64;
        let price = quote(offer, order.period) * turn(case, scenario, offer, order.period) * units;
        let share = if case.tail == Tail::Prorate { within / term as f64 } else { 1.0 };
        total += offer.upfront * price * share * worth_of(case, order.period);
        total -= offer.salvage * units * share * worth_of(case, last + 1);
        upfronts += offer.upfront * price;
        years[(order.period - 1) / 12] += offer.upfront * price;
        for period in first..=last {
            if period <= case.periods || case.tail == Tail::Full {
                total += offer.per_period * price * worth_of(case, period);
            }
            if period <= case.periods {
                years[(period - 1) / 12] += offer.per_period * price;
            }
        }
    }
    (total, upfronts, years)
}

/// Whether the units of a plan keep every limit that is not one of money.
fn keeps(case: &Case, orders: &[Order], plan: &[u32]) -> bool {
    let limits = &case.constraints;
    let kind = |order: &Order| case.types.iter().find(|kind| kind.id == order.offer.of).expect("a type");
    let mut shares: Vec<(&str, f64)> = Vec::new();
    for (order, count) in orders.iter().zip(plan) {
        let first = order.period + order.offer.lead;
        let within =
            (first..first + order.offer.term.expect("a commitment")).filter(|period| *period <= case.periods).count() as f64;
        let of = kind(order);
        shares.push((&of.provider, f64::from(count * order.step) * of.availability * of.cu[&case.classes[0]] * within));
    }
    let all: f64 = shares.iter().map(|(_, delivered)| delivered).sum();
    let too_much = |provider: &str, most: f64| {
        let mine: f64 = shares.iter().filter(|(of, _)| *of == provider).map(|(_, delivered)| delivered).sum();
        mine > most * all + 1e-9 * all
    };
    if limits.max_provider_share.is_some_and(|most| shares.iter().any(|(provider, _)| too_much(provider, most))) {
        return false;
    }
    let bare = Case { types: case.types.iter().map(|kind| Type { owned: Vec::new(), ..kind.clone() }).collect(), ..case.clone() };
    for period in 1..=case.periods {
        let units = there(&bare, orders, plan, period);
        let count = |wanted: &dyn Fn(&Type) -> bool| {
            case.types.iter().zip(&units).filter(|(kind, _)| wanted(kind)).map(|(_, units)| *units).sum::<f64>()
        };
        if limits.region_caps.iter().any(|(region, most)| count(&|kind| kind.region == *region) > *most)
            || limits.provider_caps.iter().any(|(provider, most)| count(&|kind| kind.provider == *provider) > *most)
        {
            return false;
        }
    }
    let total = |id: &str| {
        let mine = orders.iter().zip(plan).filter(|(order, _)| order.offer.id == id);
        mine.map(|(order, count)| f64::from(count * order.step)).sum::<f64>()
    };
    let commits = case.options.iter().filter(|offer| offer.kind == Sort::Commit);
    commits.into_iter().all(|offer| {
        let units = total(&offer.id);
        offer.max_total.is_none_or(|most| units <= most) && offer.min_total.is_none_or(|least| units >= least)
    })
}

/// What is to be least for the plan, or nothing when it breaks a constraint.
fn cost(case: &Case, orders: &[Order], plan: &[u32]) -> Option<f64> {
    let limits = &case.constraints;
    if !keeps(case, orders, plan) {
        return None;
    }
    let mut totals = Vec::new();
    for scenario in 0..case.demand.len() {
        let (total, upfronts, years) = paid(case, orders, plan, scenario);
        let over = |spent: f64, budget: f64| spent > budget + 1e-9 * budget;
        let budget = |year: usize| limits.yearly_budget.get(year).or(limits.yearly_budget.last()).copied();
        if limits.upfront_budget.is_some_and(|budget| over(upfronts, budget))
            || years.iter().enumerate().any(|(year, spent)| budget(year).is_some_and(|budget| over(*spent, budget)))
        {
            return None;
        }
        totals.push(total);
    }
    for period in 1..=case.periods {
        let units = there(case, orders, plan, period);
        for (total, cost) in totals.iter_mut().zip(served(case, &units, period)?) {
            *total += cost * worth_of(case, period);
        }
    }
    Some(weighed(case, &totals))
}

/// The mean, and where risk is weighed that of the worst scenarios.
fn weighed(case: &Case, totals: &[f64]) -> f64 {
    let mean: f64 = totals.iter().zip(&case.demand).map(|(cost, given)| cost * given.prob).sum();
    let (weight, tail) = (case.constraints.cvar_weight.unwrap_or(0.0), case.constraints.cvar_tail.unwrap_or(0.05));
    // The least over thresholds of the threshold and what exceeds it on average, over the tail; one of the costs attains it.
    let beyond = |at: f64| totals.iter().zip(&case.demand).map(|(cost, given)| given.prob * (cost - at).max(0.0)).sum::<f64>();
    let worst = totals.iter().map(|&at| at + beyond(at) / tail).fold(f64::INFINITY, f64::min);
    (1.0 - weight) * mean + weight * worst
}

/// Undiscounted cost of flexible use and shortfall by scenario in a period, or nothing when too many must be short: of all choices
/// of scenarios that are served at any price, the cheapest on average.
fn served(case: &Case, units: &[f64], period: usize) -> Option<Vec<f64>> {
    let floor = case.constraints.min_service_probability;
    let ways = |scenario: usize| {
        let way = |forced: bool| match case.classes.len() {
            1 => in_order(case, units, period, scenario, forced),
            _ => at_corners(case, units, period, scenario, forced),
        };
        // With a floor no scenario of the cases of two classes may be short.
        if case.classes.len() > 1 && floor.is_some() { vec![way(true)] } else { vec![way(false), way(true)] }
    };
    let ways: Vec<Vec<(f64, bool)>> = (0..case.demand.len()).map(ways).collect();
    let mut best: Option<(f64, Vec<f64>)> = None;
    for choice in 0..1_usize << case.demand.len() {
        let chosen: Vec<(f64, bool)> =
            ways.iter().enumerate().map(|(scenario, ways)| ways[(choice >> scenario & 1).min(ways.len() - 1)]).collect();
        let short: f64 = chosen.iter().zip(&case.demand).filter(|((_, short), _)| *short).map(|(_, given)| given.prob).sum();
        let mean: f64 = chosen.iter().zip(&case.demand).map(|((cost, _), given)| cost * given.prob).sum();
        let kept = floor.is_none_or(|floor| short <= 1.0 - floor + 1e-9);
        if kept && best.as_ref().is_none_or(|(so_far, _)| mean < *so_far) {
            best = Some((mean, chosen.into_iter().map(|(cost, _)| cost).collect()));
        }
    }
    best.map(|(_, costs)| costs)
}

/// Price (undiscounted) and most units of each flexible option that can be had.
fn flexes(case: &Case, period: usize, scenario: usize) -> Vec<(&Offer, f64, f64)> {
    let usable = case.options.iter().filter(|offer| offer.kind == Sort::Flex && period >= offer.available_from.unwrap_or(1));
    let given = &case.demand[scenario];
    let factor = |offer: &Offer| {
        let path = given.flex_path.get(&offer.id).map_or(1.0, |path| path[period - 1]);
        given.flex_factor.get(&offer.id).copied().unwrap_or(1.0) * path
    };
    usable
        .map(|offer| {
            let price = offer.per_period * quote(offer, period) * turn(case, scenario, offer, period);
            (offer, price, offer.max_units.map_or(f64::INFINITY, |most| most * factor(offer)))
        })
        .collect()
}

fn effective(case: &Case, kind: &str, class: usize, scenario: usize) -> f64 {
    let kind = case.types.iter().find(|of| of.id == kind).expect("a type");
    let times = case.demand[scenario].cu_factor.get(&kind.id).copied().unwrap_or(1.0);
    kind.availability * kind.cu.get(&case.classes[class]).copied().unwrap_or(0.0) * times
}

/// One class: the cheapest CU first, up to the penalty, or past it where the scenario is to be served.
fn in_order(case: &Case, units: &[f64], period: usize, scenario: usize, forced: bool) -> (f64, bool) {
    let there: f64 = case.types.iter().zip(units).map(|(kind, units)| units * effective(case, &kind.id, 0, scenario)).sum();
    let penalty = case.constraints.shortfall_penalty_per_cu_period;
    let mut rest = case.demand[scenario].cu[&case.classes[0]][period - 1] - there;
    let mut offers = flexes(case, period, scenario);
    offers.sort_by(|a, b| {
        let price = |offer: &(&Offer, f64, f64)| offer.1 / effective(case, &offer.0.of, 0, scenario);
        price(a).total_cmp(&price(b))
    });
    let mut cost = 0.0;
    for (offer, price, most) in offers {
        let cu = effective(case, &offer.of, 0, scenario);
        if price / cu > penalty && !forced {
            break;
        }
        let taken = (rest.max(0.0) / cu).min(most);
        cost += taken * price;
        rest -= taken * cu;
    }
    (cost + rest.max(0.0) * penalty, rest > 1e-7)
}

/// Two classes: the dual of the split has two unknowns, what a CU of each class is worth, and its optimum lies where two of the
/// lines cross at which something changes. With a floor, no scenario of these cases may be short, so a CU may be worth anything.
fn at_corners(case: &Case, units: &[f64], period: usize, scenario: usize, forced: bool) -> (f64, bool) {
    const ANYTHING: f64 = 1e11;
    let most = if forced { ANYTHING } else { case.constraints.shortfall_penalty_per_cu_period };
    let offers = flexes(case, period, scenario);
    let demand: Vec<f64> = case.classes.iter().map(|class| case.demand[scenario].cu[class][period - 1]).collect();
    let cu = |kind: &str| [effective(case, kind, 0, scenario), effective(case, kind, 1, scenario)];
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
