// read: partial s = wrapping sum of the words of segment s, times `passes`, uint32.
//
// Idea: load and nothing else; the sum of words is the cheapest use of a value that no compiler can drop. The pass is the outermost
// loop, so that a pass returns to a word only after all the others; `shift` is zero, but the compiler cannot know it and must load
// again.
// Tile: four 16-byte loads in flight a thread, 256 threads, a workgroup a segment at a time.
// Bound by: bandwidth of the level that holds the footprint.

override THREADS: u32 = 256;
override UNROLLED: bool = true;

// `length` words a segment, of which the bound piece holds `segments`, the first being `first` of the whole; with `keep` = 1 partials
// add to what is there.
struct Scalars { segments: u32, length: u32, passes: u32, first: u32, keep: u32, shift: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> partials: array<u32>;
var<immediate> p: Scalars;

const COLUMNS: u32 = 16;
var<workgroup> scratch: array<u32, 256>;

// This thread's share of `count` vectors.
fn sum_vectors(begin: u32, count: u32, lane: u32) -> u32 {
    var sum = vec4<u32>();
    var v = begin + lane;
    for (; v + 3u * THREADS < begin + count; v += 4u * THREADS) {
        let x0 = a[v];
        let x1 = a[v + THREADS];
        let x2 = a[v + 2u * THREADS];
        let x3 = a[v + 3u * THREADS];
        sum += (x0 + x1) + (x2 + x3);
    }
    for (; v < begin + count; v += THREADS) {
        sum += a[v];
    }
    return sum.x + sum.y + sum.z + sum.w;
}

// The same a word at a time: segments that are not whole vectors, and the slow twin.
fn sum_words(begin: u32, count: u32, lane: u32) -> u32 {
    var sum = 0u;
    for (var j = begin + lane; j < begin + count; j += THREADS) {
        sum += a[j >> 2u][j & 3u];
    }
    return sum;
}

// Sum over the workgroup, for lane 0 alone. Two steps instead of a tree: a barrier costs more than a few additions.
fn sum_lanes(lane: u32) -> u32 {
    workgroupBarrier();
    if lane < COLUMNS {
        var column = 0u;
        for (var i = lane; i < THREADS; i += COLUMNS) {
            column += scratch[i];
        }
        scratch[lane] = column;
    }
    workgroupBarrier();
    var sum = 0u;
    if lane == 0u {
        for (var i = 0u; i < min(COLUMNS, THREADS); i++) {
            sum += scratch[i];
        }
    }
    return sum;
}

@compute @workgroup_size(THREADS)
fn read_words(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var pass_index = 0u; pass_index < p.passes; pass_index++) {
        for (var segment = group.x; segment < p.segments; segment += groups.x) {
            let begin = segment * p.length + pass_index * p.shift;
            if UNROLLED && p.length % 4u == 0u {
                scratch[lane] = sum_vectors(begin / 4u, p.length / 4u, lane);
            } else {
                scratch[lane] = sum_words(begin, p.length, lane);
            }
            let sum = sum_lanes(lane);
            if lane == 0u {
                let partial = p.first + segment;
                partials[partial] = select(0u, partials[partial], pass_index + p.keep > 0u) + sum;
            }
            workgroupBarrier();
        }
    }
}
