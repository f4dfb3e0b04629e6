//! What a device does beside others is another figure than what it does alone, wherever figures are named, kept or followed.

use crate::records::{Place, and_together, changed, document, metric, noise, of_blocks};
use assay::record::{Document, Outcome};

/// Steady around 700 TFLOP/s, with a node and a time of its own.
fn node(seed: u64, host: u64) -> Document {
    let rates: Vec<f64> = (0..40).map(|at| 7e14 * (1.0 + 0.002 * noise(seed * 100 + at))).collect();
    let mut document = of_blocks(seed, &rates);
    document.header.node.hostname = Some(format!("node{host:02}"));
    document.entries.iter_mut().for_each(|entry| entry.device.uuid = Some(format!("GPU-{host}")));
    document
}

#[test]
fn a_check_keeps_loads_apart_in_every_figure() {
    let place = Place::new("loads-check");
    let both = |seed| and_together(document(seed), 0.8);
    let runs: Vec<String> = (1..=5).map(|seed| place.run(&format!("base{seed}.jsonl"), &both(seed))).collect();
    let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
    assert_eq!(place.check(&[&runs[..], &["--update-baseline"]].concat()).status.code(), Some(0));
    let kept: serde_json::Value = serde_json::from_str(&place.read("base.json")).expect("JSON");
    for kept in kept["metrics"].as_array().expect("a list") {
        let run = &kept["runs"][0];
        let [value, low, high, p50] = ["value", "low", "high", "p50"].map(|field| run[field].as_f64().expect("a number"));
        assert!(low < value && value < high && (p50 / value - 1.0).abs() < 0.01, "all of one load: {run}");
    }
    let now = place.run("now.jsonl", &both(7));
    let (code, json) = place.json(&[&now, "--bencher", "bmf.json"]);
    assert_eq!((code, &json["verdict"]), (0, &"ok".into()), "{json:#}");
    let products: Vec<_> = json["metrics"].as_array().expect("a list").iter().filter(|m| m["unit"] == "FLOP/s").collect();
    let figures: Vec<(Option<&str>, f64, usize)> = products
        .iter()
        .map(|m| {
            let now = m["after"].as_array().map_or(0, Vec::len);
            (m["load"].as_str(), (m["value"]["value"].as_f64().expect("a number") / 7e13).round(), now)
        })
        .collect();
    assert_eq!(figures, [(Some("alone"), 10.0, 1), (Some("together(2)"), 8.0, 1)]);
    let bmf: serde_json::Value = serde_json::from_str(&place.read("bmf.json")).expect("JSON");
    let of = |name: &str| bmf[name]["flop-per-second"]["value"].as_f64().expect("a number");
    let (alone, together) = ("fake:0 family/fp32/matmul/1GiB@own", "fake:0 family/fp32/matmul/1GiB@own (together(2))");
    assert!((of(together) / of(alone) - 0.8).abs() < 0.01, "{bmf:#}");
    let mut broken = both(8);
    let failed = broken.entries.iter_mut().find(|entry| entry.load != "alone").expect("an entry");
    (failed.outcome, failed.reason) = (Outcome::Failed, Some("lost".into()));
    let broken = place.run("broken.jsonl", &broken);
    let (code, json) = place.json(&[&broken]);
    assert_eq!((code, &json["absent"][0]["metric"]), (1, &"family/fp32/matmul/1GiB@own (together(2))".into()), "{json:#}");
    assert_eq!(metric(&json, "matmul")["verdict"], "ok", "alone it is as good as ever");
}

