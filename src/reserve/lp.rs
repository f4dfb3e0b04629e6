//! Linear programmes: the one door to the solver library. Every answer is held to its rows and bounds before it is believed.

use good_lp::{
    Expression, ProblemVariables, ResolutionError, Solution, SolverModel, Variable, constraint, solvers::ObjectiveDirection,
    variable, variable::UnsolvedProblem,
};

/// By how much of its scale a row may be off.
const FEASIBLE: f64 = 1e-6;

/// Passes of scaling.
const PASSES: usize = 3;

/// Minimise `costs · x` within bounds, under rows `coefficients · x ≤ right` or `= right`.
#[derive(Clone, Debug, Default)]
pub struct Programme {
    costs: Vec<f64>,
    bounds: Vec<(f64, f64)>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    coefficients: Vec<(usize, f64)>,
    right: f64,
    equal: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("no point meets every row")]
    Infeasible,
    #[error("there is no end to how low it goes")]
    Unbounded,
    #[error("the linear solver failed: {0}")]
    Solver(String),
}

/// An optimal point.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub values: Vec<f64>,
    pub objective: f64,
}

impl Programme {
    /// Adds a variable; its number counts from zero.
    pub fn variable(&mut self, cost: f64, low: f64, high: f64) -> usize {
        self.costs.push(cost);
        self.bounds.push((low, high));
        self.costs.len() - 1
    }

    /// Adds a row that must be at most `right`.
    pub fn at_most(&mut self, coefficients: Vec<(usize, f64)>, right: f64) {
        self.rows.push(Row { coefficients, right, equal: false });
    }

    /// Adds a row that must be `right`.
    pub fn equal(&mut self, coefficients: Vec<(usize, f64)>, right: f64) {
        self.rows.push(Row { coefficients, right, equal: true });
    }

    /// What solving it once takes about, in cells of its dense table: what effort is reckoned in, since time would differ from one
    /// machine to the next and with it the plan.
    #[must_use]
    pub fn work(&self) -> usize {
        self.costs.len() * self.rows.len()
    }

    /// Solves it: scaled first, since amounts of money stand beside counts; where the library fails, once more as it is, and with
    /// rows the other way round.
    ///
    /// # Errors
    /// When no point is feasible, or the library fails each time or hands back a point that is not feasible.
    pub fn minimise(&self) -> Result<Answer, Failure> {
        let mut failure = None;
        for (scaled, backward) in [(true, false), (false, false), (true, true)] {
            match self.attempt(scaled, backward) {
                Err(Failure::Solver(says)) => failure = failure.or(Some(Failure::Solver(says))),
                other => return other,
            }
        }
        Err(failure.unwrap_or(Failure::Infeasible))
    }

    fn attempt(&self, scaled: bool, backward: bool) -> Result<Answer, Failure> {
        let (columns, rows) = if scaled { self.scales() } else { (vec![1.0; self.costs.len()], vec![1.0; self.rows.len()]) };
        let mut variables = ProblemVariables::new();
        let bounds = self.bounds.iter().zip(&columns);
        let names: Vec<Variable> =
            bounds.map(|(&(low, high), by)| variables.add(variable().min(low / by).max(high / by))).collect();
        let costs: Vec<f64> = self.costs.iter().zip(&columns).map(|(cost, by)| cost * by).collect();
        let scale = costs.iter().fold(0.0, |most: f64, cost| most.max(cost.abs())).max(f64::MIN_POSITIVE);
        let mut objective = Expression::with_capacity(names.len());
        for (name, cost) in names.iter().zip(&costs).filter(|(_, cost)| **cost != 0.0) {
            objective.add_mul(cost / scale, *name);
        }
        let mut model = engine(variables.optimise(ObjectiveDirection::Minimisation, objective));
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        if backward {
            order.reverse();
        }
        for at in order {
            let row = &self.rows[at];
            let mut left = Expression::with_capacity(row.coefficients.len());
            for &(column, coefficient) in &row.coefficients {
                left.add_mul(coefficient * columns[column] * rows[at], names[column]);
            }
            let right = row.right * rows[at];
            model.add_constraint(if row.equal { constraint::eq(left, right) } else { constraint::leq(left, right) });
        }
        let solution = model.solve().map_err(|error| match error {
            ResolutionError::Infeasible => Failure::Infeasible,
            ResolutionError::Unbounded => Failure::Unbounded,
            other => Failure::Solver(other.to_string()),
        })?;
        let found = names.iter().zip(&columns).map(|(name, by)| solution.value(*name) * by);
        let values: Vec<f64> = found.zip(&self.bounds).map(|(value, &(low, high))| value.clamp(low, high)).collect();
        self.check(&values)?;
        let objective = values.iter().zip(&self.costs).map(|(value, cost)| value * cost).sum();
        Ok(Answer { values, objective })
    }

