//! From a plan's step to what the driver is given: arguments as eight-byte words, and the size of the grid.

use crate::{
    contract::Unsupported,
    plan::{Arg, Configuration},
};

/// Blocks that a grid has at the most.
const MOST_BLOCKS: u64 = (1 << 31) - 1;
const VECTOR_BYTES: u64 = 16;

/// The arguments in their order, each as the eight bytes of the kernel's parameter; `address` gives that of a buffer.
#[must_use]
pub fn pack(args: &[Arg], address: impl Fn(usize) -> u64) -> Vec<u64> {
    let word = |arg: &Arg| match *arg {
        Arg::Buffer(index) => address(index),
        Arg::Count(count) => count,
        Arg::Real(real) => real.to_bits(),
    };
    args.iter().map(word).collect()
}

/// Threads of a block.
#[must_use]
pub fn threads(configuration: &Configuration) -> u32 {
    let product = 32 * configuration.constant("WARPS_M") * configuration.constant("WARPS_N");
    configuration.constant("THREADS").max(product) as u32
}

/// Blocks of a launch on a device of `units` multiprocessors.
///
/// # Errors
/// [`Unsupported`] for sizes that a kernel cannot index.
pub fn grid(stem: &str, configuration: &Configuration, args: &[Arg], units: u32) -> Result<u32, Unsupported> {
    let count = |index: usize| counts(args).nth(index).unwrap_or(0);
    let blocks = match stem {
        "matmul" => {
            if (0..3).any(|index| count(index) > MOST_BLOCKS) {
                return Err(Unsupported::Other("matrices of 2^31 rows or columns and more are not indexed".into()));
            }
            count(0).div_ceil(configuration.constant("TILE_M")) * count(1).div_ceil(configuration.constant("TILE_N"))
        }
        // A block a segment, as they become free: segments are many and small.
        "read" | "dot" => count(1),
        _ => count(0).div_ceil(elements_a_turn(stem, configuration)).min(resident(configuration, units)),
    };
    if blocks > MOST_BLOCKS || matches!(stem, "read" | "dot") && blocks == 0 {
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
    let loads = configuration.constant("LOADS").max(configuration.constant("STORES"));
    let vectors = match stem {
        "add" | "triad" => (loads / 2).max(1),
        _ => loads,
    };
    match stem {
        "write" => threads * vectors * VECTOR_BYTES / size_of::<u32>() as u64,
        "copy" | "scale" | "add" | "triad" => threads * vectors * VECTOR_BYTES / size_of::<f64>() as u64,
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
    }

    #[test]
    fn reductions_have_a_block_a_segment() {
        assert_eq!(grid("read", configuration("read", "vec4x8"), &args(&[1 << 28, 4096, 1]), 132), Ok(4096));
        assert!(grid("dot", configuration("dot", "vec4x8"), &args(&[1 << 28, 0]), 132).is_err());
    }

    #[test]
    fn matmul_has_a_block_a_tile() {
        let large = configuration("matmul", "t128x128");
        assert_eq!(threads(large), 256);
        assert_eq!(grid("matmul", large, &args(&[8192, 8192, 8192]), 132), Ok(4096));
        assert_eq!(grid("matmul", large, &args(&[129, 1, 1]), 132), Ok(2));
        assert!(grid("matmul", large, &args(&[1 << 31, 1, 1]), 132).is_err());
    }
}
