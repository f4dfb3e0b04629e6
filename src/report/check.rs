//! A check for a person's eyes, and as one JSON document.

use super::{
    HEADING, Paper, WIDTH, figure,
    table::{Align, Table, folded},
    trend::trend,
};
use crate::{
    judge::{Check, Difference, Row, SESSIONS, pair},
    record::{Interval, Ratio},
};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::fmt::Write;

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();

/// What is printed of a check beyond its verdicts.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Name of the baseline's file.
    pub baseline: &'a str,
    pub terms: &'a pair::Terms,
    pub looks: usize,
    /// RFC 3339, UTC.
    pub at: &'a str,
    /// An inconclusive metric counts as a failed one.
    pub strict: bool,
}

const COLUMNS: [(&str, Align); 6] = [
    ("", Align::Left),
    ("verdict", Align::Left),
    ("change", Align::Right),
    ("95 % interval", Align::Right),
    ("could see", Align::Right),
    ("baseline|now", Align::Left),
];

/// The whole check, what is not ok first.
#[must_use]
pub fn check(check: &Check, around: &Around, paper: Paper) -> String {
    let mut table = Table::new(paper, &COLUMNS);
    let mut rows: Vec<&Row> = check.rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.compared.judged.verdict));
    for row in &rows {
        let judged = &row.compared.judged;
        let name = format!("{} {}", row.id, row.compared.label());
        let range = format!("{} .. {}", change(judged.ratio.low), change(judged.ratio.high));
        let picture = trend(&row.before, &row.after, row.compared.metric.higher_is_better, paper);
        table.row(&[name, judged.verdict.name().into(), change(judged.ratio.value), range, percent(judged.detectable), picture]);
    }
    let mut text = String::new();
    if !rows.is_empty() {
        table.lines(WIDTH).iter().for_each(|line| _ = writeln!(text, "{line}"));
        text.push('\n');
    }
    for line in remarks(check, &rows) {
        let _ = writeln!(text, "{}", folded(&paper.text(&line), WIDTH));
    }
    let style = match check.verdict {
        pair::Verdict::Ok | pair::Verdict::Improved => GOOD,
        pair::Verdict::Inconclusive | pair::Verdict::Incomparable => UNSURE,
        pair::Verdict::Regressed => BAD,
    };
    let verdict = check.verdict.name();
    let _ = writeln!(
        text,
        "{HEADING}verdict{HEADING:#} {style}{verdict}{style:#}: {}",
        folded(&paper.text(&summary(check, around)), WIDTH)
    );
    text
}

/// `-1.2 %` of a ratio; past ten times as much nobody reads digits.
#[must_use]
pub fn change(ratio: f64) -> String {
    const MOST: f64 = 11.0;
    if ratio > MOST {
        return "> +1000 %".into();
    }
    let percent = (ratio - 1.0) * 100.0;
    let decimals = if percent.abs() >= 9.95 {
        0
    } else if percent.abs() >= 0.995 {
        1
    } else {
        2
    };
    format!("{percent:+.decimals$} %")
}

fn percent(share: f64) -> String {
    change(1.0 - share)
}

/// How many metrics came to what, and on which terms.
#[must_use]
pub fn summary(check: &Check, around: &Around) -> String {
    let of = |verdict| check.rows.iter().filter(|row| row.compared.judged.verdict == verdict).count();
    let each = [
        pair::Verdict::Regressed,
        pair::Verdict::Incomparable,
        pair::Verdict::Inconclusive,
        pair::Verdict::Improved,
        pair::Verdict::Ok,
    ];
    let counted = each.map(|verdict| (of(verdict), verdict.name()));
    let broken = check.absent.iter().filter(|absent| absent.broken).count();
    let absent = check.absent.len() - broken;
    let counts = counted.into_iter().chain([(broken, "broken"), (absent, "not measured")]).filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    let counts = if counts.is_empty() { "nothing in common with the baseline".into() } else { counts.join(", ") };
    let looks = if around.looks > 1 { format!(" in {} looks", around.looks) } else { String::new() };
    format!("{counts}{looks}; a loss of {} is harmless", percent(around.terms.margin).trim_start_matches('-'))
}

