//! The sheet: a run for a person's eyes.

use super::{Align, Paper, Table};
use crate::{
    record::{Device, Document, Entry, Interval, Kind, Outcome, Rate, RateUnit},
    units::{Bytes, Nanos, parse_bytes, scaled},
};
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const HEADING: Style = Style::new().bold();
const ALARM: Style = AnsiColor::Red.on_default();
const LABEL: Style = AnsiColor::Yellow.on_default();
/// Characters of a full bar.
const BAR: usize = 16;

const LEGEND: &str = "Decimal units. matmul counts 2mnk operations, memory every byte read plus every byte written.
burst: best second of the first three; sustained: work over elapsed time after the first half second;
±: 95 % interval; p50, p99: time of one launch. Every measured entry was verified before it was timed.";

/// The whole run.
#[must_use]
pub fn sheet(document: &Document, paper: Paper) -> String {
    let mut text = heading(document);
    let mut devices: Vec<&Device> = Vec::new();
    for entry in &document.entries {
        if devices.iter().all(|device| device.id != entry.device.id) {
            devices.push(&entry.device);
        }
    }
    for device in devices {
        let entries: Vec<&Entry> = document.entries.iter().filter(|entry| entry.device.id == device.id).collect();
        let _ = write!(text, "\n{}\n", about(device));
        text.push_str(&families(&entries, paper));
        text.push_str(&troubles(&entries));
    }
    let _ = write!(text, "\n{LEGEND}\n{}\n", closing(document));
    text
}

/// One line of an entry, as it is born.
#[must_use]
pub fn brief(entry: &Entry) -> String {
    let id = format!("{}@{}", entry.workload.id, entry.workload.variant);
    let best = entry.rate.as_ref().and_then(|rate| rate.best().map(|best| (rate, best)));
    match best.filter(|_| entry.outcome == Outcome::Measured) {
        Some((rate, best)) => format!("{id}  {} {} ({})", figure(rate.unit, best.value), spread(best), rate.status.name()),
        None => format!("{id}  {}: {}", entry.outcome.name(), entry.reason.as_deref().unwrap_or("no rate")),
    }
}

