//! A million broken texts: the parser answers each, with a module or with an error, and never panics.

use simt::Module;

const INPUTS: u64 = 1_000_000;
const THREADS: u64 = 2;

/// Small modules that between them use every part of the grammar.
const TEXTS: &[&str] = &[
    ".version 8.0\n.target sm_90a, debug\n.address_size 64\n.global .align 4 .u32 A = 3;\n.extern .shared .align 128 .b8 d[];\n\
     .visible .entry k(.param .u64 .ptr .global .align 8 a, .param .align 64 .b8 m[128])\n.maxntid 128, 1, 1\n.minnctapersm 2\n\
     .reqnctapercluster 2, 1, 1\n{\n.reg .pred %p<3>;\n.reg .b32 %r<9>;\n.reg .b64 %rd<5>, q;\n.shared .align 16 .b8 s[1024];\n\
     ld.param.u64 %rd1, [a+0];\nmov.u32 %r1, %tid.x;\nsetp.lt.and.s32 %p1|%p2, %r1, -5, !%p2;\n$L1:\n@!%p1 bra $L1;\n\
     { .reg .pred p; mov.b64 {%r2, %r3}, %rd1; elect.sync _|p, -1; }\nret;\n}\n",
    ".version 7.0\n.target sm_80\n.address_size 64\n.entry k(.param .u64 a)\n{\n.reg .b32 %r<40>;\n.reg .f32 %f<9>;\n.reg .b64 %rd<3>;\n\
     .pragma \"nounroll\";\nld.global.L1::no_allocate.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1+-16]; // c\n/* d */ \
     mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2,%r3,%r4}, {%r5,%r6}, {%f5,%f6,%f7,%f8};\n\
     fma.rn.f32 %f1, %f2, 0f3F800000, %f3;\nadd.f64 %rd1, %rd1, 0d3FF0000000000000;\n\
     cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r1], [%rd1, {%r2, %r3}], [%r4];\nexit;\n}\n",
];

/// What replaces or joins a byte, besides its neighbours: marks and words that lead somewhere.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    ";",
    ",",
    ":",
    "::",
    "@",
    "!",
    "|",
    "+",
    "-",
    ".",
    "\"",
    "//",
    "/*",
    "*/",
    "0x",
    "0f",
    "0d",
    "_",
    "4294967295",
    "18446744073709551616",
    ".reg .b32 %z<65536>;",
    ".shared .align 4096 .b8 t[262144];",
    "%r1",
    "{{{{{{{{",
    "\u{e9}",
    "\0",
];

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn mutated(state: &mut u64) -> String {
    let mut text = TEXTS[(next(state) % TEXTS.len() as u64) as usize].to_owned();
    for _ in 0..=next(state) % 4 {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let Some(at) = places.get((next(state) % places.len().max(1) as u64) as usize).copied() else {
            break;
        };
        let rest = places.iter().copied().find(|place| *place >= at + 1 + (next(state) % 24) as usize).unwrap_or(text.len());
        match next(state) % 5 {
            0 => text.replace_range(at..rest, ""),
            1 => text.insert_str(at, PIECES[(next(state) % PIECES.len() as u64) as usize]),
            2 => text.replace_range(at..rest, PIECES[(next(state) % PIECES.len() as u64) as usize]),
            3 => text.truncate(at),
            _ => {
                let copy = text[at..rest].to_owned();
                let to = places[(next(state) % places.len() as u64) as usize];
                text.insert_str(to, &copy);
            }
        }
    }
    text
}

#[test]
fn the_parser_survives_a_million_broken_texts() {
    for text in TEXTS {
        assert!(Module::parse(text).is_ok(), "{:?}", Module::parse(text));
    }
    let parsed: u64 = std::thread::scope(|scope| {
        let workers = (0..THREADS).map(|worker| {
            scope.spawn(move || {
                let mut state = 0x9e37_79b9 + worker;
                (0..INPUTS / THREADS).filter(|_| Module::parse(&mutated(&mut state)).is_ok()).count() as u64
            })
        });
        let workers: Vec<_> = workers.collect();
        workers.into_iter().map(|worker| worker.join().expect("the parser must not panic")).sum()
    });
    assert!(
        parsed > 0 && parsed < INPUTS,
        "{parsed} of {INPUTS} texts are still modules: the mutations must break some and not all"
    );
}
