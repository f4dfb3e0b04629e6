//! Devices that reach each other's memory: whether they can, and letting them.

// Raw driver calls; each block gives its reason.
#![allow(unsafe_code)]

use super::launch::{fault, has};
use crate::contract::Fault;
use cudarc::driver::{CudaContext, sys};
use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

const DOING: &str = "letting devices reach each other's memory";

/// Which opened devices can reach the memory of which others, by their numbers, and which do. They are let to plan by plan: the driver
/// lets a device reach eight others at a time, and a node may have more.
#[derive(Default)]
pub struct Links {
    able: BTreeSet<(usize, usize)>,
    joined: RefCell<BTreeSet<(usize, usize)>>,
}

impl Links {
    /// Asks the driver of every pair.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn find(contexts: &[&Arc<CudaContext>]) -> Result<Self, Fault> {
        let mut links = Self::default();
        if !["cuDeviceCanAccessPeer", "cuCtxEnablePeerAccess", "cuCtxDisablePeerAccess"].into_iter().all(has) {
            return Ok(links);
        }
        let every = 0..contexts.len();
        for (from, to) in pairs(every.clone(), every) {
            let mut can = 0;
            // SAFETY: both devices came from the driver, and the pointer is to a local.
            unsafe { sys::cuDeviceCanAccessPeer(&raw mut can, contexts[from].cu_device(), contexts[to].cu_device()) }
                .result()
                .map_err(|error| fault(DOING, error))?;
            if can != 0 {
                links.able.insert((from, to));
            }
        }
        Ok(links)
    }

    /// Whether each of some devices can reach the memory of all others.
    pub fn connect(&self, places: &[usize]) -> bool {
        pairs(places.iter().copied(), places.iter().copied()).all(|pair| self.able.contains(&pair))
    }

    /// Lets each of some devices reach the memory of all others that it can, and where there is no room for that, takes it from others.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn join(&self, contexts: &[&Arc<CudaContext>], places: &[usize]) -> Result<(), Fault> {
        let wanted: BTreeSet<_> =
            pairs(places.iter().copied(), places.iter().copied()).filter(|pair| self.able.contains(pair)).collect();
        for &(from, to) in &wanted {
            if self.joined.borrow().contains(&(from, to)) {
                continue;
            }
            contexts[from].bind_to_thread().map_err(|error| fault("binding the device", error))?;
            let mut status = let_reach(contexts[to]);
            if status == sys::CUresult::CUDA_ERROR_TOO_MANY_PEERS {
                self.part(contexts, |pair| pair.0 == from && !wanted.contains(&pair))?;
                status = let_reach(contexts[to]);
            }
            if status != sys::CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED {
                status.result().map_err(|error| fault(DOING, error))?;
            }
            self.joined.borrow_mut().insert((from, to));
        }
        Ok(())
    }

    /// Takes it back from those pairs, the first of which is the current one.
    fn part(&self, contexts: &[&Arc<CudaContext>], whose: impl Fn((usize, usize)) -> bool) -> Result<(), Fault> {
        let leaving: Vec<_> = self.joined.borrow().iter().copied().filter(|pair| whose(*pair)).collect();
        for pair in leaving {
            // SAFETY: both contexts are held open, the first is current, and no work that was asked for is still under way: a plan is
            // made ready when the one before has ended.
            unsafe { sys::cuCtxDisablePeerAccess(contexts[pair.1].cu_ctx()) }.result().map_err(|error| fault(DOING, error))?;
            self.joined.borrow_mut().remove(&pair);
        }
        Ok(())
    }
}

/// What the driver says to letting the current device reach another's memory.
fn let_reach(to: &CudaContext) -> sys::CUresult {
    // SAFETY: both contexts are held open, and the first is current.
    unsafe { sys::cuCtxEnablePeerAccess(to.cu_ctx(), 0) }
}

/// Every one with every other.
fn pairs(from: impl Iterator<Item = usize>, to: impl Iterator<Item = usize> + Clone) -> impl Iterator<Item = (usize, usize)> {
    from.flat_map(move |from| to.clone().map(move |to| (from, to))).filter(|(from, to)| from != to)
}
