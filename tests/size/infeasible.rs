//! What cannot be: each kind of constraint is named, with the least that it must give, told by hand for one small case.

use assay::reserve::{Broken, Case, Effort, answer};
use std::collections::BTreeMap;

/// Twelve months without flexible capacity; ten units, at 26,000 a month and 1,000 upfront, serve the largest demand of 80 CU.
fn case(spoil: impl Fn(&mut Case)) -> Case {
    let mut case: Case = serde_json::from_str(include_str!("cases/open-01-newsvendor.json")).expect("a case");
    case.options[0].max_units = Some(0.0);
    case.options[1].upfront = 1_000.0;
    case.types[0].region = "north".into();
    spoil(&mut case);
    case
}

/// What would be enough, by the beginning of a constraint's name.
fn relief(name: &str, spoil: impl Fn(&mut Case)) -> Broken {
    let problem = case(spoil).problem().expect("well formed");
    let (answer, _) = answer(&problem, Effort::default()).expect("answered");
    assert!(!answer.feasible && !answer.broken.is_empty(), "{name}: {answer:?}");
    let found = answer.relief.iter().find(|broken| broken.constraint.starts_with(name));
    found.unwrap_or_else(|| panic!("{name} is not among {:?}", answer.relief)).clone()
}

#[test]
fn the_case_itself_has_a_plan() {
    let (answer, _) = answer(&case(|_| ()).problem().expect("well formed"), Effort::default()).expect("answered");
    assert!(answer.feasible && answer.plan[0].units == 10 && answer.relief.is_empty(), "{answer:?}");
}

#[test]
fn each_kind_of_constraint_says_by_how_much_it_must_give() {
    type Spoil = fn(&mut Case);
    let kinds: [(&str, f64, Spoil); 9] = [
        ("upfront budget", 1_000.0, |case| case.constraints.upfront_budget = Some(9_000.0)),
        ("budget of year 1", 130_000.0, |case| case.constraints.yearly_budget = vec![3_000_000.0]),
        ("units of provider p1", 1.0, |case| case.constraints.provider_caps = BTreeMap::from([("p1".into(), 9.0)])),
        ("units in region north", 2.0, |case| case.constraints.region_caps = BTreeMap::from([("north".into(), 8.0)])),
        ("max_total of h100x8-1y", 3.0, |case| case.options[1].max_total = Some(7.0)),
        ("max_units of h100x8-1y", 1.0, |case| case.options[1].max_units = Some(9.0)),
        // All of 960 CU-periods are one provider's, of whose share half of them are too many.
        ("share of provider p1", 480.0, |case| case.constraints.max_provider_share = Some(0.5)),
        ("min_total of h100x8-1y", 1.0, |case| {
            case.options[1].min_total = Some(11.0);
            case.options[1].max_total = Some(10.0);
        }),
        // Nine units serve every scenario but the last, of probability 0.15.
        ("min_service_probability", 0.14, |case| case.options[1].max_units = Some(9.0)),
    ];
    for (name, by, spoil) in kinds {
        let found = relief(name, spoil);
        assert!((found.by - by).abs() <= 1e-3 * by.max(0.1), "{name}: {found:?}, by hand {by}");
    }
}

#[test]
fn limits_that_no_single_one_can_mend_are_told_together() {
    let spoilt = case(|case| {
        case.constraints.upfront_budget = Some(9_000.0);
        case.constraints.provider_caps = BTreeMap::from([("p1".into(), 9.0)]);
    });
    let (answer, _) = answer(&spoilt.problem().expect("well formed"), Effort::default()).expect("answered");
    let by = |name: &str| answer.broken.iter().find(|broken| broken.constraint.starts_with(name)).map(|broken| broken.by);
    assert_eq!((by("upfront budget"), by("units of provider p1")), (Some(1_000.0), Some(1.0)), "{answer:?}");
}
