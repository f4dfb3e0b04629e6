//! A sizing for a person: what to order and when, what it costs, what it risks, and what the answer is worth.

use super::{
    Paper,
    size_leaves::Leaf,
    table::{Align, Table},
};
use crate::reserve::{After, Answer, Broken, Figures, Flip, Micros, Month, Problem, Sort, Swing};

/// Months that are shown; of longer plans every second, third … is.
const MONTHS: usize = 14;

/// The sheet.
#[must_use]
pub fn sizing(problem: &Problem, answer: &Answer, figures: &Figures, paper: Paper) -> Vec<Leaf> {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let under = [
        count(problem.periods, "month"),
        count(problem.kinds.len(), "type"),
        count(problem.slots.len(), "possible order"),
        count(problem.scenarios.len(), "scenario"),
    ];
    let mut leaves = vec![Leaf::Head(answer.id.clone(), under.join(", "))];
    if !answer.feasible {
        leaves.push(Leaf::Says(infeasible(answer)));
        return leaves;
    }
    leaves.push(orders(problem, figures, paper));
    leaves.push(Leaf::Table(costs(problem, answer, figures, paper)));
    leaves.push(Leaf::Says(risks(problem, figures)));
    leaves.push(Leaf::Table(months(problem, figures, paper)));
    leaves.push(Leaf::Table(options(figures, paper)));
    let notes = notes(figures);
    if !notes.is_empty() {
        leaves.push(Leaf::Says(notes));
    }
    leaves
}

/// No plan is feasible: what the nearest one breaks, and which limit alone would have to give.
fn infeasible(answer: &Answer) -> Vec<String> {
    let line = |broken: &Broken| format!("  {}: by {:.6} {}", broken.constraint, broken.by, broken.unit);
    let certain = if answer.proved { "no plan meets every constraint" } else { "no plan that meets every constraint was found" };
    let mut lines = vec![format!("{certain}; the one that comes nearest breaks")];
    lines.extend(answer.broken.iter().map(line));
    lines.push(match answer.relief.as_slice() {
        [] => "no single limit, loosened alone, would be enough".into(),
        _ => "each of these alone, loosened by so much, would be enough".into(),
    });
    lines.extend(answer.relief.iter().map(line));
    lines
}

fn orders(problem: &Problem, figures: &Figures, paper: Paper) -> Leaf {
    if figures.orders.is_empty() {
        return Leaf::Says(vec!["nothing is ordered: flexible capacity is cheapest".into()]);
    }
    let right = Align::Right;
    let columns = [
        ("order", Align::Left),
        ("in month", right),
        ("units", right),
        ("from", right),
        ("to", right),
        ("decide by", right),
        ("upfront", right),
        ("owed after", right),
    ];
    // Of use where an order outlives the horizon.
    let shown = if figures.after_horizon.is_some() { columns.len() } else { columns.len() - 1 };
    let mut table = Table::new(paper, &columns[..shown]);
    for order in &figures.orders {
        let cells = [
            order.option.clone(),
            problem.month(order.order_period),
            order.units.to_string(),
            problem.month(order.active_from),
            problem.month(order.active_to),
            order.decide_by.map_or_else(|| "never needed".to_owned(), |month| problem.month(month)),
            order.upfront.to_string(),
            order.owed_after_horizon.to_string(),
        ];
        table.row(&cells[..shown]);
    }
    Leaf::Table(table)
}

fn share(part: Micros, of: Micros) -> String {
    if of.0 == 0 { "-".into() } else { format!("{:.1}%", 100.0 * part.amount() / of.amount()) }
}

