//! Which of several kernels is the fastest here: a few launches of each in turns, on the inputs that are timed later.
//!
//! What is told is good enough to choose by and is never a result: who is chosen is verified, and measured on samples of its own.

use super::{Launching, wait::Waiter};
use crate::{
    contract::{Fault, Machine},
    plan::{Pass, Plan, Variant},
    units::Nanos,
};

/// Turns that each takes; the best one counts.
const TURNS: u32 = 3;
const MOST_LAUNCHES: u64 = 1 << 10;

/// Time of a launch by each variant, within about so much time of the device. `launching` is told of each.
///
/// # Errors
/// [`Fault`] of the device, and the number of the variant whose launch it was.
pub fn tune(
    machine: &dyn Machine,
    plan: &Plan,
    variants: &[Variant],
    within: Nanos,
    launching: Launching,
) -> Result<Vec<Nanos>, (Fault, Option<usize>)> {
    let told = |variant: Option<usize>| launching(variant.and_then(|variant| variants.get(variant)));
    let waiter = Waiter::new(machine.clock(), &told);
    tried(machine, plan, variants, within, &waiter).map_err(|fault| (fault, waiter.launching()))
}

fn tried(machine: &dyn Machine, plan: &Plan, variants: &[Variant], within: Nanos, waiter: &Waiter) -> Result<Vec<Nanos>, Fault> {
    let mut prepared = machine.prepare(plan, variants)?;
    prepared.fill(Pass::Random)?;
    let each = within.0 / (variants.len() as u64 * u64::from(TURNS)).max(1);
    let mut best = Vec::with_capacity(variants.len());
    for variant in 0..variants.len() {
        let spans = waiter.launch(prepared.as_mut(), variant, 1, None)?;
        best.push(spans.iter().map(|span| span.took).sum::<Nanos>());
    }
    for _ in 0..TURNS {
        for (variant, best) in best.iter_mut().enumerate() {
            let launches = (each / best.0.max(1)).clamp(1, MOST_LAUNCHES);
            let spans = waiter.launch(prepared.as_mut(), variant, launches as u32, Some(*best))?;
            let took: Nanos = spans.iter().map(|span| span.took).sum();
            *best = (*best).min(Nanos(took.0 / launches));
        }
    }
    Ok(best)
}
