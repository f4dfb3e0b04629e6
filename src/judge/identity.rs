//! What a number belongs to: two numbers with different identities are not compared, unless somebody asks for that.

use crate::record::{Entry, Header};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that must be the same before a difference of rates means anything, by name. Blank: not told; a blank equals only a
/// blank, since nothing passes by absence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(pub BTreeMap<String, Option<String>>);

/// A field in which two sides differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub field: String,
    pub baseline: Option<String>,
    pub candidate: Option<String>,
}

impl Identity {
    /// Of an entry in its run. The card itself (UUID, bus) is no part of it: another card of the same make may stand in.
    #[must_use]
    pub fn of(header: &Header, entry: &Entry) -> Self {
        let device = &entry.device;
        let fact = |name: &str| device.facts.get(name).cloned();
        let mig = device.uuid.as_deref().is_some_and(|uuid| uuid.starts_with("MIG-"));
        let fields = [
            ("device", Some(device.model.clone())),
            ("backend", Some(device.backend.clone())),
            ("kind", Some(device.kind.name().to_owned())),
            ("memory", device.memory_bytes.map(|bytes| bytes.to_string())),
            ("architecture", device.architecture.clone()),
            ("units", device.units.map(|units| units.to_string())),
            ("driver", device.driver.clone()),
            ("power limit", fact("power_limit_enforced_mw").map(|limit| format!("{limit} mW"))),
            ("ecc", device.ecc.map(|on| if on { "on" } else { "off" }.to_owned())),
            ("mig", if mig { Some("slice".to_owned()) } else { fact("mig") }),
            ("kernel", entry.kernel.clone()),
            ("method", Some(header.assay.method.to_string())),
            ("data", entry.data.clone()),
            ("load", Some(entry.load.clone())),
        ];
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// What may differ without harm, but explains a difference where there is one.
    #[must_use]
    pub fn around(header: &Header, entry: &Entry) -> Self {
        let fields = [
            ("vbios", entry.device.facts.get("vbios").cloned()),
            ("api", entry.device.api.clone()),
            ("card", entry.device.uuid.clone().or_else(|| entry.device.bus.clone())),
            ("node", header.node.hostname.clone()),
            ("system", header.node.kernel.clone()),
            ("assay", Some(header.assay.version.clone())),
        ];
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Every field in which the candidate differs.
    #[must_use]
    pub fn differences(&self, candidate: &Self) -> Vec<Difference> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(candidate.0.keys()).collect();
        let get = |side: &Self, name: &str| side.0.get(name).cloned().flatten();
        names
            .into_iter()
            .map(|name| Difference { field: name.clone(), baseline: get(self, name), candidate: get(candidate, name) })
            .filter(|difference| difference.baseline != difference.candidate)
            .collect()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "not told".into());
        write!(to, "{}: {}, then {}", self.field, told(&self.baseline), told(&self.candidate))
    }
}
