//! What was measured of a device: one table of all families, and pictures of what is better seen than read.

use super::{
    HEADING, Paper, WIDTH, chart,
    figure::{self, Scale},
    table::{Align, Table},
};
use crate::{
    record::{Entry, Interval, Outcome, RateUnit, ReadingSpan, Summary},
    units::{Nanos, parse_bytes},
};
use std::fmt::Write;

/// The first entry of each different `key`, in order.
pub fn distinct<'a>(entries: impl IntoIterator<Item = &'a Entry>, key: impl Fn(&'a Entry) -> &'a str) -> Vec<&'a Entry> {
    let mut first: Vec<&Entry> = Vec::new();
    for entry in entries {
        if first.iter().all(|known| key(known) != key(entry)) {
            first.push(entry);
        }
    }
    first
}

/// Measured entries of a family and precision, in order of operation and size.
fn sections<'a>(entries: &[&'a Entry]) -> Vec<Vec<&'a Entry>> {
    let is_measured = |entry: &&&Entry| entry.outcome == Outcome::Measured && entry.rate.is_some();
    let measured: Vec<&Entry> = entries.iter().filter(is_measured).copied().collect();
    let mut sections = Vec::new();
    for family in distinct(measured.iter().copied(), |entry| &entry.workload.family) {
        let of_family: Vec<&Entry> = measured.iter().filter(|e| e.workload.family == family.workload.family).copied().collect();
        let mut precisions = distinct(of_family.iter().copied(), |entry| &entry.workload.precision);
        precisions.sort_by_key(|entry| &entry.workload.precision);
        for first in precisions {
            let same = |entry: &&&Entry| entry.workload.precision == first.workload.precision;
            let mut rows: Vec<&Entry> = of_family.iter().filter(same).copied().collect();
            rows.sort_by(|a, b| rank(a).cmp(&rank(b)).then(extent(a).total_cmp(&extent(b))));
            // Other tools have rates and times in one family, which no prefix suits together.
            sections.extend(UNITS.map(|unit| rows.iter().filter(|row| is_in(row, unit)).copied().collect::<Vec<_>>()));
        }
    }
    sections.retain(|rows| !rows.is_empty());
    sections
}

const UNITS: [RateUnit; 4] = [RateUnit::Flops, RateUnit::Bytes, RateUnit::Items, RateUnit::Seconds];

fn is_in(entry: &Entry, unit: RateUnit) -> bool {
    entry.rate.as_ref().is_some_and(|rate| rate.unit == unit)
}

/// Operations in the order in which people know them, squares before other shapes.
fn rank(entry: &Entry) -> (usize, &str, bool) {
    const KNOWN: [&str; 7] = ["read", "write", "copy", "scale", "add", "triad", "dot"];
    let operation = entry.workload.operation.as_str();
    let mut sides = entry.workload.shape.split('x');
    let first = sides.next();
    (KNOWN.iter().position(|name| *name == operation).unwrap_or(KNOWN.len()), operation, sides.any(|side| Some(side) != first))
}

/// A shape as a number, so that ladders stand in order.
fn extent(entry: &Entry) -> f64 {
    let shape = &entry.workload.shape;
    parse_bytes(shape).map_or_else(|_| shape.split('x').filter_map(|side| side.parse::<f64>().ok()).product(), |bytes| bytes as f64)
}

/// The table of a device, and pictures of what is better seen than read.
pub fn rates(entries: &[&Entry], paper: Paper) -> String {
    let sections = sections(entries);
    let mut table = Table::new(paper, &COLUMNS);
    let mut pictures = Vec::new();
    for rows in &sections {
        section(rows, &mut table, paper);
        let first = &rows[0].workload;
        let rows: Vec<&Entry> = rows.iter().filter(|entry| entry.load == ALONE).copied().collect();
        let rows = &rows;
        let title = format!("{} {}", first.family, first.precision);
        match first.family.as_str() {
            "matmul" => pictures.push(chart::bars(&title, rows, |entry| entry.workload.shape.clone(), paper)),
            "cache" => pictures.extend(distinct(rows.iter().copied(), |entry| &entry.workload.operation).into_iter().map(|of| {
                let ladder: Vec<&Entry> =
                    rows.iter().filter(|row| row.workload.operation == of.workload.operation).copied().collect();
                chart::bars(&format!("{title} {}", of.workload.operation), &ladder, |entry| entry.workload.shape.clone(), paper)
            })),
            _ => {}
        }
    }
    let mut text = String::new();
    if !sections.is_empty() {
        table.lines(WIDTH).iter().for_each(|line| _ = writeln!(text, "{line}"));
    }
    for picture in pictures.iter().filter(|picture| !picture.is_empty()) {
        let _ = write!(text, "\n{}\n", picture.join("\n"));
    }
    text
}

/// Pictures compare what was measured alike.
const ALONE: &str = "alone";

const COLUMNS: [(&str, Align); 12] = [
    ("", Align::Left),
    ("variant", Align::Left),
    ("burst", Align::Right),
    ("±", Align::Close),
    ("sustained", Align::Right),
    ("±", Align::Close),
    ("status", Align::Left),
    ("ok", Align::Left),
    ("p50", Align::Right),
    ("p99", Align::Right),
    ("MHz", Align::Right),
    ("W", Align::Right),
];

