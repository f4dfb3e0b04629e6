//! All that a driver knows, and the way into every call: counted, failed by the script, refused after an error that sticks.

use crate::{
    chip::Chip,
    execute::Memo,
    launch::{Code, Facts},
    log::Log,
    memory::Memory,
    pace::Pace,
    script::{End, Script, What},
    spans::Spans,
    status::Status,
    work::{Event, Stream, Work},
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    ffi::c_int,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// What callers hold instead of a pointer; none is used twice.
pub type Handle = u64;

static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);

/// Calls that take a program as long as the chip's submission takes.
const SUBMITS: &[&str] = &["cuLaunchKernel", "cuLaunchKernelEx", "cuGraphLaunch", "cuEventRecord"];

thread_local! {
    /// Device of the context that is current on this thread.
    static CURRENT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// What must be so for a call to be made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Start,
    /// A context that is current and not broken.
    Context,
}

/// A loaded kernel.
pub struct Function {
    pub module: Handle,
    pub code: Arc<Code>,
    pub name: String,
    pub facts: Facts,
    /// Dynamic shared memory that it may have.
    pub dynamic_shared: u32,
    pub large_cluster: bool,
}

pub struct Driver {
    pub chip: Chip,
    pub ptx: Option<PathBuf>,
    pub script: Script,
    pub log: Log,
    pub started: bool,
    pub retained: Vec<u32>,
    /// Pairs of devices of which kernels on the first may reach the memory of the second.
    pub joined: BTreeSet<(u32, u32)>,
    pub memory: Memory,
    pub streams: BTreeMap<Handle, Stream>,
    pub events: BTreeMap<Handle, Event>,
    pub modules: BTreeMap<Handle, Arc<Code>>,
    pub pace: Pace,
    /// By module: the factor on the time of its kernels.
    pub paces: BTreeMap<Handle, f64>,
    pub functions: BTreeMap<Handle, Function>,
    /// Graphs and what was made of them.
    pub graphs: BTreeMap<Handle, Vec<Work>>,
    /// Pinned host memory by address.
    pub pinned: BTreeMap<usize, Box<[u8]>>,
    /// The program's own memory that it had pinned: its length by address.
    pub registered: BTreeMap<usize, usize>,
    pub memo: Memo,
    /// By device: an error that no call gets past.
    pub poison: Vec<Option<Status>>,
    /// The host's time, in nanoseconds; that of the devices where the host's calls take no time.
    pub host: f64,
    calls: BTreeMap<&'static str, u64>,
    spans: Spans,
    /// By device: which of the processes that held it this one is.
    holder: BTreeMap<u32, usize>,
    lost: bool,
    next: Handle,
}

