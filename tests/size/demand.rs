//! Demand becomes scenarios: quantiles of growth come out as they went in, a forecast's spread is kept, native units are converted.

use super::{plans::SMALL, support::written};
use assay::{
    capacity::{KEPT, Model, TRAINING, Weights, definition},
    reserve::{Demand, input},
};
use input::{Method, fan, forecast};

const PATH: &str = "path = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]";

/// Scenarios of `SMALL` with this demand instead, and these keys of the plan besides.
fn drawn(name: &str, demand: &str, keys: &str, tables: &str) -> Vec<Demand> {
    let plan = SMALL.replace(PATH, demand).replace("hours_per", &format!("{keys}\nhours_per"));
    input::plan(&written(name, &format!("{plan}\n{tables}"))).expect("a good plan").case.demand
}

fn paths(demand: &[Demand]) -> Vec<&Vec<f64>> {
    demand.iter().map(|scenario| &scenario.cu["mine"]).collect()
}

fn near(found: f64, known: f64) -> bool {
    (found / known - 1.0).abs() < 1e-6
}

#[test]
fn quantiles_of_growth_come_out_as_they_went_in() {
    let demand = drawn("growth", "growth = { start = 100, p10 = 0.05, p50 = 0.25, p90 = 0.60 }", "scenarios = 5", "");
    let paths = paths(&demand);
    // Five scenarios stand at p10, p30, p50, p70 and p90.
    for (scenario, rate) in [(0, 1.05_f64), (2, 1.25), (4, 1.60)] {
        let last = 100.0 * rate.powf(11.0 / 12.0);
        assert!(near(paths[scenario][0], 100.0) && near(paths[scenario][11], last), "{rate}: {:?}", paths[scenario]);
    }
    assert!(demand.iter().all(|scenario| near(scenario.prob, 0.2)));
    assert!(paths.windows(2).all(|pair| pair[0][11] < pair[1][11]));
}

#[test]
fn scenarios_are_crossed_with_the_fan_and_scale_it() {
    let tables = "[[offer]]\nid = \"spot\"\ntype = \"box\"\nkind = \"spot\"\nhourly = 1\nmax_units = 2\n
[[scenario]]\nname = \"plenty\"\nprobability = 0.75\n
[[scenario]]\nname = \"scarce\"\nprobability = 0.25\ndemand_times = { mine = 2 }\nflex_times = { spot = 0.5 }\n";
    let demand = drawn("crossed", "growth = { start = 100, p10 = 0.1, p50 = 0.1, p90 = 0.1 }", "scenarios = 4", tables);
    assert_eq!(demand.len(), 8);
    assert!(near(demand[0].prob, 0.75 / 4.0) && near(demand[7].prob, 0.25 / 4.0));
    assert!(near(demand[0].cu["mine"][0], 100.0) && near(demand[7].cu["mine"][0], 200.0));
    assert_eq!((demand[0].flex_factor.get("spot"), demand[7].flex_factor["spot"]), (None, 0.5));
    let own = tables.replace("demand_times = { mine = 2 }", "demand = { mine = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] }");
    let demand = drawn("own", PATH, "", &own);
    assert_eq!(paths(&demand).iter().map(|path| path[5]).collect::<Vec<_>>(), [10.0, 1.0]);
}

#[test]
fn steady_growth_is_forecast_to_go_on() {
    let history: Vec<f64> = (0..36).map(|month| 100.0 * 1.02_f64.powi(month)).collect();
    let found = forecast(&history, 2, 12, Method::Ets, 12).expect("forecast");
    for month in 0..12 {
        let known = 100.0 * 1.02_f64.powi(38 + month);
        assert!((found.at(month as usize, 0.0) / known - 1.0).abs() < 0.01, "{month}: {} {known}", found.at(month as usize, 0.0));
    }
    assert!(forecast(&history[..23], 0, 12, Method::Auto, 12).expect_err("short").contains("24"));
    assert!(forecast(&history[..24], 0, 12, Method::Mstl, 13).expect_err("short").contains("two seasons"));
}

/// Noise that is the same each time, of about this deviation.
fn noise(at: usize, deviation: f64) -> f64 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed >> 40) as f64 / (1_u64 << 24) as f64 - 0.5) * deviation * 12.0_f64.sqrt()
}

