//! Holds JSON against a JSON Schema, as far as the schemas of our own types go: a whole validator is many crates.

use serde_json::Value;

/// Where `value` breaks `schema`, in words. Knows the keywords that our types produce, and stops at any other, so that nothing
/// goes unchecked in silence.
pub fn violations(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let each = |schemas: &Value| -> Vec<Vec<String>> {
            let schemas = schemas.as_array().expect("a list of schemas");
            schemas.iter().map(|schema| violations(root, schema, value, place)).collect()
        };
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            "$ref" => {
                let target = rule.as_str().and_then(|target| root.pointer(target.trim_start_matches('#'))).expect("a definition");
                found.extend(violations(root, target, value, place));
                true
            }
            "type" => match rule {
                Value::Array(names) => names.iter().any(|name| is(name, value)),
                name => is(name, value),
            },
            "const" => rule == value,
            "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
            "minimum" => value.as_f64().zip(rule.as_f64()).is_none_or(|(value, least)| value >= least),
            "maximum" => value.as_f64().zip(rule.as_f64()).is_none_or(|(value, most)| value <= most),
            "uniqueItems" => value.as_array().is_none_or(|items| (1..items.len()).all(|i| !items[..i].contains(&items[i]))),
            "anyOf" => each(rule).iter().any(Vec::is_empty),
            "oneOf" => each(rule).iter().filter(|violations| violations.is_empty()).count() == 1,
            "required" => rule.as_array().expect("names").iter().all(|name| value.get(name.as_str().expect("a name")).is_some()),
            "properties" => {
                for (name, schema) in rule.as_object().expect("schemas by name") {
                    let inner = value.get(name).map(|value| violations(root, schema, value, &format!("{place}/{name}")));
                    found.extend(inner.unwrap_or_default());
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &str| schema.get("properties").is_some_and(|properties| properties.get(name).is_some());
                for (name, item) in value.as_object().into_iter().flatten().filter(|(name, _)| !known(name)) {
                    found.extend(violations(root, rule, item, &format!("{place}/{name}")));
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(violations(root, rule, item, &format!("{place}/{index}")));
                }
                true
            }
            other => panic!("the schema has a keyword that this test cannot judge: {other}"),
        };
        if !holds {
            found.push(format!("{place}: {keyword} {rule} does not hold for {value}"));
        }
    }
    found
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_u64() || value.is_i64(),
        _ => false,
    }
}
