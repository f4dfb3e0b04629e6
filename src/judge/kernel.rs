//! What gaps and clocks leave of the loss is the kernel's: taken apart as far as anything is known of it.

use super::ledger::{known, unknown};
use crate::record::{Entry, Kind, Loss, Outcome, RateUnit};

/// Tiles at least this large, in elements, occupy a unit each; smaller ones share it, and no wave of them has a sharp end.
const LARGE_TILE: u64 = 128 * 128;
/// Memory on a bus that is at most so wide is GDDR, whose check bits travel over the same bus as the data; stacks of HBM carry theirs
/// beside it (JEDEC JESD235, JESD250).
const WIDEST_GDDR: u32 = 512;

/// The remainder of a ledger.
pub(super) struct Rest {
    /// Part of the peak that neither gaps nor clocks explain.
    pub left: f64,
    /// Part of the peak that was reached.
    pub reached: f64,
    /// Part of the peak that the clocks allow where they were read.
    pub allowed: f64,
    /// Part of the time that was busy at a clock nobody read.
    pub unread: f64,
    /// What remained when the same ran alone, where that is known.
    pub alone: Option<f64>,
    pub unit: RateUnit,
}

/// The entry of the same workload measured alone, for one that was measured together with other devices.
pub(super) fn alone<'a>(entry: &Entry, others: &'a [Entry]) -> Option<&'a Entry> {
    let same = |other: &&Entry| {
        other.load == "alone"
            && other.outcome == Outcome::Measured
            && other.device.id == entry.device.id
            && (&other.workload, &other.kernel) == (&entry.workload, &entry.kernel)
    };
    others.iter().filter(|_| entry.load != "alone").find(same)
}

impl Rest {
    /// Losses that add up to what is left.
    pub fn losses(&self, entry: &Entry) -> Vec<Loss> {
        let mut losses = Vec::new();
        let mut left = self.left;
        for loss in [self.together(entry), self.tail(entry), self.correction(entry)].into_iter().flatten() {
            // A part is never more than what remains, and nothing where that is less than nothing.
            let capped = |part: f64| part.min(left.max(0.0));
            let loss = Loss { fraction: loss.fraction.map(capped), at_most: loss.at_most.map(capped), ..loss };
            left -= loss.fraction.unwrap_or(0.0);
            losses.push(loss);
        }
        losses.extend(self.remainder(entry, left));
        losses
    }

    /// What other devices at work cost.
    fn together(&self, entry: &Entry) -> Option<Loss> {
        let cause = "running together";
        let load = &entry.load;
        match self.alone {
            _ if load == "alone" => None,
            Some(alone) => {
                let part = (self.left - alone).max(0.0);
                Some(known(cause, part, format!("{load}; alone, {:.1} % of the peak remained for the kernel", alone * 100.0)))
            }
            None => Some(unknown(cause, self.left, format!("{load}; not measured alone in this record"))),
        }
    }

    /// The last wave of a product's tiles leaves units idle (quantisation).
    fn tail(&self, entry: &Entry) -> Option<Loss> {
        let units = u64::from(entry.device.units?);
        let (rows, columns) = tile(&entry.workload.variant)?;
        let (m, n) = product(&entry.workload.shape)?;
        let tiles = m.div_ceil(rows).checked_mul(n.div_ceil(columns))?;
        if entry.workload.family != "matmul" || rows * columns < LARGE_TILE || tiles == 0 || units == 0 {
            return None;
        }
        let waves = tiles.div_ceil(units);
        let idle = 1.0 - tiles as f64 / (waves * units) as f64;
        // Tiles over the edge compute what nobody asked for.
        let over = 1.0 - (m * n) as f64 / (tiles * rows * columns) as f64;
        let part = (self.allowed + self.unread) * (1.0 - (1.0 - idle) * (1.0 - over));
        let evidence = format!("{tiles} tiles of {rows} x {columns} take {waves} waves of {units}");
        (part > 1e-9).then(|| known("kernel, tail of the last wave", part, evidence))
    }

    /// Check bits that share the bus with the data.
    fn correction(&self, entry: &Entry) -> Option<Loss> {
        let device = &entry.device;
        let shares = device.kind == Kind::Gpu && device.bus_bits.is_some_and(|bits| bits <= WIDEST_GDDR);
        let on = self.unit == RateUnit::Bytes && shares && device.ecc == Some(true);
        on.then(|| unknown("error correction", self.left, "on; its check bits travel over the same bus, uncounted".into()))
    }

    /// What then remains; split by the rate of the variant that ran beside it, where that was faster.
    fn remainder(&self, entry: &Entry, left: f64) -> Vec<Loss> {
        let evidence = if left < 0.0 {
            "the rate is above what gaps and clocks leave: a fact or a reading is too low".into()
        } else if self.unread > 0.0 {
            "what remains, with whatever an unread clock cost".into()
        } else {
            format!("what remains: {:.1} % of what the clocks allowed was reached", self.reached / self.allowed * 100.0)
        };
        let faster = entry.pair.as_ref().filter(|pair| pair.ratio.value > 0.0 && pair.ratio.value < 1.0);
        let Some(pair) = faster else { return vec![known("kernel", left, evidence)] };
        let behind = (self.reached / pair.ratio.value - self.reached).min(left.max(0.0));
        let shown = format!("{:.3} times the rate of {}, interleaved", pair.ratio.value, pair.with);
        vec![known("kernel, behind the other variant", behind, shown), known("kernel, what both leave", left - behind, evidence)]
    }
}

