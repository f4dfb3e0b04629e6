//! A few slow blocks: the middle of a run does not see them, what was done in the time does.

use crate::records::{Place, noise, of_blocks};

const BLOCKS: u64 = 100;

/// Blocks that vary by 0.3 %, of which some run at `depth`.
fn rates(seed: u64, slow: usize, depth: f64) -> Vec<f64> {
    let each = (0..BLOCKS).map(|at| 7e14 * (1.0 + 0.003 * noise(seed * 1_000 + at)));
    let mut rates: Vec<f64> = each.collect();
    for which in 0..slow {
        // Here and there, elsewhere in each run.
        let at = (which * 37 + seed as usize * 11 + 17) % rates.len();
        rates[at] *= depth;
    }
    rates
}

fn runs(place: &Place, name: &str, seeds: std::ops::Range<u64>, slow: usize, depth: f64) -> Vec<String> {
    seeds.map(|seed| place.run(&format!("{name}{seed}.jsonl"), &of_blocks(seed, &rates(seed, slow, depth)))).collect()
}

fn words(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[test]
fn work_that_slow_blocks_lost_is_never_ok() {
    let place = Place::new("slow-blocks");
    let before = runs(&place, "before", 1..6, 0, 1.0);
    for (slow, depth, lost) in [(5, 0.05, 0.487), (3, 0.1, 0.213), (8, 0.1, 0.419), (8, 0.33, 0.14)] {
        let after = runs(&place, "after", 11..14, slow, depth);
        let compare = |after: &[String]| {
            let output = place.assay(&[&["compare", "--json"], &words(after)[..], &["--baseline"], &words(&before)[..]].concat());
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            (output.status.code(), json["pairs"][0].clone())
        };
        let (code, three) = compare(&after);
        let number = |field: &str| three["over_time"][field].as_f64().expect("a number");
        assert_eq!((code, &three["verdict"]), (Some(1), &"regressed".into()), "{slow} at {depth}: {three:#}");
        assert!((1.0 - number("value") - lost).abs() < 0.02 && number("high") < 0.98, "{three:#}");
        assert!(three["ratio"].as_f64().is_some_and(|ratio| (ratio - 1.0).abs() < 0.01) && three["cause"].is_null(), "{three:#}");
        let (code, one) = compare(&after[..1]);
        assert!(matches!(code, Some(1 | 3)) && one["verdict"] != "ok", "{slow} at {depth}: {one:#}");
        let text = place.assay(&[&["compare", "--plain"], &words(&after)[..], &["--baseline"], &words(&before)[..]].concat());
        let text = String::from_utf8(text.stdout).expect("text");
        assert!(text.contains("slow blocks: work over time -") && text.contains("see `series`"), "{text}");
    }
}

#[test]
fn a_check_tells_slow_blocks_too_and_a_few_on_both_sides_are_no_loss() {
    let place = Place::new("slow-blocks-check");
    let begun = place.check(&[&words(&runs(&place, "base", 1..6, 0, 1.0))[..], &["--update-baseline"]].concat());
    assert_eq!(begun.status.code(), Some(0), "{}", String::from_utf8_lossy(&begun.stderr));
    let (code, json) = place.json(&words(&runs(&place, "good", 11..14, 0, 1.0)));
    assert_eq!((code, &json["verdict"]), (0, &"ok".into()), "{json:#}");
    let bad = runs(&place, "bad", 11..14, 5, 0.05);
    let (code, json) = place.json(&[&words(&bad)[..], &["--markdown", "check.md", "--junit", "check.xml"]].concat());
    assert_eq!((code, &json["verdict"]), (1, &"regressed".into()), "{json:#}");
    assert!(json["metrics"][0]["over_time"]["value"].as_f64().is_some_and(|ratio| ratio < 0.55), "{json:#}");
    assert!(["check.md", "check.xml"].iter().all(|name| place.read(name).contains("slow blocks")), "every form says it");
    let before = runs(&place, "before", 21..26, 2, 0.5);
    let after = runs(&place, "after", 31..34, 2, 0.5);
    let output = place.assay(&[&["compare"], &words(&after)[..], &["--baseline"], &words(&before)[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
