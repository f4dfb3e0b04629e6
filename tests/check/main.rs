//! `assay check` as a pipeline meets it: verdicts and exit codes, baselines, what it writes for others, and what it refuses.

mod blocks;
mod forms;
mod junit;
mod loads;
mod outputs;
mod pipeline;
mod records;
mod refused;

use assay::record::{Entry, Outcome};
use records::{Place, changed, document, metric};
use std::fs;

#[test]
fn a_baseline_is_begun_by_steady_figures_alone() {
    let place = Place::with_baseline("begun");
    let text = place.read("base.json");
    let baseline: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let names: Vec<&str> = baseline["metrics"].as_array().expect("a list").iter().filter_map(|m| m["metric"].as_str()).collect();
    assert_eq!(names, ["family/fp32/matmul/1GiB@own", "family/fp32/triad/1GiB@own", "family/fp32/chase/1GiB@own"]);
    let first = &baseline["metrics"][0];
    assert_eq!(
        (first["runs"].as_array().map(Vec::len), &first["unit"], &first["spread"]["df"]),
        (Some(5), &"FLOP/s".into(), &4.0.into())
    );
    assert_eq!((&baseline["identity"]["driver"], &baseline["schema"]), (&"1.0".into(), &"assay.baseline/1".into()));
    assert!(first["identity"].is_null(), "what all share stands once: {first}");
    assert!(!text.contains("/home/") && text.ends_with("}\n") && text.lines().count() > 50, "no paths, and a figure a line");
    let again = Place::with_baseline("begun-again").read("base.json");
    let timeless = |text: &str| text.lines().filter(|line| !line.contains("ated_at")).collect::<Vec<_>>().join("\n");
    assert_eq!(timeless(&text), timeless(&again), "the same runs make the same file");
}

#[test]
fn verdicts_and_their_exit_codes() {
    let place = Place::with_baseline("verdicts");
    let verdict = |name: &str, document, more: &[&str]| {
        let run = place.run(name, &document);
        place.json(&[&[run.as_str()], more].concat())
    };
    let (code, same) = verdict("same.jsonl", document(7), &[]);
    assert_eq!((code, &same["verdict"]), (0, &"ok".into()), "{same:#}");
    let detectable = metric(&same, "matmul")["detectable"].as_f64().expect("a share");
    assert!((0.003..0.02).contains(&detectable), "with noise of 0.2 %: {detectable}");
    for (operation, factor) in [("matmul", 0.97), ("chase", 0.97)] {
        let (code, slower) = verdict("slower.jsonl", changed(8, operation, factor), &[]);
        assert_eq!(
            (code, &slower["verdict"], &metric(&slower, operation)["verdict"]),
            (1, &"regressed".into(), &"regressed".into())
        );
        let ratio = metric(&slower, operation)["ratio"].as_f64().expect("a ratio");
        assert!((ratio - factor).abs() < 0.01, "performance, also of times: {ratio}");
        assert_eq!(metric(&slower, "triad")["verdict"], "ok");
    }
    let (code, faster) = verdict("faster.jsonl", changed(9, "triad", 1.05), &[]);
    assert_eq!((code, &faster["verdict"]), (0, &"improved".into()));
    let unsure = || verdict("unsure.jsonl", document(10), &["--margin", "0.01%", "--least", "40%"]);
    assert_eq!((unsure().0, &unsure().1["verdict"]), (3, &"inconclusive".into()));
    let with = |fail_on| verdict("unsure.jsonl", document(10), &["--margin", "0.01%", "--least", "40%", "--fail-on", fail_on]).0;
    assert_eq!((with("regressed"), with("inconclusive")), (0, 1));
    let mut other = document(11);
    other.entries.iter_mut().for_each(|entry| entry.device.driver = Some("2.0".into()));
    let (code, refused) = verdict("other.jsonl", other.clone(), &[]);
    assert_eq!((code, &refused["verdict"]), (3, &"incomparable".into()));
    assert_eq!(metric(&refused, "triad")["differences"][0]["field"], "driver");
    assert_eq!(verdict("other.jsonl", other, &["--across"]).0, 0);
}

