//! What `assay check` refuses: baselines that cannot fail, files that are none, and arguments that make no sense.

use crate::records::{Place, document};

/// Exit code 2, nothing on stdout, one line on stderr with every one of `words`.
fn refused(place: &Place, arguments: &[&str], words: &[&str]) {
    let output = place.check(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {stderr}");
    assert!(stderr.lines().count() == 1 && stderr.len() < 1_000 && stderr.starts_with("assay: "), "{stderr}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{stderr} lacks one of {words:?}");
    assert!(!stderr.contains("panicked") && !stderr.contains('\u{1b}'), "{stderr}");
}

#[test]
fn a_baseline_that_cannot_fail_or_contradicts_itself_is_refused() {
    let place = Place::with_baseline("lint");
    let sound = place.read("base.json");
    let run = place.run("run.jsonl", &document(7));
    let value = sound.lines().find_map(|line| line.trim().strip_prefix("\"value\": ")).expect("a figure").trim_end_matches(',');
    let spread = sound.lines().find_map(|line| line.trim().strip_prefix("\"sd\": ")).expect("a spread").trim_end_matches(',');
    let margin = |margin: &str| format!("\"figure\": \"sustained\",\n\"margin\": {margin},");
    let slips: &[(&str, &str, &[&str])] = &[
        ("\"figure\": \"sustained\",", &margin("2"), &["matmul", "fake:0", "margin is 2", "nothing can fail", "0.02"]),
        ("\"figure\": \"sustained\",", &margin("0"), &["above 0"]),
        ("\"figure\": \"sustained\",", &margin("0.02").replace("margin", "margn"), &["unknown field `margn`"]),
        ("\"unit\": \"FLOP/s\"", "\"unit\": \" \"", &["no unit"]),
        ("\"unit\": \"FLOP/s\"", "\"unit\": \"s\"", &["higher_is_better is true for s"]),
        (value, "7.0e11", &["slip of unit"]),
        (value, "-7.0e14", &["above 0"]),
        (spread, "0.7", &["spread is 0.7", "nothing can fail"]),
        ("\"started_at\": \"2026-01-02T00:00:00Z\"", "\"started_at\": \"yesterday\"", &["which run it was"]),
        (
            "\"record\": \"00000000-0000-7000-8000-000000000002\"",
            "\"record\": \"00000000-0000-7000-8000-000000000001\"",
            &["twice"],
        ),
        ("assay.baseline/1", "assay.baseline/2", &["assay.baseline/2", "assay.baseline/1"]),
        ("assay.baseline/1", "assay.run/1\\u001b[2J", &["assay.run/1"]),
        ("\"created_at\": \"", "\"created_at\": \"x", &["created_at", "2026-01-02T03:04:05Z"]),
    ];
    for (from, to, words) in slips {
        let changed = sound.replacen(from, to, 1);
        assert_ne!(changed, sound, "{from} is there");
        place.write("base.json", changed);
        refused(&place, &[&run], &[words, &["base.json"][..]].concat());
    }
    let metrics = sound.find("\"metrics\": [").expect("metrics");
    place.write("base.json", format!("{}\"metrics\": []}}", &sound[..metrics]));
    refused(&place, &[&run], &["nothing can fail"]);
}

#[test]
fn what_is_no_baseline_is_refused() {
    let place = Place::with_baseline("no-baseline");
    let sound = place.read("base.json");
    let run = place.run("run.jsonl", &document(7));
    for tenth in 0..10 {
        place.write("base.json", &sound[..sound.len() * tenth / 10]);
        refused(&place, &[&run], &["base.json", "not a baseline", "--update-baseline"]);
    }
    place.write("base.json", b"{\"schema\": \"\xff\"}");
    refused(&place, &[&run], &["UTF-8"]);
    place.write("base.json", "[".repeat(1 << 20));
    refused(&place, &[&run], &["not a baseline"]);
    place.write("base.json", "{\"schema\": \"assay.baseline/1\"}");
    refused(&place, &[&run], &["missing field"]);
    std::fs::remove_file(place.0.join("base.json")).expect("it was there");
    refused(&place, &[&run], &["no such baseline", "--update-baseline"]);
    std::fs::create_dir(place.0.join("base.json")).expect("a folder");
    refused(&place, &[&run], &["base.json", "directory"]);
}

#[test]
fn what_is_no_run_is_refused() {
    let place = Place::with_baseline("no-run");
    refused(&place, &["absent.jsonl"], &["absent.jsonl", "No such file"]);
    refused(&place, &["."], &["folder"]);
    for (name, contents, word) in [
        ("empty.jsonl", &b""[..], "empty"),
        ("prose.txt", b"once upon a time", "not a record"),
        ("bytes.jsonl", b"\xff\xfe", "not a record"),
        ("torn.json", b"{\"metric\": \"a\", \"unit\": ", "JSON"),
        ("foreign.json", b"{\"benchmarks\": []}", "higher_is_better"),
        ("unit.json", b"{\"metric\": \"a\", \"unit\": \"\", \"higher_is_better\": true, \"runs\": [[1]]}", "no unit"),
        (
            "value.json",
            b"{\"metric\": \"a\", \"unit\": \"x\", \"higher_is_better\": true, \"runs\": [[1, -2]]}",
            "run 1: sample 2 is -2",
        ),
        ("none.json", b"{\"metric\": \"a\", \"unit\": \"x\", \"higher_is_better\": true, \"runs\": []}", "no run"),
    ] {
        place.write(name, contents);
        refused(&place, &[name], &[name, word]);
    }
    refused(&place, &["/dev/zero"], &["not a record"]);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let place = Place::with_baseline("arguments");
    let run = place.run("run.jsonl", &document(7));
    for (arguments, word) in [
        (&["--margin", "2"][..], "2%"),
        (&["--margin", "60%"], "below 50%"),
        (&["--least", "0%"], "above 0%"),
        (&["--fail-on", "luck"], "regressed"),
        (&["--include-unsteady"], "--update-baseline"),
        (&["--json", "--plain"], "--plain"),
    ] {
        let output = place.check(&[&[run.as_str()], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && output.stdout.is_empty() && stderr.contains(word), "{arguments:?}: {stderr}");
    }
    refused(&place, &[&run, "--junit", "no/such/folder.xml"], &["no/such/folder.xml"]);
    let own = |value: f64| format!(r#"{{"metric": "a", "unit": "x", "higher_is_better": true, "runs": [[{value}]]}}"#);
    place.write("own.json", own(1.0));
    place.write("unsure.json", own(0.99));
    std::fs::remove_file(place.0.join("base.json")).expect("it was there");
    assert_eq!(place.check(&["own.json", "--update-baseline"]).status.code(), Some(0));
    refused(&place, &["unsure.json", "--rerun", "--margin", "0.1%", "--least", "10%"], &["--rerun", "measure them again yourself"]);
}
