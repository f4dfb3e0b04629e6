//! Xids: faults by NVIDIA's number for them, what each means, and the kernel's log, which names those that NVML misses.
//!
//! NVML's events missed 62, 79, 119 and 120 (NVIDIA/DCGM issues 162 and 235), so both are watched and joined by number.

use crate::record::{Severity, Xid};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Numbers with name, severity, what helps and sources: NVIDIA's Xid catalogue, and leptonai/gpud's rules, where it is silent.
const CATALOGUE: &str = include_str!("xid.csv");
/// The log of the kernel, one record a read.
pub const KERNEL_LOG: &str = "/dev/kmsg";
/// No record of the kernel's log is larger (`CONSOLE_EXT_LOG_MAX` of Linux).
const RECORD: usize = 8192;
/// Records that are read at a time: what a storm of faults adds beyond it is read the next time.
const MOST: usize = 65_536;

/// What the catalogue says of a number. One that it does not know makes what was measured around it invalid: nobody can say that it
/// does not.
///
/// # Panics
/// Never: the catalogue is part of the program, and a test reads all of it.
#[must_use]
pub fn known(number: u32) -> Xid {
    let unknown = || Xid {
        xid: number,
        name: "not in the catalogue".into(),
        severity: Severity::Error,
        action: "look it up in NVIDIA's Xid catalogue; measure again".into(),
        seen_by: BTreeSet::new(),
        count: 0,
        message: None,
    };
    rows().find(|xid| xid.xid == number).unwrap_or_else(unknown)
}

fn rows() -> impl Iterator<Item = Xid> {
    let rows = csv::Reader::from_reader(CATALOGUE.as_bytes()).into_records().map_while(Result::ok);
    rows.filter_map(|row| {
        let severity = match row.get(2)? {
            "critical" => Severity::Critical,
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        };
        let (number, name, action) = (row.get(0)?.parse().ok()?, row.get(1)?.to_owned(), row.get(3)?.to_owned());
        Some(Xid { xid: number, name, severity, action, seen_by: BTreeSet::new(), count: 0, message: None })
    })
}

/// A fault as the kernel's log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// `domain:bus:device` in lower case, without a function.
    pub bus: String,
    pub number: u32,
    pub message: String,
}

/// `NVRM: Xid (PCI:0000:0a:00): 79, pid=1234, name=python3, GPU has fallen off the bus.`, with whatever stands before it.
#[must_use]
pub fn parse(line: &str) -> Option<Logged> {
    let (_, rest) = line.split_once("NVRM: Xid (PCI:")?;
    let (bus, rest) = rest.split_once(')')?;
    let rest = rest.trim_start_matches(':').trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = rest[..digits].parse().ok()?;
    let message = rest[digits..].trim_start_matches([',', ' ']).trim_end().to_owned();
    Some(Logged { bus: bus.to_lowercase(), number, message })
}

/// The kernel's log from the moment that it was opened.
pub struct KernelLog {
    file: File,
    path: PathBuf,
    /// What was read of a line that has not ended; files have such, the kernel's own log does not.
    rest: String,
}

impl KernelLog {
    /// Opens the log and leaves out what is in it already. Reading needs `CAP_SYSLOG`, or `kernel.dmesg_restrict=0`.
    ///
    /// # Errors
    /// Why it cannot be read, and what helps.
    pub fn open(path: &Path) -> Result<Self, String> {
        let unreadable = |error: std::io::Error| {
            let help = match error.kind() {
                ErrorKind::PermissionDenied => ": run as root, or with CAP_SYSLOG, or set kernel.dmesg_restrict=0",
                _ => "",
            };
            format!("{}: {error}{help}", path.display())
        };
        let nonblocking = nix::libc::O_NONBLOCK;
        let mut file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(unreadable)?;
        file.seek(SeekFrom::End(0)).map_err(unreadable)?;
        Ok(Self { file, path: path.to_owned(), rest: String::new() })
    }

