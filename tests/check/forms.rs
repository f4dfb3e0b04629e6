//! What a check writes for others: text, Markdown, JUnit, Bencher's format, github-action-benchmark's.

use crate::{
    junit,
    records::{Place, changed, document},
};
use assay::record::{Document, Outcome};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::Value;

/// One of each verdict: a metric regressed, one improved, one broken.
fn mixed() -> Document {
    let mut document = changed(8, "matmul", 0.95);
    document.entries[1] = changed(8, "triad", 1.05).entries.remove(1);
    document.entries[2].outcome = Outcome::Failed;
    document.entries[2].reason = Some("the device was lost: <Xid 79> & \"so\" on | `\u{1b}[2J\u{1}".into());
    document
}

/// Every form of a check of `document`, in a folder.
fn written(name: &str, document: &Document, more: &[&str]) -> Place {
    let place = Place::with_baseline(name);
    let run = place.run("run.jsonl", document);
    let forms = ["--junit", "check.xml", "--markdown", "check.md", "--bencher", "bmf.json", "--bigger-is-better", "bigger.json"];
    let output = place.check(&[&[run.as_str()], &forms[..], more].concat());
    assert!(output.status.code().is_some_and(|code| code != 2), "{}", String::from_utf8_lossy(&output.stderr));
    place
}

#[test]
fn junit_keeps_to_the_schema() {
    let place = written("junit", &mixed(), &[]);
    let xml = place.read("check.xml");
    assert_eq!(junit::violations(&xml), Vec::<String>::new(), "{xml}");
    let tree = roxmltree::Document::parse(&xml).expect("well-formed");
    let suite = tree.descendants().find(|node| node.has_tag_name("testsuite")).expect("a suite");
    let count = |name| suite.attribute(name).and_then(|count| count.parse::<usize>().ok());
    assert_eq!([count("tests"), count("failures"), count("errors"), count("skipped")], [Some(3), Some(1), Some(1), Some(0)]);
    let failure = tree.descendants().find(|node| node.has_tag_name("failure")).expect("a failure");
    assert!(failure.attribute("type") == Some("regressed") && failure.text().is_some_and(|text| text.contains('│')), "{failure:?}");
    let error = tree.descendants().find(|node| node.has_tag_name("error")).expect("an error");
    assert!(error.text().is_some_and(|text| text.contains("<Xid 79> & \"so\" on | `[2J")), "{error:?}");
    let unsure = ["--margin", "0.01%", "--least", "40%"];
    for (name, more, skipped, failures) in
        [("skipped", &unsure[..], 3, 0), ("strict", &[&unsure[..], &["--fail-on", "inconclusive"]].concat(), 0, 3)]
    {
        let xml = written(name, &document(9), more).read("check.xml");
        assert_eq!(junit::violations(&xml), Vec::<String>::new(), "{xml}");
        assert_eq!((xml.matches("<skipped>").count(), xml.matches("<failure ").count()), (skipped, failures), "{xml}");
    }
}

#[test]
fn a_document_that_breaks_the_schema_is_seen() {
    let xml = written("junit-broken", &mixed(), &[]).read("check.xml");
    for (from, to) in [
        ("timestamp=\"", "timestamp=\"x"),
        (" hostname=\"nowhere\"", ""),
        (" type=\"regressed\"", ""),
        ("<system-err></system-err>", ""),
        ("tests=\"3\"", "tests=\"4\""),
        ("<properties>", "<testcase name=\"a\" classname=\"b\" time=\"0\"/><properties>"),
        ("<testcase ", "<testcase status=\"run\" "),
        ("time=\"", "time=\"1e3"),
    ] {
        let broken = xml.replacen(from, to, 1);
        assert!(broken != xml && !junit::violations(&broken).is_empty(), "{from} to {to} passes");
    }
}

