//! What binds the orders, and what is weighed besides the mean cost.

use super::{
    file::File,
    sources::{Grade, Source},
    text::{At, Refused, Text, nearest},
};
use crate::reserve::Constraints;
use std::{collections::BTreeMap, ops::Range};

/// The limits of a plan.
///
/// # Errors
/// What is no amount, no share, or of another currency.
pub fn constraints(text: &Text, file: &File, currency: &str, sources: &mut Vec<Source>) -> Result<Constraints, Refused> {
    let limits = &file.limits;
    let mut cite =
        |figure: &str, value: f64, unit: String, span: Range<usize>| sources.push(stated(text, figure, value, unit, span));
    let penalty = &limits.shortfall_per_cu_month;
    let shortfall = penalty.get_ref().within(text, penalty, "shortfall_per_cu_month", currency)?;
    cite("cost of shortfall", shortfall, format!("{currency} a CU and month"), penalty.span());
    let service = limits.service.as_ref().map(|at| text.within("service", at, 0.0, 1.0)).transpose()?;
    if let Some((at, value)) = limits.service.as_ref().zip(service) {
        cite("service floor", value, "of scenarios, in every month".into(), at.span());
    }
    let budget = limits.upfront_budget.as_ref();
    let budget = budget.map(|at| at.get_ref().within(text, at, "upfront_budget", currency)).transpose()?;
    if let Some((at, value)) = limits.upfront_budget.as_ref().zip(budget) {
        cite("upfront budget", value, currency.to_owned(), at.span());
    }
    let share = limits.provider_share.as_ref().map(|at| text.within("provider_share", at, 0.0, 1.0)).transpose()?;
    if let Some((at, value)) = limits.provider_share.as_ref().zip(share) {
        cite("most of a provider", value, "of committed CU-months".into(), at.span());
    }
    let mut yearly_budget = Vec::new();
    if let Some(years) = &limits.yearly_budget {
        for (year, budget) in years.get_ref().0.iter().enumerate() {
            let value = budget.within(text, years, "yearly_budget", currency)?;
            cite(&format!("budget of year {}", year + 1), value, currency.to_owned(), years.span());
            yearly_budget.push(value);
        }
        let needed = file.months.get_ref().div_ceil(12);
        if yearly_budget.len() != 1 && yearly_budget.len() != needed {
            let says = format!("yearly_budget has {} years; the plan has {needed}: one figure stands for all", yearly_budget.len());
            return Err(text.refuse(years, says));
        }
    }
    let kinds = || file.types.iter().map(toml::Spanned::get_ref);
    let regions: Vec<&str> = kinds().filter_map(|kind| Some(kind.region.as_ref()?.get_ref().as_str())).collect();
    let providers: Vec<&str> = kinds().map(|kind| kind.provider.get_ref().as_str()).collect();
    let risk = file.risk.as_ref().map(toml::Spanned::get_ref);
    let cvar = |at: &At<f64>, what: &str, least: f64| text.within(what, at, least, 1.0);
    Ok(Constraints {
        shortfall_penalty_per_cu_period: shortfall,
        min_service_probability: service,
        upfront_budget: budget,
        max_provider_share: share,
        yearly_budget,
        region_caps: caps(text, "region", limits.region_caps.as_ref(), &regions, sources)?,
        provider_caps: caps(text, "provider", limits.provider_caps.as_ref(), &providers, sources)?,
        cvar_weight: risk.map(|risk| cvar(&risk.cvar_weight, "cvar_weight", 0.0)).transpose()?,
        cvar_tail: risk.and_then(|risk| risk.cvar_tail.as_ref()).map(|at| cvar(at, "cvar_tail", 1e-6)).transpose()?,
    })
}

fn stated(text: &Text, figure: &str, value: f64, unit: String, span: Range<usize>) -> Source {
    Source {
        figure: figure.into(),
        of: String::new(),
        value,
        unit,
        grade: Grade::Stated,
        file: text.name.clone(),
        line: Some(text.line(span.start)),
        how: "stated".into(),
    }
}

/// Most units of orders that are active at once, by region or provider.
fn caps(
    text: &Text,
    what: &str,
    given: Option<&BTreeMap<String, At<f64>>>,
    known: &[&str],
    sources: &mut Vec<Source>,
) -> Result<BTreeMap<String, f64>, Refused> {
    let mut caps = BTreeMap::new();
    for (name, at) in given.into_iter().flatten() {
        if !known.contains(&name.as_str()) {
            let meant = nearest(name, known.iter().copied());
            let meant = meant.map_or_else(|| format!("there are {}", known.join(", ")), |meant| format!("did you mean `{meant}`?"));
            return Err(text.refuse(at, format!("no type is of {what} {name}; {meant}")));
        }
        let most = text.within(&format!("the cap of {what} {name}"), at, 0.0, 1e9)?;
        sources.push(stated(text, &format!("cap of {what} {name}"), most, "units at once".into(), at.span()));
        caps.insert(name.clone(), most);
    }
    Ok(caps)
}
