//! `assay units native`, `validate` and `calibrate` as a person meets them.

use std::process::{Command, Output};

const CPU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/cpu.standard.jsonl");
const LATENCY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/validation/latency.csv");
const HEAD: &str = "id,hardware,gpus,model,params,active_params,dtype,setting,metric,published_value,unit,source\n";

fn units(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).arg("units").args(arguments).env("NO_COLOR", "1").output().expect("starts")
}

fn json(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one document")
}

#[test]
fn figures_name_what_they_were_reckoned_with() {
    let asked = [
        "native",
        "--gpu",
        "h200_sxm",
        "--gpus",
        "8",
        "--width",
        "4",
        "--model",
        "llama-3-70b",
        "--dtype",
        "fp8",
        "--tpot",
        "20ms",
    ];
    let found = json(&units(&[&asked[..], &["--engine", "vllm", "--train-tokens", "15e12", "--json"]].concat()));
    let figures = found["figures"].as_array().expect("figures");
    for name in ["time per output token", "output tokens", "requests within the target", "prompt read", "training run"] {
        let figure = figures.iter().find(|figure| figure["name"] == name).expect(name);
        let (value, low, high) = (figure["value"].as_f64(), figure["low"].as_f64(), figure["high"].as_f64());
        assert!(low < value && value < high && figure["by"].as_str().is_some_and(|by| by.contains('%')), "{figure}");
    }
    let first = figures.iter().find(|figure| figure["name"] == "time to first token").expect("shown");
    assert!(first["value"].is_null() && first["bound"][0] == "at least" && first["reason"].is_string());
    assert_eq!(found["constants"]["engine"], "vllm");
    let table = units(&asked);
    let text = String::from_utf8_lossy(&table.stdout);
    assert!(text.contains("token/s") && text.contains("published") && text.contains("mean error"), "{text}");
}

