//! A record on disk: one JSON object a line, each line on the disk before the next is begun.

use super::{Device, Entry, METHOD, Node};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Name and version of the layout. Fields may be added within a version; a reader ignores those it does not know.
pub const SCHEMA: &str = "assay.run/1";
const FAMILY: &str = "assay.run/";
const VERSION: u32 = 1;

/// A record larger than this is refused: a standard run of an eight-GPU node stays below 30 MB.
pub const MAX_BYTES: u64 = 1 << 30;
/// A line larger than this is no line of ours.
const MAX_LINE: u64 = 16 << 20;

/// What made the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Software {
    pub version: String,
    /// Commit that the binary was built from, when the build knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Version of the measuring method; 0 where another tool measured.
    pub method: u32,
    /// Hash over all kernels that the binary carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernels: Option<String>,
    /// The figures are another tool's, read from its output. Blank: they are assay's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Origin>,
}

impl Software {
    /// This program.
    #[must_use]
    pub fn this(kernels: Option<String>) -> Self {
        let commit = option_env!("ASSAY_COMMIT").map(str::to_owned);
        Self { version: env!("CARGO_PKG_VERSION").into(), commit, method: METHOD, kernels, imported: None }
    }

    /// This program, as the reader of what another tool measured.
    #[must_use]
    pub fn reading(origin: Origin) -> Self {
        Self { method: 0, imported: Some(origin), ..Self::this(None) }
    }
}

/// Another tool, whose figures are in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    pub tool: String,
    /// As the tool gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it measured, as the tool wrote it, which may be without a zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<String>,
}

/// First line of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    pub schema: String,
    pub id: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub assay: Software,
    pub node: Node,
    /// Every device that was found, measured or not.
    #[serde(default)]
    pub devices: Vec<Device>,
    pub suite: String,
    /// The command line, so that the run can be repeated.
    #[serde(default)]
    pub command: Vec<String>,
}

/// Last line of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// RFC 3339, UTC.
    pub ended_at: String,
    pub measured: u64,
    pub skipped: u64,
    pub failed: u64,
    pub invalid: u64,
    /// The run was stopped before it was through.
    #[serde(default)]
    pub interrupted: bool,
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "lowercase")]
pub enum Line {
    Run(Box<Header>),
    Entry(Box<Entry>),
    End(End),
}

/// A whole run as one document: what `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    #[serde(flatten)]
    pub header: Header,
    /// Blank when the run never ended: it was killed, or is still going.
    #[serde(flatten)]
    pub end: Option<End>,
    pub entries: Vec<Entry>,
    /// What was amiss with the file, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why a record cannot be read.
#[derive(Debug, Error)]
pub enum Unreadable {
    #[error("{} cannot be read", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: not a record of assay ({why}). Records are written by `assay run -o FILE`.", path.display())]
    Foreign { path: PathBuf, why: String },
    #[error("{}: written in schema {found}, this assay reads up to {SCHEMA}. Use a newer assay.", path.display())]
    Newer { path: PathBuf, found: String },
    #[error("{}:{line}: {why}. Everything before that line is sound; cut the file there to read it.", path.display())]
    Damaged { path: PathBuf, line: usize, why: String },
    #[error("{}: {bytes} bytes; a record is at most {MAX_BYTES}.", path.display())]
    TooLarge { path: PathBuf, bytes: u64 },
}

