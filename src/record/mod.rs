//! What a run leaves behind: the plain types that everyone else produces or reads.
//!
//! A run is one JSON Lines file: a `run` line, an `entry` line as each is born, an `end` line. The same types make the one
//! document that `--json` prints and the JSON Schema that `assay schema` prints. Blank (`None`) means "not known here" and never
//! becomes zero.

mod entry;
mod faults;
mod file;
mod histogram;
mod ledger;
mod limit;
mod reading;
mod steadiness;
mod subject;
mod vital;
mod work;

pub use entry::{
    Block, Entry, Interval, Neighbours, Outcome, Pair, Rate, RateUnit, Ratio, Sampling, State, Status, Sustained, Verified,
};
pub use faults::{Faults, Severity, Xid};
pub use file::{Document, End, Header, Line, MAX_BYTES, SCHEMA, Software, Unreadable, Writer, read};
pub use histogram::{Histogram, Latency, Summary};
pub use ledger::{Ledger, Loss};
pub use limit::Limit;
pub use reading::{Reading, Span as ReadingSpan, Telemetry};
pub use steadiness::{Decline, Gate};
pub use subject::{Cache, Device, Kind, Node};
pub use vital::{Absence, Vital, Vitals};
pub use work::{Work, Workload};

/// Version of the measuring method; part of a result's identity. Units of different method versions never add up.
///
/// 1: verified before timing (exact pass, random pass), rounds of launches on the device clock, best 1 s window as burst, work over
/// elapsed time of the retained window as sustained.
/// 2: what warms up is cut off the retained window, and the stopping rule says whether a rate is steady.
pub const METHOD: u32 = 2;
