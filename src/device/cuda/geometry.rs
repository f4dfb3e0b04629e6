//! From a plan's step to what the driver is given: arguments as eight-byte words, and the size of the grid.

use crate::{
    contract::Unsupported,
    plan::{Arg, BLOCK, Configuration},
};

/// Blocks that a grid has at the most.
const MOST_BLOCKS: u64 = (1 << 31) - 1;
const VECTOR_BYTES: u64 = 16;
/// Devices that `all_reduce` sums over at the most (kernels/all_reduce.cu).
pub const PEERS: usize = 8;
/// Words that a block of `shared`, `atomic_spread` or `atomic_shared` holds.
const SHARED_WORDS: u64 = 4096;
/// Slots before those of the tiles: a count, and a log of the first differences (kernels/tiles.cuh).
pub const LOGGED: u64 = 7;

/// The arguments in their order, each as the eight bytes of the kernel's parameter; `address` gives that of a buffer. Peers are no word.
#[must_use]
pub fn pack(args: &[Arg], address: impl Fn(usize) -> u64) -> Vec<u64> {
    let word = |arg: &Arg| match *arg {
        Arg::Buffer(index) => Some(address(index)),
        Arg::Count(count) => Some(count),
        Arg::Real(real) => Some(real.to_bits()),
        Arg::Peers(_) => None,
    };
    args.iter().filter_map(word).collect()
}

/// A product whose blocks persist, and copy by tensor maps.
struct Persistent {
    threads: u32,
    /// Of a tile.
    rows: u64,
    /// Warps that store a tile, and rows of a box by which it leaves.
    warps: u64,
    leaving: u32,
}

fn persistent(kernel: &str) -> Option<Persistent> {
    match kernel {
        // A warpgroup that fetches and two that multiply.
        "matmul_wgmma" => Some(Persistent { threads: 384, rows: 128, warps: 8, leaving: 64 }),
        // Four warps that store, one that fetches and one that multiplies.
        "matmul_tcgen05" => Some(Persistent { threads: 192, rows: 128, warps: 4, leaving: 32 }),
        _ => None,
    }
}

/// Rows of the boxes in which a kernel copies A and B, and stores C; nothing where it takes no tensor maps.
#[must_use]
pub fn boxes(kernel: &str, configuration: &Configuration) -> Option<[u32; 3]> {
    let part = configuration.constant("TILE_N") / configuration.constant("CLUSTER").max(1);
    persistent(kernel).map(|found| [found.rows as u32, part as u32, found.leaving])
}

/// Threads of a block.
#[must_use]
pub fn threads(kernel: &str, configuration: &Configuration) -> u32 {
    if let Some(found) = persistent(kernel) {
        return found.threads;
    }
    let product = 32 * configuration.constant("WARPS_M") * configuration.constant("WARPS_N");
    configuration.constant("THREADS").max(product) as u32
}

/// Why a kernel cannot take matrices of these sizes.
#[must_use]
pub fn misfit(kernel: &str, args: &[Arg]) -> Option<&'static str> {
    let count = |index: usize| counts(args).nth(index).unwrap_or(0);
    match kernel {
        "matmul_dmma" if count(1) % 2 + count(2) % 2 > 0 => Some("n and k must be even"),
        "matmul_nt" | "matmul_mma" | "matmul_wgmma" | "matmul_tcgen05"
            if count(2) == 0 || !count(2).is_multiple_of(16) || !count(1).is_multiple_of(8) =>
        {
            Some("n must be a multiple of 8 and k of 16, so that rows begin at 16 bytes")
        }
        "all_reduce" if !count(0).is_multiple_of(4) || count(1) > PEERS as u64 => {
            Some("it sums four elements at a time, of eight devices at the most")
        }
        "shared" if count(0) != count(1) * SHARED_WORDS => Some("a segment has 4096 words"),
        "atomic_spread" | "atomic_shared" if count(0) == 0 || !count(0).is_multiple_of(SHARED_WORDS) => {
            Some("a block adds to 4096 words")
        }
        "read_bulk" if !(count(0) / count(1).max(1)).is_multiple_of(4) => Some("segments must begin at 16 bytes"),
        "dot_bulk" if !(count(0) / count(1).max(1)).is_multiple_of(2) => Some("segments must begin at 16 bytes"),
        "read_bulk" if count(2) != 1 => Some("it goes over memory once"),
        "triad_bulk" if count(1) != 1 => Some("it goes over memory once"),
        _ => None,
    }
}

