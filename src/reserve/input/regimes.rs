//! Explicit scenarios: demand, spot capacity, prices and units as they may turn out, crossed with the fan of demand.

use super::{
    demand::{Draw, Fan, scenario},
    file::Regime,
    sources::{Grade, Source},
    text::{At, Refused, nearest},
};
use crate::reserve;
use std::collections::BTreeMap;

/// Names that a scenario may speak of.
pub struct Names {
    pub types: Vec<String>,
    pub options: Vec<String>,
    /// Options that are bought as they are used.
    pub flexes: Vec<String>,
}

impl Draw<'_> {
    /// Each scenario with each path of the fan.
    ///
    /// # Errors
    /// Probabilities that do not sum to 1, names that are none, figures that are none.
    pub(super) fn regimes(
        &self,
        regimes: &[&Regime],
        fans: &BTreeMap<&str, Fan>,
        scales: &BTreeMap<&str, f64>,
        names: &Names,
        sources: &mut Vec<Source>,
    ) -> Result<Vec<reserve::Demand>, Refused> {
        let total: f64 = regimes.iter().map(|regime| regime.probability.get_ref()).sum();
        let mut drawn = Vec::new();
        for regime in regimes {
            let name = regime.name.get_ref();
            let probability = self.text.within(&format!("probability of {name}"), &regime.probability, 0.0, 1.0)?;
            if (total - 1.0).abs() > 1e-6 {
                let says = format!("probabilities of the scenarios sum to {total}; they must sum to 1");
                return Err(self.text.refuse(&regime.probability, says));
            }
            let stated = self.stated(regime, fans, scales, sources)?;
            let common = reserve::Demand {
                flex_factor: self.times(regime, ("flex_times", &regime.flex_times), ("on-demand or spot offer", &names.flexes))?,
                cu_factor: self.times(regime, ("cu_times", &regime.cu_times), ("type", &names.types))?,
                price_path: self.prices(regime, &names.options)?,
                ..reserve::Demand::default()
            };
            let paths = stated.values().map(|fan| fan.paths.len()).max().unwrap_or(1);
            drawn.extend((0..paths).map(|path| {
                let reserve::Demand { prob, cu, .. } = scenario(&stated, path, probability / paths as f64);
                let name = if paths == 1 { name.clone() } else { format!("{name}, path {} of {paths}", path + 1) };
                reserve::Demand { prob, cu, name: Some(name), ..common.clone() }
            }));
        }
        Ok(drawn)
    }

    /// Demand of the scenario by class: its own paths, else those of the fan, times what it says.
    fn stated<'c>(
        &self,
        regime: &'c Regime,
        fans: &BTreeMap<&'c str, Fan>,
        scales: &BTreeMap<&'c str, f64>,
        sources: &mut Vec<Source>,
    ) -> Result<BTreeMap<&'c str, Fan>, Refused> {
        let name = regime.name.get_ref();
        let classes: Vec<String> = scales.keys().map(|class| (*class).to_owned()).collect();
        self.known(name, "class", &regime.demand, &classes)?;
        let mut stated = BTreeMap::new();
        for (class, path) in &regime.demand {
            let values: Vec<f64> = self.path(class, path)?.into_iter().map(|value| value * scales[class.as_str()]).collect();
            let line = self.text.line(path.span().start);
            sources.push(self.source(class, values[0], Grade::Stated, line, format!("as stated in scenario {name}")));
            stated.insert(class.as_str(), Fan { paths: vec![values] });
        }
        for (class, fan) in fans.iter().filter(|(class, _)| !regime.demand.contains_key(**class)) {
            stated.insert(class, Fan { paths: fan.paths.clone() });
        }
        for (class, times) in self.times(regime, ("demand_times", &regime.demand_times), ("class", &classes))? {
            let values = stated.get_mut(class.as_str()).into_iter().flat_map(|fan| fan.paths.iter_mut().flatten());
            values.for_each(|value| *value *= times);
        }
        Ok(stated)
    }

    /// Multipliers by name.
    fn times(
        &self,
        regime: &Regime,
        (key, given): (&str, &BTreeMap<String, At<f64>>),
        (what, names): (&str, &[String]),
    ) -> Result<BTreeMap<String, f64>, Refused> {
        self.known(regime.name.get_ref(), what, given, names)?;
        given
            .iter()
            .map(|(name, times)| Ok((name.clone(), self.text.within(&format!("{key} of {name}"), times, 0.0, 1e6)?)))
            .collect()
    }

    /// Price paths by offer: of each, the steps in their order.
    fn prices(&self, regime: &Regime, options: &[String]) -> Result<BTreeMap<String, Vec<f64>>, Refused> {
        let mut paths = BTreeMap::new();
        for step in regime.price_steps.iter().map(toml::Spanned::get_ref) {
            let offer = step.offer.get_ref();
            self.one_known(regime.name.get_ref(), "offer", offer, &step.offer, options)?;
            if paths.contains_key(offer) {
                continue;
            }
            let own = regime.price_steps.iter().map(toml::Spanned::get_ref).filter(|other| other.offer.get_ref() == offer);
            paths.insert(offer.clone(), self.horizon.path(self.text, own.map(|step| (&step.month, &step.times)))?);
        }
        Ok(paths)
    }

    fn known<T>(&self, scenario: &str, what: &str, given: &BTreeMap<String, At<T>>, all: &[String]) -> Result<(), Refused> {
        given.iter().try_for_each(|(name, at)| self.one_known(scenario, what, name, at, all))
    }

    fn one_known<T>(&self, scenario: &str, what: &str, name: &str, at: &At<T>, all: &[String]) -> Result<(), Refused> {
        if all.iter().any(|known| known == name) {
            return Ok(());
        }
        let meant = nearest(name, all.iter().map(String::as_str));
        let meant = meant.map_or_else(|| format!("there are {}", all.join(", ")), |meant| format!("did you mean `{meant}`?"));
        Err(self.text.refuse(at, format!("scenario {scenario}: {name} is no {what} of this plan; {meant}")))
    }
}
