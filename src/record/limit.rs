//! Why a clock is held down: one primary reason of a set.

use std::collections::BTreeSet;

/// What a set of clocks-event reasons comes down to, the gravest first. Names are NVML's in lower snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// The board's power brake, or another slowdown by hardware that is not heat.
    Brake,
    Thermal,
    PowerCap,
    /// Clocks that somebody set, or that are held to those of other devices.
    Setting,
}

impl Limit {
    /// The primary reason; blank where the set names none that holds a clock down.
    #[must_use]
    pub fn primary(reasons: &BTreeSet<String>) -> Option<Self> {
        let has = |name: &str| reasons.contains(name);
        let thermal = has("hw_thermal_slowdown") || has("sw_thermal_slowdown");
        // `hw_slowdown` goes along with either of its causes; without heat it is the brake.
        if has("hw_power_brake_slowdown") || (has("hw_slowdown") && !thermal) {
            Some(Self::Brake)
        } else if thermal {
            Some(Self::Thermal)
        } else if has("sw_power_cap") {
            Some(Self::PowerCap)
        } else if has("applications_clocks_setting") || has("sync_boost") {
            Some(Self::Setting)
        } else {
            None
        }
    }

    /// As the limiter of a rate: `thermal`, `power` or `other`.
    #[must_use]
    pub fn limiter(self) -> &'static str {
        match self {
            Self::Thermal => "thermal",
            Self::PowerCap => "power",
            Self::Brake | Self::Setting => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_reason_of_a_set_is_primary() {
        let primary = |names: &[&str]| Limit::primary(&names.iter().map(ToString::to_string).collect());
        assert_eq!(primary(&["sw_power_cap", "hw_power_brake_slowdown", "hw_slowdown"]), Some(Limit::Brake));
        assert_eq!(primary(&["hw_slowdown", "hw_thermal_slowdown"]), Some(Limit::Thermal));
        assert_eq!(primary(&["hw_slowdown"]), Some(Limit::Brake));
        assert_eq!(primary(&["sync_boost", "sw_power_cap"]), Some(Limit::PowerCap));
        assert_eq!(primary(&["applications_clocks_setting"]), Some(Limit::Setting));
        assert_eq!((primary(&["bit_40"]), primary(&[])), (None, None));
    }
}
