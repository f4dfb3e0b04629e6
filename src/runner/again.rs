//! What is tried again: a kernel that does not finish costs its own entry, and the workload is measured by the next one, in a new worker.
//! The same holds of one in whose launch the driver never returns; the parent then ends the worker, and knows by its last words which it was.

use crate::plan::{Plan, Variant, VariantKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Kernels of a workload that are given up, at the most: each has taken its deadline, and the device may be to blame.
pub const MOST: usize = 3;
/// Configurations of one kernel that are given up before the kernel is.
const MOST_OF_ONE: usize = 2;
/// Workloads of which a kernel did not finish before it is given up for all of them: else it would cost each its deadline.
const MOST_WORKLOADS: usize = 2;

/// Variants that did not finish, by workload, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hung(BTreeMap<String, Vec<String>>);

/// The kernel of a variant: `mma` of `mma/t128x256`; of the step's own kernel nothing is said.
fn kernel(variant: &str) -> &str {
    variant.split_once('/').map_or("", |(kernel, _)| kernel)
}

/// What a variant has in common with those of other workloads; nothing of the step's own kernel, which is another one elsewhere.
fn shared(variant: &Variant) -> Option<&str> {
    match variant.kind {
        VariantKind::Vendor => Some(&variant.name),
        _ => Some(kernel(&variant.name)).filter(|kernel| !kernel.is_empty()),
    }
}

impl Hung {
    /// One that is added a second time counts once: a worker may say so and then hang.
    pub fn add(&mut self, workload: &str, variant: &str) {
        let hung = self.0.entry(workload.into()).or_default();
        if !hung.iter().any(|other| other == variant) {
            hung.push(variant.into());
        }
    }

    fn of(&self, workload: &str) -> &[String] {
        self.0.get(workload).map_or(&[], Vec::as_slice)
    }

    /// The variants that may still be tried. Where two configurations of a kernel did not finish, none of it is tried.
    #[must_use]
    pub fn left(&self, workload: &str, mut variants: Vec<Variant>) -> Vec<Variant> {
        let hung = self.of(workload);
        let given_up = |name: &str| hung.iter().filter(|other| kernel(other) == kernel(name)).count() >= MOST_OF_ONE;
        let at_all = |variant: &Variant| shared(variant).is_some_and(|kernel| self.is_given_up(kernel));
        variants.retain(|variant| !hung.contains(&variant.name) && !given_up(&variant.name) && !at_all(variant));
        variants
    }

    /// Whether a kernel, or a library, is not tried any more, whatever the workload.
    fn is_given_up(&self, of: &str) -> bool {
        let lost = |hung: &&Vec<String>| hung.iter().any(|name| name == of || kernel(name) == of);
        self.0.values().filter(lost).count() >= MOST_WORKLOADS
    }

    /// Whether a kernel of ours may still be tried should this variant, too, not finish.
    fn goes_on(&self, workload: &str, variant: &Variant, variants: Vec<Variant>) -> bool {
        let mut with = self.clone();
        with.add(workload, &variant.name);
        with.of(workload).len() < MOST && with.left(workload, variants).iter().any(|variant| variant.kind == VariantKind::Own)
    }

    /// In words, for what is measured in the place of those that did not finish: here, or where they were tried.
    fn said(&self, workload: &str, variants: &[Variant]) -> Option<String> {
        let hung = self.of(workload);
        if !hung.is_empty() {
            return Some(format!("measured in the place of {}, which did not finish", hung.join(", ")));
        }
        let given_up: BTreeSet<&str> = variants.iter().filter_map(shared).filter(|kernel| self.is_given_up(kernel)).collect();
        let names = given_up.into_iter().collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| format!("{names} did not finish of {MOST_WORKLOADS} workloads and is not tried any more"))
    }
}

/// What may be tried of one workload.
pub struct Tries<'a> {
    hung: &'a Hung,
    id: String,
    /// Those that did not yet fail to finish, the preferred one first; the vendor's library is not among them.
    pub left: Vec<Variant>,
    /// What became of the others.
    said: Option<String>,
    /// Nothing is tried again where others began with it.
    together: bool,
}

