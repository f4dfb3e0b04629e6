//! What devices there are: chips that are small where it costs time and true to their architecture where kernels depend on it.

use std::str::FromStr;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The chips of one driver, all alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Chip {
    /// Compute capability, `major * 10 + minor`.
    pub sm: u32,
    pub devices: u32,
    pub multiprocessors: u32,
    pub l2_bytes: u64,
    pub memory_bytes: u64,
    pub name: String,
    /// How many others' memory a device may reach at a time; none are not linked.
    pub peers: usize,
    /// Work is done when it is waited for, not when it is asked for.
    pub deferred: bool,
    /// Launches end before the call that asks for them does, as CUDA_LAUNCH_BLOCKING and profilers make them.
    pub blocking: bool,
    /// That a call which gives the device work takes the host.
    pub submit_nanoseconds: f64,
    /// Version of the interface that the driver speaks.
    pub driver: i32,
    /// Slices that each device is cut into by MIG; none is whole.
    pub mig: u32,
    /// The slice that this process sees, from 1; none is a whole device.
    pub slice: u32,
    /// Which of the interpreter's schedules kernels meet, by its number; none is the plain one.
    pub schedule: Option<u32>,
}

impl FromStr for Chip {
    type Err = String;

    /// `90`, or `sm=90,devices=2,sms=4,l2=256KiB,memory=64MiB,name=...,mode=deferred,submit=3000,driver=12080,mig=2,schedule=5,peers=0`; what is not
    /// given has its default.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut chip = Self {
            sm: 0,
            devices: 1,
            multiprocessors: 4,
            l2_bytes: 256 * KIB,
            memory_bytes: 64 * MIB,
            name: String::new(),
            peers: 8,
            deferred: false,
            blocking: false,
            submit_nanoseconds: 0.0,
            driver: 12080,
            mig: 0,
            slice: 0,
            schedule: None,
        };
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or(("sm", pair));
            let number = || value.parse::<u32>().map_err(|_| format!("{pair}: not a number"));
            match key {
                "sm" => chip.sm = number()?,
                "devices" => chip.devices = number()?,
                "sms" => chip.multiprocessors = number()?,
                "l2" => chip.l2_bytes = bytes(value)?,
                "memory" => chip.memory_bytes = bytes(value)?,
                "schedule" => chip.schedule = Some(number()?),
                "name" => chip.name = value.into(),
                "mig" => chip.mig = number()?,
                "driver" => chip.driver = number()? as i32,
                "peers" => chip.peers = number()? as usize,
                "mode" => (chip.deferred, chip.blocking) = mode(value)?,
                "submit" => chip.submit_nanoseconds = number()?.into(),
                _ => return Err(format!("{pair}: no such key")),
            }
        }
        if !(30..1000).contains(&chip.sm) || chip.multiprocessors == 0 {
            return Err(format!("{text}: no compute capability, or no multiprocessor"));
        }
        if chip.name.is_empty() {
            chip.name = format!("Fake sm_{}", chip.sm);
        }
        Ok(chip)
    }
}

/// Whether work is put off, and whether calls wait for it.
fn mode(value: &str) -> Result<(bool, bool), String> {
    match value {
        "deferred" => Ok((true, false)),
        "immediate" => Ok((false, false)),
        "blocking" => Ok((false, true)),
        _ => Err(format!("{value}: neither deferred nor immediate nor blocking")),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => KIB * MIB,
        _ => return Err(format!("{text}: KiB, MiB and GiB are known")),
    };
    digits.parse::<u64>().map(|number| number * unit).map_err(|_| format!("{text}: not a size"))
}

impl Chip {
    /// Lets a process see what its environment names. One that is told nothing sees the first slice of the first device that is cut; one
    /// that is told of a slice sees that alone.
    pub fn show(&mut self, visible: Option<&str>) {
        if self.mig == 0 {
            return;
        }
        self.devices = 1;
        self.slice = match visible {
            None => 1,
            Some(name) => (1..=self.mig).find(|slice| name.ends_with(&format!("{slice:02x}{:02x}00", self.sm))).unwrap_or(0),
        };
        if self.slice == 0 {
            self.devices = 0;
        }
    }

    /// Shared memory that a block can have when its kernel asks for it.
    pub fn shared_optin(&self) -> u32 {
        let kibibytes = match self.sm {
            70 | 72 => 96,
            75 => 64,
            80 | 87 => 163,
            86 | 89 | 120 | 121 => 99,
            _ if self.sm < 70 => 48,
            _ => 227,
        };
        kibibytes << 10
    }

    /// Threads that a multiprocessor holds.
    pub fn threads(&self) -> u32 {
        match self.sm {
            75 => 1024,
            86 | 87 | 89 | 120 | 121 => 1536,
            _ => 2048,
        }
    }

