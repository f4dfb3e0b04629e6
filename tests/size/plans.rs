//! Plan files: what `size init` writes solves as it stands, figures are those of a hand, and every one says where it comes from.

use super::support::{folder, run, size, text, utf8, written};
use assay::reserve::{Case, Effort, Failures, answer, input};
use input::{Grade, Planned};
use serde_json::Value;
use std::path::Path;

/// One type, one commitment, ten CU in every month: a plan whose cost a hand reckons.
pub const SMALL: &str = r#"schema = "assay-plan/1"
name = "by hand"
start = "2027-01"
months = 12
currency = "USD"
hours_per_month = 730

[limits]
shortfall_per_cu_month = 1000

[[demand]]
class = "mine"
path = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]

[[type]]
id = "box"
provider = "shop"
cu = { mine = 4.0 }
source = "its maker"

[[offer]]
id = "year"
type = "box"
kind = "commitment"
hourly = 2.0
term_months = 12
upfront = 500
"#;

fn planned(name: &str, plan: &str) -> Planned {
    input::plan(&written(name, plan)).expect("a good plan")
}

fn cost(case: &Case) -> f64 {
    answer(&case.problem().expect("well formed"), Effort::default()).expect("solved").0.optimal_cost.amount()
}

fn near(found: f64, known: f64) -> bool {
    (found / known - 1.0).abs() < 1e-9
}

#[test]
fn what_init_writes_solves_as_it_stands() {
    let folder = folder("init");
    let (plan, card) = (folder.join("plan.toml"), folder.join("card.csv"));
    assert_eq!(size(&["init", "-o", utf8(&plan), "--prices", utf8(&card)]).status.code(), Some(0));
    assert!(std::fs::read_to_string(&plan).expect("written").contains("\nprices = \"card.csv\"\n"));
    let printed = run(&["size", utf8(&plan), "--json"], Some(0));
    let document: Value = serde_json::from_str(&printed).expect("one document");
    assert!(document["gap"].as_f64().is_some_and(|gap| gap < 0.02), "{}", document["gap"]);
    assert!(document["plan"].as_array().is_some_and(|orders| !orders.is_empty()));
    let again = size(&["init", "-o", utf8(&plan)]);
    assert!(again.status.code() == Some(2) && text(&again.stderr).contains("--force"), "{}", text(&again.stderr));
    assert_eq!(text(&size(&["init"]).stdout), input::TEMPLATE);
}

#[test]
fn a_card_that_is_written_out_gives_the_same_case() {
    let folder = folder("same");
    let (with, without) = (folder.join("with.toml"), folder.join("without.toml"));
    size(&["init", "-o", utf8(&with), "--prices", utf8(&folder.join("card.csv"))]);
    size(&["init", "-o", utf8(&without)]);
    let problem = |path: &Path| input::plan(path).expect("good").case.problem().expect("well formed");
    assert!(problem(&with) == problem(&without));
}

#[test]
fn one_type_and_one_offer_cost_what_a_hand_reckons() {
    // Three boxes of 4 CU serve ten; two would leave 2 CU for 1,000 a month each.
    let year = 500.0 + 12.0 * 2.0 * 730.0;
    assert!(near(cost(&planned("hand", SMALL).case), 3.0 * year));
    // Amounts of any size are told as they are: a billion of CU at these prices is five trillions.
    let many = planned("many", &SMALL.replace(" 10, ", " 1e9, ").replace("[10,", "[1e9,").replace("10]", "1e9]"));
    assert!(near(cost(&many.case), 2.5e8 * year));
    // Half of the term upfront, discounted fees: payments of month t count 1.21^-(t-1)/12.
    let upfront = SMALL.replace("upfront = 500", "upfront_share = 0.5").replace("hours", "discount_rate = 0.21\nhours");
    let half = 12.0 * 2.0 * 730.0 / 2.0;
    let fees: f64 = (0..12).map(|month| half / 12.0 * 1.21_f64.powf(-f64::from(month) / 12.0)).sum();
    assert!(near(cost(&planned("upfront", &upfront).case), 3.0 * (half + fees)));
    // A unit that is down a fifth of the time delivers so much less: three leave 0.4 CU unserved, which is cheaper than a fourth.
    let failing = SMALL.replace("source =", "failures = { per_node_day = 0.1, repair_days = 2.5 }\nsource =");
    assert!(near(planned("failing", &failing).case.types[0].cu["mine"], 4.0 / 1.25));
    assert!(near(cost(&planned("failing", &failing).case), 3.0 * year + 12.0 * 0.4 * 1000.0));
}

