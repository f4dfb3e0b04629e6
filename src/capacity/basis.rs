//! What a capacity unit is of: classes of work as data, the reference that one unit is measured by, and which workload feeds a rate.
//!
//! A class is a list of phases; a phase has amounts an item of several resources, which overlap (`max`) or do not (`sum`). Resources
//! that are times, such as a dependent launch, always add. Amounts of models follow from their shapes by published formulas.

use super::{Model, Wrong, shape};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

/// Rates by key, each in the key's own unit.
pub type Vector = BTreeMap<String, f64>;

/// Keys that are seconds: more is worse, and they add whatever else overlaps.
const TIMES: [&str; 2] = ["launch.dep", "link.ar_lat"];
/// Share of memory that weights and cache may take.
const USABLE: f64 = 0.9;

#[must_use]
pub fn is_time(key: &str) -> bool {
    TIMES.contains(&key)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    Max,
    Sum,
}

/// A stretch of a class's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    pub overlap: Overlap,
    /// An item's own: operations, bytes, or a count of what takes a fixed time.
    #[serde(default)]
    pub amounts: Vector,
    /// What a whole batch shares, such as reading the weights once.
    #[serde(default, skip_serializing_if = "Vector::is_empty")]
    pub shared: Vector,
}

/// How many items at a time, and what they need of memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Batch {
    pub least: f64,
    pub most: f64,
    /// Bytes whatever the batch.
    pub weights: f64,
    /// Bytes an item of the batch.
    pub each: f64,
}

impl Batch {
    /// Items at a time in `memory` bytes; none where not even the least fit.
    #[must_use]
    pub fn within(&self, memory: f64) -> Option<f64> {
        let room = ((USABLE * memory - self.weights) / self.each).floor();
        (room >= self.least).then(|| room.min(self.most))
    }
}

/// A class of work, resolved to its phases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    pub name: String,
    pub item: String,
    /// Rates of any backend count; else those of CUDA alone.
    pub portable: bool,
    /// Its amounts stand for a model's work, so that a ratio of two devices has an error beyond that of the rates.
    pub modelled: bool,
    /// Devices that do it together, in step; its amounts are those of one of them.
    #[serde(skip_serializing_if = "is_one")]
    pub width: usize,
    /// What stands in for a rate that a device cannot have: a format that it lacks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instead: BTreeMap<String, String>,
    pub batch: Option<Batch>,
    pub phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    pub name: String,
    pub provisional: bool,
    pub why: String,
    pub rates: Vector,
}

/// Standard deviation of the logarithm of a modelled ratio, by whether the device is of the reference's generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Structural {
    pub generation: String,
    pub same: f64,
    pub other: f64,
}

/// Which workload a rate comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// First architecture that has such arithmetic, where there is no backend to be asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<f64>,
    /// Begin of the workload's id.
    pub workloads: String,
    /// The same where a device has none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// Coefficient of variation beyond which the rate is no unit's.
    pub variation: f64,
    /// The best of them, a ceiling; else the one that is sustained.
    #[serde(default)]
    pub best: bool,
    /// Of all devices of a backend at once, in an entry of the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// Everything that a figure in units depends on besides the rates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Definition {
    pub version: String,
    pub reference: Reference,
    /// Kernels of a layer that wait for each other; in the amounts already.
    #[serde(skip)]
    pub kernels: f64,
    pub structural: Structural,
    pub sources: Vec<Source>,
    pub classes: Vec<Class>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: String,
    reference: Reference,
    kernels_a_layer: f64,
    structural: Structural,
    sources: Vec<Source>,
    classes: Vec<shape::Written<String>>,
}

/// The definition that is shipped, `cu/1`.
#[must_use]
pub fn definition() -> &'static Definition {
    static SHIPPED: LazyLock<Definition> = LazyLock::new(|| {
        let written: Written = serde_json::from_str(include_str!("cu-1.json")).expect("a shipped definition is whole");
        let kernels = written.kernels_a_layer;
        let resolved =
            |class: &shape::Written<String>| class.resolved(kernels, |name| Model::named(name)).expect("a shipped class closes");
        let classes = written.classes.iter().map(resolved).collect();
        let Written { version, reference, structural, sources, .. } = written;
        Definition { version, reference, kernels, structural, sources, classes }
    });
    &SHIPPED
}

impl Definition {
    /// SHA-256 of all that a figure depends on, shapes of models included.
    ///
    /// # Panics
    /// Never: the definition is plain data.
    #[must_use]
    pub fn hash(&self) -> String {
        hash(self)
    }

    /// # Errors
    /// When there is no class of that name.
    pub fn class(&self, name: &str) -> Result<&Class, Wrong> {
        named(&self.classes, name)
    }
}

