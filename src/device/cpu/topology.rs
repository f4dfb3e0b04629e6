//! Which hardware threads to measure on, and the caches they share: physical cores, one thread each.
//!
//! Two hardware threads of a core share its ports and its first cache, so a second one measures the sharing and not the core.
//! A process in a container may be given fewer cores than the machine has, by affinity or by a quota of time; both are respected.
//! Where the system tells nothing (other systems than Linux, some sandboxes) every allowed thread counts as a core and caches stay
//! unknown.

use crate::record::Cache;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Where Linux tells of processors and memory nodes.
const SYSTEM: &str = "/sys/devices/system";

/// The part of the machine that this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// One hardware thread of each physical core, by the system's number.
    pub cores: Vec<usize>,
    /// Caches that these cores reach, data or unified, by level.
    pub caches: Vec<Cache>,
    pub memory_nodes: Option<u32>,
    /// Highest clock in megahertz.
    pub boost_mhz: Option<u32>,
}

impl Topology {
    /// Of this process on this machine.
    #[must_use]
    pub fn read() -> Self {
        let parallel = std::thread::available_parallelism().map_or(1, usize::from);
        let allowed = core_affinity::get_core_ids().map(|ids| ids.into_iter().map(|id| id.id).collect());
        let allowed: Vec<usize> = allowed.filter(|ids: &Vec<_>| !ids.is_empty()).unwrap_or_else(|| (0..parallel).collect());
        Self::of(Path::new(SYSTEM), &allowed, parallel)
    }

    /// From a folder like `/sys/devices/system`, for hardware threads `allowed` and a quota of `most` threads at a time.
    fn of(system: &Path, allowed: &[usize], most: usize) -> Self {
        let mut seen = BTreeSet::new();
        let mut cores: Vec<usize> = allowed.to_vec();
        cores.sort_unstable();
        cores.retain(|&thread| seen.insert(siblings(system, thread)));
        cores.truncate(most.max(1));
        let clock = |thread: &usize| number(&processor(system, *thread).join("cpufreq/cpuinfo_max_freq"));
        Self {
            caches: caches(system, &cores),
            memory_nodes: memory_nodes(system),
            boost_mhz: cores.iter().filter_map(clock).max().and_then(|kilohertz| u32::try_from(kilohertz / 1000).ok()),
            cores,
        }
    }

    /// Bytes of the last cache level; what is usual where it is unknown.
    #[must_use]
    pub fn last_cache_bytes(&self) -> u64 {
        const USUAL: u64 = 32 << 20;
        self.caches.iter().max_by_key(|cache| cache.level).map_or(USUAL, |cache| cache.bytes)
    }
}