    /// What columns and rows are multiplied by, so that coefficients lie near one: powers of two, which round nothing.
    fn scales(&self) -> (Vec<f64>, Vec<f64>) {
        let mut columns = vec![1.0; self.costs.len()];
        let mut rows = vec![1.0; self.rows.len()];
        for _ in 0..PASSES {
            for (row, scale) in self.rows.iter().zip(&mut rows) {
                let sizes = row.coefficients.iter().map(|&(column, coefficient)| (coefficient * columns[column]).abs());
                *scale = middle(sizes, 1.0);
            }
            let mut extent = vec![(f64::INFINITY, 0.0_f64); columns.len()];
            for (row, scale) in self.rows.iter().zip(&rows) {
                for &(column, coefficient) in row.coefficients.iter().filter(|(_, coefficient)| *coefficient != 0.0) {
                    let size = (coefficient * scale).abs();
                    extent[column] = (extent[column].0.min(size), extent[column].1.max(size));
                }
            }
            for (scale, (least, most)) in columns.iter_mut().zip(extent) {
                *scale = if most > 0.0 { middle([least, most].into_iter(), 1.0) } else { 1.0 };
            }
        }
        (columns, rows)
    }

    fn check(&self, values: &[f64]) -> Result<(), Failure> {
        for row in &self.rows {
            let terms = || row.coefficients.iter().map(|&(column, coefficient)| coefficient * values[column]);
            let off = terms().sum::<f64>() - row.right;
            let scale = terms().map(f64::abs).fold(row.right.abs(), f64::max).max(1.0);
            if off > FEASIBLE * scale || (row.equal && off < -FEASIBLE * scale) {
                return Err(Failure::Solver(format!("its point is off a row by {off:e}")));
            }
        }
        Ok(())
    }
}

/// Whose simplex it is.
pub const SOLVER: &str = if cfg!(feature = "highs") { "HiGHS" } else { "microlp" };

/// The simplex in Rust.
#[cfg(not(feature = "highs"))]
fn engine(programme: UnsolvedProblem) -> impl SolverModel<Error = ResolutionError> {
    programme.using(good_lp::microlp)
}

/// HiGHS's simplex, on one thread: several would find another of the cheapest points from one run to the next.
#[cfg(feature = "highs")]
fn engine(programme: UnsolvedProblem) -> impl SolverModel<Error = ResolutionError> {
    use good_lp::solvers::highs::{HighsParallelType, HighsSolverType, highs};
    programme.using(highs).set_solver(HighsSolverType::Simplex).set_parallel(HighsParallelType::Off).set_threads(1)
}

/// The power of two that brings sizes around one, by the least and the greatest of them.
fn middle(sizes: impl Iterator<Item = f64>, none: f64) -> f64 {
    let (least, most) = sizes
        .filter(|size| *size > 0.0 && size.is_finite())
        .fold((f64::INFINITY, 0.0_f64), |(least, most), size| (least.min(size), most.max(size)));
    if most > 0.0 { (-0.5 * (least.log2() + most.log2())).round().exp2() } else { none }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programme_is_solved_and_an_infeasible_one_said_so() {
        let mut programme = Programme::default();
        let (x, y) = (programme.variable(-3.0, 0.0, 4.0), programme.variable(-5.0, 0.0, 6.0));
        programme.at_most(vec![(x, 3.0), (y, 2.0)], 18.0);
        let answer = programme.minimise().expect("Dantzig's example");
        assert!((answer.objective + 36.0).abs() < 1e-9, "{answer:?}");
        programme.equal(vec![(x, 1.0)], 5.0);
        assert_eq!(programme.minimise(), Err(Failure::Infeasible));
    }
}
