//! Devices that reach each other's memory: whether they can, and letting them.

// Raw driver calls; each block gives its reason.
#![allow(unsafe_code)]

use super::launch::{fault, has};
use crate::contract::Fault;
use cudarc::driver::{CudaContext, sys};
use std::sync::Arc;

/// What the driver says where access was let before.
const ALREADY: sys::CUresult = sys::CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;

/// Lets what runs on one device reach the memory of another, where the two are linked so; whether it does now.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn join(from: &Arc<CudaContext>, to: &Arc<CudaContext>) -> Result<bool, Fault> {
    const DOING: &str = "letting devices reach each other's memory";
    if !has("cuDeviceCanAccessPeer") || !has("cuCtxEnablePeerAccess") {
        return Ok(false);
    }
    let mut can = 0;
    // SAFETY: both devices came from the driver, and the pointer is to a local.
    unsafe { sys::cuDeviceCanAccessPeer(&raw mut can, from.cu_device(), to.cu_device()) }
        .result()
        .map_err(|error| fault(DOING, error))?;
    if can == 0 {
        return Ok(false);
    }
    from.bind_to_thread().map_err(|error| fault("binding the device", error))?;
    // SAFETY: both contexts are held open, and the first is current.
    match unsafe { sys::cuCtxEnablePeerAccess(to.cu_ctx(), 0) } {
        status if status == ALREADY => Ok(true),
        status => status.result().map(|()| true).map_err(|error| fault(DOING, error)),
    }
}
