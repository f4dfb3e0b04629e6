//! The CUDA kernels that the binary carries, compiled ahead by `kernels/build`, so that the code under test is the same bits on
//! every node and under every driver.
//!
//! `kernels/compiled/manifest.json` says what there is; `STEM.xz` holds a stem's images one after another. Without the `cuda`
//! feature nothing is carried.

#[cfg(feature = "cuda")]
pub use carried::{Bits, Configuration, Image, Kernel, kernel, kernels_hash};

/// Hash over all CUDA kernels in the binary; blank where none is carried.
#[cfg(not(feature = "cuda"))]
#[must_use]
pub fn kernels_hash() -> Option<String> {
    None
}

#[cfg(feature = "cuda")]
mod carried {
    use serde::Deserialize;
    use sha2::{Digest, Sha256};
    use std::{
        collections::BTreeMap,
        io::Read,
        sync::{LazyLock, OnceLock},
    };

    const MANIFEST: &[u8] = include_bytes!("../../kernels/compiled/manifest.xz");

    macro_rules! stems {
        ($($stem:literal)*) => {
            &[$(($stem, include_bytes!(concat!("../../kernels/compiled/", $stem, ".xz")))),*]
        };
    }

    /// A stem's images, compressed.
    const STEMS: &[(&str, &[u8])] = stems!(
        "add" "add_bulk" "all_reduce" "atomic_one" "atomic_shared" "atomic_spread" "chase" "copy" "copy_bulk" "dot" "dot_bulk" "fill" "fold" "gate" "issue" "issue_dmma" "issue_mma" "issue_tcgen05" "issue_wgmma" "link" "links" "matmul" "matmul_dmma" "matmul_mma" "matmul_tcgen05" "matmul_wgmma" "prune" "read" "read_bulk" "residual" "scale" "scale_bulk" "shared" "triad" "triad_bulk" "write" "write_bulk"
    );

    #[derive(Deserialize)]
    struct Manifest {
        stems: BTreeMap<String, Kernel>,
    }

    /// What the manifest holds, and its hash.
    static KERNELS: LazyLock<(BTreeMap<String, Kernel>, String)> = LazyLock::new(|| {
        let manifest = inflated(MANIFEST).unwrap_or_default();
        let stems = serde_json::from_slice::<Manifest>(&manifest).map(|manifest| manifest.stems).unwrap_or_default();
        (stems, hexadecimal(&manifest))
    });

    fn inflated(packed: &[u8]) -> Result<Vec<u8>, String> {
        let mut whole = Vec::new();
        lzma_rust2::XzReader::new(packed, false).read_to_end(&mut whole).map_err(|error| error.to_string())?;
        Ok(whole)
    }

    /// What there is of a stem.
    #[derive(Debug, Deserialize)]
    pub struct Kernel {
        /// Name of the entry point.
        pub entry: String,
        /// In order of preference; slow twins last.
        pub configs: Vec<Configuration>,
        /// All images, once one was asked for.
        #[serde(skip)]
        whole: OnceLock<Result<Vec<u8>, String>>,
    }

    /// A named set of compile-time constants.
    #[derive(Debug, Deserialize)]
    pub struct Configuration {
        pub name: String,
        macros: BTreeMap<String, String>,
        pub images: Vec<Image>,
    }

    /// Where the bits for one architecture lie, and what they need.
    #[derive(Clone, Debug, Deserialize)]
    pub struct Image {
        pub kind: Bits,
        /// `80`, `90a`: compute capability without the dot.
        pub architecture: String,
        /// Of the uncompressed bits, hexadecimal.
        pub sha256: String,
        offset: usize,
        length: usize,
        pub registers: u32,
        pub shared_bytes: u32,
    }

    /// Machine code of one architecture, or text that a driver compiles for newer ones.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Bits {
        Cubin,
        Ptx,
    }

    /// The kernel of a stem.
    #[must_use]
    pub fn kernel(stem: &str) -> Option<&'static Kernel> {
        KERNELS.0.get(stem)
    }

    /// Hash over all CUDA kernels in the binary; blank where none is carried.
    #[must_use]
    pub fn kernels_hash() -> Option<String> {
        Some(KERNELS.1.clone())
    }

    fn hexadecimal(bytes: &[u8]) -> String {
        use std::fmt::Write;
        Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    impl Kernel {
        #[must_use]
        pub fn configuration(&self, name: &str) -> Option<&Configuration> {
            self.configs.iter().find(|configuration| configuration.name == name)
        }

        /// The bits of an image, inflated and held against their hash.
        ///
        /// # Errors
        /// In words, when the binary is damaged.
        pub fn bits(&self, image: &Image) -> Result<Vec<u8>, String> {
            let (_, packed) = STEMS.iter().find(|(stem, _)| *stem == self.entry).ok_or("the binary carries no such kernel")?;
            let whole = self.whole.get_or_init(|| inflated(packed)).as_ref().map_err(Clone::clone)?;
            let bits = whole.get(image.offset..image.offset + image.length).ok_or("an image lies outside its file")?;
            if hexadecimal(bits) != image.sha256 {
                return Err(format!("the image of {} for {} is not what was built", self.entry, image.architecture));
            }
            Ok(bits.to_vec())
        }
    }

    impl Configuration {
        /// A compile-time constant that is a number, zero where there is none of that name.
        #[must_use]
        pub fn constant(&self, name: &str) -> u64 {
            self.text(name).and_then(|value| value.parse().ok()).unwrap_or(0)
        }

        /// A compile-time constant as it is written.
        #[must_use]
        pub fn text(&self, name: &str) -> Option<&str> {
            self.macros.get(name).map(String::as_str)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_carried_stem_is_in_the_manifest() {
            let known: Vec<&str> = KERNELS.0.keys().map(String::as_str).collect();
            let carried: Vec<&str> = STEMS.iter().map(|(stem, _)| *stem).collect();
            assert_eq!(known, carried);
        }

        #[test]
        fn a_configuration_tells_its_constants() {
            let copy = kernel("copy").and_then(|kernel| kernel.configuration("vec4x8")).expect("carried");
            assert_eq!((copy.constant("THREADS"), copy.constant("LOADS"), copy.constant("ABSENT")), (512, 8, 0));
        }

        #[test]
        fn bits_are_held_against_their_hash() {
            let copy = kernel("copy").expect("carried");
            let image = copy.configs[0].images[0].clone();
            assert!(copy.bits(&image).expect("whole").starts_with(b"\x7fELF"));
            assert!(copy.bits(&Image { length: image.length - 1, ..image }).is_err());
        }

        #[test]
        fn slow_twins_come_last() {
            let others = ["atomic_one", "atomic_shared", "atomic_spread", "chase", "issue_dmma", "link", "matmul_dmma", "shared"];
            let streams =
                ["add", "add_bulk", "copy", "copy_bulk", "dot", "read", "read_bulk", "scale", "triad", "triad_bulk", "write"];
            for stem in others.into_iter().chain(streams) {
                let last = kernel(stem).and_then(|kernel| kernel.configs.last()).expect("carried");
                assert_eq!(last.name, "slow", "{stem}");
            }
        }
    }
}