#[test]
fn a_history_has_a_series_for_each_load_and_method() {
    let place = Place::new("loads-history");
    for night in 0..40_u64 {
        let mut document = if night < 20 { document(night) } else { changed(night, "matmul", 0.95) };
        document.entries.truncate(1);
        document.header.started_at = format!("2026-{:02}-{:02}T01:00:00Z", 1 + night / 28, 1 + night % 28);
        place.run(&format!("night{night:02}.jsonl"), &and_together(document, 0.8));
    }
    let history = |folder: &str| -> serde_json::Value {
        serde_json::from_slice(&place.assay(&["history", folder, "--json"]).stdout).expect("JSON")
    };
    let found = history(".");
    let changes: Vec<(&str, u64)> = found["changes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|change| (change["metric"].as_str().expect("a name"), change["index"].as_u64().expect("an index")))
        .collect();
    let name = "family/fp32/matmul/1GiB@own";
    assert_eq!(changes, [(name, 20), (&format!("{name} (together(2))"), 20)], "{found:#}");
    std::fs::create_dir(place.0.join("methods")).expect("a folder");
    for night in 0..30_u64 {
        let mut document = document(night);
        document.entries.truncate(1);
        document.header.started_at = format!("2026-{:02}-{:02}T01:00:00Z", 1 + night / 28, 1 + night % 28);
        // Another kernel is marked where it matters; another method measures something else.
        document.header.assay.method -= u32::from(night < 15);
        document.entries[0].kernel = Some(format!("sha256:{}", night / 20));
        place.run(&format!("methods/night{night:02}.jsonl"), &document);
    }
    let found = history("methods");
    let points: Vec<u64> = found["series"].as_array().expect("a list").iter().filter_map(|s| s["points"].as_u64()).collect();
    assert_eq!(points, [15, 15], "{found:#}");
    assert!(found["series"][1]["metric"].as_str().is_some_and(|name| name.contains("[method 2")), "{found:#}");
}

#[test]
fn peers_are_held_against_each_other_in_what_they_measured_alike() {
    let peers = |place: &Place| {
        let output = place.assay(&["peers", ".", "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), json, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let fleet = |name: &str, other: &dyn Fn(u64, Document) -> Document| {
        let place = Place::new(name);
        for host in 0..16 {
            place.run(&format!("node{host:02}.jsonl"), &other(host, node(host + 1, host)));
        }
        peers(&place)
    };
    let (code, json, told) = fleet("peers-load", &|host, record| if host == 3 { and_together(record, 0.9) } else { record });
    assert_eq!((code, &json["outliers"]), (Some(0), &serde_json::json!([])), "one node was measured together too");
    assert!(told.contains("fewer than 5 nodes measured alike") && told.contains("(together(2))"), "{told}");
    let burst = |host, mut record: Document| {
        let rate = record.entries[0].rate.as_mut().expect("a rate");
        rate.burst = rate.burst.map(|mut burst| {
            (burst.value, burst.low, burst.high) = (burst.value * 1.12, burst.low * 1.12, burst.high * 1.12);
            burst
        });
        rate.sustained = rate.sustained.filter(|_| host == 5);
        record
    };
    let (code, json, _) = fleet("peers-burst", &burst);
    assert_eq!((code, &json["outliers"]), (Some(0), &serde_json::json!([])), "one node has a sustained figure");
    let kernels = |host: u64, mut record: Document| {
        record.entries[0].kernel = Some(format!("sha256:{}", host % 2));
        if host % 2 == 1 { scaled(record, 0.9) } else { record }
    };
    let (code, json, _) = fleet("peers-kernel", &kernels);
    assert_eq!((code, json["fleets"][0]["spread"].as_array().map(Vec::len)), (Some(0), Some(2)), "{json:#}");
    let (code, json, _) = fleet("peers-slow", &|host, record| if host == 7 { stalled(host) } else { record });
    assert_eq!((code, &json["outliers"][0]["node"]), (Some(1), &"node07 GPU-7".into()), "{json:#}");
    let worst = &json["outliers"][0];
    assert!(worst["metric"].as_str().is_some_and(|name| name.ends_with("work over time")), "{worst:#}");
    assert!(worst["deficit"].as_f64().is_some_and(|deficit| (deficit - 0.42).abs() < 0.05), "{worst:#}");
}

/// The same at another speed, blocks and all.
fn scaled(mut record: Document, factor: f64) -> Document {
    let entry = &mut record.entries[0];
    entry.series.iter_mut().for_each(|block| block.seconds /= factor);
    if let Some(sustained) = entry.rate.as_mut().and_then(|rate| rate.sustained.as_mut()) {
        (sustained.value, sustained.low, sustained.high) =
            (sustained.value * factor, sustained.low * factor, sustained.high * factor);
    }
    record
}

/// A node of which eight blocks of a hundred run at a tenth.
fn stalled(host: u64) -> Document {
    let rates: Vec<f64> = (0..100).map(|at| 7e14 * if at % 13 == 5 { 0.1 } else { 1.0 + 0.002 * noise(at) }).collect();
    let named = node(host, host);
    let mut record = of_blocks(host + 1, &rates);
    record.header.node = named.header.node;
    record.entries[0].device = named.entries[0].device.clone();
    record
}
