//! The facts of this machine: processor, memory, system, and what it is wrapped in.
//!
//! Everything is read from files and libraries of the system itself, so that it may be asked in any process. What the machine
//! does not say stays blank.

use crate::record::Node;
use std::{collections::BTreeSet, fs, path::Path};
use sysinfo::{CpuRefreshKind, System};

/// Files whose mere presence names the container engine; the outermost wrapping that tests would trip over comes first.
const CONTAINER_FILES: &[(&str, &str)] = &[
    ("run/secrets/kubernetes.io", "kubernetes"),
    ("var/run/secrets/kubernetes.io", "kubernetes"),
    ("run/.containerenv", "podman"),
    (".dockerenv", "docker"),
];
/// Parts of a control group's path that name the engine that made it.
const CONTAINER_GROUPS: &[(&str, &str)] =
    &[("kubepods", "kubernetes"), ("libpod", "podman"), ("docker", "docker"), ("containerd", "containerd"), ("lxc", "lxc")];
/// System vendors by DMI whose machines are always virtual, unless the product says that it is bare metal.
const HYPERVISORS: &[(&str, &str)] = &[
    ("qemu", "qemu"),
    ("vmware", "vmware"),
    ("innotek", "virtualbox"),
    ("xen", "xen"),
    ("parallels", "parallels"),
    ("amazon ec2", "nitro"),
    ("google", "kvm"),
    ("digitalocean", "kvm"),
    ("hetzner", "kvm"),
];
/// What boards say whose maker did not care to name them.
const PLACEHOLDERS: &[&str] =
    &["to be filled", "default string", "system product name", "system manufacturer", "not specified", "none"];

/// The facts of the machine that this process runs on. Versions of drivers are for [`super::Sources::versions`] to tell.
#[must_use]
pub fn node() -> Node {
    let mut node = Node {
        hostname: System::host_name().ok(),
        physical_cores: System::physical_core_count().ok().and_then(count),
        kernel: System::kernel_version().ok(),
        distribution: distribution(),
        mps: mps(Path::new("/"), |variable| std::env::var(variable).ok().filter(|value| !value.is_empty())),
        ..from_files(Path::new("/"))
    };
    if let Ok(mut system) = System::new() {
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        system.refresh_memory();
        node.cpu_model = system.cpus().first().map(|core| core.brand().trim().to_owned()).filter(|name| !name.is_empty());
        node.logical_cores = count(system.cpus().len());
        node.memory_bytes = Some(system.total_memory()).filter(|bytes| *bytes > 0);
    }
    node
}

/// What Linux tells in files; blank elsewhere. `root` is `/` but in tests.
fn from_files(root: &Path) -> Node {
    let vendor = dmi(root, "sys_vendor");
    let product = dmi(root, "product_name");
    Node {
        sockets: sockets(root),
        numa_nodes: count(numbered(root, "sys/devices/system/node", "node").len()),
        container: container(root),
        hypervisor: hypervisor(root, vendor.as_deref(), product.as_deref()),
        vendor,
        product,
        ..Node::default()
    }
}

/// What shows that the Multi-Process Service is there: a client finds its daemon by the pipes in a folder, which the environment names or
/// which is this; the daemon itself may run outside of the container. (NVIDIA, Multi-Process Service: `CUDA_MPS_PIPE_DIRECTORY`.)
fn mps(root: &Path, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    const FOLDER: &str = "tmp/nvidia-mps";
    // The kernel keeps 15 letters of `nvidia-cuda-mps-control` and of `nvidia-cuda-mps-server`.
    const DAEMON: &str = "nvidia-cuda-mps";
    let inside = |folder: &str| root.join(folder.trim_start_matches('/'));
    let named = variable("CUDA_MPS_PIPE_DIRECTORY");
    let by_name = named.as_ref().filter(|folder| inside(folder).is_dir()).map(|folder| format!("CUDA_MPS_PIPE_DIRECTORY {folder}"));
    let by_folder = || (named.is_none() && inside(FOLDER).join("control").exists()).then(|| format!("pipes in /{FOLDER}"));
    let runs =
        |process: String| fs::read_to_string(inside("proc").join(process).join("comm")).is_ok_and(|name| name.trim() == DAEMON);
    let by_daemon = || numbered(root, "proc", "").into_iter().any(runs).then(|| format!("{DAEMON} runs"));
    let found = by_name.or_else(by_folder).or_else(by_daemon)?;
    let share = variable("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE").map(|share| format!(", {share} % of the threads"));
    Some(found + &share.unwrap_or_default())
}

