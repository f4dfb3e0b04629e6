//! The jobs of the kernels that take memory apart: chases from link to link, additions that meet, streams by bulk copies; and of the gate.

use crate::job::{Argument, Claim, Contents, Expected, Job, equals, filled};
use crate::stems::{BLOCKS, HIGH, Macros, SEED, constant, double, geometry, products};
use assay::plan;

/// The jobs of a stem; `None` for one of another kind.
pub fn jobs(stem: &str, macros: &Macros) -> Option<Vec<Job>> {
    Some(match stem {
        "links" => links(macros),
        "chase" => chase(macros),
        "gate" => gate(macros),
        "atomic_spread" | "atomic_shared" => spread(macros, stem == "atomic_shared"),
        "atomic_one" => one(macros),
        "copy_bulk" => bulk(macros, 1, 0, &[], |x, _| x),
        "scale_bulk" => bulk(macros, 1, 1, &[FACTOR.to_bits()], |x, _| FACTOR * x),
        "add_bulk" => bulk(macros, 2, 1, &[], |x, y| x + y),
        // The compiler contracts the product and the sum into one rounding.
        "triad_bulk" => bulk(macros, 2, 2, &[1, FACTOR.to_bits()], |x, y| FACTOR.mul_add(y, x)),
        "read_bulk" => read_bulk(macros),
        "write_bulk" => write_bulk(macros),
        "dot_bulk" => dot_bulk(macros),
        "all_reduce" => all_reduce(macros),
        _ => return None,
    })
}

const FACTOR: f64 = 3.25;

/// One that is open, and two that nobody opens: the kernel says so once its patience is at an end, and not sooner than it began.
fn gate(macros: &Macros) -> Vec<Job> {
    let job = |opened: u32, patience: u64| Job {
        name: format!("opened for {opened:#x}, waits {patience} ns"),
        geometry: geometry(macros, 1),
        buffers: vec![filled(2, move |at| [opened, SEED][at])],
        window: None,
        arguments: vec![Argument::Buffer(0), Argument::Word(u64::from(HIGH) | 1 << 40), Argument::Word(patience)],
        expected: vec![(0, equals(move |at| [opened, if opened == HIGH { SEED } else { HIGH }][at]))],
        claim: Some(match opened {
            HIGH => Claim { read: 4, ..Claim::default() },
            // A look takes no ten instructions, of a nanosecond each.
            _ => Claim { read: 4 * (patience / 10), written: 4, looks: true, ..Claim::default() },
        }),
    };
    vec![job(HIGH, 0), job(HIGH - 1, 0), job(HIGH ^ 1 << 31, 200)]
}

/// The line behind a line (kernels/cycle.cuh).
fn next_line(line: u64, lines: u64) -> u64 {
    (1_664_525 * line + 1_013_904_223) % lines
}

fn links(macros: &Macros) -> Vec<Job> {
    let job = |lines: u64| Job {
        name: format!("{lines} lines"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![filled(lines as usize * 16, |_| 0_u64)],
        window: None,
        arguments: vec![Argument::Buffer(0), Argument::Word(lines)],
        expected: vec![(
            0,
            Box::new(move |bytes| {
                let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
                // The links tell where the memory begins: one of them leads to its first line.
                let base = (0..lines as usize).map(|line| words[line * 16]).min().unwrap_or(0);
                let wrong = (0..lines).find(|line| words[*line as usize * 16] != base + next_line(*line, lines) * 128);
                let between = (0..words.len()).find(|at| at % 16 != 0 && words[*at] != 0);
                match (wrong, between) {
                    (None, None) => Ok(()),
                    other => Err(format!("line {other:?} is wrong")),
                }
            }),
        )],
        claim: Some(Claim { written: lines * 8, ..Claim::default() }),
    };
    vec![job(1), job(2), job(1024), job(8192)]
}

/// Clocks and nanoseconds of a chase: an instruction is a tick here, and there is little else than hops between the two looks.
fn spent(hops: u64, detour: bool) -> Expected {
    // A detour finds its line by squaring, in some hundreds of instructions.
    let most = if detour { hops * 1500 + 100 } else { hops * 2 + 100 };
    Box::new(move |bytes| {
        let words: Vec<u64> = bytes.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_le_bytes(*word))).collect();
        let [clocks, nanoseconds] = words[..] else { return Err(format!("{} words", words.len())) };
        // The look at the nanoseconds lies outside of that at the clock.
        let right = (hops..=most).contains(&clocks) && (clocks..=clocks + 20).contains(&nanoseconds);
        if right { Ok(()) } else { Err(format!("{clocks} clocks and {nanoseconds} ns for {hops} hops, {most} at the most")) }
    })
}

