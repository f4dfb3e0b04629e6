//! The CUDA backend without a GPU: the program runs as it is, and the driver that it finds is a fake.

#![cfg(all(feature = "cuda", target_os = "linux"))]

mod fake;
mod listing;
