//! Whether a device is fit to be measured and sold: a verdict with its reasons, from what its driver says of it.
//!
//! A device passes by what was read, never by what is absent: where a check that matters could not be made, the verdict is unknown.

use crate::record::{Absence, Severity, Vital, Vitals, Xid};
use serde::Serialize;

/// The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Unknown,
    Fail,
}

/// One check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub verdict: Verdict,
    pub says: String,
    /// The device cannot pass without it.
    pub needed: bool,
}

/// A device's verdict: failed by any check, passed by all that are needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    pub verdict: Verdict,
    pub findings: Vec<Finding>,
}

/// Clocks held down by these are a fault of the device or of what cools and feeds it. `sw_power_cap` under load is not.
const SLOWDOWNS: &[&str] = &["hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown"];
/// `nvmlDeviceGpuRecoveryAction_t` of `nvml.h`, from 1.
const RECOVERY: &[&str] = &["reset the GPU", "reboot the node", "drain P2P traffic", "drain and reset the GPU"];

/// Judges a device by its vitals, and by the faults in the kernel's log; an error is why that could not be read.
#[must_use]
pub fn health(vitals: &Vitals, faults: Result<&[Xid], &str>) -> Health {
    let vitals = Read(vitals);
    let findings = vec![
        memory(&vitals),
        rows(&vitals),
        temperature(&vitals),
        clocks(&vitals),
        link(&vitals),
        power(&vitals),
        recovery(&vitals),
        log(faults),
    ];
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    let open = findings.iter().any(|finding| finding.needed && finding.verdict == Verdict::Unknown);
    let verdict = if failed {
        Verdict::Fail
    } else if open {
        Verdict::Unknown
    } else {
        Verdict::Pass
    };
    Health { verdict, findings }
}

/// Vitals, asked by name.
struct Read<'a>(&'a Vitals);

impl Read<'_> {
    /// The number, or why there is none in words.
    fn number(&self, name: &str) -> Result<f64, String> {
        match self.0.get(name) {
            Some(Vital::Number(value)) => Ok(*value),
            other => Err(missing(name, other)),
        }
    }
}

fn missing(name: &str, value: Option<&Vital>) -> String {
    let why = match value.and_then(Vital::absence) {
        Some(Absence::NotSupported) | None => "the driver does not tell",
        Some(Absence::NoPermission) => "not permitted to read",
        Some(Absence::Lost) => "the device is lost",
        Some(Absence::TimedOut) => "the driver did not answer in time",
        Some(Absence::Failed) => "the driver failed to read",
    };
    format!("{why} ({name})")
}

fn finding(check: &'static str, needed: bool, outcome: Result<(bool, String), String>) -> Finding {
    match outcome {
        Ok((good, says)) => Finding { check, verdict: if good { Verdict::Pass } else { Verdict::Fail }, says, needed },
        Err(says) if says.starts_with("the device is lost") => Finding { check, verdict: Verdict::Fail, says, needed },
        Err(says) => Finding { check, verdict: Verdict::Unknown, says, needed },
    }
}

fn memory(vitals: &Read) -> Finding {
    if let Some(Vital::Text(word)) = vitals.0.get("ecc_sram_threshold")
        && word == "exceeded"
    {
        let says = "memories on the chip had more errors than the driver allows: replace the board".to_owned();
        return finding("memory errors", true, Ok((false, says)));
    }
    let outcome = vitals.number("ecc_uncorrected_total").map(|errors| match errors {
        0.0 => (true, "no uncorrected error since the driver was loaded".into()),
        errors => (false, format!("{errors} uncorrected errors since the driver was loaded: drain, and reset the GPU")),
    });
    finding("memory errors", true, outcome)
}

fn rows(vitals: &Read) -> Finding {
    let outcome = (|| {
        if vitals.number("row_remap_failed").is_ok_and(|failed| failed > 0.0) {
            return Ok((false, "a row could not be remapped: replace the board".into()));
        }
        let pending = vitals.number("row_remap_pending").or_else(|_| vitals.number("pages_retired_pending"))?;
        Ok(match pending {
            0.0 => (true, "no repair of memory is pending".to_owned()),
            _ => (false, "a repair of memory is pending: drain, and reset the GPU".to_owned()),
        })
    })();
    finding("memory repair", false, outcome)
}

