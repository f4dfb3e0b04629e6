// matmul_registers: C[m,n] = A[m,k] * B[k,n], fp32, row-major, without workgroup memory.
//
// Idea: a software adapter runs a workgroup on one core, where barriers and copies into workgroup memory are pure cost and the cache
// already does their work; a thread keeps 4x4 outputs in registers and takes A and B by vectors.
// Tile: 4x4 outputs a thread, 8x8 threads, four steps along k at a time.
// Bound by: 16-byte loads; 16 fused multiply-adds of vectors for eight of them.

// Whether m, n and k are multiples of four, so that every vector lies in one row.
override WHOLE: bool = true;

// `row` is the first row of this dispatch, a multiple of 4.
struct Scalars { m: u32, n: u32, k: u32, row: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;
var<immediate> p: Scalars;

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

// Four steps along k for one row of outputs.
fn steps(v: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    return fma(vec4<f32>(v.w), b3, fma(vec4<f32>(v.z), b2, fma(vec4<f32>(v.y), b1, fma(vec4<f32>(v.x), b0, sum))));
}

@compute @workgroup_size(8, 8)
fn matmul_registers(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = p.row + id.y * 4u;
    let column = id.x * 4u;
    if row >= p.m || column >= p.n {
        return;
    }
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    for (var k = 0u; k < p.k; k += 4u) {
        let b0 = load_b(k, column);
        let b1 = load_b(k + 1u, column);
        let b2 = load_b(k + 2u, column);
        let b3 = load_b(k + 3u, column);
        c0 = steps(load_a(row, k), b0, b1, b2, b3, c0);
        c1 = steps(load_a(row + 1u, k), b0, b1, b2, b3, c1);
        c2 = steps(load_a(row + 2u, k), b0, b1, b2, b3, c2);
        c3 = steps(load_a(row + 3u, k), b0, b1, b2, b3, c3);
    }
    store_c(row, column, c0);
    store_c(row + 1u, column, c1);
    store_c(row + 2u, column, c2);
    store_c(row + 3u, column, c3);
}
