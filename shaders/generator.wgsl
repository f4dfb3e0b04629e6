// The input generator and the weights of the folds: 32-bit integers alone, so that every backend and the host make the same bits.
// Not a kernel: it is put in front of those that need it. The mixer is `lowbias32` (Chris Wellons, 2018, public domain).

fn mix_word(word: u32) -> u32 {
    var x = word;
    x ^= x >> 16u;
    x *= 0x7feb352du;
    x ^= x >> 15u;
    x *= 0x846ca68bu;
    return x ^ (x >> 16u);
}

// Key of an element whose 64-bit index has this high half.
fn element_key(seed: u32, high: u32) -> u32 {
    return mix_word(seed ^ mix_word(high));
}

fn first_word(seed: u32, low: u32, high: u32) -> u32 {
    return mix_word(low ^ element_key(seed, high));
}

fn next_word(word: u32, key: u32) -> u32 {
    return mix_word(word + key);
}

// Odd, so that a single wrong element always shows.
fn weight(seed: u32, low: u32, high: u32) -> u32 {
    return first_word(seed, low, high) | 1u;
}

// High half of a 64-bit sum whose low halves are `base` and `base + added`.
fn carried(base: u32, base_high: u32, added: u32) -> u32 {
    return base_high + select(0u, 1u, base + added < base);
}
