//! Records of an invented device, with figures and noise that a test chooses.

use assay::record::{
    Block, Device, Document, End, Entry, Header, Interval, Kind, Line, Node, Outcome, Rate, RateUnit, SCHEMA, Sampling, Software,
    Status, Sustained, Work, Workload,
};
use assay::units::{Flops, Nanos};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Run-to-run standard deviation of every figure, and the half width of its interval.
const NOISE: f64 = 0.002;

/// A metric of the invented device.
#[derive(Clone, Copy)]
pub struct Metric {
    pub operation: &'static str,
    pub unit: RateUnit,
    pub value: f64,
    pub status: Status,
}

pub const METRICS: [Metric; 4] = [
    Metric { operation: "matmul", unit: RateUnit::Flops, value: 700e12, status: Status::Steady },
    Metric { operation: "triad", unit: RateUnit::Bytes, value: 4e12, status: Status::Steady },
    Metric { operation: "chase", unit: RateUnit::Seconds, value: 600e-9, status: Status::Steady },
    Metric { operation: "read", unit: RateUnit::Bytes, value: 9e12, status: Status::BurstOnly },
];

/// A record of `METRICS`, each with its noise of that seed.
pub fn document(seed: u64) -> Document {
    let device = device();
    let entries: Vec<Entry> =
        METRICS.iter().enumerate().map(|(at, metric)| entry(&device, *metric, seed * 31 + at as u64)).collect();
    let measured = entries.len() as u64;
    let header = Header {
        schema: SCHEMA.into(),
        id: format!("00000000-0000-7000-8000-{seed:012}"),
        started_at: format!("2026-01-{:02}T00:00:00Z", seed % 28 + 1),
        assay: Software::this(None),
        node: Node { hostname: Some("nowhere".into()), ..Node::default() },
        devices: vec![device],
        suite: "quick".into(),
        command: vec!["assay".into(), "run".into(), "-o".into(), "/home/somebody/run.jsonl".into()],
    };
    let end = End { ended_at: "2026-01-31T00:00:00Z".into(), measured, skipped: 0, failed: 0, invalid: 0, interrupted: false };
    Document { header, end: Some(end), entries, warnings: Vec::new() }
}

/// The same with a metric's performance times `factor`.
pub fn changed(seed: u64, operation: &str, factor: f64) -> Document {
    let mut document = document(seed);
    for entry in document.entries.iter_mut().filter(|entry| entry.workload.operation == operation) {
        let rate = entry.rate.as_mut().expect("a rate");
        let factor = if rate.unit == RateUnit::Seconds { 1.0 / factor } else { factor };
        if let Some(sustained) = &mut rate.sustained {
            *sustained = around(sustained.value * factor);
        }
        rate.burst =
            rate.burst.map(|burst| Interval { value: burst.value * factor, low: burst.low * factor, high: burst.high * factor });
    }
    document
}

/// A record of the product alone, whose blocks run at these rates; its figure is work over time, as a record quotes it.
pub fn of_blocks(seed: u64, rates: &[f64]) -> Document {
    let mut document = document(seed);
    document.entries.truncate(1);
    let entry = &mut document.entries[0];
    let launch = 0.25 * rates.iter().copied().fold(0.0, f64::max);
    entry.work = Work { flops: Flops(launch as u64), ..Work::default() };
    let block = |rate: &f64| {
        let seconds = launch / rate;
        let each = Nanos((seconds * 1e9) as u64);
        let (clock, watts, celsius, limits) = (None, None, None, None);
        Block { t: 0.0, seconds, launches: 1, mean: each, median: each, p95: each, clock, watts, celsius, limits }
    };
    entry.series = rates.iter().map(block).collect();
    let seconds: f64 = entry.series.iter().map(|block| block.seconds).sum();
    if let Some(rate) = &mut entry.rate {
        rate.sustained = Some(around(launch * rates.len() as f64 / seconds));
    }
    document
}

/// The same measured beside other devices too, where everything runs at `factor`.
pub fn and_together(mut document: Document, factor: f64) -> Document {
    for mut entry in document.entries.clone() {
        entry.load = "together(2)".into();
        let rate = entry.rate.as_mut().expect("a rate");
        let factor = if rate.unit == RateUnit::Seconds { 1.0 / factor } else { factor };
        rate.sustained = rate.sustained.map(|sustained| around(sustained.value * factor));
        document.entries.push(entry);
    }
    document
}

