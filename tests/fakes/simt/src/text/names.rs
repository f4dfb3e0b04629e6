//! Names: what a register, variable, parameter or label of a kernel stands for, scope by scope.

use super::ParseError;
use std::collections::HashMap;

/// Registers a kernel may declare. ptxas takes more, but a text that asks for millions is broken.
const MOST_REGISTERS: u32 = 1 << 16;

/// An operand as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    Name(String),
    Integer(u64),
    F32(u32),
    F64(u64),
    Vector(Vec<Raw>),
    Address { base: Box<Raw>, offset: i64, coordinates: Vec<Raw> },
    Not(Box<Raw>),
    Pair(Box<Raw>, Box<Raw>),
    Sink,
}

/// Width of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Predicate,
    /// So many bits: 8, 16, 32, 64 or 128.
    Bits(u32),
}

/// An operand whose names are resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    /// By number.
    Register(u32),
    /// Sign-extended to 64 bits.
    Integer(u64),
    F32(u32),
    F64(u64),
    /// The address of a shared variable, as an offset from the block's first shared byte.
    Shared(u32),
    /// The address of dynamic shared memory.
    DynamicShared,
    /// The address of a parameter, as an offset from the first.
    Parameter(u32),
    /// `%tid.x` and the like.
    Special(String),
    /// By number of instruction.
    Label(u32),
    Vector(Vec<Term>),
    Address {
        base: Box<Term>,
        offset: i64,
        coordinates: Vec<Term>,
    },
    Not(Box<Term>),
    Pair(Box<Term>, Box<Term>),
    Sink,
}

#[derive(Default)]
struct Scope {
    parent: usize,
    names: HashMap<String, Term>,
}

/// All names of a kernel. Scope 0 is the module's, with the kernel's parameters.
pub(super) struct Names {
    scopes: Vec<Scope>,
    pub(super) registers: Vec<Class>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { scopes: vec![Scope::default()], registers: Vec::new() }
    }

    /// A new scope within `parent`.
    pub(super) fn open(&mut self, parent: usize) -> usize {
        self.scopes.push(Scope { parent, ..Scope::default() });
        self.scopes.len() - 1
    }

    pub(super) fn parent(&self, scope: usize) -> usize {
        self.scopes[scope].parent
    }

    pub(super) fn define(&mut self, scope: usize, name: &str, term: Term, line: u32) -> Result<(), ParseError> {
        match self.scopes[scope].names.insert(name.to_owned(), term) {
            None => Ok(()),
            Some(_) => Err(ParseError::new(line, format!("`{name}` is declared twice"))),
        }
    }

    /// `count` registers `name0`, `name1`, …, or one of that very name.
    pub(super) fn registers(
        &mut self,
        scope: usize,
        name: &str,
        count: Option<u32>,
        class: Class,
        line: u32,
    ) -> Result<(), ParseError> {
        let first = self.registers.len() as u32;
        let more = count.unwrap_or(1);
        if more > MOST_REGISTERS || first + more > MOST_REGISTERS {
            return Err(ParseError::new(line, format!("more than {MOST_REGISTERS} registers")));
        }
        self.registers.extend((0..more).map(|_| class));
        match count {
            None => self.define(scope, name, Term::Register(first), line),
            Some(count) => (0..count)
                .try_for_each(|number| self.define(scope, &format!("{name}{number}"), Term::Register(first + number), line)),
        }
    }

    fn find(&self, mut scope: usize, name: &str) -> Option<&Term> {
        loop {
            let here = &self.scopes[scope];
            if let Some(term) = here.names.get(name) {
                return Some(term);
            }
            if scope == 0 {
                return None;
            }
            scope = here.parent;
        }
    }

    pub(super) fn resolve(&self, scope: usize, raw: &Raw, line: u32) -> Result<Term, ParseError> {
        let each = |raws: &[Raw]| raws.iter().map(|raw| self.resolve(scope, raw, line)).collect::<Result<Vec<_>, _>>();
        let one = |raw: &Raw| self.resolve(scope, raw, line).map(Box::new);
        Ok(match raw {
            Raw::Name(name) => match self.find(scope, name) {
                Some(term) => term.clone(),
                None if name.starts_with('%') && !name.ends_with(|c: char| c.is_ascii_digit()) || is_numbered_special(name) => {
                    Term::Special(name.clone())
                }
                None => return Err(ParseError::new(line, format!("`{name}` is not declared"))),
            },
            Raw::Integer(value) => Term::Integer(*value),
            Raw::F32(bits) => Term::F32(*bits),
            Raw::F64(bits) => Term::F64(*bits),
            Raw::Vector(raws) => Term::Vector(each(raws)?),
            Raw::Address { base, offset, coordinates } => {
                // Coordinates come as one vector in braces.
                let flat = match coordinates.as_slice() {
                    [Raw::Vector(inner)] => each(inner)?,
                    others => each(others)?,
                };
                Term::Address { base: one(base)?, offset: *offset, coordinates: flat }
            }
            Raw::Not(raw) => Term::Not(one(raw)?),
            Raw::Pair(left, right) => Term::Pair(one(left)?, one(right)?),
            Raw::Sink => Term::Sink,
        })
    }
}

fn is_numbered_special(name: &str) -> bool {
    name == "%clock64"
}
