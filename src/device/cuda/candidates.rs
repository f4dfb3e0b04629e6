//! Which kernels of ours can carry out a step: a stem of a plan may have several, each for some formats and architectures.

use super::{
    geometry::{self, grid},
    image,
};
use crate::{
    chips,
    contract::Unsupported,
    dtype::Dtype,
    plan::{Arg, Configuration, Variant, VariantKind, kernel},
};

/// A kernel's configuration and the name that it goes by as a variant of the step.
pub struct Candidate {
    pub kernel: &'static str,
    pub configuration: &'static Configuration,
    pub name: String,
}

/// What tensor cores multiply.
const TENSOR: &[Dtype] = &[Dtype::Tf32, Dtype::Fp16, Dtype::Bf16, Dtype::E4m3, Dtype::E5m2, Dtype::Int8];

/// What tensor cores multiply where nothing is fetched.
const ISSUED: &[Dtype] = &[Dtype::Tf32, Dtype::Fp16, Dtype::Bf16, Dtype::E4m3, Dtype::E5m2, Dtype::Int8, Dtype::Fp64];

/// Stems of plans, the formats of their inputs, and the kernels that do them, the preferred one first.
const STEMS: &[(&str, &[Dtype], &[&str])] = &[
    ("read", &[Dtype::Uint32], &["read", "read_bulk"]),
    ("shared", &[Dtype::Uint32], &["shared"]),
    ("write", &[Dtype::Uint32], &["write", "write_bulk"]),
    ("copy", &[Dtype::Fp64], &["copy", "copy_bulk"]),
    ("scale", &[Dtype::Fp64], &["scale", "scale_bulk"]),
    ("add", &[Dtype::Fp64], &["add", "add_bulk"]),
    ("triad", &[Dtype::Fp64], &["triad", "triad_bulk"]),
    ("dot", &[Dtype::Fp64], &["dot", "dot_bulk"]),
    ("chase", &[Dtype::Uint32], &["chase"]),
    ("link", &[Dtype::Uint32], &["link"]),
    ("all_reduce", &[Dtype::Fp32], &["all_reduce"]),
    ("atomic_spread", &[Dtype::Uint32], &["atomic_spread"]),
    ("atomic_shared", &[Dtype::Uint32], &["atomic_shared"]),
    ("atomic_one", &[Dtype::Uint32], &["atomic_one"]),
    ("matmul", &[Dtype::Fp32, Dtype::Fp64], &["matmul_dmma", "matmul"]),
    ("matmul_nt", TENSOR, &["matmul_wgmma", "matmul_tcgen05", "matmul_mma"]),
    ("issue", &[Dtype::Fp32, Dtype::Fp64], &["issue"]),
    ("issue_nt", ISSUED, &["issue_wgmma", "issue_mma", "issue_dmma"]),
    ("issue_wide", TENSOR, &["issue_tcgen05"]),
];

/// Formats that matrices are multiplied in on a compute capability (`major * 10 + minor`), by their names.
pub fn precisions(capability: u32) -> Vec<String> {
    let products = STEMS.iter().filter(|(stem, ..)| stem.starts_with("matmul"));
    let formats = products.flat_map(|(stem, formats, _)| formats.iter().map(move |dtype| (*stem, *dtype)));
    let own = formats.filter(|(stem, dtype)| !all(stem, *dtype, capability).is_empty()).map(|(_, dtype)| dtype);
    own.chain(by_library(Dtype::Fp4, capability).then_some(Dtype::Fp4)).map(|dtype| dtype.name().into()).collect()
}

/// Whether tensor cores multiply a format that we have no kernel for, so that the vendor's library alone measures it.
pub fn by_library(dtype: Dtype, capability: u32) -> bool {
    const FP4_BEGINS: u32 = 100;
    dtype == Dtype::Fp4 && capability >= FP4_BEGINS
}

/// Every kernel of a stem for a format and a compute capability, in the order of preference; slow twins are not yet last.
fn all(stem: &str, dtype: Dtype, capability: u32) -> Vec<Candidate> {
    let row = STEMS.iter().find(|(known, formats, _)| *known == stem && formats.contains(&dtype));
    let kernels = row.map(|(.., kernels)| *kernels).unwrap_or_default();
    let of = |name: &&'static str| {
        let configs = kernel(name).map(|kernel| &kernel.configs[..]).filter(|_| !slower(name, capability)).unwrap_or_default();
        let fits = configs
            .iter()
            .filter(|configuration| takes(configuration, dtype) && image::choose(configuration, capability).is_some());
        let kernel = *name;
        fits.map(move |configuration| Candidate { kernel, configuration, name: named(stem, kernel, &configuration.name, dtype) })
    };
    kernels.iter().flat_map(of).collect()
}

