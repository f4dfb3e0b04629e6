//! Which devices and workloads a command line means.

use super::{Arguments, Backend, Item, Kernels, Options, Task, Tuning};
use crate::{
    contract::Listing,
    plan::Plan,
    record::{Device, Kind},
    runner::{self, Contenders, Tune},
    units::{Bytes, Nanos},
    workload::{self, Choice, FAMILIES, SHARED, Suite},
};
use anyhow::{Error, Result, bail};
use std::collections::BTreeSet;

/// A task for each chosen device, and those of what several do at once.
///
/// # Errors
/// What is unknown, with what exists.
pub fn tasks(arguments: &Arguments, suite: Suite, listings: &[Listing]) -> Result<(Vec<Task>, Vec<Task>)> {
    let devices = devices(arguments, listings)?;
    let mut tasks = devices.iter().map(|device| task(arguments, suite, device, &devices)).collect::<Result<Vec<_>>>()?;
    let shared = shared(arguments, &tasks);
    if tasks.iter().chain(&shared).all(|task| task.workloads.is_empty()) {
        let plans = |device: &Device| {
            let choice = Choice { suite: suite.on(device.kind), footprint: arguments.footprint, seed: arguments.seed };
            [workload::plans(device, &choice), workload::shared(std::slice::from_ref(device), &choice)].concat()
        };
        let there: BTreeSet<&str> = devices.iter().flat_map(plans).map(|plan| plan.key.family).collect();
        let names = FAMILIES.iter().map(|family| family.name).chain(SHARED.iter().map(|family| family.name));
        let families: Vec<_> = names.filter(|name| there.contains(name)).map(|name| format!("'{name}/*'")).collect();
        bail!(
            "--only {} matches no workload of the {} suite on {}; there are {}",
            arguments.only.join(" --only "),
            suite.name,
            tasks.iter().map(|task| task.device.id.as_str()).collect::<Vec<_>>().join(", "),
            families.join(", ")
        );
    }
    if !shared.is_empty() {
        tasks.retain(|task| !task.workloads.is_empty());
    }
    Ok((tasks, shared))
}

/// What of several devices is measured at once: each leads to the others, with a worker of its own that opens all of them. Empty where
/// there are not two that could.
fn shared(arguments: &Arguments, tasks: &[Task]) -> Vec<Task> {
    let linked: Vec<&Task> =
        tasks.iter().filter(|task| task.device.backend == "cuda" && !runner::is_seen_alone(&task.device)).collect();
    if linked.len() < 2 {
        return Vec::new();
    }
    let led = |task: &&Task| {
        let others = || linked.iter().filter(|other| other.device.id != task.device.id).map(|other| other.device.clone());
        let devices: Vec<Device> = std::iter::once(task.device.clone()).chain(others()).collect();
        let choice = Choice { suite: task.suite, footprint: task.footprint, seed: task.seed };
        let workloads = items(arguments, task.suite, workload::shared(&devices, &choice));
        Task { peers: others().map(|device| device.id).collect(), workloads, ..(*task).clone() }
    };
    linked.iter().map(led).filter(|task| !task.workloads.is_empty()).collect()
}

/// The workloads among plans that the command line asks for.
fn items(arguments: &Arguments, suite: Suite, plans: Vec<Plan>) -> Vec<Item> {
    let chosen = |plan: &Plan| arguments.only.is_empty() || arguments.only.iter().any(|glob| means(glob, &plan.key.id()));
    let paced = |plan: Plan| match arguments.pace {
        Some(pace) => workload::paced(plan, pace),
        None => Some(plan),
    };
    let target = |plan: &Plan| if plan.sustained { suite.sustained } else { suite.burst };
    let item = |plan: Plan| Item { id: plan.key.id(), target: target(&plan), sustained: plan.sustained };
    plans.into_iter().filter(chosen).filter_map(paced).map(item).collect()
}

