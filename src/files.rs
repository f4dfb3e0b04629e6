//! Files that a person names: read within bounds, and written as a whole or not at all.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

/// Most bytes of a file of text.
pub const MOST_BYTES: u64 = 256 << 20;

/// The text of a file.
///
/// # Errors
/// When it cannot be read, is larger than [`MOST_BYTES`], whatever stands behind its name, or is no UTF-8.
pub fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("larger than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(text)
}

/// Writes a file under its name only when it is whole; what was there before stays until then. Links stay links, and what is no file, a
/// pipe or a device, is written as it is.
///
/// # Errors
/// When it cannot be written; what was there before is then untouched.
pub fn write_whole(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let place = place(path);
    let before = fs::metadata(&place).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return fs::write(&place, bytes);
    }
    let name = place.file_name().ok_or(ErrorKind::InvalidFilename)?;
    let hidden = place.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let kept = |before: fs::Metadata| fs::set_permissions(&hidden, before.permissions());
    let written = fs::write(&hidden, bytes).and_then(|()| before.map_or(Ok(()), kept)).and_then(|()| fs::rename(&hidden, &place));
    if written.is_err() {
        // What was written of it is of no use; the first error is the one to tell.
        let _ = fs::remove_file(&hidden);
    }
    written
}

/// Where a path leads, whether or not there is a file yet.
#[must_use]
pub fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let new = || Some(fs::canonicalize(folder).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(new).unwrap_or_else(|| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_not_read_for_ever() {
        let endless = text(Path::new("/dev/zero")).expect_err("no end");
        assert_eq!(endless.to_string(), "larger than 256 MiB");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_cannot_be_written_leaves_what_was_there() {
        let folder = std::env::temp_dir().join(format!("assay-files-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (file, link) = (folder.join("file"), folder.join("link"));
        write_whole(&file, "one").expect("writes");
        std::os::unix::fs::symlink("file", &link).expect("links");
        write_whole(&link, "two").expect("writes");
        assert!(link.is_symlink() && text(&file).expect("reads") == "two" && place(&link) == place(&file));
        assert_eq!(place(&folder.join("none")), place(&folder).join("none"));
        assert!(write_whole(&folder.join("no/file"), "three").is_err() && write_whole(&folder, "four").is_err());
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 2, "nothing is left over");
        fs::remove_dir_all(&folder).expect("removes");
    }
}
