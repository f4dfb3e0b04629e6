//! Pictures made of characters: bars of rates, so that the steps of a ladder are seen before any figure is read.

use super::{
    Paper, figure,
    table::{Align, pad},
};
use crate::record::{Device, Entry, Interval, Rate, RateUnit};
use unicode_width::UnicodeWidthStr;

/// Columns of a full bar.
const BAR: usize = 60;

/// A bar to draw.
#[derive(Clone, Debug)]
struct Bar {
    label: String,
    rate: Interval,
    unit: RateUnit,
    status: &'static str,
    note: String,
}

/// Bars of entries, in their order, the best one full. Drawn are bursts, which every entry has: like beside like.
/// Nothing is drawn of fewer than two.
#[must_use]
pub fn bars(title: &str, entries: &[&Entry], label: fn(&Entry) -> String, paper: Paper) -> Vec<String> {
    let bars: Vec<Bar> = entries.iter().filter_map(|entry| bar(entry, label)).collect();
    let Some(best) = bars.iter().max_by(|a, b| height(a).total_cmp(&height(b))).filter(|_| bars.len() > 1) else {
        return Vec::new();
    };
    let full = paper.text(&figure::quoted(best.unit, best.rate));
    let width = bars.iter().map(|bar| bar.label.width()).max().unwrap_or(0);
    let mut lines = vec![format!("{}: burst; full bar {full} ({})", paper.text(title), best.status)];
    for bar in &bars {
        let drawn = drawn(height(bar) / height(best), paper);
        let line = format!("  {}  {}", pad(&paper.text(&bar.label), width, Align::Right), pad(&drawn, BAR, Align::Left));
        lines.push(format!("{line}  {}", paper.text(&bar.note)).trim_end().to_owned());
    }
    lines
}

fn bar(entry: &Entry, label: fn(&Entry) -> String) -> Option<Bar> {
    let Rate { unit, burst, status, .. } = entry.rate.as_ref()?;
    let rate = burst.filter(|burst| burst.value.is_finite() && burst.value > 0.0)?;
    // Only with a single array the shape is the whole footprint, in whatever way a family counts.
    let alone = entry.workload.family == "cache" && ["read", "write"].contains(&entry.workload.operation.as_str());
    let note = if alone { level(&entry.device, &entry.workload.shape) } else { String::new() };
    Some(Bar { label: label(entry), rate, unit: *unit, status: status.name(), note })
}

/// Where it is a time, less is better.
fn height(bar: &Bar) -> f64 {
    if bar.unit == RateUnit::Seconds { 1.0 / bar.rate.value } else { bar.rate.value }
}

/// A bar in eighths of a character, or in whole `#`; even the smallest is seen.
fn drawn(share: f64, paper: Paper) -> String {
    if !paper.unicode {
        return "#".repeat(((share * BAR as f64).round() as usize).max(1));
    }
    let eighths = ((share * (BAR * 8) as f64).round() as usize).max(1);
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// The first cache level that could hold a footprint by its size, else memory; blank where no cache is known.
fn level(device: &Device, shape: &str) -> String {
    let Ok(bytes) = crate::units::parse_bytes(shape) else { return String::new() };
    let mut caches: Vec<_> = device.caches.iter().collect();
    caches.sort_by_key(|cache| cache.level);
    let holds = caches.iter().find(|cache| cache.bytes >= bytes);
    match holds {
        Some(cache) => format!("within L{}", cache.level),
        None if caches.is_empty() => String::new(),
        None => "memory".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Cache, Kind, Outcome, Status, Work, Workload};

    fn entry(shape: &str, value: f64) -> Entry {
        let caches = vec![Cache { level: 2, bytes: 1 << 20, instances: 1 }, Cache { level: 1, bytes: 32 << 10, instances: 1 }];
        let device = Device { caches, ..Device::new("fake:0", "fake", Kind::Fake, "invented") };
        let workload = Workload {
            id: format!("cache/uint32/read/{shape}"),
            family: "cache".into(),
            operation: "read".into(),
            variant: "own".into(),
            precision: "uint32".into(),
            shape: shape.into(),
        };
        let burst = Some(Interval { value, low: value * 0.999, high: value * 1.001 });
        let status = Status::BurstOnly;
        let rate = Rate { unit: RateUnit::Bytes, burst, sustained: None, status, steady: false, multimodal: None, limiter: None };
        let blank = Entry::without(device, workload, Work::default(), Outcome::Measured, String::new());
        Entry { rate: Some(rate), reason: None, ..blank }
    }

    fn picture(unicode: bool, rates: &[(&str, f64)]) -> Vec<String> {
        let entries: Vec<Entry> = rates.iter().map(|(shape, value)| entry(shape, *value)).collect();
        let entries: Vec<&Entry> = entries.iter().collect();
        bars("cache read", &entries, |entry| entry.workload.shape.clone(), Paper { unicode })
    }

    #[test]
    fn bars_are_to_scale_and_say_what_holds_the_footprint() {
        let lines = picture(true, &[("32KiB", 1e11), ("512KiB", 5e10), ("1GiB", 1e9)]);
        assert_eq!(lines[0], "cache read: burst; full bar 100.0 GB/s ±0.10% (burst_only)");
        assert_eq!(lines[1], format!("   32KiB  {}  within L1", "█".repeat(60)));
        assert_eq!(lines[2], format!("  512KiB  {}{}  within L2", "█".repeat(30), " ".repeat(30)));
        assert!(lines[3].contains(" ▋") && lines[3].ends_with("memory"), "{}", lines[3]);
        assert!(lines.iter().all(|line| line.width() <= super::super::WIDTH));
    }

    #[test]
    fn plain_paper_gets_plain_bars_and_one_rung_is_no_ladder() {
        let lines = picture(false, &[("32KiB", 1e11), ("512KiB", 5e10)]);
        assert!(
            lines.iter().all(|line| line.is_ascii()) && lines[2].contains(&"#".repeat(30)) && !lines[2].contains(&"#".repeat(31))
        );
        assert!(picture(true, &[("32KiB", 1e11)]).is_empty() && picture(true, &[("1B", 0.0), ("2B", f64::NAN)]).is_empty());
    }
}
