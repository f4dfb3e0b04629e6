//! A dense simplex for the tiny programmes of one period and one scenario, which are solved by the hundred thousand.
//!
//! Rows start with a basis of unit columns, so that no first phase is needed. Bland's rule takes over when progress stalls, so
//! that it ends.

const ZERO: f64 = 1e-10;
/// Pivots by the steepest column, per row and column, before Bland's rule.
const PATIENCE: usize = 4;

/// Minimise `cost · x` subject to equalities, x ≥ 0.
#[derive(Clone, Debug, Default)]
pub struct Tableau {
    columns: usize,
    /// Row by row; the right side is the last column.
    cells: Vec<f64>,
    basis: Vec<usize>,
    /// Reduced costs; the last is minus the objective.
    reduced: Vec<f64>,
}

impl Tableau {
    /// A programme of `columns` variables with these costs, and no rows yet.
    #[must_use]
    pub fn new(costs: &[f64]) -> Self {
        let mut reduced = costs.to_vec();
        reduced.push(0.0);
        Self { columns: costs.len(), cells: Vec::new(), basis: Vec::new(), reduced }
    }

    /// Adds a row, in which column `basic` has coefficient 1 and which alone of all rows has it. `right` is not negative.
    pub fn row(&mut self, coefficients: &[(usize, f64)], right: f64, basic: usize) {
        let start = self.cells.len();
        self.cells.resize(start + self.columns + 1, 0.0);
        for &(column, coefficient) in coefficients {
            self.cells[start + column] = coefficient;
        }
        self.cells[start + self.columns] = right;
        let cost = self.reduced[basic];
        if cost != 0.0 {
            for (reduced, cell) in self.reduced.iter_mut().zip(&self.cells[start..]) {
                *reduced -= cost * cell;
            }
        }
        self.basis.push(basic);
    }

    /// Pivots until no column improves. Costs must be such that the optimum is finite.
    pub fn solve(&mut self) {
        let scale = self.reduced[..self.columns].iter().fold(1.0, |most: f64, cost| most.max(cost.abs()));
        let patience = PATIENCE * (self.columns + self.basis.len());
        for pivot in 0..patience * 16 {
            let Some(column) = self.entering(pivot > patience, -ZERO * scale) else { return };
            let Some(row) = self.leaving(column) else { return };
            self.pivot(row, column);
        }
    }

    fn entering(&self, bland: bool, below: f64) -> Option<usize> {
        let candidates = (0..self.columns).filter(|&column| self.reduced[column] < below);
        if bland {
            let mut candidates = candidates;
            candidates.next()
        } else {
            candidates.min_by(|&a, &b| self.reduced[a].total_cmp(&self.reduced[b]))
        }
    }

    fn leaving(&self, column: usize) -> Option<usize> {
        let width = self.columns + 1;
        let ratio = |row: usize| self.cells[row * width + self.columns] / self.cells[row * width + column];
        (0..self.basis.len())
            .filter(|row| self.cells[row * width + column] > ZERO)
            .min_by(|&a, &b| ratio(a).total_cmp(&ratio(b)).then(self.basis[a].cmp(&self.basis[b])))
    }

    fn pivot(&mut self, row: usize, column: usize) {
        let width = self.columns + 1;
        let pivot = self.cells[row * width + column];
        let leading: Vec<f64> = self.cells[row * width..(row + 1) * width].iter().map(|cell| cell / pivot).collect();
        for (other, cells) in self.cells.chunks_exact_mut(width).enumerate() {
            let factor = cells[column];
            if other == row {
                cells.copy_from_slice(&leading);
            } else if factor != 0.0 {
                for (cell, lead) in cells.iter_mut().zip(&leading) {
                    *cell -= factor * lead;
                }
                cells[column] = 0.0;
            }
        }
        let factor = self.reduced[column];
        for (reduced, lead) in self.reduced.iter_mut().zip(&leading) {
            *reduced -= factor * lead;
        }
        self.reduced[column] = 0.0;
        self.basis[row] = column;
    }

    /// The value of each variable.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        let mut values = vec![0.0; self.columns];
        for (row, &column) in self.basis.iter().enumerate() {
            values[column] = self.cells[row * (self.columns + 1) + self.columns].max(0.0);
        }
        values
    }

    /// What the optimum costs more per unit of a column that is not used.
    #[must_use]
    pub fn reduced(&self, column: usize) -> f64 {
        self.reduced[column]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_programme_is_solved() {
        // max 3x + 5y; x <= 4, 2y <= 12, 3x + 2y <= 18 (Dantzig's textbook example): 36 at (2, 6).
        let mut tableau = Tableau::new(&[-3.0, -5.0, 0.0, 0.0, 0.0]);
        tableau.row(&[(0, 1.0), (2, 1.0)], 4.0, 2);
        tableau.row(&[(1, 2.0), (3, 1.0)], 12.0, 3);
        tableau.row(&[(0, 3.0), (1, 2.0), (4, 1.0)], 18.0, 4);
        tableau.solve();
        let values = tableau.values();
        assert!((values[0] - 2.0).abs() < 1e-12 && (values[1] - 6.0).abs() < 1e-12, "{values:?}");
        assert!((tableau.reduced(3) - 1.5).abs() < 1e-12 && (tableau.reduced(4) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_basic_cost_is_priced_out() {
        // min 10 z + y; z + y = 3, y <= 2: 10 + 2.
        let mut tableau = Tableau::new(&[10.0, 1.0, 0.0]);
        tableau.row(&[(0, 1.0), (1, 1.0)], 3.0, 0);
        tableau.row(&[(1, 1.0), (2, 1.0)], 2.0, 2);
        tableau.solve();
        assert_eq!(tableau.values(), [1.0, 2.0, 0.0]);
    }
}
