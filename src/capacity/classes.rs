//! Classes of a person's own, from a TOML file: phases, or a model by name or by the fields of its `config.json`.

use super::{
    Model, Wrong,
    basis::{Class, Definition, definition},
    config,
    shape::{Work, Written},
    time,
};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    definition: Option<String>,
    class: Vec<Written<Value>>,
}

/// Longest name; it becomes a label in exports.
const NAME: usize = 64;
/// Most devices that a model is split over.
const WIDEST: f64 = 1024.0;

/// The classes that are shipped, and those in `text`. A file that a class names is read by `read`, from beside the text.
///
/// # Errors
/// What does not make a class, one at a time.
pub fn own_classes(text: &str, read: impl Fn(&Path) -> Result<String, Wrong>) -> Result<Vec<Class>, Wrong> {
    let file: File = toml::from_str(text).map_err(|error| Wrong(error.to_string().trim_end().to_owned()))?;
    let by = definition();
    if let Some(version) = file.definition.filter(|version| *version != by.version) {
        return Err(Wrong(format!("classes of definition `{version}`, this is {}", by.version)));
    }
    let mut all = by.classes.clone();
    for written in &file.class {
        let at = |Wrong(why): Wrong| Wrong(format!("class `{}`: {why}", written.name));
        if all.iter().any(|class| class.name == written.name) {
            return Err(at(Wrong("there is one of that name; give it another".into())));
        }
        all.push(class(written, by, &read).map_err(at)?);
    }
    Ok(all)
}

fn class(written: &Written<Value>, by: &Definition, read: &impl Fn(&Path) -> Result<String, Wrong>) -> Result<Class, Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if written.name.is_empty() || written.name.len() > NAME || !written.name.chars().all(allowed) {
        return Err(Wrong(format!("a name is 1 to {NAME} letters, digits, `-`, `_` and `.`")));
    }
    for (name, number) in written.work.numbers() {
        let most = if name == "width" { WIDEST } else { 1e12 };
        if !(1.0..=most).contains(&number) || number.fract() != 0.0 {
            return Err(Wrong(format!("{name}: {number} is no count from 1 to {most}")));
        }
    }
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    if let Some(value) = written.work.model() {
        let model = model(value, read)?;
        if model.mixture() && matches!(written.work, Work::Train { .. }) {
            let beyond =
                "published training of mixtures reaches 0.06 to 0.15 of the measured rate: the formulas do not hold for it";
            return Err(Wrong(beyond.into()));
        }
        models.insert(value.to_string(), model);
    }
    let find = |value: &Value| models.get(&value.to_string()).ok_or_else(|| Wrong("no model".into()));
    let class = written.resolved(by.kernels, find)?;
    closes(&class, by)?;
    Ok(class)
}

fn model(value: &Value, read: &impl Fn(&Path) -> Result<String, Wrong>) -> Result<Model, Wrong> {
    match value {
        Value::String(name) if Path::new(name).extension().is_some_and(|extension| extension == "json") => {
            let at = |why: String| Wrong(format!("{name}: {why}"));
            let fields: Value = serde_json::from_str(&read(Path::new(name))?).map_err(|error| at(error.to_string()))?;
            let fields = fields.as_object().ok_or_else(|| at("no JSON object".into()))?;
            config::model(fields).map_err(|Wrong(why)| at(why))
        }
        Value::String(name) => Model::named(name).cloned(),
        Value::Object(fields) => config::model(fields),
        other => Err(Wrong(format!("model: {other} is neither a name, nor a file config.json, nor its fields"))),
    }
}

