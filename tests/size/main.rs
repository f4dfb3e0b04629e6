//! Sizing against optima that are known otherwise: shipped cases, and random ones whose plans are all enumerated here.

mod cases;
mod command;
mod enumerate;
mod explained;
mod random;
mod scale;
