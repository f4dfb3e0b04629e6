//! A card that MIG cuts into slices, of which a process sees one alone.

use crate::fake::{Fake, text};
use assay::record::{Device, Outcome};
use serde_json::Value;
use std::process::Output;

const SLICES: [&str; 2] = ["MIG-face0000-0000-4000-8000-000000015700", "MIG-face0000-0000-4000-8000-000000025700"];

fn cut(name: &str) -> Fake {
    Fake::new(name, "sm=87,mig=2").with_nvml("")
}

/// Id and UUID of every CUDA device.
fn listed(output: &Output) -> Vec<(String, String)> {
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let cuda = all.as_array().expect("backends").iter().find(|listing| listing["backend"] == "cuda").expect("built in");
    let devices: Vec<Device> = serde_json::from_value(cuda["devices"].clone()).expect("devices");
    devices.into_iter().map(|device| (device.id, device.uuid.expect("a UUID"))).collect()
}

#[test]
fn every_slice_is_listed_and_what_a_person_names_is_not_overruled() {
    let fake = cut("mig-listed");
    let output = fake.assay().args(["devices", "--json"]).env_remove("CUDA_VISIBLE_DEVICES").output().expect("starts");
    let both = [("cuda:0", SLICES[0]), ("cuda:1", SLICES[1])].map(|(id, uuid)| (id.to_owned(), uuid.to_owned()));
    assert_eq!(listed(&output), both, "{}", text(&output.stderr));
    let output = fake.assay().args(["devices", "--json"]).env("CUDA_VISIBLE_DEVICES", SLICES[1]).output().expect("starts");
    assert_eq!(listed(&output), [("cuda:0".to_owned(), SLICES[1].to_owned())]);
}

#[test]
fn every_slice_is_measured_under_its_own_name_with_its_share_of_the_card() {
    let fake = cut("mig-run");
    let output = fake.run(&["--only", "stream/*/copy/*", "--footprint", "1MiB"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let entries = fake.record().entries;
    let of = |index: usize| &entries[index].device;
    assert_eq!(entries.len(), 2);
    for (index, uuid) in SLICES.into_iter().enumerate() {
        let device = of(index);
        assert_eq!((entries[index].outcome, &entries[index].reason), (Outcome::Measured, &None));
        assert_eq!((device.id.as_str(), device.uuid.as_deref()), (format!("cuda:{index}").as_str(), Some(uuid)));
        assert_eq!(device.facts.get("mig_memory_eighths").map(String::as_str), Some("1"), "{device:?}");
        let telemetry = entries[index].telemetry.as_ref().expect("the card's sensors");
        assert_eq!(telemetry.watts.map(|watts| watts.mean), Some(333.0), "a slice has none of its own");
    }
}
