//! Random changes to a kernel's PTX: another register, another number, a guard turned round, an instruction dropped.

/// A kernel's text with one change.
pub struct Mutation {
    pub text: String,
    /// The line before and after.
    pub change: String,
}

/// Random numbers that a seed repeats (xorshift64, Marsaglia 2003).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// One change at random; `None` where the place that was drawn allows none.
pub fn mutated(text: &str, dice: &mut Dice) -> Option<Mutation> {
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().position(|line| line.trim() == "{")?;
    let instructions: Vec<usize> = (begin..lines.len()).filter(|at| is_instruction(lines[*at])).collect();
    let at = instructions[dice.below(instructions.len())];
    let line = lines[at];
    let changed = match dice.below(10) {
        // Without its branch a block runs into the next: a fine bug.
        0 | 1 => Some(format!("// dropped {}", spaced(line))),
        2 => guard_turned(line),
        3..=6 => other_register(&lines[begin..], line, dice),
        _ => other_number(line, dice),
    }?;
    let change = format!("{} => {}", spaced(line), spaced(&changed));
    let mut all: Vec<&str> = lines.clone();
    all[at] = &changed;
    Some(Mutation { text: all.join("\n") + "\n", change })
}

fn spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_instruction(line: &str) -> bool {
    let line = line.trim();
    line.ends_with(';') && !line.starts_with(['.', '/', '{', '}']) && !line.starts_with("ret")
}

fn guard_turned(line: &str) -> Option<String> {
    if line.contains("@!%") {
        Some(line.replacen("@!%", "@%", 1))
    } else {
        line.contains("@%").then(|| line.replacen("@%", "@!%", 1))
    }
}

/// The operands, after the opcode.
fn operands(line: &str) -> usize {
    let skipped = line.len() - line.trim_start().len();
    let rest = &line[skipped..];
    let opcode = if rest.starts_with('@') { rest.find(char::is_whitespace).unwrap_or(0) + 1 } else { 0 };
    skipped + opcode + rest[opcode..].trim_start().find([' ', '\t']).unwrap_or(rest.len() - opcode)
}

/// Where registers stand among the operands: beginning, end.
fn registers(line: &str) -> Vec<(usize, usize)> {
    let from = operands(line);
    let mut found = Vec::new();
    for (at, _) in line[from..].match_indices('%') {
        let begin = from + at;
        let length = line[begin + 1..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(0);
        let name = &line[begin..=begin + length];
        if name.ends_with(|c: char| c.is_ascii_digit()) && !line[begin + length + 1..].starts_with('.') {
            found.push((begin, begin + length + 1));
        }
    }
    found
}

fn stem(register: &str) -> &str {
    register.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Another register of the same kind, from anywhere in the kernel.
fn other_register(lines: &[&str], line: &str, dice: &mut Dice) -> Option<String> {
    let here = registers(line);
    let (begin, end) = *here.get(dice.below(here.len()))?;
    let old = &line[begin..end];
    let mut others: Vec<&str> = lines
        .iter()
        .filter(|line| is_instruction(line))
        .flat_map(|line| registers(line).into_iter().map(|(begin, end)| &line[begin..end]))
        .filter(|other| stem(other) == stem(old) && *other != old)
        .collect();
    others.sort_unstable();
    others.dedup();
    let new = *others.get(dice.below(others.len()))?;
    Some(format!("{}{new}{}", &line[..begin], &line[end..]))
}

/// A whole number among the operands, changed a little or a lot.
fn other_number(line: &str, dice: &mut Dice) -> Option<String> {
    let from = operands(line);
    let bytes = line.as_bytes();
    let numbers: Vec<(usize, usize)> = (from..line.len())
        .filter(|at| {
            bytes[*at].is_ascii_digit()
                && !bytes[at - 1].is_ascii_alphanumeric()
                && !matches!(bytes[at - 1], b'%' | b'_' | b'$' | b'.')
        })
        .filter_map(|at| {
            let length = line[at..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(line.len() - at);
            line[at..at + length].parse::<u64>().is_ok().then_some((at, at + length))
        })
        .collect();
    let (begin, end) = *numbers.get(dice.below(numbers.len()))?;
    let old: u64 = line[begin..end].parse().ok()?;
    let new = match dice.below(4) {
        0 => old.wrapping_add(1),
        1 => old.checked_sub(1)?,
        2 => old ^ 1 << dice.below(8),
        _ => old.wrapping_mul(2),
    };
    (new != old).then(|| format!("{}{new}{}", &line[..begin], &line[end..]))
}

#[test]
fn each_kind_of_change_is_made() {
    let text =
        ".version 8.0\n{\n\t.reg .b32 %r<9>;\n\tadd.s32 \t%r1, %r2, 5;\n\t@%p1 bra \tL;\n\tmov.u32 %r3, %tid.x;\n\tret;\n}\n";
    let mut dice = Dice::new(3);
    let changes: Vec<String> = (0..400).filter_map(|_| mutated(text, &mut dice)).map(|mutation| mutation.change).collect();
    for wanted in [
        "add.s32 %r1, %r2, 5; => // dropped add.s32 %r1, %r2, 5;",
        "@%p1 bra L; => @!%p1 bra L;",
        "add.s32 %r1, %r2, 5; => add.s32 %r1, %r2, 6;",
        "add.s32 %r1, %r2, 5; => add.s32 %r3, %r2, 5;",
    ] {
        assert!(changes.iter().any(|change| change == wanted), "{wanted} is never made: {changes:#?}");
    }
    assert!(changes.iter().all(|change| !change.starts_with("ret") && !change.contains("=> mov.u32 %r3, %r")), "{changes:#?}");
}
