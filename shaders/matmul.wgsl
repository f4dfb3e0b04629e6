// matmul: C[m,n] = A[m,k] * B[k,n], fp32, row-major, by tiles in workgroup memory.
//
// Idea: half of the threads fetch 4x4 blocks of A and turn them over in registers, the other half fetch B, so that both slabs lie in
// workgroup memory as vectors along the tile's edge; the next slab is fetched before the current one is used. Accumulators are named,
// since an indexed array would spill on several drivers.
// Tile: 128x128, slabs of 16 along k, 256 threads of 8x8 outputs each as 2x2 blocks of 4x4; 16 KiB of workgroup memory.
// Bound by: fp32 issue; 64 fused multiply-adds for four 16-byte reads of workgroup memory.

// Whether m, n and k are multiples of the tile, so that no access needs a guard.
override WHOLE: bool = true;

// `row` is the first row of this dispatch, a multiple of 128.
struct Scalars { m: u32, n: u32, k: u32, row: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;
var<immediate> p: Scalars;

const SLAB: u32 = 16;
const EDGE: u32 = 32;   // vectors along an edge of the tile
var<workgroup> slab_a: array<vec4<f32>, 512>;   // [k][row / 4]
var<workgroup> slab_b: array<vec4<f32>, 512>;   // [k][column / 4]

// An element of A; zero beyond the edges.
fn element_a(row: u32, column: u32) -> f32 {
    if row < p.m && column < p.k {
        let at = row * p.k + column;
        return a[at / 4u][at % 4u];
    }
    return 0.0;
}

// Four elements of a row of A.
fn load_a(row: u32, column: u32) -> vec4<f32> {
    let at = row * p.k + column;
    if WHOLE {
        return a[at / 4u];
    }
    if at % 4u == 0u && row < p.m && column + 4u <= p.k {
        return a[at / 4u];
    }
    return vec4<f32>(
        element_a(row, column), element_a(row, column + 1u), element_a(row, column + 2u), element_a(row, column + 3u),
    );
}

// An element of B; zero beyond the edges.
fn element_b(row: u32, column: u32) -> f32 {
    if row < p.k && column < p.n {
        let at = row * p.n + column;
        return b[at / 4u][at % 4u];
    }
    return 0.0;
}

// Four elements of a row of B.
fn load_b(row: u32, column: u32) -> vec4<f32> {
    let at = row * p.n + column;
    if WHOLE {
        return b[at / 4u];
    }
    if at % 4u == 0u && row < p.k && column + 4u <= p.n {
        return b[at / 4u];
    }
    return vec4<f32>(
        element_b(row, column), element_b(row, column + 1u), element_b(row, column + 2u), element_b(row, column + 3u),
    );
}

fn store_element(row: u32, column: u32, v: f32) {
    if row < p.m && column < p.n {
        let at = row * p.n + column;
        c[at / 4u][at % 4u] = v;
    }
}

fn store_c(row: u32, column: u32, v: vec4<f32>) {
    if WHOLE {
        c[(row * p.n + column) / 4u] = v;
    } else {
        store_element(row, column, v.x);
        store_element(row, column + 1u, v.y);
        store_element(row, column + 2u, v.z);
        store_element(row, column + 3u, v.w);
    }
}

struct Fetched { v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32> }

// What this thread brings of the slab that begins at column `k` of A.
fn fetch(lane: u32, row: u32, column: u32, k: u32) -> Fetched {
    if lane < 128u {
        let r = row + (lane % EDGE) * 4u;
        let d = k + (lane / EDGE) * 4u;
        return Fetched(load_a(r, d), load_a(r + 1u, d), load_a(r + 2u, d), load_a(r + 3u, d));
    }
    let d = k + (lane - 128u) / EDGE;
    let across = column + (lane % EDGE) * 4u;
    return Fetched(load_b(d, across), load_b(d + 4u, across), load_b(d + 8u, across), load_b(d + 12u, across));
}

fn put(lane: u32, f: Fetched) {
    if lane < 128u {
        let at = (lane / EDGE) * 4u * EDGE + lane % EDGE;
        slab_a[at] = vec4<f32>(f.v0.x, f.v1.x, f.v2.x, f.v3.x);
        slab_a[at + EDGE] = vec4<f32>(f.v0.y, f.v1.y, f.v2.y, f.v3.y);
        slab_a[at + 2u * EDGE] = vec4<f32>(f.v0.z, f.v1.z, f.v2.z, f.v3.z);
        slab_a[at + 3u * EDGE] = vec4<f32>(f.v0.w, f.v1.w, f.v2.w, f.v3.w);
    } else {
        let at = lane - 128u;
        slab_b[at] = f.v0;
        slab_b[at + 128u] = f.v1;
        slab_b[at + 256u] = f.v2;
        slab_b[at + 384u] = f.v3;
    }
}

@compute @workgroup_size(256)
fn matmul(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = p.row + group.y * 128u;
    let column = group.x * 128u;
    let tx = lane % 16u;
    let ty = lane / 16u;
    // Accumulators by row of the thread's outputs: `l` the left four columns, `r` the four that are 64 further.
    var l0 = vec4<f32>();
    var r0 = vec4<f32>();
    var l1 = vec4<f32>();
    var r1 = vec4<f32>();
    var l2 = vec4<f32>();
    var r2 = vec4<f32>();
    var l3 = vec4<f32>();
    var r3 = vec4<f32>();
    var l4 = vec4<f32>();
    var r4 = vec4<f32>();
    var l5 = vec4<f32>();
    var r5 = vec4<f32>();
    var l6 = vec4<f32>();
    var r6 = vec4<f32>();
    var l7 = vec4<f32>();
    var r7 = vec4<f32>();
    var next = fetch(lane, row, column, 0u);
    for (var k = 0u; k < p.k; k += SLAB) {
        workgroupBarrier();
        put(lane, next);
        workgroupBarrier();
        if k + SLAB < p.k {
            next = fetch(lane, row, column, k + SLAB);
        }
        for (var d = 0u; d < SLAB; d++) {
            let top = slab_a[d * EDGE + ty];
            let bottom = slab_a[d * EDGE + ty + 16u];
            let left = slab_b[d * EDGE + tx];
            let right = slab_b[d * EDGE + tx + 16u];
            l0 = fma(vec4<f32>(top.x), left, l0);
            r0 = fma(vec4<f32>(top.x), right, r0);
            l1 = fma(vec4<f32>(top.y), left, l1);
            r1 = fma(vec4<f32>(top.y), right, r1);
            l2 = fma(vec4<f32>(top.z), left, l2);
            r2 = fma(vec4<f32>(top.z), right, r2);
            l3 = fma(vec4<f32>(top.w), left, l3);
            r3 = fma(vec4<f32>(top.w), right, r3);
            l4 = fma(vec4<f32>(bottom.x), left, l4);
            r4 = fma(vec4<f32>(bottom.x), right, r4);
            l5 = fma(vec4<f32>(bottom.y), left, l5);
            r5 = fma(vec4<f32>(bottom.y), right, r5);
            l6 = fma(vec4<f32>(bottom.z), left, l6);
            r6 = fma(vec4<f32>(bottom.z), right, r6);
            l7 = fma(vec4<f32>(bottom.w), left, l7);
            r7 = fma(vec4<f32>(bottom.w), right, r7);
        }
    }
    let top_row = row + ty * 4u;
    let left_column = column + tx * 4u;
    store_c(top_row, left_column, l0);
    store_c(top_row, left_column + 64u, r0);
    store_c(top_row + 1u, left_column, l1);
    store_c(top_row + 1u, left_column + 64u, r1);
    store_c(top_row + 2u, left_column, l2);
    store_c(top_row + 2u, left_column + 64u, r2);
    store_c(top_row + 3u, left_column, l3);
    store_c(top_row + 3u, left_column + 64u, r3);
    store_c(top_row + 64u, left_column, l4);
    store_c(top_row + 64u, left_column + 64u, r4);
    store_c(top_row + 65u, left_column, l5);
    store_c(top_row + 65u, left_column + 64u, r5);
    store_c(top_row + 66u, left_column, l6);
    store_c(top_row + 66u, left_column + 64u, r6);
    store_c(top_row + 67u, left_column, l7);
    store_c(top_row + 67u, left_column + 64u, r7);
}
