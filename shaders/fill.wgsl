// fill: the input generator written into a buffer, or one word everywhere.
//
// Idea: an element's value is a hash of its index, so no table is kept and the host can make it anew (generator.wgsl).
// Tile: a contiguous chunk a workgroup, an element a thread at a time.
// Bound by: integer arithmetic; it is never timed.

override THREADS: u32 = 256;

const EXACT: u32 = 0;    // fp32, the integers -3 to 3
const RANDOM: u32 = 1;   // fp32, bell-shaped
const WORD: u32 = 2;     // uint32, the generator's first word

// A workgroup covers `chunk` of the `elements`, of which the first has the index `base` in the whole.
struct Scalars { elements: u32, chunk: u32, base: u32, base_high: u32, seed: u32, kind: u32, constant: u32 }

@group(0) @binding(0) var<storage, read_write> out: array<u32>;
var<immediate> p: Scalars;

fn value(low: u32, high: u32) -> u32 {
    let word = first_word(p.seed, low, high);
    if p.kind == EXACT {
        return bitcast<u32>(f32(i32(((word >> 16u) * 7u) >> 16u) - 3));
    }
    if p.kind == RANDOM {
        let second = next_word(word, element_key(p.seed, high));
        let fixed = i32((countOneBits(word) << 19u) + (second >> 13u)) - (16i << 19u) - (1i << 18u);
        return bitcast<u32>(f32(fixed) * 0x1p-20f);
    }
    return select(p.constant, word, p.kind == WORD);
}

@compute @workgroup_size(THREADS)
fn fill(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let begin = group.x * p.chunk;
    let end = min(begin + p.chunk, p.elements);
    for (var e = begin + lane; e < end; e += THREADS) {
        out[e] = value(p.base + e, carried(p.base, p.base_high, e));
    }
}
