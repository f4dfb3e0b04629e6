//! Faults of the driver around an entry: gathered from the kernel's log here and from NVML's events in the worker, and what they
//! make of the entry.
//!
//! The log is read in this process, so that a fault that ends the worker is seen all the same.

use crate::{
    record::{Device, Entry, Faults, Outcome, Severity, Xid},
    telemetry::{KernelLog, known_xid},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const LOG: &str = "kernel log";
const NVML: &str = "nvml";

/// The driver lost the device: what was measured meanwhile is worth nothing.
pub fn lost(entry: &mut Entry, why: &str) {
    if entry.outcome == Outcome::Measured {
        entry.outcome = Outcome::Invalid;
    }
    if matches!(entry.outcome, Outcome::Invalid | Outcome::Failed) {
        entry.reason = Some(entry.reason.take().map_or_else(|| why.to_owned(), |reason| format!("{reason}; {why}")));
    }
}

/// Watches one device.
pub struct Watch {
    log: Option<KernelLog>,
    /// Address of the card, without its function.
    bus: Option<String>,
    nvml: bool,
    /// By number and source: how often, and what was said first.
    seen: BTreeMap<u32, BTreeMap<&'static str, (u64, Option<String>)>>,
}

impl Watch {
    /// Begins to watch a device. A log that cannot be read is not watched, and no entry says that it was.
    pub fn new(device: &Device, log: &Path) -> Self {
        let bus = device.bus.as_deref().and_then(|bus| bus.rsplit_once('.')).map(|(slot, _)| slot.to_lowercase());
        let log = bus.as_ref().and_then(|_| KernelLog::open(log).ok());
        Self { log, bus, nvml: false, seen: BTreeMap::new() }
    }

    /// The worker has NVML tell it of faults.
    pub fn by_nvml(&mut self) {
        self.nvml = true;
    }

    /// NVML told the worker of a fault.
    pub fn told(&mut self, number: u32) {
        self.count(number, NVML, None);
    }

    fn count(&mut self, number: u32, source: &'static str, message: Option<String>) {
        let (count, first) = self.seen.entry(number).or_default().entry(source).or_default();
        *count += 1;
        if first.is_none() {
            *first = message;
        }
    }

    /// What was seen since this was last asked, put into an entry, with what follows for it.
    pub fn settle(&mut self, entry: &mut Entry) {
        self.read_log();
        let sources = [(self.log.is_some(), LOG), (self.nvml, NVML)];
        let watched: BTreeSet<String> =
            sources.into_iter().filter(|(watched, _)| *watched).map(|(_, source)| source.to_owned()).collect();
        if watched.is_empty() {
            return;
        }
        let xids = std::mem::take(&mut self.seen).into_iter().map(|(number, sources)| Xid {
            count: sources.values().map(|(count, _)| *count).max().unwrap_or_default(),
            seen_by: sources.keys().map(|source| (*source).to_owned()).collect(),
            message: sources.into_values().find_map(|(_, message)| message).filter(|message| !message.is_empty()),
            ..known_xid(number)
        });
        judge(entry, Faults { watched, xids: xids.collect() });
    }

    fn read_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        match log.poll() {
            Ok(logged) => {
                let ours = logged.into_iter().filter(|fault| Some(&fault.bus) == self.bus.as_ref());
                for fault in ours.collect::<Vec<_>>() {
                    self.count(fault.number, LOG, Some(fault.message));
                }
            }
            Err(_) => self.log = None,
        }
    }
}

/// What faults make of an entry: an error invalidates what was measured around it, a critical one also says that the device is unfit.
fn judge(entry: &mut Entry, faults: Faults) {
    if let Some(worst) = faults.gravest().filter(|worst| worst.severity >= Severity::Error || entry.outcome == Outcome::Failed) {
        let unfit = if worst.severity == Severity::Critical { "; the device is unfit" } else { "" };
        let said = format!("the driver reported Xid {} ({}){unfit}: {}", worst.xid, worst.name, worst.action);
        if entry.outcome == Outcome::Measured {
            entry.outcome = Outcome::Invalid;
        }
        entry.reason = Some(entry.reason.take().map_or_else(|| said.clone(), |reason| format!("{reason}; {said}")));
    }
    entry.faults = Some(faults);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Kind, Work, Workload};
    use std::{fs::File, io::Write};

    fn entry(outcome: Outcome) -> Entry {
        let part = || "x".to_owned();
        let workload =
            Workload { id: part(), family: part(), operation: part(), variant: part(), precision: part(), shape: part() };
        let device = Device { bus: Some("0000:0A:00.0".into()), ..Device::new("cuda:0", "cuda", Kind::Gpu, "x") };
        Entry { reason: None, ..Entry::without(device, workload, Work::default(), outcome, String::new()) }
    }

    #[test]
    fn both_sources_are_joined_by_number_and_told_once() {
        let path = std::env::temp_dir().join(format!("assay-watch-{}", std::process::id()));
        let mut log = File::create(&path).expect("a file");
        let mut entry = entry(Outcome::Measured);
        let mut watch = Watch::new(&entry.device, &path);
        watch.by_nvml();
        for (bus, number) in [("0000:0a:00", 79), ("0000:0a:00", 79), ("0000:0b:00", 48), ("0000:0a:00", 43)] {
            writeln!(log, "3,1,1,-;NVRM: Xid (PCI:{bus}): {number}, words").expect("writes");
        }
        watch.told(79);
        watch.settle(&mut entry);
        let faults = entry.faults.clone().expect("watched");
        assert_eq!(faults.watched.len(), 2);
        let told: Vec<_> = faults.xids.iter().map(|xid| (xid.xid, xid.count, xid.seen_by.len())).collect();
        assert_eq!(told, [(43, 1, 1), (79, 2, 2)]);
        assert_eq!(faults.xids[1].message.as_deref(), Some("words"));
        assert_eq!(entry.outcome, Outcome::Invalid);
        let reason = entry.reason.clone().expect("a reason");
        assert!(reason.contains("Xid 79") && reason.contains("unfit"), "{reason}");
        let mut next = self::entry(Outcome::Measured);
        watch.settle(&mut next);
        assert_eq!((next.outcome, next.faults.map(|faults| faults.xids.len())), (Outcome::Measured, Some(0)));
        std::fs::remove_file(path).expect("own file");
    }

    #[test]
    fn the_catalogue_decides() {
        for (number, outcome, becomes, unfit) in [
            (43, Outcome::Measured, Outcome::Measured, false),
            (94, Outcome::Measured, Outcome::Invalid, false),
            (48, Outcome::Measured, Outcome::Invalid, true),
            (43, Outcome::Failed, Outcome::Failed, false),
            (48, Outcome::Skipped, Outcome::Skipped, true),
        ] {
            let mut entry = entry(outcome);
            let mut watch = Watch::new(&entry.device, Path::new("/nonexistent"));
            watch.by_nvml();
            watch.told(number);
            watch.settle(&mut entry);
            assert_eq!(entry.outcome, becomes, "{number}");
            let reason = entry.reason.unwrap_or_default();
            assert_eq!(reason.contains("unfit"), unfit, "{number}: {reason}");
            assert_eq!(reason.contains(&format!("Xid {number}")), becomes != Outcome::Measured, "{number}: {reason}");
        }
    }

    #[test]
    fn where_nothing_is_watched_nothing_is_said() {
        let mut entry = entry(Outcome::Measured);
        Watch::new(&entry.device, Path::new("/nonexistent")).settle(&mut entry);
        assert_eq!(entry.faults, None);
    }
}
