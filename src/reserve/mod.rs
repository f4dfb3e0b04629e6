//! Reservation sizing: how many, on which terms, for how long.
//!
//! A [`Problem`] holds orders that may be placed, flexible use, and demand by scenario; [`solve`] finds a plan and a bound that no
//! plan beats; [`evaluate`] reckons any plan from the problem alone. `docs/sizing.md` states the problem in full.

mod after;
mod case;
mod checkpoints;
mod compile;
mod cuts;
mod economics;
mod elastic;
mod evaluator;
mod exact;
mod floor;
mod foresight;
mod generator;
pub mod input;
mod levels;
mod limits;
mod lp;
mod money;
mod outcome;
mod problem;
mod recourse;
mod redundancy;
mod relax;
mod replay;
mod risk;
mod search;
mod serve;
mod solver;
mod swings;
mod tableau;
mod terms;
mod versus;
mod worth;

pub use after::After;
pub use case::{CASE, Case, Constraints, Demand, Offer, Sort, Type, Wrong};
pub use checkpoints::{Failures, Goodput, goodput};
pub use economics::{Cover, Decision, Figures, Month, Regret, Spread, figures, quantile, spread};
pub use evaluator::{Broken, Evaluation, Plan, evaluate, tail_weights};
pub use foresight::{Outlook, WALK, damped_walk, outlook};
pub use generator::{FLEETS, Shape, generate, normal_quantile};
pub use lp::Failure;
pub use money::Micros;
pub use outcome::{ANSWER, Answer, Line, answer, answer_with, lines};
pub use problem::{Flex, Kind, Problem, Risk, Scenario, Side};
pub use redundancy::{enough_up, spares};
pub use replay::{Foresight, Replay, Strategy, backtest};
pub use solver::{Effort, Solved, solve};
pub use swings::{Driver, Explained, Flip, Swing, drivers, explain};
pub use terms::{Slot, Tail, Terms};
pub use versus::{Contender, Pair, Versus, plan_of, under, versus};
pub use worth::{Fallback, Worth};