/// Rows and columns of a tile by a configuration's name, such as `t128x256` or `wgmma/t128x256_bf16`.
fn tile(variant: &str) -> Option<(u64, u64)> {
    let from_digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    variant.split(['/', '_']).filter_map(|part| part.strip_prefix('t')?.split_once('x')).find_map(|(rows, columns)| {
        let sides = (rows.parse().ok()?, from_digits(columns)?);
        (sides.0 > 0 && sides.1 > 0).then_some(sides)
    })
}

/// m and n of a product's shape `MxNxK`.
fn product(shape: &str) -> Option<(u64, u64)> {
    let sides: Vec<u64> = shape.split('x').map(str::parse).collect::<Result<_, _>>().ok()?;
    match sides[..] {
        [m, n, _] if m > 0 && n > 0 && m.checked_mul(n).is_some() => Some((m, n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Device, Work, Workload};

    fn entry(variant: &str, shape: &str) -> Entry {
        let device = Device { units: Some(132), ..Device::new("cuda:0", "cuda", Kind::Gpu, "x") };
        let part = |text: &str| text.to_owned();
        let workload = Workload {
            id: part("x"),
            family: part("matmul"),
            operation: part("matmul"),
            variant: part(variant),
            precision: part("x"),
            shape: part(shape),
        };
        Entry::without(device, workload, Work::default(), Outcome::Measured, String::new())
    }

    fn rest(left: f64) -> Rest {
        Rest { left, reached: 0.9 - left, allowed: 0.9, unread: 0.0, alone: None, unit: RateUnit::Flops }
    }

    fn sum(losses: &[Loss]) -> f64 {
        losses.iter().filter_map(|loss| loss.fraction).sum()
    }

    #[test]
    fn the_last_wave_is_reckoned_from_shape_tile_and_units() {
        // 64 x 32 tiles of 128 x 256: 15.5 waves of 132 take 16.
        let losses = rest(0.2).losses(&entry("wgmma/t128x256", "8192x8192x8192"));
        let part = 0.9 * (1.0 - 2_048.0 / (16.0 * 132.0));
        assert!(losses[0].cause.contains("last wave") && (losses[0].fraction.expect("known") - part).abs() < 1e-12);
        assert!((sum(&losses) - 0.2).abs() < 1e-12);
        // Never more than remains.
        assert_eq!(rest(0.01).losses(&entry("t128x128", "300x300x300"))[0].fraction, Some(0.01));
        for (variant, shape) in
            [("t64x64", "8192x8192x8192"), ("native", "8192x8192x8192"), ("t128x128", "1GiB"), ("t0x9", "1x1x1")]
        {
            assert_eq!(rest(0.2).losses(&entry(variant, shape)).len(), 1, "{variant} {shape}");
        }
        assert_eq!((tile("t128x256_bf16"), tile("mma/t64x128w4"), tile("tx")), (Some((128, 256)), Some((64, 128)), None));
    }

    #[test]
    fn running_together_is_known_where_it_ran_alone_too() {
        let alone_entry = entry("native", "1GiB");
        let together = Entry { load: "together(8)".into(), ..alone_entry.clone() };
        let others = [together.clone(), alone_entry.clone()];
        assert_eq!(alone(&together, &others), Some(&alone_entry));
        assert_eq!((alone(&alone_entry, &others), alone(&together, &others[..1])), (None, None));
        let unsure = rest(0.2).losses(&together);
        assert_eq!((unsure[0].fraction, unsure[0].at_most), (None, Some(0.2)));
        let known = Rest { alone: Some(0.15), ..rest(0.2) }.losses(&together);
        assert!((known[0].fraction.expect("known") - 0.05).abs() < 1e-12 && (sum(&known) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn check_bits_on_the_bus_are_named_and_bounded() {
        let mut entry = entry("native", "1GiB");
        (entry.device.bus_bits, entry.device.ecc) = (Some(384), Some(true));
        let bytes = Rest { unit: RateUnit::Bytes, ..rest(0.2) };
        let losses = bytes.losses(&entry);
        assert_eq!((losses[0].cause.as_str(), losses[0].fraction, losses[0].at_most), ("error correction", None, Some(0.2)));
        entry.device.bus_bits = Some(5_120);
        assert_eq!(bytes.losses(&entry).len(), 1);
    }

    #[test]
    fn a_rate_above_what_clocks_leave_stays_a_sum_that_closes() {
        let losses = rest(-0.05).losses(&entry("t128x128", "300x300x300"));
        assert!((sum(&losses) + 0.05).abs() < 1e-12 && losses.iter().all(|loss| loss.at_most.is_none_or(|bound| bound >= 0.0)));
    }
}
