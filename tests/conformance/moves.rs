//! Instructions that move words: where each comes from (PTX ISA 5.5, Tensors; 9.7.9.25, copies; 9.7.14.5.15, ldmatrix).

use crate::{BEFORE, Kernel};

/// What a kernel that moves words gives.
pub fn reference(kernel: &Kernel, words: &[u32]) -> Option<Vec<u32>> {
    let name = kernel.name.as_str();
    match (name, kernel.map) {
        ("ldmatrix", _) => Some((0..128).map(|at| loaded(words, at, false)).collect()),
        ("ldmatrix_transposed", _) => Some((0..128).map(|at| loaded(words, at, true)).collect()),
        ("stmatrix", _) => Some(stored(words)),
        ("copies", _) => Some(copies(words)),
        ("registers", _) => Some(registers(words)),
        ("barriers", Some(map)) => Some([&[0, 1, 0, 0, 0, 0, 1, 1024][..], &loaded_box(map, words, 4, 6)].concat()),
        ("multicast", Some(map)) => Some(multicast(map, words)),
        (_, Some(map)) if name.starts_with("box_") => Some(boxes(map, words)),
        (_, Some(map)) if name.starts_with("stored_") => Some(stored_boxes(map, words, kernel.outputs)),
        _ => None,
    }
}

/// The lane that gives the address of a row kept at place `place`: places are 5 lane + 3.
fn row_of(lane: usize) -> usize {
    (lane * 5 + 3) % 32
}

fn half(words: &[u32], row: usize, column: usize) -> u32 {
    words[row * 4 + column / 2] >> (column % 2 * 16) & 0xffff
}

/// Register i of lane l: row l / 4, columns l % 4 * 2 and the next of matrix i, whose row r lane 8 i + r addresses.
fn loaded(words: &[u32], at: usize, transposed: bool) -> u32 {
    let (lane, matrix) = (at / 4, at % 4);
    let element = |row: usize, column: usize| {
        let (row, column) = if transposed { (column, row) } else { (row, column) };
        half(words, row_of(matrix * 8 + row), column)
    };
    element(lane / 4, lane % 4 * 2) | element(lane / 4, lane % 4 * 2 + 1) << 16
}

/// The same the other way: a word of a row is the register of the lane that has it.
fn stored(words: &[u32]) -> Vec<u32> {
    let mut out = vec![0; 128];
    for at in 0..128 {
        let (giver, column) = (at / 4, at % 4);
        let (matrix, row) = (giver / 8, giver % 8);
        out[row_of(giver) * 4 + column] = words[(row * 4 + column) * 4 + matrix];
    }
    out
}

fn copies(words: &[u32]) -> Vec<u32> {
    let quads = |from: usize, chosen: &dyn Fn(usize) -> usize| -> Vec<u32> {
        (0..64).flat_map(|x| words[from + chosen(x) * 4..][..4].to_vec()).collect()
    };
    let every_other: Vec<u32> = (0..256).map(|at| if at % 2 == 1 { words[1280 + at] } else { 0 }).collect();
    let halves = |chosen: usize| every_other[chosen * 4..][..4].to_vec();
    [
        quads(0, &|x| 63 - x),
        quads(256, &|x| x ^ 5),
        quads(512, &|x| x),
        quads(768, &|x| x ^ 9),
        quads(1024, &|x| x ^ 0x21),
        (0..64).flat_map(|x| halves(x ^ 0x11)).collect(),
        quads(1536, &|x| x),
    ]
    .concat()
}

fn registers(words: &[u32]) -> Vec<u32> {
    let first = |x: usize| match x {
        0..128 => words[x].wrapping_add(words[127 - x]),
        128..256 => words[x] ^ words[383 - x],
        _ => words[x].wrapping_mul(words[639 - x]),
    };
    let held = |at: usize| if at < 384 { first(at) } else { words[at] };
    (0..6144).map(|at| held(at).wrapping_add(at as u32 / 384)).collect()
}

/// Where byte `byte` of row `row` of a box lies: 16-byte chunks are exchanged by the bits of the address above 128.
fn place(row_bytes: usize, swizzle: u32, row: usize, byte: usize) -> usize {
    let at = row * row_bytes + byte;
    let mask = match swizzle {
        32 => 1,
        64 => 3,
        128 => 7,
        _ => 0,
    };
    at ^ (((at / 128) & mask) * 16)
}

/// The bytes of a box in shared memory and of the tensor, of those that lie inside.
fn pairs([element, rows, columns, box_rows, box_columns, swizzle]: [u32; 6], x: i32, y: i32) -> Vec<(usize, usize)> {
    let (row_bytes, pitch) = ((box_columns * element) as usize, (columns * element) as usize);
    let mut found = Vec::new();
    for row in 0..box_rows as i32 {
        for byte in 0..row_bytes {
            let (line, column) = (y + row, x + (byte / element as usize) as i32);
            if (0..rows as i32).contains(&line) && (0..columns as i32).contains(&column) {
                let global = line as usize * pitch + column as usize * element as usize + byte % element as usize;
                found.push((place(row_bytes, swizzle, row as usize, byte), global));
            }
        }
    }
    found
}

fn box_bytes([element, _, _, rows, columns, _]: [u32; 6]) -> usize {
    (element * rows * columns) as usize
}

fn to_words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

/// Zeros where a box reaches beyond the tensor.
fn loaded_box(map: [u32; 6], words: &[u32], x: i32, y: i32) -> Vec<u32> {
    let from = crate::bytes(words);
    let mut to = vec![0; box_bytes(map)];
    for (shared, global) in pairs(map, x, y) {
        to[shared] = from[global];
    }
    to_words(&to)
}

fn boxes(map: [u32; 6], words: &[u32]) -> Vec<u32> {
    let places = [(8, 5), (60, 11), (-8, 2), (4, -3), (67, 17), (-128, 40)];
    places.iter().flat_map(|(x, y)| loaded_box(map, words, *x, *y)).collect()
}

fn stored_boxes(map: [u32; 6], words: &[u32], outputs: usize) -> Vec<u32> {
    let from = crate::bytes(words);
    let mut to = crate::bytes(&vec![BEFORE; outputs]);
    for (number, (x, y)) in [(8, 5), (-8, -3), (61, 2), (67, 17)].into_iter().enumerate() {
        for (shared, global) in pairs(map, x, y) {
            to[global] = from[number * box_bytes(map) + shared];
        }
    }
    to_words(&to)
}

/// Each block: its rank, what its barrier says, and both boxes.
fn multicast(map: [u32; 6], words: &[u32]) -> Vec<u32> {
    let both = [loaded_box(map, words, 0, 1), loaded_box(map, words, 16, 10)].concat();
    let block = |rank: u32| [&[rank, 0, 1, 1, 0][..], &[0; 11], &both].concat();
    [block(0), block(1)].concat()
}
