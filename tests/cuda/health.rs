//! Verdicts and vitals of a fake card, through the program as it is.

use crate::fake::{Fake, text};
use serde_json::Value;
use std::process::Output;

fn fake(name: &str, script: &str) -> Fake {
    Fake::new(&format!("health-{name}"), "87").with_nvml(script).with_kernel_log()
}

fn assay(fake: &Fake, arguments: &[&str]) -> Output {
    fake.assay().args(arguments).output().expect("starts")
}

/// The fake card's verdict, the checks that are not passed, and the exit code.
fn verdict(fake: &Fake) -> (String, Vec<(String, String)>, Option<i32>) {
    let output = assay(fake, &["devices", "--health", "--json"]);
    let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}", text(&output.stderr)));
    let of = |value: &Value, name: &str| value[name].as_str().expect("text").to_owned();
    let card = all.as_array().expect("cards").iter().find(|one| one["device"]["id"] == "cuda:0").expect("the fake").clone();
    let open = card["findings"].as_array().expect("findings").iter().filter(|finding| finding["verdict"] != "pass");
    (of(&card, "verdict"), open.map(|finding| (of(finding, "check"), of(finding, "verdict"))).collect(), output.status.code())
}

fn checks(found: &[(String, String)]) -> Vec<(&str, &str)> {
    found.iter().map(|(check, verdict)| (check.as_str(), verdict.as_str())).collect()
}

#[test]
fn a_verdict_follows_from_what_the_card_says() {
    // The log has a critical fault of the card from before.
    let (word, open, code) = verdict(&fake("past-fault", ""));
    assert_eq!((word.as_str(), code), ("fail", Some(1)));
    assert!(checks(&open).contains(&("faults", "fail")), "{open:?}");

    let sound = fake("sound", "");
    std::fs::write(sound.path("kmsg"), "6,1,1,-;all is well\n").expect("writes");
    let (word, open, code) = verdict(&sound);
    // The fake enforces a limit below its default, and has no recovery action.
    assert_eq!(checks(&open), [("power limit", "fail"), ("recovery", "unknown")]);
    assert_eq!((word.as_str(), code), ("fail", Some(1)));
    let sheet = text(&assay(&sound, &["devices", "--health"]).stdout);
    assert!(sheet.contains("FAIL") && sheet.contains("limit 650 W, default 700 W"), "{sheet}");
}

#[test]
fn a_card_that_says_nothing_is_unknown_and_a_lost_one_fails() {
    let silent = fake("silent", "3@any:1+");
    std::fs::write(silent.path("kmsg"), "").expect("writes");
    let (word, open, code) = verdict(&silent);
    assert_eq!((word.as_str(), code), ("unknown", Some(3)));
    assert!(open.iter().filter(|(_, verdict)| verdict == "unknown").count() >= 6, "{open:?}");
    let lost = fake("lost", "15@any:1+");
    std::fs::write(lost.path("kmsg"), "").expect("writes");
    let (word, _, code) = verdict(&lost);
    assert_eq!((word.as_str(), code), ("fail", Some(1)));
}

#[test]
fn a_watch_shows_values_and_why_others_are_missing() {
    let fake = fake("watch", "4@nvmlDeviceGetTemperature:1+,throttle@nvmlDeviceGetClockInfo:5");
    let output = assay(&fake, &["watch", "--device", "cuda:0", "--interval", "50ms", "--count", "3", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let looks: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(looks.len(), 3);
    let of = |look: usize, name: &str| looks[look]["devices"][0]["vitals"][name].clone();
    assert_eq!(of(0, "clock_sm_mhz"), 1333.0);
    assert_eq!(of(2, "clock_sm_mhz"), 799.0, "throttled by then");
    assert_eq!(of(2, "clock_events"), serde_json::json!(["sw_power_cap"]));
    assert_eq!(of(0, "power_instant_w"), 333.0);
    assert_eq!(of(0, "temperature_c"), serde_json::json!({"absent": "no_permission"}));
    assert_eq!(of(0, "clock_event_hw_thermal_slowdown_seconds_total"), serde_json::json!({"absent": "not_supported"}));
    let table = text(&assay(&fake, &["watch", "--device", "cuda:0", "--count", "1"]).stdout);
    assert!(table.contains("denied") && table.contains("1333") && !table.contains('\u{1b}'), "{table}");
}

#[test]
fn a_library_that_hangs_is_timed_out_and_the_watch_goes_on() {
    let fake = fake("hang", "slow=60000@nvmlDeviceGetFieldValues:2");
    let output = assay(&fake, &["watch", "--device", "cuda:0", "--interval", "200ms", "--count", "3", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let looks: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let power: Vec<Value> = looks.iter().map(|look| look["devices"][0]["vitals"]["power_instant_w"].clone()).collect();
    let timed_out = serde_json::json!({"absent": "timed_out"});
    assert_eq!(power, [serde_json::json!(333.0), timed_out.clone(), timed_out]);
}

#[test]
fn prometheus_gets_what_there_is() {
    let output = assay(&fake("prometheus", ""), &["watch", "--device", "cuda:0", "--prometheus"]);
    let exposition = text(&output.stdout);
    let uuid = "gpu_uuid=\"GPU-face0000-0000-4000-8000-000000005700\"";
    for line in [
        format!("assay_gpu_power_watts{{{uuid},kind=\"instant\"}} 333.0"),
        format!("assay_gpu_ecc_errors_total{{{uuid},kind=\"uncorrected\"}} 0.0"),
        format!("assay_gpu_pcie_replays_total{{{uuid}}} 7.0"),
        format!("assay_gpu_energy_joules_total{{{uuid}}} 5000.0"),
    ] {
        assert!(exposition.lines().any(|other| other == line), "{line} is not in\n{exposition}");
    }
    assert_eq!(exposition.lines().last(), Some("# EOF"));
}

#[test]
fn a_device_that_there_is_not_is_named() {
    let output = assay(&fake("absent", ""), &["watch", "--device", "cuda:7", "--count", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cuda:7") && output.stdout.is_empty());
}
