//! DCGM's diagnostics, `dcgmi diag -r LEVEL -v -j`: a verdict a test and card, and with `-v` some figures in words.
//!
//! Format: NVIDIA/DCGM, dcgmi/Diag.cpp and nvvs/include/NvvsJsonStrings.h of version 4.6 ("DCGM Diagnostic"), and as it was in version 3
//! ("DCGM GPU Diagnostic"). The words come from nvvs/plugin_src/{diagnostic,pcie}. Their gigaflops are 2³⁰ operations
//! (DiagnosticPlugin.cpp, `CalculateGFlopsMultiplier`); assay's prefixes are decimal. Both ways of a link together count both.

use super::{Imported, Subject, Tool, bounded, device, layout, short};
use crate::record::{Device, Entry, Kind, Node, Origin, Outcome, RateUnit};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

pub const TOOL: Tool = Tool {
    name: "dcgmi-diag",
    command: "dcgmi diag -r 2 -v -j",
    format: "NVIDIA/DCGM: dcgmi/Diag.cpp, version 4.6; nvvs/include/NvvsJsonStrings.h",
    recognises: |value| ["DCGM Diagnostic", "DCGM GPU Diagnostic"].iter().any(|name| value.get(name).is_some()),
    read,
    text: None,
};

#[derive(Deserialize)]
struct Report {
    #[serde(alias = "DCGM GPU Diagnostic", rename = "DCGM Diagnostic")]
    body: Body,
    metadata: Option<Body>,
}

/// Version 3 keeps beside the tests what version 4 keeps under `metadata`.
#[derive(Deserialize)]
struct Body {
    version: Option<String>,
    #[serde(rename = "Driver Version Detected")]
    driver: Option<String>,
    runtime_error: Option<String>,
    test_categories: Option<Vec<Category>>,
}

#[derive(Deserialize)]
struct Category {
    /// Version 3 writes null between tests that were not run.
    #[serde(default)]
    tests: Vec<Option<Test>>,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    results: Option<Vec<Verdict>>,
    #[serde(rename = "test_summary")]
    summary: Option<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    status: String,
    /// Version 4: `GPU` and its number.
    entity_group: Option<String>,
    entity_id: Option<u32>,
    /// Version 3: numbers with commas between.
    gpu_ids: Option<String>,
    info: Option<OneOrMore>,
    warnings: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<Said>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Words(String),
    Warning { warning: String },
}

impl OneOrMore {
    fn words(&self) -> Vec<&str> {
        match self {
            Self::One(words) => vec![words],
            Self::More(said) => said.iter().map(|(Said::Words(words) | Said::Warning { warning: words })| words.as_str()).collect(),
        }
    }
}

/// A figure that stands in words: what comes before and after it, what it is, and how it is made SI.
struct Phrase {
    before: &'static str,
    after: &'static str,
    figure: &'static str,
    unit: RateUnit,
    scale: f64,
    note: &'static str,
}

/// No node has more cards than this.
const MOST_GPUS: usize = 256;
const BINARY_GIGA: f64 = (1_u64 << 30) as f64;
const ARRIVE: &str = "bytes that arrive, each once";

const PHRASES: &[Phrase] = &[
    Phrase {
        before: "calculated at approximately ",
        after: " gigaflops",
        figure: "products",
        unit: RateUnit::Flops,
        scale: BINARY_GIGA,
        note: "dcgmi's gigaflops are 2^30 operations, of all precisions that it ran together; approximate by its own word",
    },
    Phrase { before: "GPU to Host bandwidth:", after: " GB/s", figure: "d2h", unit: RateUnit::Bytes, scale: 1e9, note: ARRIVE },
    Phrase { before: "Host to GPU bandwidth:", after: " GB/s", figure: "h2d", unit: RateUnit::Bytes, scale: 1e9, note: ARRIVE },
    Phrase {
        before: "bidirectional bandwidth:",
        after: " GB/s",
        figure: "both",
        unit: RateUnit::Bytes,
        scale: 1e9,
        note: "both ways added",
    },
    Phrase {
        before: "GPU to Host latency:",
        after: " us",
        figure: "d2h-latency",
        unit: RateUnit::Seconds,
        scale: 1e-6,
        note: "of a small copy",
    },
    Phrase {
        before: "Host to GPU latency:",
        after: " us",
        figure: "h2d-latency",
        unit: RateUnit::Seconds,
        scale: 1e-6,
        note: "of a small copy",
    },
    Phrase {
        before: "bidirectional latency:",
        after: " us",
        figure: "both-latency",
        unit: RateUnit::Seconds,
        scale: 1e-6,
        note: "of small copies",
    },
];

