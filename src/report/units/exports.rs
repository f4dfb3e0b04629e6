//! Units in the forms that others take: Slurm's billing weights, Kueue's flavours and quotas, OpenCost's custom cost, Prometheus' text.
//!
//! docs/units.md names the page that each form is from.

use crate::{
    capacity::{Appraisal, Cell, Origin, Unit, Valued},
    report::prometheus::in_order,
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    sync::atomic::AtomicU64,
};

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    Slurm,
    Kueue,
    OpenCost,
    Prometheus,
}

/// Which figure is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Typical,
    Firm,
}

impl Statistic {
    fn name(self) -> &'static str {
        if self == Self::Typical { "typical" } else { "firm" }
    }

    fn of(self, unit: &Unit) -> &Cell {
        if self == Self::Typical { &unit.typical } else { &unit.firm }
    }
}

/// Slurm stores a job's billing as an integer, cut off, so that units are handed to it in thousandths.
const THOUSANDTHS: f64 = 1000.0;

/// Devices of one model: how many, and what the least of them is worth, with the reason that it should have been withheld for.
struct Kind<'a> {
    model: &'a str,
    devices: Vec<&'a Valued>,
    units: f64,
    reason: Option<&'a str>,
}

/// The only class that devices were valued by, by model.
fn kinds(appraisal: &Appraisal, statistic: Statistic) -> Result<(String, Vec<Kind<'_>>), String> {
    let classes: BTreeSet<&str> =
        appraisal.devices.iter().flat_map(|device| &device.units).map(|unit| unit.class.as_str()).collect();
    let mix = classes.iter().copied().find(|class| class.starts_with("mix "));
    let class = match (mix, classes.len()) {
        (Some(mix), _) => mix,
        (None, 1) => classes.first().copied().unwrap_or_default(),
        _ => return Err("which class? This form has one weight for a device: name one with --class, or a --mix".into()),
    };
    let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
    for device in &appraisal.devices {
        let Some(unit) = device.units.iter().find(|unit| unit.class == class) else { continue };
        let cell = statistic.of(unit);
        let units = cell.value.ok_or_else(|| {
            let why = cell.reason.as_deref().unwrap_or("no figure");
            format!("{} {}: {class}: {why}", device.subject.device, statistic.name())
        })?;
        let model = if device.subject.model.is_empty() { &device.subject.device } else { &device.subject.model };
        let kind = kinds.entry(model).or_insert(Kind { model, devices: Vec::new(), units, reason: None });
        kind.units = kind.units.min(units);
        kind.reason = kind.reason.or(cell.reason.as_deref());
        kind.devices.push(device);
    }
    let mut kinds: Vec<Kind> = kinds.into_values().collect();
    kinds.sort_by(|a, b| b.units.total_cmp(&a.units));
    Ok((class.to_owned(), kinds))
}

/// A name that all of these take: lower case letters, digits and one kind of joint.
fn plain(text: &str, joint: char) -> String {
    let mapped: String = text.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { joint }).collect();
    mapped.split(joint).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&joint.to_string())
}

fn head(appraisal: &Appraisal, class: &str, statistic: Statistic, kinds: &[Kind]) -> String {
    let reference = &appraisal.reference;
    let mark = if reference.provisional { " (provisional)" } else { "" };
    let name = statistic.name();
    let mut text =
        format!("# {name} capacity units of {class}, {}@{}{mark}, from {}\n", appraisal.definition, reference.name, appraisal.of);
    for kind in kinds {
        if let Some(reason) = kind.reason {
            let _ = writeln!(text, "# {}: {}", kind.model, reason.replace('\n', " "));
        }
        if kind.devices.iter().any(|device| device.origin == Origin::Published) {
            let _ = writeln!(text, "# {}: published figures, not measured", kind.model);
        }
    }
    text
}

/// Units in `form`; `price` of a device for an hour, in its currency, where the form asks for one.
///
/// # Errors
/// Why there is nothing to hand on.
pub fn export(
    appraisal: &Appraisal,
    form: Export,
    statistic: Statistic,
    price: Option<(f64, &str)>,
    at: [&str; 2],
) -> Result<String, String> {
    if form == Export::Prometheus {
        return prometheus(appraisal).map_err(|error| error.to_string());
    }
    let (class, kinds) = kinds(appraisal, statistic)?;
    match form {
        Export::Slurm => Ok(slurm(&head(appraisal, &class, statistic, &kinds), &kinds)),
        Export::Kueue => Ok(kueue(&head(appraisal, &class, statistic, &kinds), appraisal, &class, &kinds)),
        _ => {
            let (price, currency) = price.ok_or("a cost needs --price and --currency")?;
            Ok(opencost(appraisal, (&class, statistic), &kinds, (price, currency), at))
        }
    }
}

fn slurm(head: &str, kinds: &[Kind]) -> String {
    let gres = |kind: &Kind| format!("gres/gpu:{}", plain(kind.model, '_'));
    let tracked: Vec<String> = std::iter::once("gres/gpu".to_owned()).chain(kinds.iter().map(gres)).collect();
    let weights: Vec<String> =
        kinds.iter().map(|kind| format!("{}={:.0}", gres(kind).replace("gres", "GRES"), THOUSANDTHS * kind.units)).collect();
    format!(
        "{head}# 1000 billed are one unit: Slurm cuts what is billed to an integer. The types must be those of gres.conf.\n\
         AccountingStorageTRES={}\nPartitionName=DEFAULT TRESBillingWeights=\"{}\"\n",
        tracked.join(","),
        weights.join(",")
    )
}

