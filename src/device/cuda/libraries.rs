//! Where a vendor's library may lie: named by a person, on the loader's path, in CUDA's own folders, or among Python's packages.

use super::{lt, sparse_lt};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The variable that names one.
pub const VARIABLE: &str = "ASSAY_CUBLASLT_LIB";
/// The variable that names a cuSPARSELt.
const SPARSE_VARIABLE: &str = "ASSAY_CUSPARSELT_LIB";
/// Versions that have the functions we call, the newest first.
const MAJORS: [u32; 2] = [13, 12];

/// A library to try, and its major version where the name tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    major: Option<u32>,
}

/// What was found of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    pub version: String,
}

/// The newest cuBLASLt that this driver (`major * 1000 + minor * 10`) can carry: the one that a person named and no other, else the
/// first that can be loaded.
///
/// # Errors
/// In words, with the way out.
pub fn cublaslt(driver: i32) -> Result<Found, String> {
    let named = env::var_os(VARIABLE).filter(|path| !path.is_empty());
    if let Some(path) = named {
        let path = PathBuf::from(path);
        return match lt::version(&path) {
            Ok(version) => Ok(Found { path, version }),
            Err(why) => Err(format!("{} is no cuBLASLt that can be used: {why}", path.display())),
        };
    }
    let (fit, new) = split(places(), driver);
    let mut refused = None;
    for Place { path, .. } in fit {
        match lt::version(&path) {
            Ok(version) => return Ok(Found { path, version }),
            // A file that is there and cannot be used is worth a word; a name that the loader does not know is not.
            Err(why) if path.is_absolute() => refused = refused.or(Some(format!("{}: {why}", path.display()))),
            Err(_) => {}
        }
    }
    let new = new.iter().find(|place| place.path.is_absolute()).map(|Place { path, .. }| {
        format!("{} needs a newer driver than one of CUDA {}.{}", path.display(), driver / 1000, driver % 1000 / 10)
    });
    Err(refused.or(new).unwrap_or_else(|| {
        "libcublasLt.so.12 or .13 was not found; install it (pip install nvidia-cublas-cu12), or name it with --cublaslt-lib".into()
    }))
}

/// NCCL, where it can be loaded from.
///
/// # Errors
/// In words, with the way out.
pub fn nccl() -> Result<PathBuf, String> {
    beside("libnccl.so.2").ok_or_else(|| "libnccl.so.2 was not found; install it (pip install nvidia-nccl-cu12)".into())
}

