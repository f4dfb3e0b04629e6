//! Stores and instruction sets: what no safe call offers, and the one file of this backend with `unsafe`.
//!
//! Idea: a kernel is a safe loop over cache lines held as arrays, which the compiler turns into vectors; it is compiled once for
//! each instruction set, and the widest that this machine has is chosen when it runs. An ordinary store of a line that no cache
//! holds first fetches that line; a streaming store does not, which is a quarter of triad's traffic and a third of copy's.

#![allow(unsafe_code)]
// Lines must be computed and stored in the function that is compiled for the instruction set, or they are compiled for none.
#![allow(clippy::inline_always)]

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// Instruction sets that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Avx512,
    Avx2,
    /// What every machine of this architecture has.
    Baseline,
}

impl Level {
    /// The widest of this machine.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }

    /// Its name, for the record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Baseline => std::env::consts::ARCH,
        }
    }
}

/// Where a computed line goes.
pub trait Store: Copy {
    /// Whether lines go past the caches.
    const STREAMS: bool;

    fn line<T: Copy, const WIDTH: usize>(self, to: &mut [T; WIDTH], line: [T; WIDTH]);

    /// Makes streamed lines visible to other cores before this one says that it is done.
    fn end(self) {}
}

/// A store as the compiler makes it.
#[derive(Clone, Copy)]
pub struct Ordinary;

impl Store for Ordinary {
    const STREAMS: bool = false;

    #[inline(always)]
    fn line<T: Copy, const WIDTH: usize>(self, to: &mut [T; WIDTH], line: [T; WIDTH]) {
        *to = line;
    }
}

/// A kernel's loop, compiled anew for every instruction set and way to store.
pub trait Kernel {
    type Output;

    /// Lines to compute and store must be inlined into the function that has the instruction set.
    fn run<S: Store>(self, store: S) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, LINE, Ordinary, Store};
    use std::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128, _mm256_loadu_si256, _mm256_stream_si256,
        _mm512_loadu_si512, _mm512_stream_si512,
    };

    /// Streams a line by vectors of one instruction set. Made only by the function below that is compiled for that set.
    macro_rules! streaming {
        ($name:ident, $vector:ty, $load:ident, $stream:ident) => {
            #[derive(Clone, Copy)]
            struct $name;

            impl Store for $name {
                const STREAMS: bool = true;

                #[inline(always)]
                fn line<T: Copy, const WIDTH: usize>(self, to: &mut [T; WIDTH], line: [T; WIDTH]) {
                    if size_of::<[T; WIDTH]>() != LINE || !to.as_ptr().addr().is_multiple_of(LINE) {
                        *to = line;
                        return;
                    }
                    for part in 0..LINE / size_of::<$vector>() {
                        let from = line.as_ptr().cast::<$vector>().wrapping_add(part);
                        // SAFETY: both sides are whole lines by the check above, the target is aligned and borrowed
                        // exclusively, any bits are a vector, and this type exists only where the instructions do.
                        unsafe { $stream(to.as_mut_ptr().cast::<$vector>().add(part), $load(from)) };
                    }
                }

                #[inline(always)]
                fn end(self) {
                    // SAFETY: every x86-64 has it, and it touches no memory.
                    unsafe { _mm_sfence() };
                }
            }
        };
    }
    streaming!(Streaming512, __m512i, _mm512_loadu_si512, _mm512_stream_si512);
    streaming!(Streaming256, __m256i, _mm256_loadu_si256, _mm256_stream_si256);
    streaming!(Streaming128, __m128i, _mm_loadu_si128, _mm_stream_si128);

    #[target_feature(enable = "avx512f")]
    pub fn avx512<K: Kernel>(kernel: K, streaming: bool) -> K::Output {
        if streaming { kernel.run(Streaming512) } else { kernel.run(Ordinary) }
    }

    #[target_feature(enable = "avx2")]
    pub fn avx2<K: Kernel>(kernel: K, streaming: bool) -> K::Output {
        if streaming { kernel.run(Streaming256) } else { kernel.run(Ordinary) }
    }

    pub fn baseline<K: Kernel>(kernel: K, streaming: bool) -> K::Output {
        if streaming { kernel.run(Streaming128) } else { kernel.run(Ordinary) }
    }
}

/// Runs a kernel by the widest vectors of this machine, up to `level`.
pub fn dispatch<K: Kernel>(kernel: K, streaming: bool, level: Level) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if level == Level::Avx512 && std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the instruction set has just been detected.
            return unsafe { x86::avx512(kernel, streaming) };
        }
        if level != Level::Baseline && std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the instruction set has just been detected.
            return unsafe { x86::avx2(kernel, streaming) };
        }
        x86::baseline(kernel, streaming)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // No stable streaming store there; the fetch before the store shows as loss.
        let _ = (streaming, level);
        kernel.run(Ordinary)
    }
}
