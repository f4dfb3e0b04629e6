//! `assay compare`, `history` and `peers` as a person meets them: the open data of `judge/data` through the program itself, what it
//! prints for programs, and what it refuses.

mod fixture;

use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Instant,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/data").join(name)
}

fn assay(arguments: &[&str]) -> Output {
    fixture::assay().args(arguments).output().expect("starts")
}

/// The exit code, and the document that `--json` prints.
fn printed(arguments: &[&str]) -> (Option<i32>, Value) {
    let output = assay(&[arguments, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stderr}"));
    (output.status.code(), value)
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a temporary file");
    path.to_str().expect("a name in letters").to_owned()
}

fn number(value: &Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or_else(|| panic!("no number `{field}` in {value}"))
}

#[test]
fn the_open_pairs_through_the_program() {
    let folder = fixture::folder("verdicts-pairs");
    let read = |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(data(name)).expect("open data")).expect("JSON") };
    let cases = read("pairs.json");
    let (mut inside, mut false_alarms, mut missed, mut all) = (0, 0, 0, 0);
    for case in cases.as_array().expect("a list") {
        let side = |name: &str| {
            let own =
                json!({"metric": case["metric"], "unit": "u/s", "higher_is_better": case["higher_is_better"], "runs": case[name]});
            written(&folder, name, &own.to_string())
        };
        let (before, after) = (side("baseline"), side("candidate"));
        let (code, document) = printed(&["compare", &before, &after]);
        let pair = &document["pairs"][0];
        let (ratio, truth) = (number(pair, "ratio"), number(case, "truth_ratio"));
        assert!(number(pair, "low") < ratio && ratio < number(pair, "high") && pair["metric"] == case["metric"], "{document}");
        let verdict = document["verdict"].as_str().expect("a verdict");
        assert_eq!(document["verdict"], pair["verdict"], "of one metric the whole is the same");
        let expected = if ["ok", "improved"].contains(&verdict) {
            0
        } else if verdict == "regressed" {
            1
        } else {
            3
        };
        assert_eq!(code, Some(expected), "{verdict}");
        all += 1;
        inside += usize::from((number(pair, "low")..=number(pair, "high")).contains(&truth));
        false_alarms += usize::from(truth == 1.0 && verdict == "regressed");
        missed += usize::from(truth <= 0.98 && verdict != "regressed");
    }
    println!("{all} pairs: {inside} intervals hold the truth, {false_alarms} false alarms, {missed} of 2 % or more missed");
    assert!(all == 40 && inside >= 37 && false_alarms <= 1 && missed == 0);
}

/// A drop of 0.65 % in a metric whose runs vary by 0.02 %: one run a side does not show it, what a baseline knows of the metric does.
#[test]
fn what_a_baseline_knows_of_the_spread_sharpens_a_comparison() {
    let folder = fixture::folder("verdicts-spread");
    let run = |level: f64| (0..40).map(|at| level * (1.0 + 1e-4 * f64::from(at * 7 % 11))).collect::<Vec<f64>>();
    let file = |name: &str, metric: &str, levels: &[f64]| {
        let runs: Vec<_> = levels.iter().map(|level| run(*level)).collect();
        written(&folder, name, &json!({"metric": metric, "unit": "u/s", "higher_is_better": true, "runs": runs}).to_string())
    };
    let known = folder.join("known.json").to_str().expect("letters").to_owned();
    for levels in [[100.00, 100.03, 99.98, 100.01], [100.02, 99.97, 100.00, 99.99]] {
        let night = file("night.json", "parse", &levels);
        let taken = assay(&["check", "--baseline", &known, "--update-baseline", &night]);
        assert_eq!(taken.status.code(), Some(0), "{}", String::from_utf8_lossy(&taken.stderr));
    }
    let kept: Value = serde_json::from_str(&fs::read_to_string(&known).expect("a baseline")).expect("JSON");
    assert_eq!(
        kept["metrics"][0]["runs"].as_array().map(Vec::len),
        Some(8),
        "another night's file of the same name is another run"
    );
    let (before, after) = (file("before.json", "parse", &[100.0]), file("after.json", "parse", &[99.35]));
    let (code, document) = printed(&["compare", &before, &after]);
    assert_eq!((code, &document["verdict"]), (Some(3), &"inconclusive".into()), "one run a side tells nothing of runs: {document}");
    let text = String::from_utf8(assay(&["compare", "--plain", &before, &after]).stdout).expect("text");
    assert!(text.contains("one run a side") && text.contains("--spread"), "{text}");
    let (code, document) = printed(&["compare", &before, &after, "--spread", &known]);
    assert_eq!((code, &document["verdict"]), (Some(1), &"regressed".into()), "{document}");
    let (before, after) = (file("before.json", "other", &[100.0]), file("after.json", "other", &[99.35]));
    let (_, document) = printed(&["compare", &before, &after, "--spread", &known]);
    assert_eq!(document["verdict"], "inconclusive", "nothing is known of another metric: {document}");
    let absent = assay(&["compare", &before, &after, "--spread", "absent.json"]);
    assert!(absent.status.code() == Some(2) && String::from_utf8_lossy(&absent.stderr).contains("absent.json: no such baseline"));
}

