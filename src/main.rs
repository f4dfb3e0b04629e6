//! The command line of assay.

fn main() {}