/// Whether a kernel runs on this capability, but slower than the next one. Cubins of 8.0 run on 8.6 and 8.9, whose units for doubles are
/// few and whose tensor cores have none.
fn slower(kernel: &str, capability: u32) -> bool {
    const FULL_RATE: u32 = 128;
    let architecture = format!("{}.{}", capability / 10, capability % 10);
    kernel.ends_with("_dmma") && chips::operations_a_clock(&architecture, Dtype::Fp64).is_none_or(|rate| rate < FULL_RATE)
}

fn takes(configuration: &Configuration, dtype: Dtype) -> bool {
    match (configuration.text("INPUT"), configuration.text("REAL")) {
        (Some(input), _) => input == dtype.name(),
        (None, Some(real)) => real == if dtype == Dtype::Fp64 { "double" } else { "float" },
        (None, None) => true,
    }
}

/// `t128x128` of the stem's own kernel, `wgmma/t128x256` of another: the format is known anyway.
fn named(stem: &str, kernel: &str, configuration: &str, dtype: Dtype) -> String {
    let configuration = configuration.strip_suffix(&format!("_{dtype}")).unwrap_or(configuration);
    match kernel.rsplit_once('_') {
        Some((_, by)) if kernel != stem => format!("{by}/{configuration}"),
        _ => configuration.into(),
    }
}

fn is_slow(candidate: &Candidate) -> bool {
    candidate.configuration.name.starts_with("slow")
}

/// The kernels for a step with these arguments, by preference: through L1 only where memory is gone over again, accesses of 32 bytes where
/// there are such, small tiles where large ones leave units idle, slow twins last.
///
/// # Errors
/// [`Unsupported`] where there is none, with the reason.
pub fn candidates(stem: &str, dtype: Dtype, args: &[Arg], capability: u32, units: u32) -> Result<Vec<Candidate>, Unsupported> {
    let mut found = all(stem, dtype, capability);
    if found.is_empty() {
        return Err(none(stem, dtype, capability));
    }
    found.retain(|candidate| geometry::misfit(candidate.kernel, args).is_none());
    if let ([], Some(why)) = (&found[..], geometry::misfit(stem, args)) {
        return Err(Unsupported::Other(why.into()));
    }
    for candidate in &found {
        grid(candidate.kernel, candidate.configuration, args, units)?;
    }
    let passes = match stem {
        "read" => geometry::counts(args).nth(2),
        "triad" => geometry::counts(args).nth(1),
        _ => None,
    };
    let again = passes.is_some_and(|passes| passes > 1);
    found.retain(|candidate| again || candidate.configuration.name != "cached");
    let idle = |candidate: &Candidate| geometry::leaves_idle(candidate.kernel, candidate.configuration, args, units);
    // Where every tile leaves units idle, the smallest leaves the fewest.
    let smallest = found.iter().filter(|candidate| !is_slow(candidate)).all(idle);
    found.sort_by_key(|candidate| {
        let named = |name| candidate.configuration.name == name;
        let wide = candidate.configuration.text("WIDE").is_some();
        let rank = if is_slow(candidate) {
            4
        } else if named("cached") || named("once") && is_small(args) {
            0
        } else {
            1 + u32::from(!wide) + u32::from(idle(candidate))
        };
        let tile = if smallest { geometry::tile(candidate.kernel, candidate.configuration) } else { 0 };
        (rank, tile)
    });
    Ok(found)
}

/// Whether little is summed, so that launching and waiting decide: measured by nobody yet, a megabyte is custom.
fn is_small(args: &[Arg]) -> bool {
    const ELEMENTS: u64 = 1 << 18;
    geometry::counts(args).next().is_some_and(|elements| elements < ELEMENTS)
}

