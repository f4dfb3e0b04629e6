//! Vectors of rates: what is taken, what is refused, and what the published ones are worth.

use super::*;
use crate::capacity::{Question, Unit, appraise_rates};

fn of(text: &str) -> Result<Rates, Wrong> {
    given(text, "rates.json").map(|mut vectors| vectors.devices.remove(0).2)
}

#[test]
fn figures_are_taken_in_the_keys_unit_or_in_their_own() {
    let rates = of(r#"{"definition": "cu/1", "name": "a", "architecture": "9.0", "mm.bf16": 7.9e14, "hbm.read": "3.0 TB/s",
        "launch.dep": {"typical": "1.24 us", "firm": "1300 ns"}, "mem.free": "80 GB", "mm.fp8": null, "power.w": 600,
        "hbm.triad": {"typical": 3.0, "firm": 2.9, "low": 2.95, "high": 3.05, "unit": "TB/s", "watts": 500}}"#)
    .expect("rates");
    let at = |key: &str| &rates.measured[key];
    assert_eq!((at("mm.bf16").typical, at("hbm.read").typical, rates.memory), (7.9e14, 3e12, Some(8e10)));
    assert!((at("launch.dep").typical - 1.24e-6).abs() < 1e-18 && (at("launch.dep").firm.expect("given") - 1.3e-6).abs() < 1e-18);
    assert_eq!((at("hbm.triad").firm, at("hbm.triad").low, at("hbm.triad").watts), (Some(2.9e12), 2.95e12, Some(500.0)));
    assert_eq!((at("mm.bf16").watts, at("mm.bf16").low), (Some(600.0), 7.9e14));
    assert!(rates.absent["mm.fp8"].starts_with("no-dtype: a") && rates.absent["mm.fp64"].contains("'matmul/fp64.fp64.fp64/*'"));
    assert!(rates.absent["link.ar_lat"].contains("'collective/fp32/all-reduce-time/*'"));
    let fp4 = |architecture: &str| {
        of(&format!(r#"{{"architecture": "{architecture}", "hbm.read": 3e12}}"#)).expect("rates").absent["mm.fp4"].clone()
    };
    assert!(fp4("9.0").starts_with("no-dtype") && fp4("gfx942").starts_with("no-dtype") && fp4("10.0").starts_with("missing"));
}

#[test]
fn what_is_no_rate_is_refused_by_one_sentence_that_says_the_way_out() {
    for (text, word) in [
        (r#"{"mm.bf17": 7.9e14}"#, "`mm.bf17` is no key of cu/1; there are mm.bf16"),
        (r#"{"mm.bf16": 790}"#, "790 has no unit; a bare number is in FLOP/s"),
        (r#"{"mm.bf16": "790"}"#, "`790` has no unit"),
        (r#"{"launch.dep": 1.24}"#, "has no unit; a bare number is in s"),
        (r#"{"mm.bf16": "790 TB/s"}"#, "`TB/s` is no FLOP/s"),
        (r#"{"mm.bf16": -7.9e14}"#, "is no rate: rates are above zero"),
        (r#"{"mm.bf16": "-790 TFLOP/s"}"#, "is no rate"),
        (r#"{"mm.bf16": 0}"#, "write null for arithmetic"),
        (r#"{"mm.bf16": NaN}"#, "NaN and infinity are no JSON"),
        (r#"{"mm.bf16": "NaN"}"#, "`NaN` is no number"),
        (r#"{"mm.bf16": 1e999}"#, "number out of range"),
        (r#"{"mm.bf16": [7.9e14]}"#, "is no rate"),
        (r#"{"mm.bf16": {"firm": 7.9e14}}"#, "missing field `typical`"),
        (r#"{"mm.bf16": {"typical": 7.9e14, "frim": 7e14}}"#, "frim"),
        (r#"{"mm.bf16": {"typical": 7.9e14, "firm": 8e14}}"#, "no better than"),
        (r#"{"mm.bf16": {"typical": 7.9e14, "low": 8e14}}"#, "must not fall"),
        (r#"{"mm.bf16": {"typical": 7.9e14, "firm": 0}}"#, "is no rate"),
        (r#"{"launch.dep": {"typical": 2e-6, "firm": 1e-6}}"#, "no better than"),
        (r#"{"definition": "cu/2", "mm.bf16": 7.9e14}"#, "rates of definition `cu/2`, this is cu/1"),
        (r#"{"schema": "assay.units/1", "definition": "cu/0", "devices": []}"#, "rates of definition `cu/0`"),
        (r#"{"schema": "assay.units/2", "definition": "cu/1", "devices": []}"#, "assay.units/2"),
        (r#"{"schema": "assay.run/1", "id": "x"}"#, "not whole"),
        ("{}", "no rate in it"),
        ("[1]", "one JSON object"),
        ("mm.bf16,7.9e14", "one JSON object"),
    ] {
        let why = of(text).map(drop).unwrap_err().0;
        assert!(why.contains(word) && why.starts_with("rates.json: ") && !why.contains('\n'), "{text}: {why}");
    }
}

fn worth(name: &str, class: &str) -> Unit {
    let appraisal = appraise_rates(&published(name).expect("shipped"), &Question::default());
    assert_eq!(appraisal.devices[0].origin, Origin::Published);
    appraisal.devices[0].units.iter().find(|unit| unit.class == class).expect("shipped").clone()
}

#[test]
fn published_figures_have_sources_and_are_marked_and_nothing_firm_follows() {
    for name in ["a100_sxm", "b200_sxm", "h100_sxm", "h200_sxm", "l40s", "mi300x"] {
        assert!(published_names().contains(&name), "{name}");
    }
    for name in published_names() {
        let rates = published(name).expect("shipped").devices.remove(0).2;
        for (key, rate) in &rates.measured {
            assert!(rate.from.len() > 8 && rate.estimate == rate.from.starts_with("estimate"), "{name} {key}: {}", rate.from);
        }
    }
    let h100 = published("h100").expect("shipped").devices.remove(0).2.measured;
    assert!(h100["launch.dep"].estimate && !h100["hbm.read"].estimate);
    let stream = worth("b200", "stream");
    assert!((stream.typical.value.expect("a figure") - 7.1 / 3.0).abs() < 1e-12);
    assert_eq!((stream.firm.value, stream.firm.code()), (None, Some("published")));
    assert_eq!(worth("a100", "prefill-fp8").typical.value, Some(0.0));
    assert_eq!(worth("mi300x", "decode-lat").typical.code(), Some("missing"));
    // Four bits of weight need no arithmetic in four bits.
    let fallen = worth("a100", "decode-fp4-b64");
    assert_eq!(fallen.instead.keys().collect::<Vec<_>>(), ["mm.fp4", "mm.fp8"]);
    assert!(fallen.typical.value.is_some_and(|value| value > 0.3 && value < 1.0));
    assert!(published("v100").unwrap_err().0.contains("published:h100"));
}
