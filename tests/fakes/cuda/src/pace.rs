//! Kernels that are to take longer than the chip needs: `ASSAY_FAKE_PACE`, pairs `hash:times` with commas between them, by the beginning
//! of the SHA-256 of the code. So a test decides which of several kernels is the fastest.

use sha2::{Digest, Sha256};

/// Codes by their hash, and the factor on the time of each.
#[derive(Debug, Default, PartialEq)]
pub struct Pace(Vec<(String, f64)>);

impl Pace {
    /// # Errors
    /// Words about what is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pair = |pair: &str| {
            let found = pair.split_once(':').and_then(|(hash, times)| Some((hash.to_owned(), times.parse().ok()?)));
            found.filter(|(hash, times)| hash.len() >= 8 && *times > 0.0).ok_or(format!("{pair}: not hash:times"))
        };
        text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// The factor of a code.
    pub fn of(&self, code: &[u8]) -> f64 {
        if self.0.is_empty() {
            return 1.0;
        }
        let hash = Sha256::digest(code).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        self.0.iter().find(|(begin, _)| hash.starts_with(begin.as_str())).map_or(1.0, |(_, times)| *times)
    }
}

#[test]
fn a_code_is_known_by_its_hash() {
    // The SHA-256 of nothing begins with e3b0c442.
    let pace = Pace::parse("e3b0c442:2.5, 01234567:3").unwrap();
    assert_eq!((pace.of(b""), pace.of(b"x"), Pace::default().of(b"")), (2.5, 1.0, 1.0));
    assert!(Pace::parse("e3b0c442").is_err() && Pace::parse("e3:2").is_err() && Pace::parse("e3b0c442:-1").is_err());
}