/// A section of the table; what all rows share stands in its title.
fn section(rows: &[&Entry], table: &mut Table, paper: Paper) {
    let rates = || rows.iter().filter_map(|row| row.rate.as_ref());
    let unit = rates().next().map_or(RateUnit::Items, |rate| rate.unit);
    let values = rates().flat_map(|rate| [rate.burst.map(|burst| burst.value), rate.sustained.map(|s| s.value)]).flatten();
    let scale = Scale::of(unit, values);
    let first = &rows[0].workload;
    let shared = rows.iter().all(|row| row.workload.variant == first.variant);
    let by = if shared { format!(" by {}", first.variant) } else { String::new() };
    let of = format!("{} {}", first.family, first.precision);
    let title = paper.text(&format!("{}{by}, {}", of.trim_end(), scale.symbol()));
    table.title(format!("{HEADING}{title}{HEADING:#}"));
    for row in rows {
        table.row(&cells(row, scale, shared));
    }
}

fn cells(entry: &Entry, scale: Scale, shared: bool) -> Vec<String> {
    let workload = &entry.workload;
    let operation = if workload.operation == workload.family { String::new() } else { format!("{} ", workload.operation) };
    let load = if entry.load == ALONE { String::new() } else { format!(" {}", entry.load) };
    let name = format!("  {operation}{}{load}", workload.shape);
    let variant = if shared { String::new() } else { workload.variant.clone() };
    let Some(rate) = &entry.rate else { return vec![name, variant] };
    let figure = |interval: Option<Interval>| interval.map(|interval| scale.figure(interval)).unwrap_or_default();
    let spread = |interval: Option<Interval>| interval.map(figure::spread).unwrap_or_default();
    let sustained = rate.sustained.map(|s| Interval { value: s.value, low: s.low, high: s.high });
    let service = entry.latency.as_ref().and_then(|latency| latency.service.as_ref());
    let quantile = |q: f64, of: fn(&Summary) -> Nanos| {
        service.and_then(|service| service.supported(q, of(service))).map(figure::time).unwrap_or_default()
    };
    let mean = |span: Option<ReadingSpan>| span.map(|span| format!("{:.0}", span.mean)).unwrap_or_default();
    let telemetry = entry.telemetry.as_ref();
    let verified = entry.verified.as_ref().is_some_and(|verified| verified.passed && verified.hashed > 0);
    vec![
        name,
        variant,
        figure(rate.burst),
        spread(rate.burst),
        figure(sustained),
        spread(sustained),
        rate.status.name().into(),
        if verified { "✓".into() } else { "no".into() },
        quantile(0.5, |service| service.p50),
        quantile(0.99, |service| service.p99),
        mean(telemetry.and_then(|telemetry| telemetry.sm_mhz)),
        mean(telemetry.and_then(|telemetry| telemetry.watts)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Device, Kind, Rate, Status, Work, Workload};

    fn entry(family: &str, operation: &str, (precision, shape): (&str, &str), variant: &str) -> Entry {
        let workload = Workload {
            id: format!("{family}/{precision}/{operation}/{shape}"),
            family: family.into(),
            operation: operation.into(),
            variant: variant.into(),
            precision: precision.into(),
            shape: shape.into(),
        };
        let burst = Some(Interval { value: 1.5e12, low: 1.49e12, high: 1.51e12 });
        let rate = Rate {
            unit: RateUnit::Flops,
            burst,
            sustained: None,
            status: Status::BurstOnly,
            steady: false,
            multimodal: None,
            limiter: None,
        };
        let device = Device::new("fake:0", "fake", Kind::Fake, "invented");
        let blank = Entry::without(device, workload, Work::default(), Outcome::Measured, String::new());
        Entry { rate: Some(rate), ..blank }
    }

    fn shown(entries: &[Entry]) -> String {
        rates(&entries.iter().collect::<Vec<_>>(), Paper { unicode: true })
    }

    #[test]
    fn squares_stand_in_order_before_other_shapes() {
        let shapes = ["16x4096x4096", "2048x2048x2048", "512x512x512"];
        let entries: Vec<Entry> = shapes.iter().map(|shape| entry("matmul", "matmul", ("fp32", shape), "own")).collect();
        let text = shown(&entries);
        let places: Vec<_> = ["512x512x512", "2048x2048x2048", "16x4096x4096"].iter().map(|shape| text.find(shape)).collect();
        assert!(places.is_sorted() && places[0].is_some(), "{text}");
    }

    #[test]
    fn a_variant_stands_in_the_title_when_all_share_it_and_in_the_row_when_not() {
        let own = entry("stream", "triad", ("fp64", "1GiB"), "own");
        let slow = entry("stream", "triad", ("fp64", "1GiB"), "slow");
        assert!(shown(std::slice::from_ref(&own)).contains("stream fp64 by own, TFLOP/s"));
        let both = shown(&[own, slow]);
        assert!(both.contains("stream fp64, TFLOP/s") && both.contains("triad 1GiB  slow"), "{both}");
    }

    #[test]
    fn the_widest_table_keeps_to_its_paper() {
        let shape = ("fp32.fp32.fp32", "123456789x123456789x123456789x123456789x123456789x123456789x123456789x1");
        let text = shown(&[entry("matmul", "matmul", shape, "own"), entry("matmul", "matmul", ("fp64", "2x2x2"), "own")]);
        assert!(text.contains(shape.1), "nothing is cut: {text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + HEADING_CODES), "{text}");
    }

    /// Characters that make a title bold.
    const HEADING_CODES: usize = 8;

    #[test]
    fn nothing_measured_is_no_table() {
        assert_eq!(shown(&[]), "");
    }
}
