// fold: one word that a wrong element or bit of an output must change.
//
// Idea: a wrapping sum of products with odd weights, in any order the same. BITS hashes words; the others are Freivalds' check in
// integers: the weight of an element is that of its row times that of its column (R. Freivalds, 1977).
// Tile: a contiguous chunk a workgroup, an element a thread at a time; a tree over the workgroup, one atomic addition a workgroup.
// Bound by: integer arithmetic; it is never timed.

override THREADS: u32 = 256;

const BITS: u32 = 0;
const SINGLES: u32 = 1;   // values of fp32, as integers
const WORDS: u32 = 2;     // values of uint32
const ROW: u32 = 0x52;    // 'R' and 'C': the two weights of an element must differ
const COLUMN: u32 = 0x43;

// A workgroup covers `chunk` of the `elements`. `base` is the index of the first element in the whole output, (`row`, `column`) its place; `column` + elements stays below 2^32.
struct Scalars {
    elements: u32, chunk: u32, base: u32, base_high: u32, kind: u32,
    columns: u32, row: u32, row_high: u32, column: u32,
    seed: u32, slot: u32,
}

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<atomic<u32>>;
var<immediate> p: Scalars;

var<workgroup> scratch: array<u32, 256>;

fn term(e: u32) -> u32 {
    let word = a[e];
    if p.kind == BITS {
        return word * weight(p.seed, p.base + e, carried(p.base, p.base_high, e));
    }
    let down = (p.column + e) / p.columns;
    let across = (p.column + e) % p.columns;
    let rows = weight(p.seed ^ ROW, p.row + down, carried(p.row, p.row_high, down));
    var integer = word;
    if p.kind == SINGLES {
        integer = bitcast<u32>(i32(bitcast<f32>(word)));
    }
    return integer * rows * weight(p.seed ^ COLUMN, across, 0u);
}

@compute @workgroup_size(THREADS)
fn fold(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let begin = group.x * p.chunk;
    let end = min(begin + p.chunk, p.elements);
    var sum = 0u;
    for (var e = begin + lane; e < end; e += THREADS) {
        sum += term(e);
    }
    scratch[lane] = sum;
    for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if lane < half {
            scratch[lane] += scratch[lane + half];
        }
    }
    if lane == 0u {
        atomicAdd(&sums[p.slot], scratch[0]);
    }
}
