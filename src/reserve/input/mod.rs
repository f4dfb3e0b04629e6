//! A plan file as a sizing case: what a buyer writes, with every figure's origin, and one clear error where it is not right.
//!
//! `docs/plan.md` describes the file. Everything in it is either used or refused; nothing is passed over.

mod amount;
mod card;
mod demand;
mod file;
mod forecast;
mod limits;
mod losses;
mod month;
mod native;
mod offers;
mod records;
mod regimes;
mod sources;
mod text;
mod worth;

pub use card::Card;
pub use demand::{COMMON, SEASON, fan};
pub use file::{Method, PLAN};
pub use forecast::{Forecast, History, LEAST, forecast};
pub use month::Date;
pub use sources::{Grade, Source};
pub use text::{Refused, figures};
pub use worth::PUBLISHED;

use super::{
    case::{CASE, Case, Type},
    compile::HOURS,
    terms::Tail,
};
use crate::{
    capacity::{self, Class, Wrong, definition},
    files,
};
use demand::Draw;
use file::File;
use month::{Horizon, Month};
use native::Native;
use offers::Terms;
use regimes::Names;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use text::{At, Text};
use worth::Given;

/// The plan that `assay size init` writes.
pub const TEMPLATE: &str = include_str!("plan.toml");

/// A plan file, read.
#[derive(Clone, Debug)]
pub struct Planned {
    pub case: Case,
    /// Currency of every amount.
    pub currency: String,
    /// The calendar month of period 1.
    pub start: Date,
    /// Hours that a month's prices are of.
    pub hours: f64,
    /// Where every figure comes from.
    pub sources: Vec<Source>,
    /// Types whose CU are by published rates, not measured.
    pub published: BTreeSet<String>,
}

/// Reads a plan file, and the files that it names, which are looked for beside it.
///
/// # Errors
/// The first thing that is wrong: the file, the line, and the way out.
pub fn plan(path: &Path) -> Result<Planned, Refused> {
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    planned(&Text::read(path)?, &folder)
}

fn planned(text: &Text, folder: &Path) -> Result<Planned, Refused> {
    let file: File = text.toml()?;
    let currency = headed(text, &file)?;
    let horizon = horizon(text, &file)?;
    let hours = file.hours_per_month.as_ref().map_or(Ok(HOURS), |hours| text.within("hours_per_month", hours, 672.0, 744.0))?;
    let card = match &file.prices {
        Some(name) => Card::read(&folder.join(name.get_ref()))?,
        None => Card::shipped()?,
    };
    let mut sources = Vec::new();
    let classes: Vec<&file::Demand> = file.demands.iter().map(toml::Spanned::get_ref).collect();
    distinct(text, "class", classes.iter().map(|class| &class.class))?;
    distinct(text, "type", file.types.iter().map(|kind| &kind.get_ref().id))?;
    distinct(text, "offer", file.offers.iter().map(|offer| &offer.get_ref().id))?;
    if classes.is_empty() || file.types.is_empty() {
        return Err(text.refuse(&file.name, "a plan needs at least one [[type]] and one [[demand]]; `assay size init` prints one"));
    }
    let own = own_classes(text, folder, &file)?;
    let known = own.as_deref().unwrap_or(&definition().classes);
    let natives = natives(text, &classes, known)?;
    let named = file.classes.as_ref().map(|name| name.get_ref().as_str());
    let given = Given { text, folder, known, classes: named, natives: &natives };
    let types = types(&given, &file, (&classes, horizon), &card, &mut sources)?;
    let terms = Terms { text, file: &file, horizon, currency: &currency, hours, card: &card };
    let mut options = Vec::new();
    for offer in &file.offers {
        let (option, own) = terms.option(offer.get_ref())?;
        options.push(option);
        sources.extend(own);
    }
    let regimes: Vec<&file::Regime> = file.regimes.iter().map(toml::Spanned::get_ref).collect();
    distinct(text, "scenario", regimes.iter().map(|regime| &regime.name))?;
    let seed = file.seed.unwrap_or(1);
    let seconds = hours * 3600.0;
    let (scenarios, service) = (file.scenarios.as_ref(), file.limits.service.as_ref());
    let draw = Draw { text, folder, horizon, seconds, scenarios, service, seed, natives: &natives };
    let (demand, drawn) = draw.scenarios(&classes, &regimes, &names(&file))?;
    sources.extend(drawn);
    let discount = file.discount_rate.as_ref().map_or(Ok(0.0), |rate| text.within("discount_rate", rate, -0.5, 1.0))?;
    let constraints = limits::constraints(text, &file, &currency, &mut sources)?;
    let case = Case {
        schema: CASE.into(),
        id: file.name.get_ref().clone(),
        description: String::new(),
        currency: Some(currency.clone()),
        periods: horizon.months,
        start: Some(horizon.start.to_string()),
        hours_per_period: Some(hours),
        discount_rate_annual: discount,
        tail: file.tail.unwrap_or(Tail::Prorate),
        classes: classes.iter().map(|class| class.class.get_ref().clone()).collect(),
        types,
        options,
        demand,
        constraints,
    };
    Ok(Planned { case, currency, start: horizon.start, hours, sources, published: published(&file) })
}