fn chase(macros: &Macros) -> Vec<Job> {
    let job = |lines: u64, hops: u64, before: u64| {
        let detours = hops * constant(macros, "DETOUR");
        let words = [lines, hops, 1, u64::from(SEED)].map(Argument::Word);
        Job {
            name: format!("{hops} hops through {lines} lines after {before} launches"),
            geometry: geometry(macros, 1),
            buffers: vec![linked(lines), filled(1, |_| before), Contents::Poison(4), Contents::Poison(8)],
            window: None,
            arguments: (0..4).map(Argument::Buffer).chain(words).collect(),
            expected: vec![(2, equals(|_| SEED)), (1, equals(move |_| before.wrapping_add(1))), (3, spent(hops, detours > 0))],
            claim: Some(Claim { read: (hops + detours + 2) * 8, written: 20, ..Claim::default() }),
        }
    };
    vec![job(128, 64, 0), job(1, 8, 3), job(1024, 8, 1000), job(256, 512, u64::MAX / 3)]
}

/// Lines that lead to one another.
fn linked(lines: u64) -> Contents {
    Contents::Addressed(
        Box::new(move |base| {
            let word = |at: u64| if at.is_multiple_of(16) { base + next_line(at / 16, lines) * 128 } else { 0 };
            (0..lines * 16).flat_map(|at| word(at).to_le_bytes()).collect()
        }),
        lines as usize * 128,
    )
}

/// Words of a block.
const REGION: u64 = 4096;

/// Every word of a block is added to in every pass, by a thread one warp further back each time.
fn spread(macros: &Macros, shared: bool) -> Vec<Job> {
    let threads = constant(macros, "THREADS");
    let job = |blocks: u64, passes: u64| {
        let words = blocks * REGION;
        let right = move |at: usize| {
            let place = at as u64 % threads;
            let added = (0..passes).map(|pass| 2 * ((place + threads * passes - 32 * pass) % threads) + 1).sum::<u64>();
            plan::first(HIGH, at as u64).wrapping_add(added as u32)
        };
        let adds = words * passes * 4;
        let claim = if shared {
            Claim { written: words * 4, ..Claim::default() }
        } else {
            Claim { read: adds, written: adds + words * 4, ..Claim::default() }
        };
        Job {
            name: format!("{blocks} blocks, {passes} passes"),
            geometry: geometry(macros, blocks as u32),
            buffers: vec![Contents::Poison(words as usize * 4)],
            window: None,
            arguments: vec![Argument::Buffer(0), Argument::Word(words), Argument::Word(passes), Argument::Word(u64::from(HIGH))],
            expected: vec![(0, equals(right))],
            claim: Some(claim),
        }
    };
    vec![job(1, 1), job(2, 3), job(1, 9)]
}

