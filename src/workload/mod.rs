//! What is worth measuring: families of workloads as data, and the suites that spend time on them.

mod atomics;
mod cache;
mod collective;
mod copies;
mod issue;
mod latency;
mod launch;
mod matmul;
mod oracle;
mod peer;
mod stream;
mod transfer;

use crate::{
    plan::{Plan, Submit},
    record::{Device, Kind},
    units::Nanos,
};
use std::collections::BTreeMap;

/// A row a family.
pub struct Family {
    pub name: &'static str,
    /// One line for `--help` and the documentation.
    pub about: &'static str,
    pub plans: fn(&Device, &Choice) -> Vec<Plan>,
}

/// Every family, in the order that they are reported.
pub const FAMILIES: &[Family] = &[
    Family { name: "matmul", about: "dense matrix products, named input.accumulate.output", plans: matmul::plans },
    Family { name: "issue", about: "the same with nothing to fetch: the roof over matmul", plans: issue::plans },
    Family { name: "stream", about: "what memory sustains when almost nothing is computed", plans: stream::plans },
    Family { name: "cache", about: "the same over footprints from the first cache to memory", plans: cache::plans },
    Family { name: "latency", about: "how long a load takes that must be waited for", plans: latency::plans },
    Family {
        name: "atomics",
        about: "how many additions memory makes, each of which must not be lost to another",
        plans: atomics::plans,
    },
    Family { name: "transfer", about: "what the link between host and device delivers", plans: transfer::plans },
    Family {
        name: "launch",
        about: "how soon a kernel follows one that it depends on, and the host has an answer",
        plans: launch::plans,
    },
];

/// A row a family of several devices at once.
pub struct Shared {
    pub name: &'static str,
    pub about: &'static str,
    /// The first device leads: entries are its own. With no other the plans are those that say so.
    pub plans: fn(&[Device], &Choice) -> Vec<Plan>,
}

/// Every such family, reported behind the others.
pub const SHARED: &[Shared] = &[
    Shared { name: "peer", about: "what the links between devices deliver, pair by pair", plans: peer::plans },
    Shared { name: "collective", about: "sums over all devices, each of which ends with the whole", plans: collective::plans },
];

/// Plans of a suite for devices at once, of which the first leads.
#[must_use]
pub fn shared(devices: &[Device], choice: &Choice) -> Vec<Plan> {
    let linked = devices.first().is_some_and(|device| device.backend == "cuda") && choice.suite.name != "soak";
    let families = SHARED.iter().filter(|_| linked);
    families.flat_map(|family| (family.plans)(devices, choice)).collect()
}

/// How a suite spends its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    pub name: &'static str,
    /// Time for a verified burst.
    pub burst: Nanos,
    /// Time for an entry that a decision hangs on.
    pub sustained: Nanos,
    /// Time for a device; what does not fit is skipped, with that reason. Blank: as long as it takes.
    pub budget: Option<Nanos>,
    /// Of that, time in which nothing is launched for its rate: preparing, verifying. Once it is spent, bursts are skipped.
    pub setup: Option<Nanos>,
    /// What a decision hangs on is also measured on all devices of the node at once.
    pub together: bool,
    /// More shapes and finer ladders.
    pub thorough: bool,
}

impl Suite {
    /// The suite as a device takes it. Where time is short, an accelerator, which has more workloads and shorter launches than a CPU, takes
    /// half the time for each burst. On others the host verifies, which is also what is measured or stands in for it: its time is its own.
    #[must_use]
    pub fn on(self, kind: Kind) -> Self {
        match (kind, self.setup) {
            (Kind::Gpu, Some(_)) => Self { burst: Nanos(self.burst.0 / 2), ..self },
            _ => Self { setup: None, ..self },
        }
    }
}

const SECOND: u64 = 1_000_000_000;

