//! A plan in memory, and its launches.

use super::{
    machine::Cpu,
    memory::{Array, ranges},
    stream::{self, Level, Operation},
};
use crate::{
    contract::{Fault, Prepared, Span, Timer},
    dtype::Dtype,
    plan::{Arg, Fold, Op, Pass, Plan, Role, Variant, VariantKind},
};
use bytemuck::{Pod, cast_slice_mut};
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul, traits::ComplexField};
use std::{
    hint::black_box,
    ops::{Add, Mul, Range},
};

pub struct Run<'a> {
    cpu: &'a Cpu,
    plan: Plan,
    variants: Vec<Variant>,
    arrays: Vec<Array>,
    spans: Vec<Span>,
}

/// A number that both faer and a plain loop can multiply.
trait Number: ComplexField + Pod + Default + Add<Output = Self> + Mul<Output = Self> {}
impl Number for f32 {}
impl Number for f64 {}

/// A part of an output and where it begins, in elements.
type Part<'a, T> = (usize, &'a mut [T]);

impl<'a> Run<'a> {
    pub fn new(cpu: &'a Cpu, plan: Plan, variants: &[Variant], arrays: Vec<Array>) -> Self {
        Self { cpu, plan, variants: variants.to_vec(), arrays, spans: Vec::new() }
    }

    fn args(&self) -> (&'static str, Vec<u64>, f64) {
        let Op::Kernel { stem, args } = &self.plan.program[0].op else { return ("", Vec::new(), 0.0) };
        let counts = args.iter().filter_map(|arg| if let Arg::Count(count) = arg { Some(*count) } else { None }).collect();
        let real = args.iter().find_map(|arg| if let Arg::Real(real) = arg { Some(*real) } else { None });
        (stem, counts, real.unwrap_or_default())
    }

    /// Vectors and threads of a variant: a slow twin takes half the threads and one element after the other.
    fn manner(&self, variant: usize) -> (Level, usize) {
        let all = self.cpu.pool.size();
        if self.variants[variant].kind == VariantKind::Slow { (Level::Slow, (all / 2).max(1)) } else { (Level::best(), all) }
    }

    /// An element-wise kernel over parts of the output.
    fn combine(&mut self, op: Operation, passes: u64, variant: usize, launches: u32) -> Vec<Span> {
        let (level, threads) = self.manner(variant);
        let streaming = self.arrays.last().is_some_and(|output| output.buffer.bytes() > self.cpu.last_cache_bytes()) && passes == 1;
        let Some((output, inputs)) = self.arrays.split_last_mut() else { return Vec::new() };
        let a = inputs[0].view::<f64>();
        let b = inputs.get(1).map_or(a, |array| array.view::<f64>());
        let parts = typed::<f64>(output, threads);
        self.cpu.pool.launch(parts, launches, |(from, c)| {
            let (a, b) = (&a[*from..], &b[*from..]);
            for _ in 0..passes {
                stream::combine(level, op, streaming, black_box(a), black_box(b), black_box(&mut **c));
            }
        })
    }

    fn write(&mut self, seed: u32, variant: usize, launches: u32) -> Vec<Span> {
        let (level, threads) = self.manner(variant);
        let output = &mut self.arrays[0];
        let streaming = output.buffer.bytes() > self.cpu.last_cache_bytes();
        let parts = typed::<u32>(output, threads);
        self.cpu.pool.launch(parts, launches, |(from, c)| stream::write(level, streaming, seed, *from as u64, c))
    }

    /// Each thread reduces whole segments of the inputs into its part of the partial results. Further passes go over all of its
    /// segments again, so that what is read again is as far away as the footprint is large.
    fn reduce<T: Pod + Send>(
        &mut self,
        (variant, launches, passes): (usize, u32, u64),
        add: impl Fn(T, T) -> T + Sync,
        segment: impl Fn(Level, &[Array], Range<usize>) -> T + Sync,
    ) -> Vec<Span> {
        let (level, threads) = self.manner(variant);
        let Some((output, inputs)) = self.arrays.split_last_mut() else { return Vec::new() };
        let partials = output.buffer.elements as usize;
        let length = inputs[0].buffer.elements as usize / partials;
        let mut rest = output.view_mut::<T>();
        let parts: Vec<Part<T>> = ranges(partials, 1, threads)
            .into_iter()
            .map(|range| {
                let (part, after) = std::mem::take(&mut rest).split_at_mut(range.len());
                rest = after;
                (range.start, part)
            })
            .collect();
        let inputs = &*inputs;
        self.cpu.pool.launch(parts, launches, |(from, part)| {
            for pass in 0..passes {
                for (p, partial) in (*from..).zip(part.iter_mut()) {
                    let sum = segment(level, inputs, p * length..(p + 1) * length);
                    *partial = if pass == 0 { sum } else { add(*partial, sum) };
                }
            }
        })
    }

