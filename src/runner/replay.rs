//! A trace instead of a device: in this process, since nothing of it can hang or crash.

use crate::{
    contract::Machine,
    device::{Replay, Trace},
    measure::{self, CAP, Context, PRECISION, Profile, Readings},
    plan::Variant,
    record::{Entry, Outcome, Workload},
};

/// Measures a trace by the code that measures hardware, to within `precision` of the rate, or to 0.5 % where none is asked for.
#[must_use]
pub fn replay(trace: Trace, precision: Option<f64>) -> Entry {
    let machine = Replay::new(trace);
    let (plan, variant) = (machine.plan(), Variant::own("trace"));
    let profile = Profile { burst: CAP, sustained: CAP, precision: None }.precise(precision.unwrap_or(PRECISION));
    let readings = |from, to| Readings { source: "trace", readings: machine.readings(from, to), ..Readings::default() };
    let context = Context { readings: &readings, ..Context::unwatched(profile) };
    let entry = measure::measure(&machine, &plan, std::slice::from_ref(&variant), &context).pop();
    let without =
        || Entry::without(machine.devices()[0].clone(), plan.key.with(&variant), plan.work, Outcome::Failed, "no entry".into());
    let entry = entry.unwrap_or_else(without);
    let traced = machine.workload();
    let workload =
        Workload { id: traced.id.clone(), precision: traced.precision.clone().unwrap_or_default(), ..entry.workload.clone() };
    // A trace has no output and no inputs: nothing was verified, and no data was drawn.
    Entry { workload, verified: None, data: None, seed: 0, ..entry }
}