/// Rows and columns of a tile of a product.
fn tile_sides(kernel: &str, configuration: &Configuration) -> (u64, u64) {
    let rows = persistent(kernel).map_or_else(|| configuration.constant("TILE_M"), |found| found.rows);
    (rows.max(1), configuration.constant("TILE_N").max(1))
}

/// Elements of a tile of a product.
#[must_use]
pub fn tile(kernel: &str, configuration: &Configuration) -> u64 {
    let (rows, columns) = tile_sides(kernel, configuration);
    rows * columns
}

/// Tiles of a product, by rows and columns.
fn tiles(kernel: &str, configuration: &Configuration, args: &[Arg]) -> (u64, u64) {
    let (rows, columns) = tile_sides(kernel, configuration);
    let count = |index: usize| counts(args).nth(index).unwrap_or(0);
    (count(0).div_ceil(rows), count(1).div_ceil(columns))
}

/// Whether a product has too few tiles to keep every unit at work.
#[must_use]
pub fn leaves_idle(kernel: &str, configuration: &Configuration, args: &[Arg], units: u32) -> bool {
    let (down, across) = tiles(kernel, configuration, args);
    kernel.starts_with("matmul") && down * across < u64::from(units) * configuration.constant("BLOCKS").clamp(1, 2)
}

/// Slots that a kernel keeps the hashes of its tiles in, one a warp of a tile; none where it does not hash.
#[must_use]
pub fn slots(kernel: &str, configuration: &Configuration, args: &[Arg]) -> u64 {
    if !kernel.starts_with("matmul") {
        return 0;
    }
    let (down, across) = tiles(kernel, configuration, args);
    let warps = persistent(kernel).map_or_else(|| u64::from(threads(kernel, configuration)) / 32, |found| found.warps);
    down * across * warps
}

/// Blocks of a launch on a device of `units` multiprocessors, which holds as many blocks of a persistent kernel.
///
/// # Errors
/// [`Unsupported`] for sizes that a kernel cannot index.
pub fn grid(kernel: &str, configuration: &Configuration, args: &[Arg], units: u32) -> Result<u32, Unsupported> {
    let count = |index: usize| counts(args).nth(index).unwrap_or(0);
    let (down, across) = tiles(kernel, configuration, args);
    if kernel.starts_with("matmul") && (0..3).any(|index| count(index) > MOST_BLOCKS / 8) {
        return Err(Unsupported::Other("matrices of 2^28 rows or columns and more are not indexed".into()));
    }
    let blocks = match kernel {
        _ if persistent(kernel).is_some() => {
            let cluster = configuration.constant("CLUSTER").max(1);
            (down.div_ceil(cluster) * across).min(u64::from(units) / cluster).max(1) * cluster
        }
        _ if kernel.starts_with("matmul") => down * across,
        "all_reduce" => {
            let share = if configuration.constant("ONCE") == 1 { count(0) } else { count(0).div_ceil(count(1).max(1)) };
            share.div_ceil(elements_a_turn(kernel, configuration)).min(resident(configuration, units))
        }
        "residual" => count(0).div_ceil(BLOCK.0) * count(1).div_ceil(BLOCK.1),
        "link" | "chase" | "gate" => 1,
        // A block a batch; the sum of all blocks.
        _ if kernel.starts_with("issue") || kernel == "atomic_one" => count(0),
        "atomic_spread" | "atomic_shared" => count(0) / SHARED_WORDS,
        // Persistent, however many segments or pieces there are.
        "read_bulk" | "dot_bulk" => count(1).min(resident(configuration, units)),
        // A block a segment, as they become free: segments are many and small.
        "read" | "shared" | "dot" => count(1),
        _ => count(0).div_ceil(elements_a_turn(kernel, configuration)).min(resident(configuration, units)),
    };
    let counted = kernel.starts_with("atomic") || matches!(kernel, "read" | "read_bulk" | "shared" | "dot" | "dot_bulk");
    if blocks > MOST_BLOCKS || counted && blocks == 0 {
        return Err(Unsupported::Other(format!("{blocks} blocks cannot be launched")));
    }
    Ok(blocks.max(1) as u32)
}

