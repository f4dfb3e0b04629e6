// write: word j of c = first(seed, j mod 16) + (j / 16) * golden ratio, uint32.
//
// Idea: a Weyl sequence over 64-byte lines of 16 random words, so that no memory can compress what it is given. A thread stays in one
// column of the lines, hence its four random words are made once.
// Tile: four 16-byte stores a thread, 256 threads; contiguous chunks.
// Bound by: DRAM write bandwidth.

override THREADS: u32 = 256;
override UNROLLED: bool = true;

const GOLDEN: u32 = 0x9E3779B1u;

// `line` is the index of the first 64-byte line of the bound piece in the whole.
// A workgroup covers `chunk` of the `vectors`.
struct Scalars { vectors: u32, chunk: u32, seed: u32, line: u32 }

@group(0) @binding(0) var<storage, read_write> c: array<vec4<u32>>;
var<immediate> p: Scalars;

@compute @workgroup_size(THREADS)
fn write_words(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let begin = group.x * p.chunk;
    let end = min(begin + p.chunk, p.vectors);
    let column = (lane % 4u) * 4u;
    let words = vec4<u32>(
        first_word(p.seed, column, 0u), first_word(p.seed, column + 1u, 0u),
        first_word(p.seed, column + 2u, 0u), first_word(p.seed, column + 3u, 0u),
    );
    if UNROLLED {
        for (var v = begin + lane; v < end; v += 4u * THREADS) {
            let pattern = words + vec4<u32>((p.line + v / 4u) * GOLDEN);
            if v + 3u * THREADS < end {
                let step = vec4<u32>((THREADS / 4u) * GOLDEN);
                c[v] = pattern;
                c[v + THREADS] = pattern + step;
                c[v + 2u * THREADS] = pattern + step * 2u;
                c[v + 3u * THREADS] = pattern + step * 3u;
            } else {
                for (var t = v; t < end; t += THREADS) {
                    c[t] = words + vec4<u32>((p.line + t / 4u) * GOLDEN);
                }
            }
        }
    } else {
        for (var j = 4u * begin + lane; j < 4u * end; j += THREADS) {
            c[j >> 2u][j & 3u] = first_word(p.seed, j % 16u, 0u) + (p.line + j / 16u) * GOLDEN;
        }
    }
}
