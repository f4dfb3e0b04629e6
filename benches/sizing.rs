//! How the time of a sizing grows with months, scenarios and types; one line an instance.

use assay::reserve::{Effort, Shape, generate, solve};
use std::time::Instant;

const BASE: Shape = Shape { types: 10, periods: 48, scenarios: 50, fleet: 60 };

fn main() {
    println!("{:>5} {:>6} {:>9} {:>5} {:>9} {:>8}", "types", "months", "scenarios", "slots", "seconds", "gap");
    for periods in [12, 24, 48, 84] {
        line(Shape { periods, ..BASE });
    }
    for scenarios in [10, 50, 100, 200] {
        line(Shape { scenarios, ..BASE });
    }
    for types in [2, 5, 10, 20] {
        line(Shape { types, ..BASE });
    }
    line(Shape { types: 20, periods: 84, scenarios: 100, fleet: 500 });
}

fn line(shape: Shape) {
    let problem = generate(1, shape).problem().expect("the generator makes well-formed cases");
    let begin = Instant::now();
    let solved = solve(&problem, Effort::default()).expect("solved");
    let seconds = begin.elapsed().as_secs_f64();
    let (slots, gap) = (problem.slots.len(), 100.0 * solved.gap());
    println!("{:>5} {:>6} {:>9} {slots:>5} {seconds:>9.3} {gap:>7.3}%", shape.types, shape.periods, shape.scenarios);
}