/// All add to one word; what lies beside it tells the state that it begins in, and is found as it was.
fn one(macros: &Macros) -> Vec<Job> {
    const WORDS: usize = 96;
    const ENDED: usize = 64;
    // `ended` blocks have ended in launches before; all bytes are the same where there was none.
    let job = |blocks: u64, adds: u64, ended: u32| {
        const BEFORE: u32 = 0xA5A5_A5A5;
        let threads = blocks * constant(macros, "THREADS");
        let all = (0..threads).fold(0_u32, |sum, thread| sum.wrapping_add((adds * (2 * thread + 1)) as u32));
        let (last, own) = (blocks as u32 - 1, move |at: usize| if at == ENDED { ended } else { BEFORE });
        // Every addition reads and writes; so does each block's count of itself, and the last one's exchange, which also reads what was.
        let accesses = threads * adds + blocks + 1;
        Job {
            name: format!("{blocks} blocks, {adds} additions each, {ended:#x} ended"),
            geometry: geometry(macros, blocks as u32),
            buffers: vec![filled(WORDS, own), Contents::Poison(4)],
            window: None,
            arguments: [vec![Argument::Buffer(0), Argument::Buffer(1)], [blocks, adds, u64::from(SEED)].map(Argument::Word).into()]
                .into_iter()
                .flatten()
                .collect(),
            expected: vec![
                (1, equals(move |_| SEED.wrapping_add(all))),
                (0, equals(move |at| if at == ENDED { last } else { BEFORE })),
            ],
            claim: Some(Claim { read: (accesses + 1) * 4, written: (accesses + 1) * 4, ..Claim::default() }),
        }
    };
    vec![job(1, 1, 0xA5A5_A5A5), job(3, 2, 0xA5A5_A5A5), job(3, 2, 2), job(2, 5, 1), job(1, 3, 0)]
}

/// Element by element, in pieces of which the last is ragged, and an odd element behind it.
fn bulk(macros: &Macros, inputs: u32, flops: u64, scalars: &[u64], value: fn(f64, f64) -> f64) -> Vec<Job> {
    let piece = constant(macros, "PIECE") / 8;
    let job = |elements: u64| {
        let mut buffers: Vec<_> = (0..inputs).map(|buffer| filled(elements as usize, |at| double(buffer, at))).collect();
        buffers.push(Contents::Poison(elements as usize * 8));
        let words = [elements].into_iter().chain(scalars.iter().copied()).map(Argument::Word);
        Job {
            name: format!("{elements} elements"),
            geometry: geometry(macros, BLOCKS),
            buffers,
            window: None,
            arguments: (0..=inputs as usize).map(Argument::Buffer).chain(words).collect(),
            expected: vec![(inputs as usize, equals(move |at| value(double(0, at), if inputs > 1 { double(1, at) } else { 0.0 })))],
            claim: Some(Claim {
                flops: flops * elements,
                read: u64::from(inputs) * elements * 8,
                written: elements * 8,
                conflict_free: true,
                ..Claim::default()
            }),
        }
    };
    // More pieces a block than stages, so that each is filled anew; fewer than blocks; none at all.
    let many = (constant(macros, "STAGES") + 2) * u64::from(BLOCKS);
    vec![job(piece * many), job(piece * 4 + 777), job(piece + 2), job(1)]
}