/// Whether the reference has all that the class takes: else no unit of it is defined.
fn closes(class: &Class, by: &Definition) -> Result<(), Wrong> {
    let keys: Vec<&str> = by.reference.rates.keys().map(String::as_str).filter(|key| *key != "mem.free").collect();
    if class.phases.is_empty() {
        return Err(Wrong("no phases".into()));
    }
    for phase in &class.phases {
        let amounts = || phase.amounts.iter().chain(&phase.shared);
        if amounts().next().is_none() {
            return Err(Wrong(format!("phase `{}` takes nothing; give it amounts", phase.name)));
        }
        if let Some((key, amount)) = amounts().find(|(_, amount)| !(**amount > 0.0 && amount.is_finite())) {
            return Err(Wrong(format!("phase `{}`: {amount} of {key} is no amount; it must be above zero", phase.name)));
        }
        let unknown = amounts().map(|(key, _)| key.as_str()).find(|key| !keys.contains(key) && !class.instead.contains_key(*key));
        if let Some(key) = unknown {
            let keys = keys.join(", ");
            return Err(Wrong(format!(
                "does not close: phase `{}` takes `{key}`, which {} has no rate of; there are {keys}",
                phase.name, by.reference.name
            )));
        }
    }
    if let Some(other) = class.instead.values().find(|key| !keys.contains(&key.as_str()) && !class.instead.contains_key(*key)) {
        return Err(Wrong(format!("instead: {} has no rate of `{other}`", by.reference.name)));
    }
    let split = |Wrong(why): Wrong| Wrong(format!("{why} of the reference; split it over more devices: width = 2, 4, 8"));
    time(class, &by.reference.rates).map(drop).map_err(split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{Vector, units};

    fn of(text: &str) -> Result<Vec<Class>, Wrong> {
        own_classes(text, |path| Err(Wrong(format!("{}: not here", path.display()))))
    }

    const STENCIL: &str = r#"
        [[class]]
        name = "stencil"
        item = "sweep"
        work.phases = [{ name = "flux", overlap = "max", amounts = { "mm.fp64" = 6e12, "hbm.triad" = 3e12 } }]"#;

    #[test]
    fn phases_make_a_class() {
        let classes = of(STENCIL).expect("a class");
        let own = super::super::named(&classes, "stencil").expect("there");
        let reference = &definition().reference.rates;
        assert_eq!(units(own, reference), Ok(1.0));
        // By memory alone, 1 s of it against 0.1 s of products: half the bandwidth is half a unit.
        let half: Vector = reference
            .clone()
            .into_iter()
            .map(|(key, rate)| (key.clone(), if key == "hbm.triad" { rate / 2.0 } else { rate }))
            .collect();
        assert_eq!(units(own, &half), Ok(0.5));
        assert_eq!(classes.len(), definition().classes.len() + 1);
        assert_ne!(own.hash(), classes[0].hash());
    }

    #[test]
    fn a_shipped_model_written_anew_by_its_fields_is_worth_the_same() {
        let fields = r#"{ hidden_size = 4096, intermediate_size = 14336, num_hidden_layers = 32, num_attention_heads = 32,
            num_key_value_heads = 8, vocab_size = 128256, hidden_act = "silu" }"#;
        let text = format!(
            "[[class]]\nname = \"own\"\nitem = \"token\"\nwork.decode = {{ model = {}, dtype = \"bf16\", batch = 64, context = 2048 }}",
            fields.replace('\n', " ")
        );
        let classes = of(&text).expect("a class");
        let [own, shipped] = ["own", "decode-bf16-b64"].map(|name| super::super::named(&classes, name).expect("there"));
        let mut rates = definition().reference.rates.clone();
        rates.insert("hbm.read".into(), 4.4e12);
        let ratio = units(own, &rates).expect("fits") / units(shipped, &rates).expect("fits");
        assert!((ratio - 1.0).abs() < 1e-4, "{ratio}");
    }

    #[test]
    fn what_makes_no_class_is_refused_with_the_way_out() {
        let phase = |amounts: &str| {
            format!(
                "[[class]]\nname = \"x\"\nitem = \"y\"\nwork.phases = [{{ name = \"p\", overlap = \"sum\", amounts = {{ {amounts} }} }}]"
            )
        };
        let model =
            |model: &str, more: &str| format!("[[class]]\nname = \"x\"\nitem = \"y\"\nwork.{}", more.replace("MODEL", model));
        for (text, word) in [
            (phase("\"net.rdma\" = 1e9"), "does not close: phase `p` takes `net.rdma`"),
            (phase("\"hbm.triad\" = 0"), "above zero"),
            (phase("\"hbm.triad\" = -1.0"), "above zero"),
            (phase("\"hbm.triad\" = nan"), "above zero"),
            (phase(""), "takes nothing"),
            (phase("\"hbm.triad\" = 1").replace("sum", "mean"), "mean"),
            (phase("\"hbm.triad\" = 1").replace("name = \"x\"", "name = \"stream\""), "give it another"),
            (phase("\"hbm.triad\" = 1").replace("name = \"x\"", "name = \"a b\""), "a name is"),
            (phase("\"hbm.triad\" = 1") + "\nbatch = 3", "batch"),
            (format!("definition = \"cu/9\"\n{}", phase("\"hbm.triad\" = 1")), "cu/9"),
            (model("\"llama-9\"", "train = { model = MODEL, dtype = \"bf16\", length = 8192, step = 1e6 }"), "llama-9"),
            (model("\"qwen3-30b-a3b\"", "train = { model = MODEL, dtype = \"bf16\", length = 8192, step = 1e6 }"), "mixtures"),
            (model("\"llama-3-70b\"", "decode = { model = MODEL, dtype = \"bf16\", batch = 1, context = 10 }"), "width = 2"),
            (model("\"llama-3-8b\"", "decode = { model = MODEL, dtype = \"int4\", batch = 1, context = 10 }"), "int4"),
            (model("\"llama-3-8b\"", "decode = { model = MODEL, dtype = \"bf16\", batch = 0.5, context = 10 }"), "batch: 0.5"),
            (model("\"config.json\"", "decode = { model = MODEL, dtype = \"bf16\", batch = 1, context = 10 }"), "not here"),
            (
                model("{ hidden_size = 8 }", "decode = { model = MODEL, dtype = \"bf16\", batch = 1, context = 10 }"),
                "num_hidden_layers",
            ),
            ("[[class]]\nname = \"x\"\nitem = \"y\"\nwork.phases = []".to_owned(), "no phases"),
            ("class = 3".to_owned(), "line 1"),
        ] {
            let why = of(&text).map(drop).unwrap_err().0;
            assert!(why.contains(word), "{text}\n{why}");
        }
    }
}