fn heading(document: &Document) -> String {
    let header = &document.header;
    let node = &header.node;
    let facts = [
        node.hostname.clone(),
        node.cpu_model.clone(),
        node.physical_cores.map(|cores| format!("{cores} cores")),
        node.memory_bytes.map(|bytes| Bytes(bytes).to_string()),
        node.distribution.clone(),
        node.kernel.as_ref().map(|kernel| format!("kernel {kernel}")),
        node.container.clone(),
        node.hypervisor.as_ref().map(|name| format!("hypervisor {name}")),
        node.vendor.clone(),
        node.product.clone(),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let ended = document.end.as_ref().map_or("not ended".to_owned(), |end| {
        let state = if end.interrupted { "interrupted" } else { "ended" };
        format!("{state} {}", end.ended_at)
    });
    let software = &header.assay;
    let (method, version, started) = (software.method, &software.version, &header.started_at);
    format!(
        "{HEADING}{}{HEADING:#}\n{} suite, assay {version}, method {method}, started {started}, {ended}\n",
        if facts.is_empty() { "unknown node".to_owned() } else { facts.join(", ") },
        header.suite
    )
}

fn about(device: &Device) -> String {
    let label = match device.kind {
        Kind::Gpu | Kind::Cpu => String::new(),
        kind => format!("  {LABEL}[{}: not hardware]{LABEL:#}", kind.name()),
    };
    let facts = [
        device.architecture.clone(),
        device.units.map(|units| format!("{units} {}", if device.kind == Kind::Cpu { "cores" } else { "units" })),
        device.memory_bytes.map(|bytes| Bytes(bytes).to_string()),
        device.driver.as_ref().map(|driver| format!("driver {driver}")),
        device.uuid.clone(),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    format!("{HEADING}{}  {}{HEADING:#}, {}{label}", device.id, device.model, facts.join(", "))
}

/// A table a family; bars are scaled to the best of the same operation and precision.
fn families(entries: &[&Entry], paper: Paper) -> String {
    let mut text = String::new();
    let mut families: Vec<&str> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.outcome == Outcome::Measured) {
        if !families.contains(&entry.workload.family.as_str()) {
            families.push(&entry.workload.family);
        }
    }
    for family in families {
        let mut rows: Vec<&&Entry> =
            entries.iter().filter(|entry| entry.outcome == Outcome::Measured && entry.workload.family == family).collect();
        rows.sort_by(|a, b| group(a).cmp(&group(b)).then(extent(a).total_cmp(&extent(b))));
        let mut table = Table::new(&[
            (family_head(family), Align::Left),
            ("", Align::Left),
            ("burst", Align::Right),
            ("sustained", Align::Right),
            ("±", Align::Right),
            ("status", Align::Left),
            ("p50", Align::Right),
            ("p99", Align::Right),
            ("MHz", Align::Right),
            ("W", Align::Right),
            ("variant", Align::Left),
        ]);
        for entry in &rows {
            table.row(cells(entry, &rows, paper));
        }
        text.push('\n');
        for line in table.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn family_head(family: &str) -> &'static str {
    ["matmul", "stream", "cache"].into_iter().find(|name| *name == family).unwrap_or("workload")
}

fn group(entry: &Entry) -> (String, String) {
    (entry.workload.operation.clone(), entry.workload.precision.clone())
}

/// A shape as a number, so that ladders stand in order.
fn extent(entry: &Entry) -> f64 {
    let shape = &entry.workload.shape;
    parse_bytes(shape).map_or_else(|_| shape.split('x').filter_map(|side| side.parse::<f64>().ok()).product(), |bytes| bytes as f64)
}

fn cells(entry: &Entry, rows: &[&&Entry], paper: Paper) -> Vec<String> {
    let Some(rate) = &entry.rate else { return vec![name(entry)] };
    let quantile = |of: fn(&crate::record::Summary) -> Nanos| {
        let service = entry.latency.as_ref().and_then(|latency| latency.service.as_ref());
        service.map(|service| of(service).to_string()).unwrap_or_default()
    };
    let telemetry = entry.telemetry.as_ref();
    vec![
        name(entry),
        bar(entry, rows, paper),
        rate.burst.map(|burst| figure(rate.unit, burst.value)).unwrap_or_default(),
        rate.sustained.map(|sustained| figure(rate.unit, sustained.value)).unwrap_or_default(),
        rate.best().map(spread).unwrap_or_default(),
        rate.status.name().replace('_', " "),
        quantile(|service| service.p50),
        quantile(|service| service.p99),
        telemetry.and_then(|t| t.sm_mhz).map(|clock| format!("{:.0}", clock.mean)).unwrap_or_default(),
        telemetry.and_then(|t| t.watts).map(|power| format!("{:.0}", power.mean)).unwrap_or_default(),
        entry.workload.variant.clone(),
    ]
}

/// The id without the family, which heads the table.
fn name(entry: &Entry) -> String {
    let id = &entry.workload.id;
    id.strip_prefix(&format!("{}/", entry.workload.family)).unwrap_or(id).to_owned()
}

fn figure(unit: RateUnit, value: f64) -> String {
    scaled(value, unit.symbol())
}

/// Half the width of an interval as a share of its value. A width that was not had (fewer than three blocks) is blank.
fn spread(interval: Interval) -> String {
    let half = (interval.high - interval.low) / 2.0 / interval.value;
    match half {
        half if !half.is_finite() || half > 10.0 => "?".into(),
        half if half >= 0.1 => format!("{:.0} %", half * 100.0),
        half => format!("{:.2} %", half * 100.0),
    }
}

fn best(rate: &Rate) -> f64 {
    let value = rate.best().map_or(0.0, |best| best.value);
    if rate.unit == RateUnit::Seconds { 1.0 / value } else { value }
}

/// A bar in eighths of a character, full for the best row of the same operation and precision.
fn bar(entry: &Entry, rows: &[&&Entry], paper: Paper) -> String {
    let of = |entry: &Entry| entry.rate.as_ref().map_or(0.0, best);
    let most = rows.iter().filter(|row| group(row) == group(entry)).map(|row| of(row)).fold(0.0, f64::max);
    let share = if most > 0.0 { of(entry) / most } else { 0.0 };
    if !paper.unicode {
        return "#".repeat((share * BAR as f64).round() as usize);
    }
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// Entries that are not measured, together where the reason is the same.
fn troubles(entries: &[&Entry]) -> String {
    let mut groups: Vec<(Outcome, String, Vec<&str>)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.outcome != Outcome::Measured) {
        let reason = entry.reason.clone().unwrap_or_else(|| "no reason given".into());
        match groups.iter_mut().find(|(outcome, known, _)| *outcome == entry.outcome && *known == reason) {
            Some((_, _, ids)) => ids.push(&entry.workload.id),
            None => groups.push((entry.outcome, reason, vec![&entry.workload.id])),
        }
    }
    let mut text = String::new();
    for (outcome, reason, ids) in groups {
        let style = if outcome == Outcome::Skipped { Style::new() } else { ALARM };
        let _ = write!(text, "\n  {style}{}{style:#}: {reason}\n", outcome.name());
        for id in ids {
            let _ = writeln!(text, "    {id}");
        }
    }
    text
}

fn closing(document: &Document) -> String {
    let count = |outcome| document.entries.iter().filter(|entry| entry.outcome == outcome).count();
    let verified = || document.entries.iter().filter_map(|entry| entry.verified.as_ref());
    let launches: u64 = verified().map(|verified| verified.launches).sum();
    let hashed: u64 = verified().map(|verified| verified.hashed).sum();
    let mut text = format!("{} measured", count(Outcome::Measured));
    for outcome in [Outcome::Skipped, Outcome::Failed, Outcome::Invalid] {
        let _ = write!(text, ", {} {}", count(outcome), outcome.name());
    }
    let _ = write!(text, "; {launches} launches timed, {hashed} outputs hashed.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{End, Header, Node, SCHEMA, Software, Status, Sustained, Work, Workload};

    fn entry(family: &str, operation: &str, shape: &str, value: f64) -> Entry {
        let workload = Workload {
            id: format!("{family}/fp64/{operation}/{shape}"),
            family: family.into(),
            operation: operation.into(),
            variant: "own".into(),
            precision: "fp64".into(),
            shape: shape.into(),
        };
        let device = Device::new("fake:0", "fake", Kind::Fake, "invented");
        let burst = Interval { value, low: value * 0.99, high: value * 1.01 };
        let sustained = Sustained { value, low: value * 0.998, high: value * 1.002, p05: value, p50: value, p95: value };
        let rate = Rate {
            unit: RateUnit::Bytes,
            burst: Some(burst),
            sustained: (operation == "triad").then_some(sustained),
            status: if operation == "triad" { Status::Budget } else { Status::BurstOnly },
            steady: false,
            multimodal: None,
            limiter: None,
        };
        let blank = Entry::without(device, workload, Work::default(), Outcome::Measured, String::new());
        Entry { rate: Some(rate), reason: None, ..blank }
    }

    fn document(entries: Vec<Entry>) -> Document {
        let header = Header {
            schema: SCHEMA.into(),
            id: "test".into(),
            started_at: "2026-01-01T00:00:00Z".into(),
            assay: Software::this(None),
            node: Node::default(),
            devices: Vec::new(),
            suite: "quick".into(),
            command: Vec::new(),
        };
        let end =
            End { ended_at: "2026-01-01T00:01:00Z".into(), measured: 0, skipped: 0, failed: 0, invalid: 0, interrupted: false };
        Document { header, end: Some(end), entries, warnings: Vec::new() }
    }

    #[test]
    fn ladders_stand_in_order_with_bars_to_scale() {
        let entries = vec![entry("cache", "read", "2MiB", 5e9), entry("cache", "read", "512KiB", 1e10)];
        let text = sheet(&document(entries), Paper { unicode: true });
        let (small, large) = (text.find("512KiB").expect("shown"), text.find("2MiB").expect("shown"));
        assert!(small < large, "{text}");
        assert!(text.contains(&"█".repeat(16)) && text.contains(&format!("{} ", "█".repeat(8))), "{text}");
        let plain = sheet(&document(vec![entry("cache", "read", "2MiB", 5e9)]), Paper { unicode: false });
        assert!(plain.contains(&"#".repeat(16)) && !plain.contains('█'));
    }

    #[test]
    fn a_number_never_stands_without_its_status_and_interval() {
        let text = sheet(&document(vec![entry("stream", "triad", "1GiB", 4.3e12)]), Paper { unicode: true });
        let line = text.lines().find(|line| line.contains("triad")).expect("a row");
        assert!(line.contains("4.300 TB/s") && line.contains("0.20 %") && line.contains("budget"), "{line}");
        assert!(text.contains("not hardware"), "a fake says so");
    }

    #[test]
    fn what_was_not_measured_is_told_with_its_reason_once() {
        let skipped =
            |shape| Entry { outcome: Outcome::Skipped, reason: Some("too long".into()), ..entry("cache", "read", shape, 1.0) };
        let text = sheet(&document(vec![skipped("1MiB"), skipped("2MiB")]), Paper { unicode: true });
        assert_eq!(text.matches("too long").count(), 1);
        assert!(text.contains("cache/fp64/read/1MiB") && text.contains("0 measured, 2 skipped"));
    }

    #[test]
    fn a_line_of_an_entry_says_what_came_of_it() {
        assert_eq!(brief(&entry("stream", "triad", "1GiB", 2e10)), "stream/fp64/triad/1GiB@own  20.00 GB/s 0.20 % (budget)");
        let failed = Entry { outcome: Outcome::Failed, reason: Some("lost".into()), ..entry("stream", "copy", "1GiB", 1.0) };
        assert_eq!(brief(&failed), "stream/fp64/copy/1GiB@own  failed: lost");
    }
}
