//! Numbers of somebody's own: `{metric, unit, higher_is_better, runs: [[samples in time order]…]}`, with `started_at` of each run where it
//! is known, or a list of such.

use super::{Figure, Identity, Measured, Metric, Sensors, locate};
use crate::record::Status;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Clone, Debug, Deserialize)]
struct Own {
    metric: String,
    unit: String,
    higher_is_better: bool,
    runs: Vec<Vec<f64>>,
    /// RFC 3339, a run each. Without it all runs are taken to be of this moment, so of one session.
    started_at: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    One(Own),
    More(Vec<Own>),
}

/// Every run as one of a device that is not told. Runs are told apart by `name`, the file's, and by what they hold: each night's file
/// may have the same name, and the same numbers may not count twice.
///
/// # Errors
/// A sentence that says what is wrong with which run.
pub fn own(text: &str, name: &str, now: &str) -> Result<Vec<Measured>, String> {
    let own = match serde_json::from_str(text) {
        Ok(File::One(own)) => vec![own],
        Ok(File::More(more)) => more,
        Err(error) if error.is_data() => {
            return Err("neither a record nor {metric, unit, higher_is_better, runs: [[samples]]}, or a list of such".into());
        }
        Err(error) => return Err(format!("neither a record nor JSON: {error}")),
    };
    let mut all = Vec::new();
    for Own { metric, unit, higher_is_better, runs, started_at } in own {
        let short: String = metric.chars().filter(|c| !c.is_control()).take(160).collect();
        if short.trim().is_empty() {
            return Err("a metric without a name".into());
        }
        if all.iter().any(|other: &Measured| other.metric.name == short) {
            return Err(format!("{short} is there twice; put its runs into one list"));
        }
        if runs.is_empty() || unit.trim().is_empty() {
            return Err(format!("{short}: no {}", if runs.is_empty() { "run" } else { "unit" }));
        }
        let started: Vec<&str> = match &started_at {
            Some(all) => all.iter().map(String::as_str).collect(),
            None => vec![now; runs.len()],
        };
        if started.len() != runs.len() || started_at.is_some() && started.iter().any(|at| at.parse::<jiff::Timestamp>().is_err()) {
            return Err(format!("{short}: started_at is a time of each run, as 2026-01-02T03:04:05Z"));
        }
        let metric = Metric { name: short, unit, higher_is_better };
        for (number, samples) in runs.iter().enumerate() {
            let wrong = |why| format!("{}: run {}: {why}", metric.name, number + 1);
            let location = locate(samples, higher_is_better).map_err(wrong)?;
            all.push(Measured {
                metric: metric.clone(),
                device: "own".into(),
                id: "own".into(),
                hostname: None,
                // Nothing is told of what they belong to.
                identity: Identity([("load".to_owned(), None)].into()),
                around: Identity::default(),
                figure: Figure::Sustained,
                location,
                value: if higher_is_better { location.log.exp() } else { (-location.log).exp() },
                // Whose numbers they are, says what they are worth.
                status: Status::Steady,
                sensors: Sensors::default(),
                started_at: started[number].into(),
                run: format!("{name}#{number}.{:08x}", digest(samples)),
            });
        }
    }
    if all.is_empty() { Err("it holds no metric".into()) } else { Ok(all) }
}

fn digest(samples: &[f64]) -> u32 {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let hash = Sha256::digest(&bytes);
    hash[..4].iter().fold(0, |first, byte| first << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_metric_or_a_list_of_them_is_read() {
        let one = r#"{"metric": "parse", "unit": "ns", "higher_is_better": false, "runs": [[2.0, 2.0], [4.0]]}"#;
        let runs = own(one, "head", "2026-01-01T00:00:00Z").expect("own numbers");
        assert!(runs.len() == 2 && (runs[1].value - 4.0).abs() < 1e-12 && runs[0].location.log < 0.0);
        assert!(runs[1].run.starts_with("head#1.") && runs[1].run.len() == "head#1.".len() + 8, "{}", runs[1].run);
        let other = own(&one.replace("4.0", "4.5"), "head", "").expect("own numbers");
        assert!(other[0].run == runs[0].run && other[1].run != runs[1].run, "told apart by what they hold");
        let another = one.replace("parse", "print");
        assert_eq!(own(&format!("[{one}, {another}]"), "head", "").expect("a list").len(), 4);
        for (text, word) in [
            (one.replace("4.0", "-4.0"), "run 2: sample 1"),
            (format!("[{one}, {one}]"), "twice"),
            (one.replace("parse", " "), "without a name"),
            (one.replace("[4.0]", "[]"), "without samples"),
            (one.replace("\"ns\"", "\" \""), "no unit"),
            (one.replace("\"unit\"", "\"started_at\": [\"2026-01-02T03:04:05Z\"], \"unit\""), "a time of each run"),
            (one.replace("\"unit\"", "\"started_at\": [\"yesterday\", \"today\"], \"unit\""), "a time of each run"),
            ("[]".to_owned(), "no metric"),
            ("{\"a\": 1}".to_owned(), "higher_is_better"),
            ("{".to_owned(), "JSON"),
        ] {
            assert!(own(&text, "head", "").unwrap_err().contains(word), "{text}");
        }
    }
}
