//! Which of a configuration's images a device can run.
//!
//! A cubin runs on its own compute capability and on higher minor ones of the same major, but not across the line between desktop
//! and embedded (Tegra) parts; an `a` cubin runs on its own capability alone (CUDA C++ Programming Guide, "Application
//! Compatibility"). Everything newer compiles the base PTX.

use crate::plan::{Bits, Configuration, Image};

/// Compute capabilities of embedded parts.
const EMBEDDED: [u32; 4] = [72, 87, 101, 110];

/// The best image for a compute capability (`major * 10 + minor`); none below all that was built.
#[must_use]
pub fn choose(configuration: &Configuration, capability: u32) -> Option<&Image> {
    let cubins = configuration.images.iter().filter(|image| image.kind == Bits::Cubin && fits(&image.architecture, capability));
    let bases = configuration.images.iter().filter(|image| image.kind == Bits::Ptx && number(&image.architecture) <= capability);
    cubins.max_by_key(|image| number(&image.architecture)).or_else(|| bases.max_by_key(|image| number(&image.architecture)))
}

/// `80` of `80`, `90` of `90a`.
fn number(architecture: &str) -> u32 {
    architecture.trim_end_matches('a').parse().unwrap_or(u32::MAX)
}

fn fits(architecture: &str, capability: u32) -> bool {
    let built = number(architecture);
    let family = !architecture.ends_with('a') && built / 10 == capability / 10 && built <= capability;
    built == capability || family && !EMBEDDED.contains(&capability)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::kernel;

    fn chosen(capability: u32) -> Option<(Bits, String)> {
        let configuration = kernel("copy").and_then(|kernel| kernel.configuration("vec4x8")).expect("carried");
        choose(configuration, capability).map(|image| (image.kind, image.architecture.clone()))
    }

    #[test]
    fn each_known_capability_has_its_own_cubin() {
        for (capability, name) in
            [(70, "70"), (75, "75"), (80, "80"), (86, "86"), (89, "89"), (90, "90a"), (100, "100a"), (103, "103a"), (120, "120")]
        {
            assert_eq!(chosen(capability), Some((Bits::Cubin, name.into())), "{capability}");
        }
    }

    #[test]
    fn a_minor_sibling_runs_the_next_lower_cubin() {
        assert_eq!(chosen(121), Some((Bits::Cubin, "120".into())));
        assert_eq!(chosen(88), Some((Bits::Cubin, "86".into())));
    }

    #[test]
    fn embedded_and_unknown_parts_compile_the_base() {
        assert_eq!(chosen(72), Some((Bits::Ptx, "70".into())));
        assert_eq!(chosen(87), Some((Bits::Ptx, "80".into())));
        assert_eq!(chosen(110), Some((Bits::Ptx, "80".into())));
        assert_eq!(chosen(130), Some((Bits::Ptx, "80".into())));
    }

    #[test]
    fn what_is_too_old_has_none() {
        assert_eq!(chosen(61), None);
    }
}
