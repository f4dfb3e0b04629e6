//! The inputs, generated from a seed and an index by integer arithmetic alone, so that they are the same bits on every backend
//! and on the host; and the folds that reduce an output to 32 bits.
//!
//! The mixer is `lowbias32` (Chris Wellons, "Prospecting for Hash Functions", 2018, public domain). The random pass is a
//! binomial(32, 1/2) made continuous by a uniform of one step: bell-shaped like the normal inputs that benchmarks customarily
//! use, with every bit of the significand random, mean 0, standard deviation `sqrt(8 + 1/12) / 2` = 1.4216, within ±8.25, no NaN,
//! no infinity.

use crate::dtype::Dtype;

/// Which inputs a buffer is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Small integers, such that every output is exact in any order of summation.
    Exact,
    /// Random values of full entropy; what is timed.
    Random,
    /// A labelled diagnostic only.
    Zeros,
}

/// Exact inputs are the integers `-SPREAD..=SPREAD`.
pub const SPREAD: i32 = 3;

/// In words, for the record.
pub const DISTRIBUTION: &str = "binomial(32, 1/2) made continuous, mean 0, sd 1.4216, full significand, no NaN, narrow formats rounded to nearest even; uint32, int8: uniform";
/// Tells the place of an exact element in its gap from its value.
const GAP: u32 = 0x47;
/// Tells which two of four neighbours stay from their values.
const PAIR: u32 = 0x50;
/// The pairs of four, as bits.
const PAIRS: [u8; 6] = [0b0011, 0b0101, 0b1001, 0b0110, 0b1010, 0b1100];

#[inline]
#[must_use]
pub const fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[inline]
#[must_use]
pub const fn key(seed: u32, element: u64) -> u32 {
    mix(seed ^ mix((element >> 32) as u32))
}

/// First random word of an element.
#[inline]
#[must_use]
pub const fn first(seed: u32, element: u64) -> u32 {
    mix(element as u32 ^ key(seed, element))
}

/// The word after `word`, for the same element.
#[inline]
#[must_use]
pub const fn next(word: u32, key: u32) -> u32 {
    mix(word.wrapping_add(key))
}

/// Seed of a plan's buffer.
#[inline]
#[must_use]
pub const fn buffer_seed(seed: u32, buffer: u32) -> u32 {
    mix(seed ^ mix(buffer.wrapping_add(1)))
}

/// The small integer of the exact pass.
#[inline]
#[must_use]
pub const fn small(seed: u32, element: u64) -> i32 {
    keyed_small(key(seed, element), element as u32)
}

/// [`small`] by the key of its element and the low half of its index: keys change but once in 2³² elements, so that a loop over
/// a block computes its key once.
#[inline]
#[must_use]
pub const fn keyed_small(key: u32, low: u32) -> i32 {
    (((mix(low ^ key) >> 16) * (2 * SPREAD as u32 + 1)) >> 16) as i32 - SPREAD
}

/// [`small`] where only one element in every `gap`, a power of two, is not zero: a sum over a row then has so few terms that it
/// is exact in a narrow format.
#[inline]
#[must_use]
pub const fn sparse(seed: u32, gap: u64, element: u64) -> i32 {
    if drawn(seed, gap, element >> gap.trailing_zeros()) == element { small(seed, element) } else { 0 }
}

/// The element of a group of `gap` that is drawn; groups are told apart by the lower half of their number.
#[inline]
#[must_use]
pub const fn drawn(seed: u32, gap: u64, group: u64) -> u64 {
    group * gap + (first(seed ^ GAP, group & u32::MAX as u64) as u64 & (gap - 1))
}

/// Whether an element stays in a matrix of which two of each four neighbours become zero: one of six pairs stays, each as likely.
#[inline]
#[must_use]
pub const fn kept(seed: u32, element: u64) -> bool {
    let drawn = ((first(seed ^ PAIR, element / 4) >> 16) * PAIRS.len() as u32) >> 16;
    PAIRS[drawn as usize] >> (element % 4) & 1 == 1
}

/// A single-precision value of the random pass.
#[inline]
#[must_use]
pub const fn random_f32(seed: u32, element: u64) -> f32 {
    keyed_f32(key(seed, element), element as u32)
}

