//! Products from the fragments' definitions (PTX ISA 9.7.14.5, Matrix multiply-accumulate; 9.7.15.5.1.1, Register fragments).

/// -3 to 3, as `src/plan/fill.rs` has it.
pub fn small(word: u32) -> i64 {
    i64::from(((word >> 16) * 7) >> 16) - 3
}

/// What a product gives, by its kernel's name.
pub fn reference(name: &str, words: &[u32]) -> Option<Vec<u32>> {
    let float = |sum: i64| (sum as f32).to_bits();
    match name {
        "product_bf16" | "product_f16" => Some(warp(words, 2, small, float)),
        "product_e4m3" => Some(warp(words, 4, small, float)),
        "product_tf32" => Some(warp(words, 1, small, float)),
        "product_s8" => Some(bytes(words)),
        "product_f64" => Some(doubles(words)),
        "warpgroup" => Some(slabs(words, (128, 64), of_warpgroup)),
        // A thread has a row (PTX ISA, tcgen05.ld, shape 32x32b).
        "tensor_memory" => Some(slabs(words, (128, 32), |thread, element| (thread, element))),
        "tensor_pair" => Some(slabs(words, (256, 32), |thread, element| (thread, element))),
        _ => None,
    }
}

/// Row and column of element `element` of a lane's four registers of A, `held` in each: registers go down by eight rows, then right.
fn of_a(lane: usize, element: usize, held: usize) -> (usize, usize) {
    let (register, within) = (element / held, element % held);
    (lane / 4 + register % 2 * 8, lane % 4 * held + within + register / 2 * 4 * held)
}

/// Row (along k) and column of element `element` of a lane's two registers of B.
fn of_b(lane: usize, element: usize, held: usize) -> (usize, usize) {
    (lane % 4 * held + element % held + element / held * 4 * held, lane / 4)
}

/// Row and column of a lane's four elements of C and D.
fn of_c(lane: usize, element: usize) -> (usize, usize) {
    (lane / 4 + element / 2 * 8, lane % 4 * 2 + element % 2)
}

/// A 16 x 8 product whose operands' elements are words, `held` to a register.
fn warp(words: &[u32], held: usize, value: fn(u32) -> i64, pattern: impl Fn(i64) -> u32) -> Vec<u32> {
    let k = 8 * held;
    let (mut a, mut b) = (vec![0; 16 * k], vec![0; k * 8]);
    for lane in 0..32 {
        for element in 0..4 * held {
            let (row, column) = of_a(lane, element, held);
            a[row * k + column] = value(words[lane * 4 * held + element]);
        }
        for element in 0..2 * held {
            let (row, column) = of_b(lane, element, held);
            b[row * 8 + column] = value(words[128 * held + lane * 2 * held + element]);
        }
    }
    finish(&a, &b, &words[192 * held..], k, pattern)
}

/// C + A B, element by element where the fragments have them.
fn finish(a: &[i64], b: &[i64], c: &[u32], k: usize, pattern: impl Fn(i64) -> u32) -> Vec<u32> {
    let element = |at: usize| {
        let (row, column) = of_c(at / 4, at % 4);
        pattern(small(c[at]) + (0..k).map(|step| a[row * k + step] * b[step * 8 + column]).sum::<i64>())
    };
    (0..128).map(element).collect()
}

/// Four bytes to a word, the first lowest.
fn bytes(words: &[u32]) -> Vec<u32> {
    let byte = |word: u32, at: usize| i64::from((word >> (8 * at)) as u8 as i8);
    let (mut a, mut b) = (vec![0; 16 * 32], vec![0; 32 * 8]);
    for lane in 0..32 {
        for element in 0..16 {
            let (row, column) = of_a(lane, element, 4);
            a[row * 32 + column] = byte(words[lane * 4 + element / 4], element % 4);
        }
        for element in 0..8 {
            let (row, column) = of_b(lane, element, 4);
            b[row * 8 + column] = byte(words[128 + lane * 2 + element / 4], element % 4);
        }
    }
    finish(&a, &b, &words[192..], 32, |sum| sum as i32 as u32)
}

/// 16 x 8 x 16: A by rows of k, then B by rows of k, then C.
fn doubles(words: &[u32]) -> Vec<u32> {
    let value = |word: u32| i64::from(word as i32 >> 7);
    let element = |at: usize| {
        let (row, column) = (at / 8, at % 8);
        let products = (0..16).map(|k| value(words[row * 16 + k]) * value(words[256 + column * 16 + k]));
        ((small(words[384 + at]) + products.sum::<i64>()) as f64).to_bits()
    };
    (0..128).map(element).flat_map(|bits| [bits as u32, (bits >> 32) as u32]).collect()
}

/// Element `element` of thread `thread` of a 64 x n result.
fn of_warpgroup(thread: usize, element: usize) -> (usize, usize) {
    let (warp, lane) = (thread / 32, thread % 32);
    (warp * 16 + lane / 4 + element / 2 % 2 * 8, element / 4 * 8 + lane % 4 * 2 + element % 2)
}

/// Products of rows of 64, of which each of so many threads holds so many elements, at the places that `of` tells.
fn slabs(words: &[u32], (threads, held): (usize, usize), of: fn(usize, usize) -> (usize, usize)) -> Vec<u32> {
    let rows = (0..threads).map(|thread| of(thread, held - 1).0 + 1).max().unwrap_or(0);
    let value = |word: u32| i64::from(((word >> 16) * 5) >> 16) - 2;
    let sum = |thread: usize, element: usize, steps: std::ops::Range<usize>| {
        let (row, column) = of(thread, element);
        steps.map(|k| value(words[row * 64 + k]) * value(words[(rows + column) * 64 + k])).sum::<i64>()
    };
    let mut out = Vec::new();
    let (bytes, halves) = (held / 4, held / 2);
    for step in 0..4 {
        for at in 0..threads * bytes {
            let byte = |j: usize| (sum(at / bytes, at % bytes * 4 + j, step * 16..step * 16 + 16) as u32 & 0xff) << (8 * j);
            out.push((0..4).map(byte).sum());
        }
    }
    for at in 0..threads * halves {
        let half = |j: usize| (sum(at / halves, at % halves * 2 + j, 0..64) as u32 & 0xffff) << (16 * j);
        out.push(half(0) | half(1));
    }
    out
}