    /// Faults that are in the log, however old; by card, each number once with its count.
    ///
    /// # Errors
    /// Why it cannot be read, and what helps.
    pub fn past(path: &Path) -> Result<BTreeMap<String, Vec<Xid>>, String> {
        let mut log = Self::open(path)?;
        log.file.seek(SeekFrom::Start(0)).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut found: BTreeMap<String, BTreeMap<u32, Xid>> = BTreeMap::new();
        for fault in log.poll()? {
            let xid = found.entry(fault.bus).or_default().entry(fault.number).or_insert_with(|| known(fault.number));
            xid.count += 1;
            xid.seen_by.insert("kernel log".into());
            xid.message.get_or_insert(fault.message);
        }
        Ok(found.into_iter().map(|(bus, xids)| (bus, xids.into_values().collect())).collect())
    }

    /// Faults logged since the last call.
    ///
    /// # Errors
    /// When the log can no longer be read; what came before is lost.
    pub fn poll(&mut self) -> Result<Vec<Logged>, String> {
        let mut buffer = [0_u8; RECORD];
        let mut lines = VecDeque::new();
        for _ in 0..MOST {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    self.rest.push_str(&String::from_utf8_lossy(&buffer[..read]));
                    while let Some(end) = self.rest.find('\n') {
                        lines.push_back(self.rest.drain(..=end).collect::<String>());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Records were overwritten before they were read (EPIPE): the next read gives the oldest that is left.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {}
                Err(error) => return Err(format!("{}: {error}", self.path.display())),
            }
        }
        Ok(lines.iter().filter_map(|line| parse(line)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_whole_catalogue_is_read() {
        assert_eq!(rows().count() + 1, CATALOGUE.lines().count());
        let numbers: BTreeSet<u32> = rows().map(|xid| xid.xid).collect();
        assert_eq!(numbers.len(), rows().count(), "each once");
        assert!(rows().all(|xid| !xid.name.is_empty() && !xid.action.is_empty()));
        assert_eq!((known(79).severity, known(13).severity), (Severity::Critical, Severity::Warning));
        assert_eq!((known(99_999).severity, known(99_999).xid), (Severity::Error, 99_999));
    }

    #[test]
    fn lines_of_the_log_are_understood() {
        let logged = |bus: &str, number, message: &str| Some(Logged { bus: bus.into(), number, message: message.into() });
        assert_eq!(
            parse("3,1234,98765,-;NVRM: Xid (PCI:0000:0A:00): 79, pid=1234, name=python3, GPU has fallen off the bus."),
            logged("0000:0a:00", 79, "pid=1234, name=python3, GPU has fallen off the bus.")
        );
        assert_eq!(parse("[12.3] NVRM: Xid (PCI:0000:41:00): 43, Ch 00000010"), logged("0000:41:00", 43, "Ch 00000010"));
        assert_eq!(parse("NVRM: Xid (PCI:0000:41:00): 154"), logged("0000:41:00", 154, ""));
        assert_eq!(parse("NVRM: GPU at PCI:0000:41:00: GPU-1234"), None);
        assert_eq!(parse("NVRM: Xid (PCI:0000:41:00): many"), None);
    }

    #[test]
    fn only_what_is_new_is_told_and_once() {
        let path = std::env::temp_dir().join(format!("assay-kernel-log-{}", std::process::id()));
        let mut writer = File::create(&path).expect("a file");
        writeln!(writer, "6,1,1,-;NVRM: Xid (PCI:0000:0a:00): 13, old").expect("writes");
        let mut log = KernelLog::open(&path).expect("readable");
        assert_eq!(log.poll(), Ok(Vec::new()));
        write!(writer, "6,2,2,-;something else\n6,3,3,-;NVRM: Xid (PCI:0000:0a:00): 31, new\n6,4,4,-;NVRM: X").expect("writes");
        assert_eq!(log.poll().expect("readable").iter().map(|one| one.number).collect::<Vec<_>>(), [31]);
        writeln!(writer, "id (PCI:0000:0a:00): 48, split").expect("writes");
        assert_eq!(log.poll().expect("readable").iter().map(|one| one.number).collect::<Vec<_>>(), [48]);
        assert_eq!(log.poll(), Ok(Vec::new()));
        let past = KernelLog::past(&path).expect("readable");
        let numbers: Vec<_> = past["0000:0a:00"].iter().map(|xid| (xid.xid, xid.count)).collect();
        assert_eq!(numbers, [(13, 1), (31, 1), (48, 1)], "what was there before counts too");
        std::fs::remove_file(&path).expect("own file");
        let Err(missing) = KernelLog::open(&path) else { panic!("no such file") };
        assert!(missing.contains("assay-kernel-log"), "{missing}");
    }
}
