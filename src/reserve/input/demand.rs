//! Demand as scenarios: a fan drawn from a forecast or from quantiles of growth, a path, or explicit scenarios, in CU.
//!
//! Nearly all that is not known of demand is one factor, how fast it grows; so the scenarios of a fan stand at evenly spread
//! quantiles of it, the same in all classes, which tells more of the whole range than as many random paths would. What is left of a
//! forecast's spread varies from month to month, from a seed.

use super::{
    file::{Demand, Growth, Regime},
    forecast::{Forecast, History, forecast},
    month::Horizon,
    native::{self, Native},
    regimes::Names,
    sources::{Grade, Source},
    text::{At, Refused, Text},
};
use crate::reserve::{self, generator::Dice, normal_quantile};
use std::{collections::BTreeMap, path::Path};

/// Scenarios of a fan, where the plan does not say.
const SCENARIOS: usize = 50;
/// Scenarios of a fan at most.
const MOST: usize = 2000;
/// Slack of a probability against rounding.
const ROUNDING: f64 = 1e-9;
/// Share of a forecast's variance that is one factor over all months.
pub const COMMON: f64 = 0.95;
/// What a month's own deviation keeps from the month before.
const KEEPS: f64 = 0.8;
/// The quantile that p10 and p90 are of, in standard deviations.
const TENTH: f64 = 0.9;
/// Months of a season, where the plan does not say.
pub const SEASON: usize = 12;

/// What demand is drawn by.
pub struct Draw<'a> {
    pub text: &'a Text,
    pub folder: &'a Path,
    pub horizon: Horizon,
    /// Seconds in a month.
    pub seconds: f64,
    pub scenarios: Option<&'a At<usize>>,
    /// Probability with which demand must be served.
    pub service: Option<&'a At<f64>>,
    pub seed: u64,
    /// What demand in tokens is of, by class.
    pub natives: &'a BTreeMap<String, Native>,
}

/// Paths of a class: one, or as many as there are scenarios.
pub(super) struct Fan {
    pub(super) paths: Vec<Vec<f64>>,
}