#[test]
fn what_is_owed_after_the_horizon_stands_beside_a_cost_that_leaves_it_out() {
    let two = SMALL
        .replace("cu = { mine = 4.0 }", "cu = { mine = 1.0 }")
        .replace("hourly = 2.0\nterm_months = 12\nupfront = 500", "hourly = 7.0\nterm_months = 12")
        .replace("shortfall_per_cu_month = 1000", "shortfall_per_cu_month = 100000")
        + "\n[[offer]]\nid = \"long\"\ntype = \"box\"\nkind = \"commitment\"\nhourly = 5.0\nterm_months = 36\n";
    let (month, path) = (10.0 * 730.0, written("owed", &two));
    let document: Value = serde_json::from_str(&run(&["size", utf8(&path), "--json"], Some(0))).expect("one document");
    let figure = |at: &str| document.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("{at}: {document}"));
    assert!(near(figure("/optimal_cost"), 12.0 * 5.0 * month) && document["plan"][0]["option"] == "long");
    // It runs for two years more, which a year of the dearer offer would not: all counted, that is cheaper.
    assert_eq!(figure("/figures/orders/0/active_to"), 36.0);
    assert!(near(figure("/figures/orders/0/owed_after_horizon"), 24.0 * 5.0 * month));
    assert!(near(figure("/figures/after_horizon/owed"), 24.0 * 5.0 * month));
    assert!(near(figure("/figures/after_horizon/cost_if_counted"), 36.0 * 5.0 * month));
    assert!(near(figure("/figures/after_horizon/least_if_counted"), 12.0 * 7.0 * month));
    let sheet = run(&["size", utf8(&path), "--plain"], Some(0));
    for word in
        ["2029-12", "owed after the horizon", "876,000", "not in the cost above", "another plan is cheaper: it costs 613,200"]
    {
        assert!(sheet.contains(word), "{word} is missing in\n{sheet}");
    }
    let full = written("full", &two.replace("hours_per", "tail = \"full\"\nhours_per"));
    let document: Value = serde_json::from_str(&run(&["size", utf8(&full), "--json"], Some(0))).expect("one document");
    assert!(document["plan"][0]["option"] == "year" && document["figures"]["after_horizon"].is_null(), "{document}");
    // Half of three years paid at the order: two thirds of that are for later.
    let ahead = two.replace("term_months = 36", "term_months = 36\nupfront_share = 0.5");
    let document: Value =
        serde_json::from_str(&run(&["size", utf8(&written("ahead", &ahead)), "--json"], Some(0))).expect("one document");
    let told = |at: &str| document.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("{at}: {document}"));
    assert!(near(told("/figures/after_horizon/paid_ahead"), 12.0 * 5.0 * month), "{document}");
    assert!(near(told("/figures/after_horizon/owed"), 12.0 * 5.0 * month), "{document}");
}

#[test]
fn a_job_waits_for_a_node_that_is_missing_or_has_spares_for_it() {
    let job = SMALL
        .replace(
            "class = \"mine\"",
            "class = \"mine\"\nsynchronous = { nodes = 64, checkpoint_seconds = 30, restart_seconds = 600 }",
        )
        .replace("source =", "failures = { per_node_day = 0.0065, repair_days = 5 }\nsource =");
    let spared = job.replace("source =", "spares = { nodes = 64, assurance = 0.999 }\nsource =");
    let worth = |name: &str, plan: &str| planned(name, plan).case.types[0].cu["mine"] / 4.0;
    let goodput = assay::reserve::goodput(Failures::of_nodes(64, 0.0065, 30.0, 600.0)).share;
    // All of 64 nodes, each down a share 0.0325 / 1.0325; or 64 of 72.
    assert!(near(worth("waits", &job), goodput * 1.0325_f64.powi(-64)), "{}", worth("waits", &job));
    let found = worth("spared", &spared) / (goodput * 64.0 / 72.0);
    assert!((0.999..1.0).contains(&found), "{found}");
    let many = job.replace("nodes = 64", "nodes = 2048");
    let refused = input::plan(&written("many", &many)).expect_err("never all up").to_string();
    assert!(refused.contains("line 13") && refused.contains("spares = { nodes = 2048"), "{refused}");
    let few = spared.replace("spares = { nodes = 64", "spares = { nodes = 8");
    let refused = input::plan(&written("few", &few)).expect_err("too few").to_string();
    assert!(refused.contains("spares are for 8 nodes") && refused.contains("needs 64 at once"), "{refused}");
}