fn device() -> Device {
    Device {
        uuid: Some("GPU-00000000-fa4e-0000-0000-000000000000".into()),
        driver: Some("1.0".into()),
        memory_bytes: Some(80 << 30),
        ..Device::new("fake:0", "fake", Kind::Fake, "Invented accelerator")
    }
}

fn entry(device: &Device, metric: Metric, seed: u64) -> Entry {
    let value = metric.value * (1.0 + NOISE * noise(seed));
    let workload = Workload {
        id: format!("family/fp32/{}/1GiB", metric.operation),
        family: "family".into(),
        operation: metric.operation.into(),
        variant: "own".into(),
        precision: "fp32".into(),
        shape: "1GiB".into(),
    };
    let burst = Interval { value, low: value * (1.0 - NOISE), high: value * (1.0 + NOISE) };
    let rate = Rate {
        unit: metric.unit,
        burst: Some(burst),
        sustained: (metric.status != Status::BurstOnly).then(|| around(value)),
        status: metric.status,
        steady: metric.status == Status::Steady,
        multimodal: None,
        limiter: None,
    };
    Entry {
        reason: None,
        rate: Some(rate),
        kernel: Some("sha256:0000".into()),
        seed: 1,
        sampling: Some(Sampling { seconds: 5.0, ..Sampling::default() }),
        ..Entry::without(device.clone(), workload, Work::default(), Outcome::Measured, String::new())
    }
}

fn around(value: f64) -> Sustained {
    let share = |share: f64| value * (1.0 + share);
    Sustained { value, low: share(-NOISE), high: share(NOISE), p05: share(-0.01), p50: value, p95: share(0.01) }
}

/// Nearly normal, from a seed: the sum of twelve uniforms (splitmix64) less six.
pub fn noise(seed: u64) -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..12).map(|_| uniform()).sum::<f64>() - 6.0
}

pub fn write(path: &Path, document: &Document) {
    let entries = document.entries.iter().cloned().map(|entry| Line::Entry(Box::new(entry)));
    let lines =
        std::iter::once(Line::Run(Box::new(document.header.clone()))).chain(entries).chain(document.end.clone().map(Line::End));
    let text: String = lines.map(|line| serde_json::to_string(&line).expect("plain data") + "\n").collect();
    fs::write(path, text).expect("a temporary file");
}

/// A folder of a test's own, with commands run in it.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a temporary folder");
        Self(folder)
    }

    /// With a baseline of five runs, `base.json`.
    pub fn with_baseline(name: &str) -> Self {
        let place = Self::new(name);
        let runs: Vec<String> = (1..=5).map(|seed| place.run(&format!("base{seed}.jsonl"), &document(seed))).collect();
        let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
        let output = place.check(&[&runs[..], &["--update-baseline"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        place
    }

    /// Writes a record, and gives its name.
    pub fn run(&self, name: &str, document: &Document) -> String {
        write(&self.0.join(name), document);
        name.into()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), contents).expect("a temporary file");
    }

    /// `assay check --baseline base.json` with more.
    pub fn check(&self, more: &[&str]) -> Output {
        self.assay(&[&["check", "--baseline", "base.json"], more].concat())
    }

    pub fn assay(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        for name in ["ASSAY_SUITE", "ASSAY_BACKEND", "ASSAY_OUTPUT", "ASSAY_NVML_LIB"] {
            command.env_remove(name);
        }
        command.current_dir(&self.0).env("XDG_DATA_HOME", self.0.join("data")).args(arguments).output().expect("starts")
    }

    /// The exit code, and the document that `--json` prints.
    pub fn json(&self, more: &[&str]) -> (i32, serde_json::Value) {
        let output = self.check(&[more, &["--json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        (output.status.code().expect("a code"), value)
    }
}

/// A metric of the printed document, by its operation.
pub fn metric<'a>(json: &'a serde_json::Value, operation: &str) -> &'a serde_json::Value {
    let is = |metric: &&serde_json::Value| metric["metric"].as_str().is_some_and(|name| name.contains(&format!("/{operation}/")));
    json["metrics"].as_array().expect("a list").iter().find(is).unwrap_or_else(|| panic!("{operation} is not in {json}"))
}