fn distribution() -> Option<String> {
    let name = System::name().ok()?;
    Some(System::os_version().map_or(name.clone(), |version| format!("{name} {version}")))
}

/// A count as it stands in the record; none counted means that nothing was said.
fn count(number: usize) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number > 0)
}

/// Entries of a folder that are `prefix` and a number.
fn numbered(root: &Path, folder: &str, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.strip_prefix(prefix).is_some_and(|number| number.parse::<u32>().is_ok()))
        .collect()
}

/// Distinct packages that the cores say they sit on.
fn sockets(root: &Path) -> Option<u32> {
    let folder = "sys/devices/system/cpu";
    let packages: BTreeSet<String> = numbered(root, folder, "cpu")
        .iter()
        .filter_map(|core| fs::read_to_string(root.join(folder).join(core).join("topology/physical_package_id")).ok())
        .map(|package| package.trim().to_owned())
        .collect();
    count(packages.len())
}

/// A field of the firmware's table, unless it holds a placeholder.
fn dmi(root: &Path, field: &str) -> Option<String> {
    let text = fs::read_to_string(root.join("sys/class/dmi/id").join(field)).ok()?;
    let text = text.trim();
    let lower = text.to_lowercase();
    let said = !lower.is_empty() && !PLACEHOLDERS.iter().any(|placeholder| lower.starts_with(placeholder));
    said.then(|| text.to_owned())
}

fn container(root: &Path) -> Option<String> {
    let by_file = CONTAINER_FILES.iter().find(|(file, _)| root.join(file).exists());
    if let Some((_, engine)) = by_file {
        return Some((*engine).to_owned());
    }
    // Written by systemd-nspawn, LXC and others that follow its container interface.
    let by_name = fs::read_to_string(root.join("run/systemd/container")).unwrap_or_default();
    if !by_name.trim().is_empty() {
        return Some(by_name.trim().to_owned());
    }
    let groups = fs::read_to_string(root.join("proc/1/cgroup")).unwrap_or_default();
    CONTAINER_GROUPS.iter().find(|(part, _)| groups.contains(part)).map(|(_, engine)| (*engine).to_owned())
}

