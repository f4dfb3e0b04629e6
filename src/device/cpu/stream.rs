//! The stream kernels of one thread, by the widest vectors of the processor.
//!
//! Streaming stores go past the caches, so that a line that is written whole is not read first; they are used where the output
//! exceeds the last cache, and ordinary stores where it may stay there. Four vectors are in flight an iteration. This is the one
//! file of the backend with unsafe code: vector instructions that take pointers.

#![expect(unsafe_code, reason = "vector loads and stores take pointers; every pointer is bounded by a slice of known length")]

use crate::plan::weyl;

/// What an element-wise kernel computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    Copy,
    Scale(f64),
    Add,
    Triad(f64),
}

/// Vectors to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler makes of a plain loop.
    Portable,
    /// One element after the other, on purpose.
    Slow,
}

impl Level {
    /// The widest that this processor has.
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
            Self::Slow => "slow",
        }
    }
}

/// `c = op(a, b)`; `streaming` stores need `c` to begin at a whole line, else ordinary ones are used.
///
/// # Panics
/// When a slice is shorter than `c`.
pub fn combine(level: Level, op: Operation, streaming: bool, a: &[f64], b: &[f64], c: &mut [f64]) {
    assert!(a.len() >= c.len() && (b.len() >= c.len() || matches!(op, Operation::Copy | Operation::Scale(_))));
    let streaming = streaming && (c.as_ptr() as usize).is_multiple_of(64);
    match level {
        // SAFETY: the level is only made when the processor has the feature, and the lengths were compared above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::combine(op, streaming, a, b, c) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::combine(op, streaming, a, b, c) },
        Level::Portable => (0..c.len()).for_each(|i| c[i] = element(op, a, b, i)),
        Level::Slow => (0..c.len()).for_each(|i| c[i] = std::hint::black_box(element(op, a, b, i))),
    }
}

#[inline]
fn element(op: Operation, a: &[f64], b: &[f64], i: usize) -> f64 {
    match op {
        Operation::Copy => a[i],
        Operation::Scale(s) => s * a[i],
        Operation::Add => a[i] + b[i],
        Operation::Triad(s) => s.mul_add(b[i], a[i]),
    }
}

/// Wrapping sum of words.
#[must_use]
pub fn read(level: Level, a: &[u32]) -> u32 {
    match level {
        // SAFETY: the processor has the feature; only `a` is read.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::read(a) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::read(a) },
        Level::Portable => a.iter().fold(0, |sum, word| sum.wrapping_add(*word)),
        Level::Slow => a.iter().fold(0, |sum, word| std::hint::black_box(sum.wrapping_add(*word))),
    }
}

/// The pattern of the `write` stem from word `from` on.
pub fn write(level: Level, streaming: bool, seed: u32, from: u64, c: &mut [u32]) {
    let whole_lines = from.is_multiple_of(16) && (c.as_ptr() as usize).is_multiple_of(64);
    match level {
        // SAFETY: the processor has the feature, the part begins at a whole line, and only `c` is written.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 if whole_lines => unsafe { avx512::write(streaming, seed, from, c) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 if whole_lines => unsafe { avx2::write(streaming, seed, from, c) },
        _ => (from..).zip(c).for_each(|(j, word)| *word = std::hint::black_box(weyl(seed, j))),
    }
}

/// Sum of products.
///
/// # Panics
/// When `b` is shorter than `a`.
#[must_use]
pub fn dot(level: Level, a: &[f64], b: &[f64]) -> f64 {
    assert!(b.len() >= a.len());
    match level {
        // SAFETY: the processor has the feature, and the lengths were compared above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::dot(a, b) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::dot(a, b) },
        Level::Portable => a.iter().zip(b).map(|(a, b)| a * b).sum(),
        Level::Slow => a.iter().zip(b).fold(0.0, |sum, (a, b)| std::hint::black_box(a.mul_add(*b, sum))),
    }
}

