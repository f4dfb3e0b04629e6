//! What a history says of the months to come: exponential smoothing of its logarithm, with or without seasons, and the spread.
//!
//! A short history does not tell how fast its level and its growth change, nor what both are now; an interval of the one model that
//! fits best leaves that out, and is far too narrow. So models are averaged, each weighed by how well it foretold the months that are
//! known, and each with the error of where it started from (docs/sizing.md has how often that holds). Logarithms keep demand positive
//! and make growth a straight line. All of it is in closed form, so that the same history always gives the same forecast.

use super::{file::Method, month::Date, text::Refused};
use crate::files;
use augurs::{
    Fit,
    mstl::{MSTLModel, stlrs::MstlParams},
};
use std::path::Path;

/// Months below which a history is too short to say how demand varies.
pub const LEAST: usize = 24;
/// How much of a month's surprise is taken to last: nothing of it, up to all.
const LEVELS: [f64; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
/// How much of it changes the growth of every month after, where that changes at all; no more than what lasts.
const GROWTHS: [f64; 2] = [0.1, 0.2];
/// Weight, before the history is looked at, of growth that changes; the rest is of growth that does not.
const CHANGES: f64 = 0.5;
/// Square of a relative error below which months differ by rounding alone.
const ROUNDING: f64 = 1e-24;
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
    let seasons = match method {
        Method::Mstl if !long => return Err(format!("MSTL needs two seasons of {season} months; the history has {}", logs.len())),
        Method::Mstl => Some(seasonal(&logs, season, 0.0)?.ok_or("no seasons were found")?),
        Method::Auto if long => seasonal(&logs, season, SEASONAL)?,
        Method::Auto | Method::Ets => None,
    };
    let (mut middle, mut variance) = match &seasons {
        Some(seasons) => {
            let rest: Vec<f64> = logs.iter().zip(seasons).map(|(log, season)| log - season).collect();
            average(&rest, skip + months, season)
        }
        None => average(&logs, skip + months, 1),
    };
    for (month, middle) in middle.iter_mut().enumerate() {
        *middle += seasons.as_ref().map_or(0.0, |seasons| seasons[logs.len() - season + month % season]);
    }
    if middle.iter().chain(&variance).any(|value| !value.is_finite()) {
        return Err("no model fits this history; give `growth` as quantiles instead".into());
    }
    let spread = variance.split_off(skip).into_iter().map(f64::sqrt).collect();
    Ok(Forecast { middle: middle.split_off(skip), spread, method: if seasons.is_some() { "MSTL" } else { "ETS" } })
}

/// What each month's season adds; nothing where seasons explain less than `least` of what varies beside the trend.
fn seasonal(logs: &[f64], season: usize, least: f64) -> Result<Option<Vec<f64>>, String> {
    // So wide a window makes the seasons the same every year.
    let mut years = MstlParams::new();
    years.seasonal_lengths(&[10 * logs.len() + 1]);
    // Growth from year to year is taken off first: at the ends of a short history the decomposition mistakes it for a season.
    let pairs = logs.len() - season;
    let yearly = logs[season..].iter().zip(logs).map(|(later, earlier)| later - earlier).sum::<f64>() / pairs as f64;
    let level: Vec<f64> = logs.iter().enumerate().map(|(at, log)| log - yearly * at as f64 / season as f64).collect();
    let fitted = MSTLModel::naive(vec![season])
        .mstl_params(years)
        .fit(&level)
        .map_err(|error| format!("no seasons fit this history ({error})"))?;
    let parts = fitted.fit();
    let Some(seasons) = parts.seasonal().first() else { return Ok(None) };
    let variance = |values: &[f32]| {
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>()
    };
    let both: Vec<f32> = seasons.iter().zip(parts.remainder()).map(|(season, rest)| season + rest).collect();
    // Twelve seasons explain half of two years of mere noise: each variance counts by the months that are free in it.
    let free = (logs.len() - 1) as f64 / pairs as f64;
    let explained = 1.0 - free * variance(parts.remainder()) / variance(&both).max(f64::MIN_POSITIVE);
    Ok((explained >= least).then(|| seasons.iter().map(|value| f64::from(*value)).collect()))
}