impl Driver {
    /// As the environment wants it; without a device where it wants none.
    fn from_environment() -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let chip = variable("ASSAY_FAKE_CUDA").unwrap_or_else(|| "sm=90,devices=0".into());
        let mut chip: Chip = chip.parse().map_err(|why| format!("ASSAY_FAKE_CUDA: {why}"))?;
        chip.show(variable("CUDA_VISIBLE_DEVICES").as_deref());
        let log = Log::from_environment();
        let script = variable("ASSAY_FAKE_FAULT").unwrap_or_default();
        let mut script = Script::parse(&script).map_err(|why| format!("ASSAY_FAKE_FAULT: {why}"))?;
        let pace = variable("ASSAY_FAKE_PACE").unwrap_or_default();
        let pace = Pace::parse(&pace).map_err(|why| format!("ASSAY_FAKE_PACE: {why}"))?;
        script.spend(&log.text());
        script.planned().for_each(|text| log.write(&format!("planned {text}")));
        Ok(Self { script, log, pace, ptx: variable("ASSAY_FAKE_PTX").map(PathBuf::from), ..Self::new(chip) })
    }

    /// One to which nothing has happened.
    pub fn new(chip: Chip) -> Self {
        let null = |device| (Self::null(device), Stream { device, ..Stream::default() });
        Self {
            streams: (0..chip.devices).map(null).collect(),
            poison: vec![None; chip.devices as usize],
            retained: vec![0; chip.devices as usize],
            joined: BTreeSet::new(),
            ptx: None,
            chip,
            script: Script::default(),
            log: Log::default(),
            started: false,
            memory: Memory::default(),
            events: BTreeMap::new(),
            modules: BTreeMap::new(),
            pace: Pace::default(),
            paces: BTreeMap::new(),
            functions: BTreeMap::new(),
            graphs: BTreeMap::new(),
            pinned: BTreeMap::new(),
            registered: BTreeMap::new(),
            memo: Memo::default(),
            host: 0.0,
            calls: BTreeMap::new(),
            spans: Spans::default(),
            holder: BTreeMap::new(),
            lost: false,
            next: 0x10_0000,
        }
    }

    /// The null stream of a device.
    pub fn null(device: u32) -> Handle {
        0x100 + Handle::from(device)
    }

    pub fn handle(&mut self) -> Handle {
        self.next += 0x10;
        self.next
    }

    /// The error that sticks to a device.
    pub fn poison(&self, device: u32) -> Option<Status> {
        self.poison.get(device as usize).copied().flatten()
    }

    /// The state of the current device, after work was done.
    ///
    /// # Errors
    /// The error that sticks.
    pub fn healthy(&self) -> Result<(), Status> {
        self.poison(device()?).map_or(Ok(()), Err)
    }

    /// Meets a failure of the script.
    ///
    /// # Errors
    /// That of the failure, if the call is what fails; else what becomes of the work.
    pub fn meet(&mut self, matches: impl Fn(&str) -> bool) -> Result<Option<What>, Status> {
        let holder = self.holder();
        let Some((what, text)) = self.script.pass(matches, holder) else { return Ok(None) };
        self.log.write(&format!("fired {text}"));
        match what {
            What::Fails(status) => Err(status),
            What::Lost => {
                self.lost = true;
                Err(Status::UNKNOWN)
            }
            What::Ends(end) => {
                suffer(end);
                Ok(None)
            }
            later => Ok(Some(later)),
        }
    }

    /// The current device and which of its processes this one is, by the log that they share; only where the script asks for it.
    fn holder(&mut self) -> Option<(u32, usize)> {
        let device = current().filter(|_| self.script.asks_for_holders())?;
        let log = &self.log;
        let number = self.holder.entry(device).or_insert_with(|| {
            let line = format!("holds {device}");
            log.write(&line);
            log.text().lines().filter(|other| *other == line).count()
        });
        Some((device, *number))
    }

    fn enter(&mut self, name: &'static str, needs: Needs) -> Result<(), Status> {
        *self.calls.entry(name).or_default() += 1;
        self.spans.pass(name);
        if SUBMITS.contains(&name) {
            self.host += self.chip.submit_nanoseconds;
        }
        let allocates = matches!(name, "cuMemAlloc_v2" | "cuMemAllocAsync");
        self.meet(|place| place == name || allocates && place == "alloc")?;
        if self.lost && needs != Needs::Nothing {
            return Err(Status::UNKNOWN);
        }
        if needs != Needs::Nothing && !self.started && name != "cuInit" {
            return Err(Status::NOT_INITIALIZED);
        }
        if needs == Needs::Context { self.healthy() } else { Ok(()) }
    }

    /// What is told when the process ends of itself.
    fn summary(&self) -> String {
        let calls = self.calls.iter().map(|(name, count)| format!("calls {name} {count}"));
        let launches = format!("launches interpreted {} repeated {}", self.memo.interpreted, self.memo.repeated);
        let within = self.spans.within.iter().map(|name| format!("within a timed span {name}"));
        calls.chain(within).chain([launches]).collect::<Vec<_>>().join("\n")
    }
}

/// Makes a device's context current on this thread.
pub fn make_current(device: Option<u32>) {
    CURRENT.set(device);
}

/// Device of the context that is current on this thread.
pub fn current() -> Option<u32> {
    CURRENT.get()
}

/// Device of the current context.
///
/// # Errors
/// `INVALID_CONTEXT` where there is none.
pub fn device() -> Result<u32, Status> {
    CURRENT.get().ok_or(Status::INVALID_CONTEXT)
}

/// A call: `work` under the driver's lock, its result as a number. A call that hangs never returns.
pub fn call(name: &'static str, needs: Needs, work: impl FnOnce(&mut Driver) -> Result<(), Status>) -> c_int {
    let made = catch_unwind(AssertUnwindSafe(|| {
        let mut lock = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            at_exit();
        }
        let driver = lock.get_or_insert_with(|| {
            // A test that says nothing sensible must not pass by meeting no device.
            Driver::from_environment().unwrap_or_else(|why| {
                eprintln!("fake driver: {why}");
                std::process::abort()
            })
        });
        driver.enter(name, needs).and_then(|()| work(driver))
    }));
    match made {
        Ok(Ok(())) => 0,
        Ok(Err(Status::HANGS)) => loop {
            std::thread::park();
        },
        Ok(Err(status)) => status.0,
        Err(_) => Status::UNKNOWN.0,
    }
}

/// What befalls the process. It returns only from having been stopped.
fn suffer(end: End) {
    // SAFETY: the C library's own functions, by their own signatures.
    unsafe extern "C" {
        safe fn raise(signal: c_int) -> c_int;
        safe fn _exit(status: c_int) -> !;
    }
    match end {
        End::Killed => _ = raise(9),
        End::Stopped => _ = raise(19),
        // A signal that is raised would return from the handler that Rust sets for overflows of the stack; a true fault does not.
        // SAFETY: nothing is there, and that is what is wanted.
        End::Segfault => _ = unsafe { std::ptr::null::<u8>().wrapping_add(8).read_volatile() },
        // Without the functions that are registered for the end: the driver's lock is held.
        End::Exits => _exit(3),
    }
}

extern "C" fn tell() {
    let lock = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(driver) = lock.as_ref() {
        driver.log.write(&driver.summary());
    }
}

/// Tells the log when the process ends.
fn at_exit() {
    // SAFETY: the C library's own function, by its own signature.
    unsafe extern "C" {
        safe fn atexit(function: extern "C" fn()) -> c_int;
    }
    atexit(tell);
}