fn temperature(vitals: &Read) -> Finding {
    // Boards that tell a margin tell no fixed temperature.
    if let Some(margin) = vitals.number("temperature_margin_c").ok().filter(|margin| *margin <= 0.0) {
        let says = format!("{} °C above the temperature at which clocks are slowed down: look at cooling", -margin);
        return finding("temperature", true, Ok((false, says)));
    }
    let outcome = vitals.number("temperature_c").map(|now| match vitals.number("temperature_slowdown_c") {
        Ok(limit) if now >= limit => (false, format!("{now} °C, at {limit} °C clocks are slowed down: look at cooling")),
        Ok(limit) => (true, format!("{now} °C, {} below slowdown", limit - now)),
        Err(_) => (true, format!("{now} °C; at which temperature clocks are slowed down is not told")),
    });
    finding("temperature", true, outcome)
}

fn clocks(vitals: &Read) -> Finding {
    let outcome = match vitals.0.get("clock_events") {
        Some(Vital::Names(names)) => {
            let slow: Vec<&str> = names.iter().map(String::as_str).filter(|name| SLOWDOWNS.contains(name)).collect();
            Ok(match slow[..] {
                [] => (true, "not slowed down".into()),
                _ => (false, format!("slowed down: {}; look at cooling and power", slow.join(", "))),
            })
        }
        other => Err(missing("clock_events", other)),
    };
    finding("clocks", true, outcome)
}

fn link(vitals: &Read) -> Finding {
    let outcome = (|| {
        let (width, widest) = (vitals.number("pcie_width")?, vitals.number("pcie_width_max")?);
        if width < widest {
            return Ok((false, format!("PCIe runs on {width} of {widest} lanes: reseat the card, look at the slot")));
        }
        let generations = vitals.number("pcie_generation").ok().zip(vitals.number("pcie_generation_max").ok());
        let resting = generations
            .filter(|(now, most)| now < most)
            .map(|(now, most)| format!(", at generation {now} of {most} while it rests"));
        Ok((true, format!("PCIe on all {widest} lanes{}", resting.unwrap_or_default())))
    })();
    finding("link", true, outcome)
}

fn power(vitals: &Read) -> Finding {
    let outcome = (|| {
        let (limit, default) = (vitals.number("power_limit_w")?, vitals.number("power_limit_default_w")?);
        let lowered = limit < default * 0.999;
        let words = if lowered { ": it cannot sustain what its model does" } else { "" };
        Ok((!lowered, format!("limit {limit:.0} W, default {default:.0} W{words}")))
    })();
    finding("power limit", false, outcome)
}

fn recovery(vitals: &Read) -> Finding {
    let outcome = vitals.number("recovery_action").map(|action| match action {
        0.0 => (true, "the driver asks for nothing".into()),
        // Numbers of actions are small and whole.
        action => (false, format!("the driver asks to {}", RECOVERY.get(action as usize - 1).unwrap_or(&"recover the GPU"))),
    });
    finding("recovery", false, outcome)
}

