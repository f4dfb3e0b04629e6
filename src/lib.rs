//! assay: what accelerators sustain, verified, explained, and turned into capacity.
//!
//! The floors from the ground up; imports run down only (`tests/tidy` holds them).

// 0: words
pub mod dtype;
pub mod units;
// 1: what a run leaves behind
pub mod record;
// 2: physical rates; what is to be measured, and what carries it out must offer
pub mod chips;
pub mod contract;
pub mod plan;
// 3: what is worth measuring, and who carries it out
pub mod device;
pub mod telemetry;
pub mod workload;
// 4: how it is measured
pub mod measure;
// 7: what a person types
pub mod cli;
