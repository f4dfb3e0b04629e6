//! What devices are worth, as a table: a line a class, with a bar of where its time goes, and the reasons of what is withheld.

use crate::{
    capacity::{Appraisal, Cell, Origin, Unit, Valued},
    record::Interval,
    report::{
        HEADING, Paper, WIDTH, figure,
        table::{Align, Table, folded},
    },
    units::scaled,
};
use std::{collections::BTreeMap, fmt::Write};

/// Columns of a bar of shares.
const BAR: usize = 16;
/// Where time goes: begin of a key, what it is called, how it is drawn with and without block characters.
const PARTS: [(&str, &str, char, char); 4] =
    [("mm.", "products", '█', 'P'), ("hbm.", "memory", '▒', 'M'), ("launch.", "launches", '░', 'l'), ("link.", "link", '·', 'n')];

/// Which of the two figures is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Both,
    Typical,
    Firm,
}

/// The whole appraisal; a price is named in `currency`.
#[must_use]
pub fn units(appraisal: &Appraisal, currency: Option<&str>, shown: Shown, paper: Paper) -> String {
    let Appraisal { definition, reference, .. } = appraisal;
    let mut text = String::new();
    let name = format!("{definition}@{}", reference.name);
    let mark = if reference.provisional { " (provisional)" } else { "" };
    let _ = writeln!(text, "{HEADING}Capacity units {name}{mark}{HEADING:#}, from {}", paper.text(&appraisal.of));
    if reference.provisional {
        let _ = writeln!(text, "{}", folded(&format!("provisional: {}", reference.why), WIDTH));
    }
    for device in &appraisal.devices {
        text.push_str(&section(device, shown, paper));
    }
    text.push_str(&together(appraisal, shown, paper));
    for refused in &appraisal.refused {
        let _ = writeln!(text, "\n{}: that stands for no hardware, and is worth no units", paper.text(refused));
    }
    let drawn =
        |(_, name, block, letter): (&str, &str, char, char)| format!("{} {name}", if paper.unicode { block } else { letter });
    if let Some(currency) = currency {
        let _ = writeln!(text, "\ncost/h: {} for a firm unit and an hour", paper.text(currency));
    }
    let _ = writeln!(text, "\ntime: {}. Units of different classes never add up.", PARTS.map(drawn).join(", "));
    text
}

fn section(valued: &Valued, shown: Shown, paper: Paper) -> String {
    let columns = [
        ("class", Align::Left),
        ("typical", Align::Right),
        ("", Align::Close),
        ("firm", Align::Right),
        ("cost/h", Align::Right),
        ("firm/kW", Align::Right),
        ("time", Align::Left),
        ("bound by", Align::Left),
    ];
    let mut table = Table::new(paper, &columns);
    for unit in &valued.units {
        table.row(&row(unit, shown, paper));
    }
    let who = format!("{} {}", paper.text(&valued.subject.device), paper.text(&valued.subject.model));
    let mut text = format!("\n{HEADING}{}{HEADING:#}\n", who.trim_end());
    for line in table.lines(WIDTH) {
        let _ = writeln!(text, "{line}");
    }
    for mix in valued.units.iter().filter(|unit| short(&unit.class) != unit.class) {
        let _ = writeln!(text, "{}", folded(&paper.text(&mix.class), WIDTH));
    }
    for unit in &valued.units {
        for (what, keys) in [("via vendor", &unit.via_vendor), ("by estimates of", &unit.estimates)] {
            if !keys.is_empty() {
                let _ =
                    writeln!(text, "{}", folded(&paper.text(&format!("{} {what} {}", short(&unit.class), keys.join(", "))), WIDTH));
            }
        }
        for (key, instead) in &unit.instead {
            let _ = writeln!(text, "{} with {instead} where there is no {key}", paper.text(&unit.class));
        }
    }
    for reason in reasons(valued, shown) {
        let _ = writeln!(text, "{}", folded(&paper.text(reason), WIDTH));
    }
    if let Some(caution) = caution(valued).filter(|_| shown != Shown::Typical) {
        let _ = writeln!(text, "{}", folded(&caution, WIDTH));
    }
    text.push_str(&sources(valued, paper));
    text
}

