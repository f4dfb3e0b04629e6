// link: word i = word i - 1, plus one; word 0 = the input, plus one. One of a chain of dispatches that depend on each other.
//
// Idea: next to nothing, so that what is timed is how soon one dispatch follows another; but something, so that one left out, done
// twice or done before its predecessor is seen in every word behind it.
// Tile: one workgroup, of which one thread works.
// Bound by: dispatching.

override THREADS: u32 = 32;
override UNROLLED: bool = true;

// `nothing` is zero; a compiler cannot know.
struct Scalars { index: u32, detours: u32, nothing: u32 }

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
var<immediate> p: Scalars;

@compute @workgroup_size(THREADS)
fn link(@builtin(local_invocation_index) lane: u32) {
    if lane != 0u {
        return;
    }
    let before = max(p.index, 1u) - 1u;
    var word = words[before];
    // The slow twin reads it anew, each time from an address that depends on what was read before.
    if !UNROLLED {
        for (var i = 0u; i < p.detours; i += 1u) {
            word = words[before + (word & p.nothing)];
        }
    }
    words[p.index] = select(word, a[0], p.index == 0u) + 1u;
}