/// Appends lines to a record; each is on the disk when [`Writer::line`] returns.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// Begins a record with its header. An existing file is refused unless `force`.
    ///
    /// The file appears under its name only when the header is in it, so that there is no moment at which a record is no record.
    ///
    /// # Errors
    /// The operating system's own, with `AlreadyExists` for an existing file.
    pub fn create(path: &Path, force: bool, header: Header) -> io::Result<Self> {
        let line = Line::Run(Box::new(header));
        if force && path.metadata().is_ok_and(|found| !found.is_file()) {
            // A pipe or a device is written as it is.
            let mut writer = Self { file: OpenOptions::new().write(true).open(path)?, path: path.to_owned() };
            writer.line(&line)?;
            return Ok(writer);
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let hidden = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        let begun = File::create(&hidden).and_then(|file| {
            let mut writer = Self { file, path: path.to_owned() };
            writer.line(&line)?;
            publish(&hidden, path, force)?;
            Ok(writer)
        });
        // After a rename it is gone already.
        let _ = std::fs::remove_file(&hidden);
        begun
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// The disk's own, for example when it is full; a part of the line may then be on it, which a reader drops.
    pub fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        match self.file.sync_data() {
            // A pipe or a terminal has nothing to keep.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            done => done,
        }
    }
}

/// Gives a file its name; one that has it already is replaced only when `force`.
fn publish(hidden: &Path, path: &Path, force: bool) -> io::Result<()> {
    if force {
        return std::fs::rename(hidden, path);
    }
    match std::fs::hard_link(hidden, path) {
        // Some file systems know no links; then the name is looked at first.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => std::fs::rename(hidden, path),
        linked => linked,
    }
}

/// Reads a record. A torn last line is dropped with a warning.
///
/// # Errors
/// [`Unreadable`], naming the file, the place and the way out.
pub fn read(path: &Path) -> Result<Document, Unreadable> {
    let io = |source| Unreadable::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(Unreadable::Foreign { path: path.to_owned(), why: "it is a folder".into() });
    }
    if metadata.len() > MAX_BYTES {
        return Err(Unreadable::TooLarge { path: path.to_owned(), bytes: metadata.len() });
    }
    parse(path, BufReader::new(file))
}

/// The next line without its end, and whether it had one; none at the end of the file.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<(Vec<u8>, bool)>> {
    let mut bytes = Vec::new();
    if reader.take(MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let whole = bytes.last() == Some(&b'\n');
    if whole {
        bytes.pop();
    }
    Ok(Some((bytes, whole)))
}

fn parse(path: &Path, mut reader: impl BufRead) -> Result<Document, Unreadable> {
    let io = |source| Unreadable::Io { path: path.to_owned(), source };
    let (first, _) = next_line(&mut reader)
        .map_err(io)?
        .ok_or_else(|| Unreadable::Foreign { path: path.to_owned(), why: "it is empty".into() })?;
    let mut document = Document { header: header(path, &first)?, end: None, entries: Vec::new(), warnings: Vec::new() };
    let mut number = 1;
    while let Some((bytes, whole)) = next_line(&mut reader).map_err(io)? {
        number += 1;
        match serde_json::from_slice::<Line>(&bytes) {
            Ok(Line::Entry(entry)) => match entry.impossible() {
                Some(why) => return Err(Unreadable::Damaged { path: path.to_owned(), line: number, why }),
                None => document.entries.push(*entry),
            },
            Ok(Line::End(end)) => document.end = Some(end),
            Ok(Line::Run(_)) => {
                return Err(Unreadable::Damaged { path: path.to_owned(), line: number, why: "a second run begins".into() });
            }
            Err(_) if !whole && (bytes.len() as u64) < MAX_LINE => {
                document.warnings.push(format!("{}:{number}: a torn last line was dropped", path.display()));
            }
            Err(error) => {
                return Err(Unreadable::Damaged { path: path.to_owned(), line: number, why: format!("not an entry: {error}") });
            }
        }
    }
    Ok(document)
}

/// What the first line of a record says before all else.
#[derive(Deserialize)]
struct Named {
    schema: String,
}

/// A name from a foreign file, fit for a message.
fn shortened(name: &str) -> String {
    name.chars().take(60).filter(|c| !c.is_control()).collect()
}

