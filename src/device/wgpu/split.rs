//! How arrays are spread over pieces that a binding can hold.

use super::limits::{LARGEST_BINDING, Limits};
use crate::{
    contract::Unsupported,
    plan::{Arg, Op, Plan},
};

/// Pieces begin at multiples of a vector of this many elements.
const VECTOR: u64 = 4;
/// Elements of a line of the `write` pattern.
pub(super) const LINE: u64 = 16;

/// How arrays are spread: piece `i` of an array holds elements from `i * piece`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    piece: u64,
}

/// A contiguous part of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub index: usize,
    pub begin: u64,
    /// Below 2^28.
    pub elements: u64,
}

impl Split {
    /// Pieces as large as a binding allows, such that no segment of a plan's steps lies in two.
    ///
    /// # Errors
    /// [`Unsupported::Other`] when a segment is larger than a binding.
    pub fn of(plan: &Plan, limits: &Limits) -> Result<Self, Unsupported> {
        let most = limits.binding.min(LARGEST_BINDING) / 4 / LINE * LINE;
        let longest = plan.buffers.iter().map(|buffer| buffer.elements).max().unwrap_or(0);
        if longest <= most {
            return Ok(Self { piece: most.max(1) });
        }
        let grain = plan.program.iter().filter_map(|step| unbroken(&step.op)).fold(VECTOR, lcm);
        if most < grain {
            return Err(Unsupported::Other(format!("segments of {} bytes do not fit a binding of {} bytes", grain * 4, most * 4)));
        }
        Ok(Self { piece: most / grain * grain })
    }

    pub fn pieces(self, elements: u64) -> impl Iterator<Item = Piece> {
        (0..elements.div_ceil(self.piece)).map(move |index| Piece {
            index: index as usize,
            begin: index * self.piece,
            elements: self.piece.min(elements - index * self.piece),
        })
    }

    /// Bytes of a whole piece.
    pub fn bytes(self) -> u64 {
        self.piece * 4
    }

    /// Piece and place in it of an element.
    pub fn locate(self, element: u64) -> (usize, u64) {
        ((element / self.piece) as usize, element % self.piece)
    }
}

/// Elements that a step must not see parted: a segment, or a line.
fn unbroken(op: &Op) -> Option<u64> {
    let Op::Kernel { stem, args } = op else { return None };
    let (length, segments) = match (*stem, args.as_slice()) {
        ("read", [_, _, Arg::Count(words), Arg::Count(segments), _]) => (*words, *segments),
        ("dot", [_, _, _, Arg::Count(n), Arg::Count(segments)]) => (*n, *segments),
        ("write", _) => (LINE, 1),
        _ => return None,
    };
    length.checked_div(segments).filter(|length| *length > 0)
}

fn lcm(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).saturating_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_an_array_once() {
        let split = Split { piece: 400 };
        for elements in [1, 399, 400, 401, 1_999] {
            let pieces: Vec<Piece> = split.pieces(elements).collect();
            assert_eq!(pieces.iter().map(|piece| piece.elements).sum::<u64>(), elements);
            for piece in pieces {
                assert_eq!(split.locate(piece.begin), (piece.index, 0));
                assert_eq!(split.locate(piece.begin + piece.elements - 1), (piece.index, piece.elements - 1));
            }
        }
    }

    #[test]
    fn a_piece_holds_whole_segments_vectors_and_lines() {
        let read = |words, segments| Op::Kernel {
            stem: "read",
            args: vec![Arg::Buffer(0), Arg::Buffer(1), Arg::Count(words), Arg::Count(segments), Arg::Count(1)],
        };
        assert_eq!(unbroken(&read(9_999, 99)), Some(101));
        assert_eq!(unbroken(&read(0, 0)), None);
        assert_eq!(unbroken(&Op::Kernel { stem: "write", args: vec![] }), Some(LINE));
        assert_eq!([lcm(4, 101), lcm(4, 200), lcm(16, 4)], [404, 200, 16]);
        assert_eq!(lcm(u64::MAX, u64::MAX - 1), u64::MAX, "absurd sizes do not wrap");
    }
}