#[test]
fn own_hardware_costs_capital_power_and_hosting() {
    let own = SMALL.replace("kind = \"commitment\"\nhourly = 2.0\nterm_months = 12\nupfront = 500", "kind = \"own\"\ncapex = 12000\nterm_months = 24\nlead_months = 0\npower_kw = 2\npue = 1.5\nenergy_per_kwh = 0.1\nhosting_monthly = 40");
    // Twelve of its 24 months count.
    let each = 6000.0 + 12.0 * (2.0 * 1.5 * 0.1 * 730.0 + 40.0);
    assert!(near(cost(&planned("own", &own).case), 3.0 * each));
}

#[test]
fn classes_of_a_persons_own_are_converted() {
    let place = folder("classes");
    let own = "[[class]]\nname = \"mine\"\nitem = \"prompt\"\n\
        work.prefill = { model = \"llama-3-70b\", dtype = \"fp8\", length = 5000, width = 2 }\n";
    std::fs::write(place.join("own.toml"), own).expect("a temporary file");
    let plan = SMALL
        .replace("cu = { mine = 4.0 }\nsource = \"its maker\"", "published = \"h200\"\ndevices = 8")
        .replace("currency", "classes = \"own.toml\"\ncurrency");
    let path = place.join("plan.toml");
    std::fs::write(&path, &plan).expect("a temporary file");
    let planned = input::plan(&path).expect("a good plan");
    let known = assay::capacity::own_classes(own, |_| unreachable!("no file is named")).expect("good classes");
    let class = known.iter().find(|class| class.name == "mine").expect("there");
    let vectors = assay::capacity::Published::named("h200").expect("published").rates();
    let each = assay::capacity::units(class, &vectors.into_iter().collect()).expect("has all it takes");
    assert!(near(planned.case.types[0].cu["mine"], 8.0 * each), "{each}");
    let source = planned.sources.iter().find(|source| source.figure == "CU of box for mine").expect("cited");
    assert!(source.how.contains("class of own.toml"), "{source:?}");
    std::fs::write(place.join("own.toml"), own.replace("5000", "0.5")).expect("a temporary file");
    let refused = input::plan(&path).expect_err("half a token").to_string();
    assert!(refused.contains("plan.toml, line 5") && refused.contains("own.toml") && refused.contains("0.5"), "{refused}");
    std::fs::remove_file(place.join("own.toml")).expect("was there");
    assert!(input::plan(&path).expect_err("no file").to_string().contains("own.toml cannot be read"));
}

#[test]
fn a_block_is_paid_at_the_order() {
    let block = SMALL
        .replace("cu = { mine = 4.0 }", "instance = \"p5.48xlarge\"\nregion = \"us-east-1\"\ncu = { mine = 4.0 }")
        .replace("provider = \"shop\"", "provider = \"aws\"")
        .replace(
            "kind = \"commitment\"\nhourly = 2.0\nterm_months = 12\nupfront = 500",
            "kind = \"block\"\ncard = \"capacity_block\"\nterm_months = 6",
        );
    let option = &planned("block", &block).case.options[0];
    assert!(near(option.upfront, 39.33 * 730.0 * 6.0) && option.per_period == 0.0 && option.term == Some(6));
}

