//! Planned failures: `what@where:n` or `what@where:n#device/process`, several with commas between them.
//!
//! `what`: `oom`, `illegal`, `hang`, `flip`, `lost`, `nodevice`, the number of a result, or what befalls the whole process: `kill`,
//! `stop`, `segv`, `exit`. `where`: `alloc`, `launch`, `launch/` with
//! a kernel's name, or the name of a call. `n`: which time, counted from 1; `n+` is that time and every later one. `#device/process`: only
//! in the process of that number, counted from 1, of those that make the device of that ordinal current.

use crate::status::Status;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The call fails with this result, once.
    Fails(Status),
    /// The work does an illegal access; it is told later, and for ever.
    Illegal,
    /// The work never ends.
    Hangs,
    /// The work is done, then one bit of what it wrote is turned over.
    Flips,
    /// This and every later call fails.
    Lost,
    /// The process ends, or stands still, in the midst of the call.
    Ends(End),
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By SIGKILL.
    Killed,
    /// By SIGSTOP: it is there, and does nothing.
    Stopped,
    /// It reads where nothing is.
    Segfault,
    /// Of itself, without a word.
    Exits,
}

#[derive(Clone, Debug)]
struct Planned {
    text: String,
    what: What,
    place: String,
    nth: u64,
    onwards: bool,
    /// Ordinal of a device, and which of the processes that hold it.
    holder: Option<(u32, usize)>,
    seen: u64,
    fired: bool,
    /// Another process of the same run met it.
    spent: bool,
}

/// All planned failures.
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<Planned>);

impl Script {
    /// # Errors
    /// Words about what is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(planned).collect::<Result<_, _>>().map(Self)
    }

    /// Takes failures out that the log of this run says have happened, so that each happens once, not once a process.
    pub fn spend(&mut self, log: &str) {
        for one in &mut self.0 {
            one.spent = !one.onwards && log.lines().any(|line| line.strip_prefix("fired ") == Some(&one.text));
        }
    }

    /// Whether any failure is one of a device's process.
    pub fn asks_for_holders(&self) -> bool {
        self.0.iter().any(|one| one.holder.is_some())
    }

    /// What happens at a place, counted as passed once, in a process that holds a device as one of so many; the text is that of the failure.
    pub fn pass(&mut self, matches: impl Fn(&str) -> bool, holder: Option<(u32, usize)>) -> Option<(What, String)> {
        let mut found = None;
        let ours = |one: &Planned| matches(&one.place) && (one.holder.is_none() || one.holder == holder);
        for one in self.0.iter_mut().filter(|one| ours(one)) {
            one.seen += 1;
            let due = one.seen == one.nth || one.onwards && one.seen > one.nth;
            if due && !one.spent {
                one.fired = true;
                found = Some((one.what, one.text.clone()));
            }
        }
        found
    }

    /// Failures that may still happen.
    pub fn planned(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|one| !one.fired && !one.spent).map(|one| one.text.as_str())
    }
}

fn planned(text: &str) -> Result<Planned, String> {
    let wrong = || format!("{text}: not what@where:n");
    let (what, rest) = text.split_once('@').ok_or_else(wrong)?;
    let (place, nth) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let (nth, holder) = match nth.split_once('#') {
        None => (nth, None),
        Some((nth, holder)) => {
            let (device, process) = holder.split_once('/').ok_or_else(wrong)?;
            (nth, Some((device.parse().map_err(|_| wrong())?, process.parse().map_err(|_| wrong())?)))
        }
    };
    let what = match what {
        "oom" => What::Fails(Status::OUT_OF_MEMORY),
        "nodevice" => What::Fails(Status::NO_DEVICE),
        "illegal" => What::Illegal,
        "hang" => What::Hangs,
        "flip" => What::Flips,
        "lost" => What::Lost,
        "kill" => What::Ends(End::Killed),
        "stop" => What::Ends(End::Stopped),
        "segv" => What::Ends(End::Segfault),
        "exit" => What::Ends(End::Exits),
        number => What::Fails(Status(number.parse().ok().filter(|code| *code > 0).ok_or_else(wrong)?)),
    };
    let work = place == "launch" || place.starts_with("launch/");
    if !work && matches!(what, What::Illegal | What::Hangs | What::Flips) {
        return Err(format!("{text}: only launches do that"));
    }
    let onwards = nth.ends_with('+');
    let nth = nth.trim_end_matches('+').parse().ok().filter(|nth| *nth > 0).ok_or_else(wrong)?;
    Ok(Planned { text: text.into(), what, place: place.into(), nth, onwards, holder, seen: 0, fired: false, spent: false })
}

#[test]
fn a_failure_happens_at_its_time_and_once() {
    let mut script = Script::parse("oom@alloc:2, 702@cuStreamQuery:1+").unwrap();
    let mut pass = |place: &str| script.pass(|other| other == place, None).map(|(what, _)| what);
    let oom = What::Fails(Status::OUT_OF_MEMORY);
    assert_eq!([pass("alloc"), pass("alloc"), pass("alloc")], [None, Some(oom), None]);
    assert_eq!([pass("cuStreamQuery"), pass("cuStreamQuery")], [Some(What::Fails(Status(702))); 2]);
    assert_eq!(script.planned().count(), 0);
}

#[test]
fn what_another_process_met_is_spent_and_the_rest_is_still_planned() {
    let mut script = Script::parse("illegal@launch/copy:1,lost@cuMemAlloc_v2:9").unwrap();
    script.spend("calls cuInit 1\nfired illegal@launch/copy:1\n");
    assert_eq!(script.pass(|place| place == "launch/copy", None), None);
    assert_eq!(script.planned().collect::<Vec<_>>(), ["lost@cuMemAlloc_v2:9"]);
}

#[test]
fn a_failure_of_one_process_of_a_device_is_no_others() {
    let mut script = Script::parse("stop@alloc:2#1/2").unwrap();
    assert!(script.asks_for_holders());
    let mut pass = |holder| script.pass(|place| place == "alloc", holder).is_some();
    let passed = [pass(Some((1, 1))), pass(Some((0, 2))), pass(None), pass(Some((1, 2))), pass(Some((1, 2)))];
    assert_eq!(passed, [false, false, false, false, true]);
}

#[test]
fn nonsense_is_refused() {
    for wrong in
        ["oom@alloc:1#2", "oom@alloc:1#x/1", "oom", "oom@alloc", "oom@alloc:0", "flip@alloc:1", "-3@cuInit:1", "wat@cuInit:1"]
    {
        assert!(Script::parse(wrong).is_err(), "{wrong}");
    }
}
