//! What is tried again: a kernel that does not finish costs its own entry, and the workload is measured by the next one, in a new worker.

use crate::plan::{Variant, VariantKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kernels of a workload that are given up, at the most: each has taken its deadline, and the device may be to blame.
const MOST: usize = 3;
/// Configurations of one kernel that are given up before the kernel is.
const MOST_OF_ONE: usize = 2;

/// Variants that did not finish, by workload, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hung(BTreeMap<String, Vec<String>>);

/// The kernel of a variant: `mma` of `mma/t128x256`; of the step's own kernel nothing is said.
fn kernel(variant: &str) -> &str {
    variant.split_once('/').map_or("", |(kernel, _)| kernel)
}

impl Hung {
    pub fn add(&mut self, workload: &str, variant: &str) {
        self.0.entry(workload.into()).or_default().push(variant.into());
    }

    fn of(&self, workload: &str) -> &[String] {
        self.0.get(workload).map_or(&[], Vec::as_slice)
    }

    /// The variants that may still be tried. Where two configurations of a kernel did not finish, none of it is tried.
    #[must_use]
    pub fn left(&self, workload: &str, mut variants: Vec<Variant>) -> Vec<Variant> {
        let hung = self.of(workload);
        let given_up = |name: &str| hung.iter().filter(|other| kernel(other) == kernel(name)).count() >= MOST_OF_ONE;
        variants.retain(|variant| !hung.contains(&variant.name) && !given_up(&variant.name));
        variants
    }

    /// How many kernels of ours may be tried should this variant, too, not finish.
    #[must_use]
    pub fn others(&self, workload: &str, variant: &Variant, variants: Vec<Variant>) -> usize {
        let mut with = self.clone();
        with.add(workload, &variant.name);
        if with.of(workload).len() >= MOST {
            return 0;
        }
        with.left(workload, variants).iter().filter(|variant| variant.kind == VariantKind::Own).count()
    }

    /// In words, for what is measured in the place of those that did not finish.
    #[must_use]
    pub fn said(&self, workload: &str) -> Option<String> {
        let hung = self.of(workload);
        (!hung.is_empty()).then(|| format!("measured in the place of {}, which did not finish", hung.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKLOAD: &str = "matmul/bf16.fp32.bf16/128x128x128";

    fn variants(names: &[&str]) -> Vec<Variant> {
        names.iter().map(|name| Variant::own(name)).collect()
    }

    fn left(hung: &Hung, names: &[&str]) -> Vec<String> {
        hung.left(WORKLOAD, variants(names)).into_iter().map(|variant| variant.name).collect()
    }

    #[test]
    fn the_next_of_a_kernel_is_tried_and_then_another_kernel() {
        let all = ["tcgen05/a", "tcgen05/b", "tcgen05/c", "mma/a", "mma/b"];
        let mut hung = Hung::default();
        assert_eq!((left(&hung, &all).len(), hung.said(WORKLOAD)), (5, None));
        hung.add(WORKLOAD, "tcgen05/a");
        assert_eq!(left(&hung, &all)[0], "tcgen05/b");
        assert!(hung.said(WORKLOAD).is_some_and(|said| said.contains("of tcgen05/a, which did not finish")));
        hung.add(WORKLOAD, "tcgen05/b");
        assert_eq!(left(&hung, &all), ["mma/a", "mma/b"]);
        assert_eq!(hung.left("another", variants(&all)).len(), 5);
    }

    #[test]
    fn three_that_do_not_finish_are_enough() {
        let all = ["a", "b/a", "c/a", "d/a", "e/a"];
        let mut hung = Hung::default();
        let others = |hung: &Hung, name: &str| hung.others(WORKLOAD, &Variant::own(name), variants(&all));
        assert_eq!(others(&hung, "a"), 4);
        hung.add(WORKLOAD, "a");
        assert_eq!(others(&hung, "b/a"), 3);
        hung.add(WORKLOAD, "b/a");
        assert_eq!(others(&hung, "c/a"), 0);
        let alone = Hung::default();
        let slow = Variant { name: "slow".into(), kind: VariantKind::Slow };
        assert_eq!(
            alone.others(WORKLOAD, &Variant::own("only"), vec![Variant::own("only"), slow]),
            0,
            "a slow twin is no fallback"
        );
    }
}
