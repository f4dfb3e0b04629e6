//! NVIDIA GPUs through the CUDA driver, with kernels compiled ahead: nothing but the driver is needed.
//!
//! The driver's library is opened when it is first asked for. The wrapper in between panics where the library or one of its calls
//! is missing, so the library is looked for before the first call, and a panic is turned into words all the same.

mod calls;
mod candidates;
mod facts;
mod gate;
mod geometry;
mod graph;
mod host;
mod image;
mod launch;
mod libraries;
mod library;
mod loaded;
mod lt;
mod lt_sys;
mod machine;
mod nccl;
mod numa;
mod peers;
mod prepared;
mod product;
mod sparse;
mod sparse_lt;
mod tensor;
mod timing;
mod trips;
mod vendor;

use crate::contract::{Backend, Fault, Library, Listing, Machine};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub const BACKEND: Backend = Backend { name: "cuda", probe, open };

fn probe() -> Listing {
    let found = guarded(|| {
        initialise()?;
        facts::devices()
    });
    let (devices, absent) = match found {
        Ok(devices) if devices.is_empty() => {
            (devices, Some("the NVIDIA driver shows no device. Is CUDA_VISIBLE_DEVICES set?".into()))
        }
        Ok(devices) => (devices, None),
        Err(Fault::Failed { why, .. }) => (Vec::new(), Some(why)),
        Err(fault) => (Vec::new(), Some(fault.to_string())),
    };
    // Where there is no device a library beside the driver is of no interest.
    let libraries = if devices.is_empty() { Vec::new() } else { beside() };
    Listing { backend: "cuda".into(), devices, absent, libraries }
}

/// Libraries that products are measured by.
fn beside() -> Vec<Library> {
    let dense = launch::interface_version().map_err(|fault| fault.to_string()).and_then(libraries::cublaslt);
    let of = |(name, found): (&str, Result<libraries::Found, String>)| {
        let library = Library { name: name.into(), ..Library::default() };
        match found {
            Ok(found) => Library { version: Some(found.version), path: Some(found.path.display().to_string()), ..library },
            Err(why) => Library { absent: Some(why), ..library },
        }
    };
    [("cuBLASLt", dense), ("cuSPARSELt", libraries::cusparselt())].into_iter().map(of).collect()
}

fn open(ids: &[String]) -> Result<Box<dyn Machine>, Fault> {
    guarded(|| {
        initialise()?;
        let all = facts::devices()?;
        let wanted = |id: &String| {
            let known = all.iter().position(|device| device.id == *id || device.uuid.as_ref() == Some(id));
            known
                .map(|ordinal| (ordinal, all[ordinal].clone()))
                .ok_or_else(|| Fault::failed(format!("opening {id}"), "no such device"))
        };
        let chosen: Vec<_> = ids.iter().map(wanted).collect::<Result<_, _>>()?;
        let machine = machine::Cuda::open(chosen)?;
        Ok(Box::new(machine) as Box<dyn Machine>)
    })
}

/// Drivers before it do not know of memory pools, which the wrapper asks every device for.
const OLDEST: i32 = 11020;

fn initialise() -> Result<(), Fault> {
    const STARTING: &str = "starting the NVIDIA driver";
    if !launch::library_present() {
        return Err(Fault::failed(STARTING, "no NVIDIA driver: libcuda.so.1 is not installed or not on the library path"));
    }
    if let Some(call) = calls::lacking() {
        return Err(Fault::failed(STARTING, format!("the NVIDIA driver is too old: its library lacks {call}")));
    }
    cudarc::driver::result::init().map_err(|error| launch::fault(STARTING, error))?;
    let version = launch::interface_version()?;
    if version < OLDEST {
        let name = |version: i32| format!("CUDA {}.{}", version / 1000, version % 1000 / 10);
        let why = format!("the NVIDIA driver is too old: it offers {}, {} is needed", name(version), name(OLDEST));
        return Err(Fault::failed(STARTING, why));
    }
    Ok(())
}

/// Runs driver calls such that a missing library or call becomes words, not a panic on a person's screen.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    std::panic::set_hook(hook);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Fault::failed("calling the NVIDIA driver", text.unwrap_or("the driver's library lacks a call")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_finds_devices_or_says_why_not() {
        let listing = probe();
        assert_eq!(listing.backend, "cuda");
        assert_eq!(listing.devices.is_empty(), listing.absent.is_some(), "{listing:?}");
        if !launch::library_present() {
            assert!(listing.absent.is_some_and(|reason| reason.contains("libcuda.so.1")));
        }
    }

    #[test]
    fn an_unknown_device_is_an_error_not_a_panic() {
        let outcome = open(&["cuda:4096".into()]).map(|_| ());
        assert!(matches!(outcome, Err(Fault::Failed { .. })), "{outcome:?}");
    }

    #[test]
    fn a_panic_becomes_words() {
        let outcome: Result<(), Fault> = guarded(|| panic!("Missing symbol cuFoo"));
        assert!(outcome.is_err_and(|fault| fault.to_string().contains("Missing symbol cuFoo")));
    }
}
