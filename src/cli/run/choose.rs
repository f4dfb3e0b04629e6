//! Which devices and workloads a command line means.

use super::{Arguments, Backend, Item, Kernels, Options, Task, Tuning};
use crate::{
    contract::Listing,
    plan::Plan,
    record::{Device, Kind},
    runner::{Contenders, Tune},
    units::{Bytes, Nanos},
    workload::{self, Choice, FAMILIES, Suite},
};
use anyhow::{Error, Result, bail};

/// A task for each chosen device.
///
/// # Errors
/// What is unknown, with what exists.
pub fn tasks(arguments: &Arguments, suite: Suite, listings: &[Listing]) -> Result<Vec<Task>> {
    let devices = devices(arguments, listings)?;
    let tasks = devices.into_iter().map(|device| task(arguments, suite, device)).collect::<Result<Vec<_>>>()?;
    if tasks.iter().all(|task| task.workloads.is_empty()) {
        let families: Vec<_> = FAMILIES.iter().map(|family| format!("'{}/*'", family.name)).collect();
        bail!(
            "--only {} matches no workload of the {} suite on {}; there are {}",
            arguments.only.join(" --only "),
            suite.name,
            tasks.iter().map(|task| task.device.id.as_str()).collect::<Vec<_>>().join(", "),
            families.join(", ")
        );
    }
    Ok(tasks)
}

fn task(arguments: &Arguments, suite: Suite, device: Device) -> Result<Task> {
    if let (Some(footprint), Some(usable)) = (arguments.footprint, device.usable_bytes())
        && footprint.saturating_mul(3) > usable
    {
        let (needed, usable) = (Bytes(footprint.saturating_mul(3)), Bytes(usable));
        bail!("--footprint: three arrays need {needed}, {usable} are free on {}; choose a smaller one", device.id);
    }
    let choice = Choice { suite, footprint: arguments.footprint, seed: arguments.seed };
    let chosen = |plan: &Plan| arguments.only.is_empty() || arguments.only.iter().any(|glob| means(glob, &plan.key.id()));
    let plans: Vec<Plan> = workload::plans(&device, &choice).into_iter().filter(chosen).collect();
    let suite = shared(suite, plans.len());
    let target = |plan: &Plan| if plan.sustained { suite.sustained } else { suite.burst };
    let workloads = plans.iter().map(|plan| Item { id: plan.key.id(), target: target(plan) }).collect();
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
    };
    Ok(Task { device, suite, workloads, footprint: arguments.footprint, seed: arguments.seed, options })
}

/// A soak's time is that of the device: its workloads share it.
fn shared(suite: Suite, workloads: usize) -> Suite {
    if suite.budget.is_some() {
        return suite;
    }
    Suite { sustained: Nanos(suite.sustained.0 / workloads.max(1) as u64), ..suite }
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
        return arguments.device.iter().map(|name| Device::named(name, &all).cloned().map_err(Error::msg)).collect();
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

    #[test]
    fn a_star_takes_in_slashes_and_braces_choose() {
        assert!(means("matmul/*", "matmul/fp32.fp32.fp32/256x256x256"));
        assert!(means("stream/*/{copy,add}/*", "stream/fp64/add/1GiB"));
        assert!(!means("stream/*/{copy,add}/*", "stream/fp64/triad/1GiB"));
        assert!(!means("matmul", "matmul/fp32.fp32.fp32/256x256x256") && !means("matmul/[x", "matmul/x"));
    }
}
