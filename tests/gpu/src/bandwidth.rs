//! What others' ways of moving memory reach here: the driver's own copy, and kernels of one 8-byte element a thread as BabelStream has
//! them (Deakin et al., 2018). Reference readings, beside which ours are to be seen.

use crate::driver::{Device, Room, copy, function, launch, open};
use anyhow::{Result, anyhow};
use cudarc::driver::sys::CUevent_flags;
use serde_json::{Value, json};

/// Threads of a block, as BabelStream has them.
const THREADS: u32 = 1024;
const REPETITIONS: usize = 20;
const LARGEST: u64 = 1 << 30;
const SMALLEST: u64 = 1 << 20;

/// A kernel's name, its arithmetic on `a`, `b` into `c`, and the arrays that it touches.
const KERNELS: [(&str, &str, u64); 4] = [
    ("copy", "mov.f64 %fd3, %fd1;", 2),
    ("scale", "mul.f64 %fd3, %fd1, 0d3FD999999999999A;", 2),
    ("add", "add.f64 %fd3, %fd1, %fd2;", 3),
    ("triad", "fma.rn.f64 %fd3, %fd2, 0d3FD999999999999A, %fd1;", 3),
];

fn text(name: &str, arithmetic: &str, arrays: u64) -> String {
    let second = if arrays == 3 { "ld.param.u64 %rd3, [b];\nadd.s64 %rd3, %rd3, %rd1;\nld.global.f64 %fd2, [%rd3];" } else { "" };
    format!(
        ".version 6.0\n.target sm_70\n.address_size 64\n.visible .entry {name}(.param .u64 a, .param .u64 b, .param .u64 c)\n{{\n\
         .reg .b32 %r<5>;\n.reg .b64 %rd<5>;\n.reg .f64 %fd<4>;\n\
         mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\nmad.lo.s32 %r4, %r1, %r2, %r3;\n\
         mul.wide.u32 %rd1, %r4, 8;\nld.param.u64 %rd2, [a];\nadd.s64 %rd2, %rd2, %rd1;\nld.global.f64 %fd1, [%rd2];\n{second}\n\
         {arithmetic}\nld.param.u64 %rd4, [c];\nadd.s64 %rd4, %rd4, %rd1;\nst.global.f64 [%rd4], %fd3;\nret;\n}}\n\0"
    )
}

/// Bytes a second, the best and the middle one, of work that moves so many bytes.
fn rates(device: &Device, bytes: u64, work: impl Fn() -> Result<()>) -> Result<Value> {
    let said = |error: cudarc::driver::DriverError| anyhow!("the driver said {:?}", error.0);
    let event = || device.context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(said);
    let (begin, end) = (event()?, event()?);
    work()?;
    let mut found = Vec::with_capacity(REPETITIONS);
    for _ in 0..REPETITIONS {
        begin.record(&device.stream).map_err(said)?;
        work()?;
        end.record(&device.stream).map_err(said)?;
        found.push(bytes as f64 / (f64::from(begin.elapsed_ms(&end).map_err(said)?) * 1e-3));
    }
    found.sort_by(|a, b| b.total_cmp(a));
    Ok(json!({ "best": found[0], "p50": found[REPETITIONS / 2] }))
}

pub fn document(bytes: Option<u64>) -> Result<Value> {
    let device = open()?;
    let bytes = bytes.unwrap_or_else(|| (device.free() / 8).clamp(SMALLEST, LARGEST)) / SMALLEST * SMALLEST;
    let rooms = [Room::of(bytes)?, Room::of(bytes)?, Room::of(bytes)?];
    let [a, b, c] = [0, 1, 2].map(|index: usize| rooms[index].address);
    let blocks = u32::try_from(bytes / 8 / u64::from(THREADS))?;
    let mut readings = serde_json::Map::new();
    readings.insert("memcpy_device_to_device".into(), rates(&device, 2 * bytes, || copy(&device, c, a, bytes))?);
    for (name, arithmetic, arrays) in KERNELS {
        let kernel = function(text(name, arithmetic, arrays).as_bytes(), name)?;
        let found = rates(&device, arrays * bytes, || launch(&device, &kernel, (blocks, THREADS, 0), &[a, b, c], None))?;
        readings.insert(format!("babelstream_{name}"), found);
    }
    Ok(json!({
        "schema": "assay.bandwidth/1",
        "device": device.name,
        "unit": "B/s",
        "counts": "bytes read and bytes written",
        "array_bytes": bytes,
        "readings": readings,
    }))
}

#[test]
fn every_kernel_is_one_that_ends_with_a_zero_and_touches_its_arrays() {
    for (name, arithmetic, arrays) in KERNELS {
        let text = text(name, arithmetic, arrays);
        assert!(text.ends_with('\0') && text.contains(&format!(".entry {name}(")));
        assert_eq!(text.matches("global.f64").count() as u64, arrays, "{name}");
    }
}
