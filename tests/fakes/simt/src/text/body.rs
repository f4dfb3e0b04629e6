//! A kernel's body: declarations and instructions.

use super::ParseError;
use super::cursor::Cursor;
use super::names::{Class, Names, Raw, Term};
use super::token::Token;

/// Shared memory that a kernel may declare; more does not fit any chip.
const MOST_SHARED: u32 = 1 << 18;
/// Instructions and scopes of a kernel.
const MOST_STATEMENTS: usize = 1 << 20;

/// An instruction whose names are resolved.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub line: u32,
    /// Register number, and whether the instruction runs where it is false.
    pub guard: Option<(u32, bool)>,
    /// With all its modifiers.
    pub opcode: String,
    pub operands: Vec<Term>,
}

/// A kernel's instructions and what they use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub statements: Vec<Statement>,
    /// By number.
    pub registers: Vec<Class>,
    /// Bytes of the variables declared in shared memory.
    pub static_shared: u32,
}

struct Pending {
    scope: usize,
    line: u32,
    guard: Option<(String, bool)>,
    opcode: String,
    operands: Vec<Raw>,
}

/// Reads the body after its opening brace. `shared` bytes are declared already.
pub(super) fn read(cursor: &mut Cursor<'_>, mut names: Names, shared: u32) -> Result<Body, ParseError> {
    let mut pending: Vec<Pending> = Vec::new();
    let mut reader = Reader { static_shared: shared };
    let mut scope = names.open(0);
    let outermost = scope;
    loop {
        let line = cursor.line();
        if cursor.took('}') {
            if scope == outermost {
                break;
            }
            scope = names.parent(scope);
        } else if cursor.took('{') {
            scope = names.open(scope);
        } else if let (Some(Token::Name(label)), Some(Token::Mark(':'))) = (cursor.peek(), cursor.peek_second()) {
            cursor.next();
            cursor.next();
            names.define(scope, label, Term::Label(pending.len() as u32), line)?;
        } else if matches!(cursor.peek(), Some(Token::Name(name)) if name.starts_with('.')) {
            reader.declaration(cursor, &mut names, scope)?;
        } else {
            pending.push(instruction(cursor, scope)?);
        }
        if pending.len() > MOST_STATEMENTS {
            return Err(cursor.error("too many instructions"));
        }
    }
    let statements = pending.iter().map(|one| resolve(&names, one)).collect::<Result<_, _>>()?;
    Ok(Body { statements, registers: names.registers, static_shared: reader.static_shared })
}

fn resolve(names: &Names, pending: &Pending) -> Result<Statement, ParseError> {
    let guard = match &pending.guard {
        None => None,
        Some((name, inverted)) => match names.resolve(pending.scope, &Raw::Name(name.clone()), pending.line)? {
            Term::Register(register) if names.registers[register as usize] == Class::Predicate => Some((register, *inverted)),
            _ => return Err(ParseError::new(pending.line, format!("`{name}` is no predicate"))),
        },
    };
    let operands = pending.operands.iter().map(|raw| names.resolve(pending.scope, raw, pending.line)).collect::<Result<_, _>>()?;
    Ok(Statement { line: pending.line, guard, opcode: pending.opcode.clone(), operands })
}

fn instruction(cursor: &mut Cursor<'_>, scope: usize) -> Result<Pending, ParseError> {
    let line = cursor.line();
    let guard = if cursor.took('@') {
        let inverted = cursor.took('!');
        Some((cursor.name()?.to_owned(), inverted))
    } else {
        None
    };
    let opcode = cursor.name()?.to_owned();
    let mut operands = Vec::new();
    if !cursor.took(';') {
        operands.push(cursor.operand()?);
        while cursor.took(',') {
            operands.push(cursor.operand()?);
        }
        cursor.expect(';')?;
    }
    Ok(Pending { scope, line, guard, opcode, operands })
}

