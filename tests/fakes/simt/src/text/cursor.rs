//! A place in the tokens, and the small things that stand there.

use super::ParseError;
use super::names::Raw;
use super::token::{Token, tokens};

/// How deep operands may nest; real ones nest twice.
const DEPTH: u32 = 4;

pub(super) struct Cursor<'a> {
    tokens: Vec<(Token<'a>, u32)>,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, ParseError> {
        Ok(Self { tokens: tokens(text)?, at: 0 })
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(_, line)| *line)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.line(), message)
    }

    pub(super) fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).map(|(token, _)| *token)
    }

    pub(super) fn peek_second(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at + 1).map(|(token, _)| *token)
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// Whether `mark` stood here; it is passed then.
    pub(super) fn took(&mut self, mark: char) -> bool {
        let here = self.peek() == Some(Token::Mark(mark));
        self.at += usize::from(here);
        here
    }

    /// Whether `name` stood here; it is passed then.
    pub(super) fn took_name(&mut self, name: &str) -> bool {
        let here = self.peek() == Some(Token::Name(name));
        self.at += usize::from(here);
        here
    }

    pub(super) fn expect(&mut self, mark: char) -> Result<(), ParseError> {
        if self.took(mark) { Ok(()) } else { Err(self.error(format!("`{mark}` is expected, not {}", self.found()))) }
    }

    pub(super) fn name(&mut self) -> Result<&'a str, ParseError> {
        match self.peek() {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.error(format!("a name is expected, not {}", self.found()))),
        }
    }

    /// A plain number that is not negative.
    pub(super) fn count(&mut self) -> Result<u32, ParseError> {
        let at = self.at;
        match self.number(false)? {
            Raw::Integer(value) if u32::try_from(value).is_ok() => Ok(value as u32),
            _ => {
                self.at = at;
                Err(self.error("a count below 2^32 is expected"))
            }
        }
    }

    fn found(&self) -> String {
        match self.peek() {
            Some(Token::Name(name) | Token::Number(name)) => format!("`{name}`"),
            Some(Token::Text(text)) => format!("\"{text}\""),
            Some(Token::Mark(mark)) => format!("`{mark}`"),
            None => "the end".into(),
        }
    }

    /// A number without its sign: PTX ISA, Constants.
    fn number(&mut self, negative: bool) -> Result<Raw, ParseError> {
        let Some(Token::Number(text)) = self.peek() else {
            return Err(self.error(format!("a number is expected, not {}", self.found())));
        };
        let wrong = self.error(format!("{text} is no number"));
        self.at += 1;
        let lower = text.to_ascii_lowercase();
        let digits = lower.trim_end_matches('u');
        let hexadecimal = |digits: &str, length: usize| {
            (digits.len() == length).then(|| u64::from_str_radix(digits, 16).ok()).flatten().ok_or_else(|| wrong.clone())
        };
        if let Some(bits) = lower.strip_prefix("0f") {
            return Ok(Raw::F32(hexadecimal(bits, 8)? as u32 ^ u32::from(negative) << 31));
        }
        if let Some(bits) = lower.strip_prefix("0d") {
            return Ok(Raw::F64(hexadecimal(bits, 16)? ^ u64::from(negative) << 63));
        }
        if lower.contains('.') {
            let value: f64 = lower.parse().map_err(|_| wrong)?;
            return Ok(Raw::F64(if negative { -value } else { value }.to_bits()));
        }
        let value = match digits.as_bytes() {
            [b'0', b'x', ..] => u64::from_str_radix(&digits[2..], 16),
            [b'0', b'b', ..] => u64::from_str_radix(&digits[2..], 2),
            [b'0', _, ..] => u64::from_str_radix(&digits[1..], 8),
            _ => digits.parse(),
        };
        let value = value.map_err(|_| wrong)?;
        Ok(Raw::Integer(if negative { value.wrapping_neg() } else { value }))
    }

    /// An operand.
    pub(super) fn operand(&mut self) -> Result<Raw, ParseError> {
        self.operand_within(DEPTH)
    }

    fn operand_within(&mut self, depth: u32) -> Result<Raw, ParseError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.error("operands nest too deep"));
        };
        match self.peek() {
            Some(Token::Mark('{')) => {
                self.at += 1;
                Ok(Raw::Vector(self.list('}', depth)?))
            }
            Some(Token::Mark('[')) => {
                self.at += 1;
                self.address(depth)
            }
            Some(Token::Mark('!')) => {
                self.at += 1;
                Ok(Raw::Not(Box::new(self.operand_within(depth)?)))
            }
            Some(Token::Mark('-')) => {
                self.at += 1;
                self.number(true)
            }
            Some(Token::Number(_)) => self.number(false),
            Some(Token::Name(name)) => {
                self.at += 1;
                let first = if name == "_" { Raw::Sink } else { Raw::Name(name.into()) };
                if self.took('|') { Ok(Raw::Pair(Box::new(first), Box::new(self.operand_within(depth)?))) } else { Ok(first) }
            }
            _ => Err(self.error(format!("an operand is expected, not {}", self.found()))),
        }
    }

    /// Operands up to the closing mark, which is passed.
    fn list(&mut self, close: char, depth: u32) -> Result<Vec<Raw>, ParseError> {
        let mut found = vec![self.operand_within(depth)?];
        while self.took(',') {
            found.push(self.operand_within(depth)?);
        }
        self.expect(close)?;
        Ok(found)
    }

    /// `base`, `base+offset` or `map, {coordinates}`, after the bracket.
    fn address(&mut self, depth: u32) -> Result<Raw, ParseError> {
        let base = self.operand_within(depth)?;
        let mut offset = 0;
        if self.took('+') {
            let negative = self.took('-');
            let Raw::Integer(value) = self.number(negative)? else {
                return Err(self.error("an offset in bytes is expected"));
            };
            offset = value as i64;
        }
        let coordinates = if self.took(',') { self.list(']', depth)? } else { Vec::new() };
        if coordinates.is_empty() {
            self.expect(']')?;
        }
        Ok(Raw::Address { base: Box::new(base), offset, coordinates })
    }
}
