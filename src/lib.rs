//! assay: what accelerators sustain, measured by kernels whose results are verified in the same run.
//!
//! The floors from the ground up; imports run down only (`tests/tidy` holds them).

// Said and printed by `console` alone: the macros panic where nobody reads.
#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout))]

// 0: words; what is read, written and said
pub mod console;
pub mod dtype;
pub mod files;
pub mod units;
// 1: what a run leaves behind
pub mod record;
// 2: physical rates; what is to be measured, what carries it out must offer, where runs live, what rates are worth
pub mod capacity;
pub mod chips;
pub mod contract;
pub mod plan;
pub mod store;
// 3: what is worth measuring, who carries it out, and what the sensors say
pub mod device;
pub mod telemetry;
pub mod workload;
// 4: how it is measured
pub mod measure;
// 3, the reading wing: what records mean, other tools' output as records, and what to order
pub mod import;
pub mod judge;
pub mod reserve;
// 4, the reading wing: records for people and programs
pub mod report;
// 5: devices times plans, in worker processes
pub mod runner;
// 7: what a person types
pub mod cli;