/// [`random_f32`] by key and low half, as [`keyed_small`].
#[inline]
#[must_use]
pub const fn keyed_f32(key: u32, low: u32) -> f32 {
    let one = mix(low ^ key);
    let two = next(one, key);
    let fixed = (one.count_ones() << 19) as i32 + (two >> 13) as i32 - (16 << 19) - (1 << 18);
    fixed as f32 * (1.0 / (1 << 20) as f32)
}

/// A double-precision value of the random pass.
#[inline]
#[must_use]
pub const fn random_f64(seed: u32, element: u64) -> f64 {
    keyed_f64(key(seed, element), element as u32)
}

/// [`random_f64`] by key and low half, as [`keyed_small`].
#[inline]
#[must_use]
pub const fn keyed_f64(key: u32, low: u32) -> f64 {
    let one = mix(low ^ key);
    let two = next(one, key);
    let three = next(two, key);
    // (popcount << 47) + (two << 15 | three >> 17) - (16 << 47) - (1 << 46), put together from signed 32-bit integers: every
    // partial sum is an integer below 2^53, hence exact, and every processor can convert vectors of them.
    let high = (two >> 1) as i32 as f64 * 65_536.0;
    let low = ((two & 1) << 15 | three >> 17) as i32 as f64;
    let steps = one.count_ones() as i32 as f64 - 16.5;
    (steps * (1_u64 << 47) as f64 + (high + low)) * (1.0 / (1_u64 << 48) as f64)
}

/// Value of an input element in double precision, exact for every format; `gap` as in [`sparse`].
#[must_use]
pub fn value(dtype: Dtype, pass: Pass, seed: u32, gap: u64, element: u64) -> f64 {
    match (pass, dtype) {
        (Pass::Zeros, _) => 0.0,
        (_, Dtype::Uint32 | Dtype::Int32) => f64::from(first(seed, element)),
        (Pass::Exact, _) => f64::from(sparse(seed, gap, element)),
        (Pass::Random, Dtype::Fp64) => random_f64(seed, element),
        (Pass::Random, Dtype::Fp32) => f64::from(random_f32(seed, element)),
        (Pass::Random, Dtype::Int8) => f64::from((first(seed, element) >> 24) as u8 as i8),
        (Pass::Random, narrow) => narrow.round(f64::from(random_f32(seed, element))),
    }
}

/// Word `j` of the pattern that the `write` kernel stores: a Weyl sequence over lines of 16 words, which no memory compresses.
#[inline]
#[must_use]
pub const fn weyl(seed: u32, j: u64) -> u32 {
    first(seed, j % 16).wrapping_add(((j / 16) as u32).wrapping_mul(0x9E37_79B1))
}

/// How an output is reduced to 32 bits. Sums wrap, so their order does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Over the 32-bit words of the output's bytes, word `j` times `weight(seed, j)`: any flipped bit changes it.
    Bits,
    /// Over the output as integers, element (r, c) times `weight(seed ^ ROW, r) · weight(seed ^ COLUMN, c)`: the two-sided
    /// integer form of Freivalds' check (Freivalds 1977).
    Values,
}

/// Tells row weights from column weights.
pub const ROW: u32 = 0x52;
/// Tells column weights from row weights.
pub const COLUMN: u32 = 0x43;

