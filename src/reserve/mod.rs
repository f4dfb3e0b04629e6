//! Reservation sizing: how many, on which terms, for how long.
//!
//! A [`Problem`] holds orders that may be placed, flexible use, and demand by scenario; [`solve`] finds a plan and a bound that no
//! plan beats; [`evaluate`] reckons any plan from the problem alone. `docs/sizing.md` states the problem in full.

mod answer;
mod case;
mod cuts;
mod evaluate;
mod exact;
mod explain;
mod floor;
mod generate;
mod goodput;
mod levels;
mod lp;
mod money;
mod problem;
mod recourse;
mod relax;
mod search;
mod serve;
mod solve;
mod spares;
mod tableau;
mod terms;

pub use answer::{Answer, Line, answer};
pub use case::{CASE, Case, Constraints, Demand, Offer, Sort, Type, Wrong};
pub use evaluate::{Broken, Evaluation, Plan, evaluate, tail_weights};
pub use explain::{Driver, Explained, Flip, Swing, drivers, explain};
pub use generate::{FLEETS, Shape, generate, normal_quantile};
pub use goodput::{Failures, Goodput, goodput};
pub use lp::Failure;
pub use money::Micros;
pub use problem::{Flex, Kind, Problem, Scenario, Side};
pub use solve::{Effort, Solved, solve};
pub use spares::spares;
pub use terms::{Slot, Tail, Terms};