/// Flavours with the most units first, since Kueue takes the first that has room; quotas are devices, their units are labels.
fn kueue(head: &str, appraisal: &Appraisal, class: &str, kinds: &[Kind]) -> String {
    let mut text = head.to_owned();
    let version = format!("{}@{}", appraisal.definition, appraisal.reference.name);
    for kind in kinds {
        let _ = write!(
            text,
            "apiVersion: kueue.x-k8s.io/v1beta2\nkind: ResourceFlavor\nmetadata:\n  name: {}\n  annotations:\n    \
             assay/class: {}\n    assay/definition: {}\n    assay/units: {}\nspec:\n  nodeLabels:\n    nvidia.com/gpu.product: {}\n---\n",
            plain(kind.model, '-'),
            json!(class),
            json!(version),
            json!(format!("{:.4}", kind.units)),
            json!(kind.model.replace(' ', "-")),
        );
    }
    text.push_str(
        "apiVersion: kueue.x-k8s.io/v1beta2\nkind: ClusterQueue\nmetadata:\n  name: assay\nspec:\n  namespaceSelector: {}\n  \
         resourceGroups:\n  - coveredResources: [\"nvidia.com/gpu\"]\n    flavors:\n",
    );
    for kind in kinds {
        let (count, all) = (kind.devices.len(), kind.devices.len() as f64 * kind.units);
        let _ = write!(
            text,
            "    - name: {}\n      resources:\n      - name: nvidia.com/gpu\n        nominalQuota: {count}  # {all:.3} units\n",
            plain(kind.model, '-'),
        );
    }
    text
}

fn opencost(
    appraisal: &Appraisal,
    (class, statistic): (&str, Statistic),
    kinds: &[Kind],
    (price, currency): (f64, &str),
    [start, end]: [&str; 2],
) -> String {
    let mut costs = Vec::new();
    for kind in kinds {
        for device in &kind.devices {
            let units = device.units.iter().find(|unit| unit.class == class).and_then(|unit| statistic.of(unit).value);
            // A device that is worth nothing costs as much; a unit of it has no price.
            let unit_price = units.filter(|units| *units > 0.0).map(|units| price / units);
            let mut labels = json!({ "class": class, "statistic": statistic.name(),
                "origin": device.origin, "definition": format!("{}@{}", appraisal.definition, appraisal.reference.name) });
            if let Some(reason) = kind.reason {
                labels["withheld"] = reason.into();
            }
            costs.push(json!({
                "chargeCategory": "Usage", "description": format!("capacity units of {class}"), "resourceName": device.subject.device,
                "resourceType": kind.model, "providerId": device.subject.device,
                "billedCost": price, "listCost": price, "listUnitPrice": unit_price, "usageQuantity": units,
                "usageUnit": "CU-hours", "labels": labels,
            }));
        }
    }
    let response = json!({
        "metadata": { "record": appraisal.record.clone().unwrap_or_default() }, "costSource": "compute", "domain": "assay",
        "version": "v1", "currency": currency, "start": start, "end": end, "costs": costs, "errors": [],
    });
    let mut text = serde_json::to_string_pretty(&response).unwrap_or_default();
    text.push('\n');
    text
}

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// Every figure that is not withheld; what is withheld has no line.
fn prometheus(appraisal: &Appraisal) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("assay");
    let (units, a_kilowatt) = (Gauges::default(), Gauges::default());
    let definition = format!("{}@{}", appraisal.definition, appraisal.reference.name);
    for device in &appraisal.devices {
        for unit in &device.units {
            let labels = |statistic: &str| -> Labels {
                vec![
                    ("device", device.subject.device.clone()),
                    ("model", device.subject.model.clone()),
                    ("class", unit.class.clone()),
                    ("definition", definition.clone()),
                    ("origin", json!(device.origin).as_str().unwrap_or_default().to_owned()),
                    ("statistic", statistic.to_owned()),
                ]
            };
            let told = |cell: &Cell| cell.value.filter(|_| cell.reason.is_none() || cell.value == Some(0.0));
            let bound = |bound: Option<f64>| bound.filter(|_| unit.typical.reason.is_none());
            let figures = [
                ("typical", told(&unit.typical)),
                ("low", bound(unit.low)),
                ("high", bound(unit.high)),
                ("firm", told(&unit.firm)),
            ];
            for (statistic, value) in figures {
                if let Some(value) = value {
                    units.get_or_create(&labels(statistic)).set(value);
                }
            }
            if let Some(value) = told(&unit.per_kw) {
                a_kilowatt.get_or_create(&labels("firm")).set(value);
            }
        }
    }
    registry.register("capacity_units", "Capacity units of a class of work", units);
    registry.register("capacity_units_per_kilowatt", "Firm capacity units of a class a kilowatt of the board", a_kilowatt);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(in_order(&text))
}

#[cfg(test)]
#[path = "exports_tests.rs"]
mod tests;
