//! The calls as a C program makes them, on the one driver of this process.

use super::{
    Pointer,
    devices::{cuCtxGetCurrent, cuCtxSetCurrent, cuDevicePrimaryCtxRetain, cuGetErrorName, cuInit},
    graphs::{cuGraphInstantiateWithFlags, cuGraphLaunch, cuStreamBeginCapture_v2, cuStreamEndCapture},
    launches::{Attribute, Configuration, cuLaunchKernel, cuLaunchKernelEx},
    memory::{cuMemAlloc_v2, cuMemFree_v2, cuMemcpyDtoH_v2, cuMemcpyHtoD_v2, cuMemsetD32Async},
    modules::{cuFuncGetAttribute, cuFuncSetAttribute, cuModuleGetFunction, cuModuleLoadData, cuModuleLoadDataEx},
    streams::{cuEventCreate, cuEventElapsedTime, cuEventQuery, cuEventRecord, cuStreamCreate, cuStreamSynchronize},
};
use crate::checks::INCREMENT;
use std::{
    ffi::{CStr, CString, c_int},
    ptr::{null, null_mut},
    sync::Once,
};

const OK: c_int = 0;
const INVALID_VALUE: c_int = 1;
const NON_BLOCKING: u32 = 1;
const MAX_DYNAMIC_SHARED: c_int = 8;

/// A context on this thread, a stream, and the kernel that increments.
fn begin() -> (Pointer, Pointer) {
    static ENVIRONMENT: Once = Once::new();
    // SAFETY: no other test of this library reads or writes the environment.
    ENVIRONMENT.call_once(|| unsafe { std::env::set_var("ASSAY_FAKE_CUDA", "sm=90,mode=deferred") });
    let (mut context, mut stream, mut module, mut function) = (null_mut(), null_mut(), null_mut(), null_mut());
    assert_eq!((cuInit(0), cuDevicePrimaryCtxRetain(&raw mut context, 0), cuCtxSetCurrent(context)), (OK, OK, OK));
    let image = CString::new(INCREMENT).expect("no zero in it");
    assert_eq!(cuModuleLoadData(&raw mut module, image.as_ptr().cast()), OK);
    assert_eq!(cuModuleGetFunction(&raw mut function, module, c"increment".as_ptr()), OK);
    assert_eq!(cuModuleGetFunction(&raw mut function, module, c"decrement".as_ptr()), 500);
    assert_eq!(cuStreamCreate(&raw mut stream, NON_BLOCKING), OK);
    (stream, function)
}

fn buffer(words: &[u32]) -> u64 {
    let mut address = 0;
    assert_eq!(cuMemAlloc_v2(&raw mut address, size_of_val(words)), OK);
    assert_eq!(cuMemcpyHtoD_v2(address, words.as_ptr().cast(), size_of_val(words)), OK);
    address
}

fn read(address: u64) -> u32 {
    let mut word = 0_u32;
    assert_eq!(cuMemcpyDtoH_v2((&raw mut word).cast(), address, 4), OK);
    word
}

#[test]
fn a_launch_is_checked_and_copies_its_parameters() {
    let (stream, function) = begin();
    let (mut address, mut count) = (buffer(&[41, 0]), 1_u64);
    let parameters = [(&raw mut address).cast_const().cast(), (&raw mut count).cast_const().cast()];
    let launch = |threads, shared| cuLaunchKernel(function, 1, 1, 1, threads, 1, 1, shared, stream, parameters.as_ptr(), null());
    assert_eq!([launch(0, 0), launch(1025, 0), launch(32, 49_153)], [INVALID_VALUE; 3]);
    assert_eq!(cuFuncSetAttribute(function, MAX_DYNAMIC_SHARED, 300_000), INVALID_VALUE);
    assert_eq!(cuFuncSetAttribute(function, MAX_DYNAMIC_SHARED, 65_536), OK);
    let mut allowed = 0;
    assert_eq!((cuFuncGetAttribute(&raw mut allowed, MAX_DYNAMIC_SHARED, function), allowed), (OK, 65_536));
    assert_eq!(launch(32, 49_153), OK);
    let known = address;
    // The driver has its own copy: what becomes of these is none of its business.
    (address, count) = (0, 0);
    assert_eq!((read(known), address, count), (41, 0, 0), "a blocking copy does not wait for a stream beside it");
    assert_eq!((cuStreamSynchronize(stream), read(known)), (OK, 42));
    assert_eq!((cuMemFree_v2(known), cuMemFree_v2(known)), (OK, INVALID_VALUE));
}