/// cuSPARSELt: the one that a person named and no other, else the first that there is.
///
/// # Errors
/// In words, with the way out.
pub fn cusparselt() -> Result<Found, String> {
    const NAME: &str = "libcusparseLt.so.0";
    let named = env::var_os(SPARSE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = named.or_else(|| beside(NAME)).ok_or_else(|| {
        format!("{NAME} was not found; install it (pip install nvidia-cusparselt-cu12), or name it with {SPARSE_VARIABLE}")
    })?;
    match sparse_lt::version(&path) {
        Ok(version) => Ok(Found { path, version }),
        Err(why) => Err(format!("{} is no cuSPARSELt that can be used: {why}", path.display())),
    }
}

/// A library on the loader's path, in CUDA's folders or among Python's packages.
fn beside(name: &str) -> Option<PathBuf> {
    if lt::is_loadable(Path::new(name)) {
        return Some(name.into());
    }
    let folders = cuda_folders().into_iter().chain(python_folders());
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Those that a driver can carry, newest first, and those that are too new for it.
fn split(mut places: Vec<Place>, driver: i32) -> (Vec<Place>, Vec<Place>) {
    places.sort_by_key(|place| std::cmp::Reverse(place.major));
    places.into_iter().partition(|place| place.major.is_none_or(|major| major as i32 <= driver / 1000))
}

/// Every place that is worth a look: names that the loader may know, then files that are there.
fn places() -> Vec<Place> {
    let names = MAJORS.map(|major| Place { path: format!("libcublasLt.so.{major}").into(), major: Some(major) });
    let unversioned = Place { path: "libcublasLt.so".into(), major: None };
    let mut places: Vec<Place> = names.into_iter().chain([unversioned]).collect();
    for folder in cuda_folders().into_iter().chain(python_folders()) {
        places.extend(within(&folder));
    }
    places
}

/// The library's files in a folder.
fn within(folder: &Path) -> impl Iterator<Item = Place> + '_ {
    let file = |major| {
        let path = folder.join(format!("libcublasLt.so.{major}"));
        path.is_file().then_some(Place { path, major: Some(major) })
    };
    MAJORS.into_iter().filter_map(file)
}

fn cuda_folders() -> Vec<PathBuf> {
    let homes = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let usual = matching(Path::new("/usr/local"), "cuda");
    let roots: Vec<PathBuf> = homes.chain(usual).collect();
    let of_roots =
        roots.iter().flat_map(|root| ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"].map(|l| root.join(l)));
    let of_system = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"].map(PathBuf::from);
    of_roots.chain(of_system).collect()
}

/// `lib` of each of NVIDIA's packages, of every Python that the environment leads to.
fn python_folders() -> Vec<PathBuf> {
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter(|folder| folder.join("python3").exists()).filter_map(|folder| {
        let real = folder.join("python3").canonicalize().ok().and_then(|python| python.parent()?.parent().map(Path::to_path_buf));
        let own = folder.parent().map(Path::to_path_buf);
        Some(own.into_iter().chain(real).collect::<Vec<_>>()).filter(|roots| !roots.is_empty())
    });
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".local"));
    let usual = [PathBuf::from("/usr"), PathBuf::from("/usr/local")];
    let mut roots: Vec<PathBuf> = environments.chain(on_path.flatten()).chain(home).chain(usual).collect();
    let mut seen = std::collections::BTreeSet::new();
    roots.retain(|root| seen.insert(root.clone()));
    let pythons = roots.iter().flat_map(|root| matching(&root.join("lib"), "python3"));
    let packages =
        pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|packages| python.join(packages).join("nvidia")));
    // cuSPARSELt lay beside that folder before 0.7.
    let of = |nvidia: PathBuf| {
        let beside = nvidia.with_file_name("cusparselt");
        matching(&nvidia, "").into_iter().chain([beside]).map(|package| package.join("lib"))
    };
    packages.flat_map(of).collect()
}

/// Entries of a folder that begin with a word, in the order of their names.
fn matching(folder: &Path, begin: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(begin)).map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, major: Option<u32>) -> Place {
        Place { path: path.into(), major }
    }

    #[test]
    fn the_newest_that_the_driver_can_carry_comes_first() {
        let all = vec![place("a.12", Some(12)), place("b.13", Some(13)), place("c", None)];
        let names = |places: &[Place]| places.iter().map(|place| place.path.display().to_string()).collect::<Vec<_>>();
        let (fit, new) = split(all.clone(), 12080);
        assert_eq!((names(&fit), names(&new)), (vec!["a.12".into(), "c".into()], vec!["b.13".into()]));
        let (fit, new) = split(all, 13000);
        assert_eq!((names(&fit), new.len()), (vec!["b.13".into(), "a.12".into(), "c".to_owned()], 0));
    }

    #[test]
    fn files_are_found_by_their_version() {
        let folder = env::temp_dir().join(format!("assay-libraries-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("libcublasLt.so.12"), "").expect("writes");
        let found: Vec<Place> = within(&folder).collect();
        let listed = matching(&folder, "libcublas");
        std::fs::remove_dir_all(&folder).expect("removes");
        assert_eq!(found.iter().map(|place| place.major).collect::<Vec<_>>(), [Some(12)]);
        assert_eq!(listed.len(), 1);
    }

    #[test]
    fn the_loader_is_asked_before_folders_are_searched() {
        let places = places();
        assert_eq!(places[0], place("libcublasLt.so.13", Some(13)));
        assert!(places[3..].iter().all(|place| place.path.is_absolute()));
    }
}