/// The header, with a clear word for anything else that a file may begin with.
fn header(path: &Path, bytes: &[u8]) -> Result<Header, Unreadable> {
    let foreign = |why: &str| Unreadable::Foreign { path: path.to_owned(), why: why.into() };
    // Only the name is kept: whatever else stands there may be megabytes of something foreign.
    let named: Named = serde_json::from_slice(bytes)
        .map_err(|error| foreign(if error.is_data() { "its first line names no schema" } else { "its first line is not JSON" }))?;
    let version =
        named.schema.strip_prefix(FAMILY).ok_or_else(|| foreign(&format!("its schema is {}", shortened(&named.schema))))?;
    match version.parse::<u32>() {
        Ok(VERSION) => {}
        Ok(newer) if newer > VERSION => return Err(Unreadable::Newer { path: path.to_owned(), found: named.schema.clone() }),
        _ => return Err(foreign(&format!("its schema is {}", shortened(&named.schema)))),
    }
    match serde_json::from_slice(bytes) {
        Ok(Line::Run(header)) => Ok(*header),
        Ok(_) => Err(foreign("its first line is not the line of a run")),
        Err(error) => Err(foreign(&format!("its first line is not the line of a run: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Line {
        Line::Run(Box::new(Header {
            schema: SCHEMA.into(),
            id: "test".into(),
            started_at: "2026-01-01T00:00:00Z".into(),
            assay: Software::this(None),
            node: Node::default(),
            devices: Vec::new(),
            suite: "quick".into(),
            command: Vec::new(),
        }))
    }

    fn end() -> Line {
        Line::End(End {
            ended_at: "2026-01-01T00:01:00Z".into(),
            measured: 0,
            skipped: 0,
            failed: 0,
            invalid: 0,
            interrupted: false,
        })
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| serde_json::to_string(line).expect("plain data") + "\n").collect()
    }

    fn parsed(text: &str) -> Result<Document, Unreadable> {
        parse(Path::new("record"), text.as_bytes())
    }

    #[test]
    fn a_record_is_read_back_and_an_open_end_is_no_fault() {
        assert!(parsed(&text(&[header(), end()])).expect("whole").end.is_some());
        assert!(parsed(&text(&[header()])).expect("no end").end.is_none());
    }

    #[test]
    fn a_torn_last_line_is_dropped_at_any_cut() {
        let (begin, whole) = (text(&[header()]), text(&[header(), end()]));
        for cut in begin.len() + 1..whole.len() - 1 {
            let document = parsed(&whole[..cut]).expect("torn");
            assert_eq!((document.end.is_none(), document.warnings.len()), (true, 1), "cut at {cut}");
        }
    }

    #[test]
    fn newer_foreign_and_damaged_files_are_told_apart() {
        let newer = text(&[header()]).replace(SCHEMA, "assay.run/7");
        assert!(parsed(&newer).unwrap_err().to_string().contains("assay.run/7"));
        assert!(matches!(parsed("").unwrap_err(), Unreadable::Foreign { .. }));
        assert!(matches!(parsed("{}\n").unwrap_err(), Unreadable::Foreign { .. }));
        assert!(matches!(parsed("\0\u{1}garbage").unwrap_err(), Unreadable::Foreign { .. }));
        let damaged = text(&[header()]) + "nonsense\n" + &text(&[end()]);
        assert!(parsed(&damaged).unwrap_err().to_string().starts_with("record:2:"));
    }

    #[test]
    fn an_existing_file_is_kept_and_nothing_is_left_beside_it() {
        let folder = std::env::temp_dir().join(format!("assay-record-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let path = folder.join("run.jsonl");
        let begin = |force| {
            let Line::Run(header) = header() else { unreachable!() };
            Writer::create(&path, force, *header)
        };
        begin(false).expect("new file").line(&end()).expect("writes");
        assert_eq!(begin(false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(read(&path).expect("kept").end.is_some());
        drop(begin(true).expect("forced"));
        assert!(read(&path).expect("begun anew").end.is_none());
        assert_eq!(std::fs::read_dir(&folder).expect("own folder").count(), 1);
        std::fs::remove_dir_all(&folder).expect("own folder");
    }
}