fn log(faults: Result<&[Xid], &str>) -> Finding {
    let worst = |xids: &[Xid]| xids.iter().rev().max_by_key(|xid| xid.severity).cloned();
    let outcome = faults.map_err(str::to_owned).and_then(|xids| match worst(xids) {
        None => Ok((true, "no fault in the kernel's log".to_owned())),
        Some(xid) => {
            let said = format!("Xid {} ({}) in the kernel's log: {}", xid.xid, xid.name, xid.action);
            match xid.severity {
                Severity::Critical => Ok((false, said)),
                Severity::Error => Err(said),
                Severity::Warning | Severity::Info => Ok((true, said)),
            }
        }
    });
    let needed = faults.is_ok();
    finding("faults", needed, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn vitals() -> Vitals {
        let numbers = [
            ("ecc_uncorrected_total", 0.0),
            ("row_remap_failed", 0.0),
            ("row_remap_pending", 0.0),
            ("temperature_c", 40.0),
            ("temperature_slowdown_c", 90.0),
            ("pcie_width", 16.0),
            ("pcie_width_max", 16.0),
            ("pcie_generation", 1.0),
            ("pcie_generation_max", 5.0),
            ("power_limit_w", 700.0),
            ("power_limit_default_w", 700.0),
            ("recovery_action", 0.0),
        ];
        let mut vitals: Vitals = numbers.map(|(name, value)| (name.to_owned(), Vital::Number(value))).into();
        vitals.insert("clock_events".into(), Vital::Names(BTreeSet::from(["gpu_idle".to_owned()])));
        vitals
    }

    /// The verdict, and the check that decided it.
    fn with(name: &str, value: Vital) -> (Verdict, Vec<&'static str>) {
        let mut vitals = vitals();
        vitals.insert(name.into(), value);
        let health = health(&vitals, Ok(&[]));
        let worst = health.findings.iter().filter(|finding| finding.verdict > Verdict::Pass).map(|finding| finding.check).collect();
        (health.verdict, worst)
    }

    #[test]
    fn a_healthy_card_passes() {
        let health = health(&vitals(), Ok(&[]));
        assert_eq!(health.verdict, Verdict::Pass, "{health:?}");
        assert!(health.findings.iter().all(|finding| finding.verdict == Verdict::Pass));
    }

    #[test]
    fn each_fault_fails_its_check() {
        let reasons = Vital::Names(BTreeSet::from(["hw_power_brake_slowdown".to_owned()]));
        for (name, value, check) in [
            ("ecc_uncorrected_total", Vital::Number(2.0), "memory errors"),
            ("row_remap_failed", Vital::Number(1.0), "memory repair"),
            ("row_remap_pending", Vital::Number(1.0), "memory repair"),
            ("temperature_c", Vital::Number(93.0), "temperature"),
            ("clock_events", reasons, "clocks"),
            ("pcie_width", Vital::Number(8.0), "link"),
            ("power_limit_w", Vital::Number(230.0), "power limit"),
            ("recovery_action", Vital::Number(4.0), "recovery"),
            ("ecc_sram_threshold", Vital::Text("exceeded".into()), "memory errors"),
            ("temperature_margin_c", Vital::Number(-1.0), "temperature"),
            ("temperature_c", Vital::Absent { absent: Absence::Lost }, "temperature"),
        ] {
            assert_eq!(with(name, value), (Verdict::Fail, vec![check]), "{name}");
        }
    }

    #[test]
    fn nothing_passes_by_absence() {
        let absent = |absent| Vital::Absent { absent };
        for name in ["ecc_uncorrected_total", "temperature_c", "clock_events", "pcie_width"] {
            for why in [Absence::NotSupported, Absence::NoPermission, Absence::TimedOut, Absence::Failed] {
                assert_eq!(with(name, absent(why)).0, Verdict::Unknown, "{name}");
            }
        }
        assert_eq!(health(&Vitals::new(), Err("not readable")).verdict, Verdict::Unknown);
        // What only new drivers tell is not needed.
        assert_eq!(with("recovery_action", absent(Absence::NotSupported)), (Verdict::Pass, vec!["recovery"]));
    }

    #[test]
    fn faults_of_the_log_count_by_their_severity() {
        let xid = |severity| Xid {
            xid: 79,
            name: "GPU fell off the bus".into(),
            severity,
            action: "power-cycle".into(),
            seen_by: BTreeSet::new(),
            count: 1,
            message: None,
        };
        let of = |severity| health(&vitals(), Ok(&[xid(severity)])).verdict;
        assert_eq!(of(Severity::Critical), Verdict::Fail);
        assert_eq!(of(Severity::Error), Verdict::Unknown);
        assert_eq!(of(Severity::Warning), Verdict::Pass);
        assert_eq!(health(&vitals(), Err("denied")).verdict, Verdict::Pass, "the log is read by few");
    }
}
