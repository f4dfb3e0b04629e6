//! Who takes turns on a workload: the preferred kernel of ours, all of them, the vendor's library.

use super::{
    again::Tries,
    event::Contenders,
    tuning::{Chosen, Tuning},
};
use crate::{
    contract::{Machine, Unsupported},
    measure::Launching,
    plan::{Plan, Variant, VariantKind},
    record::{Device, Entry, Outcome},
};

/// Who takes turns on a workload.
pub struct Contention {
    pub variants: Vec<Variant>,
    /// Says why the vendor's library is not among them.
    pub unpaired: Option<Entry>,
    pub chosen: Option<Chosen>,
}

impl Contention {
    /// The variants to measure, the vendor's last, and an entry that says why it is not among them. That a library is not there at
    /// all is said where a decision hangs on the figure; what it refuses is said everywhere.
    pub fn of(
        plan: &Plan,
        (machine, device): (&dyn Machine, &Device),
        contenders: Contenders,
        (tuning, launching): (&mut Tuning, Launching),
        tries: &Tries,
    ) -> Self {
        let variants = tries.left.clone();
        let all = contenders == Contenders::All;
        let (mut variants, chosen) = if all { (variants, None) } else { tuning.prefer(machine, plan, variants, launching) };
        variants.truncate(if all { usize::MAX } else { 1 });
        if contenders == Contenders::Own || variants.is_empty() {
            return Self { variants, unpaired: None, chosen };
        }
        let mut unpaired = None;
        match machine.vendor(plan) {
            Some(Ok(vendor)) => variants.extend(tries.vendor(vendor)),
            Some(Err(Unsupported::Absent(_))) if !plan.sustained => {}
            Some(Err(why)) => {
                let workload = plan.key.with(&Variant { name: "vendor".into(), kind: VariantKind::Vendor });
                let entry = Entry::without(device.clone(), workload, plan.work, Outcome::Skipped, why.to_string());
                unpaired = Some(entry);
            }
            None => {}
        }
        Self { variants, unpaired, chosen }
    }
}

/// Whether nothing was measured, and the vendor's library may be to blame.
pub fn is_lost_to_the_vendor(variants: &[Variant], entries: &[Entry]) -> bool {
    let vendors = variants.len() > 1 && variants.last().is_some_and(|variant| variant.kind == VariantKind::Vendor);
    vendors && entries.iter().all(|entry| entry.outcome == Outcome::Failed)
}
