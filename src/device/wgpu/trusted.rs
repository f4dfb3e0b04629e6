//! The one door to shaders without run-time checks: clamped indices and bounded loops would be measured along with the kernel.

use wgpu::{Device, ShaderModule, ShaderModuleDescriptor, ShaderRuntimeChecks, ShaderSource};

/// Compiles one of the crate's own shaders as written.
#[allow(unsafe_code)]
pub(super) fn module(device: &Device, stem: &str, source: &'static str) -> ShaderModule {
    let descriptor = ShaderModuleDescriptor { label: Some(stem), source: ShaderSource::Wgsl(source.into()) };
    // SAFETY: `source` is carried by the binary, never given by a user. Every index in those shaders is bounded by counts that come
    // from `lower.rs`, which refuses counts beyond the buffers it binds; every loop ends, since its step is a positive constant and
    // its bound a count below 2^32 less that step.
    unsafe { device.create_shader_module_trusted(descriptor, ShaderRuntimeChecks::unchecked()) }
}
