//! Properties of the unit, and a record's figures by hand.

use super::*;
use crate::{
    capacity::{Appraisal, appraise, appraise_rates, given, slowest},
    record::{self, Document, Kind},
};
use std::path::Path;

/// Medians of the committed record, found with another program.
const TRIAD: f64 = 61_024_973_194.842_83;
const FP64: f64 = 104_447_262_951.856_35;

fn reference() -> &'static Vector {
    &definition().reference.rates
}

/// Vectors around the reference by up to a factor of e in each key, the same each time.
fn vectors(n: u32) -> impl Iterator<Item = Vector> {
    let off = |n: u32, key: usize| {
        let mixed = (u64::from(n) * 31 + key as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed >> 11) as f64 / (1_u64 << 53) as f64).mul_add(2.0, -1.0)
    };
    (0..n).map(move |n| reference().iter().enumerate().map(|(at, (key, rate))| (key.clone(), rate * off(n, at).exp())).collect())
}

#[test]
fn the_reference_is_worth_exactly_one_of_each_class() {
    for class in &definition().classes {
        assert_eq!(units(class, reference()), Ok(1.0), "{}", class.name);
    }
}

#[test]
fn shares_sum_to_one_and_are_how_the_unit_answers_to_each_rate() {
    for (class, rates) in definition().classes.iter().flat_map(|class| vectors(40).map(move |rates| (class, rates))) {
        let Ok(found) = time(class, &rates) else { continue };
        assert!((found.shares.values().sum::<f64>() - 1.0).abs() < 1e-12, "{}", class.name);
        for (key, share) in &found.shares {
            let moved = |by: f64| {
                let mut rates = rates.clone();
                rates.insert(key.clone(), rates[key] * if is_time(key) { (-by).exp() } else { by.exp() });
                units(class, &rates).expect("it fits as before").ln()
            };
            let slope = (moved(1e-7) - moved(-1e-7)) / 2e-7;
            assert!((slope - share).abs() < 1e-5, "{} {key}: {slope} {share}", class.name);
        }
    }
}

#[test]
fn more_of_any_rate_is_never_worth_less() {
    for (class, rates) in definition().classes.iter().flat_map(|class| vectors(40).map(move |rates| (class, rates))) {
        let Ok(before) = units(class, &rates) else { continue };
        for key in rates.keys() {
            let mut better = rates.clone();
            better.insert(key.clone(), rates[key] * if is_time(key) { 0.7 } else { 1.4 });
            assert!(units(class, &better).expect("it fits as before") >= before * (1.0 - 1e-12), "{} {key}", class.name);
        }
    }
}

#[test]
fn what_does_not_fit_or_is_not_known_is_said() {
    let small: Vector = reference().clone().into_iter().chain([("mem.free".to_owned(), 12e9)]).collect();
    let class = |name| definition().class(name).expect("shipped");
    assert!(units(class("decode-lat"), &small).unwrap_err().0.starts_with("no-fit: decode-lat"));
    assert!(units(class("stream"), &small).is_ok());
    assert_eq!(units(class("stream"), &Vector::new()), Err(Wrong("missing: hbm.triad".into())));
}

#[test]
fn in_step_all_are_as_slow_as_the_slowest() {
    let of = |a: f64, b: f64| Vector::from([("hbm.triad".to_owned(), a), ("launch.dep".to_owned(), b)]);
    assert_eq!(slowest(&[of(3.0, 1.0), of(2.0, 4.0)]), of(2.0, 4.0));
    assert_eq!(slowest(&[of(3.0, 1.0), Vector::new()]), Vector::new());
}

fn committed(name: &str) -> Document {
    record::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("committed")
}

fn appraised(document: &Document, degraded: bool) -> Appraisal {
    appraise(document, &Question { degraded, price: Some(2.0), ..Question::default() }).expect("hardware")
}

