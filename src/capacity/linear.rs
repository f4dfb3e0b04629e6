//! Systems of a few linear equations.

/// Solution of a symmetric, positive definite system, by elimination; no pivoting is needed there.
#[must_use]
pub fn solved(mut system: Vec<Vec<f64>>, right: &[f64]) -> Vec<f64> {
    let n = right.len();
    for (row, value) in system.iter_mut().zip(right) {
        row.push(*value);
    }
    for pivot in 0..n {
        let head = system[pivot].clone();
        for row in &mut system[pivot + 1..] {
            let factor = row[pivot] / head[pivot];
            row.iter_mut().zip(&head).for_each(|(value, head)| *value -= factor * head);
        }
    }
    let mut solution = vec![0.0; n];
    for at in (0..n).rev() {
        let known: f64 = (at + 1..n).map(|other| system[at][other] * solution[other]).sum();
        solution[at] = (system[at][n] - known) / system[at][at];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_by_hand() {
        let found = solved(vec![vec![4.0, 1.0], vec![1.0, 3.0]], &[1.0, 2.0]);
        assert!((found[0] - 1.0 / 11.0).abs() < 1e-15 && (found[1] - 7.0 / 11.0).abs() < 1e-15);
    }
}
