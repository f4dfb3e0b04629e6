//! NVML without a GPU: the library is a fake, loaded by its path, and read by the code that reads the real
//! one.

#![cfg(feature = "nvml")]

#[path = "library/mod.rs"]
mod library;

use assay::{
    record::{Absence, Device, Kind, Reading, Telemetry},
    telemetry::{Pace, Sampler, Sources},
    units::{Celsius, Joules, Megahertz, Milliwatts, Nanos},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Cards of the fake, in another order than it counts them.
const FIRST: &str = "GPU-aaaaaaaa-0000-0000-0000-000000000001";
const SECOND: &str = "GPU-bbbbbbbb-0000-0000-0000-000000000002";

/// A fake of a test's own to which the script happens; copies of the library in one process do not meet.
fn fake(name: &str, script: &str) -> PathBuf {
    fake_of(name, script, &std::fs::read(library::built("fake_nvml")).expect("it was built with this test"))
}

fn fake_of(name: &str, script: &str, bytes: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nvml").join(name);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let library = folder.join("libnvidia-ml.so.1");
    std::fs::write(&library, bytes).expect("writes");
    std::fs::write(folder.join("libnvidia-ml.so.1.script"), script).expect("writes");
    library
}

fn gpu(uuid: Option<&str>, bus: Option<&str>) -> Device {
    let device = serde_json::json!({
        "id": "cuda:0", "backend": "cuda", "kind": Kind::Gpu, "model": "", "uuid": uuid, "bus": bus,
    });
    serde_json::from_value(device).expect("a device")
}

#[test]
fn cards_are_joined_by_identity_and_read() {
    let library = fake_of("old", "", &library::without("fake_nvml", "nvmlDeviceGetUtilizationRates"));
    let sources = Sources::open(Some(&library));
    assert_eq!(sources.absent(), None);
    let mut first = sources.probe(&gpu(Some(FIRST), None)).expect("known by UUID");
    let reasons = ["sw_power_cap", "sw_thermal_slowdown", "bit_40"].map(String::from);
    let expected = Reading {
        at: Nanos(7),
        sm_mhz: Some(Megahertz(1_111)),
        memory_mhz: Some(Megahertz(2_619)),
        power_mw: Some(Milliwatts(111_000)),
        energy_j: Some(Joules(5_000.0)),
        celsius: Some(Celsius(51.0)),
        memory_celsius: Some(Celsius(71.0)),
        utilisation: None,
        memory_used_bytes: None,
        limits: Some(BTreeSet::from(reasons)),
        violation_ns: BTreeMap::from([("sw_power_cap".into(), 2_000_000_000), ("sync_boost".into(), 0)]),
    };
    assert_eq!(first.read(Nanos(7)), expected, "what an old driver lacks is blank, all else is there");

    let mut second = sources.probe(&gpu(None, Some("0000:0b:00.0"))).expect("known by PCI address");
    let reading = second.read(Nanos(8));
    assert_eq!((reading.power_mw, reading.limits), (Some(Milliwatts(222_000)), Some(BTreeSet::new())));
}

#[test]
fn a_slice_has_its_own_memory_and_the_sensors_of_its_card() {
    let library = fake("sliced", "");
    let sources = Sources::open(Some(&library));
    let mut slice = gpu(Some("MIG-aaaaaaaa-0000-0000-0000-00000000000a"), None);
    let reading = sources.probe(&slice).expect("known").read(Nanos(0));
    assert_eq!((reading.memory_used_bytes, reading.power_mw), (None, Some(Milliwatts(111_000))));
    let vitals = sources.monitor(&slice).expect("known").read(Pace::Often, std::time::Duration::from_secs(5));
    assert_eq!((vitals["memory_total_bytes"].number(), vitals["power_average_w"].number()), (Some(10_000.0), Some(111.0)));
    (slice.units, slice.bus_bits) = (Some(132), Some(5_120));
    sources.describe(&mut slice).expect("known");
    assert_eq!(slice.bus.as_deref(), Some("0000:0a:00.0"));
    // Sixteen multiprocessors, and an eighth of the memory with its part of the bus: the peak is that of the slice.
    assert_eq!((slice.units, slice.bus_bits), (Some(16), Some(640)));
    sources.describe(&mut slice).expect("known");
    assert_eq!((slice.units, slice.bus_bits), (Some(16), Some(640)), "a share is taken once");
    let facts = ["mig_units", "mig_memory_eighths"].map(|name| slice.facts[name].as_str());
    assert_eq!(facts, ["16", "1"]);
}

#[test]
fn blanks_of_a_device_are_filled_and_facts_added() {
    let library = fake("described", "");
    let sources = Sources::open(Some(&library));
    let mut device = gpu(Some(SECOND), None);
    device.driver = Some("as the backend said".into());
    sources.describe(&mut device).expect("known");
    assert_eq!((device.model.as_str(), device.bus.as_deref()), ("Fake H100", Some("0000:0b:00.0")));
    assert_eq!((device.boost_mhz, device.ecc), (Some(Megahertz(1_980)), Some(true)));
    assert_eq!(device.driver.as_deref(), Some("as the backend said"));
    let facts: Vec<(&str, &str)> = device.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("celsius_gpu_max", "93"),
        ("celsius_memory_max", "92"),
        ("celsius_shutdown", "90"),
        ("celsius_slowdown", "91"),
        ("mig", "off"),
        ("nvml_name", "Fake H100"),
        ("power_limit_default_mw", "700000"),
        ("power_limit_enforced_mw", "650000"),
        ("vbios", "96.00.5E"),
    ];
    assert_eq!(facts, expected);
    let versions = sources.versions();
    assert_eq!(versions.get("nvidia_driver").map(String::as_str), Some("570.86.15"));
    assert_eq!(versions.get("cuda_driver").map(String::as_str), Some("12.8"));
}

