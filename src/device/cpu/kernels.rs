//! Stream kernels: read, write, copy, scale, add, triad and dot over slices.
//!
//! Bound by: memory, or the ports of the first cache. Kernels are generic over the way to store and compiled for every
//! instruction set by [`dispatch`]; the slow twins go one element at a time and nothing is unrolled.

// A loop must end up in the function that is compiled for the instruction set, or it is compiled for none.
#![allow(clippy::inline_always)]

use super::stream::{Kernel, Level, Store, dispatch};
use std::{
    hint::black_box,
    ops::{Add, Mul},
};

/// Lines of one turn of a loop: enough loads in flight, few enough for the registers.
const TURN: usize = 4;

/// Elements that the kernels compute in.
pub trait Real: bytemuck::Pod + Add<Output = Self> + Mul<Output = Self> + Default + Send + Sync {}
impl Real for f32 {}
impl Real for f64 {}

/// How a kernel is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Widest vectors, stores that the caches keep: for what fits them.
    Cached,
    /// Widest vectors, stores past the caches.
    Streaming,
    /// One element at a time; the slow twin.
    Slow,
}

/// `c = operation(a)` or, with two inputs, `c = operation(a, b)`; the shorter of the slices rules.
struct Map<'a, T, F, const WIDTH: usize> {
    a: &'a [T],
    b: &'a [T],
    c: &'a mut [T],
    operation: F,
}

impl<T: Real, F: Fn(T, T) -> T, const WIDTH: usize> Kernel for Map<'_, T, F, WIDTH> {
    type Output = ();

    #[inline(always)]
    fn run<S: Store>(self, store: S) {
        let Self { a, b, c, operation } = self;
        if !S::STREAMS {
            // The compiler unrolls the plain loop as it likes best.
            for ((a, b), c) in a.iter().zip(b).zip(c) {
                *c = operation(*a, *b);
            }
            return;
        }
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDTH>(), b.as_chunks::<WIDTH>());
        let (c, c_rest) = c.as_chunks_mut::<WIDTH>();
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            let mut line = [T::default(); WIDTH];
            for lane in 0..WIDTH {
                line[lane] = operation(a[lane], b[lane]);
            }
            store.line(c, line);
        }
        for ((a, b), c) in a_rest.iter().zip(b_rest).zip(c_rest) {
            *c = operation(*a, *b);
        }
        store.end();
    }
}

/// `c[i] = operation(a[i], b[i])`; kernels of one input pass it twice, which costs nothing: the second load is dropped.
fn map<T: Real>(style: Style, a: &[T], b: &[T], c: &mut [T], operation: impl Fn(T, T) -> T) {
    if style == Style::Slow {
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            *c = black_box(operation(*a, *b));
        }
        return;
    }
    let (streaming, level) = (style == Style::Streaming, Level::detect());
    if size_of::<T>() == 8 {
        dispatch(Map::<_, _, 8> { a, b, c, operation }, streaming, level);
    } else {
        dispatch(Map::<_, _, 16> { a, b, c, operation }, streaming, level);
    }
}

/// `c = a`.
pub fn copy<T: Real>(style: Style, a: &[T], c: &mut [T]) {
    map(style, a, a, c, |a, _| a);
}

/// `c = s·a`.
pub fn scale<T: Real>(style: Style, a: &[T], c: &mut [T], s: T) {
    map(style, a, a, c, |a, _| s * a);
}

/// `c = a + b`.
pub fn add<T: Real>(style: Style, a: &[T], b: &[T], c: &mut [T]) {
    map(style, a, b, c, |a, b| a + b);
}

/// `c = a + s·b`.
pub fn triad<T: Real>(style: Style, a: &[T], b: &[T], c: &mut [T], s: T) {
    map(style, a, b, c, |a, b| a + s * b);
}

/// Words of a pattern: line `first + i` is `start` with `step · (first + i)` added to each word; sums wrap.
struct Pattern<'a> {
    out: &'a mut [u32],
    start: [u32; 16],
    first: u32,
    step: u32,
}