#[test]
fn seasons_are_seen_where_there_are_any() {
    let season = |month: usize| 0.3 * (std::f64::consts::TAU * month as f64 / 12.0).sin();
    let value = |month: usize| (4.0 + 0.01 * month as f64 + season(month)).exp();
    let history: Vec<f64> = (0..60).map(|month| value(month) * noise(month, 0.02).exp()).collect();
    let found = forecast(&history, 0, 12, Method::Auto, 12).expect("forecast");
    assert_eq!(found.method, "MSTL");
    for month in 0..12 {
        assert!(
            (found.at(month, 0.0) / value(60 + month) - 1.0).abs() < 0.1,
            "{month}: {} {}",
            found.at(month, 0.0),
            value(60 + month)
        );
    }
    let plain: Vec<f64> = (0..60).map(|month| (4.0 + 0.01 * month as f64 + noise(month, 0.05)).exp()).collect();
    assert_eq!(forecast(&plain, 0, 12, Method::Auto, 12).expect("forecast").method, "ETS");
}

#[test]
fn the_fan_has_the_mean_and_the_spread_of_its_forecast_and_repeats_by_its_seed() {
    let history: Vec<f64> = (0..48).map(|month| (4.0 + 0.01 * month as f64 + noise(month, 0.1)).exp()).collect();
    let found = forecast(&history, 0, 24, Method::Ets, 12).expect("forecast");
    assert!(found.spread.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12), "what is farther is less certain: {:?}", found.spread);
    for (count, common) in [(400, 0.95), (50, 0.95), (9, 0.95), (9, 1.0), (9, 0.0), (2, 0.5)] {
        let paths = fan(&found, count, common, 7);
        for month in 0..24 {
            let logs: Vec<f64> = paths.iter().map(|path| path[month].ln()).collect();
            let mean = logs.iter().sum::<f64>() / count as f64;
            let deviation = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / count as f64).sqrt();
            assert!((mean - found.middle[month]).abs() < 1e-9, "{count} {common} {month}");
            assert!(near(deviation, found.spread[month]), "{count} {common} {month}: {deviation} {}", found.spread[month]);
        }
    }
    let one = fan(&found, 1, 0.95, 7);
    assert!((one[0][5] / found.at(5, 0.0) - 1.0).abs() < 1e-12, "a single path is the middle");
    let paths = fan(&found, 400, 0.95, 7);
    assert_eq!(paths, fan(&found, 400, 0.95, 7));
    assert_ne!(paths, fan(&found, 400, 0.95, 8));
}

#[test]
fn training_by_a_date_takes_what_a_hand_reckons() {
    let training =
        "training = { model = \"llama-3-70b\", dtype = \"bf16\", tokens = 2e12, length = 8192, from = 3, by = \"2027-08\" }";
    let demand = drawn("training", training, "", "");
    let [scenario] = demand.as_slice() else { panic!("one scenario, not {}", demand.len()) };
    let path = &scenario.cu["mine"];
    let flops = Model::named("llama-3-70b").expect("known").training_flops(8192.0);
    let known = 2e12 * flops / (TRAINING * KEPT * definition().reference.rates["mm.bf16"]) / (6.0 * 730.0 * 3600.0);
    assert!(
        path.iter().enumerate().all(|(month, cu)| if (2..8).contains(&month) { near(*cu, known) } else { *cu == 0.0 }),
        "{path:?}"
    );
}

#[test]
fn tokens_per_second_scale_with_what_the_reference_serves() {
    let serving = |model: &str, tokens: f64| {
        let demand = format!(
            "path = [{}]\nunit = \"tokens/s\"\nserving = {{ model = \"{model}\", dtype = \"bf16\", prompt = 1000, answer = 1000 }}",
            vec![format!("{tokens:.1}"); 12].join(", ")
        );
        drawn(&format!("tokens-{model}-{tokens}"), &demand, "", "")[0].cu["mine"][0]
    };
    let (one, ten, large) = (serving("llama-3-8b", 1000.0), serving("llama-3-8b", 10_000.0), serving("llama-3-70b", 1000.0));
    assert!(near(ten, 10.0 * one) && large > 4.0 * one && large < 20.0 * one, "{one} {ten} {large}");
    // One reference device serves an 8B model at some thousands of tokens a second.
    assert!((0.05..1.0).contains(&one), "{one}");
    assert_eq!(Weights::named("bf16").map(Weights::bytes), Ok(2.0));
}
