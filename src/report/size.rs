//! A sizing for a person: what to order and when, what it costs, what it risks, and what the answer is worth.

use super::{
    HEADING, Paper, WIDTH,
    table::{Align, Table},
};
use crate::reserve::{Answer, Broken, Evaluation, Flip, Micros, Problem, Solved, Swing};

/// Share of the worst scenarios whose mean is told.
const TAIL: f64 = 0.05;

/// The sheet, as text with styles.
#[must_use]
pub fn sizing(problem: &Problem, answer: &Answer, solved: &Solved, paper: Paper) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut text = format!(
        "{HEADING}{}{HEADING:#}\n{}, {}, {}, {}\n\n",
        paper.text(&answer.id),
        count(problem.periods, "month"),
        count(problem.kinds.len(), "type"),
        count(problem.slots.len(), "possible order"),
        count(problem.scenarios.len(), "scenario"),
    );
    if !answer.feasible {
        push(&mut text, &infeasible(answer, paper));
        return text;
    }
    push(&mut text, &orders(problem, &solved.plan, paper));
    text.push('\n');
    push(&mut text, &costs(problem, answer, solved, paper));
    push(&mut text, &risks(problem, &solved.evaluation));
    text
}

fn push(text: &mut String, lines: &[String]) {
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}

/// No plan is feasible: what the nearest one breaks, and which limit alone would have to give.
fn infeasible(answer: &Answer, paper: Paper) -> Vec<String> {
    let line = |broken: &Broken| paper.text(&format!("  {}: by {:.6} {}", broken.constraint, broken.by, broken.unit));
    let certain = if answer.proved { "no plan meets every constraint" } else { "no plan that meets every constraint was found" };
    let mut lines = vec![format!("{certain}; the one that comes nearest breaks")];
    lines.extend(answer.broken.iter().map(line));
    lines.push(match answer.relief.as_slice() {
        [] => "no single limit, loosened alone, would be enough: lower the service floor or allow more units".into(),
        _ => "each of these alone, loosened by so much, would be enough".into(),
    });
    lines.extend(answer.relief.iter().map(line));
    lines
}

fn orders(problem: &Problem, plan: &[u32], paper: Paper) -> Vec<String> {
    let ordered: Vec<_> = problem.slots.iter().zip(plan).filter(|(_, orders)| **orders > 0).collect();
    if ordered.is_empty() {
        return vec!["nothing is ordered: flexible capacity is cheapest".into()];
    }
    let right = Align::Right;
    let mut table = Table::new(
        paper,
        &[("order", Align::Left), ("in month", right), ("units", right), ("from", right), ("to", right), ("upfront", right)],
    );
    for (slot, orders) in ordered {
        let upfront = Micros::total(slot.upfront * f64::from(*orders));
        table.row(&[
            problem.options[slot.option].clone(),
            (slot.period + 1).to_string(),
            (orders * slot.step).to_string(),
            (slot.first + 1).to_string(),
            slot.end.to_string(),
            upfront.to_string(),
        ]);
    }
    table.lines(WIDTH)
}

fn costs(problem: &Problem, answer: &Answer, solved: &Solved, paper: Paper) -> Vec<String> {
    let evaluation = &solved.evaluation;
    let share = |part: Micros, of: Micros| format!("{:.1}%", 100.0 * part.amount() / of.amount());
    let quality = if answer.proved {
        "proved cheapest".to_owned()
    } else {
        format!("at most {:.2}% above the cheapest (bound {})", 100.0 * answer.gap, answer.lower_bound)
    };
    let mut table = Table::new(paper, &[("discounted cost", Align::Left), ("", Align::Right), (" ", Align::Left)]);
    let mut row = |name: &str, cost: Micros, says: String| table.row(&[name.into(), cost.to_string(), says]);
    row("expected", answer.optimal_cost, quality);
    let committed = Micros::total(evaluation.committed);
    row("of it committed", committed, share(committed, answer.optimal_cost));
    row("5% of scenarios below", Micros::total(quantile(problem, evaluation, TAIL)), String::new());
    row("5% of scenarios above", Micros::total(quantile(problem, evaluation, 1.0 - TAIL)), String::new());
    row("mean of the worst 5%", Micros::total(evaluation.tail(problem, TAIL)), String::new());
    let saving = answer.saving_vs_flex_only;
    let floor = if answer.flex_only_feasible { "" } else { "; it falls below the service floor" };
    row("flexible only", answer.flex_only_cost, format!("saved {saving} ({}){floor}", share(saving, answer.flex_only_cost)));
    if let Some((known, worth)) = answer.wait_and_see_cost.zip(answer.evpi) {
        row("if the scenario were known", known, format!("knowing it would be worth {worth}"));
    }
    row("upfront, undiscounted", answer.upfront_total, String::new());
    table.lines(WIDTH)
}

/// The cost that scenarios of this probability stay at or below.
fn quantile(problem: &Problem, evaluation: &Evaluation, share: f64) -> f64 {
    let mut costs: Vec<(f64, f64)> =
        evaluation.by_scenario.iter().zip(&problem.scenarios).map(|(cost, scenario)| (*cost, scenario.probability)).collect();
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    let reached = costs.iter().find(|(_, probability)| {
        sum += probability;
        sum >= share - 1e-9
    });
    reached.or(costs.last()).map_or(0.0, |(cost, _)| *cost)
}

/// When demand is likeliest to go unserved, by class.
fn risks(problem: &Problem, evaluation: &Evaluation) -> Vec<String> {
    let worst = |class: usize| {
        let periods = evaluation.by_period.iter().enumerate().map(|(at, period)| (period.probability[class], at + 1));
        periods.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).filter(|(probability, _)| *probability > 0.0)
    };
    let say = |(class, name): (usize, &String)| match worst(class) {
        Some((probability, month)) => {
            format!("{name}: short in {:.1}% of scenarios at worst, in month {month}", 100.0 * probability)
        }
        None => format!("{name}: served in every month and scenario"),
    };
    problem.classes.iter().enumerate().map(say).collect()
}

/// What the cost hangs on, and where the orders of the first month change, as text with styles.
#[must_use]
pub fn swings(swings: &[Swing], paper: Paper) -> String {
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
    let mut text = String::from("\n");
    push(&mut text, &table.lines(WIDTH));
    text.push_str("-: none inside the range\n");
    text
}