impl Kernel for Pattern<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Store>(self, store: S) {
        let Self { out, start, first, step } = self;
        let (lines, rest) = out.as_chunks_mut::<16>();
        let mut added = first.wrapping_mul(step);
        for line in lines {
            let mut words = [0; 16];
            for lane in 0..16 {
                words[lane] = start[lane].wrapping_add(added);
            }
            store.line(line, words);
            added = added.wrapping_add(step);
        }
        for (word, start) in rest.iter_mut().zip(start) {
            *word = start.wrapping_add(added);
        }
        store.end();
    }
}

/// Writes lines `first..` of the pattern whose line `j` is `start + step·j`.
pub fn write(style: Style, out: &mut [u32], start: [u32; 16], first: u32, step: u32) {
    if style == Style::Slow {
        for (j, line) in out.chunks_mut(16).enumerate() {
            let added = first.wrapping_add(j as u32).wrapping_mul(step);
            line.iter_mut().zip(start).for_each(|(word, start)| *word = black_box(start.wrapping_add(added)));
        }
        return;
    }
    dispatch(Pattern { out, start, first, step }, style == Style::Streaming, Level::detect());
}

struct Sum<'a>(&'a [u32]);

impl Kernel for Sum<'_> {
    type Output = u32;

    #[inline(always)]
    fn run<S: Store>(self, _: S) -> u32 {
        let (turns, rest) = self.0.as_chunks::<{ 16 * TURN }>();
        let mut sums = [0_u32; 16 * TURN];
        for turn in turns {
            for lane in 0..16 * TURN {
                sums[lane] = sums[lane].wrapping_add(turn[lane]);
            }
        }
        sums.iter().chain(rest).fold(0, |sum, word| sum.wrapping_add(*word))
    }
}

/// Wrapping sum of words.
#[must_use]
pub fn sum(style: Style, words: &[u32]) -> u32 {
    if style == Style::Slow {
        return words.iter().fold(0, |sum, word| black_box(sum.wrapping_add(*word)));
    }
    dispatch(Sum(words), false, Level::detect())
}

struct Dot<'a, T, const LANES: usize>(&'a [T], &'a [T]);

impl<T: Real, const LANES: usize> Kernel for Dot<'_, T, LANES> {
    type Output = T;

    #[inline(always)]
    fn run<S: Store>(self, _: S) -> T {
        let ((a, a_rest), (b, b_rest)) = (self.0.as_chunks::<LANES>(), self.1.as_chunks::<LANES>());
        let mut sums = [T::default(); LANES];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                sums[lane] = sums[lane] + a[lane] * b[lane];
            }
        }
        let rest = a_rest.iter().zip(b_rest).fold(T::default(), |sum, (a, b)| sum + *a * *b);
        sums.into_iter().fold(rest, |sum, lane| sum + lane)
    }
}