/// Middle and variance of the months ahead by all models together, where `season` months of a year had to be told apart first.
fn average(logs: &[f64], months: usize, season: usize) -> (Vec<f64>, Vec<f64>) {
    let mut models = Vec::new();
    for level in LEVELS {
        let growths: Vec<f64> = GROWTHS.into_iter().filter(|growth| *growth <= level).collect();
        let changes = if growths.is_empty() { 0.0 } else { CHANGES };
        models.push((1.0 - changes, Smoothed::of(logs, (level, 0.0), months, season)));
        let each = changes / growths.len().max(1) as f64;
        models.extend(growths.iter().map(|growth| (each, Smoothed::of(logs, (level, *growth), months, season))));
    }
    let best = models.iter().map(|(_, model)| model.likelihood).fold(f64::NEG_INFINITY, f64::max);
    for (weight, model) in &mut models {
        *weight *= (model.likelihood - best).exp();
    }
    let all: f64 = models.iter().map(|(weight, _)| weight).sum();
    let mean = |of: &dyn Fn(&Smoothed) -> f64| models.iter().map(|(weight, model)| weight / all * of(model)).sum::<f64>();
    let middle: Vec<f64> = (0..months).map(|month| mean(&|model| model.middle[month])).collect();
    let spread = |month: usize| mean(&|model| model.variance[month] + (model.middle[month] - middle[month]).powi(2));
    let variance = (0..months).map(spread).collect();
    (middle, variance)
}

/// Exponential smoothing with a trend and additive errors, ETS(A,A,N) of Hyndman, Koehler, Ord and Snyder (2008): of the surprise of each
/// month the share `smoothing.0` lasts, and the share `smoothing.1` is added to the growth of each month after.
struct Smoothed {
    /// Logarithm of how likely the history is, whatever the level and the growth that it began with.
    likelihood: f64,
    middle: Vec<f64>,
    variance: Vec<f64>,
}

/// Surprises of a history that began with a level and a growth, and level and growth at its end.
fn surprises(logs: impl Iterator<Item = f64>, (keeps, changes): (f64, f64), start: (f64, f64)) -> (Vec<f64>, f64, f64) {
    let (mut level, mut growth) = start;
    let of = |log: f64| {
        let surprise = log - level - growth;
        level += growth + keeps * surprise;
        growth += changes * surprise;
        surprise
    };
    let all = logs.map(of).collect();
    (all, level, growth)
}