    fn blocks(&self) -> u32 {
        match self.sm {
            75 | 86 | 87 => 16,
            89 | 120 | 121 => 24,
            _ => 32,
        }
    }

    /// Bytes that move in a second: 16 each multiprocessor and nanosecond.
    pub fn bandwidth(&self) -> f64 {
        f64::from(self.multiprocessors) * 16e9
    }

    /// Floating-point operations in a second: four each multiprocessor and nanosecond, fewer than any chip makes in its slowest format,
    /// so that no figure is above a physical peak.
    pub fn rate(&self) -> f64 {
        f64::from(self.multiprocessors) * 4e9
    }

    /// Turns of the banks of shared memory in a second: one each multiprocessor and two nanoseconds, as on chips that give half a turn in
    /// a clock.
    pub fn turns(&self) -> f64 {
        f64::from(self.multiprocessors) * 0.5e9
    }

    /// A `CUdevice_attribute` by its number; none where this driver does not know it.
    pub fn attribute(&self, number: i32, device: u32) -> Option<i32> {
        let modern = i32::from(self.sm >= 90);
        Some(match number {
            // Pools came later than devices.
            115 if self.driver < 11020 => return None,
            1..=3 => 1024,
            4 => 64,
            6 | 7 => 65535,
            8 => 48 << 10,
            9 | 12 | 82 => 65536,
            10 => 32,
            5 | 11 => i32::MAX,
            // Clocks in kHz; the bus in bits.
            13 => 1_000_000,
            36 => 2_000_000,
            37 => 256,
            16 => self.multiprocessors as i32,
            31 | 41 | 95 | 115 => 1,
            33 => device as i32 + 1,
            38 => self.l2_bytes as i32,
            39 => self.threads() as i32,
            75 => (self.sm / 10) as i32,
            76 => (self.sm % 10) as i32,
            81 => self.shared_optin() as i32 + 1024,
            97 => self.shared_optin() as i32,
            106 => self.blocks() as i32,
            111 => i32::from(self.sm >= 80) * 1024,
            120 | 127 => modern,
            // Newer drivers know the host's memory next to the device.
            134 if self.driver < 12020 => return None,
            0 | 200.. => return None,
            // Some are zero on every such chip: integrated, ECC, the slot. Everything else is a feature that this chip has not.
            _ => 0,
        })
    }

    /// Blocks of a kernel that a multiprocessor holds.
    pub fn occupancy(&self, threads: u32, shared: u32) -> u32 {
        let held = self.threads() / threads.next_multiple_of(32).max(32);
        let shared = (self.shared_optin() + 1024).checked_div(shared + 1024).unwrap_or(0);
        held.min(shared).min(self.blocks())
    }

    /// Newest PTX that the driver's compiler reads.
    pub fn ptx_version(&self) -> (u32, u32) {
        let (major, minor) = (self.driver as u32 / 1000, self.driver as u32 % 1000 / 10);
        match (major, minor) {
            (..=9, _) => (6, 0),
            (10, _) => (6, 3 + minor),
            (11, _) => (7, minor),
            (12, ..=5) => (8, minor),
            (12, 6) => (8, 5),
            (12, _) => (8, minor - 1),
            _ => (9, minor),
        }
    }
}

#[test]
fn chips_are_read_from_a_line() {
    let short: Chip = "90".parse().unwrap();
    assert_eq!((short.sm, short.multiprocessors, short.l2_bytes, short.memory_bytes), (90, 4, 256 << 10, 64 << 20));
    let long: Chip = "sm=120,devices=2,sms=6,l2=1MiB,memory=1GiB,name=a b,mode=deferred,driver=11040".parse().unwrap();
    assert_eq!((long.devices, long.multiprocessors, long.memory_bytes, long.deferred), (2, 6, 1 << 30, true));
    assert_eq!((long.name.as_str(), long.ptx_version()), ("a b", (7, 4)));
    for (visible, sees) in [(None, (1, 1)), (Some("MIG-face0000-0000-4000-8000-000000025a00"), (1, 2)), (Some("GPU-0"), (0, 0))] {
        let mut cut: Chip = "90,devices=2,mig=2".parse().unwrap();
        cut.show(visible);
        assert_eq!((cut.devices, cut.slice), sees, "{visible:?}");
    }
    for wrong in ["", "sms=4", "90,l2=1MB", "90,mode=late", "90,colour=red"] {
        assert!(wrong.parse::<Chip>().is_err(), "{wrong}");
    }
}

#[test]
fn a_driver_reads_the_ptx_of_its_time() {
    for (driver, version) in [(10020, (6, 5)), (11080, (7, 8)), (12040, (8, 4)), (12080, (8, 7)), (12090, (8, 8)), (13000, (9, 0))]
    {
        let chip: Chip = format!("90,driver={driver}").parse().unwrap();
        assert_eq!(chip.ptx_version(), version, "{driver}");
    }
}
