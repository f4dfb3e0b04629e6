//! A check as JUnit's XML, a test case a metric, for whatever shows tests.
//!
//! Kept to the strictest of the schemas in use, that of Ant's task (windyroad/JUnit-Schema, JUnit.xsd): all attributes and elements that
//! it asks for, in its order, and none besides.

use super::{
    Paper,
    check::{Around, because, change, next, over_time, quoted, summary},
    trend::trend,
};
use crate::judge::{Absent, Check, Row, pair};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};
use std::io;

type Xml = Writer<Vec<u8>>;

/// What became of a test case.
enum Outcome {
    Passed,
    /// In a sentence.
    Skipped,
    Failed(&'static str),
    Error(&'static str),
}

/// # Errors
/// None that a check can cause; those of writing to memory.
pub fn junit(check: &Check, around: &Around, hostname: &str) -> io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites").write_inner_content(|xml| suite(xml, check, around, hostname))?;
    let mut text = String::from_utf8_lossy(&xml.into_inner()).into_owned();
    text.push('\n');
    Ok(text)
}

fn suite(xml: &mut Xml, check: &Check, around: &Around, hostname: &str) -> io::Result<()> {
    let outcomes: Vec<Outcome> = check
        .rows
        .iter()
        .map(|row| of_row(row, around))
        .chain(check.absent.iter().map(|absent| of_absent(absent, around)))
        .collect();
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count().to_string();
    let seconds: f64 = check.rows.iter().map(|row| row.seconds).sum();
    let hostname = clean(hostname);
    // XSD's time stamp has neither fraction nor zone.
    let at: String = around.at.chars().take(19).collect();
    xml.create_element("testsuite")
        .with_attributes([
            ("name", "assay check"),
            ("package", "assay"),
            ("id", "0"),
            ("timestamp", &at),
            ("hostname", if hostname.is_empty() { "localhost" } else { &hostname }),
            ("tests", &outcomes.len().to_string()),
            ("failures", &count(|outcome| matches!(outcome, Outcome::Failed(_)))),
            ("errors", &count(|outcome| matches!(outcome, Outcome::Error(_)))),
            ("skipped", &count(|outcome| matches!(outcome, Outcome::Skipped))),
            ("time", &format!("{seconds:.3}")),
        ])
        .write_inner_content(|xml| {
            properties(xml, check, around)?;
            let mut outcomes = outcomes.iter();
            for (row, outcome) in check.rows.iter().zip(outcomes.by_ref()) {
                case(xml, (&row.id, &row.compared.label()), row.seconds, outcome, &told(row))?;
            }
            for (absent, outcome) in check.absent.iter().zip(outcomes) {
                case(xml, (&absent.id, &absent.metric), 0.0, outcome, &absent.why)?;
            }
            let out = format!("{}: {}\n{}", check.verdict.name(), summary(check, around), next(check).unwrap_or_default());
            xml.create_element("system-out").write_text_content(BytesText::new(&clean(&out)))?;
            xml.create_element("system-err").write_text_content(BytesText::new(""))?;
            Ok(())
        })?;
    Ok(())
}

fn properties(xml: &mut Xml, check: &Check, around: &Around) -> io::Result<()> {
    let values = [
        ("verdict", check.verdict.name().to_owned()),
        ("baseline", clean(around.baseline)),
        ("margin", around.terms.margin.to_string()),
        ("looks", around.looks.to_string()),
    ];
    xml.create_element("properties").write_inner_content(|xml| {
        for (name, value) in &values {
            xml.create_element("property").with_attributes([("name", *name), ("value", value.as_str())]).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn of_row(row: &Row, around: &Around) -> Outcome {
    match row.compared.judged.verdict {
        pair::Verdict::Ok | pair::Verdict::Improved => Outcome::Passed,
        pair::Verdict::Inconclusive if around.strict => Outcome::Failed("inconclusive"),
        pair::Verdict::Inconclusive => Outcome::Skipped,
        pair::Verdict::Incomparable => Outcome::Error("incomparable"),
        pair::Verdict::Regressed => Outcome::Failed("regressed"),
    }
}

fn of_absent(absent: &Absent, around: &Around) -> Outcome {
    match (absent.broken, around.strict) {
        (true, _) => Outcome::Error("broken"),
        (false, true) => Outcome::Failed("not measured"),
        (false, false) => Outcome::Skipped,
    }
}

fn case(xml: &mut Xml, (id, metric): (&str, &str), seconds: f64, outcome: &Outcome, told: &str) -> io::Result<()> {
    let (class, metric) = (clean(&format!("assay.{id}")), clean(metric));
    let time = format!("{seconds:.3}");
    let element =
        xml.create_element("testcase").with_attributes([("name", metric.as_str()), ("classname", &class), ("time", &time)]);
    let told = clean(told);
    match outcome {
        Outcome::Passed => element.write_empty(),
        Outcome::Skipped => element.write_inner_content(|xml| {
            xml.create_element("skipped").write_text_content(BytesText::new(&told))?;
            Ok(())
        }),
        Outcome::Failed(kind) => element.write_inner_content(|xml| trouble(xml, "failure", kind, &told)),
        Outcome::Error(kind) => element.write_inner_content(|xml| trouble(xml, "error", kind, &told)),
    }?;
    Ok(())
}

fn trouble(xml: &mut Xml, element: &str, kind: &str, told: &str) -> io::Result<()> {
    let message = told.lines().next().unwrap_or(kind);
    xml.create_element(element).with_attributes([("message", message), ("type", kind)]).write_text_content(BytesText::new(told))?;
    Ok(())
}

/// What a row came to, in lines.
fn told(row: &Row) -> String {
    let judged = &row.compared.judged;
    let range = format!("{} to {}", change(judged.ratio.low), change(judged.ratio.high));
    let mut lines = vec![
        format!("{}: {} ({range})", judged.verdict.name(), change(judged.ratio.value)),
        format!("now {}", quoted(row.figure, &row.compared.metric.unit)),
        format!(
            "{} baseline runs, {} now; could have seen {}",
            judged.baseline_runs,
            judged.candidate_runs,
            change(1.0 - judged.detectable)
        ),
        trend(&row.before, &row.after, row.compared.metric.higher_is_better, Paper { unicode: true }),
    ];
    lines.extend(over_time(judged, row.margin));
    lines.extend(judged.cause.map(|cause| because(cause).to_owned()));
    lines.extend(judged.differences.iter().map(ToString::to_string));
    lines.join("\n")
}

/// What XML 1.0 may hold, which no escape can bring in; blanks of an attribute are single, as `xs:token` wants them.
fn clean(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..) && *c != '\u{7f}';
    text.chars().filter(allowed).collect::<String>().trim().to_owned()
}
