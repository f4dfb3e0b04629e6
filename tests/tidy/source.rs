//! The tree as text: every file once, and for Rust the same text with comments and literals blanked out.
//!
//! The rules look for words, braces and paths. A blanked copy of equal length lets them do so by plain search, with no
//! parser: what stands in a string or a comment is gone, while every offset still tells the right line.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// Folders that hold what the rules do not speak about: build output, recorded data, generated binaries.
const NOT_OURS: &[&str] = &["target", ".git", "results", "kernels/compiled"];

/// One text file of the repository.
pub struct Source {
    /// Path from the repository's root, with forward slashes.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// The same bytes with comments, strings and characters replaced by blanks; equal to `text` where it is not Rust.
    pub code: String,
}

impl Source {
    /// A source from a path and a text; the self-tests plant their violations through it.
    pub fn new(path: &str, text: &str) -> Self {
        let mut source = Self { path: path.to_owned(), text: text.to_owned(), code: text.to_owned() };
        if source.is_rust() {
            source.code = blanked(text);
        }
        source
    }

    /// The line, counted from 1, on which the byte at `offset` stands.
    pub fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// A violation, spelled as editors can jump to it.
    pub fn at(&self, offset: usize, message: &str) -> String {
        format!("{}:{}: {message}", self.path, self.line(offset))
    }

    /// Whether the name ends in one of these, dot included.
    pub fn is_any(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    /// Whether the file is Rust.
    pub fn is_rust(&self) -> bool {
        self.is_any(&[".rs"])
    }

    /// Where `word` stands in the code as a whole word.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        whole_words(&self.code, word)
    }
}

/// Where `word` stands in `text` with no letter, digit or underscore on either side.
pub fn whole_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

/// Whether a character can stand in a Rust name.
pub fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The name at the start of `text`, empty when it starts with something else.
pub fn leading_name(text: &str) -> &str {
    &text[..text.find(|character| !is_name(character)).unwrap_or(text.len())]
}

/// Every text file of the repository, sorted by path.
pub fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(root, "", &mut found);
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the repository can be read").flatten() {
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().expect("a file has a type");
        if NOT_OURS.contains(&path.as_str()) || kind.is_dir() && path.ends_with("/target") {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(Source::new(&path, &text));
        }
    }
}

/// The position just past the bracket that closes the one at `open`.
pub fn past_closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' if depth <= 1 => return at + 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Rust with every comment, string and character literal turned to blanks; newlines and length stay.
fn blanked(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        match literal(text, at) {
            Some(range) => {
                at = range.end;
                code[range].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            }
            None => at += 1,
        }
    }
    String::from_utf8(code).expect("blanks replace whole characters")
}

/// The comment or literal that starts at `at`, if one does.
fn literal(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.as_bytes().get(at..)?;
    let in_name = at > 0 && is_name(char::from(text.as_bytes()[at - 1]));
    let length = match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => quoted(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !in_name => raw_string(rest)?,
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_name => 1 + raw_string(&rest[1..])?,
        [b'\'', b'\\', ..] => quoted(rest, b'\''),
        [b'\'', ..] => {
            // A lifetime has no closing quote right after its first character.
            let character = text[at + 1..].chars().next()?;
            let end = 1 + character.len_utf8();
            (rest.get(end) == Some(&b'\'')).then_some(end + 1)?
        }
        _ => return None,
    };
    Some(at..at + length)
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None; // a raw name such as r#type
    }
    let close = [&b"\""[..], &vec![b'#'; hashes]].concat();
    let body = 2 + hashes;
    let end = rest[body..].windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |end| body + end + close.len()))
}

#[test]
fn blanking_keeps_code_and_drops_literals() {
    let text = "let a = \"{ // \\\" }\"; /* { /* x */ } */ let b: &'a str = r#\"}\"#; let c = '{'; // }\nlet d = b'\\'';";
    let code = blanked(text);
    assert_eq!(code.len(), text.len());
    assert!(!code.contains(['{', '}', '"']), "{code}");
    assert!(code.contains("let b: &'a str =") && code.contains("let c =") && code.contains("let d = b"), "{code}");
}

#[test]
fn lines_and_closings_are_found() {
    let source = Source::new("a.rs", "one\ntwo { ( ) }\nthree");
    assert_eq!(source.line(4), 2);
    assert_eq!(past_closing(&source.code, 8), 15);
    assert_eq!(whole_words("unsafe_code unsafe", "unsafe").collect::<Vec<_>>(), [12]);
}
