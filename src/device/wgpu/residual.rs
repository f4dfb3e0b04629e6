//! How far a whole product is from `A·(B·x)`, block by block, by a shader of its own (shaders/residual.wgsl).

use super::{arrays::Arrays, context::Context, limits::Limits};
use crate::{
    contract::Fault,
    plan::{BLOCK, Plan, Product},
};
use wgpu::{Buffer, BufferUsages, CommandEncoderDescriptor, ComputePassDescriptor, ComputePipeline};

/// Workgroups of a dispatch.
const GROUPS: u64 = 65_535;

/// Depth from which on what single precision adds by rounding is small beside what a product may be off by.
const LEAST_DEPTH: u64 = 64;

/// What the check of a plan's product needs beside its buffers.
pub(super) struct Residual {
    product: Product,
    pipeline: ComputePipeline,
    worst: Buffer,
    staging: Buffer,
    /// Blocks of a dispatch, few enough to end in time.
    at_once: u64,
}

impl Residual {
    /// Nothing where the plan is no product, or too shallow a one, or its check would have more iterations than a thread may make.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] above all.
    pub fn new(context: &Context, limits: &Limits, plan: &Plan) -> Result<Option<Self>, Fault> {
        let fits = |product: &Product| {
            let loops = 2 * product.k + 1_000;
            !product.along_k && (LEAST_DEPTH..).contains(&product.k) && loops <= limits.iterations()
        };
        let Some(product) = plan.product().filter(fits) else {
            return Ok(None);
        };
        let (down, across) = product.blocks();
        let operations = 2 * (BLOCK.0 + BLOCK.1) * product.k.max(1);
        let bytes = down * across * 4;
        Ok(Some(Self {
            product,
            pipeline: context.pipeline("residual", 3, &[])?,
            worst: context.buffer("worst", bytes, BufferUsages::STORAGE | BufferUsages::COPY_SRC)?,
            staging: context.buffer("worst read back", bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?,
            // A row a thread is far from how products are fastest.
            at_once: (limits.operations() / 16 / operations).clamp(1, GROUPS),
        }))
    }

    /// The largest difference in each block, row by row of blocks.
    ///
    /// # Errors
    /// What the device reported.
    pub fn look(&self, context: &Context, arrays: &Arrays, seed: u32) -> Result<Vec<f64>, Fault> {
        let Product { buffers: [a, b, c], m, n, k, .. } = self.product;
        let (down, across) = self.product.blocks();
        let bind_group = context.bind(&[arrays.piece(a, 0), arrays.piece(b, 0), arrays.piece(c, 0), &self.worst]);
        for first in (0..down * across).step_by(self.at_once as usize) {
            let mut encoder = context.device.create_command_encoder(&CommandEncoderDescriptor::default());
            {
                let mut compute = encoder.begin_compute_pass(&ComputePassDescriptor::default());
                compute.set_pipeline(&self.pipeline);
                compute.set_bind_group(0, &bind_group, &[]);
                let scalars = [m as u32, n as u32, k as u32, seed, first as u32];
                compute.set_immediates(0, bytemuck::cast_slice(&scalars));
                compute.dispatch_workgroups((down * across - first).min(self.at_once) as u32, 1, 1);
            }
            context.queue.submit([encoder.finish()]);
            context.settle()?;
        }
        let mut encoder = context.device.create_command_encoder(&CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&self.worst, 0, &self.staging, 0, self.worst.size());
        context.queue.submit([encoder.finish()]);
        let words = context.words(&self.staging, (down * across) as usize)?;
        Ok(words.into_iter().map(|word| f64::from(f32::from_bits(word))).collect())
    }
}
