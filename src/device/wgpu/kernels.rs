//! The table of configurations: which shader carries a stem out, with which constants, over which tile.

use crate::plan::{Variant, VariantKind};

/// How a configuration covers its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A thread handles this many 32-bit words a turn, by four vectors or one by one; at most so many workgroups.
    Stream { threads: u32, words: u32, groups: u32 },
    /// A workgroup computes so many rows and columns; sizes that are multiples of `whole` need no guards.
    Tile { threads: u32, rows: u32, columns: u32, whole: Whole, memory: u32 },
}

/// Multiples of m, n and k that let a tile go without guards.
pub(super) type Whole = [u64; 3];

/// A configuration of a stem.
#[derive(Debug)]
pub(super) struct Config {
    pub stem: &'static str,
    pub name: &'static str,
    pub kind: VariantKind,
    pub shader: &'static str,
    /// Bound before the output.
    pub inputs: usize,
    pub shape: Shape,
}

impl Config {
    pub fn variant(&self) -> Variant {
        Variant { name: self.name.into(), kind: self.kind }
    }

    pub fn threads(&self) -> u32 {
        match self.shape {
            Shape::Stream { threads, .. } | Shape::Tile { threads, .. } => threads,
        }
    }

    /// Rows of output that a workgroup covers; none where outputs are not matrices.
    pub fn rows(&self) -> u32 {
        match self.shape {
            Shape::Stream { .. } => 0,
            Shape::Tile { rows, .. } => rows,
        }
    }

    /// Bytes of workgroup memory.
    pub fn memory(&self) -> u32 {
        match self.shape {
            Shape::Stream { .. } => 1024,
            Shape::Tile { memory, .. } => memory,
        }
    }
}

const fn stream(stem: &'static str, inputs: usize, name: &'static str, groups: u32) -> Config {
    Config { stem, name, kind: VariantKind::Own, shader: stem, inputs, shape: Shape::Stream { threads: 256, words: 16, groups } }
}

/// For processors: a workgroup is one vector unit of theirs, so that it walks memory forward and no barrier switches threads.
const fn narrow(stem: &'static str, inputs: usize) -> Config {
    let shape = Shape::Stream { threads: 8, words: 16, groups: 64 };
    Config { stem, name: "narrow", kind: VariantKind::Own, shader: stem, inputs, shape }
}

/// Four threads a workgroup, one word at a time: most lanes of every vector unit idle, and little is in flight.
const fn slow(stem: &'static str, inputs: usize) -> Config {
    let shape = Shape::Stream { threads: 4, words: 1, groups: 4_096 };
    Config { stem, name: "slow", kind: VariantKind::Slow, shader: stem, inputs, shape }
}

/// As many workgroups as a dimension holds: each comes once, unless the array is larger still.
const ONCE: u32 = 65_535;
/// Workgroups that stay, each with a long run of memory: eight or more for each unit of the largest device.
const STAY: u32 = 2_048;

/// One workgroup, of which one thread works; the slow twin takes one word at a time, with detours.
const fn link(name: &'static str, kind: VariantKind, words: u32) -> Config {
    Config { stem: "link", name, kind, shader: "link", inputs: 1, shape: Shape::Stream { threads: 4, words, groups: 1 } }
}

const fn matmul(name: &'static str, shader: &'static str, kind: VariantKind, shape: Shape) -> Config {
    Config { stem: "matmul", name, kind, shader, inputs: 2, shape }
}

/// Every configuration, by stem, the preferred one first, slow ones last.
pub(super) const CONFIGS: &[Config] = &[
    stream("read", 1, "vec4x4", ONCE),
    narrow("read", 1),
    slow("read", 1),
    stream("write", 0, "vec4x4", ONCE),
    stream("write", 0, "vec4x4stay", STAY),
    narrow("write", 0),
    slow("write", 0),
    stream("copy", 1, "vec4x4", ONCE),
    stream("copy", 1, "vec4x4stay", STAY),
    narrow("copy", 1),
    slow("copy", 1),
    stream("scale", 1, "vec4x4", ONCE),
    stream("scale", 1, "vec4x4stay", STAY),
    narrow("scale", 1),
    slow("scale", 1),
    stream("add", 2, "vec4x4", ONCE),
    stream("add", 2, "vec4x4stay", STAY),
    narrow("add", 2),
    slow("add", 2),
    stream("triad", 2, "vec4x4", ONCE),
    stream("triad", 2, "vec4x4stay", STAY),
    narrow("triad", 2),
    slow("triad", 2),
    stream("dot", 2, "vec4x4", ONCE),
    narrow("dot", 2),
    slow("dot", 2),
    link("one", VariantKind::Own, 16),
    link("slow", VariantKind::Slow, 1),
    matmul(
        "t128x128",
        "matmul",
        VariantKind::Own,
        Shape::Tile { threads: 256, rows: 128, columns: 128, whole: [128, 128, 16], memory: 16_384 },
    ),
    matmul(
        "reg4x4",
        "matmul_registers",
        VariantKind::Own,
        Shape::Tile { threads: 64, rows: 32, columns: 32, whole: [4, 4, 4], memory: 0 },
    ),
    matmul(
        "slow",
        "matmul_naive",
        VariantKind::Slow,
        Shape::Tile { threads: 64, rows: 8, columns: 8, whole: [1, 1, 1], memory: 0 },
    ),
];

/// What a software adapter is better served by.
const SOFTWARE_FIRST: [&str; 2] = ["reg4x4", "narrow"];

/// Configurations of a stem that fit a device, the preferred one first.
pub(super) fn configs(stem: &str, limits: &super::limits::Limits) -> Vec<&'static Config> {
    let mut found: Vec<&Config> = CONFIGS
        .iter()
        .filter(|config| config.stem == stem && config.threads() <= limits.threads && config.memory() <= limits.memory)
        .collect();
    // Stable, so the table's order holds otherwise.
    found.sort_by_key(|config| !(limits.cores.is_some() && SOFTWARE_FIRST.contains(&config.name)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::shader;

    #[test]
    fn every_configuration_has_its_shader_and_every_stem_a_slow_twin_at_the_end() {
        assert!(CONFIGS.iter().all(|config| shader(config.shader).is_some()));
        for config in CONFIGS {
            let last = CONFIGS.iter().rfind(|other| other.stem == config.stem).expect("the row itself");
            assert_eq!(last.kind, VariantKind::Slow, "{}", config.stem);
        }
    }
}