/// Five runs of one day and three of another, 1.2 % lower: that days vary as much cannot be excluded, and is said. In turns it is a loss.
#[test]
fn another_day_is_not_a_regression_and_another_turn_is() {
    let folder = fixture::folder("verdicts-sessions");
    let side = |name: &str, level: f64, times: &[&str]| {
        let run = |run: usize| (0..40).map(|at| level * (1.0 + 2e-4 * ((at * 7 + run * 3) % 11) as f64)).collect::<Vec<f64>>();
        let runs: Vec<_> = (0..times.len()).map(run).collect();
        let own = json!({"metric": "parse", "unit": "u/s", "higher_is_better": true, "runs": runs, "started_at": times});
        written(&folder, name, &own.to_string())
    };
    let monday =
        ["2026-01-05T09:00:00Z", "2026-01-05T09:20:00Z", "2026-01-05T09:40:00Z", "2026-01-05T10:00:00Z", "2026-01-05T10:20:00Z"];
    let tuesday = ["2026-01-06T09:00:00Z", "2026-01-06T09:20:00Z", "2026-01-06T09:40:00Z"];
    let turns = ["2026-01-05T09:10:00Z", "2026-01-05T09:30:00Z", "2026-01-05T09:50:00Z"];
    let before = side("before.json", 100.0, &monday);
    let after = side("tuesday.json", 98.8, &tuesday);
    let (code, document) = printed(&["compare", &before, &after]);
    assert_eq!((code, &document["verdict"]), (Some(3), &"inconclusive".into()), "{document}");
    let sessions = ["baseline_sessions", "candidate_sessions", "shared_sessions"].map(|field| number(&document["pairs"][0], field));
    assert_eq!(sessions, [1.0, 1.0, 0.0]);
    let text = String::from_utf8(assay(&["compare", "--plain", &before, &after]).stdout).expect("text");
    assert!(text.contains("one session a side") && text.contains("several days"), "{text}");
    let (code, document) = printed(&["compare", &before, &side("turns.json", 98.8, &turns)]);
    assert_eq!((code, &document["verdict"]), (Some(1), &"regressed".into()), "{document}");
    assert_eq!(number(&document["pairs"][0], "shared_sessions"), 1.0);
    let days =
        ["2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z", "2026-01-03T09:00:00Z", "2026-01-04T09:00:00Z", "2026-01-05T09:00:00Z"];
    let (code, document) = printed(&["compare", &side("days.json", 100.0, &days), &after]);
    assert_eq!((code, &document["verdict"]), (Some(1), &"regressed".into()), "five days that agree: {document}");
}

#[test]
fn the_open_histories_through_the_program() {
    let (code, document) = printed(&["history", data("histories.csv").to_str().expect("letters")]);
    assert_eq!(code, Some(0));
    let found: Vec<(String, f64)> = document["changes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|change| {
            assert!(
                number(change, "low") < number(change, "ratio") && number(change, "ratio") < number(change, "high"),
                "{change}"
            );
            assert!(change["metric"].is_string());
            (change["series"].as_str().expect("a series").to_owned(), number(change, "index"))
        })
        .collect();
    let truth = fs::read_to_string(data("histories_truth.csv")).expect("open data");
    let truth: Vec<(&str, f64)> = truth
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect::<Vec<_>>())
        .map(|row| (row[0], row[1].parse().expect("an index")))
        .collect();
    let near = |one: &(String, f64), other: &(&str, f64)| one.0 == other.0 && (one.1 - other.1).abs() <= 5.0;
    let right = truth.iter().filter(|change| found.iter().any(|one| near(one, change))).count();
    let f1 = 2.0 * right as f64 / (truth.len() + found.len()) as f64;
    println!("histories: {right} of {} found, {} told, F1 {f1:.3}", truth.len(), found.len());
    assert!(f1 >= 0.95, "{found:?}");
}

#[test]
fn the_open_fleets_through_the_program() {
    let fleets = data("fleets.csv");
    let (code, document) = printed(&["peers", fleets.to_str().expect("letters")]);
    assert_eq!(code, Some(1), "some are slow");
    let named = |list: &Value| -> BTreeSet<(String, String)> {
        let name = |row: &Value, field: &str| row[field].as_str().expect("a name").to_owned();
        list.as_array().expect("a list").iter().map(|row| (name(row, "fleet"), name(row, "node"))).collect()
    };
    let (found, confirm) = (named(&document["outliers"]), named(&document["confirm"]));
    assert!(found.is_subset(&confirm) && confirm.len() == found.len() + 2 * 5, "two healthy ones beside those of each fleet");
    for outlier in document["outliers"].as_array().expect("a list") {
        let (low, deficit, high) = (number(outlier, "low"), number(outlier, "deficit"), number(outlier, "high"));
        assert!(low <= deficit && deficit <= high && deficit >= 0.03 && number(outlier, "rank") >= 1.0, "{outlier}");
        assert!(outlier["metric"].is_string() && outlier["behind"].is_array() && outlier["cause"].is_null(), "{outlier}");
    }
    let truth = fs::read_to_string(data("fleets_truth.csv")).expect("open data");
    let split = |row: &str| row.split(',').map(str::to_owned).collect::<Vec<_>>();
    let slow: BTreeSet<(String, String)> = truth.lines().skip(1).map(split).map(|row| (row[0].clone(), row[1].clone())).collect();
    let right = found.intersection(&slow).count();
    let f1 = 2.0 * right as f64 / (found.len() + slow.len()) as f64;
    println!("fleets: {right} of {} found, {} told, F1 {f1:.3}", slow.len(), found.len());
    assert!(f1 >= 0.9, "{found:?}");
    let text = assay(&["peers", "--plain", fleets.to_str().expect("letters")]);
    let text = String::from_utf8(text.stdout).expect("ASCII");
    assert!(text.is_ascii() && found.iter().all(|(_, node)| text.contains(node)) && text.contains("measure again"), "{text}");
}