#[test]
fn every_value_is_a_value_or_says_why_not() {
    let library = fake("all", "");
    let sources = Sources::open(Some(&library));
    let vitals = sources.monitor(&gpu(Some(FIRST), None)).expect("known").read(Pace::All, std::time::Duration::from_secs(5));
    assert!(vitals.len() > 110, "{} values", vitals.len());
    for (name, value) in [
        ("power_limit_min_w", 200.0),
        ("temperature_margin_c", 40.0),
        ("row_banks_all_spare", 639.0),
        ("rows_remapped_corrected", 1.0),
        ("temperature_shutdown_c", 90.0),
    ] {
        assert_eq!(vitals[name].number(), Some(value), "{name}");
    }
    // What this library does not have, by symbol, by field or by what it answers.
    for name in ["fabric_state", "gpm_sm_active_ratio", "ecc_sram_threshold", "nvlink_speed_mbps", "pages_retired_corrected"] {
        assert_eq!(vitals[name].absence(), Some(Absence::NotSupported), "{name}");
    }
    assert!(vitals.values().all(|value| value.absence() != Some(Absence::TimedOut)), "{vitals:?}");
}

/// Nanoseconds that the threads of a name were on a core.
fn on_core(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").filter_map(Result::ok).map(|task| task.path());
    let named = tasks.filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
    let time = |task: PathBuf| std::fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
    named.filter_map(time).sum()
}

#[test]
fn looking_ten_times_a_second_costs_less_than_half_a_percent_of_a_core() {
    let library = fake("cost", "");
    let sources = Sources::open(Some(&library));
    let probe = sources.probe(&gpu(Some(FIRST), None)).expect("known");
    let begin = std::time::Instant::now();
    let sampler = Sampler::start(probe, &assay::contract::Monotonic::default(), Sampler::PERIOD).expect("a thread");
    std::thread::sleep(std::time::Duration::from_secs(4));
    let (busy, elapsed) = (on_core("telemetry"), begin.elapsed().as_nanos() as f64);
    let readings = sampler.stop();
    let share = busy as f64 / elapsed;
    println!("{} looks took {:.3} % of a core", readings.len(), share * 100.0);
    assert!(readings.len() >= 30 && busy > 0, "{} looks, {busy} ns", readings.len());
    assert!(share < 0.005, "{share} of a core");
}

#[test]
fn a_stranger_is_refused_in_words() {
    let library = fake("strange", "");
    let sources = Sources::open(Some(&library));
    let Err(unknown) = sources.probe(&gpu(Some("GPU-cccccccc"), None)) else { panic!("a stranger was let in") };
    assert!(unknown.contains("cuda:0") && unknown.contains("GPU-cccccccc"), "{unknown}");
    let Err(nameless) = sources.probe(&gpu(None, None)) else { panic!("a card without identity was let in") };
    assert!(nameless.contains("neither UUID nor PCI address"), "{nameless}");
}

#[test]
fn a_lost_card_reads_blank_and_never_zero() {
    let library = fake("lost", "15@any:1+");
    let sources = Sources::open(Some(&library));
    let mut device = gpu(Some(FIRST), None);
    sources.describe(&mut device).expect("known, though silent");
    assert!(device.facts.is_empty() && device.boost_mhz.is_none(), "{device:?}");
    assert!(device.driver.is_some(), "the driver is there, the card is not");
    let probe = sources.probe(&device).expect("a probe");
    let clock = assay::contract::Monotonic::default();
    let sampler = Sampler::start(probe, &clock, Nanos(1_000_000)).expect("a thread");
    std::thread::sleep(std::time::Duration::from_millis(30));
    let readings = sampler.stop();
    assert!(readings.len() > 3);
    assert!(readings.iter().all(|reading| *reading == Reading { at: reading.at, ..Reading::default() }));
    let folded = Telemetry::fold("nvml", &readings).expect("readings, all of them blank");
    assert_eq!((folded.watts, folded.celsius, folded.limits), (None, None, None));
}

#[test]
fn an_absent_library_is_a_sentence() {
    let missing = Sources::open(Some(Path::new("/nonexistent/libnvidia-ml.so.1")));
    let reason = missing.absent().expect("absent");
    assert!(reason.contains("/nonexistent/libnvidia-ml.so.1") && reason.contains("--nvml-lib"), "{reason}");
    let Err(refused) = missing.probe(&gpu(Some(FIRST), None)) else { panic!("no library, yet a probe") };
    assert_eq!(refused, reason);
    assert!(missing.versions().is_empty());
    let library = fake("unloaded", "9@nvmlInit_v2:1+");
    let unloaded = Sources::open(Some(&library));
    assert!(unloaded.absent().is_some_and(|reason| reason.contains("driver is not loaded")), "{:?}", unloaded.absent());
}

#[test]
fn a_cpu_is_read_by_the_host() {
    let sources = Sources::open(None);
    let mut device = gpu(None, None);
    device.kind = Kind::Cpu;
    let mut probe = sources.probe(&device).expect("a host has sensors");
    assert_eq!(probe.source(), "host");
    assert!(probe.read(Nanos(1)).memory_used_bytes.is_some_and(|bytes| bytes > 0));
    device.kind = Kind::Fake;
    let Err(refused) = sources.probe(&device) else { panic!("a fake has sensors") };
    assert!(refused.contains("fake"), "{refused}");
}