/// Sum of `a·b` in the arrays' format; the order of additions depends on the length alone.
#[must_use]
pub fn dot<T: Real>(style: Style, a: &[T], b: &[T]) -> T {
    if style == Style::Slow {
        return a.iter().zip(b).fold(T::default(), |sum, (a, b)| black_box(sum + *a * *b));
    }
    let level = Level::detect();
    if size_of::<T>() == 8 {
        dispatch(Dot::<_, { 8 * TURN }>(a, b), false, level)
    } else {
        dispatch(Dot::<_, { 16 * TURN }>(a, b), false, level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu::stream::LINE;

    const LEVELS: [Level; 3] = [Level::Avx512, Level::Avx2, Level::Baseline];
    const STYLES: [Style; 3] = [Style::Cached, Style::Streaming, Style::Slow];
    /// Whole turns, whole lines, ragged ends, and less than a line.
    const LENGTHS: [usize; 7] = [0, 1, 7, 64, 256, 257, 1_043];

    /// Elements that begin on a line, so that streaming stores are taken.
    fn aligned<T: Real>(elements: &[T], storage: &mut Vec<T>) -> usize {
        storage.clear();
        storage.resize(elements.len() + LINE, T::default());
        let begin = storage.as_ptr().align_offset(LINE);
        storage[begin..begin + elements.len()].copy_from_slice(elements);
        begin
    }

    fn inputs(length: usize) -> (Vec<f64>, Vec<f64>) {
        ((0..length).map(|i| (i % 7) as f64 - 3.0).collect(), (0..length).map(|i| (i % 5) as f64 - 2.0).collect())
    }

    /// Holds a kernel to its definition at every length, begin and style, and that it writes nothing past its end.
    fn holds(kernel: impl Fn(Style, &[f64], &[f64], &mut [f64]), want: impl Fn(f64, f64) -> f64) {
        let mut storage = Vec::new();
        for length in LENGTHS {
            let (a, b) = inputs(length);
            let expected: Vec<f64> = a.iter().zip(&b).map(|(a, b)| want(*a, *b)).collect();
            for (style, shift) in STYLES.into_iter().flat_map(|style| [(style, 0), (style, 1)]) {
                let begin = aligned(&vec![99.0; length + shift + 1], &mut storage) + shift;
                kernel(style, &a, &b, &mut storage[begin..begin + length]);
                assert_eq!(storage[begin..begin + length], expected, "{style:?} of {length} at {shift}");
                assert_eq!(storage[begin + length], 99.0, "{style:?} of {length} wrote past its end");
            }
        }
    }

    #[test]
    fn elementwise_kernels_are_their_definition() {
        holds(|style, a, _, c| copy(style, a, c), |a, _| a);
        holds(|style, a, _, c| scale(style, a, c, 3.0), |a, _| 3.0 * a);
        holds(add, |a, b| a + b);
        holds(|style, a, b, c| triad(style, a, b, c, 3.0), |a, b| a + 3.0 * b);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let (a, b) = inputs(1_043);
        let (a32, b32): (Vec<f32>, Vec<f32>) = a.iter().zip(&b).map(|(a, b)| (*a as f32, *b as f32)).unzip();
        let expected: Vec<f32> = a32.iter().zip(&b32).map(|(a, b)| a + 3.0 * b).collect();
        let whole = a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>();
        let mut storage = Vec::new();
        for (level, streaming) in LEVELS.into_iter().flat_map(|level| [(level, false), (level, true)]) {
            let begin = aligned(&vec![0.0_f32; a.len()], &mut storage);
            let c = &mut storage[begin..begin + a.len()];
            dispatch(Map::<_, _, 16> { a: &a32, b: &b32, c, operation: |a, b| a + 3.0 * b }, streaming, level);
            assert_eq!(c, expected, "{level:?}");
            assert_eq!(dispatch(Dot::<_, 32>(&a, &b), streaming, level), whole);
        }
    }

    #[test]
    fn reductions_are_their_definition() {
        for (style, length) in STYLES.into_iter().flat_map(|style| LENGTHS.map(|length| (style, length))) {
            let words: Vec<u32> = (0..length as u32).map(|i| i.wrapping_mul(0x9E37_79B1)).collect();
            assert_eq!(sum(style, &words), words.iter().copied().fold(0, u32::wrapping_add));
            let (a, b) = inputs(length);
            assert_eq!(dot(style, &a, &b), a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>());
        }
    }

    #[test]
    fn the_pattern_goes_on_from_any_line() {
        let start = std::array::from_fn(|lane| lane as u32 * 7);
        let want = |j: usize| start[j % 16].wrapping_add(0x9E37_79B1_u32.wrapping_mul((j / 16) as u32));
        for (style, length) in STYLES.into_iter().flat_map(|style| LENGTHS.map(|length| (style, length))) {
            let mut words = vec![0; length];
            write(style, &mut words, start, 5, 0x9E37_79B1);
            assert!(words.iter().enumerate().all(|(j, word)| *word == want(j + 80)), "{style:?} of {length}");
        }
    }
}