    fn product<T: Number>(&mut self, shape: &[u64], one: T, variant: usize, launches: u32) -> Vec<Span> {
        let [m, n, k] = [shape[0] as usize, shape[1] as usize, shape[2] as usize];
        let slow = self.variants[variant].kind == VariantKind::Slow;
        let [a, b, c] = &mut self.arrays[..] else { return Vec::new() };
        let (a, b, c) = (a.view::<T>(), b.view::<T>(), c.view_mut::<T>());
        let pool = &self.cpu.pool;
        let par = Par::rayon(pool.size());
        let clock = pool.clock;
        let launch = || {
            let mut spans = Vec::with_capacity(launches as usize);
            let mut begin = crate::contract::Clock::now(&clock);
            for _ in 0..launches {
                if slow {
                    plainly(a, b, c, (n, k));
                } else {
                    let (left, right) = (MatRef::from_row_major_slice(a, m, k), MatRef::from_row_major_slice(b, k, n));
                    matmul(MatMut::from_row_major_slice_mut(c, m, n), Accum::Replace, left, right, one, par);
                }
                let end = crate::contract::Clock::now(&clock);
                spans.push(Span { begin, took: end.since(begin), launches: 1, intended: None });
                begin = end;
            }
            spans
        };
        pool.threads.install(launch)
    }
}

/// Parts of an output as elements.
fn typed<T: Pod>(output: &mut Array, threads: usize) -> Vec<Part<'_, T>> {
    let size = size_of::<T>();
    output.parts(threads).into_iter().map(|(begin, bytes)| (begin / size, cast_slice_mut(bytes))).collect()
}

/// The slow twin: no tiles, one thread.
fn plainly<T: Number>(a: &[T], b: &[T], c: &mut [T], (n, k): (usize, usize)) {
    for (row, out) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
        for (column, slot) in out.iter_mut().enumerate() {
            let products = row.iter().enumerate().map(|(i, x)| *x * b[i * n + column]);
            *slot = products.fold(T::default(), |sum, product| sum + product);
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.cpu.spare.keep(std::mem::take(&mut self.arrays));
    }
}

impl Prepared for Run<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        for (index, array) in self.arrays.iter_mut().enumerate() {
            match array.buffer.role {
                Role::In => array.fill(&self.cpu.pool, pass, self.plan.buffer_seed(index)),
                Role::Out | Role::Side => array.poison(&self.cpu.pool),
            }
        }
        Ok(())
    }

    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        let (stem, counts, real) = self.args();
        let spans = match (stem, self.plan.precision.input) {
            ("copy", _) => self.combine(Operation::Copy, 1, variant, launches),
            ("scale", _) => self.combine(Operation::Scale(real), 1, variant, launches),
            ("add", _) => self.combine(Operation::Add, 1, variant, launches),
            ("triad", _) => self.combine(Operation::Triad(real), counts[1], variant, launches),
            ("write", _) => self.write(counts[1] as u32, variant, launches),
            ("read", _) => self.reduce((variant, launches, counts[2]), u32::wrapping_add, |level, inputs, range| {
                stream::read(level, black_box(&inputs[0].view::<u32>()[range]))
            }),
            ("dot", _) => self.reduce((variant, launches, 1), f64::add, |level, inputs, range| {
                stream::dot(level, &inputs[0].view::<f64>()[range.clone()], &inputs[1].view::<f64>()[range])
            }),
            ("matmul", Dtype::Fp64) => self.product(&counts, 1.0_f64, variant, launches),
            ("matmul", _) => self.product(&counts, 1.0_f32, variant, launches),
            (stem, _) => return Err(Fault::failed("launching", format!("no kernel `{stem}`"))),
        };
        self.spans.extend(spans);
        Ok(())
    }

    /// The work was done while it was started: the host is the device.
    fn finished(&mut self) -> Result<bool, Fault> {
        Ok(true)
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        Ok(std::mem::take(&mut self.spans))
    }

    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        Ok(elements.iter().map(|element| self.arrays[buffer].sample(*element)).collect())
    }

    fn fold(&mut self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        Ok(seeds.iter().map(|seed| self.arrays[buffer].fold(&self.cpu.pool, fold, *seed)).collect())
    }

    fn flip(&mut self, buffer: usize, bit: u64) -> Result<(), Fault> {
        self.arrays[buffer].flip(bit);
        Ok(())
    }

    fn timer(&self) -> Timer {
        Timer { name: "host monotonic clock", resolution: self.cpu.resolution }
    }

    fn identity(&self, variant: usize) -> String {
        let by = &self.variants[variant].name;
        format!("assay {} {by} on {} threads", env!("CARGO_PKG_VERSION"), self.manner(variant).1)
    }
}
