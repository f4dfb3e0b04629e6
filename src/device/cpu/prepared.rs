//! A plan with its memory, ready to be launched on the team.

use super::{
    contents,
    job::{Job, Work},
    kernels::Style,
    launch::Launcher,
    memory::{Memory, Spare},
    product, residual,
    stream::Level,
    team::Team,
};
use crate::{
    contract::{Fault, Monotonic, Prepared, Span, Timer},
    dtype::Dtype,
    plan::{Buffer, Fold, Pass, Plan, Product, Variant, VariantKind},
};

/// What all plans of a machine share.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    pub team: &'a Team,
    pub spare: &'a Spare,
    pub clock: Monotonic,
    pub timer: Timer,
    /// Bytes; what is larger is stored past the caches.
    pub last_cache: u64,
}

/// Launches are made within [`Prepared::finished`], since it is the host itself that works.
pub struct Ready<'a> {
    host: Host<'a>,
    job: Job,
    /// Where the plan is one.
    product: Option<Product>,
    buffers: Vec<Buffer>,
    seeds: Vec<u32>,
    memory: Vec<Memory>,
    styles: Vec<Style>,
    started: Option<(usize, u32)>,
    spans: Vec<Span>,
}

impl<'a> Ready<'a> {
    /// Allocates; what fits the last cache is stored by way of the caches, everything else past them.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn new(host: Host<'a>, job: Job, plan: &Plan, variants: &[Variant]) -> Result<Self, Fault> {
        let native = if plan.bytes_allocated() > host.last_cache { Style::Streaming } else { Style::Cached };
        let style = |variant: &Variant| if variant.kind == VariantKind::Slow { Style::Slow } else { native };
        let sizes: Vec<u64> = plan.buffers.iter().map(Buffer::bytes).collect();
        Ok(Self {
            host,
            job,
            product: plan.product(),
            seeds: (0..plan.buffers.len()).map(|index| plan.buffer_seed(index)).collect(),
            memory: host.spare.take(&sizes)?,
            buffers: plan.buffers.clone(),
            styles: variants.iter().map(style).collect(),
            started: None,
            spans: Vec::new(),
        })
    }

    fn buffer(&self, index: usize) -> Result<(&Buffer, &Memory), Fault> {
        self.buffers.get(index).zip(self.memory.get(index)).ok_or_else(|| missing("buffer", index))
    }

    fn style(&self, variant: usize) -> Option<Style> {
        self.styles.get(variant).copied()
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        self.host.spare.keep(std::mem::take(&mut self.memory));
    }
}

fn missing(what: &str, index: usize) -> Fault {
    Fault::failed(format!("{what} {index}"), "the prepared plan has none of that number")
}

impl Prepared for Ready<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        for ((memory, buffer), seed) in self.memory.iter_mut().zip(&self.buffers).zip(&self.seeds) {
            contents::fill(self.host.team, memory, buffer, pass, *seed);
        }
        Ok(())
    }

    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        self.style(variant).ok_or_else(|| missing("variant", variant))?;
        self.started = Some((variant, launches));
        Ok(())
    }

    fn finished(&mut self) -> Result<bool, Fault> {
        if let Some((variant, launches)) = self.started.take() {
            let style = self.style(variant).ok_or_else(|| missing("variant", variant))?;
            let launcher = Launcher { team: self.host.team, clock: self.host.clock, style, launches };
            self.spans.extend(launcher.run(&self.job, &mut self.memory));
        }
        Ok(true)
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        Ok(std::mem::take(&mut self.spans))
    }

    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        let (description, memory) = self.buffer(buffer)?;
        let dtype: Dtype = description.dtype;
        let value = |&element: &u64| contents::sample(memory, dtype, element);
        let values: Option<Vec<f64>> = elements.iter().map(value).collect();
        values.ok_or_else(|| Fault::failed("sampling", format!("buffer {buffer} has {} elements only", description.elements)))
    }

    fn fold(&mut self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        let (description, memory) = self.buffer(buffer)?;
        Ok(seeds.iter().map(|&seed| contents::fold(self.host.team, memory, description, fold, seed)).collect())
    }

    fn residual(&mut self, seed: u32) -> Result<Option<Vec<f64>>, Fault> {
        let Some(product) = self.product else { return Ok(None) };
        let [a, b, c] = product.buffers;
        let (described, left) = self.buffer(a)?;
        let (dtype, right, result) = (described.dtype, self.buffer(b)?.1, self.buffer(c)?.1);
        Ok(residual::residual(self.host.team, &product, dtype, [left, right, result], seed))
    }

    fn flip(&mut self, buffer: usize, bit: u64) -> Result<(), Fault> {
        let memory = self.memory.get_mut(buffer).ok_or_else(|| missing("buffer", buffer))?;
        let byte = usize::try_from(bit / 8).ok().and_then(|index| memory.view_mut::<u8>().get_mut(index));
        *byte.ok_or_else(|| Fault::failed("flipping a bit", format!("buffer {buffer} has no bit {bit}")))? ^= 1 << (bit % 8);
        Ok(())
    }

    fn timer(&self) -> Timer {
        self.host.timer
    }

    fn identity(&self, variant: usize) -> String {
        let (level, threads) = (Level::detect().name(), self.host.team.size());
        let slow = self.style(variant) == Some(Style::Slow);
        let threads = if slow { (threads / 2).max(1) } else { threads };
        match (self.job.work, self.style(variant)) {
            (Work::Chain, style) => {
                let between = if style == Some(Style::Slow) { ", kernels that do nothing between" } else { "" };
                format!("assay {VERSION}, a chain handed over at once{between}, {} threads", self.host.team.size())
            }
            (Work::Matmul { .. }, _) => format!("{}, {level}, {threads} threads", product::LIBRARY),
            (_, Some(Style::Streaming)) => format!("assay {VERSION}, {level}, streaming stores, {threads} threads"),
            (_, Some(Style::Cached)) => format!("assay {VERSION}, {level}, {threads} threads"),
            _ => format!("assay {VERSION}, element by element, {threads} threads"),
        }
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
