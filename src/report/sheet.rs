//! The sheet: a run for a person's eyes.

use super::{
    HEADING, Paper, WIDTH, figure, ledger, rates,
    table::{folded, wrapped},
};
use crate::{
    record::{Decline, Document, Entry, Kind, Outcome, Rate, Status},
    units::{Bytes, binary},
};
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const ALARM: Style = AnsiColor::Red.on_default().bold();
const LABEL: Style = AnsiColor::Yellow.on_default().bold();

const LEGEND: &str = "\
Decimal units; sizes in KiB, MiB, GiB are binary. matmul counts 2mnk operations; memory counts every
byte read plus every byte written; launch is the time from a kernel to the next, which depends on it.
burst: best second of the first three, or all of a shorter one; sustained: work over elapsed time
after the warm-up; ±: 95 % interval of what it follows.
ok: verified before timing, output hashed after; p50, p99: time of a launch, where enough tell it.";

/// The whole run.
#[must_use]
pub fn sheet(document: &Document, paper: Paper) -> String {
    let mut text = heading(document, paper);
    for device in rates::distinct(&document.entries, |entry| &entry.device.id) {
        let entries: Vec<&Entry> = document.entries.iter().filter(|entry| entry.device.id == device.device.id).collect();
        let _ = write!(text, "\n{}\n", about(&entries, paper));
        text.push_str(&rates::rates(&entries, paper));
        text.push_str(&ledger::ledgers(&entries, paper));
        text.push_str(&notes(&entries, paper));
        text.push_str(&troubles(&entries, paper));
    }
    let _ = write!(text, "\n{}\n{}\n", legend(document, paper), closing(document));
    text
}

/// One line of an entry, as it is born.
#[must_use]
pub fn brief(entry: &Entry) -> String {
    let id = format!("{}@{}", entry.workload.id, entry.workload.variant);
    let best = entry.rate.as_ref().and_then(|rate| rate.best().map(|best| (rate, best)));
    let line = match best.filter(|_| entry.outcome == Outcome::Measured) {
        Some((rate, best)) => {
            let load = if entry.load == "alone" { String::new() } else { format!(", {}", entry.load) };
            format!("{id}  {} ({}{load})", figure::quoted(rate.unit, best), rate.status.name())
        }
        None => format!("{id}  {}: {}", entry.outcome.name(), entry.reason.as_deref().unwrap_or("no rate")),
    };
    Paper { unicode: true }.text(&line)
}

/// What the figures mean, and each status that stands beside one.
fn legend(document: &Document, paper: Paper) -> String {
    let meaning = |status| match status {
        Status::Steady => "steady: the interval was reached",
        Status::Budget => "budget: the time ran out first",
        Status::NotSteady => "not_steady: it drifted to the end",
        Status::BurstOnly => "burst_only: too short to say anything of the long run",
    };
    let statuses = || document.entries.iter().filter_map(|entry| entry.rate.as_ref()).map(|rate| rate.status);
    let each = [Status::Steady, Status::Budget, Status::NotSteady, Status::BurstOnly];
    let present: Vec<String> =
        each.into_iter().filter(|status| statuses().any(|s| s == *status)).map(|s| meaning(s).into()).collect();
    let lines: Vec<String> = LEGEND.lines().map(|line| paper.text(line)).collect();
    format!("{}\n{}", lines.join("\n"), wrapped(&present, ";", WIDTH))
}

