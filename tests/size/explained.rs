//! What a sizing hangs on: swings and flips of cases whose answer can be told by hand.

use assay::reserve::{Case, Effort, Swing, answer, drivers, explain};

/// Demand of 16 to 80 CU in five scenarios, a commitment at 26,000 of a flexible price of 40,000: six units, by the quantile that
/// is exceeded with probability 26/40 (newsvendor).
fn swing(input: &str) -> Swing {
    let case: Case = serde_json::from_str(include_str!("cases/open-01-newsvendor.json")).expect("a case");
    let (answer, _) = answer(&case.problem().expect("well formed"), Effort::default()).expect("solved");
    let swings = explain(&case, &answer.plan, &drivers(), Effort::default(), &|| ()).expect("solved");
    swings.into_iter().find(|swing| swing.input == input).expect(input)
}

#[test]
fn a_flip_lies_where_the_quantile_moves() {
    // Six units serve 48 CU, exceeded with probability 0.4, met with 0.7. They are right while 26/40 of the price ratio lies
    // between: flexible prices from 26/0.7 = 37,143 to 26/0.4 = 65,000, of which the range sees the first.
    let swing = swing("flexible prices");
    let below = swing.flips_below.expect("inside the range");
    assert!((below.at - 26.0 / 0.7 / 40.0).abs() < 0.01, "{below:?}");
    assert_eq!(below.first_orders.iter().map(|line| line.units).sum::<u32>(), 4, "{below:?}");
    assert_eq!(swing.flips_above, None, "65,000 is past the range");
}

#[test]
fn cost_answers_to_demand_and_not_to_what_plays_no_part() {
    let demand = swing("demand");
    let (low, high) = demand.cost_at_low.zip(demand.cost_at_high).expect("feasible");
    assert!(low.amount() < 2_400_000.0 && high.amount() > 2_400_000.0, "{demand:?}");
    let capacity = swing("flexible capacity");
    assert_eq!((capacity.cost_at_low, capacity.flips_above), (capacity.cost_at_high, None), "it has no cap here");
}
