//! Kernels written out in the tests, and their launches.

#![allow(dead_code, reason = "each test binary uses its part")]

use simt::{Counters, Fault, Geometry, Memory, Module, Options, launch};

/// A kernel `k` with one parameter, the output's address, and the registers that most bodies need.
pub fn text(declarations: &str, body: &str) -> String {
    format!(
        ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 out)\n{{\n\
         .reg .pred %p<8>;\n.reg .b16 %h<8>;\n.reg .b32 %r<32>;\n.reg .f32 %f<8>;\n.reg .b64 %rd<16>;\n{declarations}\n\
         ld.param.u64 %rd0, [out];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %rd1, %r0, 4;\nadd.s64 %rd1, %rd0, %rd1;\n{body}\nret;\n}}\n"
    )
}

/// What a launch of that kernel left in its output, a word a thread.
pub fn run_with(text: &str, geometry: &Geometry, options: &Options) -> Result<(Vec<u32>, Counters), Fault> {
    let module = Module::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut memory = Memory::new();
    let threads: u32 = geometry.grid.iter().chain(&geometry.block).product();
    let out = memory.allocate(threads as usize * 4);
    let counters = launch(module.kernel("k").unwrap(), geometry, &out.to_le_bytes(), &mut memory, options)?;
    let bytes = memory.bytes(out, threads as usize * 4).unwrap();
    Ok((bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect(), counters))
}

/// One block of so many threads.
pub fn run(declarations: &str, body: &str, threads: u32) -> Result<Vec<u32>, Fault> {
    run_with(&text(declarations, body), &Geometry::linear(1, threads), &Options::default()).map(|(out, _)| out)
}