fn task(arguments: &Arguments, suite: Suite, device: &Device, all: &[Device]) -> Result<Task> {
    if let (Some(footprint), Some(usable)) = (arguments.footprint, device.usable_bytes())
        && footprint.saturating_mul(3) > usable
    {
        let (needed, usable) = (Bytes(footprint.saturating_mul(3)), Bytes(usable));
        bail!("--footprint: three arrays need {needed}, {usable} are free on {}; choose a smaller one", device.id);
    }
    let suite = suite.on(device.kind);
    let choice = Choice { suite, footprint: arguments.footprint, seed: arguments.seed };
    let mut plans = workload::plans(device, &choice);
    // One that is alone says of what takes several that it is.
    if all.iter().filter(|other| other.backend == device.backend).count() == 1 {
        plans.extend(workload::shared(std::slice::from_ref(device), &choice));
    }
    let workloads = items(arguments, suite, plans);
    let options = Options {
        nvml_library: arguments.nvml_lib.clone(),
        kernel_log: arguments.kernel_log.clone(),
        precision: arguments.precision,
        trace: None,
        cublaslt_library: arguments.cublaslt_lib.clone(),
        tune: match arguments.tuning {
            Tuning::Auto => Tune::Auto,
            Tuning::Anew => Tune::Anew,
            Tuning::Off => Tune::Off,
        },
        contenders: match arguments.kernels {
            // A soak is to be of one kernel throughout.
            Kernels::Pair if suite.budget.is_none() => Contenders::Own,
            Kernels::Pair => Contenders::Pair,
            Kernels::Own => Contenders::Own,
            Kernels::All => Contenders::All,
        },
        pace: arguments.pace,
    };
    Ok(Task {
        device: device.clone(),
        peers: Vec::new(),
        suite,
        workloads,
        footprint: arguments.footprint,
        seed: arguments.seed,
        options,
    })
}

/// Preparing and verifying a workload is taken to need this on top of its time.
const SETUP: Nanos = Nanos(2_000_000_000);

/// What is measured on all devices of the node at once: what a decision hangs on, where at least two of them have it. The time for it is
/// taken off that of each device; a soak's time is shared by all that it measures on a device.
pub fn together(tasks: &mut [Task]) -> Vec<Task> {
    let every: Vec<Device> = tasks.iter().map(|task| task.device.clone()).collect();
    let every: Vec<&Device> = every.iter().collect();
    let takes_part = |task: &Task| task.suite.together && task.device.twin(&every).is_none();
    let has = |task: &Task, id: &str| takes_part(task) && task.workloads.iter().any(|item| item.sustained && item.id == id);
    let shared = |item: &Item| item.sustained && tasks.iter().filter(|task| has(task, &item.id)).count() > 1;
    let part = |task: &Task| {
        let suite = Suite { budget: None, ..task.suite };
        let workloads = task.workloads.iter().filter(|item| takes_part(task) && shared(item)).cloned().collect();
        Task { workloads, suite, ..task.clone() }
    };
    let mut at_once: Vec<Task> = tasks.iter().map(part).collect();
    for (task, part) in tasks.iter_mut().zip(&mut at_once) {
        if let Some(budget) = &mut task.suite.budget {
            let needed = part.workloads.iter().map(|item| item.target + SETUP).sum();
            *budget = budget.since(needed);
        } else {
            let measured = (task.workloads.len() + part.workloads.len()).max(1) as u64;
            let each = Nanos(task.suite.sustained.0 / measured);
            for task in [task, part] {
                task.suite.sustained = each;
                task.workloads.iter_mut().for_each(|item| item.target = each);
            }
        }
    }
    at_once.retain(|task| !task.workloads.is_empty());
    at_once
}

/// Whether a glob means a workload; `*` takes in whatever stands between, slashes too.
fn means(glob: &str, id: &str) -> bool {
    // To the library a slash ends what `*` may take in, and no id has a colon.
    fast_glob::glob_match(glob.replace('/', ":"), id.replace('/', ":"))
}

fn devices(arguments: &Arguments, listings: &[Listing]) -> Result<Vec<Device>> {
    let backend =
        |name: &'static str| listings.iter().filter(move |listing| listing.backend == name).flat_map(|listing| &listing.devices);
    let all: Vec<&Device> = listings.iter().flat_map(|listing| &listing.devices).collect();
    if !arguments.device.is_empty() {
        let named = Device::all_named(&arguments.device, &all).map_err(Error::msg)?;
        let wanted = format!("{:?}", arguments.backend).to_lowercase();
        if let Some(other) = named.iter().find(|device| arguments.backend != Backend::Auto && device.backend != wanted) {
            bail!("--device {} is no device of --backend {wanted}; leave one of them out", other.id);
        }
        return Ok(named);
    }
    let chosen: Vec<&Device> = match arguments.backend {
        Backend::Cuda => backend("cuda").collect(),
        Backend::Wgpu => preferred(backend("wgpu").collect()),
        Backend::Cpu => backend("cpu").collect(),
        Backend::Replay => Vec::new(),
        Backend::Auto => {
            let gpus = || backend("wgpu").filter(|device| device.kind == Kind::Gpu).collect::<Vec<_>>();
            let choices = [backend("cuda").collect(), gpus(), backend("cpu").collect()];
            choices.into_iter().find(|devices: &Vec<_>| !devices.is_empty()).unwrap_or_default()
        }
    };
    if chosen.is_empty() {
        let why: Vec<_> = listings.iter().filter_map(|l| l.absent.as_ref().map(|why| format!("{}: {why}", l.backend))).collect();
        bail!("no device to measure with --backend {}. {}", format!("{:?}", arguments.backend).to_lowercase(), why.join("; "));
    }
    Ok(chosen.into_iter().cloned().collect())
}

