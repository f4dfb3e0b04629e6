//! What devices say of themselves: a table for a look, and a verdict with its reasons.

use super::{
    Paper, WIDTH,
    table::{Align, Table, folded},
};
use crate::{
    judge::{Health, Verdict},
    record::{Device, Vital, Vitals},
    units::Bytes,
};
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const FAIL: Style = AnsiColor::Red.on_default().bold();
const PASS: Style = AnsiColor::Green.on_default();
const UNKNOWN: Style = AnsiColor::Yellow.on_default();

/// Columns before a check's words.
const INDENT: usize = 26;

const COLUMNS: &[(&str, Align)] = &[
    ("", Align::Left),
    ("MHz", Align::Right),
    ("mem MHz", Align::Right),
    ("W", Align::Right),
    ("of W", Align::Right),
    ("°C", Align::Right),
    ("mem °C", Align::Right),
    ("busy", Align::Right),
    ("memory", Align::Right),
    ("held down by", Align::Left),
];

/// One line a device. A value that is not there says why: `none`, `denied`, `lost`, `timeout`, `failed`.
#[must_use]
pub fn look(devices: &[(&Device, &Vitals, Option<&str>)], paper: Paper) -> String {
    let mut table = Table::new(paper, COLUMNS);
    for (device, vitals, absent) in devices {
        let clock = if vitals.contains_key("clock_core_mhz") { "clock_core_mhz" } else { "clock_sm_mhz" };
        let whole = |name| cell(vitals, name, |value| format!("{value:.0}"));
        let mut cells = vec![device.id.clone(), whole(clock)];
        cells.extend(["clock_memory_mhz", "power_instant_w", "power_limit_w", "temperature_c", "temperature_memory_c"].map(whole));
        cells.push(cell(vitals, "utilisation_ratio", |value| format!("{:.0}%", value * 100.0)));
        cells.push(cell(vitals, "memory_used_bytes", |value| Bytes(value as u64).to_string()));
        cells.push(absent.map_or_else(|| cell(vitals, "clock_events", |value| value.to_string()), str::to_owned));
        table.row(&cells);
    }
    table.lines(WIDTH).join("\n") + "\n"
}

fn cell(vitals: &Vitals, name: &str, number: impl Fn(f64) -> String) -> String {
    match vitals.get(name) {
        Some(Vital::Number(value)) => number(*value),
        Some(Vital::Text(text)) => text.clone(),
        Some(Vital::Names(names)) => names.iter().cloned().collect::<Vec<_>>().join(" "),
        Some(Vital::Absent { absent }) => absent.name().into(),
        None => String::new(),
    }
}

/// A device's verdict; with all its reasons.
#[must_use]
pub fn health(device: &Device, health: &Health, paper: Paper) -> String {
    let (style, word) = verdict(health.verdict);
    let name = paper.text(&format!("{:<8} {}", device.id, device.model));
    let mut text = format!("{name}: {style}{word}{style:#}\n");
    for finding in &health.findings {
        let (style, word) = verdict(finding.verdict);
        let says = folded(&paper.text(&finding.says), WIDTH - INDENT).replace('\n', &format!("\n{:INDENT$}", ""));
        let _ = writeln!(text, "  {style}{word:<8}{style:#}{:<16}{says}", finding.check);
    }
    text
}

fn verdict(verdict: Verdict) -> (Style, &'static str) {
    match verdict {
        Verdict::Pass => (PASS, "pass"),
        Verdict::Unknown => (UNKNOWN, "unknown"),
        Verdict::Fail => (FAIL, "FAIL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        judge,
        record::{Absence, Kind},
    };

    #[test]
    fn a_look_shows_values_and_why_others_are_missing() {
        let device = Device::new("cuda:0", "cuda", Kind::Gpu, "H200");
        let vitals = Vitals::from([
            ("clock_sm_mhz".into(), Vital::Number(1980.0)),
            ("power_instant_w".into(), Vital::Absent { absent: Absence::NoPermission }),
            ("clock_events".into(), Vital::Names(["sw_power_cap".to_owned()].into())),
            ("utilisation_ratio".into(), Vital::Number(0.25)),
        ]);
        let empty = Vitals::new();
        let text = look(&[(&device, &vitals, None), (&device, &empty, Some("no driver"))], Paper { unicode: true });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        for word in ["cuda:0", "1980", "denied", "25%", "sw_power_cap"] {
            assert!(lines[1].contains(word), "{text}");
        }
        assert!(lines[2].ends_with("no driver"), "{text}");
    }

    #[test]
    fn a_verdict_stands_with_its_reasons() {
        let device = Device::new("cuda:0", "cuda", Kind::Gpu, "H200");
        let verdict = judge::health(&Vitals::new(), Err("/dev/kmsg: permission denied"));
        let text = anstream::adapter::strip_str(&health(&device, &verdict, Paper { unicode: true })).to_string();
        assert!(text.starts_with("cuda:0   H200: unknown\n"), "{text}");
        assert_eq!(text.lines().count(), 1 + verdict.findings.len(), "{text}");
        assert!(text.contains("unknown faults          /dev/kmsg: permission denied"), "{text}");
    }
}