/// The class of that name among `classes`.
///
/// # Errors
/// When there is none.
pub fn named<'a>(classes: &'a [Class], name: &str) -> Result<&'a Class, Wrong> {
    classes.iter().find(|class| class.name == name).ok_or_else(|| {
        let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        Wrong(format!("no class `{name}`; there are {}. Describe your own in a file, and name it with --classes", names.join(", ")))
    })
}

fn hash(of: &impl Serialize) -> String {
    let text = serde_json::to_string(of).expect("plain data");
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_one(width: &usize) -> bool {
    *width == 1
}

impl Class {
    /// Items at a time in `memory` bytes; none where not even the least fit.
    #[must_use]
    pub fn batch_in(&self, memory: f64) -> Option<f64> {
        self.batch.map_or(Some(1.0), |batch| batch.within(memory))
    }

    /// Why fewer devices than its width are worth nothing of it.
    #[must_use]
    pub fn unfilled(&self, devices: usize) -> String {
        format!(
            "{} splits a model over {} devices, and a unit has {devices}: what fills no group counts nothing",
            self.name, self.width
        )
    }

    /// SHA-256 of all that its figure depends on besides reference and rates.
    ///
    /// # Panics
    /// Never: a class is plain data.
    #[must_use]
    pub fn hash(&self) -> String {
        hash(self)
    }

    /// The same with what stands in for each rate that a device `lacks`.
    #[must_use]
    pub fn fallen_back(&self, lacks: impl Fn(&str) -> bool) -> Cow<'_, Self> {
        if self.instead.is_empty() || !self.keys().any(|key| lacks(key) && self.instead.contains_key(key)) {
            return Cow::Borrowed(self);
        }
        let standing = |mut key: String| {
            // A chain as long as the table is a ring.
            for _ in 0..self.instead.len() {
                let Some(next) = self.instead.get(&key).filter(|_| lacks(&key)) else { break };
                key.clone_from(next);
            }
            key
        };
        let mut class = self.clone();
        for amounts in class.phases.iter_mut().flat_map(|phase| [&mut phase.amounts, &mut phase.shared]) {
            let mut all = Vector::new();
            for (key, amount) in std::mem::take(amounts) {
                *all.entry(standing(key)).or_default() += amount;
            }
            *amounts = all;
        }
        Cow::Owned(class)
    }

    /// Keys that its time depends on.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.phases.iter().flat_map(|phase| phase.amounts.keys().chain(phase.shared.keys())).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_frozen() {
        // Another hash is another definition: give it another version, and leave this one as it is. A class more is a line more.
        let by = definition();
        let rest = hash(&(&by.version, &by.reference, by.kernels, &by.structural, &by.sources));
        let lines = by.classes.iter().map(|class| format!("{}  {}\n", class.hash(), class.name));
        let found: String = std::iter::once(format!("{rest}  reference and sources\n")).chain(lines).collect();
        assert_eq!(found, include_str!("cu-1.sha256"));
    }

    #[test]
    fn every_class_closes_over_the_reference_and_over_what_can_be_measured() {
        for class in &definition().classes {
            for key in class.keys() {
                assert!(definition().reference.rates.contains_key(key) || class.instead.contains_key(key), "{}: {key}", class.name);
                assert!(definition().sources.iter().any(|source| source.key == key), "{}: {key}", class.name);
            }
        }
        assert!(definition().class("decode").unwrap_err().0.contains("decode-lat"));
        let fp4 = definition().class("decode-fp4-b64").expect("shipped");
        let left =
            |lacks: &[&str]| fp4.fallen_back(|key| lacks.contains(&key)).phases[0].amounts.keys().cloned().collect::<Vec<_>>();
        assert_eq!((left(&[]), left(&["mm.fp4"])), (vec!["mm.fp4".to_owned()], vec!["mm.fp8".to_owned()]));
        assert_eq!(left(&["mm.fp4", "mm.fp8"]), ["mm.bf16"]);
    }

    #[test]
    fn amounts_of_a_step_are_those_of_the_formulas() {
        let class = definition().class("decode-bf16-b64").expect("shipped");
        let [products, attention] = class.phases.as_slice() else { panic!("two phases") };
        // Llama-3 8B by hand: all but the input table of 128256 x 4096, twice; 32 layers of 8 heads of 128, keys and values.
        assert_eq!(products.amounts["mm.bf16"], 2.0 * (8.03e9 - 128_256.0 * 4096.0));
        assert_eq!((products.shared["hbm.read"], attention.shared["launch.dep"]), (16.06e9, 1280.0));
        assert_eq!(attention.amounts["hbm.read"], 2.0 * 32.0 * 8.0 * 128.0 * 2.0 * 2048.0);
        assert_eq!(class.batch_in(80e9), Some(64.0));
        assert_eq!(class.batch_in(24e9), None);
        assert_eq!(definition().class("serve-chat").expect("shipped").batch_in(40e9), Some(76.0));
    }
}