/// The currency of a file that is a plan.
fn headed(text: &Text, file: &File) -> Result<String, Refused> {
    if file.schema.get_ref() != PLAN {
        let says = format!("the schema is `{}`; this version reads {PLAN}", file.schema.get_ref());
        return Err(text.refuse(&file.schema, says));
    }
    amount::currency(file.currency.get_ref()).ok_or_else(|| {
        text.refuse(&file.currency, format!("`{}` is no currency; write three letters, for example USD", file.currency.get_ref()))
    })
}

/// Types that stand on published rates.
fn published(file: &File) -> BTreeSet<String> {
    let kinds = file.types.iter().map(toml::Spanned::get_ref);
    kinds.filter(|kind| kind.published.is_some()).map(|kind| kind.id.get_ref().clone()).collect()
}

fn horizon(text: &Text, file: &File) -> Result<Horizon, Refused> {
    let months = *file.months.get_ref();
    if !(1..=600).contains(&months) {
        return Err(text.refuse(&file.months, format!("months is {months}; it must lie between 1 and 600")));
    }
    match *file.start.get_ref() {
        Month::Of(start) => Ok(Horizon { start, months }),
        Month::Number(_) => Err(text.refuse(&file.start, "start is a month of the calendar; write for example \"2027-01\"")),
    }
}

fn distinct<'a>(text: &Text, what: &str, names: impl Iterator<Item = &'a At<String>>) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.get_ref().as_str()) {
            return Err(text.refuse(name, format!("{what} {} is there twice", name.get_ref())));
        }
    }
    Ok(())
}

/// What demand in tokens is of, by class.
fn natives(text: &Text, classes: &[&file::Demand], known: &[Class]) -> Result<BTreeMap<String, Native>, Refused> {
    let mut natives = BTreeMap::new();
    for class in classes {
        if let Some(native) = Native::of(text, class, known)? {
            natives.insert(class.class.get_ref().clone(), native);
        }
    }
    Ok(natives)
}

/// The classes that are shipped and those of the file that the plan names.
fn own_classes(text: &Text, folder: &Path, file: &File) -> Result<Option<Vec<Class>>, Refused> {
    let Some(name) = &file.classes else { return Ok(None) };
    let place = folder.join(name.get_ref());
    let read = |path: &Path| files::text(path).map_err(|error| Wrong(format!("{} cannot be read: {error}", path.display())));
    let beside = |file: &Path| read(&place.parent().unwrap_or(Path::new("")).join(file));
    let known = read(&place).and_then(|classes| capacity::own_classes(&classes, beside));
    known.map(Some).map_err(|Wrong(says)| text.refuse(name, format!("classes of {}: {says}", name.get_ref())))
}

fn types(
    given: &Given,
    file: &File,
    (classes, horizon): (&[&file::Demand], Horizon),
    card: &Card,
    sources: &mut Vec<Source>,
) -> Result<Vec<Type>, Refused> {
    let (text, mut types) = (given.text, Vec::new());
    for kind in file.types.iter().map(toml::Spanned::get_ref) {
        let listed = kind.instance.as_ref().and_then(|instance| card.count(kind.provider.get_ref(), instance.get_ref()));
        if let (Some(given), Some(listed)) =
            (&kind.devices, listed.filter(|listed| kind.devices.as_ref().is_some_and(|given| given.get_ref() != listed)))
        {
            let says = format!("type {} has {} devices, and {listed} by {}", kind.id.get_ref(), given.get_ref(), card.name);
            return Err(text.refuse(given, says));
        }
        if let Some(none) = kind.devices.as_ref().filter(|devices| *devices.get_ref() == 0) {
            return Err(text.refuse(none, "a unit has at least 1 device"));
        }
        let devices = kind.devices.as_ref().map(|devices| *devices.get_ref()).or(listed);
        let worth = worth::worth(given, kind, classes, devices)?;
        let cited: Vec<String> = worth.sources.iter().map(Source::cite).collect();
        sources.extend(worth.sources);
        types.push(Type {
            id: kind.id.get_ref().clone(),
            provider: kind.provider.get_ref().clone(),
            cu: worth.cu,
            availability: losses::availability(text, kind.availability.as_ref())?,
            region: kind.region.as_ref().map_or_else(String::new, |region| region.get_ref().clone()),
            owned: owned(text, kind, horizon)?,
            source: Some(cited.join("; ")).filter(|cited| !cited.is_empty()),
        });
    }
    Ok(types)
}

/// Units that are there already, by month: until the month in which they go.
fn owned(text: &Text, kind: &file::Type, horizon: Horizon) -> Result<Vec<f64>, Refused> {
    match (&kind.owned, &kind.owned_until) {
        (None, None) => Ok(Vec::new()),
        (None, Some(until)) => Err(text.refuse(until, "`owned_until` goes with `owned`; drop it")),
        (Some(owned), until) => {
            let units = text.within("owned", owned, 0.0, 1e9)?;
            let last = until.as_ref().map_or(Ok(horizon.months), |at| horizon.number(text, at, "owned_until"))?;
            Ok((1..=horizon.months).map(|month| if month <= last { units } else { 0.0 }).collect())
        }
    }
}

fn names(file: &File) -> Names {
    let offers = || file.offers.iter().map(toml::Spanned::get_ref);
    let id = |offer: &file::Offer| offer.id.get_ref().clone();
    Names {
        types: file.types.iter().map(|kind| kind.get_ref().id.get_ref().clone()).collect(),
        options: offers().map(id).collect(),
        flexes: offers().filter(|offer| offer.kind.get_ref().flexible()).map(id).collect(),
    }
}