impl<'a> Tries<'a> {
    pub fn new(hung: &'a Hung, plan: &Plan, variants: Vec<Variant>, together: bool) -> Self {
        let id = plan.key.id();
        let said = hung.said(&id, &variants);
        Self { hung, left: hung.left(&id, variants), said, id, together }
    }

    /// Whether the workload is measured by another one should this variant not finish.
    #[must_use]
    pub fn go_on_without(&self, variant: &Variant) -> bool {
        !self.together && self.hung.goes_on(&self.id, variant, self.left.clone())
    }

    /// The vendor's library, unless it did not finish.
    #[must_use]
    pub fn vendor(&self, vendor: Variant) -> Option<Variant> {
        self.hung.left(&self.id, vec![vendor]).pop()
    }

    /// In words, what became of those that are not left.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        self.said.clone()
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
        assert_eq!((left(&hung, &all).len(), hung.said(WORKLOAD, &[])), (5, None));
        hung.add(WORKLOAD, "tcgen05/a");
        hung.add(WORKLOAD, "tcgen05/a");
        assert_eq!(left(&hung, &all)[0], "tcgen05/b", "told twice, it counts once");
        assert!(hung.said(WORKLOAD, &[]).is_some_and(|said| said.contains("of tcgen05/a, which did not finish")));
        hung.add(WORKLOAD, "tcgen05/b");
        assert_eq!(left(&hung, &all), ["mma/a", "mma/b"]);
        assert_eq!(hung.left("another", variants(&all)).len(), 5);
    }

    #[test]
    fn a_kernel_that_does_not_finish_of_two_workloads_is_not_tried_of_any() {
        let all = ["wgmma/a", "mma/a", "a"];
        let mut hung = Hung::default();
        hung.add("one", "wgmma/a");
        hung.add("one", "wgmma/b");
        hung.add("one", "a");
        assert_eq!((left(&hung, &all).len(), hung.said(WORKLOAD, &variants(&all))), (3, None), "of one alone it may be the shape");
        hung.add("two", "wgmma/b");
        hung.add("two", "a");
        assert_eq!(left(&hung, &all), ["mma/a", "a"], "a step's own kernel is another one elsewhere");
        assert!(hung.said(WORKLOAD, &variants(&all)).is_some_and(|said| said.starts_with("wgmma did not finish of 2 workloads")));
        let vendor = Variant { name: "vendor".into(), kind: VariantKind::Vendor };
        assert_eq!(hung.left(WORKLOAD, vec![vendor.clone()]).len(), 1);
        hung.add("one", "vendor");
        hung.add("two", "vendor");
        assert_eq!(hung.left(WORKLOAD, vec![vendor]), []);
    }

    #[test]
    fn three_that_do_not_finish_are_enough() {
        let all = ["a", "b/a", "c/a", "d/a", "e/a"];
        let mut hung = Hung::default();
        let goes_on = |hung: &Hung, name: &str| hung.goes_on(WORKLOAD, &Variant::own(name), variants(&all));
        assert!(goes_on(&hung, "a"));
        hung.add(WORKLOAD, "a");
        assert!(goes_on(&hung, "b/a"));
        hung.add(WORKLOAD, "b/a");
        assert!(!goes_on(&hung, "c/a"));
    }

    #[test]
    fn a_slow_twin_is_no_fallback_and_our_own_is_one_of_a_library() {
        let (only, hung) = (Variant::own("only"), Hung::default());
        let slow = Variant { name: "slow".into(), kind: VariantKind::Slow };
        assert!(!hung.goes_on(WORKLOAD, &only, vec![only.clone(), slow]));
        let vendor = Variant { name: "vendor".into(), kind: VariantKind::Vendor };
        assert!(hung.goes_on(WORKLOAD, &vendor, vec![only]));
    }
}
