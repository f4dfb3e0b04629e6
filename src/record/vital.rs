//! What a device says of itself at a moment: every value, or why there is none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Why a value is not there. None of these is a zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// The device, or its driver, has no such thing.
    NotSupported,
    NoPermission,
    /// The device fell off its bus.
    Lost,
    TimedOut,
    /// The driver failed in another way.
    Failed,
}

impl Absence {
    /// As few words as a table has room for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotSupported => "none",
            Self::NoPermission => "denied",
            Self::Lost => "lost",
            Self::TimedOut => "timeout",
            Self::Failed => "failed",
        }
    }
}

/// A value by its kind, or its absence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Vital {
    Number(f64),
    Text(String),
    Names(BTreeSet<String>),
    Absent { absent: Absence },
}

impl Vital {
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        if let Self::Number(value) = self { Some(*value) } else { None }
    }

    #[must_use]
    pub fn absence(&self) -> Option<Absence> {
        if let Self::Absent { absent } = self { Some(*absent) } else { None }
    }
}

/// Values by name; a number's unit ends its name (`power_instant_w`, `clock_sm_mhz`), and a running total's is `_total`.
pub type Vitals = BTreeMap<String, Vital>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_and_its_absence_are_told_apart_in_json() {
        let all = Vitals::from([
            ("a_w".into(), Vital::Number(0.0)),
            ("b_c".into(), Vital::Absent { absent: Absence::NotSupported }),
            ("c".into(), Vital::Names(BTreeSet::from(["sw_power_cap".to_owned()]))),
            ("d".into(), Vital::Text("on".into())),
        ]);
        let text = serde_json::to_string(&all).expect("plain");
        assert_eq!(text, r#"{"a_w":0.0,"b_c":{"absent":"not_supported"},"c":["sw_power_cap"],"d":"on"}"#);
        assert_eq!(serde_json::from_str::<Vitals>(&text).expect("its own"), all);
    }
}
