// matmul_naive: C[m,n] = A[m,k] * B[k,n], fp32, row-major, as written on paper.
//
// Idea: none; it is slow on purpose. Wherever speed is measured it must measure slower, so that a broken clock cannot pass.
// Tile: an output a thread, 8x8 threads.
// Bound by: two 4-byte loads for each fused multiply-add.

// `row` is the first row of this dispatch.
struct Scalars { m: u32, n: u32, k: u32, row: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
var<immediate> p: Scalars;

@compute @workgroup_size(8, 8)
fn matmul_naive(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = p.row + id.y;
    let column = id.x;
    if row >= p.m || column >= p.n {
        return;
    }
    var sum = 0.0;
    for (var k = 0u; k < p.k; k++) {
        sum = fma(a[row * p.k + k], b[k * p.n + column], sum);
    }
    c[row * p.n + column] = sum;
}
