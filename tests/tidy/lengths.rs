//! Lengths: a file that needs scrolling for minutes, or a function that does not fit a screen, hides what it does.

use crate::source::{Source, leading_name, past_closing};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;
const MEASURED: &[&str] = &[".rs", ".cu", ".cuh", ".wgsl", ".py", ".sh"];

/// A function found in Rust code.
pub struct Function<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where `fn` stands.
    pub at: usize,
    /// Its body, braces included.
    pub body: &'a str,
    /// Just past its closing brace.
    pub end: usize,
}

/// Files over the limit.
pub fn files(tree: &[Source]) -> Vec<String> {
    tree.iter()
        .filter(|source| source.is_any(MEASURED) || is_script(source))
        .filter_map(|source| {
            let lines = source.text.lines().count();
            let message = format!("{}: {lines} lines; split it by idea: {FILE_LINES} at most", source.path);
            (lines > FILE_LINES).then_some(message)
        })
        .collect()
}

/// Functions over the limit.
pub fn long_functions(tree: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in tree.iter().filter(|source| source.is_rust()) {
        for function in functions(&source.code) {
            let lines = source.line(function.end) - source.line(function.at) + 1;
            if lines > FUNCTION_LINES {
                let message =
                    format!("fn {} has {lines} lines; name its parts and call them: {FUNCTION_LINES} at most", function.name);
                found.push(source.at(function.at, &message));
            }
        }
    }
    found
}

/// Every function with a body in blanked Rust code, the inner ones too.
pub fn functions(code: &str) -> Vec<Function<'_>> {
    crate::source::whole_words(code, "fn")
        .filter_map(|at| {
            let name = leading_name(code[at + 2..].trim_start());
            let open = body(code, at).filter(|_| !name.is_empty())?;
            let end = past_closing(code, open);
            Some(Function { name, at, body: &code[open..end], end })
        })
        .collect()
}

/// The brace that opens the body of the function at `at`; a declaration without a body has none.
fn body(code: &str, at: usize) -> Option<usize> {
    let bytes = code.as_bytes();
    let mut next = at;
    while next < bytes.len() {
        match bytes[next] {
            b'{' => return Some(next),
            b';' | b'}' => return None,
            b'(' | b'[' => next = past_closing(code, next),
            _ => next += 1,
        }
    }
    None
}

fn is_script(source: &Source) -> bool {
    source.text.starts_with("#!")
}

#[test]
fn a_long_file_is_seen() {
    let text = "x\n".repeat(FILE_LINES + 1);
    assert_eq!(files(&[Source::new("kernels/a.cu", &text), Source::new("notes.md", &text)]).len(), 1);
    assert_eq!(files(&[Source::new("tests/run", &format!("#!/bin/bash\n{text}"))]).len(), 1);
    assert!(files(&[Source::new("a.rs", &"x\n".repeat(FILE_LINES))]).is_empty());
}

#[test]
fn a_long_function_is_seen() {
    let function = |lines: usize| format!("fn a(x: [u8; 2]) -> u8\n{{{}}}", "\n".repeat(lines - 2));
    assert!(long_functions(&[Source::new("a.rs", &function(FUNCTION_LINES))]).is_empty());
    let found = long_functions(&[Source::new("a.rs", &format!("trait T {{ fn b(); }}\n{}", function(FUNCTION_LINES + 1)))]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("a.rs:2: fn a has 61 lines"), "{found:?}");
}