#[test]
fn clusters_are_checked() {
    let (stream, function) = begin();
    let (mut address, mut count) = (buffer(&[0]), 0_u64);
    let parameters = [(&raw mut address).cast_const().cast(), (&raw mut count).cast_const().cast()];
    let launch = |blocks, cluster: u32| {
        let attributes = [Attribute::cluster([cluster, 1, 1])];
        let configuration = Configuration::new(blocks, 32, stream, &attributes);
        cuLaunchKernelEx(&raw const configuration, function, parameters.as_ptr(), null())
    };
    assert_eq!([launch(4, 2), launch(5, 2), launch(16, 16)], [OK, INVALID_VALUE, 912]);
    assert_eq!((cuFuncSetAttribute(function, 14, 1), launch(16, 16), launch(32, 32)), (OK, OK, 912));
    assert_eq!(cuStreamSynchronize(stream), OK);
}

#[test]
fn a_captured_graph_does_its_work_at_every_launch() {
    let (stream, function) = begin();
    let (mut address, mut count) = (buffer(&[0]), 1_u64);
    let parameters = [(&raw mut address).cast_const().cast(), (&raw mut count).cast_const().cast()];
    let (mut graph, mut ready) = (null_mut(), null_mut());
    assert_eq!(cuStreamBeginCapture_v2(stream, 0), OK);
    assert_eq!(cuMemsetD32Async(address, 7, 1, stream), OK);
    for _ in 0..2 {
        assert_eq!(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, parameters.as_ptr(), null()), OK);
    }
    assert_eq!((cuStreamSynchronize(stream), cuStreamEndCapture(stream, &raw mut graph)), (900, OK));
    assert_eq!((cuStreamSynchronize(stream), read(address)), (OK, 0), "captured is not done");
    assert_eq!(cuGraphInstantiateWithFlags(&raw mut ready, graph, 0), OK);
    assert_eq!((cuGraphLaunch(ready, stream), cuStreamSynchronize(stream), read(address)), (OK, OK, 9));
}

#[test]
fn an_event_is_found_done_by_the_second_to_ask() {
    let (stream, _) = begin();
    let (mut begin, mut end, mut took) = (null_mut(), null_mut(), -1.0);
    assert_eq!((cuEventCreate(&raw mut begin, 0), cuEventCreate(&raw mut end, 0)), (OK, OK));
    assert_eq!(cuEventElapsedTime(&raw mut took, begin, end), 400, "never recorded");
    assert_eq!((cuEventRecord(begin, stream), cuEventRecord(end, stream)), (OK, OK));
    assert_eq!(cuEventElapsedTime(&raw mut took, begin, end), 600, "not yet");
    assert_eq!([cuEventQuery(end), cuEventQuery(end)], [600, OK]);
    assert_eq!((cuEventElapsedTime(&raw mut took, begin, end), took), (OK, 0.0));
}

#[test]
fn a_refused_image_tells_why_in_the_callers_buffer() {
    begin();
    let mut said = [1_u8; 64];
    let options = [5, 6];
    let values: [Pointer; 2] = [said.as_mut_ptr().cast(), std::ptr::without_provenance_mut(said.len())];
    let mut module = null_mut();
    let image = c".version 9.9\n.target sm_90\n.address_size 64\n";
    let status = cuModuleLoadDataEx(&raw mut module, image.as_ptr().cast(), 2, options.as_ptr(), values.as_ptr());
    let words = CStr::from_bytes_until_nul(&said).expect("ends").to_string_lossy();
    assert!(status == 222 && words.starts_with("ptxas application ptx input"), "{status}: {words}");
    let mut name = null();
    assert_eq!(cuGetErrorName(status, &raw mut name), OK);
    // SAFETY: the driver's names live as long as it does.
    assert_eq!(unsafe { CStr::from_ptr(name) }, c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION");
}

#[test]
fn a_thread_without_a_context_is_refused() {
    begin();
    let alone = std::thread::spawn(|| {
        let (mut context, mut address) = (null_mut(), 0);
        (cuCtxGetCurrent(&raw mut context), context.is_null(), cuMemAlloc_v2(&raw mut address, 16))
    });
    assert_eq!(alone.join().expect("no panic"), (OK, true, 201));
}
