//! Roundings from the formats' definitions (IEEE 754 section 4.3; PTX ISA 5.2.3 and 9.7.9.21), in integers.

/// What a kernel of floating-point instructions gives.
pub fn reference(name: &str, words: &[u32]) -> Option<Vec<u32>> {
    let pairs = |width: u32, narrow: Narrow| {
        let value = |at: usize| rounded(bounded(words[at], at), narrow);
        (0..512).map(|at| value(2 * at) | value(2 * at + 1) << width).collect()
    };
    match name {
        "to_bf16" => Some(pairs(16, Narrow { exponent: 8, mantissa: 7, largest: None })),
        "to_f16" => Some(pairs(16, Narrow { exponent: 5, mantissa: 10, largest: None })),
        "to_e4m3" => Some(pairs(8, Narrow { exponent: 4, mantissa: 3, largest: Some(0x7e) })),
        "to_e5m2" => Some(pairs(8, Narrow { exponent: 5, mantissa: 2, largest: Some(0x7b) })),
        "to_tf32" => {
            // To ten bits, a half away from zero: half a step is added to the magnitude.
            let tf32 = |at: usize| (bounded(words[at], at) + 0x1000) & !0x1fff;
            Some((0..512).map(|at| tf32(2 * at) ^ tf32(2 * at + 1).rotate_left(16)).collect())
        }
        "arithmetic" => Some(arithmetic(words)),
        _ => None,
    }
}

/// A narrow format; `largest` where what lies beyond it is brought back to it.
#[derive(Clone, Copy)]
struct Narrow {
    exponent: u32,
    mantissa: u32,
    largest: Option<u32>,
}

/// The float of `seeded.cuh`, as its pattern.
fn bounded(word: u32, place: usize) -> u32 {
    let kept = [0x7f_ffff, 0x7f_8000, 0x7f_f000, 0x78_0000, 0x70_0000][place % 5];
    word & 0x8000_0000 | (112 + (word >> 23 & 31)) << 23 | word & kept
}

/// The nearest pattern of a normal float's, ties to the even one.
fn rounded(bits: u32, narrow: Narrow) -> u32 {
    let middle = (1 << (narrow.exponent - 1)) - 1;
    let exponent = (bits >> 23 & 0xff) as i32 - 127 + middle;
    let significand = u64::from(bits & 0x7f_ffff | 0x80_0000);
    // Bits that go: those of a subnormal result are more.
    let dropped = 23 - narrow.mantissa + u32::try_from(1 - exponent).unwrap_or(0);
    let (kept, rest, half) = (significand >> dropped, significand & ((1 << dropped) - 1), 1_u64 << (dropped - 1));
    let up = rest > half || rest == half && kept & 1 == 1;
    // The leading one of a normal result counts as a step of the exponent.
    let base = (exponent.max(1) as u32 - 1) << narrow.mantissa;
    let pattern = base + kept as u32 + u32::from(up);
    let infinity = ((1 << narrow.exponent) - 1) << narrow.mantissa;
    let pattern = narrow.largest.map_or(pattern.min(infinity), |largest| pattern.min(largest));
    pattern | (bits >> 31) << (narrow.exponent + narrow.mantissa)
}

fn arithmetic(words: &[u32]) -> Vec<u32> {
    let rows: Vec<[u32; 16]> = (0..64).map(|x| row(words, x)).collect();
    (0..16).flat_map(|i| rows.iter().map(move |row| row[i])).collect()
}

fn row(words: &[u32], x: usize) -> [u32; 16] {
    let float = |at: usize, place: usize| f32::from_bits(bounded(words[at], place));
    let (a, b, c) = (float(x, 0), float(64 + x, x), float(128 + x, 0));
    let wide = f64::from(a) * f64::from(b);
    let fused = f64::from(a).mul_add(wide, f64::from(c));
    let sum = fused + wide;
    let halves = |value: f64| [value.to_bits() as u32, (value.to_bits() >> 32) as u32];
    let ([f0, f1], [s0, s1], [t0, t1]) = (halves(fused), halves(sum), halves(fused * sum));
    [
        a.mul_add(b, c).to_bits(),
        (a + b).to_bits(),
        (a * c).to_bits(),
        (c - a).to_bits(),
        f0,
        f1,
        s0,
        s1,
        t0,
        t1,
        (sum as f32).to_bits(),
        (words[x] as i32 as f32).to_bits(),
        (words[x] as f32).to_bits(),
        a as i32 as u32,
        a.min(b).max(c).to_bits(),
        a.abs().to_bits(),
    ]
}