fn processor(system: &Path, thread: usize) -> PathBuf {
    system.join(format!("cpu/cpu{thread}"))
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

/// What tells a core from others: the list of its threads, or the thread itself.
fn siblings(system: &Path, thread: usize) -> String {
    let folder = processor(system, thread).join("topology");
    let lists = ["core_cpus_list", "thread_siblings_list"];
    lists.iter().find_map(|name| text(&folder.join(name))).unwrap_or_else(|| thread.to_string())
}

/// `32K`, `1024K`, `32M` or plain bytes.
fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Each instance once, summed by level.
fn caches(system: &Path, cores: &[usize]) -> Vec<Cache> {
    let mut seen = BTreeSet::new();
    let mut levels: BTreeMap<u8, Cache> = BTreeMap::new();
    for &core in cores {
        for index in 0.. {
            let folder = processor(system, core).join(format!("cache/index{index}"));
            let Some(kind) = text(&folder.join("type")) else { break };
            let level = number(&folder.join("level")).and_then(|level| u8::try_from(level).ok());
            let bytes = text(&folder.join("size")).as_deref().and_then(size);
            let (Some(level), Some(bytes)) = (level, bytes) else { continue };
            let shared = text(&folder.join("shared_cpu_list")).unwrap_or_else(|| core.to_string());
            if kind == "Instruction" || !seen.insert((level, shared)) {
                continue;
            }
            let cache = levels.entry(level).or_insert(Cache { level, bytes: 0, instances: 0 });
            cache.bytes += bytes;
            cache.instances += 1;
        }
    }
    levels.into_values().collect()
}

fn memory_nodes(system: &Path) -> Option<u32> {
    let names = fs::read_dir(system.join("node")).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let count = names.filter(|name| name.strip_prefix("node").is_some_and(|rest| rest.parse::<u32>().is_ok())).count();
    u32::try_from(count).ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine of two cores of two threads each, numbered as on most servers: 0 and 2 are one core.
    struct Machine(PathBuf);

    impl Machine {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("assay-topology-{name}-{}", std::process::id()));
            let machine = Self(root);
            for thread in 0..4 {
                let core = [thread % 2, thread % 2 + 2].map(|thread| thread.to_string()).join(",");
                machine.put(&format!("cpu/cpu{thread}/topology/core_cpus_list"), &core);
                machine.put(&format!("cpu/cpu{thread}/cpufreq/cpuinfo_max_freq"), "3700000");
                let rows =
                    [("1", "Data", "32K", core.as_str()), ("1", "Instruction", "32K", &core), ("3", "Unified", "32M", "0-3")];
                for (index, (level, kind, bytes, shared)) in rows.iter().enumerate() {
                    for (name, value) in [("level", level), ("type", kind), ("size", bytes), ("shared_cpu_list", shared)] {
                        machine.put(&format!("cpu/cpu{thread}/cache/index{index}/{name}"), value);
                    }
                }
            }
            machine.put("node/node0/cpulist", "0-3");
            machine.put("node/online", "0");
            machine
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the test");
            fs::write(path, format!("{text}\n")).expect("a file for the test");
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn one_thread_of_each_core_is_taken() {
        let machine = Machine::new("cores");
        let topology = Topology::of(&machine.0, &[3, 0, 1, 2], 4);
        assert_eq!(topology.cores, [0, 1]);
        assert_eq!((topology.memory_nodes, topology.boost_mhz), (Some(1), Some(3_700)));
    }

    #[test]
    fn affinity_and_quota_are_respected() {
        let machine = Machine::new("affinity");
        assert_eq!(Topology::of(&machine.0, &[2, 3], 4).cores, [2, 3]);
        assert_eq!(Topology::of(&machine.0, &[0, 1, 2, 3], 1).cores, [0]);
        assert_eq!(Topology::of(&machine.0, &[0, 1], 0).cores, [0]);
    }

    #[test]
    fn a_shared_cache_counts_once_and_instructions_do_not() {
        let machine = Machine::new("caches");
        let topology = Topology::of(&machine.0, &[0, 1, 2, 3], 4);
        let expected = [Cache { level: 1, bytes: 64 << 10, instances: 2 }, Cache { level: 3, bytes: 32 << 20, instances: 1 }];
        assert_eq!(topology.caches, expected);
        assert_eq!(topology.last_cache_bytes(), 32 << 20);
    }

    #[test]
    fn a_machine_that_tells_nothing_still_has_cores() {
        let topology = Topology::of(Path::new("/nonexistent"), &[0, 1, 2], 2);
        assert_eq!((topology.cores.as_slice(), topology.caches.len(), topology.memory_nodes), (&[0, 1][..], 0, None));
        assert!(topology.last_cache_bytes() > 0);
    }

    #[test]
    fn sizes_are_read_in_every_unit() {
        assert_eq!(["32K", "1024K", "32M", "1G", "512"].map(size), [32 << 10, 1 << 20, 32 << 20, 1 << 30, 512].map(Some));
        assert_eq!(["", "K", "x", "99999999999999999999G"].map(size), [None; 4]);
    }
}