/// What a firm figure does not hold, where there is one.
fn caution(valued: &Valued) -> Option<String> {
    let firm = valued.units.iter().filter(|unit| unit.firm.value.is_some_and(|firm| firm > 0.0));
    let modelled = firm.map(|unit| unit.structural).reduce(f64::max)?;
    let mut text = "firm is of the rates of this one device: others of its name may do less".to_owned();
    if modelled > 0.0 {
        let _ =
            write!(text, "; and a class that stands for a model may be off by {:.0} %, which is in its interval", 100.0 * modelled);
    }
    Some(text)
}

/// Why figures are withheld, each reason once.
fn reasons(valued: &Valued, shown: Shown) -> Vec<&str> {
    let mut reasons: Vec<&str> = Vec::new();
    for unit in &valued.units {
        let cells = [
            (shown != Shown::Firm).then_some(&unit.typical),
            (shown != Shown::Typical).then_some(&unit.firm),
            unit.firm.value.is_some_and(|firm| firm > 0.0).then_some(&unit.per_kw),
        ];
        for reason in cells.into_iter().flatten().filter_map(|cell| cell.reason.as_deref()) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    reasons
}

/// Published figures each with its source.
fn sources(valued: &Valued, paper: Paper) -> String {
    let mut text = String::new();
    if valued.origin != Origin::Published {
        return text;
    }
    for (key, rate) in &valued.rates.measured {
        let line = format!("{key} {}: {}", scaled(rate.typical, rate.unit.symbol()), rate.from);
        let _ = writeln!(text, "{}", folded(&paper.text(&line), WIDTH));
    }
    text
}

/// A mix without its parts, which are told below.
fn short(class: &str) -> &str {
    if class.starts_with("mix ") { "mix" } else { class }
}

fn row(unit: &Unit, shown: Shown, paper: Paper) -> Vec<String> {
    let half = unit.low.zip(unit.high).map_or(0.0, |(low, high)| (high - low) / 2.0);
    let spread = unit.typical.value.zip(unit.low.zip(unit.high)).map(|(value, (low, high))| Interval { value, low, high });
    let most = unit.shares.iter().max_by(|a, b| a.1.total_cmp(b.1));
    let when = |yes: bool, text: String| if yes { text } else { String::new() };
    let (typical, firm) = (shown != Shown::Firm, shown != Shown::Typical);
    vec![
        short(&unit.class).to_owned(),
        when(typical, cell(&unit.typical, half)),
        when(typical, spread.map(figure::spread).unwrap_or_default()),
        when(firm, cell(&unit.firm, half)),
        when(firm, unit.cost.as_ref().map(|cost| cell(cost, 0.0)).unwrap_or_default()),
        // Where there is no firm figure its reason stands beside already.
        when(firm && unit.firm.value.is_some_and(|firm| firm > 0.0), cell(&unit.per_kw, 0.0)),
        bar(&unit.shares, paper),
        most.map(|(key, share)| format!("{key} {:.0}%", 100.0 * share)).unwrap_or_default(),
    ]
}

/// A figure, the code of why there is none, or both.
fn cell(cell: &Cell, half: f64) -> String {
    let value = cell.value.map(|value| figure::digits(value, half));
    [value.as_deref(), cell.code()].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Shares of the time in `BAR` columns, the whole always full.
fn bar(shares: &BTreeMap<String, f64>, paper: Paper) -> String {
    let mut text = String::new();
    let (mut sum, mut drawn) = (0.0, 0);
    for (begin, _, block, letter) in PARTS {
        sum += shares.iter().filter(|(key, _)| key.starts_with(begin)).map(|(_, share)| share).sum::<f64>();
        let until = (sum * BAR as f64).round() as usize;
        text.extend(std::iter::repeat_n(if paper.unicode { block } else { letter }, until.saturating_sub(drawn)));
        drawn = until.max(drawn);
    }
    text
}

fn together(appraisal: &Appraisal, shown: Shown, paper: Paper) -> String {
    let mut text = String::new();
    let mut backends: Vec<&str> = appraisal.nodes.iter().map(|node| node.backend.as_str()).collect();
    backends.dedup();
    for backend in backends {
        let nodes = || appraisal.nodes.iter().filter(|node| node.backend == backend);
        let devices = nodes().next().map_or(0, |node| node.devices);
        let _ = writeln!(text, "\n{HEADING}{devices} devices of {}{HEADING:#}, by rates while all worked", paper.text(backend));
        let columns = [
            ("class", Align::Left),
            ("replicas", Align::Right),
            ("firm", Align::Right),
            ("in step", Align::Right),
            ("firm in step", Align::Right),
        ];
        let mut table = Table::new(paper, &columns);
        let when = |yes: bool, text: String| if yes { text } else { String::new() };
        let (typical, firm) = (shown != Shown::Firm, shown != Shown::Typical);
        for node in nodes() {
            table.row(&[
                short(&node.class).to_owned(),
                when(typical, cell(&node.replicas, 0.0)),
                when(firm, cell(&node.replicas_firm, 0.0)),
                when(typical, cell(&node.synchronous, 0.0)),
                when(firm, cell(&node.synchronous_firm, 0.0)),
            ]);
        }
        for line in table.lines(WIDTH) {
            let _ = writeln!(text, "{line}");
        }
        let mut seen: Vec<&str> = Vec::new();
        for reason in nodes().flat_map(|node| [&node.replicas, &node.replicas_firm]).filter_map(|cell| cell.reason.as_deref()) {
            if !seen.contains(&reason) {
                let _ = writeln!(text, "{}", folded(&paper.text(reason), WIDTH));
                seen.push(reason);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{self, Question};
    use std::path::Path;

    #[test]
    fn a_bar_is_full_and_shows_each_part() {
        let shares = |of: &[(&str, f64)]| of.iter().map(|(key, share)| ((*key).to_owned(), *share)).collect();
        let plain = Paper { unicode: false };
        assert_eq!(bar(&shares(&[("hbm.read", 0.5), ("mm.bf16", 0.25), ("launch.dep", 0.25)]), plain), "PPPPMMMMMMMMllll");
        assert_eq!(bar(&shares(&[("hbm.triad", 1.0)]), Paper { unicode: true }), "▒".repeat(BAR));
        assert_eq!(bar(&BTreeMap::new(), plain), "");
    }

    #[test]
    fn a_firm_figure_says_what_it_leaves_out() {
        let shown = |also: &str, shown| {
            let rates =
                format!(r#"{{"name": "x:0", "architecture": "9.0", {also} "hbm.triad": {{"typical": 3.3e12, "firm": 3e12}}}}"#);
            let vectors = capacity::given(&rates, "x").expect("a vector");
            let question = Question::default();
            units(&capacity::appraise_rates(&vectors, &question), None, shown, Paper { unicode: false })
        };
        let products = r#""mm.bf16": {"typical": 8e14, "firm": 7e14}, "hbm.read": {"typical": 4e12, "firm": 3e12},"#;
        assert!(shown("", Shown::Both).contains("others of its name may do less\n"));
        assert!(shown(products, Shown::Firm).replace("\n ", "").contains("may be off by 7 %"), "{}", shown(products, Shown::Firm));
        assert!(!shown(products, Shown::Typical).contains("others of its name"));
    }

    #[test]
    fn a_withheld_figure_shows_its_reason_in_its_place() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/cpu.standard.jsonl");
        let document = crate::record::read(&path).expect("committed");
        let shown = |degraded| {
            let question = Question { degraded, ..Question::default() };
            units(&capacity::appraise(&document, &question).expect("hardware"), None, Shown::Both, Paper { unicode: false })
        };
        let line = |text: &str| text.lines().find(|line| line.starts_with("stream")).map(str::to_owned).expect("a class");
        let (strict, degraded) = (line(&shown(false)), line(&shown(true)));
        assert!(strict.contains("unsteady") && !strict.contains("0.0"), "{strict}");
        assert!(degraded.contains("0.020 unsteady") && degraded.contains(&"M".repeat(BAR)), "{degraded}");
        let text = shown(true);
        assert!(text.contains("cu/1@REF-0 (provisional)") && text.contains("unsteady: hbm.triad varies by 16.8 %"), "{text}");
    }
}