/// Hardware where there is any; a software adapter only when the backend was asked for and has nothing else.
fn preferred(devices: Vec<&Device>) -> Vec<&Device> {
    let hardware: Vec<_> = devices.iter().copied().filter(|device| device.kind != Kind::Software).collect();
    if hardware.is_empty() { devices } else { hardware }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, bus: &str, suite: &str, workloads: &[(&str, bool)]) -> Task {
        let suite = runner::suite(suite, None).expect("a suite");
        let target = |sustained| if sustained { suite.sustained } else { suite.burst };
        let item = |(id, sustained): &(&str, bool)| Item { id: (*id).into(), target: target(*sustained), sustained: *sustained };
        let device = Device { bus: Some(bus.into()), ..Device::new(id, &id[..4], Kind::Gpu, "x") };
        let workloads = workloads.iter().map(item).collect();
        Task { device, peers: Vec::new(), workloads, suite, footprint: None, seed: 1, options: Options::default() }
    }

    const ALL: [(&str, bool); 3] = [("a", true), ("b", true), ("c", false)];

    #[test]
    fn what_a_decision_hangs_on_is_measured_on_all_devices_at_once_within_the_time() {
        let mut tasks = [task("cuda:0", "1", "standard", &ALL), task("cuda:1", "2", "standard", &ALL[1..])];
        let at_once = together(&mut tasks);
        let ids = |task: &Task| task.workloads.iter().map(|item| item.id.clone()).collect::<Vec<_>>();
        assert_eq!(at_once.iter().map(ids).collect::<Vec<_>>(), [["b"], ["b"]], "only what two of them have");
        assert_eq!(tasks[0].suite.budget, Some(Nanos(568_000_000_000)), "600 s less 32 s");
        assert_eq!((at_once[0].suite.budget, tasks[0].workloads.len()), (None, 3));
    }

    #[test]
    fn a_soak_shares_its_time_among_all_that_it_measures() {
        let mut tasks = [task("cuda:0", "1", "soak", &ALL[..2]), task("cuda:1", "2", "soak", &ALL[..2])];
        let at_once = together(&mut tasks);
        assert_eq!(
            (at_once.len(), at_once[1].suite.sustained, tasks[1].suite.sustained),
            (2, Nanos(150_000_000_000), Nanos(150_000_000_000))
        );
        let mut alone = [task("cuda:0", "1", "soak", &ALL[..2])];
        assert!(together(&mut alone).is_empty());
        assert_eq!((alone[0].suite.sustained, alone[0].workloads[0].target), (Nanos(300_000_000_000), Nanos(300_000_000_000)));
    }

    #[test]
    fn one_card_that_two_backends_see_is_not_loaded_twice_and_a_quick_run_is_always_alone() {
        assert!(together(&mut [task("cuda:0", "1", "standard", &ALL), task("wgpu:0", "1", "standard", &ALL)]).is_empty());
        assert!(together(&mut [task("cuda:0", "1", "quick", &ALL), task("cuda:1", "2", "quick", &ALL)]).is_empty());
    }

    #[test]
    fn a_star_takes_in_slashes_and_braces_choose() {
        assert!(means("matmul/*", "matmul/fp32.fp32.fp32/256x256x256"));
        assert!(means("stream/*/{copy,add}/*", "stream/fp64/add/1GiB"));
        assert!(!means("stream/*/{copy,add}/*", "stream/fp64/triad/1GiB"));
        assert!(!means("matmul", "matmul/fp32.fp32.fp32/256x256x256") && !means("matmul/[x", "matmul/x"));
    }
}