impl Phrase {
    fn figure_in(&self, words: &str) -> Option<f64> {
        let rest = &words[words.find(self.before)? + self.before.len()..];
        rest[..rest.find(self.after)?].trim().parse().ok()
    }
}

fn read(value: &Value) -> Result<Imported, String> {
    let Report { body, metadata } = layout(value)?;
    let said = |of: fn(&Body) -> Option<&String>| of(&body).or_else(|| metadata.as_ref().and_then(of)).map(|text| short(text));
    let origin = Origin { tool: TOOL.name.into(), version: said(|body| body.version.as_ref()), measured_at: None };
    let driver = said(|body| body.driver.as_ref());
    let Some(categories) = &body.test_categories else {
        let why = body.runtime_error.as_deref().map_or_else(|| "there is no test_categories".into(), short);
        return Err(format!("it holds no test: {why}"));
    };
    let mut entries = Vec::new();
    for test in categories.iter().flat_map(|category| category.tests.iter().flatten()) {
        let verdicts: Vec<&Verdict> = match (&test.results, &test.summary) {
            (Some(results), _) if !results.is_empty() => results.iter().collect(),
            (_, summary) => summary.iter().collect(),
        };
        for verdict in verdicts {
            for place in verdict.places() {
                let device = Device { driver: driver.clone(), ..place };
                let told = verdict.entries(&origin, &device, &test.name);
                entries.extend(told.map_err(|why| format!("test {}: {why}", short(&test.name)))?);
                bounded(&entries)?;
            }
        }
    }
    let mut known = HashSet::new();
    let devices = entries.iter().filter(|entry| known.insert(entry.device.id.clone())).map(|entry| entry.device.clone()).collect();
    Ok(Imported { origin, node: Node::default(), devices, entries })
}

impl Verdict {
    /// What the verdict is of; DCGM numbers its cards in its own order, which is not CUDA's.
    fn places(&self) -> Vec<Device> {
        let gpu = |id: &str| device("dcgm", id, Kind::Gpu, "GPU, by DCGM's number");
        match (&self.gpu_ids, &self.entity_group, self.entity_id) {
            (Some(ids), ..) => ids.split(',').take(MOST_GPUS).map(|id| gpu(&short(id))).collect(),
            (None, Some(group), Some(id)) if group != "GPU" => vec![device(&short(group).to_lowercase(), id, Kind::Gpu, group)],
            (None, _, Some(id)) => vec![gpu(&id.to_string())],
            _ => vec![device("dcgm", "all", Kind::Gpu, "all of the diagnostic")],
        }
    }

    fn entries(&self, origin: &Origin, device: &Device, test: &str) -> Result<Vec<Entry>, String> {
        let subject = |figure| Subject { origin, device, operation: test, variant: "dcgm", precision: "", shape: figure };
        let warnings = self.warnings.as_ref().map(OneOrMore::words).unwrap_or_default().join("; ");
        let why = if warnings.is_empty() { "no further word".into() } else { short(&warnings) };
        match self.status.to_ascii_lowercase().as_str() {
            "pass" => {}
            "fail" => return Ok(vec![subject("").without(Outcome::Failed, &format!("dcgmi says Fail: {why}"))]),
            "warn" => return Ok(vec![subject("").without(Outcome::Skipped, &format!("dcgmi warns: {why}"))]),
            "skip" | "skipped" | "not run" => {
                return Ok(vec![subject("").without(Outcome::Skipped, &format!("dcgmi skipped it: {why}"))]);
            }
            _ => return Err(format!("its status is `{}`; there are Pass, Fail, Warn and Skip", short(&self.status))),
        }
        let words = self.info.as_ref().map(OneOrMore::words).unwrap_or_default();
        let found = PHRASES.iter().filter_map(|phrase| Some((phrase, words.iter().find_map(|words| phrase.figure_in(words))?)));
        let measured: Vec<Entry> = found
            .map(|(phrase, value)| subject(phrase.figure).single(phrase.unit, value, phrase.scale, phrase.note))
            .collect::<Result<_, _>>()?;
        let passed = || vec![subject("").without(Outcome::Skipped, "dcgmi says Pass, and gives no figure")];
        Ok(if measured.is_empty() { passed() } else { measured })
    }
}
