// residual: how far a whole product is from A·B, block by block.
//
// Idea: Freivalds' check (1977), with a vector for every 64 columns whose entries are 1 or -1 at random: C·x against A·(B·x), in single
// precision, since there is no other here. The error of a right product then grows with the root of 64 alone, and what this adds to it
// by rounding is far below what a product of that depth may be off by.
// Tile: a workgroup takes 128 rows of one such block of columns, a row a thread; 64 elements of B·x at a time lie in workgroup memory.
// Bound by: the level that delivers A, which is read once for each 64 columns; it is never timed.

const ROWS: u32 = 128;
const SIDE: u32 = 64;
const SLAB: u32 = 64;
const SIGN: u32 = 0x53;   // 'S': tells signs from the weights of folds

// `block` is the first of this dispatch, row by row of blocks.
struct Scalars { m: u32, n: u32, k: u32, seed: u32, block: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read_write> worst: array<f32>;
var<immediate> p: Scalars;

var<workgroup> parts_of_b: array<f32, 128>;   // two for each element
var<workgroup> apart: array<f32, 128>;

fn signed_by(column: u32, value: f32) -> f32 {
    if (first_word(p.seed ^ SIGN, column, 0u) & 1u) == 1u {
        return -value;
    }
    return value;
}

@compute @workgroup_size(128)
fn residual(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let across = (p.n + SIDE - 1u) / SIDE;
    let block = p.block + group.x;
    let first = block % across * SIDE;
    let row = block / across * ROWS + lane;
    let width = min(SIDE, p.n - first);
    let mine = lane % SLAB;
    var product = 0.0;
    for (var slab = 0u; slab < p.k; slab += SLAB) {
        let depth = min(SLAB, p.k - slab);
        var sum = 0.0;
        if mine < depth {
            for (var at = lane / SLAB; at < width; at += ROWS / SLAB) {
                sum += signed_by(first + at, b[(slab + mine) * p.n + first + at]);
            }
        }
        workgroupBarrier();   // the slab before may still be read
        parts_of_b[lane] = sum;
        workgroupBarrier();
        if row < p.m {
            for (var at = 0u; at < depth; at++) {
                product += a[row * p.k + slab + at] * (parts_of_b[at] + parts_of_b[SLAB + at]);
            }
        }
    }
    var off = 0.0;
    if row < p.m {
        var stored = 0.0;
        for (var at = 0u; at < width; at++) {
            stored += signed_by(first + at, c[row * p.n + first + at]);
        }
        off = abs(stored - product);
        // What is no finite number is as far away as can be: told by its bits, for compilers may take there to be none.
        if (bitcast<u32>(off) & 0x7f800000u) == 0x7f800000u {
            off = 3.0e38;
        }
    }
    apart[lane] = off;
    for (var half = ROWS / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane < half {
            apart[lane] = max(apart[lane], apart[lane + half]);
        }
    }
    if lane == 0u {
        worst[block] = apart[0];
    }
}
