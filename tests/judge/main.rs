//! Judging, held against data with known answers: the open set in `data/`, and draws made here with noise that is wider than its.
//!
//! The measures are those of the open set's own scorer. Every threshold can fail: `cargo test --test judge -- --nocapture` prints by
//! how much each is met.

mod fleet_alarms;
mod fleet_draws;
mod fleets;
mod histories;
mod history_draws;
mod oracle;
mod pair_draws;
mod pairs;
mod random;
mod reference;
mod sessions;

#[test]
fn random_numbers_are_the_same_everywhere() {
    let mut random = random::Random::new(1);
    let all: Vec<f64> = (0..10_000).map(|_| random.normal(1.0)).collect();
    let mean = all.iter().sum::<f64>() / 1e4;
    let variance = all.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / 1e4;
    assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    let again: Vec<f64> = std::iter::repeat_with(|| random.unit()).take(3).collect();
    assert!(again.iter().all(|one| (0.0..=1.0).contains(one)) && again[0] != again[1]);
}