/// The kernels for one width of vectors. Every loop takes `UNROLL` vectors an iteration; what is left is done one by one.
#[cfg(target_arch = "x86_64")]
macro_rules! kernels {
    ($module:ident, $feature:literal, $reals:literal, $load:ident, $store:ident, $stream:ident, $set:ident, $zero:ident, $add:ident,
     $multiply:ident, $fused:ident, $vector:ty, $loadi:ident, $storei:ident, $streami:ident, $seti:ident, $zeroi:ident, $addi:ident) => {
        mod $module {
            use super::{Operation, element};
            use crate::plan::weyl;
            use std::arch::x86_64::*;

            /// Doubles and words of a vector, and vectors in flight.
            const REALS: usize = $reals;
            const WORDS: usize = 2 * REALS;
            const UNROLL: usize = 4;

            /// # Safety
            /// The processor has the feature; inputs that `op` uses are at least as long as `c`; `streaming` needs `c` aligned to 64.
            #[target_feature(enable = $feature)]
            pub unsafe fn combine(op: Operation, streaming: bool, a: &[f64], b: &[f64], c: &mut [f64]) {
                // The operation and the kind of store are settled outside the loop.
                // SAFETY: as the caller promises.
                unsafe {
                    match (op, streaming) {
                        (Operation::Copy, true) => pass::<true>(op, a, b, c, |x, _| x, false),
                        (Operation::Copy, false) => pass::<false>(op, a, b, c, |x, _| x, false),
                        (Operation::Scale(s), true) => pass::<true>(op, a, b, c, |x, _| $multiply(x, $set(s)), false),
                        (Operation::Scale(s), false) => pass::<false>(op, a, b, c, |x, _| $multiply(x, $set(s)), false),
                        (Operation::Add, true) => pass::<true>(op, a, b, c, |x, y| $add(x, y), true),
                        (Operation::Add, false) => pass::<false>(op, a, b, c, |x, y| $add(x, y), true),
                        (Operation::Triad(s), true) => pass::<true>(op, a, b, c, |x, y| $fused(y, $set(s), x), true),
                        (Operation::Triad(s), false) => pass::<false>(op, a, b, c, |x, y| $fused(y, $set(s), x), true),
                    }
                }
            }

            /// # Safety
            /// As for [`combine`].
            #[inline]
            #[target_feature(enable = $feature)]
            unsafe fn pass<const STREAMING: bool>(
                op: Operation,
                a: &[f64],
                b: &[f64],
                c: &mut [f64],
                vector: impl Fn($vector, $vector) -> $vector,
                two: bool,
            ) {
                let whole = c.len() / (UNROLL * REALS) * (UNROLL * REALS);
                for i in (0..whole).step_by(UNROLL * REALS) {
                    let mut results = [$zero(); UNROLL];
                    for (j, result) in results.iter_mut().enumerate() {
                        let at = i + j * REALS;
                        // SAFETY: `at + REALS <= whole <= c.len()`, and used inputs are as long.
                        *result = unsafe {
                            let x = $load(a.as_ptr().add(at));
                            vector(x, if two { $load(b.as_ptr().add(at)) } else { x })
                        };
                    }
                    for (j, result) in results.into_iter().enumerate() {
                        // SAFETY: as above; streaming stores are aligned because `c` is and `i` counts whole vectors.
                        unsafe {
                            let to = c.as_mut_ptr().add(i + j * REALS);
                            if STREAMING { $stream(to.cast(), result) } else { $store(to, result) }
                        }
                    }
                }
                for i in whole..c.len() {
                    c[i] = element(op, a, b, i);
                }
                // Streaming stores are not ordered with the barrier that ends the launch; this waits for them.
                _mm_sfence();
            }

            /// # Safety
            /// The processor has the feature.
            #[target_feature(enable = $feature)]
            pub unsafe fn read(a: &[u32]) -> u32 {
                let mut sums = [$zeroi(); 2 * UNROLL];
                let whole = a.len() / (2 * UNROLL * WORDS) * (2 * UNROLL * WORDS);
                for i in (0..whole).step_by(2 * UNROLL * WORDS) {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: `i + (j + 1) * WORDS <= whole <= a.len()`.
                        *sum = $addi(*sum, unsafe { $loadi(a.as_ptr().add(i + j * WORDS).cast()) });
                    }
                }
                let mut words = [0_u32; WORDS];
                let mut total = a[whole..].iter().fold(0_u32, |sum, word| sum.wrapping_add(*word));
                for sum in sums {
                    // SAFETY: `words` holds one vector.
                    unsafe { $storei(words.as_mut_ptr().cast(), sum) };
                    total = words.iter().fold(total, |sum, word| sum.wrapping_add(*word));
                }
                total
            }

            /// # Safety
            /// The processor has the feature; `from` is a multiple of 16 and `c` is aligned to 64.
            #[target_feature(enable = $feature)]
            pub unsafe fn write(streaming: bool, seed: u32, from: u64, c: &mut [u32]) {
                const VECTORS: usize = 16 / WORDS;
                let line: [u32; 16] = std::array::from_fn(|j| weyl(seed, from + j as u64));
                let step = $seti(0x9E37_79B1_u32 as i32);
                // SAFETY: `line` holds `VECTORS` vectors.
                let mut values: [_; VECTORS] = std::array::from_fn(|j| unsafe { $loadi(line.as_ptr().add(j * WORDS).cast()) });
                let whole = c.len() / 16 * 16;
                for i in (0..whole).step_by(16) {
                    for (j, value) in values.iter_mut().enumerate() {
                        // SAFETY: `i + 16 <= whole <= c.len()`, and lines are aligned.
                        unsafe {
                            let to = c.as_mut_ptr().add(i + j * WORDS).cast();
                            if streaming { $streami(to, *value) } else { $storei(to, *value) }
                        }
                        *value = $addi(*value, step);
                    }
                }
                for i in whole..c.len() {
                    c[i] = weyl(seed, from + i as u64);
                }
                _mm_sfence();
            }

            /// # Safety
            /// The processor has the feature; `b` is at least as long as `a`.
            #[target_feature(enable = $feature)]
            pub unsafe fn dot(a: &[f64], b: &[f64]) -> f64 {
                let mut sums = [$zero(); 2 * UNROLL];
                let whole = a.len() / (2 * UNROLL * REALS) * (2 * UNROLL * REALS);
                for i in (0..whole).step_by(2 * UNROLL * REALS) {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        let at = i + j * REALS;
                        // SAFETY: `at + REALS <= whole <= a.len() <= b.len()`.
                        *sum = unsafe { $fused($load(a.as_ptr().add(at)), $load(b.as_ptr().add(at)), *sum) };
                    }
                }
                let mut reals = [0.0_f64; REALS];
                let mut total: f64 = a[whole..].iter().zip(&b[whole..]).map(|(a, b)| a * b).sum();
                for sum in sums {
                    // SAFETY: `reals` holds one vector.
                    unsafe { $store(reals.as_mut_ptr(), sum) };
                    total += reals.iter().sum::<f64>();
                }
                total
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(
    avx512,
    "avx512f",
    8,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_stream_pd,
    _mm512_set1_pd,
    _mm512_setzero_pd,
    _mm512_add_pd,
    _mm512_mul_pd,
    _mm512_fmadd_pd,
    __m512d,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_stream_si512,
    _mm512_set1_epi32,
    _mm512_setzero_si512,
    _mm512_add_epi32
);
#[cfg(target_arch = "x86_64")]
kernels!(
    avx2,
    "avx2,fma",
    4,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_stream_pd,
    _mm256_set1_pd,
    _mm256_setzero_pd,
    _mm256_add_pd,
    _mm256_mul_pd,
    _mm256_fmadd_pd,
    __m256d,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_stream_si256,
    _mm256_set1_epi32,
    _mm256_setzero_si256,
    _mm256_add_epi32
);

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> Vec<Level> {
        let mut levels = vec![Level::Portable, Level::Slow];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(is_x86_feature_detected!("avx512f").then_some(Level::Avx512));
            levels.extend((is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Level::Avx2));
        }
        levels
    }

    #[test]
    fn every_level_computes_the_same_at_any_length_and_alignment() {
        let a: Vec<f64> = (0..200).map(f64::from).collect();
        let b: Vec<f64> = (0..200).map(|i| f64::from(i % 7)).collect();
        for level in levels() {
            for (begin, length) in [(0, 0), (0, 1), (0, 64), (1, 63), (3, 129), (0, 200)] {
                for op in [Operation::Copy, Operation::Scale(3.0), Operation::Add, Operation::Triad(3.0)] {
                    let mut c = vec![-1.0; length];
                    combine(level, op, true, &a[begin..], &b[begin..], &mut c);
                    let expected: Vec<f64> = (0..length).map(|i| element(op, &a[begin..], &b[begin..], i)).collect();
                    assert_eq!(c, expected, "{level:?} {op:?} {begin} {length}");
                }
                let expected: f64 = (begin..(begin + length).min(200)).map(|i| a[i] * b[i]).sum();
                let end = (begin + length).min(200);
                assert_eq!(dot(level, &a[begin..end], &b[begin..end]), expected, "{level:?}");
            }
        }
    }

    #[test]
    fn words_are_summed_and_written_by_every_level() {
        let words: Vec<u32> = (0..1_000_u32).map(|i| i.wrapping_mul(0x9E37_79B1)).collect();
        for level in levels() {
            for length in [0, 1, 127, 128, 1_000] {
                let expected = words[..length].iter().fold(0_u32, |sum, word| sum.wrapping_add(*word));
                assert_eq!(read(level, &words[..length]), expected, "{level:?}");
                for streaming in [true, false] {
                    let mut lines = vec![[0_u32; 16]; 64];
                    let part = &mut lines.as_flattened_mut()[..length];
                    write(level, streaming, 5, 32, part);
                    assert!((32..).zip(&*part).all(|(j, word)| *word == weyl(5, j)), "{level:?} {length}");
                }
            }
        }
    }
}