/// Every suite; `soak` takes its time from the command line.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "quick",
        burst: Nanos(3 * SECOND / 10),
        sustained: Nanos(5 * SECOND),
        budget: Some(Nanos(60 * SECOND)),
        setup: Some(Nanos(15 * SECOND)),
        together: false,
        thorough: false,
    },
    Suite {
        name: "standard",
        burst: Nanos(SECOND),
        sustained: Nanos(30 * SECOND),
        budget: Some(Nanos(600 * SECOND)),
        setup: None,
        together: true,
        thorough: true,
    },
    Suite {
        name: "soak",
        burst: Nanos(0),
        sustained: Nanos(600 * SECOND),
        budget: None,
        setup: None,
        together: true,
        thorough: false,
    },
];

/// What a person chose.
#[derive(Clone, Debug)]
pub struct Choice {
    pub suite: Suite,
    /// Bytes of each array of the stream family, instead of the rule.
    pub footprint: Option<u64>,
    pub seed: u32,
}

/// Plans of a suite for a device: those that a decision hangs on first, then chains of launches, so that a spent budget costs the others;
/// and of these the first of each family and precision before the second of any, so that it costs none of them all.
#[must_use]
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    let mut before: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let place = |plan: Plan| {
        let place = before.entry((plan.key.family, plan.key.precision.clone())).or_default();
        *place += 1;
        (*place, plan)
    };
    let mut placed: Vec<_> = FAMILIES.iter().flat_map(|family| (family.plans)(device, choice)).map(place).collect();
    // The fixed time is a rate that units are made of, and takes less time than any other.
    placed.sort_by_key(|(place, plan)| (!plan.sustained, plan.key.family != "launch", *place));
    let mut plans: Vec<Plan> = placed.into_iter().map(|(_, plan)| plan).collect();
    if choice.suite.name == "soak" {
        plans.retain(|plan| plan.sustained);
    }
    plans
}

/// The same with a launch due each `period`, whether or not the one before is done: its shape says so, since a rate at a pace is none of
/// the device. Nothing of what is not launched one by one.
#[must_use]
pub fn paced(mut plan: Plan, period: Nanos) -> Option<Plan> {
    let by_one = plan.submit == Submit::Stream;
    plan.key.shape = format!("{}-each-{}us", plan.key.shape, period.0 / 1_000);
    plan.submit = Submit::Paced(period);
    by_one.then_some(plan)
}

/// Bytes of an array that no cache holds: `max(4 × last cache, min(1 GiB, memory / 8))`, rounded down to whole segments.
///
/// Where the memory is not known it is taken to be small, 256 MiB in an array; a software adapter, which stands for no hardware, gets
/// half of that.
#[must_use]
pub fn footprint(device: &Device, choice: &Choice) -> u64 {
    const UNKNOWN: u64 = 256 << 20;
    let rule = || {
        let most = if device.kind == Kind::Software { UNKNOWN / 2 } else { 1 << 30 };
        let memory = device.usable_bytes().map_or(UNKNOWN, |bytes| bytes / 8).min(most);
        memory.max(4 * device.last_cache_bytes())
    };
    let bytes = choice.footprint.unwrap_or_else(rule).max(GRAIN);
    bytes / GRAIN * GRAIN
}

/// Arrays are whole multiples of this: 4096 segments of at least 256 bytes.
const GRAIN: u64 = 1 << 20;

/// A launch of the ladder should take some time even where memory is fastest.
fn is_gpu(device: &Device) -> bool {
    device.kind == Kind::Gpu
}