fn costs(problem: &Problem, answer: &Answer, figures: &Figures, paper: Paper) -> Table {
    let quality = if answer.proved {
        "proved cheapest".to_owned()
    } else {
        format!("at most {:.2}% above the cheapest (bound {})", 100.0 * answer.gap, answer.lower_bound)
    };
    let mut table = Table::new(paper, &[("discounted cost", Align::Left), ("", Align::Right), (" ", Align::Left)]);
    let mut row = |name: &str, cost: Micros, says: String| table.row(&[name.into(), cost.to_string(), says]);
    let cost = &figures.cost;
    if problem.risk.is_some() {
        row("weighed", answer.objective, quality);
        row("expected", cost.expected, String::new());
    } else {
        row("expected", cost.expected, quality);
    }
    row("of it committed", cost.committed, share(cost.committed, cost.expected));
    row("of it flexible", cost.flexible, share(cost.flexible, cost.expected));
    row("of it left undone", cost.shortfall, share(cost.shortfall, cost.expected));
    row("5% of scenarios below", cost.p5, String::new());
    row("5% of scenarios above", cost.p95, String::new());
    row("mean of the worst 5%", cost.cvar95, String::new());
    let saving = answer.saving_vs_flex_only;
    let floor = if answer.flex_only_feasible { "" } else { "; it falls below the service floor" };
    row("flexible only", answer.flex_only_cost, format!("saved {saving} ({}){floor}", share(saving, answer.flex_only_cost)));
    if let Some((known, worth)) = answer.wait_and_see_cost.zip(answer.evpi) {
        row("if the scenario were known", known, format!("knowing it would be worth {worth}"));
    }
    if let Some(regret) = &figures.regret {
        row("greatest regret", regret.most, "dearer than that scenario's own best plan".into());
    }
    if let Some((cost, worth)) = figures.mean_plan_cost.zip(figures.vss) {
        let floor = if figures.mean_plan_feasible == Some(true) { "" } else { "; it breaks a constraint" };
        let name = if problem.risk.is_some() { "planned for mean demand, weighed" } else { "planned for mean demand" };
        row(name, cost, format!("reckoning with scenarios is worth {worth}{floor}"));
    }
    row("upfront, undiscounted", answer.upfront_total, String::new());
    if let Some(after) = &figures.after_horizon {
        let counted =
            if after.counted { "undiscounted; counted, as the tail is full" } else { "undiscounted; not in the cost above" };
        row("owed after the horizon", after.owed, counted.into());
        if after.paid_ahead.0 > 0 {
            row("of upfronts for after it", after.paid_ahead, counted.into());
        }
    }
    table
}

/// What a cost that leaves out the time after the horizon would be with it, and whether another plan would then be cheaper.
fn tail(after: &After) -> Option<String> {
    if after.counted {
        return None;
    }
    let whole = after.cost_if_counted.zip(after.least_if_counted);
    Some(match (whole, after.otherwise()) {
        (Some((own, least)), Some(true)) => format!(
            "with all counted that is paid for after the horizon (tail = \"full\") another plan is cheaper: it costs {least}, this one {own}; \
             its orders of the first month are {}",
            if after.first_orders_stay == Some(true) { "the same" } else { "others" }
        ),
        (Some((own, _)), _) => format!(
            "with all counted that is paid for after the horizon (tail = \"full\") this plan costs {own}, and no cheaper one was found"
        ),
        _ => {
            "whether another plan is cheaper with all counted that is paid for after the horizon is told by tail = \"full\"".into()
        }
    })
}

/// When demand is likeliest to go unserved, by class, and what is paid for in vain.
fn risks(problem: &Problem, figures: &Figures) -> Vec<String> {
    let worst = |class: &String| {
        let short = figures.months.iter().map(|month| (month.classes[class].shortfall_probability, month));
        short.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.period.cmp(&a.1.period))).filter(|(probability, _)| *probability > 0.0)
    };
    let say = |class: &String| match worst(class) {
        Some((probability, month)) => format!(
            "{class}: short in {:.1}% of scenarios at worst, in month {}, by {:.2} CU on average over all",
            100.0 * probability,
            problem.month(month.period),
            month.classes[class].expected_shortfall_cu
        ),
        None => format!("{class}: served in every month and scenario"),
    };
    let mut lines: Vec<String> = problem.classes.iter().map(say).collect();
    lines.extend(problem.risk.map(|risk| {
        let (mean, worst) = (100.0 * (1.0 - risk.weight), 100.0 * risk.weight);
        format!("weighed: {mean:.0}% of the expected cost and {worst:.0}% of the mean of the worst {:.0}%", 100.0 * risk.tail)
    }));
    lines.extend(figures.stranded_share.map(|share| {
        let cu = figures.stranded_cu_months;
        format!("stranded: {cu:.1} CU-months are committed and not needed on average, {:.1}% of all that are", 100.0 * share)
    }));
    lines
}

