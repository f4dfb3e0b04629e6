//! What is left of the time that a suite has for a device: what an entry is foreseen to need is counted before it begins, so that the time
//! that was announced is kept.

use crate::{units::Nanos, workload::Suite};

/// Before anything is measured, an entry is taken to need this beyond its own time.
const SETUP: Nanos = Nanos(700_000_000);

pub struct Budget {
    suite: Suite,
    /// What earlier workers spent.
    spent: Nanos,
    /// What each entry so far needed beyond its launches: preparing, verifying.
    setup: Vec<Nanos>,
}

impl Budget {
    pub fn new(suite: Suite, spent: Nanos) -> Self {
        Self { suite, spent, setup: Vec::new() }
    }

    /// An entry is done that needed so long beyond its launches.
    pub fn needed(&mut self, beyond: Nanos) {
        self.setup.push(beyond);
    }

    /// Why an entry of `target` does not begin any more, `now` after this worker did.
    pub fn refuses(&self, target: Nanos, sustained: bool, now: Nanos) -> Option<String> {
        let budget = self.suite.budget?;
        let name = self.suite.name;
        let helps = "Use --only to choose, or --suite standard";
        let setup: Nanos = self.setup.iter().copied().sum();
        let each = setup.0.checked_div(self.setup.len() as u64).map_or(SETUP, Nanos);
        if let Some(most) = self.suite.setup.filter(|most| !sustained && setup + each > *most) {
            return Some(format!("the {name} suite's {most} for preparing and verifying are spent. {helps}"));
        }
        let foreseen = self.spent + now + target + each;
        (foreseen > budget).then(|| format!("the {name} suite's {budget} for a device are spent. {helps}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SUITES;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn an_entry_that_would_end_past_the_time_does_not_begin() {
        let mut budget = Budget::new(SUITES[0], Nanos(20 * SECOND));
        assert_eq!(budget.refuses(Nanos(5 * SECOND), true, Nanos(34 * SECOND)), None);
        assert!(budget.refuses(Nanos(5 * SECOND), true, Nanos(35 * SECOND)).is_some_and(|why| why.contains("60.00 s")));
        budget.needed(Nanos(2 * SECOND));
        assert!(budget.refuses(Nanos(5 * SECOND), true, Nanos(34 * SECOND)).is_some(), "as long as those before");
    }

    #[test]
    fn once_the_set_up_is_spent_only_what_a_decision_hangs_on_is_measured() {
        let mut budget = Budget::new(SUITES[0], Nanos(0));
        (0..14).for_each(|_| budget.needed(Nanos(SECOND)));
        assert_eq!(budget.refuses(Nanos(SECOND / 3), false, Nanos(20 * SECOND)), None);
        budget.needed(Nanos(SECOND));
        assert!(budget.refuses(Nanos(SECOND / 3), false, Nanos(20 * SECOND)).is_some_and(|why| why.contains("15.00 s")));
        assert_eq!(budget.refuses(Nanos(5 * SECOND), true, Nanos(20 * SECOND)), None);
    }

    #[test]
    fn a_soak_takes_its_time() {
        assert_eq!(Budget::new(SUITES[2], Nanos(0)).refuses(Nanos(600 * SECOND), true, Nanos(9_000 * SECOND)), None);
    }
}
