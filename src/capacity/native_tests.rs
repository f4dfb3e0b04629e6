//! Figures in native units: what fits, what waits, what meets a target, and their bounds.

use super::*;
use crate::capacity::{answer, calibrate, rows};
use std::path::Path;

fn demand(model: &str) -> Demand {
    Demand {
        model: Model::named(model).expect("known").clone(),
        weights: Weights::Fp8,
        prompt: 1024.0,
        answer: 256.0,
        gpus: 8.0,
        width: None,
        engine: "vllm".into(),
        load: Load::Batch(32.0),
        train: Some(Train { tokens: 15.6e12, length: 8192.0 }),
    }
}

fn figure<'a>(native: &'a Native, name: &str, unit: &str) -> &'a Figure {
    native.figures.iter().find(|figure| (figure.name, figure.unit) == (name, unit)).expect(name)
}

#[test]
fn copies_add_up_and_a_split_model_has_fewer() {
    let gpu = Gpu::named("h100_sxm").expect("known");
    let of = |width| native(&Demand { width, ..demand("llama-3-8b") }, gpu).expect("fits");
    let (one, eight) = (of(None), of(Some(8.0)));
    assert_eq!((one.width, one.copies, eight.copies), (1.0, 8.0, 1.0));
    let each = figure(&eight, "time per output token", "ms").value.expect("dense");
    assert!(each < figure(&one, "time per output token", "ms").value.expect("dense"));
    let split = native(&Demand { weights: Weights::Bf16, ..demand("llama-3-70b") }, gpu).expect("fits on four");
    assert_eq!((split.width, split.copies), (4.0, 2.0));
    let other = Demand { engine: "trtllm".into(), weights: Weights::Bf16, ..demand("llama-3-70b") };
    assert_eq!(native(&other, gpu).expect("fits on two").width, 2.0);
    assert!(native(&Demand { width: Some(16.0), ..demand("llama-3-8b") }, gpu).is_err());
    assert!(native(&Demand { gpus: 1.0, ..demand("llama-3-405b") }, gpu).is_err_and(|wrong| wrong.0.contains("no-fit")));
}

#[test]
fn a_target_is_met_and_an_impossible_one_is_refused() {
    let gpu = Gpu::named("h200_sxm").expect("known");
    let at = |target| native(&Demand { load: Load::Target(target), ..demand("llama-3-70b") }, gpu).expect("fits");
    assert!(figure(&at(0.03), "time per output token", "ms").value.expect("dense") <= 30.0);
    assert!(figure(&at(0.03), "requests within the target", "request").value.expect("some") >= 8.0);
    assert!(figure(&at(1e-4), "output tokens", "token/s").reason.as_ref().is_some_and(|reason| reason.contains("not even one")));
}

#[test]
fn requests_that_do_not_fit_wait_and_add_no_tokens() {
    let gpu = Gpu::named("h100_sxm").expect("known");
    let at = |load| {
        let demand = Demand { load, gpus: 2.0, answer: 1024.0, ..demand("llama-3-70b") };
        native(&demand, gpu).expect("fits on two")
    };
    let tokens = |native: &Native| figure(native, "output tokens", "token/s").value.expect("dense");
    let (saturated, beyond) = (at(Load::Saturated), at(Load::Batch(100_000.0)));
    assert_eq!(tokens(&saturated), tokens(&beyond));
    assert!(figure(&beyond, "output tokens", "token/s").by.contains("the others wait"));
    // Rows of vLLM beyond its memory: a request that is put off takes about as long as if all ran.
    let each = |native: &Native| figure(native, "time per output token", "ms").value.expect("dense");
    assert!(each(&beyond) > 2.0 * each(&saturated));
    assert!(!figure(&at(Load::Batch(8.0)), "output tokens", "token/s").by.contains("wait"));
    assert!(figure(&saturated, "output tokens", "token/s").by.contains("no saturated throughput"));
    assert!(figure(&saturated, "most requests at a time", "request").by.contains("as vLLM takes"));
}

#[test]
fn bounds_of_what_meets_a_target_are_found_at_times_that_are_as_far_off() {
    let gpu = Gpu::named("h100_sxm").expect("known");
    let at = |target| {
        let demand = Demand { load: Load::Target(target), gpus: 2.0, ..demand("llama-3-70b") };
        native(&demand, gpu).expect("fits on two")
    };
    let requests = |native: &Native| {
        let found = figure(native, "requests within the target", "request");
        [found.low, found.value, found.high].map(|figure| figure.expect("dense"))
    };
    let near = at(0.02);
    let [low, value, high] = requests(&near);
    assert_eq!((low, high), (requests(&at(0.016))[1], requests(&at(0.025))[1]));
    // A fifth off the target is far more than a fifth of the requests.
    assert!(value > 1.25 * low && high > 1.25 * value, "{low} {value} {high}");
    let tokens = figure(&near, "output tokens", "token/s");
    assert!(tokens.low < tokens.value.map(|tokens| tokens / 1.25) && tokens.value < tokens.high, "{tokens:?}");
    // Where none meets it, some may yet, if the time is shorter than predicted.
    let tight = at(0.014);
    assert_eq!(requests(&tight)[..2], [0.0, 0.0]);
    assert!(requests(&tight)[2] > 0.0 && figure(&tight, "output tokens", "token/s").value.is_none());
}

#[test]
fn bounds_of_a_training_run_hold_every_published_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/validation/throughput.csv");
    let rows = rows(&path).expect("committed");
    let answers = rows.iter().filter(|row| row.setting.contains("train")).map(|row| answer(row, &shipped()));
    let known: Vec<_> = answers.filter(|answer| answer.predicted.is_some()).collect();
    assert_eq!(known.len(), 18);
    assert!(known.iter().all(|row| row.low <= Some(row.published) && Some(row.published) <= row.high), "{known:?}");
    let days = native(&demand("llama-3-8b"), Gpu::named("h100_sxm").expect("known")).expect("fits");
    let days = figure(&days, "training run", "day");
    assert_eq!(days.high, days.value.map(|days| days * TRAINING_FACTOR));
}

#[test]
fn a_mixture_has_bounds_alone_and_no_days() {
    let gpu = Gpu::named("h200_sxm").expect("known");
    let found = native(&demand("qwen3-235b-a22b"), gpu).expect("fits");
    let each = figure(&found, "time per output token", "ms");
    assert!(each.value.is_none() && each.bound.is_some_and(|(side, bound)| side == "at least" && bound > 1.0), "{each:?}");
    assert!(figure(&found, "training run", "day").value.is_none());
    let dense = native(&demand("llama-3-405b"), gpu).expect("fits");
    let days = figure(&dense, "training run", "day").value.expect("dense");
    let hours = figure(&dense, "training run", "GPU-h").value.expect("dense");
    assert!((days * 24.0 * 8.0 / hours - 1.0).abs() < 1e-12);
    assert!(figure(&dense, "time to first token", "ms").value.is_none());
}

#[test]
fn the_errors_that_are_told_are_those_of_the_committed_rows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/validation/latency.csv");
    let found = calibrate(&rows(&path).expect("committed"), "").expect("enough rows");
    let told = record();
    assert!((found.errors.mean - told.mean).abs() < 6e-4, "{:?}", found.errors);
    assert!((found.errors_left_out.expect("groups").mean - told.left_out).abs() < 6e-4, "{:?}", found.errors_left_out);
}