fn supports(device: &Device, precision: &str) -> bool {
    device.precisions.iter().any(|name| name == precision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Cache;
    use std::collections::BTreeSet;

    fn device(kind: Kind, memory: u64, cache: u64) -> Device {
        Device {
            memory_bytes: Some(memory),
            caches: vec![Cache { level: 3, bytes: cache, instances: 1 }],
            precisions: vec!["fp32".into(), "fp64".into()],
            units: Some(2),
            ..Device::new("x:0", "x", kind, "x")
        }
    }

    fn choice(suite: usize) -> Choice {
        Choice { suite: SUITES[suite], footprint: None, seed: 1 }
    }

    #[test]
    fn the_footprint_follows_memory_and_caches() {
        assert_eq!(footprint(&device(Kind::Gpu, 141 << 30, 50 << 20), &choice(0)), 1 << 30);
        assert_eq!(footprint(&device(Kind::Cpu, 2 << 40, 1 << 30), &choice(0)), 4 << 30);
        assert_eq!(footprint(&device(Kind::Fake, 64 << 20, 256 << 10), &choice(0)), 8 << 20);
        assert_eq!(footprint(&Device::new("x:0", "x", Kind::Gpu, "x"), &choice(0)), 256 << 20);
        let asked = Choice { footprint: Some((5 << 20) + 7), ..choice(0) };
        assert_eq!(footprint(&device(Kind::Cpu, 1 << 34, 0), &asked), 5 << 20);
    }

    #[test]
    fn the_same_suites_fit_a_large_card_and_a_tiny_fake() {
        for (kind, memory) in [(Kind::Gpu, 141 << 30), (Kind::Cpu, 24 << 30), (Kind::Software, 1 << 30), (Kind::Fake, 64 << 20)] {
            for suite in 0..SUITES.len() {
                let plans = plans(&device(kind, memory, 256 << 10), &choice(suite));
                assert!(!plans.is_empty());
                assert!(plans.iter().all(|plan| plan.bytes_allocated() < memory / 10 * 8), "{kind:?}");
            }
        }
    }

    #[test]
    fn identities_are_unique_and_decisions_come_first() {
        let plans = plans(&device(Kind::Cpu, 24 << 30, 32 << 20), &choice(0));
        let mut ids: Vec<_> = plans.iter().map(|plan| plan.key.id()).collect();
        assert!(ids.len() >= 30, "{}", ids.len());
        let first_burst = plans.iter().position(|plan| !plan.sustained).expect("bursts");
        assert!((1..=6).contains(&first_burst) && plans[first_burst..].iter().all(|plan| !plan.sustained));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), plans.len());
    }

    #[test]
    fn a_spent_budget_costs_no_family_all_of_its_entries() {
        let plans = plans(&device(Kind::Cpu, 24 << 30, 32 << 20), &choice(1));
        let bursts: Vec<_> = plans.iter().filter(|plan| !plan.sustained && plan.key.family != "launch").collect();
        let lines: BTreeSet<_> = bursts.iter().map(|plan| (plan.key.family, &plan.key.precision)).collect();
        let first: BTreeSet<_> = bursts[..lines.len()].iter().map(|plan| (plan.key.family, &plan.key.precision)).collect();
        assert!(lines.len() >= 6 && first == lines, "{first:?}");
    }

    #[test]
    fn the_quick_suite_halves_its_bursts_on_an_accelerator_alone() {
        let quick = SUITES[0];
        assert_eq!((quick.on(Kind::Gpu).burst, quick.on(Kind::Gpu).setup), (Nanos(SECOND * 3 / 20), quick.setup));
        assert_eq!((quick.on(Kind::Cpu).burst, quick.on(Kind::Cpu).setup), (quick.burst, None));
        assert_eq!(SUITES[1].on(Kind::Gpu), SUITES[1]);
    }

    #[test]
    fn a_soak_holds_only_what_a_decision_hangs_on() {
        assert!(plans(&device(Kind::Cpu, 24 << 30, 32 << 20), &choice(2)).iter().all(|plan| plan.sustained));
    }

    #[test]
    fn a_paced_plan_has_a_name_of_its_own() {
        let plan = plans(&device(Kind::Cpu, 24 << 30, 32 << 20), &choice(0)).remove(0);
        let paced = paced(plan.clone(), Nanos(2_500_000)).expect("a stream of launches");
        assert_eq!((paced.key.id(), paced.submit), (format!("{}-each-2500us", plan.key.id()), Submit::Paced(Nanos(2_500_000))));
        assert!(super::paced(Plan { submit: Submit::Graph(2), ..plan }, Nanos(1_000)).is_none());
    }

    #[test]
    fn every_exact_pass_is_exact() {
        for suite in 0..SUITES.len() {
            for plan in plans(&device(Kind::Gpu, 141 << 30, 50 << 20), &choice(suite)) {
                let output = plan.buffers[plan.check.output].dtype;
                assert!(plan.check.bound <= output.exact_integers(), "{}", plan.key.id());
            }
        }
    }
}
