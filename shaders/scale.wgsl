// scale: c = s * a, fp32.
//
// Idea: all loads of a turn are issued before its first store, for bandwidth is bytes in flight over latency.
// Tile: four 16-byte loads in flight a thread, 256 threads, 16 KiB of each array a turn; grid-stride.
// Bound by: DRAM bandwidth; one multiplication for 8 bytes moved.

override THREADS: u32 = 256;
override UNROLLED: bool = true;

struct Scalars { vectors: u32, s: f32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> c: array<vec4<f32>>;
var<immediate> p: Scalars;

@compute @workgroup_size(THREADS)
fn scale(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    if UNROLLED {
        let turn = 4u * THREADS;
        for (var v = group.x * turn + lane; v < p.vectors; v += groups.x * turn) {
            if v + 3u * THREADS < p.vectors {
                let x0 = a[v];
                let x1 = a[v + THREADS];
                let x2 = a[v + 2u * THREADS];
                let x3 = a[v + 3u * THREADS];
                c[v] = p.s * x0;
                c[v + THREADS] = p.s * x1;
                c[v + 2u * THREADS] = p.s * x2;
                c[v + 3u * THREADS] = p.s * x3;
            } else {
                for (var t = v; t < p.vectors; t += THREADS) {
                    c[t] = p.s * a[t];
                }
            }
        }
    } else {
        for (var j = group.x * THREADS + lane; j < p.vectors * 4u; j += groups.x * THREADS) {
            c[j >> 2u][j & 3u] = p.s * a[j >> 2u][j & 3u];
        }
    }
}
