//! Origins beside what is printed: the inputs that figures come from, and a mark at all that stands on published rates.

use crate::reserve::{Case, Figures, Problem, input};
use input::{PUBLISHED, Planned};
use serde_json::{Value, json};

/// The problem with its orders named so that what stands on published rates says so in every line.
pub fn marked(problem: &Problem, planned: &Planned) -> Problem {
    let mark = |name: &String| label(name, planned);
    Problem { options: problem.options.iter().map(mark).collect(), ..problem.clone() }
}

/// The same of figures, for lines that a person reads.
pub fn labelled(mut figures: Figures, planned: &Planned) -> Figures {
    for worth in &mut figures.options {
        worth.option = label(&worth.option, planned);
        // The list of inputs says it.
        worth.source = None;
        worth.against = worth.against.as_ref().map(|other| label(other, planned));
    }
    for rule in &mut figures.without_forecast {
        rule.option = label(&rule.option, planned);
        rule.against = label(&rule.against, planned);
    }
    figures
}

fn label(option: &str, planned: &Planned) -> String {
    if published(&planned.case, planned, option) { format!("{option} ({PUBLISHED} CU)") } else { option.to_owned() }
}

/// The case with each offer naming the file and line that its price stands on.
pub fn sourced(case: &Case, planned: &Planned) -> Case {
    let mut case = case.clone();
    for offer in case.options.iter_mut().filter(|offer| offer.source.is_none()) {
        let source = planned.sources.iter().find(|source| source.of == offer.id);
        let place = source.map(|source| source.line.map_or_else(|| source.file.clone(), |line| format!("{}:{line}", source.file)));
        offer.source = place;
    }
    case
}

/// Adds calendar, currency and inputs to a document, and a mark to every order in it.
pub fn cite(document: &mut Value, planned: &Planned) {
    mark(document, planned);
    document["currency"] = json!(planned.currency);
    document["start"] = json!(planned.start);
    document["published"] = json!(planned.published);
    document["inputs"] = json!(planned.sources);
}

fn mark(value: &mut Value, planned: &Planned) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mark(item, planned)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|item| mark(item, planned));
            let option = fields.get("option").and_then(Value::as_str);
            if option.is_some_and(|option| published(&planned.case, planned, option)) {
                fields.insert("cu".into(), json!(PUBLISHED));
            }
        }
        _ => {}
    }
}

fn published(case: &Case, planned: &Planned, option: &str) -> bool {
    case.options.iter().any(|offer| offer.id == option && planned.published.contains(&offer.of))
}