#[test]
fn a_run_of_the_baseline_is_held_against_the_others() {
    let place = Place::with_baseline("among");
    let runs = |name: &str| {
        let (code, check) = place.json(&[name]);
        (code, metric(&check, "matmul")["baseline_runs"].as_u64().expect("a count"))
    };
    place.run("fresh.jsonl", &document(7));
    assert_eq!((runs("fresh.jsonl"), runs("base2.jsonl")), ((0, 5), (0, 4)));
    let (_, check) = place.json(&["base1.jsonl", "base2.jsonl", "base3.jsonl", "base4.jsonl", "base5.jsonl"]);
    assert_eq!(metric(&check, "matmul")["baseline_runs"], 5, "where there are no others, against all");
}

#[test]
fn nothing_passes_by_absence() {
    let place = Place::with_baseline("absent");
    let code = |name: &str, change: &dyn Fn(&mut Vec<Entry>), more: &[&str]| {
        let mut document = document(7);
        change(&mut document.entries);
        let run = place.run(name, &document);
        place.json(&[&[run.as_str()], more].concat())
    };
    let gone = |entries: &mut Vec<Entry>| entries.retain(|entry| entry.workload.operation != "triad");
    let (missing, json) = code("gone.jsonl", &gone, &[]);
    assert_eq!((missing, &json["verdict"], &json["absent"][0]["why"]), (3, &"inconclusive".into(), &"not measured".into()));
    assert_eq!(code("gone.jsonl", &gone, &["--partial"]).0, 0);
    let wrong = |entries: &mut Vec<Entry>| {
        let entry = &mut entries[1];
        (entry.outcome, entry.reason) = (Outcome::Invalid, Some("silent corruption".into()));
    };
    let (broken, json) = code("wrong.jsonl", &wrong, &["--partial"]);
    assert_eq!(
        (broken, &json["verdict"], &json["absent"][0]["why"]),
        (1, &"regressed".into(), &"invalid: silent corruption".into())
    );
    let none = |entries: &mut Vec<Entry>| entries.clear();
    assert_eq!(code("none.jsonl", &none, &["--partial"]).0, 3, "nothing in common is no pass");
}

