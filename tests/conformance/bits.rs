//! Integer instructions and what lanes say to each other, from the manual's definitions.

/// What a kernel of integer instructions gives.
pub fn reference(name: &str, words: &[u32]) -> Option<Vec<u32>> {
    match name {
        "bits" => {
            let rows: Vec<[u32; 24]> = (0..64).map(|x| row(words[x], words[64 + x], words[128 + x])).collect();
            Some((0..24).flat_map(|i| rows.iter().map(move |row| row[i])).collect())
        }
        "shuffles" => Some(shuffles(words)),
        "atomics" => Some(atomics(words)),
        "hashing" => Some(hashing(words)),
        _ => None,
    }
}

/// Byte by byte: a nibble of the selector is the number of a byte and, in its top bit, asks for the byte's sign alone.
fn permuted(a: u32, b: u32, selector: u32) -> u32 {
    let all = [a.to_le_bytes(), b.to_le_bytes()].concat();
    let byte = |place: u32| {
        let nibble = selector >> (4 * place) & 15;
        let byte = all[nibble as usize & 7];
        if nibble < 8 { byte } else { ((byte as i8) >> 7) as u8 }
    };
    u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)])
}

fn row(a: u32, b: u32, c: u32) -> [u32; 24] {
    let both = u64::from(a) << 32 | u64::from(b);
    // The funnel holds its second word above the first.
    let funnel = u128::from(b) << 32 | u128::from(a);
    let wide = (u64::from(a) * u64::from(b)).wrapping_add(both);
    let factor = u64::from(c) << 32 | u64::from(a);
    let product = both.wrapping_mul(factor);
    let sign = (i64::from(a as i32) * i64::from(b as i32)).wrapping_add(both as i64);
    let high = ((u128::from(both) * u128::from(product)) >> 64) as u64;
    [
        // CUDA's function drops the nibbles' top bits before the instruction.
        permuted(a, b, c & 0x7777),
        permuted(a, b, 0x5410),
        a >> 5 & 0x7ff,
        ((a << 7) as i32 >> 20) as u32,
        a & !0xff00 | (b & 0xff) << 8,
        ((funnel << (c & 31)) >> 32) as u32,
        (funnel >> (c & 31)) as u32,
        ((funnel << (c % 64).min(32)) >> 32) as u32,
        (funnel >> (c % 64).min(32)) as u32,
        a.count_ones(),
        both.count_ones(),
        (a >> (c % 32)).leading_zeros(),
        a.reverse_bits(),
        if a << (c % 32) == 0 { 0 } else { (a << (c % 32)).trailing_zeros() + 1 },
        ((u64::from(a) * u64::from(b)) >> 32) as u32,
        ((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32,
        wide as u32,
        (wide >> 32) as u32,
        sign as u32,
        (sign >> 32) as u32,
        (product >> 32) as u32,
        (high >> 32) as u32,
        a / (c | 1),
        a & b | !a & c,
    ]
}

/// A lane that would have to look outside of its part keeps its own word.
fn shuffles(words: &[u32]) -> Vec<u32> {
    let (word, other) = (&words[..32], |lane: usize| words[32 + lane] as usize % 32);
    let mut out = Vec::new();
    let mut row = |value: &dyn Fn(usize) -> u32| out.extend((0..32).map(value));
    let up = |lane: usize, by: usize, part: usize| if lane % part >= by { word[lane - by] } else { word[lane] };
    let down = |lane: usize, by: usize, part: usize| if lane % part + by < part { word[lane + by] } else { word[lane] };
    row(&|lane| word[other(lane)]);
    row(&|lane| word[lane / 8 * 8 + other(lane) % 8]);
    row(&|_| word[5]);
    row(&|lane| up(lane, 1, 32));
    row(&|lane| up(lane, 3, 16));
    row(&|lane| up(lane, other(lane), 8));
    row(&|lane| down(lane, 1, 32));
    row(&|lane| down(lane, 7, 16));
    row(&|lane| down(lane, other(lane), 8));
    row(&|lane| word[lane ^ 1]);
    row(&|lane| word[lane ^ 0x15]);
    // Within parts of eight, a lane may look into parts below its own and into none above.
    row(&|lane| if lane ^ 0xc < lane / 8 * 8 + 8 { word[lane ^ 0xc] } else { word[lane] });
    let ballot = word.iter().enumerate().map(|(lane, word)| (word & 1) << lane).sum();
    row(&|_| ballot);
    row(&|_| 1);
    row(&|_| 1);
    row(&|_| u32::from(word.iter().all(|word| word & 1 == 1)));
    out
}

fn atomics(words: &[u32]) -> Vec<u32> {
    let signed = || words.iter().map(|word| *word as i32);
    let exact: i64 = words.iter().map(|word| crate::products::small(*word)).sum();
    let each = [
        words.iter().fold(0, |sum: u32, word| sum.wrapping_add(*word)),
        signed().min().unwrap_or(0) as u32,
        signed().max().unwrap_or(0).max(0) as u32,
        *words.iter().min().unwrap_or(&0),
        *words.iter().max().unwrap_or(&0),
        words.iter().enumerate().fold(u32::MAX, |all, (at, word)| all & (word | 0xffff << (at % 16))),
        words.iter().fold(0, |all, word| all | 1 << (word % 32) & 0x0fff_ffff),
        words.iter().fold(0, |all, word| all ^ word),
        // From 0 to 99 and anew.
        words.len() as u32 % 100,
        (exact as f32).to_bits(),
        // A bit more from each thread, until there is no room.
        u32::MAX,
        words.len() as u32,
    ];
    let counted = (0..words.len() as u32).map(|place| place * 3);
    each.into_iter().chain(each).chain(counted).collect()
}

fn hashing(words: &[u32]) -> Vec<u32> {
    use assay::plan::mix;
    let key = |i: u32| mix(words[0] ^ mix(i / 512));
    let word = |i: u32| mix(i ^ key(i));
    let fixed = |i: u32| {
        let two = mix(word(i).wrapping_add(key(i)));
        (word(i).count_ones() << 19) as i32 + (two >> 13) as i32 - (16 << 19) - (1 << 18)
    };
    let crossed = (0..1024).map(|i| word(i) ^ words[i as usize]);
    let integers = (0..1024).map(|i| crate::products::small(word(i)) as u32);
    let floats = (0..1024).map(|i| (fixed(i) as f32 * (1.0 / (1 << 20) as f32)).to_bits());
    crossed.chain(integers).chain(floats).collect()
}
