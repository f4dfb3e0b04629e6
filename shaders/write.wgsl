// write: word j of c = first(seed, j mod 16) + (j / 16) * golden ratio, uint32.
//
// Idea: a Weyl sequence over 64-byte lines of 16 random words, so that no memory can compress what it is given. A thread stays in one
// column of the lines, hence its four random words are made once.
// Tile: four 16-byte stores a thread, 256 threads; grid-stride.
// Bound by: DRAM write bandwidth.

override THREADS: u32 = 256;
override UNROLLED: bool = true;

const GOLDEN: u32 = 0x9E3779B1u;

// `line` is the index of the first 64-byte line of the bound piece in the whole.
struct Scalars { vectors: u32, seed: u32, line: u32 }

@group(0) @binding(0) var<storage, read_write> c: array<vec4<u32>>;
var<immediate> p: Scalars;

@compute @workgroup_size(THREADS)
fn write_words(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let column = (lane % 4u) * 4u;
    let words = vec4<u32>(
        first_word(p.seed, column, 0u), first_word(p.seed, column + 1u, 0u),
        first_word(p.seed, column + 2u, 0u), first_word(p.seed, column + 3u, 0u),
    );
    if UNROLLED {
        let turn = 4u * THREADS;
        for (var v = group.x * turn + lane; v < p.vectors; v += groups.x * turn) {
            let pattern = words + vec4<u32>((p.line + v / 4u) * GOLDEN);
            if v + 3u * THREADS < p.vectors {
                let step = vec4<u32>((THREADS / 4u) * GOLDEN);
                c[v] = pattern;
                c[v + THREADS] = pattern + step;
                c[v + 2u * THREADS] = pattern + step * 2u;
                c[v + 3u * THREADS] = pattern + step * 3u;
            } else {
                for (var t = v; t < p.vectors; t += THREADS) {
                    c[t] = words + vec4<u32>((p.line + t / 4u) * GOLDEN);
                }
            }
        }
    } else {
        for (var j = group.x * THREADS + lane; j < p.vectors * 4u; j += groups.x * THREADS) {
            c[j >> 2u][j & 3u] = first_word(p.seed, j % 16u, 0u) + (p.line + j / 16u) * GOLDEN;
        }
    }
}