#[test]
fn every_figure_says_where_it_comes_from() {
    let folder = folder("cited");
    let plan = folder.join("plan.toml");
    size(&["init", "-o", utf8(&plan)]);
    let planned = input::plan(&plan).expect("good");
    let lines: Vec<String> = input::TEMPLATE.lines().map(str::to_owned).collect();
    let worth = planned.sources.iter().find(|source| source.figure == "CU of h100 for serve-chat").expect("cited");
    assert_eq!((worth.grade, worth.unit.as_str()), (Grade::Published, "CU"));
    assert!(
        lines[worth.line.expect("a line") - 1].starts_with("published = \"h100_sxm\"") && worth.how.contains("REF-0"),
        "{worth:?}"
    );
    let price = planned.sources.iter().find(|source| source.figure == "price of h100 on demand").expect("cited");
    let card = include_str!("../../data/price_card.csv").lines().nth(price.line.expect("a line") - 1).expect("there");
    assert!(card.starts_with("aws,p5.48xlarge") && near(price.value, 55.04 * 730.0), "{price:?}");
    for figure in ["demand of serve-chat", "cost of shortfall", "service floor", "upfront of own b200", "upfront budget"] {
        let cited = planned.sources.iter().find(|source| source.figure.starts_with(figure));
        assert!(cited.is_some_and(|cited| cited.line.is_some() && !cited.how.is_empty()), "{figure}: {cited:?}");
    }
    let sheet = run(&["size", utf8(&plan), "--plain"], Some(0));
    for figure in planned.sources.iter().map(|source| &source.figure) {
        assert!(sheet.contains(figure.as_str()), "{figure} is missing in\n{sheet}");
    }
}

#[test]
fn what_stands_on_published_rates_says_so_in_every_line() {
    let plan = folder("labelled").join("plan.toml");
    size(&["init", "-o", utf8(&plan)]);
    let document: Value = serde_json::from_str(&run(&["size", utf8(&plan), "--json"], Some(0))).expect("one document");
    let orders = document["plan"].as_array().expect("orders");
    assert!(!orders.is_empty() && orders.iter().all(|order| order["cu"] == "published"), "{orders:?}");
    let sheet = run(&["size", utf8(&plan), "--plain"], Some(0));
    for order in orders {
        let name = order["option"].as_str().expect("a name");
        let mut lines = sheet.lines().filter(|line| line.trim_start().starts_with(name));
        let first = lines.next().expect("shown");
        assert!(first.contains("published") && lines.all(|line| line.contains("published")), "{sheet}");
    }
    // A stated figure bears no such mark.
    let stated = run(&["size", utf8(&written("stated", SMALL)), "--json"], Some(0));
    assert!(!stated.contains("\"cu\": \"published\""), "{stated}");
}

#[test]
fn the_same_plan_gives_the_same_case_and_another_seed_another() {
    let line = |month: i32| {
        let value = 50.0 * (1.02_f64.powi(month) + 0.05 * f64::from(month % 5));
        format!("{}-{:02},{value:.3}\n", 2024 + month / 12, 1 + month % 12)
    };
    let history = (0..36).map(line).collect::<Vec<_>>().concat();
    let folder = folder("seeds");
    std::fs::write(folder.join("demand.csv"), format!("month,value\n{history}")).expect("written");
    let case = |seed: u64| {
        let plan = SMALL.replace("path = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]", "history = \"demand.csv\"");
        let path = folder.join("plan.toml");
        std::fs::write(&path, plan.replace("hours_per", &format!("seed = {seed}\nscenarios = 20\nhours_per"))).expect("written");
        serde_json::to_string(&input::plan(&path).expect("good").case).expect("plain data")
    };
    assert_eq!(case(1), case(1));
    assert_ne!(case(1), case(2));
}

#[test]
fn the_documented_example_gives_the_documented_answer() {
    let page = include_str!("../../docs/plan.md");
    let between = |mark: &str| {
        let rest = page.split(&format!("<!-- {mark} -->\n")).nth(1).expect("begins");
        rest.split(&format!("<!-- /{mark} -->")).next().expect("ends").to_owned()
    };
    let plan = between("example").replace("```toml\n", "").replace("```\n", "");
    let document: Value =
        serde_json::from_str(&run(&["size", utf8(&written("page", &plan)), "--json"], Some(0))).expect("one document");
    let found = format!(
        "    optimal_cost {}\n    units {}\n",
        document["optimal_cost"].as_f64().expect("a cost"),
        document["plan"][0]["units"]
    );
    assert_eq!(found, between("answer"));
}

