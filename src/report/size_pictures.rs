//! Pictures of a sizing: cover over time against the fan of demand, what the cost hangs on, and how it is spread over scenarios.

use super::svg::{COLOURS, Drawing, INK, short};
use crate::reserve::{Contender, Evaluation, Problem, Swing, quantile};

/// Quantiles of demand that are drawn, with their dashes.
const FAN: [(f64, &str, &str); 3] = [(0.5, "demand p50", ""), (0.9, "p90", "6 3"), (0.95, "p95", "2 3")];
/// The fan of demand.
const SHADE: &str = "#999999";
/// Bars of the distribution of cost.
const BARS: usize = 20;

/// CU that orders deliver by month, one colour an option, under the quantiles of demand; for the first class.
#[must_use]
pub fn cover(problem: &Problem, plan: &[u32]) -> String {
    let used: Vec<usize> = (0..problem.options.len())
        .filter(|&option| problem.slots.iter().zip(plan).any(|(slot, orders)| slot.option == option && *orders > 0))
        .collect();
    let fan: Vec<Vec<f64>> = FAN.iter().map(|&(share, _, _)| demand(problem, share)).collect();
    let stacks = stacks(problem, plan, &used);
    let highest = stacks.last().into_iter().flatten().chain(fan.iter().flatten());
    let top = highest.copied().fold(1.0, f64::max) * 1.08;
    let title = format!("{}: committed CU against demand ({})", problem.id, problem.classes[0]);
    let mut drawing = Drawing::new(&title, (1.0, problem.periods as f64 + 1.0), (0.0, top), 0.0);
    drawing.upright("CU");
    let path = |share: f64| -> Vec<(f64, f64)> {
        demand(problem, share).into_iter().enumerate().map(|(month, cu)| (month as f64 + 1.5, cu)).collect()
    };
    drawing.area(&path(0.05), &path(0.95), SHADE, 0.25);
    // What is committed stands for its whole month.
    let steps = |stack: &[f64]| -> Vec<(f64, f64)> {
        stack.iter().enumerate().flat_map(|(month, cu)| [(month as f64 + 1.0, *cu), (month as f64 + 2.0, *cu)]).collect()
    };
    let mut foot = vec![0.0; problem.periods];
    for (stack, colour) in stacks.into_iter().zip(COLOURS.iter().cycle()) {
        drawing.area(&steps(&foot), &steps(&stack), colour, 1.0);
        foot = stack;
    }
    for ((_, _, dashes), path) in FAN.iter().zip(&fan) {
        let points: Vec<(f64, f64)> = path.iter().enumerate().map(|(month, cu)| (month as f64 + 1.5, *cu)).collect();
        drawing.line(&points, INK, dashes);
    }
    calendar(&mut drawing, problem);
    let options =
        used.iter().enumerate().map(|(colour, &option)| (problem.options[option].clone(), COLOURS[colour % COLOURS.len()], None));
    let lines = FAN.iter().map(|(_, name, dashes)| ((*name).to_owned(), INK, Some(*dashes)));
    let fan = std::iter::once(("p5 to p95".to_owned(), SHADE, None));
    drawing.legend(&options.chain(lines).chain(fan).collect::<Vec<_>>());
    drawing.finish()
}

/// The axis of months: years where the calendar is known, at each January.
fn calendar(drawing: &mut Drawing, problem: &Problem) {
    let Some(start) = problem.start else { return drawing.along("month") };
    let january = |period: &usize| start.plus(*period as i64).month == 1;
    let years: Vec<usize> = (0..problem.periods).filter(january).collect();
    if years.len() < 2 {
        let stride = problem.periods.div_ceil(8);
        let shown = (0..problem.periods).step_by(stride);
        let ticks: Vec<_> = shown.map(|period| (period as f64 + 1.0, start.plus(period as i64).to_string())).collect();
        return drawing.along_at("month", &ticks);
    }
    let stride = years.len().div_ceil(12);
    let shown = years.into_iter().step_by(stride);
    let ticks: Vec<_> = shown.map(|period| (period as f64 + 1.0, start.plus(period as i64).year.to_string())).collect();
    drawing.along_at("January of", &ticks);
}

/// CU of the first class by month that the options' orders deliver, each on top of those before it.
fn stacks(problem: &Problem, plan: &[u32], options: &[usize]) -> Vec<Vec<f64>> {
    let mut stacks: Vec<Vec<f64>> = Vec::new();
    for &option in options {
        let below = |month: usize| stacks.last().map_or(0.0, |below| below[month]);
        stacks.push((0..problem.periods).map(|month| below(month) + delivered(problem, plan, option, month)).collect());
    }
    stacks
}

/// CU of the first class that an option's orders deliver in a month.
fn delivered(problem: &Problem, plan: &[u32], option: usize, month: usize) -> f64 {
    let active = problem.slots.iter().zip(plan).filter(|(slot, _)| slot.option == option && slot.covers(month));
    active.map(|(slot, orders)| f64::from(orders * slot.step) * problem.kinds[slot.kind].effective[0]).sum()
}

/// The demand for the first class that scenarios of this probability stay at or below, by month.
fn demand(problem: &Problem, share: f64) -> Vec<f64> {
    let at = |month: usize| quantile(problem, share, |scenario| problem.scenarios[scenario].demand[0][month]);
    (0..problem.periods).map(at).collect()
}

