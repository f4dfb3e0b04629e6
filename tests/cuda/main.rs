//! The CUDA backend without a GPU: the program runs as it is, and the driver that it finds is a fake.

#![cfg(all(feature = "cuda", target_os = "linux"))]

#[path = "../compiled/mod.rs"]
mod compiled;
mod ends;
mod failures;
mod fake;
mod gate;
mod health;
#[path = "../library/mod.rs"]
mod library;
mod listing;
mod mig;
mod peers;
mod quick;
mod runs;
mod sensors;
mod spans;
mod sparse;
mod together;
mod tuning;
mod vendor;

use fake::{Fake, text};

#[test]
fn without_its_variable_the_fake_is_no_device() {
    let output = Fake::new("mere-file", "").run(&[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("CUDA_ERROR_NO_DEVICE") || stderr.contains("no device"), "{stderr}");
}