impl Smoothed {
    /// Surprises, and what follows, are linear in the level and the growth that the history began with: these are found by least squares,
    /// and their error is that of a regression.
    fn of(logs: &[f64], smoothing: (f64, f64), months: usize, season: usize) -> Self {
        let n = logs.len();
        let nothing = || std::iter::repeat_n(0.0, n);
        let (own, level, growth) = surprises(logs.iter().copied(), smoothing, (0.0, 0.0));
        let (by_level, level_level, growth_level) = surprises(nothing(), smoothing, (1.0, 0.0));
        let (by_growth, level_growth, growth_growth) = surprises(nothing(), smoothing, (0.0, 1.0));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (a, b, c) = (dot(&by_level, &by_level), dot(&by_level, &by_growth), dot(&by_growth, &by_growth));
        let determinant = a * c - b * b;
        let solve = |x: f64, y: f64| ((c * x - b * y) / determinant, (a * y - b * x) / determinant);
        let (first, drift) = solve(-dot(&by_level, &own), -dot(&by_growth, &own));
        let left = (0..n).map(|at| (own[at] + first * by_level[at] + drift * by_growth[at]).powi(2)).sum::<f64>();
        // Months of a season but one are fitted, too, and each has the error of a mean over the years.
        let free = (n - 2) as f64 - (season - 1) as f64;
        let left = left.max(ROUNDING * n as f64);
        let scale = left / (free - 2.0).max(1.0);
        let season = if season > 1 { season as f64 / n as f64 } else { 0.0 };
        let (mut middle, mut variance, mut lasting) = (Vec::with_capacity(months), Vec::with_capacity(months), 0.0);
        for month in 1..=months {
            let ahead = month as f64;
            let (x, y) = (level_level + ahead * growth_level, level_growth + ahead * growth_growth);
            let (u, v) = solve(x, y);
            middle.push(level + ahead * growth + x * first + y * drift);
            variance.push(scale * (1.0 + season + lasting + x * u + y * v));
            lasting += (smoothing.0 + smoothing.1 * ahead).powi(2);
        }
        Self { likelihood: -0.5 * (determinant.ln() + free * left.ln()), middle, variance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reserve::{generator::Dice, normal_quantile};

    /// Months ahead at which futures are held against the forecast.
    const AHEAD: [usize; 3] = [3, 12, 24];

    /// Logarithms of demand, of so many months.
    type Process = fn(&mut dyn FnMut() -> f64, usize) -> Vec<f64>;

    fn walk(normal: &mut dyn FnMut() -> f64, months: usize) -> Vec<f64> {
        let step = |log: &mut f64, ()| {
            *log += 0.02 + 0.08 * normal();
            Some(*log)
        };
        std::iter::repeat_n((), months).scan(4.6, step).collect()
    }

    fn trend(normal: &mut dyn FnMut() -> f64, months: usize) -> Vec<f64> {
        let step = |off: &mut f64, month: usize| {
            *off = 0.5 * *off + 0.05 * normal();
            Some(4.6 + 0.02 * month as f64 + *off)
        };
        (0..months).scan(0.0, step).collect()
    }

    fn local(normal: &mut dyn FnMut() -> f64, months: usize) -> Vec<f64> {
        let step = |(level, growth): &mut (f64, f64), ()| {
            *growth += 0.006 * normal();
            *level += *growth;
            Some(*level + 0.03 * normal())
        };
        std::iter::repeat_n((), months).scan((4.6, 0.02), step).collect()
    }

    fn seasons(normal: &mut dyn FnMut() -> f64, months: usize) -> Vec<f64> {
        let wave = |month: usize| 0.3 * (std::f64::consts::TAU * month as f64 / 12.0).sin();
        walk(normal, months).into_iter().enumerate().map(|(month, log)| log + wave(month)).collect()
    }

    /// Shares of futures above the middle and above the 95 % quantile, in percent, by months ahead.
    fn above(process: Process, known: usize, series: u32) -> [[f64; 2]; 3] {
        let mut dice = Dice(known as u64);
        let mut normal = || normal_quantile(dice.between(1e-9, 1.0 - 1e-9));
        let high = normal_quantile(0.95);
        let mut found = [[0.0; 2]; 3];
        for _ in 0..series {
            let logs = process(&mut normal, known + 24);
            let values: Vec<f64> = logs[..known].iter().map(|log| log.exp()).collect();
            let forecast = forecast(&values, 0, 24, Method::Auto, 12).expect("long enough");
            for (found, ahead) in found.iter_mut().zip(AHEAD) {
                for (found, deviations) in found.iter_mut().zip([0.0, high]) {
                    let over = logs[known + ahead - 1].exp() > forecast.at(ahead - 1, deviations);
                    *found += if over { 100.0 / f64::from(series) } else { 0.0 };
                }
            }
        }
        found
    }

    #[test]
    fn futures_exceed_the_quantile_about_as_often_as_it_says() {
        let processes: [(&str, Process); 4] = [("walk", walk), ("trend", trend), ("local", local), ("seasons", seasons)];
        for (name, process) in processes {
            for known in [24, 36, 60] {
                let found = above(process, known, 1000);
                println!("{name} {known}: {found:.1?}");
                assert!(found.iter().all(|[middle, _]| (42.0..58.0).contains(middle)), "{name} {known}: {found:?}");
                assert!(found.iter().all(|[_, high]| *high <= 13.0), "{name} {known}: {found:?}");
            }
        }
    }

    #[test]
    fn a_walk_that_is_known_to_be_one_has_the_error_of_its_drift() {
        let logs: Vec<f64> = walk(&mut || 0.0, 36).iter().enumerate().map(|(at, log)| log + 0.01 * (at % 2) as f64).collect();
        let found = Smoothed::of(&logs, (1.0, 0.0), 12, 1);
        let changes: Vec<f64> = logs.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let drift = changes.iter().sum::<f64>() / 35.0;
        let spread = changes.iter().map(|change| (change - drift).powi(2)).sum::<f64>() / 32.0;
        assert!((found.middle[11] - logs[35] - 12.0 * drift).abs() < 1e-9);
        assert!((found.variance[11] / (spread * (12.0 + 144.0 / 35.0)) - 1.0).abs() < 1e-9, "{}", found.variance[11]);
    }
}
