//! PTX text as tokens.

use super::ParseError;

/// A token; names and numbers are slices of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A register, label, directive, opcode with its modifiers, or symbol.
    Name(&'a str),
    /// As written, without a sign.
    Number(&'a str),
    /// Between quotation marks.
    Text(&'a str),
    Mark(char),
}

/// Tokens with the line each stands on.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token<'_>, u32)>, ParseError> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\n' => {
                line += 1;
                1
            }
            _ if first.is_whitespace() => first.len_utf8(),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").ok_or_else(|| ParseError::new(line, "a comment without an end"))? + 2;
                line += rest[..end].matches('\n').count() as u32;
                end
            }
            '"' => {
                let length = rest[1..].find('"').ok_or_else(|| ParseError::new(line, "a text without an end"))?;
                found.push((Token::Text(&rest[1..=length]), line));
                length + 2
            }
            '0'..='9' => {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
                found.push((Token::Number(&rest[..length]), line));
                length
            }
            _ if begins_name(first) => {
                let length = name_length(rest);
                found.push((Token::Name(&rest[..length]), line));
                length
            }
            ',' | ';' | '{' | '}' | '(' | ')' | '[' | ']' | '<' | '>' | '+' | '-' | '|' | '!' | '@' | '=' | ':' => {
                found.push((Token::Mark(first), line));
                1
            }
            _ => return Err(ParseError::new(line, format!("the character {first:?} has no meaning here"))),
        };
        rest = &rest[length..];
    }
    Ok(found)
}

fn begins_name(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '%' | '.')
}

/// A name may hold `::`, as in `.shared::cta`; a single colon ends it, for it ends a label.
fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'$' | b'%' | b'.');
    let mut at = 0;
    loop {
        if bytes.get(at).is_some_and(|c| inside(*c)) {
            at += 1;
        } else if bytes[at..].starts_with(b"::") && bytes.get(at + 2).is_some_and(|c| inside(*c)) {
            at += 3;
        } else {
            return at;
        }
    }
}

#[test]
fn names_numbers_and_marks_are_told_apart() {
    let found =
        tokens("$L_1:\n\t@!%p1 ld.global.L1::no_allocate.v2.f64 {%fd1, _}, [%rd4+-16]; // c\n/* \n */ .pragma \"x\" 0f3F800000")
            .unwrap();
    let names: Vec<_> =
        found.iter().filter_map(|(token, _)| if let Token::Name(name) = token { Some(*name) } else { None }).collect();
    assert_eq!(names, ["$L_1", "%p1", "ld.global.L1::no_allocate.v2.f64", "%fd1", "_", "%rd4", ".pragma"]);
    assert_eq!(found[1], (Token::Mark(':'), 1));
    assert_eq!(found.last(), Some(&(Token::Number("0f3F800000"), 4)));
    assert!(tokens("a ? b").is_err() && tokens("\"open").is_err() && tokens("/* open").is_err());
}