/// The first class by month: what is there against quantiles of what is asked for.
fn months(problem: &Problem, figures: &Figures, paper: Paper) -> Table {
    let right = Align::Right;
    let columns = [
        ("month", Align::Left),
        ("ordered", right),
        ("active", right),
        ("CU", right),
        ("p50", right),
        ("of p50", right),
        ("of p90", right),
        ("of p95", right),
        ("flexible", right),
        ("stranded", right),
        ("short", right),
    ];
    let mut table = Table::new(paper, &columns);
    let stride = problem.periods.div_ceil(MONTHS);
    let shown = |month: &&Month| (month.period - 1).is_multiple_of(stride) || month.ordered > 0;
    for month in figures.months.iter().filter(shown).take(4 * MONTHS) {
        let cover = &month.classes[&problem.classes[0]];
        let part = |demand: f64| if demand > 0.0 { format!("{:.0}%", 100.0 * cover.committed_cu / demand) } else { "-".into() };
        table.row(&[
            problem.month(month.period),
            if month.ordered > 0 { month.ordered.to_string() } else { String::new() },
            format!("{:.0}", month.active),
            format!("{:.1}", cover.committed_cu),
            format!("{:.1}", cover.demand_p50),
            part(cover.demand_p50),
            part(cover.demand_p90),
            part(cover.demand_p95),
            format!("{:.1}", month.flexible_cu),
            format!("{:.1}", month.stranded_cu),
            format!("{:.1}%", 100.0 * cover.shortfall_probability),
        ]);
    }
    table
}

/// What each option asks for a CU-hour, and from which use on it is cheaper.
fn options(figures: &Figures, paper: Paper) -> Table {
    let right = Align::Right;
    let columns = [
        ("option", Align::Left),
        ("per CU-hour", right),
        ("cheaper when used above", right),
        ("over its term", right),
        ("instead of", Align::Left),
        ("source", Align::Left),
    ];
    let sourced = figures.options.iter().any(|worth| worth.source.is_some());
    let mut table = Table::new(paper, if sourced { &columns } else { &columns[..columns.len() - 1] });
    let part = |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.0}%", 100.0 * share));
    for worth in &figures.options {
        let price = worth.per_cu_hour.values().next();
        let cells = [
            worth.option.clone(),
            price.map_or_else(|| "-".to_owned(), |price| format!("{price:.4}")),
            part(worth.break_even_today),
            part(worth.break_even_over_term),
            if worth.kind == Sort::Flex { "flexible".into() } else { worth.against.clone().unwrap_or_default() },
            worth.source.clone().unwrap_or_default(),
        ];
        table.row(if sourced { &cells } else { &cells[..cells.len() - 1] });
    }
    table
}

fn notes(figures: &Figures) -> Vec<String> {
    let cheapest = figures.without_forecast.iter().min_by(|a, b| (a.months * b.window).cmp(&(b.months * a.window)));
    let rule = cheapest.map(|rule| {
        format!(
            "without a forecast: order a unit of {} in the month with which it would have been used in {} of the last {} months instead of \
             {}; with flat prices and no lead that costs at most {} times the best plan with all known ({:.2} if the month is drawn at random)",
            rule.option, rule.months, rule.window, rule.against, rule.at_most, rule.randomised
        )
    });
    figures.after_horizon.as_ref().and_then(tail).into_iter().chain(rule).collect()
}

/// What the cost hangs on, and where the orders of the first month change.
#[must_use]
pub fn swings(swings: &[Swing], paper: Paper) -> Vec<Leaf> {
    let right = Align::Right;
    let columns = [
        ("input", Align::Left),
        ("low", right),
        ("cost", right),
        ("high", right),
        ("cost ", right),
        ("first orders change below", right),
        ("above", right),
        ("", Align::Left),
    ];
    let mut table = Table::new(paper, &columns);
    let cost = |cost: Option<Micros>| cost.map_or_else(|| "infeasible".to_owned(), |cost| cost.to_string());
    let flip = |flip: &Option<Flip>| flip.as_ref().map_or_else(|| "-".to_owned(), |flip| format!("{:.3}", flip.at));
    for swing in swings {
        table.row(&[
            swing.input.into(),
            swing.low.to_string(),
            cost(swing.cost_at_low),
            swing.high.to_string(),
            cost(swing.cost_at_high),
            flip(&swing.flips_below),
            flip(&swing.flips_above),
            swing.unit.into(),
        ]);
    }
    vec![Leaf::Table(table), Leaf::Says(vec!["-: none inside the range".into()])]
}
