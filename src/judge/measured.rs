//! What records say of one metric of one device: its runs, what they belong to, and what the sensors said meanwhile.

use super::{Identity, Location, Metric, Whole, locate};
use crate::record::{Block, Document, Entry, Limit, Outcome, Rate, RateUnit, Status};

/// Which figure of an entry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    Sustained,
    /// Where the measurement was too short to say anything of the long run.
    Burst,
}

impl Figure {
    #[must_use]
    pub fn name(self) -> &'static str {
        if self == Self::Burst { "burst" } else { "sustained" }
    }
}

/// What the sensors said while a run went on; blank where they did not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sensors {
    pub sm_mhz: Option<f64>,
    pub memory_mhz: Option<f64>,
    pub watts: Option<f64>,
    pub celsius: Option<f64>,
    pub limit: Option<Limit>,
}

/// One run of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// `workload id@variant`, in the unit of the rate.
    pub metric: Metric,
    /// The device within its node, by what does not change: UUID, else bus, else id.
    pub device: String,
    /// `backend:index`, no identity but what a person knows the device by.
    pub id: String,
    pub hostname: Option<String>,
    pub identity: Identity,
    /// What may differ without harm, but explains: VBIOS, versions.
    pub around: Identity,
    pub figure: Figure,
    pub location: Location,
    /// The figure as the record quotes it.
    pub value: f64,
    pub status: Status,
    pub sensors: Sensors,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub run: String,
}

impl Measured {
    /// Alone, or together with how many other devices; blank where it is not told.
    #[must_use]
    pub fn load(&self) -> Option<&str> {
        self.belongs("load")
    }

    /// A field of its identity.
    #[must_use]
    pub fn belongs(&self, field: &str) -> Option<&str> {
        self.identity.0.get(field)?.as_deref()
    }

    /// Metric, figure and load, as [`label`] writes them.
    #[must_use]
    pub fn label(&self) -> String {
        label(&self.metric.name, self.figure, self.load())
    }
}

/// Metric, figure and load as a person reads them, and as they are told apart wherever figures go by a name: what a device does beside
/// others is another figure than what it does alone. What is usual is not said.
#[must_use]
pub fn label(name: &str, figure: Figure, load: Option<&str>) -> String {
    let burst = (figure == Figure::Burst).then_some("burst");
    let more: Vec<&str> = burst.into_iter().chain(load.filter(|load| *load != ALONE)).collect();
    if more.is_empty() { name.to_owned() } else { format!("{name} ({})", more.join(", ")) }
}

/// The load that is not said.
const ALONE: &str = "alone";

/// Blocks without which the interval of the entry is taken as it stands.
const FEWEST: usize = 12;

/// Every measured entry that has a rate, in the record's order.
#[must_use]
pub fn measured(document: &Document) -> Vec<Measured> {
    document.entries.iter().filter_map(|entry| of(document, entry)).collect()
}

fn of(document: &Document, entry: &Entry) -> Option<Measured> {
    let rate = entry.rate.as_ref().filter(|_| entry.outcome == Outcome::Measured)?;
    let figure = if rate.sustained.is_some() { Figure::Sustained } else { Figure::Burst };
    let higher_is_better = rate.unit != RateUnit::Seconds;
    let device = &entry.device;
    let named = format!("{}@{}", entry.workload.id, entry.workload.variant);
    let metric = Metric { name: named, unit: rate.unit.symbol().into(), higher_is_better };
    Some(Measured {
        metric,
        device: device.uuid.clone().or_else(|| device.bus.clone()).unwrap_or_else(|| device.id.clone()),
        id: device.id.clone(),
        hostname: document.header.node.hostname.clone(),
        identity: Identity::of(&document.header, entry),
        around: Identity::around(&document.header, entry),
        figure,
        location: location(entry, rate, figure)?,
        value: rate.best()?.value,
        status: rate.status,
        sensors: sensors(entry),
        started_at: document.header.started_at.clone(),
        run: document.header.id.clone(),
    })
}

/// A sustained figure by its blocks, so that a few slow ones do not decide it, and beside it what the record quotes, in which they
/// count by the time they took; else as the record quotes it.
fn location(entry: &Entry, rate: &Rate, figure: Figure) -> Option<Location> {
    let higher_is_better = rate.unit != RateUnit::Seconds;
    let quoted = rate.best()?;
    let from = entry.sampling.as_ref().map_or(0.0, |sampling| sampling.discarded);
    let retained: Vec<&Block> = entry.series.iter().filter(|block| block.t >= from && block.launches > 0).collect();
    if figure == Figure::Sustained && retained.len() >= FEWEST {
        let rates: Vec<f64> = retained.iter().map(|block| rate.unit.rate(&entry.work, block.launches, block.seconds)).collect();
        if let Ok(location) = locate(&rates, higher_is_better) {
            let blocks: Vec<(f64, f64)> = retained.iter().map(|block| (block.launches as f64, block.seconds)).collect();
            let quoted = Location::quoted(quoted.value, quoted.low, quoted.high, higher_is_better)?;
            return Some(Location { whole: Some(Whole { log: quoted.log, ..Whole::of(&blocks) }), ..location });
        }
    }
    Location::quoted(quoted.value, quoted.low, quoted.high, higher_is_better)
}

fn sensors(entry: &Entry) -> Sensors {
    let telemetry = entry.telemetry.as_ref();
    let mean = |span: Option<crate::record::ReadingSpan>| span.map(|span| span.mean);
    let longest = entry.states.iter().max_by(|a, b| a.busy_s.total_cmp(&b.busy_s));
    Sensors {
        sm_mhz: mean(telemetry.and_then(|telemetry| telemetry.sm_mhz)),
        memory_mhz: mean(telemetry.and_then(|telemetry| telemetry.memory_mhz)),
        watts: mean(telemetry.and_then(|telemetry| telemetry.watts)),
        celsius: mean(telemetry.and_then(|telemetry| telemetry.celsius)),
        limit: longest.and_then(|state| Limit::primary(&state.limits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_usual_stands_in_the_name() {
        let labels = [
            label("m@own", Figure::Sustained, Some("alone")),
            label("m@own", Figure::Burst, None),
            label("m@own", Figure::Burst, Some("together(8)")),
            label("m@own", Figure::Sustained, Some("together(8)")),
        ];
        assert_eq!(labels, ["m@own", "m@own (burst)", "m@own (burst, together(8))", "m@own (together(8))"]);
    }
}
