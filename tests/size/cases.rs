//! The shipped cases and their known answers.

use assay::reserve::{Answer, Case, Effort, answer};
use serde_json::Value;
use std::{path::PathBuf, time::Instant};

pub const CASES: [&str; 3] = ["open-01-newsvendor", "open-02-growth-ladder", "open-03-own-budget-share"];

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/size/cases").join(name);
    std::fs::read_to_string(path).expect("a shipped case")
}

fn case(name: &str) -> Case {
    serde_json::from_str(&read(&format!("{name}.json"))).expect("a sizing case")
}

fn answered(name: &str) -> Answer {
    answer(&case(name).problem().expect("well formed"), Effort::default()).expect("solved").0
}

fn agrees(printed: &Value, known: &Value) -> bool {
    match (printed.as_f64(), known.as_f64()) {
        (Some(printed), Some(known)) => (printed - known).abs() <= f64::max(0.01, 1e-6 * known.abs()),
        _ => printed == known,
    }
}

#[test]
fn every_shipped_case_gives_its_known_answer() {
    for name in CASES {
        let known: Value = serde_json::from_str(&read(&format!("{name}.answer.json"))).expect("an answer");
        let answer = answered(name);
        assert_eq!(answer.solver, if cfg!(feature = "highs") { "HiGHS" } else { "microlp" });
        let printed = serde_json::to_value(answer).expect("plain data");
        for (field, known) in known.as_object().expect("an object") {
            if !["second_best_cost", "second_best_plan", "plans_enumerated"].contains(&field.as_str()) {
                assert!(agrees(&printed[field], known), "{name}: {field} is {}, known is {known}", printed[field]);
            }
        }
    }
}

#[test]
fn the_relaxation_is_a_bound_and_no_trivial_one() {
    for name in CASES {
        let answer = answered(name);
        let (bound, cost) = (answer.lp_bound.amount(), answer.optimal_cost.amount());
        assert!(bound <= cost && bound > 0.5 * cost, "{name}: {bound} of {cost}");
        assert!(answer.proved && answer.gap == 0.0 && answer.lower_bound <= answer.optimal_cost, "{name}: {answer:?}");
    }
}

#[test]
fn worked_cases_are_quick() {
    for name in CASES {
        let fastest = (0..5)
            .map(|_| {
                let begin = Instant::now();
                assert!(answered(name).feasible);
                begin.elapsed()
            })
            .min();
        // An idle machine takes a few milliseconds; this one may be busy.
        assert!(fastest.is_some_and(|fastest| fastest.as_millis() < 500), "{name} took {fastest:?}");
    }
}

#[test]
fn an_ill_formed_case_is_refused_by_name() {
    type Spoil = fn(&mut Case);
    let spoilt: [(Spoil, &str); 7] = [
        (|case| case.schema = "assay-sizing-case/2".into(), "assay-sizing-case/1"),
        (|case| case.demand[0].prob = 0.5, "sum to"),
        (|case| case.options[0].of = "nothing".into(), "nothing"),
        (|case| case.options[1].term = None, "term"),
        (|case| case.types[0].availability = 0.0, "availability"),
        (|case| case.options[0].per_period = f64::NAN, "per_period"),
        (|case| drop(case.demand[1].cu.insert("serve".into(), vec![1.0])), "periods"),
    ];
    for (spoil, word) in spoilt {
        let mut case = case(CASES[0]);
        spoil(&mut case);
        let wrong = case.problem().expect_err(word);
        assert!(wrong.to_string().contains(word), "{wrong} lacks {word}");
    }
}
