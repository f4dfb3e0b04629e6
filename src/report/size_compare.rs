//! Two plans, or several strategies, side by side for a person.

use super::{
    Paper,
    size_leaves::Leaf,
    svg::{COLOURS, Drawing, INK},
    table::{Align, Table},
};
use crate::reserve::{Micros, Problem, Replay, Spread, Strategy, Versus};

/// Months that are shown.
const MONTHS: usize = 14;

/// Two plans under the same scenarios; `problem` is that of one of them.
#[must_use]
pub fn versus(versus: &Versus, problem: &Problem, paper: Paper) -> Vec<Leaf> {
    let [first, second] = &versus.names;
    let right = Align::Right;
    let mut costs = Table::new(paper, &[("discounted cost", Align::Left), ("A", right), ("B", right), ("B - A", right)]);
    let mut row = |name: &str, both: [Micros; 2]| {
        costs.row(&[name.into(), both[0].to_string(), both[1].to_string(), Micros(both[1].0 - both[0].0).to_string()]);
    };
    let of = |value: fn(&Spread) -> Micros| [value(&versus.costs[0]), value(&versus.costs[1])];
    row("expected", of(|cost| cost.expected));
    row("of it committed", of(|cost| cost.committed));
    row("of it flexible", of(|cost| cost.flexible));
    row("of it left undone", of(|cost| cost.shortfall));
    row("5% of scenarios below", of(|cost| cost.p5));
    row("5% of scenarios above", of(|cost| cost.p95));
    row("mean of the worst 5%", of(|cost| cost.cvar95));
    row("upfront, undiscounted", versus.upfront);
    let columns = [
        ("month", Align::Left),
        ("orders A", right),
        ("B", right),
        ("CU A", right),
        ("B ", right),
        ("short A", right),
        ("B  ", right),
        ("recourse B - A", right),
    ];
    let mut months = Table::new(paper, &columns);
    let stride = versus.months.len().div_ceil(MONTHS);
    for month in &versus.months {
        if !(month.period - 1).is_multiple_of(stride) && month.ordered == [0, 0] {
            continue;
        }
        let count = |units: u32| if units > 0 { units.to_string() } else { String::new() };
        months.row(&[
            problem.month(month.period),
            count(month.ordered[0]),
            count(month.ordered[1]),
            format!("{:.1}", month.committed_cu[0]),
            format!("{:.1}", month.committed_cu[1]),
            format!("{:.1}%", 100.0 * month.shortfall_probability[0]),
            format!("{:.1}%", 100.0 * month.shortfall_probability[1]),
            Micros(month.expected_recourse[1].0 - month.expected_recourse[0].0).to_string(),
        ]);
    }
    let mut says = vec![format!(
        "A is cheaper in {:.1}% of scenarios, B in {:.1}%, neither in {:.1}%",
        100.0 * versus.first_wins,
        100.0 * versus.second_wins,
        100.0 * versus.neither_wins
    )];
    let names = ["A", "B"].iter().zip(versus.feasible).filter(|(_, feasible)| !feasible);
    says.extend(names.map(|(name, _)| format!("{name} breaks a constraint under these scenarios")));
    let head = Leaf::Head(format!("A {first}, B {second}"), "two plans under the same scenarios".into());
    vec![head, Leaf::Table(costs), Leaf::Says(says), Leaf::Table(months)]
}

/// What strategies came to through a history.
#[must_use]
pub fn replay(replay: &Replay, paper: Paper) -> Vec<Leaf> {
    let right = Align::Right;
    let columns = [
        ("strategy", Align::Left),
        ("cost", right),
        ("times the best", right),
        ("committed", right),
        ("flexible", right),
        ("left undone", right),
        ("months short", right),
        ("used", right),
        ("per CU-hour", right),
    ];
    let mut table = Table::new(paper, &columns);
    for strategy in &replay.strategies {
        table.row(&[
            strategy.name.into(),
            strategy.cost.to_string(),
            format!("{:.3}", strategy.ratio),
            strategy.committed.to_string(),
            strategy.flexible.to_string(),
            strategy.shortfall.to_string(),
            strategy.short_months.to_string(),
            strategy.used.map_or_else(|| "-".to_owned(), |used| format!("{:.1}%", 100.0 * used)),
            format!("{:.4}", strategy.per_cu_hour),
        ]);
    }
    let forecasts: Vec<String> = replay.forecasts.iter().map(|(method, months)| format!("{method} in {months}")).collect();
    let under = format!(
        "{} months replayed after {} that were known; each plan looks {} months ahead, by {}",
        replay.months,
        replay.known_before,
        replay.horizon,
        forecasts.join(" and ")
    );
    vec![Leaf::Head(format!("{}: backtest", replay.id), under), Leaf::Table(table)]
}

/// Demand of the history, and what each strategy had committed to.
#[must_use]
pub fn replayed(replay: &Replay) -> String {
    let committed = replay.strategies.iter().flat_map(|strategy| &strategy.committed_cu);
    let top = replay.demand_cu.iter().chain(committed).copied().fold(1.0, f64::max) * 1.1;
    let title = format!("{}: demand and what was committed, month by month", replay.id);
    let mut drawing = Drawing::new(&title, (1.0, replay.months as f64 + 1.0), (0.0, top), 0.0);
    drawing.upright("CU");
    let shown: Vec<_> = replay.strategies.iter().filter(|strategy| strategy.committed_cu.iter().any(|cu| *cu > 0.0)).collect();
    for (at, strategy) in shown.iter().enumerate() {
        // Steps: what is committed stands for its whole month.
        let steps = strategy.committed_cu.iter().enumerate();
        let points: Vec<(f64, f64)> =
            steps.flat_map(|(month, cu)| [(month as f64 + 1.0, *cu), (month as f64 + 2.0, *cu)]).collect();
        drawing.line(&points, COLOURS[at % COLOURS.len()], "");
    }
    let demand: Vec<(f64, f64)> = replay.demand_cu.iter().enumerate().map(|(month, cu)| (month as f64 + 1.5, *cu)).collect();
    drawing.line(&demand, INK, "4 3");
    drawing.along("month");
    let entry = |(at, strategy): (usize, &&Strategy)| (strategy.name.to_owned(), COLOURS[at % COLOURS.len()], Some(""));
    let mut legend: Vec<(String, &str, Option<&str>)> = shown.iter().enumerate().map(entry).collect();
    legend.push(("demand".into(), INK, Some("4 3")));
    drawing.legend(&legend);
    drawing.finish()
}