/// Weight of position `index`; odd, so that a single wrong element always shows.
#[inline]
#[must_use]
pub const fn weight(seed: u32, index: u64) -> u32 {
    mix(index as u32 ^ key(seed, index)) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart, by arbitrary-precision integers.
    #[test]
    fn golden_values_hold_on_every_machine() {
        assert_eq!([mix(0), mix(1), mix(u32::MAX)], [0x0000_0000, 0x6889_90c0, 0x6768_824a]);
        let words: Vec<u32> = [0, 1, 1 << 32, (1 << 40) + 7].iter().map(|&e| first(42, e)).collect();
        assert_eq!(words, GOLDEN_WORDS);
        let singles: Vec<u32> = (0..4).map(|e| random_f32(42, e).to_bits()).collect();
        assert_eq!(singles, GOLDEN_SINGLES);
        let doubles: Vec<u64> = (0..4).map(|e| random_f64(42, e).to_bits()).collect();
        assert_eq!(doubles, GOLDEN_DOUBLES);
        let integers: Vec<i32> = (0..8).map(|e| small(42, e)).collect();
        assert_eq!(integers, GOLDEN_INTEGERS);
    }

    const GOLDEN_WORDS: [u32; 4] = [0x601b_fb49, 0x900c_994b, 0xe535_61f2, 0xa52a_8700];
    const GOLDEN_SINGLES: [u32; 4] = [0xbdfb_fd00, 0xbfe1_b738, 0x3fe4_0088, 0x3f93_b1c0];
    const GOLDEN_DOUBLES: [u64; 4] = [0xbfbf_7f91_d4d2_4a00, 0xbffc_36e6_c3ed_b080, 0x3ffc_8011_80cb_68f0, 0x3ff2_7638_0b6e_4b50];
    const GOLDEN_INTEGERS: [i32; 8] = [-1, 0, 2, 1, -1, 1, 3, -3];

    /// Mean and standard deviation of a sample.
    fn moments(values: impl Iterator<Item = f64>, count: f64) -> (f64, f64) {
        let (sum, squares) = values.fold((0.0, 0.0), |(sum, squares), v| (sum + v, squares + v * v));
        (sum / count, (squares / count - (sum / count).powi(2)).sqrt())
    }

    #[test]
    fn random_values_have_the_stated_distribution() {
        let expected = (8.0_f64 + 1.0 / 12.0).sqrt() / 2.0;
        for (mean, deviation) in [
            moments((0..200_000).map(|e| f64::from(random_f32(7, e))), 200_000.0),
            moments((0..200_000).map(|e| random_f64(7, e)), 200_000.0),
        ] {
            assert!(mean.abs() < 0.02 && (deviation - expected).abs() < 0.02, "mean {mean}, deviation {deviation}");
        }
        assert!((0..200_000).all(|e| random_f32(9, e).abs() <= 8.25 && random_f64(9, e).abs() <= 8.25));
    }

    #[test]
    fn low_bits_of_the_significand_are_random() {
        let ones = (0..10_000).filter(|&e| random_f64(3, e).abs() > 1.0 && random_f64(3, e).to_bits() & 0b1_0000 != 0).count();
        let all = (0..10_000).filter(|&e| random_f64(3, e).abs() > 1.0).count();
        assert!((ones * 10).abs_diff(all * 5) < all, "{ones} of {all}");
    }

    #[test]
    fn small_integers_cover_their_range_evenly() {
        let mut counts = [0_u32; 7];
        for element in 0..70_000 {
            counts[usize::try_from(small(1, element) + SPREAD).expect("in range")] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
    }

    #[test]
    fn one_element_in_a_gap_is_not_zero() {
        let zeros = (0..64_000).filter(|&e| sparse(3, 64, e) == 0).count();
        // One in 64 is drawn, and of those one in seven is zero.
        assert!(zeros.abs_diff(64_000 - 1_000 * 6 / 7) < 60, "{zeros}");
        let most = (0..1_000).map(|group| (0..64).filter(|e| sparse(3, 64, group * 64 + e) != 0).count()).max();
        assert_eq!(most, Some(1));
        assert!((0..1_000).all(|e| sparse(5, 1, e) == small(5, e)));
    }

    #[test]
    fn two_of_each_four_stay_and_every_pair_is_drawn() {
        let pair = |four: u64| (0..4).filter(|at| kept(3, 4 * four + at)).map(|at| 1 << at).sum::<usize>();
        let mut counts = [0_u32; 16];
        (0..60_000).for_each(|four| counts[pair(four)] += 1);
        for (bits, count) in counts.into_iter().enumerate() {
            let wanted: u32 = if bits.count_ones() == 2 { 10_000 } else { 0 };
            assert!(wanted.abs_diff(count) <= wanted / 20, "{bits:04b}: {count}");
        }
    }

    #[test]
    fn weights_are_odd_and_differ() {
        assert!((0..1_000).all(|index| weight(5, index) % 2 == 1));
        assert_ne!(weight(5, 1), weight(5, 1 << 32 | 1));
    }
}
