//! Linear programmes: the one door to the solver library. Every answer is held to its rows and bounds before it is believed.

use good_lp::{Expression, ProblemVariables, ResolutionError, Solution, SolverModel, Variable, constraint, microlp, variable};

/// By how much of its scale a row may be off.
const FEASIBLE: f64 = 1e-6;

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

    /// Solves it.
    ///
    /// # Errors
    /// When no point is feasible, or the library fails or hands back a point that is not.
    pub fn minimise(&self) -> Result<Answer, Failure> {
        let mut variables = ProblemVariables::new();
        let names: Vec<Variable> = self.bounds.iter().map(|&(low, high)| variables.add(variable().min(low).max(high))).collect();
        let scale = self.costs.iter().fold(0.0, |most: f64, cost| most.max(cost.abs())).max(f64::MIN_POSITIVE);
        let mut objective = Expression::with_capacity(names.len());
        for (name, cost) in names.iter().zip(&self.costs).filter(|(_, cost)| **cost != 0.0) {
            objective.add_mul(cost / scale, *name);
        }
        let mut model = variables.minimise(objective).using(microlp);
        for row in &self.rows {
            let mut left = Expression::with_capacity(row.coefficients.len());
            for &(column, coefficient) in &row.coefficients {
                left.add_mul(coefficient, names[column]);
            }
            model.add_constraint(if row.equal { constraint::eq(left, row.right) } else { constraint::leq(left, row.right) });
        }
        let solution = model.solve().map_err(|error| match error {
            ResolutionError::Infeasible => Failure::Infeasible,
            other => Failure::Solver(other.to_string()),
        })?;
        let values: Vec<f64> =
            names.iter().zip(&self.bounds).map(|(name, &(low, high))| solution.value(*name).clamp(low, high)).collect();
        self.check(&values)?;
        let objective = values.iter().zip(&self.costs).map(|(value, cost)| value * cost).sum();
        Ok(Answer { values, objective })
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