#[test]
fn what_cannot_be_read_is_refused_in_one_line() {
    let folder = fixture::folder("verdicts-refused");
    let own = r#"{"metric": "a", "unit": "u", "higher_is_better": true, "runs": [[1.0, 1.1]]}"#;
    let good = written(&folder, "good.json", own);
    let absent = folder.join("absent.csv").to_str().expect("letters").to_owned();
    for (command, name, text) in [
        ("compare", "negative.json", own.replace("1.1", "-1.1")),
        ("compare", "unitless.json", own.replace("\"u\"", "\"\"")),
        ("compare", "torn.json", own[..20].to_owned()),
        ("compare", "nameless.json", own.replace("\"a\"", "\"\"")),
        ("compare", "twice.json", format!("[{own}, {own}]")),
        ("compare", "empty.json", String::new()),
        ("history", "columns.csv", "a,b\n1,2\n".to_owned()),
        ("history", "value.csv", "series,t,metric,value\ns,1,m,-3\n".to_owned()),
        ("history", "word.csv", "series,t,metric,value\ns,1,m,fast\n".to_owned()),
        ("history", "head-alone.csv", "series,t,metric,value\n".to_owned()),
        ("peers", "column-twice.csv", "node,m,m\na,1,2\n".to_owned()),
        ("peers", "nameless.csv", "group,m\ng,1\n".to_owned()),
        ("peers", "bare.csv", "node,m\n".to_owned()),
        ("peers", "twice.csv", "node,m\na,1\na,2\n".to_owned()),
        ("peers", "negative.csv", "node,m\na,-1\n".to_owned()),
        ("peers", "empty.csv", String::new()),
    ] {
        let path = written(&folder, name, &text);
        let more: &[&str] = if command == "compare" { &[&good] } else { &[] };
        let output = assay(&[&[command, path.as_str()], more].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(output.stdout.is_empty() && stderr.contains(name), "{name}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{name}: {stderr}");
    }
    for command in ["history", "peers"] {
        let output = assay(&[command, &absent]);
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{command}: {output:?}");
    }
}

#[test]
fn two_runs_are_compared_in_moments() {
    let folder = fixture::folder("verdicts-time");
    let [before, after] = ["before.jsonl", "after.jsonl"].map(|name| written(&folder, name, &fixture::text()));
    let once = || {
        let begin = Instant::now();
        let output = assay(&["compare", &before, &after]);
        assert_eq!(output.status.code(), Some(3), "one run a side: {}", String::from_utf8_lossy(&output.stderr));
        begin.elapsed().as_secs_f64()
    };
    let shortest = (0..10).map(|_| once()).fold(f64::INFINITY, f64::min);
    println!("assay compare on two runs, whole process: {:.1} ms", shortest * 1e3);
    assert!(shortest < 0.030, "{shortest} s");
}

#[test]
fn a_metric_that_does_not_exist_or_means_another_thing_is_told() {
    let folder = fixture::folder("verdicts-meant");
    let history = written(&folder, "history.csv", "series,t,metric,value\ns,1,m,3\n");
    let fleet = written(&folder, "fleet.csv", "node,m\na,1\n");
    let records = written(&folder, "record.jsonl", &fixture::text());
    for (arguments, words) in [
        (["history", &history, "--lower-is-better", "nope"], "no such metric; there are m"),
        (["peers", &fleet, "--lower-is-better", "node"], "no such metric; there are m"),
        (["history", &records, "--lower-is-better", "m"], "records say themselves"),
    ] {
        let output = assay(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && output.stdout.is_empty() && stderr.contains(words), "{stderr}");
    }
    let own = r#"{"metric": "a", "unit": "GB/s", "higher_is_better": true, "runs": [[1.0, 1.1]]}"#;
    let before = written(&folder, "before.json", own);
    for (from, to) in [("GB/s", "s"), ("true", "false")] {
        let output = assay(&["compare", &before, &written(&folder, "after.json", &own.replace(from, to))]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(3) && stderr.contains("differ in what a is: GB/s, of which more"), "{stderr}");
    }
}