#[test]
fn rates_from_a_file_or_a_name_serve_as_those_of_a_gpu_do() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("native");
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let asked = ["--model", "llama-3-8b", "--batch", "32", "--engine", "vllm", "--json"];
    let of = |rates: &[&str]| json(&units(&[&["native"], rates, &asked[..]].concat()));
    let by_name = of(&["--gpu", "h200_sxm"]);
    let published = of(&["--rates", "published:h200"]);
    assert_eq!((&by_name["figures"], &by_name["rates"]), (&published["figures"], &published["rates"]));
    assert_eq!(published["gpu"], "published:h200_sxm");
    // What `assay units --json` printed of the same rates, and the same rates by hand.
    let printed = folder.join("printed.json");
    std::fs::write(&printed, units(&["--rates", "published:h200", "--json"]).stdout).expect("a temporary file");
    assert_eq!(of(&["--rates", printed.to_str().expect("utf-8")])["figures"], by_name["figures"]);
    let own = folder.join("own.json");
    let rates = r#"{"name": "node7", "mm.bf16": "794.5 TFLOP/s", "hbm.read": "4.496 TB/s", "mem.free": "141 GB"}"#;
    std::fs::write(&own, rates).expect("a temporary file");
    let own = of(&["--rates", own.to_str().expect("utf-8")]);
    assert_eq!((&own["figures"], own["gpu"].as_str()), (&by_name["figures"], Some("node7")));
    assert!(own["rates"].as_str().is_some_and(|rates| rates.contains("given in") && rates.contains("own.json")), "{own}");
    let thin = folder.join("thin.json");
    std::fs::write(&thin, r#"{"hbm.read": "4.496 TB/s", "mem.free": "141 GB"}"#).expect("a temporary file");
    let stored = folder.join("cpu.json");
    std::fs::write(&stored, units(&[CPU, "--json", "--allow-degraded"]).stdout).expect("a temporary file");
    for (rates, word) in [
        (thin.to_str().expect("utf-8"), "mm.bf16"),
        (stored.to_str().expect("utf-8"), "no GPU"),
        ("published:v100", "published:h100"),
        ("no-such.json", "no-such.json"),
    ] {
        let output = units(&["native", "--rates", rates, "--model", "llama-3-8b"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{rates} {stderr}");
        assert!(stderr.contains(word) && !stderr.contains("panicked"), "{rates} {stderr}");
    }
}

#[test]
fn bad_input_is_one_error_and_nothing_on_stdout() {
    let base = ["native", "--gpu", "h100_sxm", "--model", "llama-3-8b"];
    let bad: [(&[&str], &str); 11] = [
        (&["native", "--model", "llama-3-8b"], "--gpu"),
        (&["native", "--gpu", "v100", "--model", "llama-3-8b"], "v100"),
        (&["native", "--gpu", "h100_sxm", "--model", "gpt-9"], "gpt-9"),
        (&["native", "--gpu", "h100_sxm", "--model", "llama-3-405b"], "no-fit"),
        (&["native", CPU, "--model", "llama-3-8b"], "no GPU"),
        (&[base.as_slice(), &["--tpot", "20"]].concat(), "20ms"),
        (&[base.as_slice(), &["--tpot", "-1ms"]].concat(), "tpot"),
        (&[base.as_slice(), &["--batch", "0"]].concat(), "whole number"),
        (&[base.as_slice(), &["--gpus", "NaN"]].concat(), "whole number"),
        (&[base.as_slice(), &["--dtype", "int3"]].concat(), "int3"),
        (&[base.as_slice(), &["--width", "2"]].concat(), "there are 1"),
    ];
    for (arguments, word) in bad {
        let output = units(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{arguments:?} {stderr}");
        assert!(stderr.contains(word) && !stderr.contains("panicked"), "{arguments:?} {stderr}");
    }
}

#[test]
fn every_dense_row_is_answered_within_a_quarter_and_a_model_of_known_size_with_a_note() {
    let rows = json(&units(&["validate", LATENCY, "--json"]))["rows"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 609);
    for row in &rows {
        let of = |key: &str| row[key].as_f64().expect("answered");
        assert!(row["skipped"].is_null() && of("high") / of("predicted") <= 1.25 + 1e-9 && of("low") / of("predicted") >= 0.75);
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("native");
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let other = folder.join("other.csv");
    let row = "a,h100_sxm,2,someone-30b,3.0e10,3.0e10,fp8,serve;isl=1024;osl=128;tp=2;concurrency=8;engine=sglang-0.5,tpot_mean,9,ms,none\n";
    std::fs::write(&other, format!("{HEAD}{row}")).expect("a temporary file");
    let found = json(&units(&["validate", other.to_str().expect("utf-8"), "--json"]));
    let row = &found["rows"][0];
    assert!(row["skipped"].is_null() && row["note"].as_str().is_some_and(|note| note.contains("shaped as")), "{row}");
    assert_eq!(row["constants"], "any");
}

#[test]
fn a_fit_tells_its_day_its_bounds_and_its_errors() {
    let found = json(&units(&["calibrate", LATENCY, "--json"]));
    let trtllm = &found["constants"][0];
    assert!(trtllm["fitted"].as_str().is_some_and(|day| day.len() == 10 && day.starts_with("20")), "{trtllm}");
    for key in ["gemm", "layer", "prefill"] {
        let (low, value, high) =
            (found["bounds"][0]["low"][key].as_f64(), trtllm[key].as_f64(), found["bounds"][0]["high"][key].as_f64());
        assert!(low < value && value < high, "{key}");
    }
    for errors in ["errors", "errors_left_out", "errors_engine_left_out"] {
        assert!(found[errors]["mean"].as_f64().is_some_and(|mean| mean < 0.18), "{errors}");
    }
}

#[test]
fn the_committed_errors_are_the_programs_own_words() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/results/validation/renew");
    let output = Command::new(script).arg(env!("CARGO_BIN_EXE_assay")).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let committed = include_str!("../results/validation/errors.md");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, committed, "results/validation/renew target/release/assay > results/validation/errors.md");
    assert!(committed.contains("609 of 609 rows answered") && !committed.contains('\u{1b}'));
}

/// Rows, mean, median and coverage of errors, as a page has them.
fn line(errors: &serde_json::Value) -> String {
    let percent = |key: &str, digits: usize| format!("{:.digits$} %", 100.0 * errors[key].as_f64().expect("a share"));
    format!("| {} | {} | {} | {} |", errors["rows"], percent("mean", 1), percent("median", 1), percent("coverage", 0))
}

#[test]
fn the_page_tells_the_errors_that_are_found() {
    const PAGE: &str = include_str!("../docs/serving.md");
    let throughput = concat!(env!("CARGO_MANIFEST_DIR"), "/results/validation/throughput.csv");
    let (calibrated, fitted, unseen) = (
        json(&units(&["calibrate", LATENCY, "--json"])),
        json(&units(&["validate", LATENCY, "--json"])),
        json(&units(&["validate", throughput, "--json"])),
    );
    for (what, errors) in [
        ("time per output token, fitted", &calibrated["errors"]),
        ("each pair of model and GPU left out", &calibrated["errors_left_out"]),
        ("each engine left out", &calibrated["errors_engine_left_out"]),
        ("throughput, of which no row was fitted", &unseen["errors"]["trtllm output_throughput"]),
        ("ratios of B200 to H200", &fitted["errors"]["vllm b200_sxm:h200_sxm"]),
        ("ratios of H200 to H100", &unseen["errors"]["trtllm h200_sxm:h100_sxm"]),
    ] {
        let wanted = line(errors);
        let found = PAGE.lines().find(|row| row.starts_with('|') && row.contains(what)).expect(what);
        assert!(found.ends_with(&wanted), "{what}: the page has {found}, found were {wanted}");
    }
}
