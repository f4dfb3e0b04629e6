//! Which cores may be used, and what caches and memory lie behind them.
//!
//! Linux tells by files under /sys and /proc; where one is missing, as in some containers, the fact stays blank or the simplest
//! assumption is made: every allowed logical CPU is a core.

use crate::record::Cache;
use core_affinity::CoreId;
use std::{collections::BTreeSet, fs, path::Path};

const CPUS: &str = "/sys/devices/system/cpu";

/// What the measured threads run on.
#[derive(Clone, Debug)]
pub struct Topology {
    /// One hardware thread of each physical core that this process may use.
    pub cores: Vec<CoreId>,
    pub caches: Vec<Cache>,
    pub model: String,
    pub memory_bytes: Option<u64>,
    pub memory_free_bytes: Option<u64>,
    /// Highest clock, in MHz, where the machine tells.
    pub boost_mhz: Option<u32>,
    pub numa_nodes: usize,
}

impl Topology {
    #[must_use]
    pub fn read() -> Self {
        let allowed = core_affinity::get_core_ids().filter(|ids| !ids.is_empty()).unwrap_or_else(|| vec![CoreId { id: 0 }]);
        let mut cores = one_thread_a_core(allowed, |id| sibling_key(Path::new(CPUS), id));
        cores.truncate(quota(&fs::read_to_string("/sys/fs/cgroup/cpu.max").unwrap_or_default()).unwrap_or(cores.len()).max(1));
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            caches: caches(Path::new(CPUS), &cores),
            model: model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            memory_bytes: kibibytes(&meminfo, "MemTotal:"),
            memory_free_bytes: kibibytes(&meminfo, "MemAvailable:"),
            boost_mhz: number(&Path::new(CPUS).join("cpu0/cpufreq/cpuinfo_max_freq"))
                .and_then(|khz| u32::try_from(khz / 1000).ok()),
            numa_nodes: (0..1024)
                .take_while(|node| Path::new(&format!("/sys/devices/system/node/node{node}")).is_dir())
                .count()
                .max(1),
            cores,
        }
    }
}

/// Memory that can be had now, in bytes.
#[must_use]
pub fn available() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// The first allowed thread of each core.
fn one_thread_a_core(allowed: Vec<CoreId>, key: impl Fn(usize) -> Option<(u64, u64)>) -> Vec<CoreId> {
    let mut seen = BTreeSet::new();
    allowed.into_iter().filter(|core| key(core.id).is_none_or(|key| seen.insert(key))).collect()
}

/// Package and core of a hardware thread.
fn sibling_key(cpus: &Path, id: usize) -> Option<(u64, u64)> {
    let topology = cpus.join(format!("cpu{id}/topology"));
    Some((number(&topology.join("physical_package_id"))?, number(&topology.join("core_id"))?))
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whole CPUs of a cgroup v2 quota, such as `150000 100000`; none where there is no limit.
fn quota(text: &str) -> Option<usize> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    usize::try_from(quota.checked_div(period)?.max(1)).ok()
}

fn kibibytes(meminfo: &str, field: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

fn model(cpuinfo: &str) -> String {
    let named = |key: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
        line.split_once(':').map(|(_, name)| name.trim().to_owned())
    };
    named("model name").or_else(|| named("Processor")).unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// Data and unified caches of the cores in use, each instance counted once.
fn caches(cpus: &Path, cores: &[CoreId]) -> Vec<Cache> {
    let mut seen = BTreeSet::new();
    let mut caches: Vec<Cache> = Vec::new();
    for core in cores {
        for index in 0..8 {
            let folder = cpus.join(format!("cpu{}/cache/index{index}", core.id));
            let read = |file: &str| fs::read_to_string(folder.join(file)).ok().map(|text| text.trim().to_owned());
            let (Some(kind), Some(level), Some(size), Some(shared)) =
                (read("type"), read("level").and_then(|level| level.parse::<u8>().ok()), read("size"), read("shared_cpu_list"))
            else {
                continue;
            };
            let Some(bytes) = size.strip_suffix('K').and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib << 10) else { continue };
            if kind == "Instruction" || !seen.insert((level, shared)) {
                continue;
            }
            match caches.iter_mut().find(|cache| cache.level == level) {
                Some(cache) => {
                    cache.bytes += bytes;
                    cache.instances += 1;
                }
                None => caches.push(Cache { level, bytes, instances: 1 }),
            }
        }
    }
    caches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_of_each_core_is_taken() {
        let ids: Vec<_> = (0..8).map(|id| CoreId { id }).collect();
        let cores = one_thread_a_core(ids.clone(), |id| Some((0, id as u64 / 2)));
        assert_eq!(cores.iter().map(|core| core.id).collect::<Vec<_>>(), [0, 2, 4, 6]);
        assert_eq!(one_thread_a_core(ids, |_| None).len(), 8, "no topology: every thread counts");
    }

    #[test]
    fn a_quota_limits_whole_cpus() {
        assert_eq!(quota("150000 100000"), Some(1));
        assert_eq!(quota("50000 100000"), Some(1));
        assert_eq!(quota("400000 100000\n"), Some(4));
        assert_eq!((quota("max 100000"), quota(""), quota("1 0")), (None, None, None));
    }

    #[test]
    fn facts_are_read_from_text() {
        assert_eq!(kibibytes("MemTotal:       24 kB\nMemAvailable:   12 kB\n", "MemAvailable:"), Some(12 << 10));
        assert_eq!(kibibytes("", "MemTotal:"), None);
        assert_eq!(model("processor\t: 0\nmodel name\t: AMD EPYC\n"), "AMD EPYC");
        assert_eq!(model(""), std::env::consts::ARCH);
    }

    #[test]
    fn caches_shared_by_cores_are_counted_once() {
        let root = std::env::temp_dir().join(format!("assay-caches-{}", std::process::id()));
        for (cpu, index, level, size, shared) in
            [(0, 0, "1", "32K", "0"), (1, 0, "1", "32K", "1"), (0, 3, "3", "1024K", "0-1"), (1, 3, "3", "1024K", "0-1")]
        {
            let folder = root.join(format!("cpu{cpu}/cache/index{index}"));
            fs::create_dir_all(&folder).expect("temporary folder");
            for (file, text) in [("type", "Unified"), ("level", level), ("size", size), ("shared_cpu_list", shared)] {
                fs::write(folder.join(file), text).expect("writes");
            }
        }
        let found = caches(&root, &[CoreId { id: 0 }, CoreId { id: 1 }]);
        fs::remove_dir_all(&root).expect("own folder");
        assert_eq!(found, [Cache { level: 1, bytes: 64 << 10, instances: 2 }, Cache { level: 3, bytes: 1 << 20, instances: 1 }]);
    }

    #[test]
    fn this_machine_has_a_core() {
        let topology = Topology::read();
        assert!(!topology.cores.is_empty() && !topology.model.is_empty());
    }
}
