//! Instructions as they are executed: opcodes looked up, operands checked.

mod arithmetic;
mod bits;
mod compare;
pub(crate) mod convert;
mod decode;
mod float;
mod memory;
mod sync;
mod tensor;
mod uses;

pub(crate) use decode::{ones, program};
pub(crate) use tensor::TensorOp;
pub(crate) use uses::Uses;

/// One value a lane.
pub(crate) type Lanes = [u64; 32];

/// A function of up to four sources, lane by lane, of the lanes in the mask.
pub(crate) type Lanewise = fn([&Lanes; 4], u32, &mut Lanes);

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Register(u32),
    Value(u64),
    /// Address of a shared variable, from the block's first shared byte.
    Shared(u32),
    DynamicShared,
    /// Address of a parameter, from the first.
    Parameter(u32),
    Special(Special),
}

/// Special registers (PTX ISA, Special Registers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Thread(usize),
    BlockShape(usize),
    Block(usize),
    GridShape(usize),
    BlockInCluster(usize),
    ClusterShape(usize),
    ClusterRank,
    ClusterBlocks,
    Cluster(usize),
    Clusters(usize),
    Lane,
    Warp,
    Warps,
    Multiprocessor,
    Multiprocessors,
    Clock,
    GlobalTimer,
    /// Lanes equal, below or the same, below, above or the same, above: by that number.
    LaneMask(u8),
    DynamicSharedBytes,
    GridId,
}

/// Where an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Generic,
    Global,
    /// Of this block only.
    Shared,
    /// Of any block of the cluster.
    ClusterShared,
    Parameter,
    /// The tensor cores' own.
    Tensor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub space: Space,
    pub base: Source,
    pub offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShuffleMode {
    Up,
    Down,
    Butterfly,
    Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteKind {
    All,
    Any,
    Uniform,
    Ballot,
}

/// How predicates are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    And,
    Or,
    Xor,
}

/// What an arrival at an mbarrier does besides arriving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MbarrierOp {
    Init {
        count: Source,
    },
    Invalidate,
    /// `count` arrivals after `expect` bytes more are awaited; `state` receives the phase.
    Arrive {
        count: Source,
        expect: Option<Source>,
        state: Option<u32>,
    },
    Expect {
        bytes: Source,
    },
    Complete {
        bytes: Source,
    },
    /// Whether the phase of that parity, or of that state, is over.
    Test {
        done: u32,
        phase: Source,
        parity: bool,
        blocking: bool,
    },
}

/// Types of matrix multiplications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F64,
    Tf32,
    F32,
    F16,
    Bf16,
    E4m3,
    E5m2,
    S8,
    U8,
    S32,
}

/// Shape and types of a matrix multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub m: u32,
    pub n: u32,
    pub k: u32,
    pub a: Element,
    pub b: Element,
    pub d: Element,
    pub saturate: bool,
}

/// A tensor map's box, or plain bytes, between global and shared memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bulk {
    /// Bytes to shared memory of this or another block, counted by an mbarrier there.
    Load {
        to: Address,
        from: Address,
        bytes: Source,
        barrier: Address,
        multicast: Option<Source>,
    },
    /// Bytes from shared memory, in a bulk group.
    Store {
        to: Address,
        from: Address,
        bytes: Source,
    },
    TensorLoad {
        to: Address,
        map: Source,
        coordinates: Vec<Source>,
        barrier: Address,
        multicast: Option<Source>,
        /// Whether the barrier may be that of the other block of a pair.
        pair: bool,
    },
    TensorStore {
        map: Source,
        coordinates: Vec<Source>,
        from: Address,
    },
}

/// A warpgroup's matrix multiplication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wgmma {
    pub product: Product,
    pub d: Vec<u32>,
    /// A descriptor, or registers.
    pub a: Result<Source, Vec<u32>>,
    pub b: Source,
    /// Whether D is added to.
    pub accumulate: Source,
    pub negate_a: bool,
    pub negate_b: bool,
    pub transpose_a: bool,
    pub transpose_b: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// `keep` masks the bits that the destination has.
    Lanewise {
        run: Lanewise,
        d: u32,
        keep: u64,
        s: [Source; 4],
        flops: u32,
    },
    /// `b` is the second of two values that are packed.
    Convert {
        conversion: convert::Conversion,
        d: u32,
        width: u32,
        a: Source,
        b: Option<Source>,
    },
    Compare {
        test: fn(u64, u64) -> bool,
        d: Option<u32>,
        opposite: Option<u32>,
        a: Source,
        b: Source,
        join: Option<(Join, Source, bool)>,
    },
    Pack {
        d: u32,
        parts: Vec<Source>,
        bits: u32,
    },
    Unpack {
        parts: Vec<Option<u32>>,
        a: Source,
        bits: u32,
    },
    Branch(u32),
    Exit,
    Trap,
    Nothing,
    Load {
        from: Address,
        bytes: u32,
        signed: bool,
        to: Vec<Option<u32>>,
        ordered: bool,
    },
    Store {
        to: Address,
        bytes: u32,
        from: Vec<Source>,
        ordered: bool,
    },
    Atomic {
        at: Address,
        bytes: u32,
        d: Option<u32>,
        change: fn(u64, u64, u64) -> u64,
        b: Source,
        c: Source,
    },
    Shuffle {
        mode: ShuffleMode,
        d: Option<u32>,
        valid: Option<u32>,
        a: Source,
        b: Source,
        clamp: Source,
        members: Source,
    },
    Vote {
        kind: VoteKind,
        d: u32,
        a: Source,
        negate: bool,
        members: Source,
    },
    Elect {
        d: Option<u32>,
        elected: u32,
        members: Source,
    },
    WarpSync {
        members: Source,
    },
    ActiveMask {
        d: u32,
    },
    Barrier {
        wait: bool,
        aligned: bool,
        id: Source,
        threads: Option<Source>,
    },
    ClusterArrive,
    ClusterWait,
    Mbarrier {
        at: Address,
        op: MbarrierOp,
    },
    CopyAsync {
        to: Address,
        from: Address,
        bytes: u32,
        size: Option<Source>,
    },
    CopyCommit,
    /// Until at most so many groups are under way; none: all copies, committed or not.
    CopyWait(Option<u32>),
    Bulk(Bulk),
    BulkCommit,
    /// Until at most so many groups of bulk stores are under way. Reads and writes end together here.
    BulkWait(u32),
    FenceProxy,
    LoadMatrix {
        d: Vec<u32>,
        from: Address,
        transpose: bool,
    },
    StoreMatrix {
        to: Address,
        from: Vec<Source>,
        transpose: bool,
    },
    Multiply {
        product: Product,
        d: Vec<u32>,
        a: Vec<Source>,
        b: Vec<Source>,
        c: Vec<Source>,
    },
    WgmmaFence,
    Wgmma(Box<Wgmma>),
    WgmmaCommit,
    WgmmaWait(u32),
    /// For some with whether two blocks do it together.
    Tensor(Box<TensorOp>, Option<bool>),
    SetRegisters {
        grow: bool,
        count: u32,
    },
}

/// An instruction of a program.
#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    pub op: Op,
    pub uses: Uses,
    /// Register, and whether it runs where that is false.
    pub guard: Option<(u32, bool)>,
    pub line: u32,
    /// For messages.
    pub opcode: String,
}
