//! Constants of engines from a file of published or own figures, and how well they hold.

use super::{
    ANY, Constants, Engine, Errors, Observed, Wrong, engine, fit_bounded,
    published::{Row, Setting, errors, served},
};
use serde::Serialize;

/// Rows below which nothing is fitted.
const LEAST: usize = 12;

/// What came of a fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Constants of each engine, last of all together.
    pub constants: Vec<Engine>,
    /// 95 % bounds of each, by what the rows alone say.
    pub bounds: Vec<Bounds>,
    /// Errors of the fitted rows.
    pub errors: Errors,
    /// The same with each pair of model and GPU left out in turn: the error to expect of a pair that was never seen.
    pub errors_left_out: Option<Errors>,
    /// The same with each engine left out: the error to expect of an engine of which no row was seen.
    pub errors_engine_left_out: Option<Errors>,
}

/// Bounds of the constants of an engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bounds {
    pub engine: String,
    pub low: Constants,
    pub high: Constants,
}

/// Constants fitted on `day` to the rows of time per output token of dense models, with how well.
///
/// # Errors
/// When too few rows can be used.
pub fn calibrate(rows: &[Row], day: &str) -> Result<Calibration, Wrong> {
    let observed: Vec<Observed> = rows.iter().filter_map(observed).collect();
    if observed.len() < LEAST {
        return Err(Wrong(format!("{} usable rows of tpot_mean; the constants need at least {LEAST}", observed.len())));
    }
    let (constants, bounds) = engines(&observed, day);
    let within =
        errors(observed.iter().map(|row| (predicted(row, &constants), row.seconds))).ok_or_else(|| Wrong("no rows".into()))?;
    let pair = |row: &Observed| format!("{}|{}", row.serving.model.name, row.serving.gpu.name);
    Ok(Calibration {
        constants,
        bounds,
        errors: within,
        errors_left_out: left_out(&observed, pair),
        errors_engine_left_out: left_out(&observed, |row| row.engine.clone()),
    })
}

fn predicted(row: &Observed, engines: &[Engine]) -> f64 {
    row.serving.per_token(&engine(engines, &row.engine).constants, row.batch)
}

/// Errors of each group by constants that are fitted to all others. Blank where there is but one group.
fn left_out(rows: &[Observed], group: impl Fn(&Observed) -> String) -> Option<Errors> {
    let mut groups: Vec<String> = rows.iter().map(&group).collect();
    groups.sort();
    groups.dedup();
    let mut unseen = Vec::new();
    for left in groups.iter().filter(|_| groups.len() > 1) {
        let seen: Vec<Observed> = rows.iter().filter(|row| group(row) != *left).cloned().collect();
        let fitted = engines(&seen, "").0;
        unseen.extend(rows.iter().filter(|row| group(row) == *left).map(|row| (predicted(row, &fitted), row.seconds)));
    }
    errors(unseen.into_iter())
}

fn observed(row: &Row) -> Option<Observed> {
    let setting = Setting::of(&row.setting);
    if row.metric != "tpot_mean" || row.unit != "ms" {
        return None;
    }
    let (serving, batch, _) = served(row, &setting).ok()?;
    if serving.model.mixture() {
        return None;
    }
    let group = format!("{}|{}|{}|{}", row.model, row.hardware, row.dtype, serving.width);
    Some(Observed { serving, batch: batch?, engine: setting.engine().to_owned(), seconds: row.published_value / 1e3, group })
}

fn engines(rows: &[Observed], day: &str) -> (Vec<Engine>, Vec<Bounds>) {
    let mut names: Vec<String> = rows.iter().map(|row| row.engine.clone()).collect();
    names.sort();
    names.dedup();
    let count = |name: &str| rows.iter().filter(|row| row.engine == name).count();
    let each = fit_bounded(rows, &names).into_iter().zip(&names).map(|(fitted, name)| (name.clone(), count(name), fitted));
    let any = fit_bounded(rows, &[ANY.to_owned()]).into_iter().map(|fitted| (ANY.to_owned(), rows.len(), fitted));
    let all = each.chain(any);
    all.map(|(engine, rows, fitted)| {
        let bounds = Bounds { engine: engine.clone(), low: fitted.low, high: fitted.high };
        (Engine { engine, rows, fitted: day.to_owned(), constants: fitted.constants }, bounds)
    })
    .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{rows, shipped};
    use std::path::Path;

    fn open() -> Vec<Row> {
        rows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results/validation/latency.csv")).expect("committed")
    }

    #[test]
    fn the_shipped_constants_are_those_of_the_committed_rows() {
        let Calibration { constants, errors: within, errors_left_out: unseen, .. } = calibrate(&open(), "").expect("enough rows");
        for (found, shipped) in constants.iter().zip(shipped()) {
            assert_eq!((&found.engine, found.rows), (&shipped.engine, shipped.rows));
            let (found, shipped) = (found.constants, shipped.constants);
            for (a, b) in [(found.gemm, shipped.gemm), (found.layer, shipped.layer), (found.request, shipped.request)] {
                assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
            }
        }
        assert!(within.mean < 0.18 && within.median < 0.12, "{within:?}");
        assert!(unseen.expect("several groups").mean < 0.18);
    }

    #[test]
    fn only_rows_of_the_manifest_are_fitted() {
        let manifest = include_str!("../../results/validation/manifest.txt");
        assert!(open().iter().map(|row| row.id.as_str()).eq(manifest.lines()));
    }
}