impl Draw<'_> {
    /// Scenarios with demand in CU, and where they come from.
    ///
    /// # Errors
    /// What is wrong with a class or a scenario, with the line.
    pub fn scenarios(
        &self,
        classes: &[&Demand],
        regimes: &[&Regime],
        names: &Names,
    ) -> Result<(Vec<reserve::Demand>, Vec<Source>), Refused> {
        let count = match self.scenarios {
            Some(at) if !(1..=MOST).contains(at.get_ref()) => {
                return Err(self.text.refuse(at, format!("scenarios is {}; it must lie between 1 and {MOST}", at.get_ref())));
            }
            Some(at) => *at.get_ref(),
            None => SCENARIOS,
        };
        let (mut fans, mut scales, mut sources) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (number, class) in classes.iter().enumerate() {
            let (scale, how) = self.scale(class);
            scales.insert(class.class.get_ref().as_str(), scale);
            if let Some((fan, source)) = self.fan(class, (scale, &how), count, number as u64, regimes)? {
                fans.insert(class.class.get_ref().as_str(), fan);
                sources.push(source);
            }
        }
        self.told_apart(fans.values().map(|fan| fan.paths.len()).max().unwrap_or(1))?;
        let drawn = if regimes.is_empty() {
            let paths = fans.values().map(|fan| fan.paths.len()).max().unwrap_or(1);
            (0..paths).map(|path| scenario(&fans, path, 1.0 / paths as f64)).collect()
        } else {
            self.regimes(regimes, &fans, &scales, names, &mut sources)?
        };
        Ok((drawn, sources))
    }

    /// Refuses a floor of service that is finer than the scenarios of a fan: past their last there is nothing to be served.
    fn told_apart(&self, paths: usize) -> Result<(), Refused> {
        let Some((at, floor)) = self.service.map(|at| (at, *at.get_ref())).filter(|(_, floor)| paths > 1 && *floor <= 1.0) else {
            return Ok(());
        };
        if (1.0 - floor) * paths as f64 >= 1.0 - ROUNDING {
            return Ok(());
        }
        let needed = (1.0 / (1.0 - floor) - ROUNDING).ceil();
        let more = if needed <= MOST as f64 { format!("`scenarios = {needed}` or more, or ") } else { String::new() };
        let says = format!(
            "service is {floor}, which {paths} scenarios of demand cannot tell from all of them; say {more}a service of at most {:.4}",
            1.0 - 1.0 / if needed <= MOST as f64 { paths as f64 } else { MOST as f64 }
        );
        Err(self.text.refuse(at, says))
    }

    /// What one of the class's own unit is in CU; training is in CU already.
    fn scale(&self, class: &Demand) -> (f64, String) {
        match self.natives.get(class.class.get_ref()).filter(|_| class.training.is_none()) {
            Some(native) => (1.0 / native.each, format!(", times {:.6} CU for a token/s: {}", 1.0 / native.each, native.how)),
            None => (1.0, String::new()),
        }
    }

    /// The class's own paths; none where every scenario states them.
    fn fan(
        &self,
        class: &Demand,
        (scale, converted): (f64, &str),
        count: usize,
        number: u64,
        regimes: &[&Regime],
    ) -> Result<Option<(Fan, Source)>, Refused> {
        let name = class.class.get_ref();
        let ways = [class.history.is_some(), class.growth.is_some(), class.path.is_some(), class.training.is_some()];
        let stated = !regimes.is_empty() && regimes.iter().all(|regime| regime.demand.contains_key(name));
        match ways.iter().filter(|way| **way).count() {
            0 if stated => return Ok(None),
            1 => {}
            _ => {
                let says = format!(
                    "class {name} must say its demand in exactly one way: `history`, `growth`, `path` or `training`, or in every [[scenario]]"
                );
                return Err(self.text.refuse(&class.class, says));
            }
        }
        self.meaningful(class)?;
        let (paths, line, grade, how) = if let Some(file) = &class.history {
            let (paths, how) = self.history(class, file, count, number)?;
            (paths, self.text.line(file.span().start), Grade::Forecast, how)
        } else if let Some(growth) = &class.growth {
            let paths = self.growth(growth.get_ref(), count)?;
            let Growth { start, p10, p50, p90 } = growth.get_ref();
            let how = format!(
                "from {} on, growing by {}, {}, {} a year (p10, p50, p90)",
                start.get_ref(),
                p10.get_ref(),
                p50.get_ref(),
                p90.get_ref()
            );
            (paths, self.text.line(growth.span().start), Grade::Stated, how)
        } else if let Some(path) = &class.path {
            (vec![self.path(name, path)?], self.text.line(path.span().start), Grade::Stated, "as stated by month".into())
        } else if let Some((training, native)) = class.training.as_ref().zip(self.natives.get(name)) {
            let (path, how) = native::trained(self.text, self.horizon, self.seconds, training.get_ref(), native)?;
            (vec![path], self.text.line(training.span().start), Grade::Stated, how)
        } else {
            return Ok(None);
        };
        let paths: Vec<Vec<f64>> = paths.into_iter().map(|path| path.into_iter().map(|value| value * scale).collect()).collect();
        let first = paths.iter().map(|path| path[0]).sum::<f64>() / paths.len() as f64;
        let source = self.source(name, first, grade, line, format!("{how}{converted}"));
        Ok(Some((Fan { paths }, source)))
    }

    pub(super) fn source(&self, class: &str, first: f64, grade: Grade, line: usize, how: String) -> Source {
        Source {
            figure: format!("demand of {class}, mean of the first month"),
            of: class.to_owned(),
            value: first,
            unit: "CU".into(),
            grade,
            file: self.text.name.clone(),
            line: Some(line),
            how,
        }
    }

    /// Refuses keys that belong to a way in which this demand is not said.
    fn meaningful(&self, class: &Demand) -> Result<(), Refused> {
        let name = class.class.get_ref();
        let refuse = |span, key: &str, way: &str| {
            Err(self.text.refuse_span(Some(span), format!("class {name}: `{key}` goes with `{way}`; drop it")))
        };
        if class.history.is_none() {
            if let Some(at) = &class.method {
                return refuse(at.span(), "method", "history");
            }
            if let Some(at) = &class.season {
                return refuse(at.span(), "season", "history");
            }
            if let Some(at) = &class.common {
                return refuse(at.span(), "common", "history");
            }
        }
        match (&class.training, &class.unit) {
            (Some(_), Some(unit)) => refuse(unit.span(), "unit", "history, growth or path"),
            _ => Ok(()),
        }
    }

    pub(super) fn path(&self, name: &str, path: &At<Vec<At<f64>>>) -> Result<Vec<f64>, Refused> {
        let values = path.get_ref();
        if values.len() != self.horizon.months {
            let says = format!("demand for {name} has {} months; the plan has {}", values.len(), self.horizon.months);
            return Err(self.text.refuse(path, says));
        }
        values.iter().map(|value| self.text.within(&format!("demand for {name}"), value, 0.0, 1e12)).collect()
    }

    /// A lognormal growth rate with these quantiles: its halves have spreads of their own.
    fn growth(&self, growth: &Growth, count: usize) -> Result<Vec<Vec<f64>>, Refused> {
        let start = self.text.within("start", &growth.start, 0.0, 1e12)?;
        let rate = |at: &At<f64>, name: &str| self.text.within(name, at, -0.99, 100.0).map(f64::ln_1p);
        let (p10, p50, p90) = (rate(&growth.p10, "p10")?, rate(&growth.p50, "p50")?, rate(&growth.p90, "p90")?);
        if !(p10 <= p50 && p50 <= p90) {
            return Err(self.text.refuse(&growth.p50, "quantiles of growth must rise: p10 <= p50 <= p90"));
        }
        let deviations = normal_quantile(TENTH);
        let path = |scenario: usize| {
            let z = quantile(scenario, count);
            let spread = if z < 0.0 { p50 - p10 } else { p90 - p50 };
            let yearly = p50 + z * spread / deviations;
            (0..self.horizon.months).map(|month| start * (yearly * month as f64 / 12.0).exp()).collect()
        };
        Ok((0..count).map(path).collect())
    }

    fn history(&self, class: &Demand, file: &At<String>, count: usize, number: u64) -> Result<(Vec<Vec<f64>>, String), Refused> {
        let history = History::read(&self.folder.join(file.get_ref()))?;
        let skip = self.horizon.start.index() - history.next().index();
        let last = history.next().plus(-1);
        if !(0..=24).contains(&skip) {
            let says = format!(
                "history {} ends in {last} and the plan starts in {}; a plan starts in one of the 25 months after its history",
                file.get_ref(),
                self.horizon.start
            );
            return Err(self.text.refuse(file, says));
        }
        let method = class.method.as_ref().map(|method| *method.get_ref()).unwrap_or_default();
        let season = class.season.as_ref().map_or(SEASON, |season| *season.get_ref());
        let found = forecast(&history.values, skip as usize, self.horizon.months, method, season)
            .map_err(|says| self.text.refuse(file, format!("history {}: {says}", file.get_ref())))?;
        let common = class.common.as_ref().map_or(Ok(COMMON), |at| self.text.within("common", at, 0.0, 1.0))?;
        let how = format!(
            "{} of the logarithm of {} ({} months to {last}, line {}), {:.0} % of its variance one factor",
            found.method,
            file.get_ref(),
            history.values.len(),
            history.line,
            100.0 * common
        );
        Ok((fan(&found, count, common, self.seed.wrapping_add(number)), how))
    }
}