#[test]
fn only_what_is_ok_and_steady_is_taken_in() {
    let place = Place::with_baseline("update");
    let before = place.read("base.json");
    let update = |name: &str, document, code: i32| {
        let run = place.run(name, &document);
        let output = place.check(&[&run, "--update-baseline", "--least", "2%"]);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let told = update("slower.jsonl", changed(8, "matmul", 0.95), 1);
    assert!(told.contains("0 figures taken in") && place.read("base.json") == before, "{told}");
    let told = update("again.jsonl", document(3), 0);
    assert!(told.contains("in the baseline already") && place.read("base.json") == before, "{told}");
    let told = update("good.jsonl", document(12), 0);
    assert!(told.contains("3 figures taken in") && told.contains("1 left out (not steady: burst_only)"), "{told}");
    let runs = |place: &Place| {
        let baseline: serde_json::Value = serde_json::from_str(&place.read("base.json")).expect("JSON");
        baseline["metrics"].as_array().expect("a list").iter().map(|m| m["runs"].as_array().map_or(0, Vec::len)).collect::<Vec<_>>()
    };
    assert_eq!(runs(&place), [6, 6, 6]);
    let run = place.run("burst.jsonl", &document(13));
    assert_eq!(place.check(&[&run, "--update-baseline", "--include-unsteady", "--least", "2%"]).status.code(), Some(0));
    assert_eq!(runs(&place), [7, 7, 7, 1], "what it does not know begins there");
    for seed in 40..65 {
        let run = place.run("many.jsonl", &document(seed));
        place.check(&[&run, "--update-baseline", "--partial", "--least", "2%"]);
    }
    let kept: serde_json::Value = serde_json::from_str(&place.read("base.json")).expect("JSON");
    let df = kept["metrics"][0]["spread"]["df"].as_f64().expect("a number");
    assert_eq!(kept["metrics"][0]["runs"].as_array().map(Vec::len), Some(20));
    assert!(df > 19.0, "what older runs told of the spread stays: {df}");
    let sd = kept["metrics"][0]["spread"]["sd"].as_f64().expect("a number");
    assert!((0.001..0.004).contains(&sd), "it is 0.2 %: {sd}");
}

/// One run tells nothing of what runs vary by, so the second is inconclusive; that must not keep it out.
#[test]
fn a_baseline_grows_from_a_single_run() {
    let place = Place::new("grows");
    let update = |name: &str, document| {
        let run = place.run(name, &document);
        let output = place.check(&[&run, "--update-baseline"]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(update("first.jsonl", document(1)).contains("begun"));
    let runs = |place: &Place| {
        let kept: serde_json::Value = serde_json::from_str(&place.read("base.json")).expect("JSON");
        kept["metrics"][0]["runs"].as_array().map_or(0, Vec::len)
    };
    let second = update("second.jsonl", document(2));
    assert!(second.contains("one run a side") && runs(&place) == 2, "{second}");
    let slower = update("slower.jsonl", changed(3, "matmul", 0.95));
    assert!(slower.contains("left out") && runs(&place) == 2, "{slower}");
    for seed in 4..8 {
        update("more.jsonl", document(seed));
    }
    let run = place.run("run.jsonl", &document(9));
    let (code, json) = place.json(&[&run]);
    assert_eq!((code, &json["verdict"], runs(&place)), (0, &"ok".into(), 6), "{json:#}");
    assert_eq!(metric(&json, "matmul")["baseline_sessions"], 6);
}

#[test]
fn a_margin_in_the_baseline_holds_for_its_metric() {
    let place = Place::with_baseline("margin");
    let baseline =
        place.read("base.json").replacen("\"figure\": \"sustained\",", "\"figure\": \"sustained\",\n      \"margin\": 0.1,", 1);
    place.write("base.json", baseline);
    let run = place.run("run.jsonl", &document(7));
    let (code, json) = place.json(&[&run]);
    let margins = ["matmul", "triad"].map(|operation| metric(&json, operation)["margin"].as_f64());
    assert_eq!((code, margins), (0, [Some(0.1), Some(0.02)]));
}

#[test]
fn somebodys_own_numbers_are_judged_alike() {
    let place = Place::new("own");
    let own = |value: f64, runs: u32| {
        let run = |run: u32| (0..20).map(|at| value * (1.0 + f64::from((at * 7 + run * 3) % 5) * 1e-3)).collect::<Vec<_>>();
        let runs: Vec<_> = (0..runs).map(run).collect();
        serde_json::json!([{ "metric": "parse", "unit": "ns", "higher_is_better": false, "runs": runs }]).to_string()
    };
    place.write("base-runs.json", own(100.0, 4));
    place.write("same.json", own(100.0, 2));
    place.write("slow.json", own(110.0, 2));
    assert_eq!(place.check(&["base-runs.json", "--update-baseline"]).status.code(), Some(0));
    assert_eq!(place.check(&["same.json"]).status.code(), Some(0));
    let (code, json) = place.json(&["slow.json"]);
    assert_eq!((code, &json["metrics"][0]["unit"]), (1, &"ns".into()));
    assert!((json["metrics"][0]["ratio"].as_f64().expect("a ratio") - 1.0 / 1.1).abs() < 1e-3);
}

#[test]
fn what_is_inconclusive_is_measured_again_on_this_machine() {
    let place = Place::new("rerun");
    let measure = ["run", "--backend", "cpu", "--footprint", "4MiB", "--only", "stream/*/{copy,scale}/*", "--quiet"];
    let output = place.assay(&[&measure[..], &["-o", "first.jsonl"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.check(&["first.jsonl", "--update-baseline", "--include-unsteady"]).status.code(), Some(0));
    // The very run against itself: so strict that nobody is sure, and so lenient that none fails.
    let strict = ["first.jsonl", "--margin", "0.0001%", "--least", "49%"];
    let (_, once) = place.json(&strict);
    assert_eq!((&once["verdict"], &once["looks"], &once["level"]), (&"inconclusive".into(), &1.into(), &0.025.into()));
    let (code, json) = place.json(&[&strict[..], &["--rerun", "--quiet"]].concat());
    let looks = json["looks"].as_u64().expect("a number");
    assert!((2..=3).contains(&looks) && json["level"] == 0.011, "{json:#}");
    let unsure = json["verdict"] == "inconclusive";
    assert!(unsure == (code == 3) && (looks == 3 || !unsure), "it ends when it is sure: {json:#}");
    for metric in json["metrics"].as_array().expect("a list") {
        let runs = metric["candidate_runs"].as_u64().expect("a number");
        assert!(metric["baseline_runs"] == 1 && (2..=looks).contains(&runs), "{metric:#}");
    }
    let kept = fs::read_dir(place.0.join("data/assay/runs")).expect("the user's data folder").count();
    assert_eq!(kept as u64, looks - 1, "each further look is a record of its own");
}
