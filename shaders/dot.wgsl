// dot: partial s = sum over segment s of a * b, fp32.
//
// Idea: four running sums a thread and a tree over the workgroup, always in the same order, so that the result repeats bit by bit. A
// workgroup sums whole segments, so no partial depends on the size of the grid.
// Tile: four 16-byte loads of each array in flight a thread, 256 threads, a workgroup a segment at a time.
// Bound by: DRAM read bandwidth; one fused multiply-add for 8 bytes moved.

override THREADS: u32 = 256;
override UNROLLED: bool = true;

// `length` elements a segment, of which the bound pieces hold `segments`, the first being `first` of the whole.
struct Scalars { segments: u32, length: u32, first: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
var<immediate> p: Scalars;

const COLUMNS: u32 = 16;
var<workgroup> scratch: array<f32, 256>;

// This thread's share of `count` vectors of each array.
fn dot_vectors(begin: u32, count: u32, lane: u32) -> f32 {
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    var v = begin + lane;
    for (; v + 3u * THREADS < begin + count; v += 4u * THREADS) {
        let x0 = a[v];
        let x1 = a[v + THREADS];
        let x2 = a[v + 2u * THREADS];
        let x3 = a[v + 3u * THREADS];
        let y0 = b[v];
        let y1 = b[v + THREADS];
        let y2 = b[v + 2u * THREADS];
        let y3 = b[v + 3u * THREADS];
        sum0 = fma(x0, y0, sum0);
        sum1 = fma(x1, y1, sum1);
        sum2 = fma(x2, y2, sum2);
        sum3 = fma(x3, y3, sum3);
    }
    for (; v < begin + count; v += THREADS) {
        sum0 = fma(a[v], b[v], sum0);
    }
    let sum = (sum0 + sum1) + (sum2 + sum3);
    return (sum.x + sum.y) + (sum.z + sum.w);
}

// The same an element at a time: segments that are not whole vectors, and the slow twin.
fn dot_elements(begin: u32, count: u32, lane: u32) -> f32 {
    var sum = 0.0;
    for (var j = begin + lane; j < begin + count; j += THREADS) {
        sum = fma(a[j >> 2u][j & 3u], b[j >> 2u][j & 3u], sum);
    }
    return sum;
}

// Sum over the workgroup, for lane 0 alone. Two steps instead of a tree: a barrier costs more than a few additions.
fn sum_lanes(lane: u32) -> f32 {
    workgroupBarrier();
    if lane < COLUMNS {
        var column = 0.0;
        for (var i = lane; i < THREADS; i += COLUMNS) {
            column += scratch[i];
        }
        scratch[lane] = column;
    }
    workgroupBarrier();
    var sum = 0.0;
    if lane == 0u {
        for (var i = 0u; i < min(COLUMNS, THREADS); i++) {
            sum += scratch[i];
        }
    }
    return sum;
}

@compute @workgroup_size(THREADS)
fn dot_product(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var segment = group.x; segment < p.segments; segment += groups.x) {
        let begin = segment * p.length;
        if UNROLLED && p.length % 4u == 0u {
            scratch[lane] = dot_vectors(begin / 4u, p.length / 4u, lane);
        } else {
            scratch[lane] = dot_elements(begin, p.length, lane);
        }
        let sum = sum_lanes(lane);
        if lane == 0u {
            partials[p.first + segment] = sum;
        }
        workgroupBarrier();
    }
}
