//! The figures beside a plan, told by hand for the newsvendor: six units of 8 CU at 26,000, against 40,000 on demand.

use assay::reserve::{Case, Effort, Figures, Shape, answer_with, figures, generate, solve};

fn newsvendor(change: impl Fn(&mut Case)) -> Figures {
    let mut case: Case = serde_json::from_str(include_str!("cases/open-01-newsvendor.json")).expect("a case");
    change(&mut case);
    let problem = case.problem().expect("well formed");
    let (_, solved, known) = answer_with(&problem, Effort::default()).expect("solved");
    figures(&case, &problem, &solved, known.as_deref(), Effort::default()).expect("reckoned")
}

fn near(value: f64, hand: f64) -> bool {
    (value - hand).abs() <= 1e-9 * hand.abs().max(1.0)
}

#[test]
fn every_figure_is_what_a_hand_makes_it() {
    let figures = newsvendor(|_| ());
    let option = |id: &str| figures.options.iter().find(|option| option.option == id).expect(id);
    let commit = option("h100x8-1y");
    assert!(
        near(commit.per_cu_hour["serve"], 26_000.0 / 8.0 / 730.0)
            && near(option("h100x8-od").per_cu_hour["serve"], 5_000.0 / 730.0)
    );
    assert_eq!(commit.against.as_deref(), Some("h100x8-od"));
    assert!(
        commit.break_even_today.is_some_and(|share| near(share, 0.65))
            && commit.break_even_over_term.is_some_and(|s| near(s, 0.65))
    );
    // Of 48 CU, 32 are idle with probability 0.1 and 16 with 0.2, through twelve months.
    assert!(near(figures.stranded_cu_months, 12.0 * 6.4) && figures.stranded_share.is_some_and(|s| near(s, 6.4 / 48.0)));
    let regret = figures.regret.expect("small");
    assert!(near(regret.mean.amount(), 434_400.0), "the mean regret is the value of perfect information: {regret:?}");
    // Demand of 16 CU would have taken two units, demand of 80 CU ten.
    let worst = f64::max(4.0 * 26_000.0 * 12.0, 4.0 * 14_000.0 * 12.0);
    assert!(near(regret.most.amount(), worst), "{:?}", regret.most);
    // The mean is 50.4 CU: 6.3 units, of which the seventh is used less than 0.65 of the time.
    assert!(near(figures.mean_plan_cost.expect("small").amount(), 2_400_000.0) && near(figures.vss.expect("small").amount(), 0.0));
    let rule = &figures.without_forecast[0];
    assert_eq!((rule.months, rule.window, rule.at_most), (8, 12, 2.0), "26/40 of 12 months, rounded up");
    let order = &figures.orders[0];
    assert_eq!((order.needed_from, order.decide_by, order.active_to), (Some(1), Some(1), 12));
    let cover = &figures.months[0].classes["serve"];
    assert_eq!((cover.committed_cu, cover.demand_p50, cover.demand_p90, cover.demand_p95), (48.0, 48.0, 80.0, 80.0));
    assert!(near(figures.months[0].flexible_cu, 0.25 * 16.0 + 0.15 * 32.0));
}

#[test]
fn what_no_class_needs_is_stranded() {
    let mut document: serde_json::Value = serde_json::from_str(include_str!("cases/open-01-newsvendor.json")).expect("a document");
    document["classes"] = serde_json::json!(["serve", "train"]);
    // Boxes serve 8 CU or train 4, mules train 5 alone; both are owned, so that nothing needs to be ordered.
    document["types"] = serde_json::json!([
        { "id": "box", "provider": "shop", "cu": { "serve": 8.0, "train": 4.0 }, "owned": 5.0 },
        { "id": "mule", "provider": "shop", "cu": { "train": 5.0 }, "owned": 2.0 }
    ]);
    document["options"] = serde_json::json!([{ "id": "hired", "type": "box", "kind": "flex", "per_period": 5000.0 }]);
    let path = |cu: f64| vec![cu; 12];
    document["demand"] = serde_json::json!([
        { "prob": 0.5, "cu": { "serve": path(24.0), "train": path(14.0) } },
        { "prob": 0.5, "cu": { "serve": path(48.0), "train": path(0.0) } }
    ]);
    document["constraints"] = serde_json::json!({ "shortfall_penalty_per_cu_period": 50000.0 });
    let case: Case = serde_json::from_value(document).expect("a case");
    let problem = case.problem().expect("well formed");
    let (_, solved, known) = answer_with(&problem, Effort::default()).expect("solved");
    let figures = figures(&case, &problem, &solved, known.as_deref(), Effort::default()).expect("reckoned");
    // First scenario: three boxes serve, the mules train 10, and a box the other 4: one box of 8 is idle. Second: a sixth box is
    // hired, and both mules of 5 are idle.
    assert!(near(figures.months[0].stranded_cu, 0.5 * 8.0 + 0.5 * 10.0), "{}", figures.months[0].stranded_cu);
    assert!(near(figures.stranded_cu_months, 12.0 * 9.0) && figures.stranded_share.is_some_and(|share| near(share, 9.0 / 50.0)));
}

#[test]
fn an_order_is_to_be_decided_its_lead_before_it_is_needed() {
    let figures = newsvendor(|case| {
        case.options[1].lead = 3;
        case.demand.iter_mut().flat_map(|given| given.cu.values_mut()).for_each(|path| path[..5].fill(0.0));
        case.options[1].order_periods = Some(vec![1, 2, 3]);
    });
    assert!(figures.orders.iter().all(|order| (order.needed_from, order.decide_by) == (Some(6), Some(3))), "{:?}", figures.orders);
}

#[test]
fn falling_prices_ask_for_more_use() {
    let figures = newsvendor(|case| case.options[0].price_decline_annual = 0.2);
    let commit = figures.options.iter().find(|option| option.option == "h100x8-1y").expect("there");
    let mean = (0..12).map(|month| 0.8_f64.powf(f64::from(month) / 12.0)).sum::<f64>() / 12.0;
    assert!(commit.break_even_over_term.is_some_and(|share| near(share, 0.65 / mean)), "{commit:?}");
}

#[test]
fn weighing_the_worst_scenarios_costs_on_average_and_saves_there() {
    let mut case = generate(4, Shape { types: 5, periods: 36, scenarios: 50, fleet: 35 });
    let mean = solve(&case.problem().expect("well formed"), Effort::default()).expect("solved");
    case.constraints.cvar_weight = Some(0.7);
    let problem = case.problem().expect("well formed");
    let weighed = solve(&problem, Effort::default()).expect("solved");
    let of_mean = assay::reserve::evaluate(&problem, &mean.plan);
    assert!(weighed.evaluation.feasible() && weighed.evaluation.objective <= of_mean.objective * (1.0 + 1e-9));
    assert!(weighed.evaluation.tail(&problem, 0.05) <= of_mean.tail(&problem, 0.05) * (1.0 + 1e-9));
    assert!(weighed.bound <= weighed.evaluation.objective && weighed.gap() < 0.02, "{}", weighed.gap());
}
