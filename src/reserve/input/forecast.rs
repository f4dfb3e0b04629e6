//! What a history says of the months to come: exponential smoothing of its logarithm, with or without seasons, and the spread.
//!
//! `augurs` fits the models: AutoETS with additive errors, and MSTL with AutoETS for what is left of the seasons. Logarithms keep
//! demand positive and make growth a straight line; additive errors have a spread in closed form, so that the same history always
//! gives the same forecast.

use super::{file::Method, month::Date, text::Refused};
use crate::{files, reserve::normal_quantile};
use augurs::{Fit, Forecast as Fitted, Predict, ets::AutoETS, mstl::MSTLModel};
use std::path::Path;

/// Months below which a history is too short to say how demand varies.
pub const LEAST: usize = 24;
/// Probability of the interval that the spread is read from.
const LEVEL: f64 = 0.95;
/// Share of what varies beside the trend that seasons must explain to be taken for such (Wang, Smith and Hyndman, 2006, as in
/// R's `nsdiffs`).
const SEASONAL: f64 = 0.64;

/// A history of demand: months without a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    pub first: Date,
    pub values: Vec<f64>,
    /// Line of the last month.
    pub line: usize,
}

impl History {
    /// Reads `month,value`.
    ///
    /// # Errors
    /// With the line, when it is not that.
    pub fn read(path: &Path) -> Result<Self, Refused> {
        let file = path.display().to_string();
        let text = files::text(path).map_err(|error| Refused {
            file: file.clone(),
            line: None,
            says: format!("cannot be read: {error}"),
        })?;
        Self::of(&text).map_err(|(line, says)| Refused { file, line: Some(line), says })
    }

    fn of(text: &str) -> Result<Self, (usize, String)> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| (1, error.to_string()))?;
        if header.iter().take(2).ne(["month", "value"]) {
            return Err((1, "the first line must be `month,value`".into()));
        }
        let (mut first, mut values, mut last) = (None, Vec::new(), 1);
        for record in reader.records() {
            let record = record.map_err(|error| (error.position().map_or(last + 1, |at| at.line() as usize), error.to_string()))?;
            last = record.position().map_or(last, |at| at.line() as usize);
            let (month, value) = (record.get(0).unwrap_or_default(), record.get(1).unwrap_or_default());
            let date = Date::parse(month).ok_or_else(|| (last, format!("`{month}` is no month; write for example 2027-03")))?;
            let expected = first.map_or(date, |first: Date| first.plus(values.len() as i64));
            if date != expected {
                return Err((last, format!("{date} follows where {expected} is due; a history has every month once, in order")));
            }
            first.get_or_insert(date);
            let number = value.parse::<f64>().ok().filter(|value| *value > 0.0 && value.is_finite());
            values.push(number.ok_or_else(|| (last, format!("`{value}` is no demand; it must be a number above 0")))?);
        }
        let first = first.ok_or((1, "no months".to_owned()))?;
        Ok(Self { first, values, line: last })
    }

    /// The month after the last.
    #[must_use]
    pub fn next(&self) -> Date {
        self.first.plus(self.values.len() as i64)
    }
}

/// A forecast of the logarithm of demand, by month.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    pub middle: Vec<f64>,
    /// Standard deviation.
    pub spread: Vec<f64>,
    /// `ETS` or `MSTL`.
    pub method: &'static str,
}

impl Forecast {
    /// Demand of a month at so many standard deviations above the middle.
    #[must_use]
    pub fn at(&self, month: usize, deviations: f64) -> f64 {
        (self.middle[month] + deviations * self.spread[month]).exp()
    }
}

/// Forecasts `months` after the history, of which those after the first `skip` are kept.
///
/// # Errors
/// When the history is too short, or no model fits it.
pub fn forecast(values: &[f64], skip: usize, months: usize, method: Method, season: usize) -> Result<Forecast, String> {
    if values.len() < LEAST {
        return Err(format!(
            "a history of {} months is too short to forecast from; it needs {LEAST}: give `growth` as quantiles instead",
            values.len()
        ));
    }
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    let long = season >= 2 && logs.len() >= 2 * season;
    let found = match method {
        Method::Ets => (plain(&logs, skip + months)?, "ETS"),
        Method::Mstl if !long => return Err(format!("MSTL needs two seasons of {season} months; the history has {}", logs.len())),
        Method::Mstl => (seasonal(&logs, season, skip + months, 0.0)?.ok_or("no seasons were found")?, "MSTL"),
        Method::Auto => match long.then(|| seasonal(&logs, season, skip + months, SEASONAL)).transpose()?.flatten() {
            Some(found) => (found, "MSTL"),
            None => (plain(&logs, skip + months)?, "ETS"),
        },
    };
    let (Fitted { point, intervals }, method) = found;
    let intervals = intervals.ok_or("the model gives no interval")?;
    let width = 2.0 * normal_quantile(f64::midpoint(1.0, LEVEL));
    let spread: Vec<f64> = intervals.upper.iter().zip(&intervals.lower).map(|(upper, lower)| (upper - lower) / width).collect();
    if point.len() != skip + months || spread.iter().chain(&point).any(|value| !value.is_finite()) {
        return Err("no model fits this history; give `growth` as quantiles instead".into());
    }
    Ok(Forecast { middle: point[skip..].to_vec(), spread: spread[skip..].to_vec(), method })
}

/// The search: additive errors, with or without trend, damped or not.
fn search() -> Result<AutoETS, String> {
    AutoETS::new(1, "AZN").map_err(|error| error.to_string())
}

fn plain(logs: &[f64], months: usize) -> Result<Fitted, String> {
    let fitted = search()?.fit(logs).map_err(|error| format!("no model fits this history ({error})"))?;
    fitted.predict(months, LEVEL).map_err(|error| error.to_string())
}

/// Seasons apart from the rest; nothing where they explain less than `least` of what varies beside the trend.
fn seasonal(logs: &[f64], season: usize, months: usize, least: f64) -> Result<Option<Fitted>, String> {
    let trend = search()?.into_trend_model();
    let fitted = MSTLModel::new(vec![season], trend).fit(logs).map_err(|error| format!("no seasons fit this history ({error})"))?;
    let parts = fitted.fit();
    let Some(seasons) = parts.seasonal().first() else { return Ok(None) };
    let variance = |values: &[f32]| {
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>()
    };
    let both: Vec<f32> = seasons.iter().zip(parts.remainder()).map(|(season, rest)| season + rest).collect();
    let explained = 1.0 - variance(parts.remainder()) / variance(&both).max(f64::MIN_POSITIVE);
    if explained < least {
        return Ok(None);
    }
    fitted.predict(months, LEVEL).map(Some).map_err(|error| error.to_string())
}
