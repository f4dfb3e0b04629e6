//! Which kernel is taken: the one that is the fastest on this chip, found once and kept.

use crate::{compiled, fake::Fake};
use assay::record::{Entry, Outcome};

/// The beginning of the hash of a configuration's machine code for sm_90.
fn code(stem: &str, configuration: &str) -> String {
    let images = compiled::images("cubin");
    let of = |(name, config, image): &&(String, serde_json::Value, serde_json::Value)| {
        name == stem && config["name"] == configuration && image["architecture"] == "90a"
    };
    compiled::hash(&images.iter().find(of).expect("carried").2)[..16].to_owned()
}

fn measured(fake: &Fake, arguments: &[&str]) -> Vec<Entry> {
    fake.entries(&[&["--only", "stream/*/copy/*", "--footprint", "1MiB"], arguments].concat(), 0)
}

fn copy(fake: &Fake, arguments: &[&str]) -> Entry {
    measured(fake, arguments).remove(0)
}

#[test]
fn the_fastest_candidate_is_found_once_kept_and_told() {
    let pace = format!("{}:3", code("copy", "vec4x8"));
    let fake = Fake::new("tuned", "sm=90").with_ptx(compiled::ptx()).with_pace(&pace);
    let by_rule = copy(&fake, &[]);
    assert_eq!(
        (by_rule.workload.variant.as_str(), by_rule.counters.get("tuning.candidates")),
        ("vec4x8", None),
        "a fake is not tuned unasked"
    );
    let anew = copy(&fake, &["--tuning", "anew"]);
    assert_eq!(anew.workload.variant, "vec4x4");
    assert!(anew.reason.is_some_and(|said| said.contains("the fastest of 3 tried on this device")));
    assert!(anew.counters["tuning.seconds"] > 0.0 && anew.counters["tuning.seconds"] < 3.0);
    let kept = std::fs::read_to_string(fake.path("cache/assay/tuned/fake-sm-90-4.json")).expect("kept");
    assert!(kept.contains("\"stream/fp64/copy/1MiB\": \"vec4x4\""), "{kept}");
    let later = copy(&fake, &[]);
    assert_eq!((later.workload.variant.as_str(), later.reason, later.counters["tuning.seconds"]), ("vec4x4", None, 0.0));
    let never = copy(&fake, &["--tuning", "off"]);
    assert_eq!(never.workload.variant, "vec4x8");
    // What was found of other kernels says nothing of these.
    let other = kept.replace("\"kernels\": \"", "\"kernels\": \"0");
    std::fs::write(fake.path("cache/assay/tuned/fake-sm-90-4.json"), other).expect("writes");
    assert_eq!(copy(&fake, &[]).workload.variant, "vec4x8");
}

#[test]
fn every_candidate_and_slow_twin_is_measured_where_all_are_asked_for() {
    let pace = format!("{}:2", code("copy", "slow"));
    let fake = Fake::new("all", "sm=90").with_ptx(compiled::ptx()).with_pace(&pace);
    let entries = measured(&fake, &["--kernels", "all"]);
    let variants: Vec<&str> = entries.iter().map(|entry| entry.workload.variant.as_str()).collect();
    assert_eq!(variants, ["vec4x8", "vec4x4", "bulk/p16x6", "slow", "bulk/slow"]);
    let rate = |entry: &Entry| entry.rate.as_ref().and_then(|rate| rate.burst).expect("a burst").value;
    assert!(entries.iter().all(|entry| entry.outcome == Outcome::Measured) && rate(&entries[0]) > 1.9 * rate(&entries[3]));
}
