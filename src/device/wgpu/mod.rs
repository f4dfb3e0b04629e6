//! wgpu: any GPU by Vulkan, Metal or Direct3D 12, and software adapters for checking; kernels are the WGSL in `shaders/`.
//!
//! Time is taken by timestamp queries around passes on the device's clock, with the host's wall clock as cross-check and fallback.
//! A software adapter is labelled as such and stands for no hardware.

mod adapter;
mod arrays;
mod context;
mod kernels;
mod limits;
mod loaded;
mod lower;
mod machine;
mod residual;
mod split;
mod timing;
mod trusted;

use crate::contract::{Backend, Fault, Listing, Machine};

/// The row of the table of backends.
pub const BACKEND: Backend = Backend { name: "wgpu", probe, open };

/// Lists adapters without opening them.
#[must_use]
pub fn probe() -> Listing {
    let backend = "wgpu".to_owned();
    // Drivers are loaded into this process to be asked; what they break must stay one line in the listing.
    let found =
        std::panic::catch_unwind(adapter::find).unwrap_or_else(|_| Err("the graphics driver broke while it was asked".into()));
    match found {
        Ok(found) => Listing { backend, devices: found.into_iter().map(|(_, device)| device).collect(), ..Listing::default() },
        Err(why) => Listing { backend, absent: Some(why), ..Listing::default() },
    }
}

/// Opens one adapter.
///
/// # Errors
/// [`Fault`] when it is not there, cannot be opened, or more than one is asked for.
pub fn open(ids: &[String]) -> Result<Box<dyn Machine>, Fault> {
    open_limited(ids, u64::MAX)
}

/// Opens one adapter as if its bindings could hold no more than `largest` bytes, so that spanning can be tried on small arrays.
///
/// # Errors
/// As [`open`].
pub fn open_limited(ids: &[String], largest: u64) -> Result<Box<dyn Machine>, Fault> {
    match ids {
        [id] => Ok(Box::new(machine::Wgpu::open(id, largest)?)),
        _ => Err(Fault::failed("wgpu", format!("opens one adapter at a time, not {}", ids.len()))),
    }
}
