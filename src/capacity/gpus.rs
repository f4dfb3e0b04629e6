//! Rates of GPUs that others published: one table, each figure with its source, and what the serving model takes of rates.

use super::{Vector, Wrong};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::LazyLock};

/// What a source begins with where nobody is known to have measured the figure.
const ESTIMATE: &str = "estimate";

/// A figure, where it comes from, and what it cannot exceed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    pub typical: f64,
    /// Of the datasheet: dense, at the highest clock.
    pub peak: Option<f64>,
    pub source: String,
}

impl Figure {
    #[must_use]
    pub fn estimate(&self) -> bool {
        self.source.starts_with(ESTIMATE)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    model: String,
    architecture: String,
    datasheet: String,
    rates: BTreeMap<String, Option<Figure>>,
}

/// The best figures that others published of a GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub name: String,
    pub model: String,
    pub architecture: String,
    /// Where the peaks come from.
    pub datasheet: String,
    /// Blank where it has no such arithmetic.
    pub figures: BTreeMap<String, Option<Figure>>,
    gpu: Gpu,
}

impl Published {
    fn of(name: String, written: Written) -> Self {
        let Written { model, architecture, datasheet, rates: figures } = written;
        let gpu = Gpu::of_rates(&name, &typical(&figures)).expect("a shipped table is whole");
        let figure = |key: &str| figures.get(key).and_then(Option::as_ref);
        // What every figure of a serving or of a training run follows from.
        let mut sources: Vec<&str> = ["mm.bf16", "hbm.read"].into_iter().filter_map(figure).map(|found| &*found.source).collect();
        sources.dedup();
        let peak = figure("mm.bf16").and_then(|found| found.peak).unwrap_or(gpu.peak);
        let gpu = Gpu { peak, source: sources.join("; "), ..gpu };
        Self { name, model, architecture, datasheet, figures, gpu }
    }

    /// GPUs by what they are called: `H100`, `h100_sxm` and `NVIDIA H100-SXM5-80GB` are one.
    ///
    /// # Errors
    /// When no published rates of that GPU are shipped.
    pub fn named(name: &str) -> Result<&'static Self, Wrong> {
        let wanted = name.to_ascii_lowercase().replace(['-', ' '], "_");
        let wanted = wanted.strip_prefix("nvidia_").unwrap_or(&wanted).to_owned();
        let wanted = wanted.replace("sxm4", "sxm").replace("sxm5", "sxm").replace("_80gb", "").replace("_hbm3", "");
        Self::all()
            .iter()
            .find(|gpu| gpu.name == wanted || gpu.name.strip_suffix("_sxm") == Some(&wanted))
            .ok_or_else(|| Wrong(format!("no published rates of GPU `{name}` are shipped; give its own with --rates")))
    }

    /// # Panics
    /// When the shipped table is broken, which a test rules out.
    #[must_use]
    pub fn all() -> &'static [Self] {
        static TABLE: LazyLock<Vec<Published>> = LazyLock::new(|| {
            let written: BTreeMap<String, Written> =
                serde_json::from_str(include_str!("published.json")).expect("a shipped table is whole");
            written.into_iter().map(|(name, written)| Published::of(name, written)).collect()
        });
        &TABLE
    }

    /// Where its rates of products and of memory come from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.gpu.source
    }

    /// Its rates, without what it has no arithmetic for.
    #[must_use]
    pub fn rates(&self) -> Vector {
        typical(&self.figures)
    }
}

/// The figures alone.
fn typical(figures: &BTreeMap<String, Option<Figure>>) -> Vector {
    figures.iter().filter_map(|(key, figure)| Some((key.clone(), figure.as_ref()?.typical))).collect()
}

/// A GPU as the serving model knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpu {
    pub name: String,
    /// Dense bf16 of the datasheet, which the use of a model's operations is a share of.
    pub peak: f64,
    pub bf16: f64,
    pub fp8: f64,
    pub fp4: f64,
    /// What is read of memory a second.
    pub hbm: f64,
    /// Bus bandwidth of a long all-reduce, as nccl-tests counts it.
    pub link: f64,
    pub memory: f64,
    pub source: String,
}

impl Gpu {
    /// By its published rates.
    ///
    /// # Errors
    /// When none are shipped.
    pub fn named(name: &str) -> Result<&'static Self, Wrong> {
        Published::named(name).map(|published| &published.gpu)
    }

    /// A device by its own rates. Of products the best shape, where that was measured: the constants were fitted to such.
    ///
    /// # Errors
    /// When there is no rate of bf16 products or of memory, or no size of it.
    pub fn of_rates(name: &str, rates: &Vector) -> Result<Self, Wrong> {
        let of = |keys: &[&str]| keys.iter().find_map(|key| rates.get(*key)).copied();
        let needed = |keys: &[&str]| of(keys).ok_or_else(|| Wrong(format!("missing: {name} has no rate of {}", keys[0])));
        let bf16 = needed(&["mm.bf16", "mm.fp16"]).map(|rate| of(&["peak.mm.bf16"]).map_or(rate, |peak| peak.max(rate)))?;
        let fp8 = of(&["mm.fp8"]).map(|rate| of(&["peak.mm.fp8"]).map_or(rate, |peak| peak.max(rate)));
        Ok(Self {
            name: name.to_owned(),
            peak: bf16,
            bf16,
            fp8: fp8.unwrap_or(0.0),
            fp4: of(&["mm.fp4"]).unwrap_or(0.0),
            hbm: needed(&["hbm.read"])?,
            link: of(&["link.ar_bw"]).unwrap_or(0.0),
            memory: needed(&["mem.free"])?,
            source: "measured".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_gpu_lead_to_one_row() {
        for name in ["H100", "h100_sxm", "NVIDIA H100-SXM5-80GB", "H100 SXM"] {
            assert_eq!(Published::named(name).expect("known").name, "h100_sxm", "{name}");
        }
        assert_eq!(Gpu::named("NVIDIA H100 NVL").expect("known").name, "h100_nvl");
        assert!(Gpu::named("v100").is_err() && Gpu::named("h10").is_err());
    }

    #[test]
    fn no_figure_exceeds_the_datasheet_and_every_rate_of_products_or_memory_has_one() {
        let mut seen = 0;
        for gpu in Published::all() {
            assert!(gpu.datasheet.len() > 10 && !gpu.model.is_empty(), "{}", gpu.name);
            for (key, figure) in gpu.figures.iter().filter_map(|(key, figure)| Some((key, figure.as_ref()?))) {
                let at = format!("{} {key}", gpu.name);
                assert!(figure.typical > 0.0 && figure.source.len() > 8, "{at}");
                // Sums over links have none: a switch that sums sends less than the count of nccl-tests takes for granted.
                assert_eq!(figure.peak.is_some(), key.starts_with("mm.") || key.starts_with("hbm."), "{at}");
                let share = figure.peak.map_or(0.5, |peak| figure.typical / peak);
                assert!((0.4..1.0).contains(&share), "{at}: {share}");
                seen += 1;
            }
        }
        assert!(seen > 150, "{seen}");
    }

    #[test]
    fn the_serving_model_takes_its_rates_from_the_table() {
        let gpu = Gpu::named("a100").expect("shipped");
        assert_eq!((gpu.bf16, gpu.peak, gpu.fp8, gpu.hbm), (271.2e12, 312e12, 0.0, 1.776e12));
        assert!(gpu.source.contains("ml-engineering") && gpu.source.contains("gpu-benches"));
        assert!(Gpu::named("b300").expect("shipped").source.contains(ESTIMATE));
    }
}