fn heading(document: &Document, paper: Paper) -> String {
    let (header, node) = (&document.header, &document.header.node);
    let facts = [
        node.hostname.clone(),
        node.cpu_model.clone(),
        node.sockets.filter(|sockets| *sockets > 1).map(|sockets| format!("{sockets} sockets")),
        node.physical_cores.map(|cores| format!("{cores} cores")),
        node.memory_bytes.map(|bytes| Bytes(bytes).to_string()),
        node.distribution.clone(),
        node.kernel.as_ref().map(|kernel| format!("kernel {kernel}")),
        node.container.as_ref().map(|name| format!("container {name}")),
        node.hypervisor.as_ref().map(|name| format!("hypervisor {name}")),
        node.mps.as_ref().map(|how| format!("MPS ({how})")),
        node.vendor.clone(),
        node.product.clone(),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().map(|fact| paper.text(&fact)).collect();
    let node = if facts.is_empty() { "unknown node".to_owned() } else { wrapped(&facts, ",", WIDTH) };
    let software = &header.assay;
    let commit = software.commit.as_ref().map(|commit| format!(" ({commit})")).unwrap_or_default();
    let version = |version: &Option<String>| version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let imported = software.imported.as_ref();
    let run = [
        imported.map_or_else(
            || format!("{} suite", header.suite),
            |from| format!("IMPORTED from {}{}", from.tool, version(&from.version)),
        ),
        format!("assay {}{commit}", software.version),
        imported.map_or_else(|| format!("method {}", software.method), |_| "not measured by it".into()),
        format!("started {}", header.started_at),
        lasted(document),
    ];
    format!("{HEADING}{node}{HEADING:#}\n{}\n", wrapped(&run.map(|part| paper.text(&part)), ",", WIDTH))
}

/// How long the run took, or that nobody saw its end.
fn lasted(document: &Document) -> String {
    let Some(end) = &document.end else { return "not ended: it was killed, or is still going".into() };
    let word = if end.interrupted { "interrupted after" } else { "took" };
    let times = (document.header.started_at.parse(), end.ended_at.parse());
    let (Ok(from), Ok(to)): (Result<jiff::Timestamp, _>, Result<jiff::Timestamp, _>) = times else {
        return format!("ended {}", end.ended_at);
    };
    let seconds = to.duration_since(from).as_secs_f64();
    if seconds < 120.0 { format!("{word} {seconds:.0} s") } else { format!("{word} {:.0} min", seconds / 60.0) }
}

fn about(entries: &[&Entry], paper: Paper) -> String {
    let Some(device) = entries.first().map(|entry| &entry.device) else { return String::new() };
    let timer = entries.iter().find_map(|entry| entry.latency.as_ref());
    let facts = [
        Some(device.kind.name().to_owned()),
        device.architecture.as_ref().map(|name| format!("architecture {name}")),
        device.units.map(|units| format!("{units} {}", if device.kind == Kind::Cpu { "cores" } else { "units" })),
        device.memory_bytes.map(|bytes| Bytes(bytes).to_string()),
        device.api.clone(),
        device.driver.as_ref().map(|driver| format!("driver {driver}")),
        device.uuid.clone(),
        device.bus.clone(),
        timer.map(|latency| format!("timed by {} to {}", latency.timer, figure::time(latency.resolution))),
        timer.filter(|latency| latency.start_gate).map(|_| "batches begin behind a start gate".to_owned()),
        timer.and_then(|latency| latency.overhead).map(|overhead| format!("an empty span is {}", figure::time(overhead))),
    ];
    let caches = device.caches.iter().map(|cache| format!("L{} {}", cache.level, binary(cache.bytes)));
    let facts: Vec<String> = facts.into_iter().flatten().chain(caches).map(|fact| paper.text(&fact)).collect();
    let name = paper.text(&format!("{}  {}", device.id, device.model));
    let label = match device.kind {
        Kind::Gpu | Kind::Cpu => String::new(),
        kind => format!("\n{LABEL}{}: NOT HARDWARE; no figure below is one of an accelerator{LABEL:#}", kind.name().to_uppercase()),
    };
    format!("{HEADING}{name}{HEADING:#}{label}\n{}", wrapped(&facts, ",", WIDTH))
}

/// What is to be known of measured entries beside their figures.
fn notes(entries: &[&Entry], paper: Paper) -> String {
    let mut text = String::new();
    for entry in entries.iter().filter(|entry| entry.outcome == Outcome::Measured) {
        let rate = entry.rate.as_ref();
        let pair = entry.pair.as_ref().map(|pair| {
            let (ratio, spread) =
                (figure::digits(pair.ratio.value, (pair.ratio.high - pair.ratio.low) / 2.0), figure::spread(pair.ratio));
            let other = pair.with.strip_prefix(&entry.workload.id).unwrap_or(&pair.with);
            format!("{ratio} {spread} times the rate of {other}, in {} interleaved pairs", pair.pairs)
        });
        let found = [
            entry.reason.clone(),
            (entry.load != "alone").then(|| format!("measured {}", entry.load)),
            rate.and_then(limited),
            pair,
            reported(entry),
            shared(entry),
            doubtful_energy(entry),
            responses(entry),
            entry
                .gate
                .as_ref()
                .filter(|gate| !gate.against.is_empty())
                .map(|gate| format!("not steady: {}", gate.against.join("; "))),
        ];
        let declines = entry.declines.iter().map(|decline| Some(fell(decline)));
        for note in found.into_iter().chain(declines).flatten() {
            let note = paper.text(&format!("{}@{}: {note}", entry.workload.id, entry.workload.variant));
            let _ = writeln!(text, "  {}", indented(&folded(&note, WIDTH - 2)));
        }
    }
    if text.is_empty() { text } else { format!("\nnotes\n{text}") }
}

/// How long paced launches took from their intended start.
fn responses(entry: &Entry) -> Option<String> {
    let latency = entry.latency.as_ref()?;
    let response = latency.response.as_ref()?;
    let [p50, most] = [response.p50, response.max].map(figure::time);
    let p99 = response.supported(0.99, response.p99).map(|p99| format!(", p99 {}", figure::time(p99))).unwrap_or_default();
    let service = latency.service.as_ref().map(|service| format!(", of which {} at the device", figure::time(service.p50)));
    Some(format!("response time from the intended start: p50 {p50}{}{p99}, at most {most}", service.unwrap_or_default()))
}

/// A lasting fall of the rate: how far, when, for how long.
#[must_use]
pub fn fell(decline: &Decline) -> String {
    let percent = |ratio: f64| (1.0 - ratio) * 100.0;
    let (by, least, most) = (percent(decline.ratio.value), percent(decline.ratio.high), percent(decline.ratio.low));
    let at = decline.at;
    format!(
        "the rate fell by {by:.2} % ({least:.2} to {most:.2} %) after {:.0} s ({:.0} to {:.0} s), for {:.0} s",
        at.value, at.low, at.high, decline.lasted
    )
}

/// Others on the device, whose work stands in the figures too.
fn shared(entry: &Entry) -> Option<String> {
    let others = entry.neighbours.filter(|others| others.before + others.after > 0)?;
    Some(format!("other processes held the device: {} before, {} after", others.before, others.after))
}

/// Energy by counter and by power more than five per cent apart.
fn doubtful_energy(entry: &Entry) -> Option<String> {
    let gap = entry.telemetry.as_ref()?.energy_gap().filter(|gap| gap.abs() > 0.05)?;
    Some(format!("energy is in doubt: the power that was read gives {:+.0} % of what the counter says", gap * 100.0))
}

/// Faults that cost the entry nothing.
fn reported(entry: &Entry) -> Option<String> {
    let xids = &entry.faults.as_ref().filter(|faults| !faults.xids.is_empty())?.xids;
    let each = xids.iter().map(|xid| format!("Xid {} ({}), {} times", xid.xid, xid.name, xid.count).replace(", 1 times", ""));
    Some(format!("the driver reported {}", each.collect::<Vec<_>>().join(", ")))
}

fn limited(rate: &Rate) -> Option<String> {
    let limiter = rate.limiter.as_ref().filter(|limiter| *limiter != "none").map(|limiter| format!("held down by {limiter}"));
    let two_levels = (rate.multimodal == Some(true)).then(|| "two clock levels were seen".to_owned());
    let found: Vec<String> = limiter.into_iter().chain(two_levels).collect();
    (!found.is_empty()).then(|| found.join("; "))
}

/// Entries that are not measured, together where the reason is the same.
fn troubles(entries: &[&Entry], paper: Paper) -> String {
    let mut groups: Vec<(Outcome, &str, Vec<String>)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.outcome != Outcome::Measured) {
        let reason = entry.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("no reason was given");
        let id = paper.text(&entry.workload.id);
        match groups.iter_mut().find(|(outcome, known, _)| *outcome == entry.outcome && *known == reason) {
            Some((_, _, ids)) => ids.push(id),
            None => groups.push((entry.outcome, reason, vec![id])),
        }
    }
    let mut text = String::new();
    for (outcome, reason, ids) in groups {
        let style = if outcome == Outcome::Skipped { Style::new() } else { ALARM };
        let ids = indented(&wrapped(&ids, ",", WIDTH - 2));
        let reason = paper.text(&format!("{}: {reason}", outcome.name()));
        let reason = folded(&reason, WIDTH).replacen(outcome.name(), &format!("{style}{}{style:#}", outcome.name()), 1);
        let _ = write!(text, "\n{reason}\n  {ids}\n");
    }
    text
}

