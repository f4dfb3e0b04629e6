//! What units cost: ten thousand vectors of rates to units of every shipped class.
//!
//!     cargo bench --bench units
//!
//! Fails when it is past its bound, so that it can stand in a pipeline. The reckoning that also says where the time goes is timed beside.

use assay::capacity::{Class, Sheet, Vector, definition, units};
use std::{hint::black_box, process::ExitCode, time::Instant};

const VECTORS: u32 = 10_000;
/// Seconds that it may take at the most.
const BOUND: f64 = 0.1;

/// The shortest of five repetitions, in seconds.
fn shortest(mut work: impl FnMut()) -> f64 {
    let times = (0..5).map(|_| {
        let begin = Instant::now();
        work();
        begin.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() -> ExitCode {
    let reference = &definition().reference.rates;
    let classes: Vec<&Class> = definition().classes.iter().collect();
    // Around the reference by up to a third, each rate by its own.
    let off = |n: u32, at: usize| 1.0 + f64::from((n * 31 + at as u32 * 17) % 101) / 300.0;
    let vectors: Vec<Vector> = (0..VECTORS)
        .map(|n| reference.iter().enumerate().map(|(at, (key, rate))| (key.clone(), rate * off(n, at))).collect())
        .collect();
    let mut found = Vec::new();
    let mut sum = 0.0;
    let taken = shortest(|| {
        // From keys by name on: making the sheet, finding places, reckoning.
        let sheet = Sheet::new(&classes, reference, |key| !reference.contains_key(key));
        for rates in &vectors {
            sheet.units(&sheet.places(rates), &mut found);
            sum += found.iter().sum::<f64>();
        }
    });
    assert!(sum.is_finite() && sum > 0.0, "every class fits every vector");
    let explained = shortest(|| {
        for rates in &vectors[..100] {
            for class in &classes {
                let _ = black_box(units(class, rates));
            }
        }
    });
    let each = taken / f64::from(VECTORS) * 1e6;
    println!(
        "{VECTORS} vectors to units of {} classes {:9.3} ms  (at most {} ms), {each:.2} us a vector",
        classes.len(),
        taken * 1e3,
        BOUND * 1e3
    );
    println!("the same with where the time goes      {:9.3} ms, from 100 vectors", explained * 1e3 * f64::from(VECTORS) / 100.0);
    if taken > BOUND { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