/// How likely each cost is, with its mean and the quantile that one scenario in twenty exceeds.
#[must_use]
pub fn costs(problem: &Problem, evaluation: &Evaluation) -> String {
    let least = evaluation.by_scenario.iter().copied().fold(f64::INFINITY, f64::min);
    let most = evaluation.by_scenario.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = ((most - least) / BARS as f64).max(most.abs() * 1e-3).max(1e-6);
    let mut bars = [0.0; BARS];
    for (cost, scenario) in evaluation.by_scenario.iter().zip(&problem.scenarios) {
        bars[(((cost - least) / width) as usize).min(BARS - 1)] += 100.0 * scenario.probability;
    }
    let top = bars.iter().copied().fold(0.0, f64::max) * 1.15;
    let range = (least - width, least + width * (BARS as f64 + 1.0));
    let mut drawing = Drawing::new(&format!("{}: discounted cost by scenario", problem.id), range, (0.0, top), 0.0);
    drawing.upright("% likely");
    for (bar, height) in bars.iter().enumerate().filter(|(_, height)| **height > 0.0) {
        let left = least + width * bar as f64;
        drawing.bar((left, 0.0), (left + width * 0.92, *height), COLOURS[0]);
    }
    let p95 = quantile(problem, 0.95, |scenario| evaluation.by_scenario[scenario]);
    for (name, at, level) in [("expected", evaluation.cost, 0.97), ("p95", p95, 0.9)] {
        drawing.line(&[(at, 0.0), (at, top)], INK, "4 3");
        let right = at < f64::midpoint(range.0, range.1);
        let (shift, anchor) = if right { (4.0, "start") } else { (-4.0, "end") };
        drawing.say((at, top * level), (shift, 4.0), anchor, &format!("{name} {}", short(at)));
    }
    drawing.along("cost");
    drawing.finish()
}

/// How likely each of two plans costs at most so much.
#[must_use]
pub fn rivals(first: &Contender, second: &Contender) -> String {
    let both = [first, second];
    let all = || both.iter().flat_map(|side| side.evaluation.by_scenario.iter().copied());
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let room = ((most - least) * 0.05).max(most.abs() * 1e-3).max(1e-6);
    let title = format!("A {}, B {}: how likely a scenario costs at most so much", first.name, second.name);
    let mut drawing = Drawing::new(&title, (least - room, most + room), (0.0, 100.0), 0.0);
    drawing.upright("%");
    for (side, colour) in both.iter().zip(COLOURS) {
        let scenarios = side.evaluation.by_scenario.iter().zip(&side.problem.scenarios);
        let mut costs: Vec<(f64, f64)> = scenarios.map(|(cost, given)| (*cost, given.probability)).collect();
        costs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut likely = 0.0;
        let mut points = vec![(least - room, 0.0)];
        for (cost, probability) in costs {
            points.push((cost, likely));
            likely += 100.0 * probability;
            points.push((cost, likely));
        }
        points.push((most + room, likely));
        drawing.line(&points, colour, "");
        drawing.line(&[(side.evaluation.cost, 0.0), (side.evaluation.cost, 100.0)], colour, "4 3");
    }
    drawing.along("discounted cost");
    let entry = |(name, colour): (&str, &'static str)| (name.to_owned(), colour, Some(""));
    let mut legend: Vec<_> = ["A", "B"].into_iter().zip(COLOURS).map(entry).collect();
    legend.push(("expected".into(), INK, Some("4 3")));
    drawing.legend(&legend);
    drawing.finish()
}

/// How far the cost of the best plan moves with each input, the widest first.
#[must_use]
pub fn tornado(problem: &Problem, swings: &[Swing], expected: f64) -> String {
    let ends = |swing: &Swing| swing.cost_at_low.zip(swing.cost_at_high).map(|(low, high)| (low.amount(), high.amount()));
    let all = swings.iter().filter_map(ends).flat_map(|(low, high)| [low, high]).chain([expected]);
    let (least, most) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), cost| (least.min(cost), most.max(cost)));
    let room = ((most - least) * 0.22).max(1.0);
    let rows = swings.len() as f64;
    let mut drawing = Drawing::new(
        &format!("{}: what the cost of the best plan hangs on", problem.id),
        (least - room, most + room),
        (0.0, rows.max(1.0)),
        78.0,
    );
    for (row, swing) in swings.iter().enumerate() {
        let (foot, head) = (rows - row as f64 - 0.85, rows - row as f64 - 0.15);
        let middle = f64::midpoint(foot, head);
        drawing.say((least - room, middle), (-6.0, 4.0), "end", swing.input);
        let Some((low, high)) = ends(swing) else {
            drawing.say((expected, middle), (6.0, 4.0), "start", "no plan meets every constraint at an end of its range");
            continue;
        };
        drawing.bar((low, foot), (expected, head), COLOURS[4]);
        drawing.bar((high, foot), (expected, head), COLOURS[1]);
        let side =
            |own: f64, other: f64| if own < other || (own == other && own <= expected) { (-4.0, "end") } else { (4.0, "start") };
        let (shift, anchor) = side(low, high);
        drawing.say((low.min(expected).max(low), middle), (shift, 4.0), anchor, &short(swing.low));
        if high != low {
            let (shift, anchor) = side(high, low);
            drawing.say((high, middle), (shift, 4.0), anchor, &short(swing.high));
        }
    }
    drawing.line(&[(expected, 0.0), (expected, rows)], INK, "");
    drawing.along("discounted expected cost");
    drawing.legend(&[("input at its low".into(), COLOURS[4], None), ("at its high".into(), COLOURS[1], None)]);
    drawing.finish()
}
