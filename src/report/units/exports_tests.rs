//! Each form as its reader takes it apart.

use super::*;
use crate::capacity::{self, Question};
use serde_json::Value;

fn appraisal(class: &str, rates: &[(&str, f64)]) -> Appraisal {
    let devices = rates.iter().enumerate().map(|(at, (model, triad))| {
        let text = format!(
            r#"{{"name": "x:{at}", "model": "{model}", "hbm.triad": {{"typical": {triad}, "firm": {}, "watts": 500}}}}"#,
            0.9 * triad
        );
        capacity::given(&text, "x").expect("rates").devices.remove(0)
    });
    let vectors = capacity::Vectors { of: "rates given in x".into(), devices: devices.collect() };
    let class = capacity::definition().class(class).expect("shipped");
    capacity::appraise_rates(&vectors, &Question { classes: vec![class], ..Question::default() })
}

fn three() -> Appraisal {
    appraisal("stream", &[("NVIDIA H100 80GB HBM3", 3.0e12), ("NVIDIA H200", 4.5e12), ("NVIDIA H100 80GB HBM3", 2.9e12)])
}

fn exported(form: Export, statistic: Statistic) -> String {
    let at = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"];
    export(&three(), form, statistic, Some((6.0, "USD")), at).expect("a form")
}

#[test]
fn slurm_bills_the_least_of_each_model_in_thousandths() {
    let text = exported(Export::Slurm, Statistic::Typical);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "AccountingStorageTRES=gres/gpu,gres/gpu:nvidia_h200,gres/gpu:nvidia_h100_80gb_hbm3",
            "PartitionName=DEFAULT TRESBillingWeights=\"GRES/gpu:nvidia_h200=1500,GRES/gpu:nvidia_h100_80gb_hbm3=967\"",
        ]
    );
    assert!(text.contains("cu/1@REF-0 (provisional)") && exported(Export::Slurm, Statistic::Firm).contains("=1350,"));
}

#[test]
fn kueue_gets_flavours_with_the_best_first_and_counts_of_devices() {
    let text = exported(Export::Kueue, Statistic::Firm);
    let documents: Vec<&str> = text.split("---\n").collect();
    assert_eq!(documents.len(), 3);
    assert!(documents.iter().all(|document| document.contains("apiVersion: kueue.x-k8s.io/v1beta2\nkind: ")));
    assert!(documents[0].contains("name: nvidia-h200\n") && documents[0].contains("assay/units: \"1.3500\""));
    assert!(documents[1].contains("    nvidia.com/gpu.product: \"NVIDIA-H100-80GB-HBM3\"\n"), "{text}");
    let quotas: Vec<&str> = documents[2].lines().filter(|line| line.contains("nominalQuota")).collect();
    assert_eq!(quotas, ["        nominalQuota: 1  # 1.350 units", "        nominalQuota: 2  # 1.740 units"]);
    assert!(!text.contains('\t'));
}

#[test]
fn opencost_gets_an_hour_of_each_device_with_its_units() {
    let value: Value = serde_json::from_str(&exported(Export::OpenCost, Statistic::Firm)).expect("JSON");
    assert_eq!((&value["domain"], &value["currency"], &value["errors"]), (&"assay".into(), &"USD".into(), &json!([])));
    let costs = value["costs"].as_array().expect("costs");
    assert_eq!(costs.len(), 3);
    for cost in costs {
        let of = |name: &str| cost[name].as_f64().expect("a figure");
        assert_eq!(of("billedCost"), 6.0);
        assert!((of("listUnitPrice") * of("usageQuantity") / 6.0 - 1.0).abs() < 1e-12);
        assert_eq!((&cost["usageUnit"], &cost["labels"]["class"]), (&"CU-hours".into(), &"stream".into()));
    }
}

#[test]
fn prometheus_gets_a_line_a_figure() {
    let text = exported(Export::Prometheus, Statistic::Firm);
    let labels = "device=\"x:1\",model=\"NVIDIA H200\",class=\"stream\",definition=\"cu/1@REF-0\",origin=\"given\"";
    for line in [
        "# TYPE assay_capacity_units gauge".to_owned(),
        format!("assay_capacity_units{{{labels},statistic=\"typical\"}} 1.5"),
        format!("assay_capacity_units{{{labels},statistic=\"firm\"}} 1.35"),
        format!("assay_capacity_units_per_kilowatt{{{labels},statistic=\"firm\"}} 2.7"),
        "# EOF".to_owned(),
    ] {
        assert!(text.lines().any(|other| other.starts_with(&line)), "{line} is not in\n{text}");
    }
    let figures: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(figures.len() > 2 && figures.chunk_by(|a, b| a[..22] == b[..22]).all(<[&str]>::is_sorted), "{text}");
    let nothing =
        export(&appraisal("serve-chat", &[("x", 3e12)]), Export::Prometheus, Statistic::Firm, None, ["", ""]).expect("a form");
    assert!(!nothing.contains("class="), "what is withheld has no line: {nothing}");
}

#[test]
fn what_is_withheld_is_not_handed_on() {
    let published = capacity::published("h100").expect("shipped");
    let stream = capacity::definition().class("stream").expect("shipped");
    let of = |classes: Vec<_>, statistic| {
        let appraisal = capacity::appraise_rates(&published, &Question { classes, ..Question::default() });
        export(&appraisal, Export::Slurm, statistic, None, ["", ""])
    };
    assert!(of(vec![stream], Statistic::Firm).unwrap_err().contains("published: of hbm.triad"));
    assert!(of(Vec::new(), Statistic::Typical).unwrap_err().starts_with("which class"));
    assert!(of(vec![stream], Statistic::Typical).expect("a figure").contains("published figures, not measured"));
}
