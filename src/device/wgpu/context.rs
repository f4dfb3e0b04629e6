//! An opened adapter: buffers, pipelines and reading back, with every error of the interface below turned into a [`Fault`].

use super::{
    adapter::{REQUIRED, wait},
    trusted,
};
use crate::{contract::Fault, plan, units::Nanos};
use std::{
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};
use wgpu::{
    Adapter, BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingType, Buffer, BufferBindingType, BufferDescriptor, BufferUsages, ComputePipeline, ComputePipelineDescriptor, Device,
    DeviceDescriptor, ErrorFilter, Features, MapMode, PipelineCompilationOptions, PipelineLayoutDescriptor, PollError, PollType,
    Queue, ShaderStages,
};

/// Bytes of immediates that every pipeline has room for; the interface promises at least 128 on every native backend.
const IMMEDIATES: u32 = 64;
/// How long work outside the timed loop may take before the device counts as hung.
const PATIENCE: Duration = Duration::from_mins(2);

/// A device, its queue, and the first thing that went wrong on it.
pub(super) struct Context {
    pub device: Device,
    pub queue: Queue,
    /// Nanoseconds of a tick, where the device has timestamps.
    pub tick: Option<f64>,
    /// Layouts of bind groups by their number of inputs; one output follows.
    layouts: [BindGroupLayout; 4],
    trouble: Arc<OnceLock<Fault>>,
}

impl Context {
    /// # Errors
    /// [`Fault::Failed`] when the driver refuses.
    pub fn open(adapter: &Adapter) -> Result<Self, Fault> {
        let stamps = adapter.features() & Features::TIMESTAMP_QUERY;
        let descriptor = DeviceDescriptor {
            label: Some("assay"),
            required_features: REQUIRED | stamps,
            // Defaults stop at 128 MiB; what the adapter has is what is to be measured.
            required_limits: adapter.limits(),
            ..DeviceDescriptor::default()
        };
        let (device, queue) =
            wait(adapter.request_device(&descriptor)).map_err(|error| Fault::failed("opening the adapter", error))?;
        let trouble = Arc::new(OnceLock::new());
        let (uncaught, lost) = (Arc::clone(&trouble), Arc::clone(&trouble));
        // Of several errors the first is the cause, so later ones are not kept.
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| drop(uncaught.set(fault(&error, 0)))));
        device.set_device_lost_callback(move |reason, message| drop(lost.set(Fault::Lost(format!("{reason:?}: {message}")))));
        let tick = (!stamps.is_empty()).then(|| f64::from(queue.get_timestamp_period())).filter(|tick| *tick > 0.0);
        let layouts = [0, 1, 2, 3].map(|inputs| layout(&device, inputs));
        Ok(Self { device, queue, tick, layouts, trouble })
    }

    /// # Errors
    /// Whatever went wrong on the device first.
    pub fn check(&self) -> Result<(), Fault> {
        self.trouble.get().map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Waits until all that was submitted is done.
    ///
    /// # Errors
    /// [`Fault::Hung`] when it takes too long, or what the device reported.
    pub fn settle(&self) -> Result<(), Fault> {
        let waited = self.device.poll(PollType::Wait { submission_index: None, timeout: Some(PATIENCE) });
        self.check()?;
        match waited {
            Ok(_) => Ok(()),
            Err(PollError::Timeout) => Err(Fault::Hung(Nanos::from(PATIENCE))),
            Err(error) => Err(Fault::failed("waiting for the device", error)),
        }
    }

    /// # Errors
    /// [`Fault::OutOfMemory`] when the device has no room.
    pub fn buffer(&self, label: &str, bytes: u64, usage: BufferUsages) -> Result<Buffer, Fault> {
        let scope = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let buffer =
            self.device.create_buffer(&BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false });
        match wait(scope.pop()) {
            Some(error) => Err(fault(&error, bytes)),
            None => self.check().map(|()| buffer),
        }
    }

    /// Compiles a carried shader, with the values of its constants.
    ///
    /// # Errors
    /// [`Fault::Failed`] with the compiler's words.
    pub fn pipeline(&self, stem: &str, inputs: usize, constants: &[(&str, f64)]) -> Result<ComputePipeline, Fault> {
        let source = plan::shader(stem).ok_or_else(|| Fault::failed(stem, "no such shader"))?;
        let scope = self.device.push_error_scope(ErrorFilter::Validation);
        let layout = self.device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label: Some(stem),
            bind_group_layouts: &[Some(&self.layouts[inputs])],
            immediate_size: IMMEDIATES,
        });
        let pipeline = self.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(stem),
            layout: Some(&layout),
            module: &trusted::module(&self.device, stem, source),
            entry_point: None,
            compilation_options: PipelineCompilationOptions { constants, zero_initialize_workgroup_memory: false },
            cache: None,
        });
        match wait(scope.pop()) {
            Some(error) => Err(Fault::failed(format!("compiling {stem}"), error)),
            None => self.check().map(|()| pipeline),
        }
    }

    /// Binds whole buffers: inputs, then the output.
    pub fn bind(&self, buffers: &[&Buffer]) -> BindGroup {
        let entries: Vec<BindGroupEntry> =
            (0..).zip(buffers).map(|(binding, buffer)| BindGroupEntry { binding, resource: buffer.as_entire_binding() }).collect();
        let layout = &self.layouts[buffers.len() - 1];
        self.device.create_bind_group(&BindGroupDescriptor { label: None, layout, entries: &entries })
    }

    /// Words of a mappable buffer, after all that was submitted.
    ///
    /// # Errors
    /// What the device reported.
    pub fn words(&self, staging: &Buffer, count: usize) -> Result<Vec<u32>, Fault> {
        let bytes = count as u64 * 4;
        let (sender, receiver) = mpsc::channel();
        // The receiver outlives the wait below, unless waiting failed; then nobody cares for the answer.
        staging.map_async(MapMode::Read, 0..bytes, move |result| drop(sender.send(result)));
        self.settle()?;
        receiver
            .try_recv()
            .map_err(|error| Fault::failed("reading back", error))?
            .map_err(|error| Fault::failed("reading back", error))?;
        let words = {
            let view = staging.get_mapped_range(0..bytes).map_err(|error| Fault::failed("reading back", error))?;
            view.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
        };
        staging.unmap();
        Ok(words)
    }
}

fn layout(device: &Device, inputs: u32) -> BindGroupLayout {
    let entries: Vec<BindGroupLayoutEntry> = (0..=inputs)
        .map(|binding| BindGroupLayoutEntry {
            binding,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: BufferBindingType::Storage { read_only: binding < inputs },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&BindGroupLayoutDescriptor { label: None, entries: &entries })
}

fn fault(error: &wgpu::Error, needed: u64) -> Fault {
    match error {
        wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory { needed, free: None },
        other => Fault::failed("wgpu", other),
    }
}
