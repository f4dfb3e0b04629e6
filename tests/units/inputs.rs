//! What `assay units` takes besides a record: rates, classes, mixes, and what it hands on.

use super::fixture::folder;
use super::{CPU, units};
use serde_json::Value;
use std::{path::Path, process::Output};

fn written(name: &str, text: &str) -> String {
    let file = folder(&format!("inputs-{name}")).join(name);
    std::fs::write(&file, text).expect("a temporary file");
    file.to_str().expect("utf-8").to_owned()
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one document")
}

fn unit<'a>(device: &'a Value, class: &str) -> &'a Value {
    device["units"].as_array().expect("classes").iter().find(|unit| unit["class"] == class).expect("the class")
}

const FULL: &str = r#"{"name": "node", "architecture": "9.0", "mm.bf16": {"typical": 6e14, "firm": 5.9e14}, "mm.fp8": 1.1e15,
    "hbm.read": {"typical": "4.4 TB/s", "firm": "4.3 TB/s"}, "hbm.triad": {"typical": "4.2 TB/s", "firm": "4.1 TB/s"},
    "launch.dep": {"typical": "1.4 us", "firm": "1.6 us"}, "mem.free": "141 GB", "power.w": 650}"#;

#[test]
fn what_was_printed_as_json_is_read_again_and_worth_the_same() {
    let first = units(&[CPU, "--json", "--allow-degraded"]);
    let again =
        json(&units(&["--rates", &written("stored.json", &String::from_utf8_lossy(&first.stdout)), "--json", "--allow-degraded"]));
    assert_eq!(json(&first)["devices"], again["devices"]);
    let both = json(&units(&[CPU, "--rates", "published:h100", "--json", "--allow-degraded"]));
    let origins: Vec<&Value> = both["runs"].as_array().expect("two").iter().map(|run| &run["devices"][0]["origin"]).collect();
    assert_eq!(origins, ["measured", "published"]);
    let text = units(&["--rates", "published:h100", "--typical", "--plain"]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(
        text.contains("not measured by assay") && text.contains("hbm.copy 3.042 TB/s: ") && text.contains("by estimates of"),
        "{text}"
    );
}

#[test]
fn firm_units_a_kilowatt_and_a_mix_follow_from_given_rates() {
    let file = written("full.json", FULL);
    let mix = "train-bf16=0.6,decode-lat=0.4";
    let value = json(&units(&["--rates", &file, "--mix", mix, "--json", "--price", "6", "--currency", "USD"]));
    let device = &value["devices"][0];
    let firm = |class: &str| unit(device, class)["firm"]["value"].as_f64().expect("firm");
    let blend = format!("mix {mix}");
    assert!((firm(&blend) * (0.6 / firm("train-bf16") + 0.4 / firm("decode-lat")) - 1.0).abs() < 1e-12);
    for class in ["train-bf16", "decode-lat", &blend] {
        let of = |name: &str| unit(device, class)[name]["value"].as_f64().expect("a figure");
        assert!((of("per_kw") / (firm(class) / 0.65) - 1.0).abs() < 1e-9, "{class}: one power, whatever the rate");
        assert!((of("cost") * firm(class) / 6.0 - 1.0).abs() < 1e-12);
    }
    let shares: f64 = unit(device, &blend)["shares"].as_object().expect("by key").values().filter_map(Value::as_f64).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    let none = json(&units(&[
        "--rates",
        &written("bare.json", &FULL.replace(", \"power.w\": 650", "")),
        "--class",
        "train-bf16",
        "--json",
    ]));
    assert!(unit(&none["devices"][0], "train-bf16")["per_kw"]["reason"].as_str().is_some_and(|why| why.starts_with("no-power")));
}

#[test]
fn classes_of_ones_own_stand_beside_those_that_are_shipped() {
    let config = Path::new(&written("config.json", CONFIG)).parent().expect("a folder").to_owned();
    let text = format!("definition = \"cu/1\"\n{OWN}\n{STENCIL}");
    std::fs::write(config.join("classes.toml"), text).expect("a temporary file");
    let classes = config.join("classes.toml");
    let classes = classes.to_str().expect("utf-8");
    let value = json(&units(&[
        "--rates",
        &written("own.json", FULL),
        "--classes",
        classes,
        "--class",
        "own",
        "--class",
        "stencil",
        "--json",
    ]));
    let device = &value["devices"][0];
    assert_eq!(device["units"].as_array().map(Vec::len), Some(2));
    assert!(unit(device, "own")["typical"]["value"].as_f64().is_some_and(|worth| worth > 0.5 && worth < 3.0));
    assert_eq!(unit(device, "own")["hash"].as_str().map(str::len), Some(64));
    assert!(unit(device, "stencil")["typical"]["reason"].as_str().is_some_and(|why| why.starts_with("missing: mm.fp64")));
}

const CONFIG: &str = r#"{"architectures": ["Qwen3ForCausalLM"], "hidden_act": "silu", "hidden_size": 5120, "intermediate_size": 25600,
    "num_hidden_layers": 64, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16"}"#;
const OWN: &str = "[[class]]\nname = \"own\"\nitem = \"token\"\n\
    work.serve = { model = \"config.json\", dtype = \"fp8\", prompt = 2000, answer = 500, batch = 64 }";
const STENCIL: &str = "[[class]]\nname = \"stencil\"\nitem = \"sweep\"\nportable = true\n\
    work.phases = [{ name = \"flux\", overlap = \"max\", amounts = { \"mm.fp64\" = 6e12, \"hbm.triad\" = 3e12 } }]";

#[test]
fn what_is_handed_on_is_firm_unless_told_otherwise() {
    let file = written("export.json", FULL);
    let exported = |more: &[&str]| {
        let output = units(&[&["--rates", &file, "--class", "stream"][..], more].concat());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, text, _) = exported(&["--export", "slurm"]);
    assert_eq!((code, text.contains("GRES/gpu:node=1367\"")), (Some(0), true), "{text}");
    assert!(exported(&["--export", "slurm", "--typical"]).1.contains("=1400\""));
    assert!(exported(&["--export", "kueue"]).1.contains("nominalQuota: 1  # 1.367 units"));
    let (_, text, _) = exported(&["--export", "opencost", "--price", "6", "--currency", "USD"]);
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON")["costs"][0]["usageUnit"], "CU-hours");
    assert!(exported(&["--export", "prometheus"]).1.contains("statistic=\"firm\"} 1.36"));
    let withheld = units(&["--rates", "published:h100", "--class", "stream", "--export", "slurm"]);
    assert_eq!((withheld.status.code(), withheld.stdout.is_empty()), (Some(3), true));
    assert!(String::from_utf8_lossy(&withheld.stderr).contains("nothing firm follows"));
}

#[test]
fn bad_rates_classes_and_mixes_are_one_error_and_nothing_on_stdout() {
    let file = |name: &str, text: &str| written(name, text);
    let full = file("good.json", FULL);
    let bad: Vec<(Vec<String>, &str)> = vec![
        (vec!["--rates".into(), file("key.json", r#"{"mm.bf17": 1e14}"#)], "is no key of cu/1"),
        (vec!["--rates".into(), file("unit.json", r#"{"mm.bf16": 790}"#)], "has no unit"),
        (vec!["--rates".into(), file("nan.json", r#"{"mm.bf16": NaN}"#)], "no JSON"),
        (vec!["--rates".into(), file("version.json", r#"{"definition": "cu/2", "mm.bf16": 1e14}"#)], "cu/2"),
        (vec!["--rates".into(), "published:v100".into()], "published:h100"),
        (vec!["--rates".into(), "no-such.json".into()], "no-such.json"),
        (vec!["--rates".into(), full.clone(), "--class".into(), "chat".into()], "serve-chat"),
        (vec!["--rates".into(), full.clone(), "--mix".into(), "stream=0.5".into()], "sum to 0.5"),
        (vec!["--rates".into(), full.clone(), "--mix".into(), "stream=-1".into()], "no share"),
        (vec!["--rates".into(), full.clone(), "--mix".into(), "stream".into()], "CLASS=SHARE"),
        (vec!["--rates".into(), full.clone(), "--mix".into(), "stream=0.5,stream=0.5".into()], "twice"),
        (vec!["--rates".into(), full.clone(), "--mix".into(), "chat=1".into()], "no class `chat`"),
        (vec!["--rates".into(), full.clone(), "--export".into(), "slurm".into()], "which class"),
        (vec!["--rates".into(), full.clone(), "--export".into(), "opencost".into(), "--class".into(), "stream".into()], "--price"),
        (vec![CPU.into(), "--rates".into(), full.clone(), "--export".into(), "prometheus".into()], "different origin"),
        (vec!["--rates".into(), full.clone(), "--firm".into(), "--typical".into()], "cannot be used with"),
        (
            vec!["--rates".into(), full, "--classes".into(), file("c.toml", &STENCIL.replace("mm.fp64", "net.rdma"))],
            "does not close",
        ),
    ];
    for (arguments, word) in bad {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = units(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{arguments:?} {stderr}");
        assert!(stderr.contains(word) && !stderr.contains("panicked"), "{arguments:?} {stderr}");
    }
}
