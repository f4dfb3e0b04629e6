//! From a job to its kernels: cuts buffers into a piece for each core and launches.

use super::{
    job::{Job, Work},
    kernels::{self, Real, Style},
    memory::Memory,
    product,
    stream::LINE,
    team::{Team, cut, shares},
};
use crate::{
    contract::{Monotonic, Span},
    dtype::Dtype,
    plan,
};
use bytemuck::Pod;
use faer::traits::ComplexField;
use std::hint::black_box;

/// Sums of a thread stand at least this far from those of another, so that they never share a line.
const APART: usize = 2 * LINE;

/// Kernels of the slow twin of a chain for each that works.
const BETWEEN: usize = 4;

/// A loop over pieces of two inputs and an output.
type Elementwise<'a, T> = &'a (dyn Fn(&[T], &[T], &mut [T]) + Sync);

/// How a job is launched.
pub struct Launcher<'a> {
    pub team: &'a Team,
    pub clock: Monotonic,
    pub style: Style,
    pub launches: u32,
}

/// A core's pieces of the inputs and of the output.
type Pieces<'a, T> = ([&'a [T]; 2], &'a mut [T]);

impl Launcher<'_> {
    /// Carries out a job on the buffers it was checked against; when each launch ran.
    pub fn run(&self, job: &Job, buffers: &mut [Memory]) -> Vec<Span> {
        let mut output = None;
        let mut others: Vec<Option<&Memory>> = Vec::with_capacity(buffers.len());
        for (index, memory) in buffers.iter_mut().enumerate() {
            if index == job.output {
                output = Some(memory);
                others.push(None);
            } else {
                others.push(Some(memory));
            }
        }
        let inputs: Vec<&Memory> = job.inputs.iter().filter_map(|&input| others.get(input).copied().flatten()).collect();
        let Some(output) = output else { return Vec::new() };
        match job.dtype {
            Dtype::Uint32 => self.words(job, &inputs, output),
            Dtype::Fp64 => self.reals::<f64>(job, &inputs, output, |s| s),
            _ => self.reals::<f32>(job, &inputs, output, |s| s as f32),
        }
    }

    /// Threads that take part; half of them in the slow twin.
    fn members(&self) -> usize {
        if self.style == Style::Slow { (self.team.size() / 2).max(1) } else { self.team.size() }
    }

    fn words(&self, job: &Job, inputs: &[&Memory], output: &mut Memory) -> Vec<Span> {
        match (job.work, inputs) {
            (Work::Read { segments, passes }, [a]) => self.read(&a.view()[..job.n], &mut output.view_mut()[..segments], passes),
            (Work::Chain, [a]) => self.chain(a.view()[0], &mut output.view_mut()[..job.n]),
            (Work::Write { seed }, _) => self.write(&mut output.view_mut()[..job.n], seed),
            _ => Vec::new(),
        }
    }

    fn reals<T: Real + ComplexField>(&self, job: &Job, inputs: &[&Memory], output: &mut Memory, real: fn(f64) -> T) -> Vec<Span> {
        let (n, style) = (job.n, self.style);
        let view = |index: usize| inputs.get(index).or(inputs.first()).map_or(&[][..], |memory| memory.view::<T>());
        let (a, b, c) = (view(0), view(1), output.view_mut::<T>());
        let map = |c, passes, kernel: Elementwise<T>| self.map([&a[..n], &b[..n]], c, passes, kernel);
        match job.work {
            Work::Copy => map(&mut c[..n], 1, &|a, _, c| kernels::copy(style, a, c)),
            Work::Scale { s } => map(&mut c[..n], 1, &|a, _, c| kernels::scale(style, a, c, real(s))),
            Work::Add => map(&mut c[..n], 1, &|a, b, c| kernels::add(style, a, b, c)),
            Work::Triad { passes, s } => map(&mut c[..n], passes, &|a, b, c| kernels::triad(style, a, b, c, real(s))),
            Work::Dot { segments } => self.dot(&a[..n], &b[..n], &mut c[..segments]),
            Work::Matmul { m, n, k } => {
                let parts = product::parts(self.members(), (m, n, k), &a[..m * k], &b[..k * n], &mut c[..m * n]);
                let compute = |part: &mut product::Part<T>| part.compute(real(1.0), style == Style::Slow);
                self.team.launch(parts, self.launches, &self.clock, compute)
            }
            Work::Read { .. } | Work::Write { .. } | Work::Chain => Vec::new(),
        }
    }

    /// Element by element, `passes` times over.
    fn map<T: Pod + Send + Sync>(&self, [a, b]: [&[T]; 2], c: &mut [T], passes: u64, kernel: Elementwise<T>) -> Vec<Span> {
        let shares = shares(c.len(), self.members(), LINE / size_of::<T>());
        let inputs = shares.iter().map(|share| [&a[share.clone()], &b[share.clone()]]);
        let parts: Vec<Pieces<T>> = inputs.zip(cut(c, &shares)).collect();
        self.team.launch(parts, self.launches, &self.clock, |([a, b], c)| {
            for _ in 0..passes {
                // Opaque, so that no pass is taken for the one before.
                kernel(black_box(a), black_box(b), black_box(c));
            }
        })
    }

    /// Kernels of one word: the first core works, and all are waited for, as for any kernel. The slow twin has kernels that do nothing
    /// between them.
    fn chain(&self, first: u32, words: &mut [u32]) -> Vec<Span> {
        let apart = if self.style == Style::Slow { BETWEEN } else { 1 };
        let kernels = words.len() * apart;
        let mut parts: Vec<Option<&mut [u32]>> = vec![Some(words)];
        parts.resize_with(self.team.size(), || None);
        self.team.launch_chain(parts, (self.launches, kernels), &self.clock, |words, kernel| {
            let Some(words) = words.as_mut().filter(|_| kernel % apart == 0) else { return };
            let at = kernel / apart;
            let before = if at == 0 { first } else { black_box(words[at - 1]) };
            words[at] = before.wrapping_add(1);
        })
    }

    fn write(&self, c: &mut [u32], seed: u32) -> Vec<Span> {
        const WORDS: usize = LINE / 4;
        let start: [u32; WORDS] = std::array::from_fn(|lane| plan::weyl(seed, lane as u64));
        let step = plan::weyl(seed, WORDS as u64).wrapping_sub(start[0]);
        let shares = shares(c.len(), self.members(), WORDS);
        let parts = shares.iter().map(|share| (share.start / WORDS) as u32).zip(cut(c, &shares)).collect();
        let style = self.style;
        self.team.launch(parts, self.launches, &self.clock, |(line, c): &mut (u32, &mut [u32])| {
            kernels::write(style, black_box(c), start, *line, step);
        })
    }

    fn read(&self, a: &[u32], partials: &mut [u32], passes: u64) -> Vec<Span> {
        let (length, style) = (a.len() / partials.len(), self.style);
        let shares = shares(partials.len(), self.members(), 1);
        let pieces = shares.iter().map(|share| &a[share.start * length..share.end * length]).zip(cut(partials, &shares));
        let parts = pieces.map(|(a, partials)| (a, vec![0; partials.len().max(APART / 4)], partials)).collect();
        self.team.launch(parts, self.launches, &self.clock, |(a, sums, partials): &mut (&[u32], Vec<u32>, &mut [u32])| {
            sums.fill(0);
            for _ in 0..passes {
                for (sum, segment) in sums.iter_mut().zip(a.chunks_exact(length)) {
                    *sum = sum.wrapping_add(kernels::sum(style, black_box(segment)));
                }
            }
            partials.copy_from_slice(&sums[..partials.len()]);
        })
    }

    fn dot<T: Real>(&self, a: &[T], b: &[T], partials: &mut [T]) -> Vec<Span> {
        let (length, style) = (a.len() / partials.len(), self.style);
        let shares = shares(partials.len(), self.members(), 1);
        let elements = shares.iter().map(|share| share.start * length..share.end * length);
        let inputs = elements.map(|elements| [&a[elements.clone()], &b[elements]]);
        let parts: Vec<Pieces<T>> = inputs.zip(cut(partials, &shares)).collect();
        self.team.launch(parts, self.launches, &self.clock, |([a, b], partials)| {
            for ((partial, a), b) in partials.iter_mut().zip(a.chunks_exact(length)).zip(b.chunks_exact(length)) {
                *partial = kernels::dot(style, black_box(a), black_box(b));
            }
        })
    }
}