/// The hypervisor by name where something names it, `unnamed` where the processor only says that there is one.
fn hypervisor(root: &Path, vendor: Option<&str>, product: Option<&str>) -> Option<String> {
    let by_kernel = fs::read_to_string(root.join("sys/hypervisor/type")).unwrap_or_default();
    if !by_kernel.trim().is_empty() {
        return Some(by_kernel.trim().to_owned());
    }
    let (vendor, product) = (vendor.unwrap_or_default().to_lowercase(), product.unwrap_or_default().to_lowercase());
    if product.contains("metal") {
        return None;
    }
    if vendor.starts_with("microsoft") && product.starts_with("virtual machine") {
        return Some("hyper-v".to_owned());
    }
    let by_vendor = HYPERVISORS.iter().find(|(name, _)| vendor.starts_with(name)).map(|(_, hypervisor)| (*hypervisor).to_owned());
    let processor = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
    let flag = processor.lines().find(|line| line.starts_with("flags")).is_some_and(|line| line.contains(" hypervisor"));
    by_vendor.or_else(|| flag.then(|| "unnamed".to_owned()))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A root folder of a machine that does not exist, gone when dropped.
    pub struct Root(PathBuf);

    impl Root {
        pub fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("assay-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder for tests");
            Self(path)
        }

        pub fn path(&self) -> &Path {
            &self.0
        }

        pub fn write(&self, file: &str, text: &str) {
            let path = self.0.join(file);
            fs::create_dir_all(path.parent().expect("inside the root")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0); // left to the system's own cleaning otherwise
        }
    }

    #[test]
    fn this_machine_is_told() {
        let node = node();
        assert!(node.hostname.is_some() && node.kernel.is_some() && node.distribution.is_some(), "{node:?}");
        assert!(node.memory_bytes.is_some_and(|bytes| bytes > 1 << 28), "{node:?}");
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        assert!(node.logical_cores.is_some_and(|cores| cores as usize >= threads), "{node:?}");
        assert!(node.physical_cores <= node.logical_cores, "{node:?}");
    }

    #[test]
    fn a_machine_that_says_nothing_leaves_blanks() {
        let root = Root::new("silent");
        assert_eq!(from_files(root.path()), Node::default());
    }

    #[test]
    fn a_cloud_machine_is_told() {
        let root = Root::new("cloud");
        root.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
        root.write("sys/class/dmi/id/product_name", "p5.48xlarge\n");
        for core in 0..4 {
            let file = format!("sys/devices/system/cpu/cpu{core}/topology/physical_package_id");
            root.write(&file, if core < 2 { "0\n" } else { "1\n" });
        }
        root.write("sys/devices/system/cpu/cpufreq/note", "no core");
        root.write("sys/devices/system/node/node0/meminfo", "");
        root.write("sys/devices/system/node/node1/meminfo", "");
        let node = from_files(root.path());
        assert_eq!((node.sockets, node.numa_nodes), (Some(2), Some(2)));
        assert_eq!((node.vendor.as_deref(), node.product.as_deref()), (Some("Amazon EC2"), Some("p5.48xlarge")));
        assert_eq!(node.hypervisor.as_deref(), Some("nitro"));
        root.write("sys/class/dmi/id/product_name", "m5.metal\n");
        assert_eq!(from_files(root.path()).hypervisor, None);
    }

    #[test]
    fn a_shared_card_is_told_by_its_pipes_or_its_daemon() {
        let root = Root::new("mps");
        let of = |variables: &[(&str, &str)]| {
            mps(root.path(), |name| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
        };
        root.write("proc/17/comm", "bash\n");
        root.write("tmp/nvidia-mps/nothing", "");
        assert_eq!((of(&[]), of(&[("CUDA_MPS_PIPE_DIRECTORY", "/run/gone")])), (None, None));
        root.write("proc/18/comm", "nvidia-cuda-mps\n");
        assert_eq!(of(&[]).as_deref(), Some("nvidia-cuda-mps runs"));
        root.write("tmp/nvidia-mps/control", "");
        assert_eq!(of(&[]).as_deref(), Some("pipes in /tmp/nvidia-mps"));
        root.write("run/mps/control", "");
        let named = ("CUDA_MPS_PIPE_DIRECTORY", "/run/mps");
        assert_eq!(of(&[named]).as_deref(), Some("CUDA_MPS_PIPE_DIRECTORY /run/mps"));
        let share = of(&[named, ("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "25")]);
        assert!(share.is_some_and(|found| found.ends_with(", 25 % of the threads")));
    }

    #[test]
    fn a_board_without_a_name_is_blank() {
        let root = Root::new("board");
        root.write("sys/class/dmi/id/sys_vendor", "To Be Filled By O.E.M.\n");
        root.write("proc/cpuinfo", "flags\t\t: fpu hypervisor lm\n");
        let node = from_files(root.path());
        assert_eq!((node.vendor, node.hypervisor.as_deref()), (None, Some("unnamed")));
    }

    #[test]
    fn containers_are_told_apart() {
        let root = Root::new("container");
        root.write("proc/1/cgroup", "0::/init.scope\n");
        assert_eq!(container(root.path()), None);
        root.write("proc/1/cgroup", "5:cpu:/lxc/box\n");
        assert_eq!(container(root.path()).as_deref(), Some("lxc"));
        root.write("run/systemd/container", "systemd-nspawn\n");
        assert_eq!(container(root.path()).as_deref(), Some("systemd-nspawn"));
        root.write(".dockerenv", "");
        assert_eq!(container(root.path()).as_deref(), Some("docker"));
        root.write("run/secrets/kubernetes.io/token", "");
        assert_eq!(container(root.path()).as_deref(), Some("kubernetes"));
    }
}