#[test]
fn a_committed_record_is_worth_what_a_hand_finds() {
    let document = committed("tests/fixture/cpu.standard.jsonl");
    let all = appraised(&document, true);
    let [cpu] = all.devices.as_slice() else { panic!("one device") };
    let found = |class: &str| cpu.units.iter().find(|unit| unit.class == class).expect("shipped");
    let (triad, fp64) = (cpu.rates.measured["hbm.triad"].typical, cpu.rates.measured["mm.fp64"].typical);
    // Of the blocks after the first half second.
    assert!((triad / TRIAD - 1.0).abs() < 1e-9, "{triad}");
    assert!((fp64 / FP64 - 1.0).abs() < 1e-9, "{fp64}");
    assert!((found("stream").typical.value.expect("degraded") / (TRIAD / 3e12) - 1.0).abs() < 1e-9);
    // A second by the reference: 30 Tflop at 60 Tflop/s, 1.5 TB at 3 TB/s.
    let double = 1.0 / (30e12 / FP64 + 1.5e12 / TRIAD);
    let portable = found("portable-fp64");
    assert!((portable.typical.value.expect("degraded") / double - 1.0).abs() < 1e-9);
    assert!((portable.shares["mm.fp64"] - double * 30e12 / FP64).abs() < 1e-9);
    let firm = portable.firm.value.expect("91 blocks");
    assert!(firm < double && portable.cost.as_ref().and_then(|cost| cost.value) == Some(2.0 / firm));
    assert_eq!(found("decode-lat").typical.code(), Some("backend"));
    // The figure stands beside its reason, or the reason alone.
    let strict = appraised(&document, false);
    let withheld = strict.devices[0].units.iter().find(|unit| unit.class == "stream").expect("shipped");
    assert_eq!((withheld.typical.value, withheld.typical.code(), withheld.firm.value), (None, Some("unsteady"), None));
}

#[test]
fn units_are_had_anew_from_stored_rates() {
    let text = serde_json::to_string(&appraised(&committed("tests/fixture/cpu.standard.jsonl"), true)).expect("plain");
    let stored: serde_json::Value = serde_json::from_str(&text).expect("its own");
    let device = &stored["devices"][0];
    // Read again as rates, they are worth the same to the last bit, reasons included.
    let again = appraise_rates(
        &given(&text, "stored").expect("its own"),
        &Question { degraded: true, price: Some(2.0), ..Question::default() },
    );
    assert_eq!(serde_json::to_value(&again.devices).expect("plain"), stored["devices"]);
    let measured = device["rates"]["measured"].as_object().expect("by key");
    let rates: Vector = measured.iter().map(|(key, rate)| (key.clone(), rate["typical"].as_f64().expect("a rate"))).collect();
    let mut compared = 0;
    for unit in device["units"].as_array().expect("of classes") {
        let Some(value) = unit["typical"]["value"].as_f64().filter(|value| *value > 0.0) else { continue };
        let class = definition().class(unit["class"].as_str().expect("a name")).expect("shipped");
        assert!((units(class, &rates).expect("all there") / value - 1.0).abs() < 1e-9, "{}", class.name);
        compared += 1;
    }
    assert_eq!(compared, 3, "stream and both portable classes");
}

#[test]
fn what_stands_for_no_hardware_is_refused() {
    let software = committed("results/amd-epyc-2-cores.llvmpipe.standard.jsonl");
    let refused = |document: &Document| appraise(document, &Question::default()).unwrap_err().0;
    assert!(refused(&software).contains("wgpu:0 is software"));
    for (kind, word) in [(Kind::Replay, "replay"), (Kind::Fake, "fake")] {
        let mut other = software.clone();
        other.entries.iter_mut().for_each(|entry| entry.device.kind = kind);
        assert!(refused(&other).contains(word));
    }
    let mut imported = committed("tests/fixture/cpu.standard.jsonl");
    let origin = record::Origin { tool: "nvbandwidth".into(), version: None, measured_at: None };
    imported.header.assay = record::Software::reading(origin);
    assert!(refused(&imported).contains("imported"));
}