struct Reader {
    static_shared: u32,
}

impl Reader {
    fn declaration(&mut self, cursor: &mut Cursor<'_>, names: &mut Names, scope: usize) -> Result<(), ParseError> {
        let line = cursor.line();
        match cursor.name()? {
            ".reg" => {
                let class = register_class(cursor)?;
                loop {
                    let name = cursor.name()?;
                    let count = if cursor.took('<') {
                        let count = cursor.count()?;
                        cursor.expect('>')?;
                        Some(count)
                    } else {
                        None
                    };
                    names.registers(scope, name, count, class, line)?;
                    if !cursor.took(',') {
                        break;
                    }
                }
                cursor.expect(';')
            }
            ".shared" => {
                let (name, bytes, align) = variable(cursor)?;
                let bytes = bytes.ok_or_else(|| ParseError::new(line, "a shared array inside a kernel needs its length"))?;
                let begin = place(&mut self.static_shared, bytes, align, line)?;
                names.define(scope, &name, Term::Shared(begin), line)
            }
            ".pragma" => {
                cursor.next();
                cursor.expect(';')
            }
            other => Err(ParseError::new(line, format!("`{other}` is not supported inside a kernel"))),
        }
    }
}

/// Where the next shared variable lies; `used` grows by it.
pub(super) fn place(used: &mut u32, bytes: u32, align: u32, line: u32) -> Result<u32, ParseError> {
    let begin = used.next_multiple_of(align);
    let end = begin.checked_add(bytes).filter(|end| *end <= MOST_SHARED);
    *used = end.ok_or_else(|| ParseError::new(line, format!("more than {MOST_SHARED} bytes of shared memory")))?;
    Ok(begin)
}

fn register_class(cursor: &mut Cursor<'_>) -> Result<Class, ParseError> {
    let kind = cursor.name()?;
    match kind {
        ".pred" => Ok(Class::Predicate),
        _ => width(kind).map(|bytes| Class::Bits(bytes * 8)).ok_or_else(|| cursor.error(format!("no register has type {kind}"))),
    }
}

/// Bytes of a fundamental type: PTX ISA, Fundamental Types.
pub(super) fn width(kind: &str) -> Option<u32> {
    let bits = kind.strip_prefix(".b").or(kind.strip_prefix(".u")).or(kind.strip_prefix(".s")).or(kind.strip_prefix(".f"))?;
    match bits {
        "8" => Some(1),
        "16" => Some(2),
        "32" | "16x2" => Some(4),
        "64" => Some(8),
        "128" => Some(16),
        _ => None,
    }
}

/// The rest of a variable's declaration: its name, its bytes (none for `[]`), its alignment. An initial value is passed over.
pub(super) fn variable(cursor: &mut Cursor<'_>) -> Result<(String, Option<u32>, u32), ParseError> {
    let mut align = None;
    if cursor.took_name(".align") {
        align = Some(cursor.count()?).filter(|align| align.is_power_of_two() && *align <= 4096);
        if align.is_none() {
            return Err(cursor.error("an alignment is a power of two of at most 4096"));
        }
    }
    let kind = cursor.name()?;
    let each = width(kind).ok_or_else(|| cursor.error(format!("no variable has type {kind}")))?;
    let name = cursor.name()?.to_owned();
    let mut bytes = Some(each);
    while cursor.took('[') {
        if cursor.took(']') {
            bytes = None;
            continue;
        }
        let length = cursor.count()?;
        let product = bytes.unwrap_or(each).checked_mul(length);
        bytes = Some(product.ok_or_else(|| cursor.error("an array of more than 4 GiB"))?);
        cursor.expect(']')?;
    }
    if cursor.took('=') {
        while !matches!(cursor.peek(), None | Some(Token::Mark(';'))) {
            cursor.next();
        }
    }
    cursor.expect(';')?;
    Ok((name, bytes, align.unwrap_or(each)))
}
