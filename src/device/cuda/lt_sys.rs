//! The functions of cuBLASLt that are used, and the numbers that it takes: those of `cublasLt.h`, `cublas_api.h` and `library_types.h`.

// Raw calls of the library; each block gives its reason.
#![allow(unsafe_code)]

use libloading::Library;
use std::{
    ffi::{c_int, c_void},
    mem::ManuallyDrop,
    path::Path,
};

pub type Pointer = *mut c_void;

/// Declares the functions that are used, and finds all of them or names the first that is missing.
macro_rules! calls {
    ($($field:ident = $name:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        pub struct Calls {
            // SAFETY: of whoever calls it; each call says why.
            $(pub $field: unsafe extern "C" fn($($argument),*) -> $result,)*
            /// Never unloaded: it has registered itself with the driver.
            _library: ManuallyDrop<Library>,
        }

        impl Calls {
            /// # Errors
            /// In words.
            pub fn load(path: &Path) -> Result<Self, String> {
                // SAFETY: opens a shared library by its well-known name, or one that a person named; its initialisers are its own.
                let library = unsafe { Library::new(path) }.map_err(|error| error.to_string())?;
                Ok(Self {
                    $($field: {
                        // SAFETY: the type is that of this function in the library's header.
                        let found = unsafe { library.get::<unsafe extern "C" fn($($argument),*) -> $result>($name.as_bytes()) };
                        *found.map_err(|_| format!("it lacks {}", $name))?
                    },)*
                    _library: ManuallyDrop::new(library),
                })
            }
        }
    };
}
pub(super) use calls;

calls! {
    version = "cublasLtGetVersion": fn() -> usize;
    create = "cublasLtCreate": fn(*mut Pointer) -> c_int;
    destroy = "cublasLtDestroy": fn(Pointer) -> c_int;
    operation = "cublasLtMatmulDescCreate": fn(*mut Pointer, c_int, c_int) -> c_int;
    set_operation = "cublasLtMatmulDescSetAttribute": fn(Pointer, c_int, *const c_void, usize) -> c_int;
    end_operation = "cublasLtMatmulDescDestroy": fn(Pointer) -> c_int;
    layout = "cublasLtMatrixLayoutCreate": fn(*mut Pointer, c_int, u64, u64, i64) -> c_int;
    end_layout = "cublasLtMatrixLayoutDestroy": fn(Pointer) -> c_int;
    preference = "cublasLtMatmulPreferenceCreate": fn(*mut Pointer) -> c_int;
    set_preference = "cublasLtMatmulPreferenceSetAttribute": fn(Pointer, c_int, *const c_void, usize) -> c_int;
    end_preference = "cublasLtMatmulPreferenceDestroy": fn(Pointer) -> c_int;
    heuristic = "cublasLtMatmulAlgoGetHeuristic":
        fn(Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, c_int, *mut Proposal, *mut c_int) -> c_int;
    capability = "cublasLtMatmulAlgoCapGetAttribute": fn(*const [u64; 8], c_int, Pointer, usize, *mut usize) -> c_int;
    configuration = "cublasLtMatmulAlgoConfigGetAttribute": fn(*const [u64; 8], c_int, Pointer, usize, *mut usize) -> c_int;
    matmul = "cublasLtMatmul": fn(
        Pointer, Pointer, *const c_void, *const c_void, Pointer, *const c_void, Pointer, *const c_void, *const c_void, Pointer,
        Pointer, Pointer, *const [u64; 8], Pointer, usize, Pointer
    ) -> c_int;
}

pub const TRANSPOSE_LEFT: c_int = 3;
pub const LEFT_SCALE: c_int = 17;
pub const RIGHT_SCALE: c_int = 18;
pub const FAST_ACCUMULATION: c_int = 25;
pub const LEFT_SCALE_MODE: c_int = 31;
pub const RIGHT_SCALE_MODE: c_int = 32;
/// `CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3`, the elements that share a scale, and the number one in its format.
pub const BY_BLOCKS: c_int = 1;
pub const BLOCK: u64 = 16;
pub const ONE_UE4M3: u8 = 0x38;
pub const WORKSPACE_BYTES: c_int = 1;
pub const REDUCTION_SCHEMES: c_int = 3;
pub const IMPLEMENTATION: c_int = 15;
/// Parts of a sum over k, where it is cut, are added in the accumulator's own format: else it would not be the format that is named.
pub const IN_COMPUTE_TYPE: u32 = 2;
/// What an algorithm is known by: the words for it, the attribute and the bytes that it has.
pub const CONFIGURATION: [(&str, c_int, usize); 9] = [
    ("algorithm", 0, 4),
    ("tile", 1, 4),
    ("stages", 6, 4),
    ("split-k", 2, 4),
    ("reduction", 3, 4),
    ("swizzle", 4, 4),
    ("option", 5, 4),
    ("inner", 7, 2),
    ("cluster", 8, 2),
];

/// An algorithm as the library proposes it (`cublasLtMatmulHeuristicResult_t`).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Proposal {
    pub algorithm: [u64; 8],
    pub workspace: usize,
    pub status: c_int,
    waves: f32,
    reserved: [c_int; 4],
}

const _: () = assert!(size_of::<Proposal>() == 96);

impl Calls {
    /// `12.8.5`
    pub fn said(&self) -> String {
        // SAFETY: the function takes nothing and asks no device.
        let version = unsafe { (self.version)() };
        format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100)
    }
}

/// Turns a `cublasStatus_t` into words.
///
/// # Errors
/// Of every status but success.
pub fn told(status: c_int, call: &str) -> Result<(), String> {
    let meaning = match status {
        0 => return Ok(()),
        1 => "not initialised",
        3 => "out of memory",
        7 => "invalid value",
        8 => "this device is not among those that it supports",
        13 => "execution failed",
        15 => "not supported",
        _ => "failed",
    };
    Err(format!("{call}: {meaning} (status {status})"))
}