/// Sentences on rows that need one.
fn remarks(check: &Check, rows: &[&Row]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        let judged = &row.compared.judged;
        let name = format!("{} {}", row.id, row.compared.label());
        if let Some(cause) = judged.cause {
            lines.push(format!("{name}: {}", because(cause)));
        }
        lines.extend(over_time(judged, row.margin).map(|what| format!("{name}: {what}")));
        if judged.verdict == pair::Verdict::Incomparable {
            lines.push(format!("{name}: {}; --across compares all the same", differences(&judged.differences)));
        } else if judged.verdict == pair::Verdict::Regressed && !row.compared.notes.is_empty() {
            lines.push(format!("{name}: what else differs: {}", differences(&row.compared.notes)));
        }
    }
    lines.extend(check.absent.iter().map(|absent| format!("{} {}: {}", absent.id, absent.metric, absent.why)));
    if !check.unknown.is_empty() {
        lines.push(format!("not in the baseline: {} metrics; --update-baseline takes steady ones in", check.unknown.len()));
    }
    lines.extend(sparse(rows.iter().map(|row| &row.compared.judged)));
    lines.extend(next(check).map(str::to_owned));
    lines
}

/// What helps, where something does.
#[must_use]
pub fn next(check: &Check) -> Option<&'static str> {
    match check.verdict {
        pair::Verdict::Inconclusive => {
            let unmeasured = check.absent.iter().any(|absent| !absent.broken);
            Some(if unmeasured && check.rows.iter().all(|row| row.compared.judged.verdict < pair::Verdict::Inconclusive) {
                "Measure what is missing, or judge only what was measured with --partial."
            } else {
                "Measure again with --rerun, give more runs, or bear a larger loss with --margin."
            })
        }
        pair::Verdict::Incomparable => {
            Some("Measure on what the baseline is of, begin another baseline, or compare with --across.")
        }
        _ => None,
    }
}

/// A cause in words.
#[must_use]
pub fn because(cause: pair::Cause) -> &'static str {
    match cause {
        pair::Cause::Clock => "as many cycles as before at another clock: power or clock policy",
        pair::Cause::Thermal => "as many cycles as before at a clock that heat holds down: look at cooling",
        pair::Cause::Memory => "the memory's clock moved along",
        pair::Cause::PerClock => "more cycles for the same work: software, or a fault",
    }
}

/// What work over time says where the blocks, or the levels, say something better; nothing where it agrees.
#[must_use]
pub fn over_time(judged: &pair::Judged, margin: f64) -> Option<String> {
    let over = judged.over_time.filter(|_| judged.loses_over_time(margin))?;
    if judged.ratio.value < 1.0 - margin && !judged.by_levels {
        return None;
    }
    let range = format!("{} ({} .. {})", change(over.value), change(over.low), change(over.high));
    Some(if judged.by_levels {
        format!("work over time {range}: how long runs stay at each level is not settled; measure longer, or give more runs")
    } else {
        let most = change(judged.ratio.value);
        format!(
            "slow blocks: work over time {range}, most blocks {most}; see `series` in the record for what stalls, and give more runs"
        )
    })
}

/// What the runs cannot tell, however they came out, and what helps.
#[must_use]
pub fn sparse<'a>(judged: impl Iterator<Item = &'a pair::Judged>) -> Vec<String> {
    let (mut single, mut sessions) = (0, 0);
    for judged in judged.filter(|judged| judged.verdict != pair::Verdict::Incomparable) {
        if judged.baseline_runs + judged.candidate_runs == 2 {
            single += usize::from(judged.verdict == pair::Verdict::Inconclusive);
        } else if judged.baseline_sessions.max(judged.candidate_sessions) == 1 && judged.shared_sessions == 0 {
            sessions += 1;
        }
    }
    let one_run = format!(
        "one run a side ({single} metrics) does not tell what runs vary by: give three a side, or let a baseline tell (`assay check`, or \
         --spread)"
    );
    let one_session = format!(
        "one session a side ({sessions} metrics): what sessions vary by is not known, and taken to be {}, so intervals are wide: measure \
         the baseline on several days, or both sides in turns within four hours",
        change(1.0 + SESSIONS.sd).trim_start_matches('+')
    );
    let said = [(single, one_run), (sessions, one_session)];
    said.into_iter().filter(|(count, _)| *count > 0).map(|(_, what)| what).collect()
}