/// One scenario: of each class its only path, or the one of this number.
pub(super) fn scenario(fans: &BTreeMap<&str, Fan>, path: usize, prob: f64) -> reserve::Demand {
    let own = |fan: &Fan| fan.paths[if fan.paths.len() == 1 { 0 } else { path }].clone();
    let cu = fans.iter().map(|(class, fan)| ((*class).to_owned(), own(fan))).collect();
    reserve::Demand { prob, cu, ..reserve::Demand::default() }
}

/// Standard deviations at which a scenario of a fan stands.
fn quantile(scenario: usize, count: usize) -> f64 {
    normal_quantile((scenario as f64 + 0.5) / count as f64)
}

/// Paths around a forecast: `common` of the variance is one factor over all months, at an even quantile of each scenario; the rest
/// varies by month. Both together are scaled so that each month's scenarios have the forecast's mean and spread: even quantiles by
/// themselves vary by less than what they are of.
#[must_use]
pub fn fan(forecast: &Forecast, count: usize, common: f64, seed: u64) -> Vec<Vec<f64>> {
    let months = forecast.middle.len();
    let mut dice = Dice(seed);
    let mut own = vec![vec![0.0_f64; count]; months];
    for scenario in 0..count {
        let mut before = 0.0;
        for month in &mut own {
            let drawn = normal_quantile(dice.between(1e-6, 1.0 - 1e-6));
            before = KEEPS * before + (1.0 - KEEPS * KEEPS).sqrt() * drawn;
            month[scenario] = before;
        }
    }
    let mut factor: Vec<f64> = (0..count).map(|scenario| quantile(scenario, count)).collect();
    standardise(&mut factor);
    for month in &mut own {
        standardise(month);
        month.iter_mut().zip(&factor).for_each(|(own, factor)| *own = common.sqrt() * factor + (1.0 - common).sqrt() * *own);
        if !standardise(month) {
            // Two scenarios whose own parts stand against the factor as it stands itself.
            month.copy_from_slice(&factor);
        }
    }
    let path = |scenario: usize| (0..months).map(|month| forecast.at(month, own[month][scenario])).collect();
    (0..count).map(path).collect()
}

/// Scales values to a mean of 0 and a standard deviation of 1; those that do not vary to 0, and says so.
fn standardise(values: &mut [f64]) -> bool {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    for value in values {
        *value = if deviation > ROUNDING { (*value - mean) / deviation } else { 0.0 };
    }
    deviation > ROUNDING
}
