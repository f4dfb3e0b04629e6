//! Change points by energy distance and permutation (Matteson and James 2014): no distribution is assumed.

/// Points of the shortest part.
const SHORTEST: usize = 5;
const PERMUTATIONS: usize = 199;
const LEVEL: f64 = 0.01;
/// Any fixed number will do; it only must stay the same.
const SEED: u64 = 0x5EED;

/// First points of new parts, in no order.
pub fn points(values: &[f64]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut open = vec![(0, values.len())];
    let mut state = SEED;
    while let Some((from, to)) = open.pop() {
        let part = &values[from..to];
        let Some((at, energy)) = best(part) else { continue };
        let mut shuffled = part.to_vec();
        let allowed = (LEVEL * (PERMUTATIONS + 1) as f64) as usize - 1;
        let mut above = 0;
        for _ in 0..PERMUTATIONS {
            shuffle(&mut shuffled, &mut state);
            above += usize::from(best(&shuffled).is_some_and(|(_, other)| other >= energy));
            if above > allowed {
                break;
            }
        }
        if above <= allowed {
            found.push(from + at);
            open.extend([(from, from + at), (from + at, to)]);
        }
    }
    found
}

/// The split with the greatest energy distance between its sides, scaled by their sizes; nothing where there is no room for one.
fn best(values: &[f64]) -> Option<(usize, f64)> {
    let count = values.len();
    if count < 2 * SHORTEST {
        return None;
    }
    let all: Vec<f64> = values.iter().map(|a| values.iter().map(|b| (a - b).abs()).sum()).collect();
    let total: f64 = all.iter().sum();
    // Pairs within the left side, each twice; then those across and those within the right follow.
    let (mut left, mut rows) = (0.0, 0.0);
    let mut best: Option<(usize, f64)> = None;
    for at in 1..count {
        let fresh = values[at - 1];
        left += 2.0 * values[..at - 1].iter().map(|other| (other - fresh).abs()).sum::<f64>();
        rows += all[at - 1];
        if at < SHORTEST || at + SHORTEST > count {
            continue;
        }
        let (few, many) = (at as f64, (count - at) as f64);
        let across = rows - left;
        let right = total - left - 2.0 * across;
        let distance = 2.0 * across / (few * many) - left / (few * few) - right / (many * many);
        let energy = few * many / (few + many) * distance;
        if best.is_none_or(|(_, other)| energy > other) {
            best = Some((at, energy));
        }
    }
    best
}

/// Fisher and Yates, by a congruential generator.
fn shuffle(values: &mut [f64], state: &mut u64) {
    for last in (1..values.len()).rev() {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = ((*state >> 33) as usize) % (last + 1);
        values.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wobble(at: usize) -> f64 {
        (at * 7_919 % 101) as f64 / 50.0 - 1.0
    }

    #[test]
    fn a_shift_is_found_twice_alike_and_noise_is_not() {
        let shifted: Vec<f64> = (0..80).map(|at| wobble(at) + if at < 40 { 0.0 } else { 1.5 }).collect();
        let found = points(&shifted);
        assert!(found.len() == 1 && found[0].abs_diff(40) <= 2, "{found:?}");
        assert_eq!(points(&shifted), found);
        assert!(points(&(0..80).map(wobble).collect::<Vec<_>>()).is_empty());
        assert!(points(&[]).is_empty());
    }
}
