//! What is wrong with a plan file: one sentence that names the file, the line, and the way out; exit code 2, nothing on stdout.

use super::{
    plans::SMALL,
    support::{folder, size, text, utf8, written},
};
use assay::reserve::input;
use std::path::Path;

/// Sizes `SMALL` with `from` replaced; the error must name the line of `at`, which stands in the new text, and say the words.
fn refused(folder: &Path, from: &str, to: &str, at: &str, words: &[&str]) {
    assert!(SMALL.contains(from), "{from} is not in the plan");
    let plan = SMALL.replacen(from, to, 1);
    let line = 1 + plan.lines().position(|line| line.contains(at)).unwrap_or_else(|| panic!("{at} stands nowhere"));
    let path = folder.join("plan.toml");
    std::fs::write(&path, plan).expect("a temporary file");
    let output = size(&[utf8(&path)]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{to}: {stderr}");
    let begin = format!("assay: {}, line {line}: ", path.display());
    assert!(stderr.starts_with(&begin) && stderr.lines().count() == 1, "{to}: {stderr} does not begin with {begin}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{to}: {stderr} lacks {words:?}");
}

/// What is replaced, by what, where the error must point, and its words, apart by bars.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str);

fn all(name: &str, rows: &[Row]) {
    assert!(!rows.is_empty(), "{name}");
    let folder = folder(name);
    for (from, to, at, words) in rows {
        refused(&folder, from, to, at, &words.split('|').collect::<Vec<_>>());
    }
}

#[test]
fn what_is_no_plan_is_refused() {
    all(
        "shape",
        &[
            ("assay-plan/1", "assay-plan/9", "assay-plan/9", "assay-plan/9|reads assay-plan/1"),
            ("months = 12", "months = ", "months = ", ""),
            ("months = 12", "month = 12", "month = 12", "`month` is no key|did you mean `months`"),
            ("months = 12\n", "", "schema", "missing field `months`|size init"),
            ("months = 12", "months = 12.5", "months = 12.5", "12.5"),
            ("months = 12", "months = 0", "months = 0", "between 1 and 600"),
            ("start = \"2027-01\"", "start = 3", "start = 3", "2027-01"),
            ("start = \"2027-01\"", "start = \"May\"", "May", "no month|2027-03"),
            ("name = \"by hand\"", "name = \"by hand\"\nname = \"twice\"", "name = \"twice\"", "duplicate key"),
            ("hourly = 2.0", "hourlie = 2.0", "hourlie", "did you mean `hourly`"),
            ("kind = \"commitment\"", "kind = \"lease\"", "lease", "lease|commitment|on-demand"),
        ],
    );
}

#[test]
fn money_that_does_not_add_up_is_refused() {
    all(
        "money",
        &[
            ("currency = \"USD\"", "currency = \"dollars\"", "dollars", "three letters"),
            ("hourly = 2.0", "hourly = \"2.0 EUR\"", "EUR", "in EUR, the plan is in USD|convert"),
            ("hourly = 2.0", "hourly = -2.0", "hourly = -2.0", "not negative"),
            ("shortfall_per_cu_month = 1000", "shortfall_per_cu_month = \"1000\"", "\"1000\"", "no amount|55.04 USD"),
            ("hourly = 2.0", "hourly = 2.0\nmonthly = 5", "id = \"year\"", "exactly one way"),
            ("hourly = 2.0\n", "", "id = \"year\"", "exactly one way|card"),
            ("hourly = 2.0", "card = \"on_demand\"", "card =", "needs the `instance`"),
            ("upfront = 500", "upfront = 500\nupfront_share = 0.5", "upfront = 500", "keep one"),
            ("upfront = 500", "upfront_share = 1.5", "1.5", "between 0 and 1"),
        ],
    );
    let folder = folder("card-currency");
    std::fs::write(
        folder.join("card.csv"),
        "provider,instance,accelerator,count,region,option,term_months,upfront,hourly_eur,as_of,source\nshop,b1,x,8,r,on_demand,0,0,3,2027,s\n",
    )
    .expect("written");
    let plan = SMALL
        .replace("hourly = 2.0", "card = \"on_demand\"")
        .replace("provider = \"shop\"", "provider = \"shop\"\ninstance = \"b1\"");
    std::fs::write(folder.join("plan.toml"), plan.replacen("months = 12\n", "months = 12\nprices = \"card.csv\"\n", 1))
        .expect("written");
    let output = size(&[utf8(&folder.join("plan.toml"))]);
    let stderr = text(&output.stderr);
    assert!(
        output.status.code() == Some(2) && stderr.contains("card.csv, line 2: prices are in EUR, the plan is in USD"),
        "{stderr}"
    );
}

#[test]
fn types_and_offers_that_do_not_fit_are_refused() {
    let cu = "cu = { mine = 4.0 }\nsource = \"its maker\"";
    all(
        "fit",
        &[
            (cu, "", "id = \"box\"", "exactly one way|record|published"),
            (cu, "cu = { mine = 4.0 }", "cu =", "needs its `source`"),
            (cu, "cu = { yours = 4.0 }\nsource = \"x\"", "yours", "no demand is of class yours|mine"),
            (cu, "published = \"h100_sxm\"\ndevices = 8", "class = \"mine\"", "class mine is none of train-bf16|cu = { mine"),
            ("type = \"box\"", "type = \"boxx\"", "boxx", "which no [[type]] has|did you mean `box`"),
            ("term_months = 12\n", "", "kind = \"commitment\"", "needs `term_months`"),
            ("term_months = 12", "term_months = 0", "term_months = 0", "between 1 and 240"),
            ("kind = \"commitment\"", "kind = \"spot\"", "term_months", "`term_months` means nothing|spot"),
            ("upfront = 500", "capex = 500", "capex = 500", "`capex` means nothing"),
            ("upfront = 500", "order_months = [1, 13]", "order_months", "month 13|1 to 12|2027-12"),
            ("upfront = 500", "order_from = 5\norder_until = \"2027-02\"", "id = \"year\"", "can never be ordered"),
            (
                "source = \"its maker\"",
                "source = \"x\"\navailability = 0.9\nfailures = { per_node_day = 0.1, repair_days = 1 }",
                "availability = 0.9",
                "one loss",
            ),
            ("source = \"its maker\"", "source = \"x\"\nspares = { nodes = 8, assurance = 0.99 }", "spares", "`failures`"),
            ("source = \"its maker\"", "source = \"x\"\navailability = 0", "availability = 0", "between"),
            (
                "class = \"mine\"",
                "class = \"mine\"\nsynchronous = { nodes = 4, checkpoint_seconds = 1, restart_seconds = 1 }",
                "synchronous",
                "must say `failures",
            ),
        ],
    );
    let twice = SMALL.to_owned() + "\n[[offer]]\nid = \"year\"\ntype = \"box\"\nkind = \"on-demand\"\nhourly = 9\n";
    let path = folder("twice").join("plan.toml");
    std::fs::write(&path, twice).expect("written");
    assert!(
        text(&size(&[utf8(&path)]).stderr).contains("line 30: offer year is there twice"),
        "{}",
        text(&size(&[utf8(&path)]).stderr)
    );
}

#[test]
fn demand_that_says_too_little_or_too_much_is_refused() {
    let path = "path = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]";
    let growth = "growth = { start = 1, p10 = 0.1, p50 = 0.2, p90 = 0.3 }";
    all(
        "demand",
        &[
            (path, "", "class = \"mine\"", "exactly one way|history"),
            (path, "path = [1, 2]", "path =", "2 months; the plan has 12"),
            (
                path,
                "path = [1e11, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
                "id = \"year\"",
                "more than can be counted|larger units|max_units",
            ),
            (path, "path = [-1, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]", "path =", "-1"),
            (path, &format!("{path}\n{growth}"), "class = \"mine\"", "exactly one way"),
            (path, "growth = { start = 1, p10 = 0.3, p50 = 0.2, p90 = 0.3 }", "growth", "must rise"),
            (path, "growth = { start = 1, p50 = 0.2, p90 = 0.3 }", "growth", "missing field `p10`"),
            (path, &format!("{growth}\nmethod = \"ets\""), "method", "goes with `history`"),
            (path, &format!("{path}\nunit = \"tokens/s\""), "unit", "of which model"),
            (path, &format!("{path}\nunit = \"FLOP\""), "FLOP", "tokens/s"),
            (
                path,
                &format!(
                    "{growth}\nunit = \"tokens/s\"\nserving = {{ model = \"llama-9\", dtype = \"bf16\", prompt = 1, answer = 1 }}"
                ),
                "llama-9",
                "llama-9",
            ),
            (
                path,
                "training = { model = \"llama-3-70b\", dtype = \"bf16\", tokens = 1e12, length = 8192, by = \"2029-01\" }",
                "training",
                "month 25",
            ),
        ],
    );
    let scenario = "[[scenario]]\nname = \"one\"\nprobability = 1.0\n";
    all(
        "scenarios",
        &[
            ("[[offer]]", &format!("{}[[offer]]", scenario.replace("1.0", "0.9")), "probability = 0.9", "sum to 0.9"),
            (
                "[[offer]]",
                &format!("{scenario}flex_times = {{ year = 0.5 }}\n[[offer]]"),
                "flex_times",
                "year is no on-demand or spot offer",
            ),
            (
                "[[offer]]",
                &format!("{scenario}demand_times = {{ yours = 0.5 }}\n[[offer]]"),
                "demand_times",
                "yours is no class|mine",
            ),
        ],
    );
}

#[test]
fn a_history_that_is_none_is_refused_with_its_own_line() {
    let folder = folder("history");
    let path = "path = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]";
    std::fs::write(folder.join("plan.toml"), SMALL.replace(path, "history = \"demand.csv\"")).expect("written");
    let months = |count: i32| {
        let line = |month| format!("{}-{:02},{}\n", 2025 + month / 12, 1 + month % 12, 10 + month);
        (0..count).map(line).collect::<Vec<_>>().concat()
    };
    for (history, words) in [
        (format!("month,value\n{}", months(8)), vec!["plan.toml, line 13", "8 months is too short", "24", "growth"]),
        (format!("date,units\n{}", months(24)), vec!["demand.csv, line 1", "month,value"]),
        (format!("month,value\n{}", months(24).replace("2025-03", "2025-04")), vec!["demand.csv, line 4", "2025-03 is due"]),
        (format!("month,value\n{}", months(24).replace(",12\n", ",0\n")), vec!["demand.csv, line 4", "above 0"]),
        (format!("month,value\n{}", months(24).replace(",12\n", ",many\n")), vec!["demand.csv, line 4", "many"]),
        (format!("month,value\n{}", months(30)), vec!["plan.toml, line 13", "ends in 2027-06", "starts in 2027-01"]),
    ] {
        std::fs::write(folder.join("demand.csv"), history).expect("written");
        let output = size(&[utf8(&folder.join("plan.toml"))]);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{stderr} lacks {words:?}");
    }
}

#[test]
fn limits_and_paths_that_make_no_sense_are_refused() {
    let limit = "shortfall_per_cu_month = 1000\n";
    let with = |line: &str| format!("{limit}{line}\n");
    all(
        "limits",
        &[
            (limit, &with("service = 1.2"), "service", "between 0 and 1"),
            (limit, &with("yearly_budget = [1, 2, 3]"), "yearly_budget", "3 years|has 1"),
            (limit, &with("yearly_budget = \"1 EUR\""), "yearly_budget", "EUR"),
            (limit, &with("provider_caps = { stop = 3 }"), "provider_caps", "no type is of provider stop|shop"),
            (limit, &with("[risk]\ncvar_weight = 2"), "cvar_weight = 2", "between 0 and 1"),
            ("upfront = 500", "step = 0", "step = 0", "multiples of at least 1"),
            ("upfront = 500", "salvage = -1", "salvage", "not negative"),
            (
                "upfront = 500",
                "price_steps = [{ month = 5, times = 0.5 }, { month = 3, times = 1 }]",
                "price_steps",
                "month 3 follows|month 5",
            ),
            ("upfront = 500", "min_total = -1", "min_total", "between"),
            ("source = \"its maker\"", "source = \"x\"\nowned_until = 3", "owned_until", "goes with `owned`"),
        ],
    );
    let path = written("impossible", &SMALL.replace(limit, &with("service = 1.0\nupfront_budget = 1000")));
    let output = size(&[utf8(&path)]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    // Three boxes serve ten CU; their upfronts are 1,500.
    assert!(text(&output.stdout).contains("upfront budget: by 500"), "{}", text(&output.stdout));
}

#[test]
fn a_floor_finer_than_the_scenarios_of_a_fan_is_refused_as_met_on_paper_alone() {
    let limit = "shortfall_per_cu_month = 1000\n";
    let with = |line: &str| format!("{limit}{line}\n");
    let path = "path = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]";
    let growth = SMALL.replace(path, "growth = { start = 10, p10 = 0.0, p50 = 0.2, p90 = 0.5 }").replace("upfront = 500", "");
    for (service, scenarios, words) in [
        ("0.99", "", &["service is 0.99, which 50 scenarios", "`scenarios = 100` or more", "at most 0.9800"][..]),
        ("0.9999", "scenarios = 2000\n", &["service is 0.9999", "say a service of at most 0.9995"]),
        ("1.0", "", &["service is 1, ", "say a service of at most 0.9995"]),
        ("0.95", "scenarios = 19\n", &["`scenarios = 20` or more"]),
    ] {
        let plan =
            growth.replace(limit, &with(&format!("service = {service}"))).replace("hours_per", &format!("{scenarios}hours_per"));
        let output = size(&[utf8(&written("fine", &plan))]);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains("plan.toml, line ") && words.iter().all(|word| stderr.contains(word)), "{stderr} lacks {words:?}");
    }
    for (service, scenarios) in [("0.98", ""), ("0.99", "scenarios = 100\n"), ("0.95", "scenarios = 20\n")] {
        let plan =
            growth.replace(limit, &with(&format!("service = {service}"))).replace("hours_per", &format!("{scenarios}hours_per"));
        assert!(input::plan(&written("coarse", &plan)).is_ok(), "{service} of {scenarios}");
    }
}
