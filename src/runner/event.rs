//! What parent and worker say to each other: one JSON object a line.

use super::{again::Hung, tuning::Tune};
use crate::{
    contract::Listing,
    plan::Plan,
    record::{Decline, Device, Entry, Outcome, Vitals, Work, Workload},
    units::Nanos,
    workload::{self, Choice, Suite},
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a worker is to do; the first line on its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub backend: String,
    /// Devices to open, together.
    pub devices: Vec<String>,
    /// Name of the suite, and its time where the command line gives one.
    pub suite: String,
    pub time: Option<Nanos>,
    pub footprint: Option<u64>,
    pub seed: u32,
    /// Workloads to measure, by id, in order.
    pub workloads: Vec<String>,
    /// Time that earlier workers spent on this device, and the time that there is for it.
    pub spent: Nanos,
    pub budget: Option<Nanos>,
    /// The devices of the node begin each measurement at once: a worker waits for its start.
    pub together: bool,
    /// What did not finish before, and is not tried again.
    #[serde(default)]
    pub hung: Hung,
    pub options: Options,
}

/// What a worker is to look at, again and again; the first line on its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Look {
    pub devices: Vec<Device>,
    /// NVML to load instead of the driver's own.
    pub nvml_library: Option<String>,
    /// Everything, and not only what is cheap and changes.
    pub all: bool,
    /// From one look to the next.
    pub interval: Nanos,
    /// Looks in all; blank: without end.
    pub count: Option<u64>,
}

/// What was seen of a device at a look.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    pub id: String,
    pub vitals: Vitals,
    /// Why nothing could be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
}

/// What the command line says of libraries and precision.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Options {
    /// NVML to load instead of the driver's own.
    pub nvml_library: Option<String>,
    /// The kernel's log, where it is not in its usual place.
    pub kernel_log: Option<String>,
    /// cuBLASLt to load instead of the one that is found.
    pub cublaslt_library: Option<String>,
    pub contenders: Contenders,
    pub tune: Tune,
    /// Half width of an interval at which a sustained measurement may end early, as a part of the rate.
    pub precision: Option<f64>,
    /// From one launch's intended start to the next's.
    pub pace: Option<Nanos>,
    /// Write the one workload's launches and readings here, as a trace.
    #[serde(default)]
    pub trace: Option<String>,
}

/// Which variants carry a workload out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contenders {
    /// The preferred one of ours, in turns with the vendor's library where there is one.
    #[default]
    Pair,
    /// The preferred one of ours.
    Own,
    /// Every one, slow twins and the vendor's library among them, in turns.
    All,
}

impl Job {
    /// What the opened devices have, by id: the first alone, or all of them at once.
    pub fn plans(&self, suite: Suite, devices: &[Device]) -> HashMap<String, Plan> {
        let choice = Choice { suite, footprint: self.footprint, seed: self.seed };
        let alone = devices.first().filter(|_| devices.len() == 1).map(|device| workload::plans(device, &choice));
        let plans = alone.unwrap_or_default().into_iter().chain(workload::shared(devices, &choice));
        let paced = |plan| match self.options.pace {
            Some(pace) => workload::paced(plan, pace),
            None => Some(plan),
        };
        plans.filter_map(paced).map(|plan| (plan.key.id(), plan)).collect()
    }

    /// The suite, with the time of the command line and the budget of the task.
    #[must_use]
    pub fn suite(&self) -> Option<Suite> {
        super::suite(&self.suite, self.time).map(|suite| Suite { budget: self.budget, ..suite })
    }
}

/// A line from the parent after the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// End the measurement with what there is.
    Stop,
    /// Begin to launch at a time, in nanoseconds since 1970, together with so many devices, this one included.
    Go { at: u64, devices: usize },
    /// Do not begin; the entry ends so.
    Miss { outcome: Outcome, why: String },
}

/// A line from a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    Listed {
        listing: Listing,
        /// By UUID, what only a process of its own can see.
        units: Vec<String>,
    },
    /// A measurement begins; silence beyond `within` is a hang.
    Begin {
        device: Box<Device>,
        workload: Workload,
        work: Work,
        within: Nanos,
    },
    /// A variant did not finish: its entry follows, and the workload is to be measured by another one, in a new worker.
    Again {
        workload: Workload,
    },
    /// A variant is launched from now on. Should the worker never speak again, its workload is to be measured by another one if `again`.
    Launching {
        workload: Workload,
        work: Work,
        again: bool,
    },
    /// Its launches have ended.
    Launched,
    /// What the measurement is doing now.
    Phase {
        doing: String,
    },
    /// The rate has fallen, while the measurement goes on.
    Fell {
        workload: Workload,
        decline: Decline,
    },
    /// It is prepared and verified, and waits for its start.
    Ready,
    Entry {
        entry: Box<Entry>,
    },
    /// NVML tells the worker of faults from now on.
    Watches,
    /// It told of one, by NVIDIA's number.
    Xid {
        number: u32,
    },
    /// A look at every device.
    Looked {
        seen: Vec<Seen>,
    },
    /// The worker runs, whatever its driver does.
    Alive,
    /// Nothing could be opened.
    Broken {
        why: String,
    },
    Done,
}