/// The counts among the arguments.
pub fn counts(args: &[Arg]) -> impl Iterator<Item = u64> + '_ {
    args.iter().filter_map(|arg| if let Arg::Count(count) = arg { Some(*count) } else { None })
}

/// Blocks that are at work at the same time.
fn resident(configuration: &Configuration, units: u32) -> u64 {
    u64::from(units.max(1)) * configuration.constant("BLOCKS")
}

/// Elements of one array that a block moves in one turn of its loop.
fn elements_a_turn(stem: &str, configuration: &Configuration) -> u64 {
    let threads = configuration.constant("THREADS");
    if stem.ends_with("_bulk") {
        let element = if stem == "write_bulk" { size_of::<u32>() } else { size_of::<f64>() };
        return configuration.constant("PIECE") / element as u64;
    }
    let vector = if configuration.text("WIDE").is_some() { 2 * VECTOR_BYTES } else { VECTOR_BYTES };
    let loads = configuration.constant("LOADS").max(configuration.constant("STORES"));
    let vectors = match stem {
        "add" | "triad" => (loads / 2).max(1),
        _ => loads,
    };
    match stem {
        "write" => threads * vectors * vector / size_of::<u32>() as u64,
        "copy" | "scale" | "add" | "triad" => threads * vectors * vector / size_of::<f64>() as u64,
        "all_reduce" => threads * vectors * vector / size_of::<f32>() as u64,
        // An element a thread.
        _ => threads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::kernel;

    fn configuration(stem: &str, name: &str) -> &'static Configuration {
        kernel(stem).and_then(|kernel| kernel.configuration(name)).expect("carried")
    }

    fn args(counts: &[u64]) -> Vec<Arg> {
        [Arg::Buffer(0), Arg::Buffer(1)].into_iter().chain(counts.iter().map(|count| Arg::Count(*count))).collect()
    }

    #[test]
    fn arguments_keep_their_order_and_their_bits() {
        let packed = pack(&[Arg::Buffer(1), Arg::Count(1 << 40), Arg::Real(3.0)], |index| 0x7000_0000_0000 + index as u64);
        assert_eq!(packed, [0x7000_0000_0001, 1 << 40, 3.0_f64.to_bits()]);
    }

    #[test]
    fn streams_fill_the_device_and_no_more() {
        let copy = configuration("copy", "vec4x8");
        assert_eq!(grid("copy", copy, &args(&[1 << 27]), 132), Ok(264));
        // 64 KiB a turn are 8192 doubles.
        assert_eq!(grid("copy", copy, &args(&[3 * 8192 + 1]), 132), Ok(4));
        assert_eq!(grid("copy", copy, &args(&[0]), 132), Ok(1));
        // Eight loads in flight are four of each array.
        assert_eq!(grid("triad", configuration("triad", "vec4x8"), &args(&[8192, 1]), 132), Ok(2));
        assert_eq!(grid("write", configuration("write", "vec4x8"), &args(&[16384 * 5, 7]), 132), Ok(5));
        // Four loads of 32 bytes are eight of 16, and a piece of a bulk copy has 2048 doubles.
        assert_eq!(grid("copy", configuration("copy", "vec8x4"), &args(&[3 * 8192 + 1]), 132), Ok(4));
        assert_eq!(grid("copy_bulk", configuration("copy_bulk", "p16x6"), &args(&[3 * 2048 + 1]), 132), Ok(4));
        assert_eq!(grid("copy_bulk", configuration("copy_bulk", "p16x6"), &args(&[1 << 27]), 132), Ok(264));
    }

    #[test]
    fn an_all_reduce_has_blocks_for_its_own_share() {
        let args = |n, devices| [Arg::Peers(2), Arg::Count(n), Arg::Count(devices), Arg::Count(1)];
        let blocks = |name, n, devices| grid("all_reduce", configuration("all_reduce", name), &args(n, devices), 132);
        // 4096 elements a turn.
        assert_eq!((blocks("shares", 4096 * 10, 2), blocks("once", 4096 * 10, 2)), (Ok(5), Ok(10)));
        assert_eq!((blocks("once", 1 << 28, 2), blocks("shares", 8, 4)), (Ok(264), Ok(1)));
        assert_eq!((misfit("all_reduce", &args(8, 8)), misfit("all_reduce", &args(6, 2)).is_some()), (None, true));
        assert!(misfit("all_reduce", &args(8, 9)).is_some());
    }

    #[test]
    fn reductions_have_a_block_a_segment() {
        assert_eq!(grid("read", configuration("read", "vec4x8"), &args(&[1 << 28, 4096, 1]), 132), Ok(4096));
        assert!(grid("dot", configuration("dot", "vec4x8"), &args(&[1 << 28, 0]), 132).is_err());
        assert_eq!(grid("read_bulk", configuration("read_bulk", "p16x6"), &args(&[1 << 28, 4096, 1]), 132), Ok(264));
        assert_eq!(grid("read_bulk", configuration("read_bulk", "p16x6"), &args(&[1 << 10, 64, 1]), 132), Ok(64));
        let one = configuration("atomic_one", "word");
        assert_eq!(
            (grid("atomic_one", one, &args(&[528, 8, 7]), 132), grid("atomic_one", one, &args(&[0, 8, 7]), 132).is_err()),
            (Ok(528), true)
        );
        assert_eq!(grid("atomic_spread", configuration("atomic_spread", "words16"), &args(&[8192, 2, 7]), 132), Ok(2));
    }

    #[test]
    fn matmul_has_a_block_a_tile() {
        let large = configuration("matmul", "t128x128");
        assert_eq!(threads("matmul", large), 256);
        assert_eq!(grid("matmul", large, &args(&[8192, 8192, 8192]), 132), Ok(4096));
        assert_eq!(grid("matmul", large, &args(&[129, 1, 1]), 132), Ok(2));
        assert_eq!(slots("matmul", large, &args(&[129, 1, 1])), 16);
        assert!(grid("matmul", large, &args(&[1 << 31, 1, 1]), 132).is_err());
    }

    #[test]
    fn persistent_blocks_are_as_many_as_there_is_room_for_in_whole_clusters() {
        let large = configuration("matmul_wgmma", "t128x256_bf16");
        let blocks = |counts: [u64; 3], units| grid("matmul_wgmma", large, &args(&counts), units);
        assert_eq!(threads("matmul_wgmma", large), 384);
        assert_eq!((blocks([8192; 3], 132), blocks([8192; 3], 131)), (Ok(132), Ok(130)));
        assert_eq!((blocks([128, 256, 64], 132), blocks([129, 257, 64], 132)), (Ok(2), Ok(4)));
        assert_eq!(slots("matmul_wgmma", large, &args(&[129, 257, 64])), 4 * 8);
        assert_eq!((boxes("matmul_wgmma", large), boxes("matmul_mma", large)), (Some([128, 128, 64]), None));
        let newer = configuration("matmul_tcgen05", "t128x256c1_bf16");
        assert_eq!((threads("matmul_tcgen05", newer), boxes("matmul_tcgen05", newer)), (192, Some([128, 256, 32])));
        assert_eq!(grid("matmul_tcgen05", newer, &args(&[8192; 3]), 148), Ok(148));
        assert_eq!(slots("matmul_tcgen05", newer, &args(&[129, 257, 64])), 4 * 4);
    }
}
