// scale: c = s * a, fp32.
//
// Idea: all loads of a turn are issued before its first store, for bandwidth is bytes in flight over latency.
// Tile: four 16-byte loads in flight a thread, 256 threads, 16 KiB of each array a turn; contiguous chunks.
// Bound by: DRAM bandwidth; one multiplication for 8 bytes moved.

override THREADS: u32 = 256;
override UNROLLED: bool = true;

// A workgroup covers `chunk` of the `vectors`.
struct Scalars { vectors: u32, chunk: u32, s: f32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> c: array<vec4<f32>>;
var<immediate> p: Scalars;

@compute @workgroup_size(THREADS)
fn scale(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let begin = group.x * p.chunk;
    let end = min(begin + p.chunk, p.vectors);
    if UNROLLED {
        for (var v = begin + lane; v < end; v += 4u * THREADS) {
            if v + 3u * THREADS < end {
                let x0 = a[v];
                let x1 = a[v + THREADS];
                let x2 = a[v + 2u * THREADS];
                let x3 = a[v + 3u * THREADS];
                c[v] = p.s * x0;
                c[v + THREADS] = p.s * x1;
                c[v + 2u * THREADS] = p.s * x2;
                c[v + 3u * THREADS] = p.s * x3;
            } else {
                for (var t = v; t < end; t += THREADS) {
                    c[t] = p.s * a[t];
                }
            }
        }
    } else {
        for (var j = 4u * begin + lane; j < 4u * end; j += THREADS) {
            c[j >> 2u][j & 3u] = p.s * a[j >> 2u][j & 3u];
        }
    }
}