#[test]
fn every_key_is_described() {
    let page = include_str!("../../docs/plan.md");
    let keys = include_str!("../../src/reserve/input/file.rs")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
    let keys: Vec<&str> = keys
        .map(|(key, _)| key)
        .filter(|key| !key.contains(' ') && !["of", "types", "offers", "demands", "regimes"].contains(key))
        .collect();
    assert!(keys.len() > 60, "{keys:?}");
    for key in keys {
        let words = page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        assert!(words.into_iter().any(|word| word == key), "{key} is missing in docs/plan.md");
    }
}

#[test]
fn all_that_a_case_can_say_a_plan_can_say() {
    let rich = SMALL
        .replace("= 1000\n", "= 1000\nyearly_budget = [\"60000 USD\"]\nregion_caps = { east = 8 }\nprovider_caps = { shop = 9 }\n\n[risk]\ncvar_weight = 0.3\ncvar_tail = 0.1\n")
        .replace("source =", "region = \"east\"\nowned = 2\nowned_until = \"2027-03\"\nsource =")
        .replace("upfront = 500", "upfront = 500\nstep = 2\nsalvage = 50\nmin_total = 2\nmax_total = 6\nprice_steps = [{ month = 3, times = 0.5 }, { month = \"2027-05\", times = 2 }]")
        + "\n[[scenario]]\nname = \"dear\"\nprobability = 1\ncu_times = { box = 0.9 }\nprice_steps = [{ offer = \"year\", month = 2, times = 1.5 }]\n";
    let case = planned("rich", &rich).case;
    let (kind, offer, demand, limits) = (&case.types[0], &case.options[0], &case.demand[0], &case.constraints);
    assert_eq!((kind.region.as_str(), &kind.owned[..4], kind.owned.len()), ("east", &[2.0, 2.0, 2.0, 0.0][..], 12));
    assert_eq!((offer.step, offer.salvage, offer.min_total, offer.max_total), (Some(2), 50.0, Some(2.0), Some(6.0)));
    assert_eq!(offer.price_path.as_deref().map(|path| &path[..6]), Some(&[1.0, 1.0, 0.5, 0.5, 2.0, 2.0][..]));
    assert_eq!(
        (demand.name.as_deref(), demand.cu_factor["box"], &demand.price_path["year"][..3]),
        (Some("dear"), 0.9, &[1.0, 1.5, 1.5][..])
    );
    assert_eq!(
        (limits.yearly_budget.as_slice(), limits.region_caps["east"], limits.provider_caps["shop"]),
        (&[60_000.0][..], 8.0, 9.0)
    );
    assert_eq!((limits.cvar_weight, limits.cvar_tail, case.currency.as_deref()), (Some(0.3), Some(0.1), Some("USD")));
    assert!(kind.source.as_ref().is_some_and(|source| source.contains("its maker")) && offer.source.is_some());
    assert!(case.problem().is_ok());
}

#[test]
fn a_cu_hour_is_priced_by_the_hours_of_the_plan_and_months_are_of_its_calendar() {
    for hours in [672.0, 730.0, 744.0] {
        let plan = SMALL.replace("hours_per_month = 730", &format!("hours_per_month = {hours}"));
        let path = written(&format!("hours-{hours}"), &plan);
        let document: Value = serde_json::from_str(&run(&["size", utf8(&path), "--json"], Some(0))).expect("one document");
        let told = document.pointer("/figures/options/0/per_cu_hour/mine").and_then(Value::as_f64).expect("a price");
        // Four CU for 2 an hour, and 500 over the hours of twelve months.
        assert!(near(told, (2.0 + 500.0 / (12.0 * hours)) / 4.0), "{hours}: {told}");
        let sheet = run(&["size", utf8(&path), "--plain"], Some(0));
        assert!(sheet.contains("2027-01") && sheet.contains("2027-12"), "{sheet}");
    }
}
