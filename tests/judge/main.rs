//! Judging, held against data with known answers: the open set in `data/`, and draws made here with noise that is wider than its.
//!
//! The measures are those of the open set's own scorer. Every threshold can fail: `cargo test --test judge -- --nocapture` prints by
//! how much each is met.

mod fleet_draws;
mod fleets;
mod histories;
mod history_draws;
mod pair_draws;
mod pairs;
mod random;
mod reference;