fn differences(all: &[Difference]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The document that `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    verdict: pair::Verdict,
    baseline: &'a str,
    at: &'a str,
    looks: usize,
    margin: f64,
    least: f64,
    level: f64,
    metrics: Vec<Judgement<'a>>,
    absent: Vec<Missing<'a>>,
    unknown: Vec<Unknown<'a>>,
    next: Option<&'static str>,
}

#[derive(Serialize)]
struct Judgement<'a> {
    metric: &'a str,
    device: &'a str,
    id: &'a str,
    figure: &'static str,
    load: Option<&'a str>,
    unit: &'a str,
    verdict: pair::Verdict,
    /// Performance: lower is slower, also for times.
    ratio: f64,
    low: f64,
    high: f64,
    /// The same of work over time, in which slow blocks count in full.
    over_time: Option<Ratio>,
    p: f64,
    p_adjusted: f64,
    margin: f64,
    detectable: f64,
    baseline_runs: usize,
    candidate_runs: usize,
    baseline_sessions: usize,
    candidate_sessions: usize,
    /// Of these, those that both sides have.
    shared_sessions: usize,
    spread_sd: f64,
    spread_df: f64,
    per_clock: Option<Interval>,
    cause: Option<pair::Cause>,
    differences: &'a [Difference],
    notes: &'a [Difference],
    value: Interval,
    before: &'a [f64],
    after: &'a [f64],
}

#[derive(Serialize)]
struct Missing<'a> {
    metric: &'a str,
    id: &'a str,
    broken: bool,
    why: &'a str,
}

#[derive(Serialize)]
struct Unknown<'a> {
    metric: &'a str,
    id: &'a str,
}

fn judgement(row: &Row) -> Judgement<'_> {
    let (compared, judged) = (&row.compared, &row.compared.judged);
    Judgement {
        metric: &compared.metric.name,
        device: &compared.device,
        id: &row.id,
        figure: compared.figure.name(),
        load: compared.load.as_deref(),
        unit: &compared.metric.unit,
        verdict: judged.verdict,
        ratio: judged.ratio.value,
        low: judged.ratio.low,
        high: judged.ratio.high,
        over_time: judged.over_time,
        p: judged.p,
        p_adjusted: judged.p_adjusted,
        margin: row.margin,
        detectable: judged.detectable,
        baseline_runs: judged.baseline_runs,
        candidate_runs: judged.candidate_runs,
        baseline_sessions: judged.baseline_sessions,
        candidate_sessions: judged.candidate_sessions,
        shared_sessions: judged.shared_sessions,
        spread_sd: judged.spread.sd,
        spread_df: judged.spread.df,
        per_clock: judged.per_clock,
        cause: judged.cause,
        differences: &judged.differences,
        notes: &compared.notes,
        value: row.figure,
        before: &row.before,
        after: &row.after,
    }
}

/// # Errors
/// None that a check can cause; serde's own.
pub fn check_json(check: &Check, around: &Around) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Document {
        schema: "assay.check/1",
        verdict: check.verdict,
        baseline: around.baseline,
        at: around.at,
        looks: around.looks,
        margin: around.terms.margin,
        least: around.terms.least,
        level: around.terms.level,
        metrics: check.rows.iter().map(judgement).collect(),
        absent: check
            .absent
            .iter()
            .map(|absent| Missing { metric: &absent.metric, id: &absent.id, broken: absent.broken, why: &absent.why })
            .collect(),
        unknown: check.unknown.iter().map(|(metric, id)| Unknown { metric, id }).collect(),
        next: next(check),
    })
}

/// `51.7 TFLOP/s ±0.10%`, also of units that are somebody's own.
#[must_use]
pub fn quoted(value: Interval, unit: &str) -> String {
    use crate::record::RateUnit;
    let known = [RateUnit::Flops, RateUnit::Bytes, RateUnit::Items, RateUnit::Seconds];
    match known.into_iter().find(|known| known.symbol() == unit) {
        Some(known) => figure::quoted(known, value),
        None => format!("{} {unit} {}", figure::digits(value.value, (value.high - value.low) / 2.0), figure::spread(value)),
    }
}