/// Why there is no kernel.
fn none(stem: &str, dtype: Dtype, capability: u32) -> Unsupported {
    let (major, minor) = (capability / 10, capability % 10);
    if capability < 70 {
        return Unsupported::Other(format!("compute capability {major}.{minor} is below 7.0, where our kernels begin"));
    }
    if dtype == Dtype::Fp4 {
        return Unsupported::Other(format!(
            "no fp4 products on compute capability {major}.{minor}: tensor cores have it from 10.0 on"
        ));
    }
    match STEMS.iter().find(|(known, ..)| *known == stem) {
        Some((_, formats, _)) if formats.contains(&dtype) => {
            Unsupported::Other(format!("no kernel for {dtype} products on compute capability {major}.{minor}"))
        }
        Some(_) => Unsupported::Stem(format!("{stem}/{dtype}")),
        None => Unsupported::Stem(stem.into()),
    }
}

impl Candidate {
    #[must_use]
    pub fn variant(&self) -> Variant {
        let kind = if is_slow(self) { VariantKind::Slow } else { VariantKind::Own };
        Variant { name: self.name.clone(), kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(stem: &str, dtype: Dtype, counts: &[u64], capability: u32) -> Vec<String> {
        let args: Vec<Arg> = [Arg::Buffer(0)].into_iter().chain(counts.iter().map(|count| Arg::Count(*count))).collect();
        let found = candidates(stem, dtype, &args, capability, 132);
        found.expect("some").iter().map(|candidate| candidate.name.clone()).collect()
    }

    #[test]
    fn the_cached_path_comes_first_where_memory_is_gone_over_again() {
        assert_eq!(names("triad", Dtype::Fp64, &[1 << 20, 9], 90), ["cached", "vec4x8", "vec4x4", "slow"]);
        assert_eq!(names("triad", Dtype::Fp64, &[1 << 20, 1], 80), ["vec4x8", "vec4x4", "slow"]);
        assert_eq!(names("read", Dtype::Uint32, &[1 << 20, 64, 3], 90)[0], "cached");
    }

    #[test]
    fn bulk_copies_and_wide_accesses_are_there_where_the_hardware_has_them() {
        let once = |capability| names("triad", Dtype::Fp64, &[1 << 20, 1], capability);
        assert_eq!(once(90), ["vec4x8", "vec4x4", "bulk/p16x3", "slow", "bulk/slow"]);
        assert_eq!(once(100), ["vec8x4", "vec4x8", "vec4x4", "bulk/p16x3", "slow", "bulk/slow"]);
        let segments = |words| names("read", Dtype::Uint32, &[words, 64, 1], 90);
        assert!(segments(64 * 4).contains(&"bulk/p16x6".into()));
        assert!(!segments(64 * 3).contains(&"bulk/p16x6".into()), "bulk copies begin at 16 bytes");
        assert!(names("write", Dtype::Uint32, &[1 << 20, 7], 90).contains(&"bulk/p16x6".into()));
        let products = |elements| names("dot", Dtype::Fp64, &[elements, 64], 90).contains(&"bulk/p16x3".into());
        assert!(products(64 * 2) && !products(64 * 3));
    }

    #[test]
    fn little_is_summed_at_once_and_much_is_shared_out() {
        let order = |elements| names("all_reduce", Dtype::Fp32, &[elements, 2, 0], 90);
        assert_eq!(
            (order(2048), order(1 << 26)),
            (["once", "shares", "slow"].map(String::from).into(), ["shares", "once", "slow"].map(String::from).into())
        );
    }

    #[test]
    fn small_products_take_small_tiles() {
        assert_eq!(names("matmul", Dtype::Fp32, &[8192, 8192, 8192], 90), ["t128x128", "t64x64", "slow"]);
        assert_eq!(names("matmul", Dtype::Fp32, &[1024, 1024, 1024], 90)[0], "t64x64");
        assert_eq!(names("matmul", Dtype::Fp32, &[16, 4096, 4096], 90)[0], "t64x64");
        assert_eq!(names("matmul_nt", Dtype::Bf16, &[8192, 8192, 8192], 90)[0], "wgmma/t128x256");
        assert_eq!(names("matmul_nt", Dtype::Bf16, &[1024, 1024, 1024], 90)[0], "wgmma/t128x128");
    }

    #[test]
    fn each_architecture_has_its_own_kernels() {
        let square = [8192; 3];
        assert_eq!(names("matmul_nt", Dtype::Bf16, &square, 80)[0], "mma/t128x256");
        assert_eq!(names("matmul_nt", Dtype::Fp16, &square, 75)[0], "mma/t128x128");
        assert_eq!(names("matmul", Dtype::Fp64, &square, 90)[0], "dmma/t128x128");
        assert_eq!(names("matmul", Dtype::Fp64, &square, 89)[0], "t64x64");
        assert_eq!(names("matmul", Dtype::Fp64, &[8191; 3], 90)[0], "t64x64", "odd rows do not begin at 16 bytes");
        let issued = |capability| names("issue_nt", Dtype::Fp64, &[1, 1], capability);
        assert_eq!((issued(80), issued(90)), (vec!["dmma/t64x64".to_owned(), "dmma/slow".into()], issued(100)));
        assert!(all("issue_nt", Dtype::Fp64, 89).is_empty());
        let wide = |dtype, capability| {
            all("issue_wide", dtype, capability).into_iter().map(|candidate| candidate.name).collect::<Vec<_>>()
        };
        assert_eq!([100, 103].map(|capability| wide(Dtype::Bf16, capability)), [["tcgen05/t128x256", "tcgen05/slow"]; 2]);
        assert!(wide(Dtype::Int8, 103).is_empty() && wide(Dtype::Bf16, 90).is_empty() && wide(Dtype::Bf16, 120).is_empty());
        assert_eq!(precisions(70), ["fp32", "fp64"]);
        assert_eq!(precisions(75), ["fp32", "fp64", "fp16", "int8"]);
        assert_eq!(precisions(80), ["fp32", "fp64", "tf32", "fp16", "bf16", "int8"]);
        let own = |capability| precisions(capability).into_iter().filter(|name| name != "fp4").count();
        assert_eq!([89, 90, 100, 103, 120].map(own), [8; 5]);
        let by = |dtype, capability| names("matmul_nt", dtype, &square, capability);
        assert_eq!((by(Dtype::E4m3, 100)[0].as_str(), by(Dtype::Int8, 100)[0].as_str()), ("tcgen05/t128x256", "tcgen05/t128x256"));
        assert!(by(Dtype::Bf16, 100).contains(&"mma/t128x256".into()), "the warp's products stay beside those of the newer kind");
        assert!(
            by(Dtype::E4m3, 100).iter().all(|name| name.starts_with("tcgen05/")),
            "fp8 by the warp is made of fp16 products there"
        );
        assert_eq!((by(Dtype::Int8, 103)[0].as_str(), by(Dtype::Fp16, 103)[0].as_str()), ("mma/t128x256", "tcgen05/t128x256"));
        assert_eq!((by(Dtype::Bf16, 101)[0].as_str(), by(Dtype::Bf16, 120)[0].as_str()), ("mma/t128x256", "mma/t128x256"));
        let narrow = |capability| precisions(capability).contains(&"fp4".to_owned());
        assert_eq!([90, 100, 120].map(narrow), [false, true, true], "the library's alone");
    }

    #[test]
    fn what_there_is_not_says_why() {
        let reason = |stem, dtype, counts: &[u64], capability| {
            let args: Vec<Arg> = counts.iter().map(|count| Arg::Count(*count)).collect();
            candidates(stem, dtype, &args, capability, 132).err().map(|why| why.to_string()).expect("none")
        };
        assert!(reason("matmul_nt", Dtype::Bf16, &[64; 3], 75).contains("no kernel for bf16 products on compute capability 7.5"));
        assert!(reason("matmul_nt", Dtype::Bf16, &[64, 64, 65], 90).contains("k of 16"));
        assert!(reason("matmul_nt", Dtype::Fp4, &[64; 3], 90).contains("no fp4 products on compute capability 9.0"));
        assert!(reason("copy", Dtype::Fp32, &[64], 90).contains("copy/fp32"));
        assert!(reason("copy", Dtype::Fp64, &[64], 61).contains("below 7.0"));
    }

    #[test]
    fn every_candidate_has_a_name_of_its_own() {
        for capability in [70, 75, 80, 86, 89, 90, 100, 103, 120] {
            for (stem, formats, _) in STEMS {
                for dtype in *formats {
                    let mut names: Vec<_> = all(stem, *dtype, capability).into_iter().map(|candidate| candidate.name).collect();
                    let count = names.len();
                    names.sort_unstable();
                    names.dedup();
                    assert_eq!(names.len(), count, "{stem} {dtype} {capability}");
                    let slow = names.iter().filter(|name| name.contains("slow")).count();
                    assert!(count == 0 || slow > 0, "{stem} {dtype} {capability} has no slow twin");
                }
            }
        }
    }
}
