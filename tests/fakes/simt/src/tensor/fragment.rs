//! Which element of a matrix each lane holds in each of its registers.
//!
//! Every function takes a lane and the number of an element among those that the lane holds, in the order of its registers and, within
//! a register, from the low bits up. A lane's group is `lane / 4`, its place in the group `lane % 4`: the PTX ISA calls them
//! groupID and threadID_in_group.

/// Row and column (of k) of an element of A, for mma.m8 and mma.m16 with `held` elements to a register (PTX ISA, Matrix
/// Fragments for mma): registers alternate between rows and rows + 8, then go on along k.
#[must_use]
pub fn a(lane: u32, element: u32, held: u32, rows: u32) -> (u32, u32) {
    let (register, within) = (element / held, element % held);
    let (group, place) = (lane / 4, lane % 4);
    if rows == 8 {
        return (group, place * held + within + register * 4 * held);
    }
    (group + 8 * (register % 2), place * held + within + register / 2 * 4 * held)
}

/// Row (of k) and column of an element of B.
#[must_use]
pub fn b(lane: u32, element: u32, held: u32) -> (u32, u32) {
    let (register, within) = (element / held, element % held);
    (lane % 4 * held + within + register * 4 * held, lane / 4)
}

/// Row and column of an element of C and D. wgmma's D is the same, eight columns after eight columns (PTX ISA,
/// "WGMMA .m64nNk16 register fragment layout for accumulator matrix D"), from row 16 times the warp's number in its warpgroup on.
#[must_use]
pub fn d(lane: u32, element: u32) -> (u32, u32) {
    (lane / 4 + 8 * (element / 2 % 2), lane % 4 * 2 + element % 2 + element / 4 * 8)
}

/// Row and column that a lane's register gets from an 8 x 8 matrix of 16-bit elements, low half first (PTX ISA, ldmatrix
/// and stmatrix).
#[must_use]
pub fn matrix8(lane: u32, half: u32, transpose: bool) -> (u32, u32) {
    let (row, column) = (lane / 4, lane % 4 * 2 + half);
    if transpose { (column, row) } else { (row, column) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    // PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type": a0..a7 of lane 5 (group 1, place 1).
    #[test]
    fn a_of_m16n8k16_bf16() {
        let found: Vec<_> = (0..8).map(|element| a(5, element, 2, 16)).collect();
        assert_eq!(found, [(1, 2), (1, 3), (9, 2), (9, 3), (1, 10), (1, 11), (9, 10), (9, 11)]);
        assert_eq!((0..4).map(|element| b(5, element, 2)).collect::<Vec<_>>(), [(2, 1), (3, 1), (10, 1), (11, 1)]);
        assert_eq!((0..4).map(|element| d(5, element)).collect::<Vec<_>>(), [(1, 2), (1, 3), (9, 2), (9, 3)]);
    }

    // PTX ISA, "Matrix Fragments for mma.m16n8k8", .tf32: a0 to a3, b0, b1 of lane 31 (group 7, place 3).
    #[test]
    fn m16n8k8_tf32() {
        assert_eq!((0..4).map(|element| a(31, element, 1, 16)).collect::<Vec<_>>(), [(7, 3), (15, 3), (7, 7), (15, 7)]);
        assert_eq!([b(31, 0, 1), b(31, 1, 1)], [(3, 7), (7, 7)]);
    }

    // PTX ISA, "Matrix Fragments for mma.m16n8k32": eight bits, lane 6 (group 1, place 2): rows for i in 0..4 and 8..12 are
    // the group's, columns (place * 4) + (i & 3), + 16 from i = 8 on.
    #[test]
    fn m16n8k32_s8() {
        assert_eq!([0, 3, 4, 8, 15].map(|element| a(6, element, 4, 16)), [(1, 8), (1, 11), (9, 8), (1, 24), (9, 27)]);
        assert_eq!([0, 3, 4, 7].map(|element| b(6, element, 4)), [(8, 1), (11, 1), (24, 1), (27, 1)]);
    }

    // PTX ISA, "Matrix Fragments for mma.m8n8k16": row = groupID, col = (threadID_in_group * 4) + i for both A and, exchanged, B.
    #[test]
    fn m8n8k16_s8() {
        assert_eq!([a(6, 0, 4, 8), a(6, 3, 4, 8)], [(1, 8), (1, 11)]);
        assert_eq!([b(6, 0, 4), b(6, 3, 4)], [(8, 1), (11, 1)]);
    }

    // PTX ISA, "Matrix Fragments for mma.m8n8k4 with .f64": one of A, one of B, two of C.
    #[test]
    fn m8n8k4_f64() {
        assert_eq!((a(14, 0, 1, 8), b(14, 0, 1)), ((3, 2), (2, 3)));
        assert_eq!([d(14, 0), d(14, 1)], [(3, 4), (3, 5)]);
    }

    // PTX ISA, Register Fragments for wgmma.mma_async, figure of D for .m64nNk16: d4 and d5 of thread 0 are in columns 8 and 9 of row 0, d6 and d7 of row 8.
    #[test]
    fn d_of_wgmma() {
        assert_eq!([4, 5, 6, 7].map(|element| d(0, element)), [(0, 8), (0, 9), (8, 8), (8, 9)]);
        assert_eq!(d(31, 127), (15, 255));
    }

    // PTX ISA, ldmatrix: thread 0 holds elements 0 and 1 of row 0, thread 31 elements 6 and 7 of row 7.
    #[test]
    fn rows_of_ldmatrix() {
        assert_eq!([matrix8(0, 0, false), matrix8(0, 1, false), matrix8(31, 1, false)], [(0, 0), (0, 1), (7, 7)]);
        assert_eq!([matrix8(1, 0, true), matrix8(4, 1, true)], [(2, 0), (1, 1)]);
    }

    #[test]
    fn every_element_is_held_once() {
        let whole = |count: u32, at: &dyn Fn(u32, u32) -> (u32, u32)| {
            (0..32)
                .flat_map(|lane| (0..count).map(move |element| (lane, element)))
                .map(|(lane, element)| at(lane, element))
                .collect::<BTreeSet<_>>()
                .len()
        };
        for (held, k) in [(1, 4), (1, 8), (2, 8), (2, 16), (4, 16), (4, 32)] {
            assert_eq!(whole(k / 2, &|lane, element| a(lane, element, held, 16)), 16 * k as usize, "A {held} {k}");
            assert_eq!(whole(k / 4, &|lane, element| b(lane, element, held)), 8 * k as usize, "B {held} {k}");
        }
        assert_eq!(whole(128, &d), 16 * 256);
        assert_eq!(whole(2, &|lane, half| matrix8(lane, half, true)), 64);
    }
}
