//! What is to happen: `what@call:n`, several with commas between them.
//!
//! `what`: the number of a result, `slow=` with milliseconds, `xid=` with a number (of a wait for events), `throttle` (from then on the
//! cards are held down by their power cap) or `lost` (from then on every getter says so). `call`: a name, or `any` for every getter.
//! `n`: which time, counted from 1; `n+` is that time and every later one.

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char, c_int, c_void},
    path::Path,
};

/// What happens in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Fails(c_int),
    Slow(u64),
    Xid(u64),
    Throttle,
    Lost,
}

#[derive(Debug)]
struct Planned {
    what: What,
    call: String,
    nth: u64,
    onwards: bool,
}

/// The script, and how often each call was made.
#[derive(Debug, Default)]
pub struct Script {
    planned: Vec<Planned>,
    calls: BTreeMap<&'static str, u64>,
    any: u64,
}

impl Script {
    /// # Panics
    /// On a script that says nothing sensible: a test must not pass by meeting nothing.
    pub fn parse(text: &str) -> Self {
        let each = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let planned = each.map(|one| planned(one).unwrap_or_else(|| panic!("fake NVML: {one} is not what@call:n"))).collect();
        Self { planned, ..Self::default() }
    }

    /// The variable `ASSAY_FAKE_NVML`, else a file beside this library with `.script` added to its name.
    pub fn find() -> Self {
        let variable = std::env::var("ASSAY_FAKE_NVML").ok().filter(|text| !text.is_empty());
        Self::parse(&variable.or_else(beside).unwrap_or_default())
    }

    /// Everything that happens in this call, counted once.
    pub fn pass(&mut self, call: &'static str, is_getter: bool) -> Vec<What> {
        let count = self.calls.entry(call).or_default();
        *count += 1;
        self.any += u64::from(is_getter);
        let (count, any) = (*count, self.any);
        let due = |one: &&Planned| {
            let seen = if one.call == call { count } else { any };
            let named = one.call == call || one.call == "any" && is_getter;
            named && (seen == one.nth || one.onwards && seen > one.nth)
        };
        self.planned.iter().filter(due).map(|one| one.what).collect()
    }
}

fn planned(text: &str) -> Option<Planned> {
    let (what, rest) = text.split_once('@')?;
    let (call, nth) = rest.rsplit_once(':')?;
    let what = match what.split_once('=') {
        Some(("slow", time)) => What::Slow(time.parse().ok()?),
        Some(("xid", number)) => What::Xid(number.parse().ok()?),
        Some(_) => return None,
        None if what == "throttle" => What::Throttle,
        None if what == "lost" => What::Lost,
        None => What::Fails(what.parse().ok()?),
    };
    let onwards = nth.ends_with('+');
    let nth = nth.trim_end_matches('+').parse().ok().filter(|nth| *nth > 0)?;
    Some(Planned { what, call: call.into(), nth, onwards })
}

/// `Dl_info` of `dlfcn.h`.
#[repr(C)]
struct Info {
    file: *const c_char,
    base: *mut c_void,
    name: *const c_char,
    address: *mut c_void,
}

/// The script in the file beside this library. Copies of it in one process thus have scripts of their own.
fn beside() -> Option<String> {
    // SAFETY: the C library's own function, by its own signature.
    unsafe extern "C" {
        fn dladdr(address: *const c_void, info: *mut Info) -> c_int;
    }
    let nothing: *mut c_void = std::ptr::null_mut();
    let mut info = Info { file: std::ptr::null(), base: nothing, name: std::ptr::null(), address: nothing };
    // SAFETY: the address is of this library, and the structure may be written.
    let found = unsafe { dladdr((beside as fn() -> Option<String>) as *const c_void, &raw mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: the name is a string that ends and lives as long as the library is loaded.
    let file = unsafe { CStr::from_ptr(info.file) }.to_str().ok()?;
    std::fs::read_to_string(Path::new(&format!("{file}.script"))).ok()
}

#[test]
fn what_is_planned_happens_at_its_time() {
    let mut script = Script::parse("15@any:3+, xid=79@wait:1, slow=20@clock:2");
    assert_eq!(script.pass("wait", false), [What::Xid(79)]);
    assert_eq!(script.pass("clock", true), []);
    assert_eq!(script.pass("clock", true), [What::Slow(20)]);
    assert_eq!(script.pass("power", true), [What::Fails(15)]);
    assert_eq!(script.pass("power", true), [What::Fails(15)]);
    assert_eq!(script.pass("wait", false), []);
}

#[test]
#[should_panic(expected = "is not what@call:n")]
fn nonsense_is_refused() {
    let _ = Script::parse("wat@clock");
}
