//! Writing what the reader of traces reads.

use super::trace::SCHEMA;
use crate::{
    record::{Device, Reading, Work},
    units::Nanos,
};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Launches in a line at most; readings lie between lines.
const LAUNCHES_A_LINE: usize = 1_000;

/// What a trace is taken of, for its header.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub device: &'a Device,
    pub id: &'a str,
    pub precision: &'a str,
    pub work: Work,
    /// Operations a clock of a unit in that precision; blank where nobody knows.
    pub flop_per_clock: Option<f64>,
}

/// The text of a trace: the header, then launches and readings in order of time. Times count from the first launch; readings before it
/// stand at its begin. What the device does not tell is `null`.
#[must_use]
pub fn text(subject: &Subject, launches: &[(Nanos, Nanos)], readings: &[Reading]) -> String {
    let origin = launches.first().map_or(Nanos(0), |(begin, _)| *begin);
    let mut text = format!("{}\n", header(subject));
    let mut readings = readings.iter().peekable();
    let mut tell = |text: &mut String, until: Nanos| {
        while let Some(next) = readings.next_if(|reading| reading.at <= until) {
            let _ = writeln!(text, "{}", json!({ "t_ns": next.at.since(origin).0, "reading": reading(next) }));
        }
    };
    let mut left = launches;
    while let Some((begin, _)) = left.first() {
        tell(&mut text, *begin);
        // A line ends at a gap.
        let mut end = *begin;
        let follows = |(begin, took): &&(Nanos, Nanos)| {
            let follows = *begin == end;
            end = *begin + *took;
            follows
        };
        let count = left.iter().take(LAUNCHES_A_LINE).take_while(follows).count();
        let took: Vec<u64> = left[..count].iter().map(|(_, took)| took.0).collect();
        let _ = writeln!(text, "{}", json!({ "t_ns": begin.since(origin).0, "launches": took }));
        left = &left[count..];
    }
    tell(&mut text, Nanos(u64::MAX));
    text
}

fn header(subject: &Subject) -> Value {
    let Subject { device, id, precision, work, flop_per_clock } = subject;
    let watts = |name: &str| device.facts.get(name).and_then(|milliwatts| milliwatts.parse::<f64>().ok()).map(|mw| mw * 1e-3);
    let mut described = json!({
        "model": device.model,
        "units": device.units,
        "boost_mhz": device.boost_mhz.filter(|clock| clock.0 > 0),
        "memory_mhz": device.memory_mhz.filter(|clock| clock.0 > 0),
        "bus_bits": device.bus_bits,
        "flop_per_clock": if work.flops.0 > 0 { json!({ *precision: flop_per_clock }) } else { json!({}) },
    });
    for (name, fact) in [("power_limit_w", "power_limit_enforced_mw"), ("default_power_limit_w", "power_limit_default_mw")] {
        if let Some(watts) = watts(fact).filter(|watts| *watts > 0.0) {
            described[name] = json!(watts);
        }
    }
    json!({ "schema": SCHEMA, "device": described, "workload": { "id": id, "flops": work.flops, "bytes": work.bytes } })
}

/// A reading without what is blank.
fn reading(reading: &Reading) -> Value {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Option<Value>| value.map(|value| fields.insert(name.into(), value));
    add("sm_mhz", reading.sm_mhz.map(|clock| json!(clock)));
    add("memory_mhz", reading.memory_mhz.map(|clock| json!(clock)));
    add("power_w", reading.power_mw.map(|power| json!(power.0 as f64 * 1e-3)));
    add("energy_j", reading.energy_j.map(|energy| json!(energy)));
    add("temperature_c", reading.celsius.map(|celsius| json!(celsius)));
    add("limits", reading.limits.as_ref().map(|limits| json!(limits)));
    add("violation_ns", Some(json!(reading.violation_ns)).filter(|_| !reading.violation_ns.is_empty()));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::Trace,
        record::Kind,
        units::{Bytes, Celsius, Flops, Joules, Megahertz, Milliwatts},
    };

    #[test]
    fn what_is_written_is_read_again() {
        let mut device = Device::new("cuda:0", "cuda", Kind::Gpu, "G");
        (device.units, device.boost_mhz) = (Some(132), Some(Megahertz(1_980)));
        device.facts.insert("power_limit_enforced_mw".into(), "650000".into());
        let work = Work { flops: Flops(1_000), bytes: Bytes(8), items: 0 };
        let subject = Subject { device: &device, id: "matmul/x", precision: "fp32", work, flop_per_clock: Some(256.0) };
        let launches: Vec<_> = [(70, 10), (80, 11), (95, 12), (107, 13)].map(|(begin, took)| (Nanos(begin), Nanos(took))).into();
        let reading = |at| Reading { at: Nanos(at), celsius: Some(Celsius(55.0)), ..Reading::default() };
        let full = Reading {
            sm_mhz: Some(Megahertz(1_755)),
            memory_mhz: Some(Megahertz(2_619)),
            power_mw: Some(Milliwatts(649_500)),
            energy_j: Some(Joules(7.25)),
            limits: Some(["sw_power_cap".to_owned()].into()),
            violation_ns: [("sw_power_cap".to_owned(), 9)].into(),
            ..reading(100)
        };
        let text = text(&subject, &launches, &[reading(60), full.clone(), reading(500)]);
        let back = Trace::parse("t", &text).expect("own trace");
        let shifted: Vec<_> = launches.iter().map(|(begin, took)| (begin.since(Nanos(70)), *took)).collect();
        assert_eq!(back.launches, shifted, "{text}");
        let at: Vec<u64> = back.readings.iter().map(|reading| reading.at.0).collect();
        assert_eq!(at, [0, 30, 430]);
        assert_eq!(back.readings[1], Reading { at: Nanos(30), ..full });
        let facts = (back.device.units, back.device.bus_bits, back.device.facts["power_limit_enforced_mw"].as_str());
        assert_eq!(
            (facts, back.workload.id.as_str(), back.workload.flops),
            ((Some(132), None, "650000"), "matmul/x", Flops(1_000))
        );
    }
}
