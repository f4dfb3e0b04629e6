//! A module: its head, its variables and its kernels.

use super::ParseError;
use super::body::{self, Body, place, variable, width};
use super::cursor::Cursor;
use super::names::{Names, Term};
use super::token::Token;

/// Bytes of parameters that a kernel may have (PTX ISA 8.1 raised it to 32,764 on sm_70 and up).
const MOST_PARAMETERS: u32 = 32_764;

/// A kernel's parameter as it lies in the bytes that a launch passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub offset: u32,
    pub bytes: u32,
    pub align: u32,
}

/// A kernel as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub name: String,
    pub parameters: Vec<Parameter>,
    /// Threads of a block at the most, from `.maxntid`.
    pub max_threads: Option<u32>,
    /// The block's shape, from `.reqntid`.
    pub required_block: Option<[u32; 3]>,
    /// Blocks of a cluster, from `.reqnctapercluster`.
    pub required_cluster: Option<[u32; 3]>,
    pub body: Body,
}

/// A module as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    /// Of the instruction set.
    pub version: (u32, u32),
    /// `sm_90a`.
    pub target: String,
    pub entries: Vec<Entry>,
}

/// Variables declared outside of kernels.
#[derive(Default)]
struct Outside {
    shared: Vec<(String, Option<u32>, u32, u32)>,
}

pub(crate) fn read(text: &str) -> Result<Text, ParseError> {
    let mut cursor = Cursor::new(text)?;
    let mut module = Text::default();
    let mut outside = Outside::default();
    while let Some(token) = cursor.peek() {
        let line = cursor.line();
        let Token::Name(name) = token else {
            return Err(cursor.error("a directive is expected"));
        };
        cursor.next();
        match name {
            ".version" => module.version = version(&mut cursor)?,
            ".target" => {
                cursor.name()?.clone_into(&mut module.target);
                while cursor.took(',') {
                    cursor.name()?;
                }
            }
            ".address_size" => {
                if cursor.count()? != 64 {
                    return Err(ParseError::new(line, "only 64-bit addresses are supported"));
                }
            }
            ".visible" | ".extern" | ".weak" => {}
            ".shared" => {
                let (name, bytes, align) = variable(&mut cursor)?;
                outside.shared.push((name, bytes, align, line));
            }
            // Constants that the compiler has folded already; a kernel that does use one is refused where it names it.
            ".global" | ".const" => {
                variable(&mut cursor)?;
            }
            ".entry" => {
                let entry = entry(&mut cursor, &outside)?;
                module.entries.push(entry);
            }
            other => return Err(ParseError::new(line, format!("`{other}` is not supported"))),
        }
    }
    if module.version == (0, 0) || module.target.is_empty() {
        return Err(ParseError::new(1, "a module begins with .version and .target"));
    }
    Ok(module)
}

fn version(cursor: &mut Cursor<'_>) -> Result<(u32, u32), ParseError> {
    let number = match cursor.next() {
        Some(Token::Number(text)) => text.split_once('.'),
        _ => None,
    };
    let parsed = number.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    parsed.ok_or_else(|| cursor.error("a version as in 8.0 is expected"))
}

fn entry(cursor: &mut Cursor<'_>, outside: &Outside) -> Result<Entry, ParseError> {
    let line = cursor.line();
    let mut entry = Entry { name: cursor.name()?.to_owned(), ..Entry::default() };
    let mut names = Names::new();
    if cursor.took('(') && !cursor.took(')') {
        parameters(cursor, &mut entry, &mut names)?;
    }
    let mut shared = 0;
    for (name, bytes, align, line) in &outside.shared {
        let term = match bytes {
            None => Term::DynamicShared,
            Some(bytes) => Term::Shared(place(&mut shared, *bytes, *align, *line)?),
        };
        names.define(0, name, term, *line)?;
    }
    loop {
        match cursor.next() {
            Some(Token::Mark('{')) => break,
            Some(Token::Name(".maxntid")) => {
                entry.max_threads = Some(triple(cursor)?.iter().fold(1, |all, one| all.saturating_mul(*one)));
            }
            Some(Token::Name(".reqntid")) => entry.required_block = Some(triple(cursor)?),
            Some(Token::Name(".reqnctapercluster")) => entry.required_cluster = Some(triple(cursor)?),
            Some(Token::Name(".minnctapersm" | ".maxnreg" | ".maxclusterrank")) => {
                cursor.count()?;
            }
            Some(Token::Name(".explicitcluster" | ".noreturn")) => {}
            Some(Token::Name(".pragma")) => {
                cursor.next();
                cursor.expect(';')?;
            }
            _ => return Err(ParseError::new(line, format!("the head of kernel `{}` is not understood", entry.name))),
        }
    }
    entry.body = body::read(cursor, names, shared)?;
    Ok(entry)
}

fn triple(cursor: &mut Cursor<'_>) -> Result<[u32; 3], ParseError> {
    let mut found = [1; 3];
    found[0] = cursor.count()?;
    for next in &mut found[1..] {
        if cursor.took(',') {
            *next = cursor.count()?;
        }
    }
    Ok(found)
}

/// The list of parameters after its opening parenthesis. They lie one after another, each at a multiple of its alignment.
fn parameters(cursor: &mut Cursor<'_>, entry: &mut Entry, names: &mut Names) -> Result<(), ParseError> {
    let mut used = 0_u32;
    loop {
        let line = cursor.line();
        if !cursor.took_name(".param") {
            return Err(cursor.error("a parameter is expected"));
        }
        let mut align = 0;
        if cursor.took_name(".align") {
            align = cursor.count()?;
        }
        let kind = cursor.name()?;
        let each = width(kind).ok_or_else(|| ParseError::new(line, format!("no parameter has type {kind}")))?;
        if cursor.took_name(".ptr") {
            while cursor.took_name(".global") || cursor.took_name(".const") || cursor.took_name(".shared") {}
            if cursor.took_name(".align") {
                cursor.count()?;
            }
        }
        let name = cursor.name()?;
        let mut bytes = each;
        if cursor.took('[') {
            bytes = each.saturating_mul(cursor.count()?);
            cursor.expect(']')?;
        }
        let align = if align == 0 { each } else { align };
        if !align.is_power_of_two() || align > 4096 || bytes > MOST_PARAMETERS {
            return Err(ParseError::new(line, format!("parameter `{name}` has an impossible size or alignment")));
        }
        let offset = used.next_multiple_of(align);
        used = offset + bytes;
        if used > MOST_PARAMETERS {
            return Err(ParseError::new(line, format!("more than {MOST_PARAMETERS} bytes of parameters")));
        }
        entry.parameters.push(Parameter { offset, bytes, align });
        names.define(0, name, Term::Parameter(offset), line)?;
        if !cursor.took(',') {
            return cursor.expect(')');
        }
    }
}
