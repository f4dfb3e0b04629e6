//! assay: what accelerators sustain, verified, explained, and turned into capacity.
//!
//! The floors from the ground up; imports run down only (`tests/tidy` holds them).

// 0: words
pub mod dtype;
pub mod units;
// 1: what a run leaves behind
pub mod record;
// 2: what is to be measured, and what carries it out must offer
pub mod chips;
pub mod contract;
pub mod plan;
// 3: who carries it out
pub mod device;
pub mod telemetry;
// 4: how it is measured
pub mod measure;