/// Lines after the first moved in by two.
fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}

fn closing(document: &Document) -> String {
    let count = |outcome| document.entries.iter().filter(|entry| entry.outcome == outcome).count();
    let verified = || document.entries.iter().filter_map(|entry| entry.verified.as_ref());
    let timed = |entry: &Entry| entry.sampling.as_ref().map_or(0, |sampling| sampling.launches);
    let launches: u64 = document.entries.iter().map(timed).sum();
    let hashed: u64 = verified().map(|verified| verified.hashed).sum();
    let mut text = format!("{HEADING}{} measured{HEADING:#}", count(Outcome::Measured));
    for outcome in [Outcome::Skipped, Outcome::Failed, Outcome::Invalid] {
        let bad = outcome != Outcome::Skipped && count(outcome) > 0;
        let style = if bad { ALARM } else { Style::new() };
        let _ = write!(text, ", {style}{} {}{style:#}", count(outcome), outcome.name());
    }
    let _ = write!(text, "; {launches} launches timed, {hashed} outputs hashed.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Device, End, Gate, Header, Interval, Node, Pair, RateUnit, SCHEMA, Software, Sustained, Work, Workload};

    const PAPER: Paper = Paper { unicode: true };

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
        let burst = Interval { value: value * 1.02, low: value * 1.01, high: value * 1.03 };
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
        let ended_at = "2026-01-01T00:01:00Z".into();
        let end = End { ended_at, measured: 0, skipped: 0, failed: 0, invalid: 0, interrupted: false };
        Document { header, end: Some(end), entries, warnings: Vec::new() }
    }

    fn shown(entries: Vec<Entry>) -> String {
        sheet(&document(entries), PAPER)
    }

    #[test]
    fn a_number_never_stands_without_its_status_and_interval() {
        let text = shown(vec![entry("stream", "triad", "1GiB", 4.3e12)]);
        let line = text.lines().find(|line| line.contains("triad 1GiB")).expect("a row");
        assert!(["4.39 ±0.98%", "4.300 ±0.20%", "budget"].iter().all(|part| line.contains(part)), "{line}");
        assert!(text.contains("stream fp64 by own, TB/s") && text.contains("FAKE: NOT HARDWARE"), "{text}");
        assert!(line.contains(" no"), "nothing verified it: {line}");
    }

    #[test]
    fn what_was_not_measured_is_told_with_its_reason_once() {
        let skipped =
            |shape| Entry { outcome: Outcome::Skipped, reason: Some("too long".into()), ..entry("cache", "read", shape, 1.0) };
        let text = shown(vec![skipped("1MiB"), skipped("2MiB")]);
        assert_eq!(text.matches("too long").count(), 1);
        assert!(text.contains("  cache/fp64/read/1MiB, cache/fp64/read/2MiB\n"), "{text}");
        assert!(text.contains("0 measured") && text.contains("2 skipped") && !text.contains("burst  "), "{text}");
    }

    #[test]
    fn figures_of_an_invalid_entry_are_not_shown() {
        let invalid = Entry { outcome: Outcome::Invalid, reason: None, ..entry("stream", "triad", "1GiB", 4.3e12) };
        let text = shown(vec![invalid]);
        assert!(!text.contains("4.3") && text.contains("no reason was given"), "{text}");
    }

    #[test]
    fn what_qualifies_a_figure_is_noted() {
        let ratio = Interval { value: 2.3, low: 2.2, high: 2.4 };
        let pair = Some(Pair { with: "stream/fp64/triad/1GiB@slow".into(), ratio, pairs: 9 });
        let noted = Entry { load: "together(8)".into(), pair, ..entry("stream", "triad", "1GiB", 4.3e12) };
        let at = Interval { value: 312.0, low: 310.0, high: 313.5 };
        let ratio = Interval { value: 0.969, low: 0.967, high: 0.971 };
        let gate = Gate { checked: ["clock".to_owned()].into(), against: vec!["the clock drifts".into()] };
        let noted = Entry { declines: vec![Decline { at, ratio, lasted: 288.0 }], gate: Some(gate), ..noted };
        let text = shown(vec![noted]);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains("the rate fell by 3.10 % (2.90 to 3.30 %) after 312 s (310 to 314 s), for 288 s"), "{text}");
        assert!(flat.contains("not steady: the clock drifts"), "{text}");
        assert!(text.contains("triad 1GiB together(8)"), "the row says so too: {text}");
        assert!(text.contains("@own: measured together(8)") && text.contains("2.30 ±4.3% times the rate of @slow"), "{text}");
    }

    #[test]
    fn a_line_of_an_entry_says_what_came_of_it() {
        assert_eq!(brief(&entry("stream", "triad", "1GiB", 2e10)), "stream/fp64/triad/1GiB@own  20.00 GB/s ±0.20% (budget)");
        let failed = Entry { outcome: Outcome::Failed, reason: Some("lost\n".into()), ..entry("stream", "dot", "1GiB", 1.0) };
        assert_eq!(brief(&failed), "stream/fp64/dot/1GiB@own  failed: lost ");
    }

    #[test]
    fn a_run_without_an_end_says_so() {
        let open = Document { end: None, ..document(Vec::new()) };
        assert!(sheet(&open, PAPER).contains("not ended") && shown(Vec::new()).contains("took 60 s"));
    }
}
