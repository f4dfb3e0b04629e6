//! A card's rows, read.

use super::{
    monitor::{Gauges, Pace},
    rows::{Of, ROWS, Row},
};
use crate::record::{Absence, Vital};
use nvml_wrapper::{
    Device as Card, enums::device::SampleValue, enums::gpm::GpmMetricId, error::NvmlError, gpm::gpm_metrics_get,
    structs::device::FieldId,
};
use std::{collections::BTreeSet, thread, time::Duration};

/// Between the two samples of the performance monitor that its counters are the difference of.
const GPM_WINDOW: Duration = Duration::from_millis(50);

/// Why a call gave nothing. A call that an old driver lacks is one that it does not support.
fn absent(error: &NvmlError) -> Vital {
    let absent = match error {
        NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_) | NvmlError::InvalidArg | NvmlError::NotFound => {
            Absence::NotSupported
        }
        NvmlError::NoPermission => Absence::NoPermission,
        NvmlError::GpuLost => Absence::Lost,
        NvmlError::Timeout => Absence::TimedOut,
        _ => Absence::Failed,
    };
    Vital::Absent { absent }
}

pub fn plain(value: &SampleValue) -> f64 {
    match *value {
        SampleValue::F64(value) => value,
        SampleValue::U32(value) => value.into(),
        SampleValue::U64(value) => value as f64,
        SampleValue::I64(value) => value as f64,
    }
}

/// A card's gauges; for a MIG slice also its own handle.
pub struct CardGauges {
    pub slice: Card<'static>,
    pub card: Card<'static>,
}

impl CardGauges {
    /// All fields of a pace by one call, in the order of their rows.
    fn fields(&self, pace: Pace) -> impl Iterator<Item = Result<f64, NvmlError>> {
        let wanted = || {
            let numbers = ROWS
                .iter()
                .filter(move |row| row.pace <= pace)
                .filter_map(|row| if let Of::Field(id, _) = row.of { Some(id) } else { None });
            numbers.map(FieldId)
        };
        let samples = self.card.field_values_for(&wanted().collect::<Vec<_>>());
        let values: Vec<_> = match samples {
            Ok(samples) => samples.into_iter().map(|sample| sample?.value.map(|value| plain(&value))).collect(),
            Err(error) => {
                let why = absent(&error);
                wanted().map(|_| Err(again(&why))).collect()
            }
        };
        values.into_iter()
    }
}

impl CardGauges {
    /// Counters of the performance monitor (Hopper and newer) over [`GPM_WINDOW`], in the order of their rows.
    fn counters(&self, pace: Pace) -> impl Iterator<Item = Result<f64, NvmlError>> {
        let metric = |row: &&Row| if let Of::Gpm(id, _) = row.of { Some(id) } else { None };
        let wanted: Vec<GpmMetricId> = ROWS.iter().filter(|row| row.pace <= pace).filter_map(|row| metric(&row)).collect();
        let read = || {
            let first = self.card.gpm_sample()?;
            thread::sleep(GPM_WINDOW);
            let second = self.card.gpm_sample()?;
            gpm_metrics_get(self.card.nvml(), &first, &second, &wanted)
        };
        let values: Vec<_> = match if wanted.is_empty() { Ok(Vec::new()) } else { read() } {
            Ok(results) => results.into_iter().map(|result| result.map(|metric| metric.value)).collect(),
            Err(error) => {
                let why = absent(&error);
                wanted.iter().map(|_| Err(again(&why))).collect()
            }
        };
        values.into_iter()
    }
}

/// The failure of a whole batch, once for each of its fields: errors of the wrapper cannot be copied.
fn again(why: &Vital) -> NvmlError {
    match why.absence() {
        Some(Absence::NotSupported) => NvmlError::NotSupported,
        Some(Absence::NoPermission) => NvmlError::NoPermission,
        Some(Absence::Lost) => NvmlError::GpuLost,
        Some(Absence::TimedOut) => NvmlError::Timeout,
        _ => NvmlError::Unknown,
    }
}

impl Gauges for CardGauges {
    fn names(&self, pace: Pace) -> BTreeSet<&'static str> {
        ROWS.iter().filter(|row| row.pace <= pace).map(|row| row.name).collect()
    }

    fn read(&mut self, pace: Pace, tell: &mut dyn FnMut(&'static str, Vital)) {
        let mut fields = self.fields(pace);
        let mut counters = self.counters(pace);
        for row in ROWS.iter().filter(|row| row.pace <= pace) {
            let value = match row.of {
                Of::Field(_, factor) => fields.next().unwrap_or(Err(NvmlError::Unknown)).map(|value| Vital::Number(value * factor)),
                Of::Gpm(_, factor) => counters.next().unwrap_or(Err(NvmlError::Unknown)).map(|value| Vital::Number(value * factor)),
                Of::Card(call) => call(&self.card),
                Of::Slice(call) => call(&self.slice),
            };
            tell(row.name, value.unwrap_or_else(|error| absent(&error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own_and_numbers_say_their_unit() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        let fields: BTreeSet<_> =
            ROWS.iter().filter_map(|row| if let Of::Field(id, _) = row.of { Some(id) } else { None }).collect();
        let count = ROWS.iter().filter(|row| matches!(row.of, Of::Field(..))).count();
        assert_eq!(fields.len(), count);
    }

    #[test]
    fn absence_keeps_its_reason() {
        let of = |error: NvmlError| absent(&error).absence();
        assert_eq!(of(NvmlError::NoPermission), Some(Absence::NoPermission));
        assert_eq!(of(NvmlError::FailedToLoadSymbol("nvmlDeviceGetMigMode".into())), Some(Absence::NotSupported));
        assert_eq!(of(again(&absent(&NvmlError::GpuLost))), Some(Absence::Lost));
        assert_eq!(of(NvmlError::Uninitialized), Some(Absence::Failed));
    }
}
