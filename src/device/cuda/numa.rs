//! On which of the host's memories pinned pages lie: copies cross a socket's border otherwise, which is slower and varies.
//!
//! Pages lie where the thread runs that touches them first, so that no privilege is needed, which containers often withhold from the
//! calls that bind memory. Where they came to lie is read back.

use std::{fs, path::Path};

/// Of the kernel's description of nodes.
const NODES: &str = "/sys/devices/system/node";
const PAGES: &str = "/proc/self/numa_maps";

/// Calls `touch` on a processor of a node; where it has none that this process may use, on any.
pub fn on_node(node: u32, touch: impl FnOnce() + Send) {
    let cpus = cpus(Path::new(NODES), node);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The thread ends with this: nothing else runs there for it.
            let _ = cpus.into_iter().any(|id| core_affinity::set_for_current(core_affinity::CoreId { id }));
            touch();
        });
    });
}

/// Share of the pages of the mapping at an address that lie on a node; blank where the kernel does not tell.
#[must_use]
pub fn share(address: usize, node: u32) -> Option<f64> {
    share_in(&fs::read_to_string(PAGES).ok()?, address, node)
}

/// Processors of a node; none where it is not known.
fn cpus(nodes: &Path, node: u32) -> Vec<usize> {
    fs::read_to_string(nodes.join(format!("node{node}/cpulist"))).map(|text| listed(&text)).unwrap_or_default()
}

/// `0-3,8` as numbers.
fn listed(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse().ok().zip(last.parse().ok()).map_or(0..0, |(first, last): (usize, usize)| first..last + 1)
    };
    text.trim().split(',').flat_map(range).collect()
}

/// Each line is a mapping: its begin, its policy, and among other things `N0=` with the pages on node 0.
fn share_in(text: &str, address: usize, node: u32) -> Option<f64> {
    let begin = |line: &str| usize::from_str_radix(line.split(' ').next()?, 16).ok();
    let line = text.lines().filter(|line| begin(line).is_some_and(|begin| begin <= address)).max_by_key(|line| begin(line))?;
    let pages = line.split(' ').filter_map(|word| {
        let (of, pages) = word.strip_prefix('N')?.split_once('=')?;
        Some((of.parse::<u32>().ok()?, pages.parse::<u64>().ok()?))
    });
    let (here, all) = pages.fold((0, 0), |(here, all), (of, pages)| (here + if of == node { pages } else { 0 }, all + pages));
    (all > 0).then(|| here as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_read() {
        assert_eq!(listed("0-2,7,9-10\n"), [0, 1, 2, 7, 9, 10]);
        assert!(listed("\n").is_empty() && listed("x-3").is_empty());
        assert!(cpus(Path::new("/nowhere"), 0).is_empty());
    }

    #[test]
    fn pages_are_counted_in_the_mapping_that_holds_the_address() {
        let text =
            "7f00 default anon=4 N0=4\n8000 default anon=8 dirty=8 N0=2 N1=6 kernelpagesize_kB=4\n9000 default file=/x N1=1\n";
        assert_eq!(share_in(text, 0x8fff, 1), Some(0.75));
        assert_eq!((share_in(text, 0x8000, 0), share_in(text, 0x7fff, 0)), (Some(0.25), Some(1.0)));
        assert_eq!((share_in(text, 0x9000, 0), share_in(text, 0x10, 0)), (Some(0.0), None));
        assert_eq!(share_in("8000 default\n", 0x8000, 0), None, "nothing was touched");
    }

    #[test]
    fn pages_that_were_touched_on_a_node_are_there() {
        let mut pages = vec![0_u8; 8 << 20];
        on_node(0, || pages.fill(1));
        assert!(pages.iter().all(|byte| *byte == 1));
        // Machines without nodes tell nothing; on one with a single node there is no other place.
        let nodes = fs::read_dir(NODES)
            .map_or(0, |all| all.flatten().filter(|one| one.file_name().to_string_lossy().starts_with("node")).count());
        if let (Some(share), 1) = (share(pages.as_ptr() as usize, 0), nodes) {
            assert_eq!(share, 1.0);
        }
    }
}
