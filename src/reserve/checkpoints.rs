//! Goodput of a synchronous job: the share of its time that is not spent on checkpoints, on work done twice, and on restarts.
//!
//! With checkpoints of C every τ, restarts of R and failures every M on average, it is 1 − (C/τ + (τ/2 + R)/M), greatest near
//! τ = √(2CM) (Young, 1974). The CU of a synchronous class is multiplied by it; that of replicas is not, they have spares.

/// What interrupts a job and what that costs; times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failures {
    /// Mean time between interruptions of the whole job: 1 / (nodes · λ).
    pub between: f64,
    /// Time a checkpoint takes from the job.
    pub checkpoint: f64,
    /// Time from an interruption until the job computes again.
    pub restart: f64,
}

impl Failures {
    /// Of a job on `nodes` nodes that each fail `rate` times a day.
    #[must_use]
    pub fn of_nodes(nodes: u64, rate: f64, checkpoint: f64, restart: f64) -> Self {
        Self { between: 86_400.0 / (nodes as f64 * rate), checkpoint, restart }
    }
}

/// The best interval between checkpoints, and the share of time that is then useful.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goodput {
    /// Seconds from checkpoint to checkpoint.
    pub interval: f64,
    /// Between 0 and 1.
    pub share: f64,
}

/// Goodput at the best interval; zero where failures come faster than the job can get on.
#[must_use]
pub fn goodput(failures: Failures) -> Goodput {
    let Failures { between, checkpoint, restart } = failures;
    let interval = (2.0 * checkpoint * between).sqrt();
    let saving = if interval > 0.0 { checkpoint / interval } else { 0.0 };
    let lost = saving + (interval / 2.0 + restart) / between;
    Goodput { interval, share: (1.0 - lost).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_failure_rate_leaves_this_much() {
        // An interruption every 3.09 h (arXiv 2407.21783), checkpoints of 30 s, restarts of 10 min.
        let found = goodput(Failures { between: 3.09 * 3_600.0, checkpoint: 30.0, restart: 600.0 });
        assert_eq!(format!("{:.3} {:.1}", found.share, found.interval / 60.0), "0.873 13.6");
    }

    #[test]
    fn no_interval_is_better_than_the_best() {
        let failures = Failures::of_nodes(2_048, 3.79e-3, 30.0, 600.0);
        let at = |interval: f64| 1.0 - (failures.checkpoint / interval + (interval / 2.0 + failures.restart) / failures.between);
        let best = goodput(failures);
        assert!((at(best.interval) - best.share).abs() < 1e-12);
        assert!([0.5, 0.9, 1.1, 2.0].iter().all(|factor| at(best.interval * factor) < best.share));
    }

    #[test]
    fn a_job_that_cannot_get_on_has_none() {
        assert_eq!(goodput(Failures { between: 60.0, checkpoint: 30.0, restart: 600.0 }).share, 0.0);
    }
}
