// triad: c = a + s * b, fp32, over the same memory `passes` times.
//
// Idea: all loads of a turn are issued before its first store, for bandwidth is bytes in flight over latency. The pass is the
// outermost loop, so that a pass returns to an element only after all the others; `shift` is zero, but the compiler cannot know it
// and must load and store again.
// Tile: four 16-byte loads of each array in flight a thread, 256 threads, 16 KiB of each array a turn; contiguous chunks.
// Bound by: bandwidth of the level that holds the footprint; one fused multiply-add for 12 bytes moved.

override THREADS: u32 = 256;
override UNROLLED: bool = true;

// A workgroup covers `chunk` of the `vectors`.
struct Scalars { vectors: u32, chunk: u32, passes: u32, s: f32, shift: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;
var<immediate> p: Scalars;

@compute @workgroup_size(THREADS)
fn triad(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let begin = group.x * p.chunk;
    let end = min(begin + p.chunk, p.vectors);
    for (var pass_index = 0u; pass_index < p.passes; pass_index++) {
        let shift = pass_index * p.shift;
        if UNROLLED {
            for (var v = begin + lane; v < end; v += 4u * THREADS) {
                if v + 3u * THREADS < end {
                    let w = v + shift;
                    let x0 = a[w];
                    let x1 = a[w + THREADS];
                    let x2 = a[w + 2u * THREADS];
                    let x3 = a[w + 3u * THREADS];
                    let y0 = b[w];
                    let y1 = b[w + THREADS];
                    let y2 = b[w + 2u * THREADS];
                    let y3 = b[w + 3u * THREADS];
                    c[w] = fma(vec4<f32>(p.s), y0, x0);
                    c[w + THREADS] = fma(vec4<f32>(p.s), y1, x1);
                    c[w + 2u * THREADS] = fma(vec4<f32>(p.s), y2, x2);
                    c[w + 3u * THREADS] = fma(vec4<f32>(p.s), y3, x3);
                } else {
                    for (var t = v; t < end; t += THREADS) {
                        c[t + shift] = fma(vec4<f32>(p.s), b[t + shift], a[t + shift]);
                    }
                }
            }
        } else {
            for (var j = 4u * begin + lane; j < 4u * end; j += THREADS) {
                c[(j >> 2u) + shift][j & 3u] = fma(p.s, b[(j >> 2u) + shift][j & 3u], a[(j >> 2u) + shift][j & 3u]);
            }
        }
    }
}