/// Cells of every table, as they are rendered, and whether markup other than tables, code, headings and folds is left.
fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables: Vec<Vec<Vec<String>>> = Vec::new();
    let mut inside = false;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::Table(_)) => tables.push(Vec::new()),
            Event::Start(Tag::TableHead | Tag::TableRow) => tables.last_mut().expect("a table").push(Vec::new()),
            Event::Start(Tag::TableCell) => {
                inside = true;
                tables.last_mut().and_then(|rows| rows.last_mut()).expect("a row").push(String::new());
            }
            Event::End(TagEnd::TableCell) => inside = false,
            Event::Text(text) | Event::Code(text) if inside => {
                tables.last_mut().and_then(|rows| rows.last_mut()).and_then(|row| row.last_mut()).expect("a cell").push_str(&text);
            }
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Link { .. } | Tag::Strikethrough) | Event::InlineHtml(_) if inside => {
                panic!("markup inside a cell of\n{text}")
            }
            _ => {}
        }
    }
    tables
}

#[test]
fn markdown_renders_as_tables_whatever_stands_in_it() {
    let text = written("markdown", &mixed(), &[]).read("check.md");
    let tables = tables(&text);
    assert_eq!(tables.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2], "{text}");
    let widths: Vec<usize> = tables[0].iter().map(Vec::len).collect();
    assert_eq!(widths, [7, 7, 7], "{text}");
    assert!(
        tables[0][1][0].contains("matmul") && tables[0][1][1] == "❌ regressed" && tables[0][1][2].starts_with('-'),
        "{tables:?}"
    );
    assert!(tables[0][1][6].contains('│') && tables[0][1][6].chars().count() == 7, "five runs, a bar, one run: {tables:?}");
    assert_eq!(tables[1][1][1], "failed: the device was lost: <Xid 79> & \"so\" on | `?[2J?", "{text}");
    assert!(text.starts_with("## assay check: ❌ regressed") && !text.contains('\u{1b}'));
    let fine = written("markdown-ok", &document(7), &[]).read("check.md");
    assert!(fine.contains("<summary>3 metrics are ok</summary>"), "{fine}");
    assert_eq!(self::tables(&fine).iter().map(Vec::len).collect::<Vec<_>>(), [4], "{fine}");
}

#[test]
fn benchers_format_and_the_actions_are_as_documented() {
    let place = written("bencher", &document(7), &[]);
    let bmf: Value = serde_json::from_str(&place.read("bmf.json")).expect("JSON");
    let benchmarks = bmf.as_object().expect("benchmarks");
    assert_eq!(benchmarks.len(), 3);
    for (name, measures) in benchmarks {
        let measures = measures.as_object().expect("measures");
        assert!(!name.is_empty() && name.len() <= 1_024 && measures.len() == 1, "{name}");
        for (measure, metric) in measures {
            let of = |field: &str| metric[field].as_f64().expect("a number");
            assert!(
                measure.len() <= 64 && of("lower_value") < of("value") && of("value") < of("upper_value"),
                "{measure}: {metric}"
            );
        }
    }
    let latency = bmf["fake:0 family/fp32/chase/1GiB@own"]["latency"]["value"].as_f64().expect("nanoseconds");
    assert!((latency - 600.0).abs() < 10.0, "{latency}");
    let bigger: Value = serde_json::from_str(&place.read("bigger.json")).expect("JSON");
    let entries = bigger.as_array().expect("a list");
    assert_eq!(entries.len(), 3);
    for entry in entries {
        assert!(entry["name"].is_string() && entry["unit"].is_string() && entry["value"].as_f64().is_some_and(|value| value > 0.0));
        assert!(entry["range"].as_str().is_some_and(|range| range.starts_with("± ")) && entry["extra"].is_string(), "{entry}");
    }
    let chase = entries.iter().find(|entry| entry["name"].as_str().is_some_and(|name| name.contains("chase"))).expect("a time");
    assert_eq!(chase["unit"], "1/s");
    assert!((chase["value"].as_f64().expect("a number") * 600e-9 - 1.0).abs() < 0.02, "a time is turned over: {chase}");
}

#[test]
fn text_is_plain_where_it_must_be_and_says_what_could_have_been_seen() {
    let place = written("text", &mixed(), &[]);
    let plain = String::from_utf8(place.check(&["run.jsonl", "--plain"]).stdout).expect("text");
    assert!(
        plain.is_ascii() && plain.contains("could see") && plain.contains("verdict regressed: 1 regressed, 1 improved, 1 broken"),
        "{plain}"
    );
    let rows: Vec<&str> = plain.lines().filter(|line| line.contains('%')).collect();
    assert!(rows[1].contains("regressed") && plain.lines().all(|line| line.len() <= 100), "{plain}");
}