fn read_bulk(macros: &Macros) -> Vec<Job> {
    let piece = constant(macros, "PIECE") / 4;
    let job = |length: u64, segments: u64| Job {
        name: format!("{segments} segments of {length} words"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![
            filled((length * segments) as usize, |at| plan::first(SEED, at as u64)),
            Contents::Poison(segments as usize * 4),
        ],
        window: None,
        arguments: vec![
            Argument::Buffer(0),
            Argument::Buffer(1),
            Argument::Word(length * segments),
            Argument::Word(segments),
            Argument::Word(1),
        ],
        expected: vec![(
            1,
            equals(move |at| {
                let words = at as u64 * length..(at as u64 + 1) * length;
                words.fold(0_u32, |sum, word| sum.wrapping_add(plan::first(SEED, word)))
            }),
        )],
        claim: Some(Claim { read: length * segments * 4, written: segments * 4, ..Claim::default() }),
    };
    vec![job(piece * 3, 7), job(piece + 4 * 377, 5), job(16, 9), job(4, 2)]
}

fn write_bulk(macros: &Macros) -> Vec<Job> {
    let piece = constant(macros, "PIECE") / 4;
    let job = |words: u64| Job {
        name: format!("{words} words"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![Contents::Poison(words as usize * 4)],
        window: None,
        arguments: vec![Argument::Buffer(0), Argument::Word(words), Argument::Word(u64::from(SEED))],
        expected: vec![(0, equals(|at| plan::weyl(SEED, at as u64)))],
        claim: Some(Claim { written: words * 4, conflict_free: true, ..Claim::default() }),
    };
    // More pieces a block than stages, so that each is written anew; fewer than blocks; none at all.
    let many = (constant(macros, "STAGES") + 2) * u64::from(BLOCKS);
    vec![job(piece * many), job(piece * 4 + 1111), job(piece + 4), job(7)]
}

fn dot_bulk(macros: &Macros) -> Vec<Job> {
    let (piece, threads) = (constant(macros, "PIECE") / 8, constant(macros, "THREADS"));
    // A block's threads join their sums.
    let job = |length, segments| products(macros, (length, segments), segments * (5 * threads + threads / 32));
    vec![job(piece * 3, 7), job(piece + 2 * 377, 5), job(8, 9), job(2, 2)]
}

/// One device's part of a sum over several: each output is written where that part is, and nowhere else.
fn all_reduce(macros: &Macros) -> Vec<Job> {
    const MOST: usize = 8;
    const POISON: u32 = 0xa5a5_a5a5;
    let (turn, once) = (constant(macros, "THREADS") * constant(macros, "LOADS") * 4, constant(macros, "ONCE") == 1);
    let job = |devices: u64, elements: u64, own: u64| {
        let vectors = elements / 4;
        let share = vectors.div_ceil(devices);
        let part = if once { 0..elements } else { (own * share).min(vectors) * 4..((own + 1) * share).min(vectors) * 4 };
        let (own_part, count) = (part.clone(), devices as usize);
        let right = move |output: u64, at: usize| {
            let inputs = (0..devices as u32).map(|input| double(input, at) as f32);
            let written = own_part.contains(&(at as u64)) && (!once || output == own);
            if written { inputs.reduce(|sum, next| sum + next).map_or(0, f32::to_bits) } else { POISON }
        };
        let inputs = (0..devices as u32).map(|input| filled(elements as usize, |at| double(input, at) as f32));
        let pointers = move |addresses: &[u64]| -> Vec<u8> {
            let table = [&addresses[..count], &vec![0; MOST - count], &addresses[count..], &vec![0; MOST - count]].concat();
            table.iter().flat_map(|address| address.to_le_bytes()).collect()
        };
        let (done, outputs) = (part.end - part.start, if once { 1 } else { devices });
        Job {
            name: format!("part {own} of {elements} elements on {devices} devices"),
            geometry: geometry(macros, BLOCKS),
            buffers: inputs.chain((0..devices).map(|_| Contents::Poison(elements as usize * 4))).collect(),
            window: None,
            arguments: std::iter::once(Argument::Structure(Box::new(pointers)))
                .chain([elements, devices, own].map(Argument::Word))
                .collect(),
            expected: (0..devices)
                .map(|output| {
                    let right = right.clone();
                    (count + output as usize, equals(move |at| right(output, at)))
                })
                .collect(),
            claim: Some(Claim {
                flops: done * (devices - 1),
                read: done * devices * 4,
                written: done * outputs * 4,
                ..Claim::default()
            }),
        }
    };
    // A whole turn, and one that ends within its last load: what a device does when it sums everything, or else each of them.
    let ragged = turn + (constant(macros, "THREADS") * (constant(macros, "LOADS") - 1) + 5) * 4;
    let both = |devices: u64, own: u64| job(devices, if once { ragged } else { devices * ragged }, own);
    // Every number of devices ends a chain of comparisons of its own, and every device has stores of its own.
    let jobs = (0..8).map(|own| both(8, own)).chain((2..8).map(|devices| both(devices, devices - 1)));
    jobs.chain([
        job(2, turn * 8, 1),
        job(3, turn * 9 + 4 * 77, 2),
        job(8, 4 * 29, 7),
        job(5, turn * 5 - 4, 1),
        job(2, turn * 3 + 4, 0),
        // The second has nothing to do, unless it sums everything.
        job(2, 4, 1),
    ])
    .collect()
}
