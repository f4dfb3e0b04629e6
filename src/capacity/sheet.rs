//! The same reckoning for many vectors: keys become places, so that a vector is worth all classes in microseconds.
//!
//! `time` says where the time goes and why there is none; this says how long, and nothing else. A test holds them to the same bits.

use super::{
    basis::{Batch, Class, Overlap, Vector, is_time},
    unit::time,
};

/// What takes a place's rate, and whether it is a time.
struct Amount {
    place: usize,
    count: f64,
    each_batch: bool,
    is_time: bool,
}

struct Row {
    batch: Option<Batch>,
    phases: Vec<(Overlap, Vec<Amount>)>,
    /// Seconds by the reference.
    reference: f64,
}

/// Classes made ready for vectors whose rates stand at the places of `keys`; the last place is the memory.
pub struct Sheet {
    keys: Vec<String>,
    rows: Vec<Row>,
}

impl Sheet {
    /// Of classes for devices that lack some formats, with what stands in for these.
    #[must_use]
    pub fn new(classes: &[&Class], reference: &Vector, lacks: impl Fn(&str) -> bool) -> Self {
        let own: Vec<_> = classes.iter().map(|class| class.fallen_back(&lacks)).collect();
        let mut keys: Vec<String> = own.iter().flat_map(|class| class.keys().map(str::to_owned)).collect();
        keys.sort();
        keys.dedup();
        let by_reference = |class: &Class| time(class, reference).map_or(f64::NAN, |time| time.seconds);
        let rows = own.iter().zip(classes).map(|(own, class)| row(own, &keys, by_reference(class))).collect();
        Self { keys, rows }
    }

    /// A vector's rates at their places; not a number where there is none.
    #[must_use]
    pub fn places(&self, rates: &Vector) -> Vec<f64> {
        let at = |key: &str| rates.get(key).copied().unwrap_or(f64::NAN);
        self.keys.iter().map(|key| at(key)).chain([at("mem.free")]).collect()
    }

    /// Units of each class into `units`; not a number where a rate is missing or it does not fit.
    pub fn units(&self, places: &[f64], units: &mut Vec<f64>) {
        units.clear();
        units.extend(self.rows.iter().map(|row| row.reference / row.seconds(places)));
    }
}

fn row(class: &Class, keys: &[String], reference: f64) -> Row {
    let amounts = |of: &Vector, each_batch: bool| {
        let one = |(key, amount): (&String, &f64)| {
            let place = keys.binary_search(key).expect("every key of every class has its place");
            Amount { place, count: *amount, each_batch, is_time: is_time(key) }
        };
        of.iter().map(one).collect::<Vec<_>>()
    };
    let phase = |phase: &super::basis::Phase| {
        let mut all = amounts(&phase.amounts, false);
        all.extend(amounts(&phase.shared, true));
        (phase.overlap, all)
    };
    Row { batch: class.batch, phases: class.phases.iter().map(phase).collect(), reference }
}

impl Row {
    fn seconds(&self, places: &[f64]) -> f64 {
        let memory = places[places.len() - 1];
        let batch = match self.batch {
            None => 1.0,
            Some(batch) => match batch.within(memory) {
                Some(items) => items,
                None => return f64::NAN,
            },
        };
        let mut total = 0.0;
        for (overlap, amounts) in &self.phases {
            let mut longest = 0.0_f64;
            for amount in amounts {
                let of_item = if amount.each_batch { amount.count / batch } else { amount.count };
                let rate = places[amount.place];
                let seconds = if amount.is_time { of_item * rate } else { of_item / rate };
                if seconds.is_nan() {
                    return f64::NAN;
                }
                if amount.is_time || *overlap == Overlap::Sum {
                    total += seconds;
                } else {
                    longest = longest.max(seconds);
                }
            }
            total += longest;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{definition, units};

    #[test]
    fn it_agrees_with_the_reckoning_that_explains_itself() {
        let definition = definition();
        let reference = &definition.reference.rates;
        let classes: Vec<&Class> = definition.classes.iter().collect();
        let sheet = Sheet::new(&classes, reference, |key| !reference.contains_key(key));
        let mut found = Vec::new();
        for step in 0..200 {
            let rates: Vector = reference
                .iter()
                .enumerate()
                .map(|(at, (key, rate))| (key.clone(), rate * f64::from(1 + (step * (at as u32 + 3)) % 17) / 9.0))
                .collect();
            sheet.units(&sheet.places(&rates), &mut found);
            for (class, found) in classes.iter().zip(&found) {
                match units(class, &rates) {
                    Ok(expected) => assert!((found / expected - 1.0).abs() < 1e-12, "{}: {found} {expected}", class.name),
                    Err(_) => assert!(found.is_nan(), "{}", class.name),
                }
            }
        }
        let none = Vector::from([("hbm.triad".to_owned(), 1.0)]);
        sheet.units(&sheet.places(&none), &mut found);
        assert_eq!(found.iter().filter(|units| units.is_finite()).count(), 1, "stream alone");
    }
}
