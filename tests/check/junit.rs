//! Holds JUnit's XML against the rules of the schema of Ant's task (windyroad/JUnit-Schema, JUnit.xsd): elements in their order,
//! attributes that must be there and those that may, and the types of both.

use roxmltree::{Document, Node};

type Rule = fn(&str) -> bool;

/// An attribute: name, whether it must be there, what it may hold.
type Attribute = (&'static str, bool, Rule);

fn text(_: &str) -> bool {
    true
}

/// `xs:token`: no blank but single ones between words.
fn token(value: &str) -> bool {
    value.trim() == value && !value.contains("  ") && !value.contains(['\n', '\t', '\r'])
}

fn filled(value: &str) -> bool {
    token(value) && !value.is_empty()
}

/// `xs:int`
fn int(value: &str) -> bool {
    value.parse::<i32>().is_ok()
}

/// `xs:decimal`: digits, and a point.
fn decimal(value: &str) -> bool {
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.matches('.').count() <= 1
        && digits.contains(|c: char| c.is_ascii_digit())
}

/// `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}`
fn moment(value: &str) -> bool {
    value.len() == 19 && format!("{value}Z").parse::<jiff::Timestamp>().is_ok()
}

/// An element: its attributes, and the elements in it in their order, each with how often at the least and at the most.
struct Element {
    name: &'static str,
    attributes: &'static [Attribute],
    children: &'static [(&'static str, usize, usize)],
    /// Only one of the children may be there.
    choice: bool,
}

const MANY: usize = usize::MAX;
const TROUBLE: &[Attribute] = &[("message", false, text), ("type", true, text)];
const ELEMENTS: &[Element] = &[
    Element { name: "testsuites", attributes: &[], children: &[("testsuite", 0, MANY)], choice: false },
    Element {
        name: "testsuite",
        attributes: &[
            ("name", true, filled),
            ("timestamp", true, moment),
            ("hostname", true, filled),
            ("tests", true, int),
            ("failures", true, int),
            ("errors", true, int),
            ("skipped", false, int),
            ("time", true, decimal),
            ("package", true, token),
            ("id", true, int),
        ],
        children: &[("properties", 1, 1), ("testcase", 0, MANY), ("system-out", 1, 1), ("system-err", 1, 1)],
        choice: false,
    },
    Element { name: "properties", attributes: &[], children: &[("property", 0, MANY)], choice: false },
    Element { name: "property", attributes: &[("name", true, filled), ("value", true, text)], children: &[], choice: false },
    Element {
        name: "testcase",
        attributes: &[("name", true, token), ("classname", true, token), ("time", true, decimal)],
        children: &[("skipped", 0, 1), ("error", 0, 1), ("failure", 0, 1)],
        choice: true,
    },
    Element { name: "skipped", attributes: &[], children: &[], choice: false },
    Element { name: "error", attributes: TROUBLE, children: &[], choice: false },
    Element { name: "failure", attributes: TROUBLE, children: &[], choice: false },
    Element { name: "system-out", attributes: &[], children: &[], choice: false },
    Element { name: "system-err", attributes: &[], children: &[], choice: false },
];

/// Where a document breaks the schema, and where its counts do not agree with its cases.
pub fn violations(xml: &str) -> Vec<String> {
    let tree = match Document::parse(xml) {
        Ok(tree) => tree,
        Err(error) => return vec![format!("not well-formed: {error}")],
    };
    let mut found = Vec::new();
    if !tree.root_element().has_tag_name("testsuites") {
        found.push("its root is not testsuites".to_owned());
    }
    for node in tree.root_element().descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        match ELEMENTS.iter().find(|element| element.name == name) {
            Some(element) => found.extend(element.violations(node)),
            None => found.push(format!("{name} is no element of it")),
        }
        if name == "testsuite" {
            found.extend(counts(node));
        }
    }
    found
}

impl Element {
    fn violations(&self, node: Node) -> Vec<String> {
        let mut found = Vec::new();
        for (name, required, holds) in self.attributes {
            match node.attribute(*name) {
                Some(value) if !holds(value) => found.push(format!("{}: {name} is `{value}`", self.name)),
                None if *required => found.push(format!("{}: no {name}", self.name)),
                _ => {}
            }
        }
        let strange = node.attributes().filter(|attribute| self.attributes.iter().all(|(name, ..)| *name != attribute.name()));
        found.extend(strange.map(|attribute| format!("{}: {} is no attribute of it", self.name, attribute.name())));
        let children: Vec<&str> = node.children().filter(Node::is_element).map(|child| child.tag_name().name()).collect();
        let mut rest = &children[..];
        for (name, least, most) in self.children {
            let run = rest.iter().take_while(|child| *child == name).count();
            if run < *least || run > *most {
                found.push(format!("{}: {run} times {name} in its place", self.name));
            }
            rest = &rest[run..];
        }
        found.extend(rest.first().map(|child| format!("{}: {child} where it may not be", self.name)));
        if self.choice && children.len() > 1 {
            found.push(format!("{}: more than one of {children:?}", self.name));
        }
        found
    }
}

fn counts(suite: Node) -> Vec<String> {
    let cases = || suite.children().filter(|child| child.has_tag_name("testcase"));
    let with = |name: &str| cases().filter(|case| case.children().any(|child| child.has_tag_name(name))).count();
    let counted =
        [("tests", cases().count()), ("failures", with("failure")), ("errors", with("error")), ("skipped", with("skipped"))];
    let wrong = counted.into_iter().filter(|(name, count)| suite.attribute(*name).is_some_and(|told| told != count.to_string()));
    wrong.map(|(name, count)| format!("testsuite: {name} is not {count}")).collect()
}
