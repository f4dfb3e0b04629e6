//! Demand in tokens: what is bought is valued by the very model that is served or trained, and holds it.

use super::{
    plans::SMALL,
    support::{folder, run, size, text, utf8, written},
};
use assay::{
    capacity::{self, Gpu, Load, Model, Train, Weights},
    reserve::input,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PATH: &str = "path = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]";

/// A plan for 20,000 tokens a second of a model, of units of so many of a GPU.
fn plan(class: &str, serving: &str, gpu: &str, devices: u32) -> String {
    let tokens = format!("path = [{}]", ["20000"; 12].join(", "));
    SMALL
        .replace(PATH, &format!("{tokens}\nunit = \"tokens/s\"\nserving = {{ {serving}, prompt = 1000, answer = 1000 }}"))
        .replace("class = \"mine\"", &format!("class = \"{class}\""))
        .replace("cu = { mine = 4.0 }\nsource = \"its maker\"", &format!("published = \"{gpu}\"\ndevices = {devices}"))
        .replace("= 1000\n", "= 100_000_000\n")
}

fn ordered(name: &str, plan: &str) -> u64 {
    let document: Value =
        serde_json::from_str(&run(&["size", utf8(&written(name, plan)), "--json"], Some(0))).expect("one document");
    document["plan"].as_array().expect("orders").iter().filter_map(|order| order["units"].as_u64()).sum()
}

fn refused(name: &str, plan: &str, words: &[&str]) {
    let output = size(&[utf8(&written(name, plan))]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    assert!(stderr.contains("plan.toml, line ") && stderr.lines().count() == 1, "{stderr}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{stderr} lacks {words:?}");
}

/// Tokens a second of so many GPUs that split a copy, by `units native`.
fn served(model: &str, weights: Weights, gpu: &str, gpus: f64, width: f64) -> f64 {
    of_gpu(model, weights, Gpu::named(gpu).expect("known"), gpus, width)
}

fn of_gpu(model: &str, weights: Weights, gpu: &Gpu, gpus: f64, width: f64) -> f64 {
    let demand = capacity::Demand {
        model: Model::named(model).expect("known").clone(),
        weights,
        prompt: 1000.0,
        answer: 1000.0,
        gpus,
        width: Some(width),
        engine: "vllm".into(),
        load: Load::Saturated,
        train: None,
    };
    let found = capacity::native(&demand, gpu).expect("fits");
    found.figures.iter().find(|figure| figure.unit == "token/s").and_then(|figure| figure.value).expect("dense")
}

#[test]
fn what_cannot_hold_the_model_is_refused_with_what_would() {
    let large = "model = \"llama-3-70b\", dtype = \"fp8\"";
    refused("l40s", &plan("chat", large, "l40s", 1), &["type box", "1 x l40s", "llama-3-70b in fp8", "no-fit", "h200_sxm"]);
    refused("l40s-bf16", &plan("chat", &large.replace("fp8", "bf16"), "l40s", 1), &["no-fit", "b200_sxm"]);
    let huge = "model = \"llama-3-405b\", dtype = \"fp8\"";
    refused("h100-405b", &plan("chat", huge, "h100_sxm", 4), &["4 x h100_sxm", "no-fit", "8 of them in a unit", "b200_sxm"]);
    // Units of a class are of its own work: tokens of a model are not counted in them.
    for class in ["serve-chat", "stream"] {
        refused(&format!("of-{class}"), &plan(class, large, "h100_sxm", 8), &[class, "llama-3-70b", "name the demand otherwise"]);
    }
    let experts = "model = \"qwen3-235b-a22b\", dtype = \"fp8\"";
    refused("experts", &plan("chat", experts, "h200_sxm", 8), &["mixture of experts", "CU"]);
    let split = plan("chat", &format!("{large}, devices = 4"), "h100_sxm", 2);
    refused("split", &split, &["a copy is split over 4 devices, and a unit has 2"]);
    refused("half", &plan("chat", &format!("{large}, devices = 1.5"), "h100_sxm", 2), &["devices is 1.5", "whole number"]);
    let job = plan("chat", large, "h100_sxm", 8)
        .replace("class = \"chat\"", "class = \"chat\"\nsynchronous = { nodes = 4, checkpoint_seconds = 1, restart_seconds = 1 }");
    refused("in-step", &job, &["replicas", "drop `synchronous`"]);
}

#[test]
fn so_many_are_bought_as_serve_the_demand_whatever_the_reference() {
    let large = "model = \"llama-3-70b\", dtype = \"fp8\"";
    // On one card nothing fits beside the weights; on two a copy does, and on four each card does more: units are split as does most.
    let split = |width: f64| served("llama-3-70b", Weights::Fp8, "h100_sxm", 4.0, width);
    refused("one", &plan("chat", large, "h100_sxm", 1), &["no-fit", "2 of them in a unit"]);
    let two = split(2.0) / 2.0;
    assert_eq!(ordered("four", &plan("chat", large, "h100_sxm", 4)) as f64, (20_000.0 / split(2.0).max(split(4.0))).ceil());
    assert_eq!(ordered("two", &plan("chat", large, "h100_sxm", 2)) as f64, (20_000.0 / two).ceil());
    assert_eq!(ordered("two-of-three", &plan("chat", large, "h100_sxm", 3)), ordered("two", &plan("chat", large, "h100_sxm", 2)));
    let split = format!("{large}, devices = 8");
    let eight = served("llama-3-70b", Weights::Fp8, "h100_sxm", 8.0, 8.0);
    assert_eq!(ordered("eight", &plan("chat", &split, "h100_sxm", 8)) as f64, (20_000.0 / eight).ceil());
    let planned = input::plan(&written("cited", &plan("chat", large, "h100_sxm", 8))).expect("good");
    let said = |figure: &str| planned.sources.iter().find(|source| source.figure.starts_with(figure)).expect("cited").how.clone();
    let (worth, demand) = (said("CU of box for chat"), said("demand of chat"));
    assert!(worth.contains("llama-3-70b in fp8") && worth.contains("a copy on ") && worth.contains("published"), "{worth}");
    // The reference, too, is split so that it does most, and not only loads the model.
    assert!(demand.contains("REF-0") && !demand.contains("a copy on 1"), "{demand}");
}

#[test]
fn a_training_run_takes_the_hours_that_units_native_says() {
    let training =
        "training = { model = \"llama-3-70b\", dtype = \"bf16\", tokens = 1e13, length = 8192, from = 1, by = \"2027-12\" }";
    let box_of = |class: &str| {
        SMALL
            .replace(PATH, training)
            .replace("class = \"mine\"", &format!("class = \"{class}\""))
            .replace("cu = { mine = 4.0 }\nsource = \"its maker\"", "published = \"h100_sxm\"\ndevices = 1")
            .replace("= 1000\n", "= 100_000_000\n")
    };
    let demand = capacity::Demand {
        model: Model::named("llama-3-70b").expect("known").clone(),
        weights: Weights::Bf16,
        prompt: 1000.0,
        answer: 1000.0,
        gpus: 8.0,
        width: None,
        engine: "vllm".into(),
        load: Load::Saturated,
        train: Some(Train { tokens: 1e13, length: 8192.0 }),
    };
    let found = capacity::native(&demand, Gpu::named("h100_sxm").expect("known")).expect("fits");
    let hours = found.figures.iter().find(|figure| figure.unit == "GPU-h").and_then(|figure| figure.value).expect("dense");
    assert_eq!(ordered("training", &box_of("pretrain")) as f64, (hours / (12.0 * 730.0)).ceil());
    refused("training-class", &box_of("stream"), &["stream", "name the demand otherwise"]);
    let old = box_of("pretrain").replace("bf16\", tokens", "fp8\", tokens").replace("h100_sxm", "a100_sxm");
    refused("no-dtype", &old, &["type box", "no-dtype", "fp8", "h100_sxm"]);
}

/// A record of two GPUs of 80 GB, from the committed one of a CPU: products and reads at these rates, and at nine tenths of them while
/// both work.
fn invented(products: f64, read: f64) -> String {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/cpu.standard.jsonl");
    let mut lines = Vec::new();
    for line in std::fs::read_to_string(committed).expect("committed").lines() {
        let value: Value = serde_json::from_str(line).expect("a line");
        if value["line"] != "entry" {
            lines.push(line.to_owned());
            continue;
        }
        if value["workload"]["id"].as_str().is_none_or(|id| !id.starts_with("stream/fp64/triad/")) {
            continue;
        }
        for (id, unit, work, rate) in [
            ("matmul/bf16.fp32.bf16/512x4096x4096", "FLOP/s", "flops", products),
            ("stream/uint32/read/4GiB", "B/s", "bytes", read),
        ] {
            for (device, load, share) in
                [("cuda:0", "alone", 1.0), ("cuda:1", "alone", 1.0), ("cuda:0", "together(2)", 0.9), ("cuda:1", "together(2)", 0.9)]
            {
                let mut entry = value.clone();
                entry["device"] = json!({ "id": device, "backend": "cuda", "kind": "gpu", "model": "invented", "memory_bytes": 80e9 as u64,
                    "memory_free_bytes": 80e9 as u64, "architecture": "9.0", "precisions": ["bf16"] });
                (entry["workload"]["id"], entry["load"], entry["rate"]["unit"]) = (json!(id), json!(load), json!(unit));
                entry["work"] = json!({ "flops": 0, "bytes": 0, "items": 0 });
                entry["work"][work] = json!((rate * share / 1e3) as u64);
                for block in entry["series"].as_array_mut().expect("blocks") {
                    block["seconds"] = json!(block["launches"].as_f64().expect("launches") / 1e3);
                }
                lines.push(entry.to_string());
            }
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn a_record_serves_what_its_firm_rates_come_to_while_all_work() {
    let place = folder("tokens-record");
    std::fs::write(place.join("node.jsonl"), invented(700e12, 3.0e12)).expect("written");
    let bought = |devices: u32| {
        let text = plan("chat", "model = \"llama-3-8b\", dtype = \"bf16\"", "h100_sxm", devices)
            .replace("published = \"h100_sxm\"", "record = \"node.jsonl\"");
        std::fs::write(place.join("plan.toml"), text).expect("written");
        size(&[utf8(&place.join("plan.toml")), "--json"])
    };
    let known = |share: f64, gpus: f64| {
        let rates = BTreeMap::from([("mm.bf16", 700e12 * share), ("hbm.read", 3.0e12 * share), ("mem.free", 80e9)]);
        let rates = rates.into_iter().map(|(key, rate)| (key.to_owned(), rate)).collect();
        (20_000.0 / of_gpu("llama-3-8b", Weights::Bf16, &Gpu::of_rates("invented", &rates).expect("whole"), gpus, 1.0)).ceil()
    };
    for (devices, known) in [(1, known(1.0, 1.0)), (2, known(0.9, 2.0))] {
        let output = bought(devices);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        assert_eq!(document["plan"][0]["units"].as_f64(), Some(known), "{devices}");
    }
    let eight = bought(8);
    assert!(eight.status.code() == Some(2) && text(&eight.stderr).contains("alone: 2 of its devices"), "{}", text(&eight.stderr));
    // A CPU's rates say nothing of a served model.
    let cpu = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/cpu.standard.jsonl");
    std::fs::copy(cpu, place.join("node.jsonl")).expect("copied");
    let refused = bought(1);
    assert!(
        refused.status.code() == Some(2) && text(&refused.stderr).contains("backend: rates of cpu"),
        "{}",
        text(&refused.stderr)
    );
}
