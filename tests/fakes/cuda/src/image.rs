//! Code as it is handed over: machine code, which is known by its hash, and PTX, which is compiled here.
//!
//! Machine code cannot be executed here. The folder that `ASSAY_FAKE_PTX` names holds, by the code's SHA-256, the PTX that it was
//! assembled from.

use crate::{chip::Chip, launch::Code, status::Status};
use sha2::{Digest, Sha256};
use std::path::Path;

const MAGIC: &[u8] = b"\x7fELF";
/// Compute capabilities of embedded parts, which run no sibling's code.
const EMBEDDED: [u32; 4] = [72, 87, 101, 110];
/// Kind of a section that takes no room in the file.
const NOTHING: u32 = 8;

/// A refusal, and what the compiler has to say.
#[derive(Debug)]
pub struct Refused(pub Status, pub String);

/// The bytes of an image, whose length no caller tells.
///
/// # Safety
/// `image` points to a whole ELF file or to a text that a zero ends.
pub unsafe fn bytes<'a>(image: *const u8) -> Option<&'a [u8]> {
    // SAFETY: whole by contract; a text of fewer than four bytes ends by its zero, which is no byte of the magic.
    let begins = (0..MAGIC.len()).all(|index| unsafe { *image.add(index) } == MAGIC[index]);
    if !begins {
        // SAFETY: a text that is no ELF file ends by a zero, by contract.
        return Some(unsafe { std::ffi::CStr::from_ptr(image.cast()) }.to_bytes());
    }
    // SAFETY: the head of an ELF file has 64 bytes.
    let head = unsafe { std::slice::from_raw_parts(image, 64) };
    let (segments, sections) = (u64_at(head, 32)?, u64_at(head, 40)?);
    let table =
        |begin: u64, size: usize, count: usize| Some(begin + u64::from(u16_at(head, size)?) * u64::from(u16_at(head, count)?));
    let tables = table(segments, 54, 56)?.max(table(sections, 58, 60)?);
    // SAFETY: the tables lie within the file.
    let tables = unsafe { std::slice::from_raw_parts(image, usize::try_from(tables).ok()?) };
    let (size, count) = (usize::from(u16_at(head, 58)?), usize::from(u16_at(head, 60)?));
    let mut length = tables.len() as u64;
    for section in (0..count).map(|index| sections as usize + index * size) {
        if u32_at(tables, section + 4)? != NOTHING {
            length = length.max(u64_at(tables, section + 24)? + u64_at(tables, section + 32)?);
        }
    }
    // SAFETY: every section lies within the file.
    Some(unsafe { std::slice::from_raw_parts(image, usize::try_from(length).ok()?) })
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The architecture that a cubin was assembled for, and whether it is for that one alone. Read off the cubins of ptxas 12.9: version
/// 7 of the format has the number in the lowest byte of the flags, version 8 in the second.
fn architecture(cubin: &[u8]) -> Option<(u32, bool)> {
    let flags = u32_at(cubin, 48)?;
    match cubin.get(8)? {
        7 => Some((flags & 0xff, flags & 0x800 != 0)),
        8 => Some((flags >> 8 & 0xff, flags & 8 != 0)),
        _ => None,
    }
}

/// Whether a device runs machine code of an architecture.
fn runs((built, alone): (u32, bool), sm: u32) -> bool {
    built == sm || !alone && built / 10 == sm / 10 && built <= sm && !EMBEDDED.contains(&sm) && !EMBEDDED.contains(&built)
}

/// Makes an image ready to run.
///
/// # Errors
/// As the real driver refuses it.
pub fn load(image: &[u8], chip: &Chip, folder: Option<&Path>) -> Result<Code, Refused> {
    if !image.starts_with(MAGIC) {
        let text = std::str::from_utf8(image).map_err(|_| Refused(Status::INVALID_IMAGE, String::new()))?;
        let code = compile(text)?;
        permitted(&code, chip)?;
        return Ok(code);
    }
    let built = architecture(image).ok_or(Refused(Status::INVALID_IMAGE, "a cubin of an unknown kind".into()))?;
    if !runs(built, chip.sm) {
        return Err(Refused(Status::NO_BINARY_FOR_GPU, format!("code for sm_{} on sm_{}", built.0, chip.sm)));
    }
    let hash = hex(&Sha256::digest(image));
    let missing = |why: String| Refused(Status::FILE_NOT_FOUND, format!("ASSAY_FAKE_PTX: {hash}.ptx: {why}"));
    let folder = folder.ok_or_else(|| missing("the variable is not set".into()))?;
    let text = std::fs::read_to_string(folder.join(format!("{hash}.ptx"))).map_err(|error| missing(error.to_string()))?;
    compile(&text)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn compile(text: &str) -> Result<Code, Refused> {
    if !text.contains(".version") {
        return Err(Refused(Status::INVALID_IMAGE, String::new()));
    }
    Code::parse(text).map_err(|(line, why)| {
        let log = format!(
            "ptxas application ptx input, line {line}; error   : {why}\nptxas fatal   : Ptx assembly aborted due to errors"
        );
        Refused(Status::INVALID_PTX, log)
    })
}

/// Whether the driver's compiler takes PTX of this version and for this target.
fn permitted(code: &Code, chip: &Chip) -> Result<(), Refused> {
    let (version, most) = (code.version(), chip.ptx_version());
    if version > most {
        let log = format!(
            "ptxas application ptx input, line 1; fatal   : Unsupported .version {}.{}; current version is '{}.{}'",
            version.0, version.1, most.0, most.1
        );
        return Err(Refused(Status::UNSUPPORTED_PTX_VERSION, log));
    }
    let target = code.target();
    let number = target.trim_start_matches("sm_").trim_end_matches(['a', 'f']).parse::<u32>().unwrap_or(u32::MAX);
    let alone = target.ends_with('a');
    if number > chip.sm || alone && number != chip.sm {
        let log = format!("ptxas fatal   : SM version specified by .target is higher than default SM version assumed ({target})");
        return Err(Refused(Status::INVALID_PTX, log));
    }
    Ok(())
}

#[test]
fn machine_code_runs_on_its_family_and_nowhere_else() {
    assert!(runs((80, false), 86) && runs((90, true), 90) && runs((87, false), 87) && runs((120, false), 121));
    for (built, alone, sm) in
        [(86, false, 80), (90, true, 100), (100, true, 103), (80, false, 87), (80, false, 90), (72, false, 75)]
    {
        assert!(!runs((built, alone), sm), "{built} on {sm}");
    }
}

#[test]
fn an_image_tells_its_own_length() {
    let text = b".version 7.0\n\0behind";
    // SAFETY: a zero ends it.
    assert_eq!(unsafe { bytes(text.as_ptr()) }, Some(&text[..13]));
    let mut elf = vec![0_u8; 64 + 2 * 64 + 8 + 5];
    elf[..4].copy_from_slice(MAGIC);
    (elf[40], elf[58], elf[60]) = (64, 64, 2);
    // The second section has five bytes at 200, behind its table and a gap.
    (elf[64 + 64 + 24], elf[64 + 64 + 32]) = (200, 5);
    elf.resize(300, 1);
    // SAFETY: the table lies within it.
    assert_eq!(unsafe { bytes(elf.as_ptr()) }.map(<[u8]>::len), Some(205));
}

#[test]
fn flags_of_both_formats_are_read() {
    let cubin = |version: u8, flags: u32| {
        let mut head = vec![0_u8; 64];
        head[8] = version;
        head[48..52].copy_from_slice(&flags.to_le_bytes());
        architecture(&head)
    };
    assert_eq!(cubin(7, 0x0056_0556), Some((86, false)));
    assert_eq!(cubin(7, 0x005a_0d5a), Some((90, true)));
    assert_eq!(cubin(8, 0x0600_640a), Some((100, true)));
    assert_eq!(cubin(8, 0x0600_7802), Some((120, false)));
    assert_eq!(cubin(9, 0), None);
}

#[test]
fn the_compiler_says_what_it_refuses() {
    let chip: Chip = "80,driver=11020".parse().unwrap();
    let refused = |text: &str| load(text.as_bytes(), &chip, None).err().map(|Refused(status, words)| (status, words));
    assert!(refused(".version 7.2\n.target sm_80\n.address_size 64\n").is_none());
    let (status, words) = refused(".version 7.3\n.target sm_80\n.address_size 64\n").unwrap();
    assert!(status == Status::UNSUPPORTED_PTX_VERSION && words.contains("7.3") && words.contains("'7.2'"), "{words}");
    let (status, words) = refused(".version 7.0\n.target sm_86\n.address_size 64\n").unwrap();
    assert!(status == Status::INVALID_PTX && words.contains("sm_86"), "{words}");
    let (status, words) = refused(".version 7.0\n.target sm_80\n.address_size 64\nnonsense\n").unwrap();
    assert!(status == Status::INVALID_PTX && words.contains("line 4"), "{words}");
    assert_eq!(refused("no code at all").unwrap().0, Status::INVALID_IMAGE);
}
