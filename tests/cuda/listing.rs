//! What `assay devices` says of drivers that are new, old, broken or without a device.

use crate::fake::{Fake, text};
use assay::record::Kind;
use serde_json::Value;

/// What the CUDA backend shows.
fn listed(fake: &Fake) -> Value {
    let output = fake.assay().args(["devices", "--json"]).output().expect("starts");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    all.as_array().expect("backends").iter().find(|listing| listing["backend"] == "cuda").expect("built in").clone()
}

fn absent(fake: &Fake) -> String {
    let listing = listed(fake);
    assert_eq!(listing["devices"].as_array().map(Vec::len), Some(0), "{listing}");
    listing["absent"].as_str().expect("a reason").to_owned()
}

#[test]
fn devices_are_listed_as_fakes() {
    let listing = listed(&Fake::new("listed", "sm=90,devices=2,sms=6,l2=1MiB,memory=96MiB,name=Fake H100"));
    let devices = listing["devices"].as_array().expect("devices");
    let ids: Vec<_> = devices.iter().map(|device| device["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["cuda:0", "cuda:1"]);
    let device: assay::record::Device = serde_json::from_value(devices[1].clone()).expect("a device");
    assert_eq!((device.kind, device.model.as_str(), device.units), (Kind::Fake, "Fake H100", Some(6)));
    assert_eq!((device.architecture.as_deref(), device.memory_bytes), (Some("9.0"), Some(96 << 20)));
    assert_eq!((device.last_cache_bytes(), device.bus.as_deref()), (1 << 20, Some("0000:02:00.0")));
    assert_eq!(device.uuid.as_deref(), Some("GPU-face0000-0000-4000-8000-000000005a01"));
    assert_eq!(device.api.as_deref(), Some("CUDA 12.8"));
}

#[test]
fn a_driver_without_a_device_says_so() {
    assert!(absent(&Fake::new("unset", "")).contains("CUDA_ERROR_NO_DEVICE"));
    let fake = Fake::new("none", "90").failing("nodevice@cuInit:1");
    assert!(absent(&fake).contains("no CUDA-capable device is detected"));
    assert!(fake.fired("nodevice@cuInit:1"));
    assert!(absent(&Fake::new("mismatch", "90").failing("803@cuInit:1")).contains("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"));
    assert!(absent(&Fake::new("lost", "90").failing("lost@cuDeviceGetName:1")).contains("CUDA_ERROR_UNKNOWN"));
}

#[test]
fn an_old_driver_is_used_or_refused_but_never_panics() {
    let identity = "cuDeviceGetUuid_v2";
    let listing = listed(&Fake::new("older", "80").without(identity));
    assert_eq!(listing["devices"][0]["uuid"], "GPU-face0000-0000-4000-8000-000000005000", "{listing}");
    assert_eq!(listed(&Fake::new("oldest", "80,driver=11020"))["devices"][0]["api"], "CUDA 11.2");
    let why = absent(&Fake::new("too-old", "80,driver=11010"));
    assert!(why.contains("too old") && why.contains("CUDA 11.1") && why.contains("CUDA 11.2"), "{why}");
    for call in ["cuModuleLoadDataEx", "cuMemGetInfo_v2", "cuInit", "cuEventElapsedTime"] {
        let why = absent(&Fake::new(call, "80").without(call));
        assert!(why.contains("too old") && why.contains(call), "{why}");
    }
}

#[test]
fn failures_that_never_happen_are_told() {
    let fake = Fake::new("unfired", "75").failing("oom@alloc:9");
    assert_eq!(listed(&fake)["devices"][0]["architecture"], "7.5");
    assert_eq!(fake.unfired(), ["oom@alloc:9"]);
}
