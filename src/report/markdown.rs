//! A check as Markdown, for the summary of a CI job: what is not ok first, the rest folded away.

use super::{
    Paper,
    check::{Around, because, change, next, over_time, quoted, summary},
    trend::trend,
};
use crate::judge::{Check, Row, pair};
use std::fmt::Write;

/// GitHub's flavour: tables, and `<details>`.
#[must_use]
pub fn markdown(check: &Check, around: &Around) -> String {
    let mut text = format!("## assay check: {} {}\n\n", sign(check.verdict), check.verdict.name());
    let _ = writeln!(text, "{}.\n", escaped(&summary(check, around)));
    let (mut loud, quiet): (Vec<&Row>, Vec<&Row>) =
        check.rows.iter().partition(|row| row.compared.judged.verdict > pair::Verdict::Ok);
    loud.sort_by_key(|row| std::cmp::Reverse(row.compared.judged.verdict));
    if !loud.is_empty() {
        text.push_str(&table(&loud));
    }
    if !check.absent.is_empty() {
        text.push_str("| metric | not judged, because |\n|---|---|\n");
        for absent in &check.absent {
            let _ = writeln!(text, "| {} | {} |", code(&format!("{} {}", absent.id, absent.metric)), escaped(&absent.why));
        }
        text.push('\n');
    }
    if !quiet.is_empty() {
        let of = if quiet.len() == 1 { "metric is" } else { "metrics are" };
        let _ = writeln!(text, "<details><summary>{} {of} ok</summary>\n\n{}</details>\n", quiet.len(), table(&quiet));
    }
    if let Some(next) = next(check) {
        let _ = writeln!(text, "{}\n", escaped(next));
    }
    let _ = writeln!(text, "Baseline {}, {}.", code(around.baseline), escaped(around.at));
    text
}

fn sign(verdict: pair::Verdict) -> &'static str {
    match verdict {
        pair::Verdict::Ok => "✅",
        pair::Verdict::Improved => "🚀",
        pair::Verdict::Inconclusive | pair::Verdict::Incomparable => "❔",
        pair::Verdict::Regressed => "❌",
    }
}

fn table(rows: &[&Row]) -> String {
    let mut text = String::from("| metric | verdict | change | 95 % interval | could see | now | baseline│now |\n");
    text.push_str("|---|---|--:|--:|--:|--:|---|\n");
    for row in rows {
        let (metric, judged) = (&row.compared.metric, &row.compared.judged);
        let mut verdict = format!("{} {}", sign(judged.verdict), judged.verdict.name());
        let why: Vec<String> = if judged.verdict == pair::Verdict::Incomparable {
            judged.differences.iter().map(ToString::to_string).collect()
        } else {
            judged.cause.iter().map(|cause| because(*cause).to_owned()).chain(over_time(judged, row.margin)).collect()
        };
        if !why.is_empty() {
            let _ = write!(verdict, ": {}", escaped(&why.join("; ")));
        }
        let _ = writeln!(
            text,
            "| {} | {verdict} | {} | {} … {} | {} | {} | {} |",
            code(&format!("{} {}", row.id, row.compared.label())),
            change(judged.ratio.value),
            change(judged.ratio.low),
            change(judged.ratio.high),
            change(1.0 - judged.detectable),
            escaped(&quoted(row.figure, &metric.unit)),
            code(&trend(&row.before, &row.after, metric.higher_is_better, Paper { unicode: true })),
        );
    }
    text.push('\n');
    text
}

/// Text in which nothing is markup, on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in (Paper { unicode: true }).text(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// As code; a bar would end the cell even there, and a tick the code.
fn code(text: &str) -> String {
    format!("`{}`", Paper { unicode: true }.text(text).replace('|', "¦").replace('`', "'"))
}
