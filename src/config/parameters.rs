//! The configuration as ROS parameters: one per leaf of the tree, named by its path.
//!
//! Names, types, ranges and descriptions come from the tree's own schema, so a field with its doc
//! comment is all there is to write.

use super::{Config, ConfigError};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::LazyLock;

/// What an optional number is as a ROS parameter while it is not set: ROS knows no absent number.
const NOT_SET: i64 = -1;

/// A value as ROS knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ParameterValue {
    /// None.
    NotSet,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A real number.
    Double(f64),
    /// A text.
    String(String),
    /// Texts.
    StringArray(Vec<String>),
    /// A type that no parameter here has, by its ROS name.
    Other(&'static str),
}

/// Type of a parameter; the numbers are those of `rcl_interfaces/msg/ParameterType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `true` or `false`.
    Bool = 1,
    /// A whole number.
    Integer = 2,
    /// A real number.
    Double = 3,
    /// A text.
    String = 4,
    /// Texts.
    StringArray = 9,
}

/// Least and greatest value, both allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
}

/// Everything that is known about one parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Descriptor {
    /// Dotted path.
    pub name: String,
    /// Type.
    pub kind: Kind,
    /// What it means, with range, unit, and whether it may change while the node runs.
    pub description: String,
    /// Unit, by the ending of the name; empty when the value has none.
    pub unit: &'static str,
    /// Of a number.
    pub range: Option<Range>,
    /// The texts that may stand there; empty when any may.
    pub choices: Vec<String>,
    /// -1 stands for "not set".
    pub optional: bool,
    /// May change while the node runs.
    pub dynamic: bool,
    /// As the tree has it.
    pub default: ParameterValue,
}

/// Every parameter, sorted by name.
pub fn descriptors() -> &'static [Descriptor] {
    static DESCRIPTORS: LazyLock<Vec<Descriptor>> = LazyLock::new(describe);
    &DESCRIPTORS
}

/// The parameter of this name.
pub fn descriptor(name: &str) -> Option<&'static Descriptor> {
    descriptors().iter().find(|descriptor| descriptor.name == name)
}

impl Config {
    /// Every parameter with its present value, sorted by name.
    pub fn parameters(&self) -> Vec<(&'static str, ParameterValue)> {
        let tree = self.tree();
        descriptors().iter().map(|d| (d.name.as_str(), d.value_in(&tree))).collect()
    }

    /// The present value of one parameter.
    pub fn parameter(&self, name: &str) -> Option<ParameterValue> {
        descriptor(name).map(|descriptor| descriptor.value_in(&self.tree()))
    }

    /// This configuration with `changes` made, fixed parameters too: for the start of a node and for
    /// files. Either all of them hold or none.
    ///
    /// # Errors
    /// [`ConfigError`] naming every parameter that is refused, and why.
    pub fn with_overrides<N: AsRef<str>>(&self, changes: &[(N, ParameterValue)]) -> Result<Self, ConfigError> {
        let mut next = self.clone();
        let mut refused = Vec::new();
        for (name, value) in changes {
            match next.with(name.as_ref(), value) {
                Ok(changed) => next = changed,
                Err(error) => refused.push(error),
            }
        }
        match refused.len() {
            0 => next.check().map(|()| next),
            1 => Err(refused.remove(0)),
            _ => Err(ConfigError::Several(refused)),
        }
    }

    /// This configuration with one change, not yet compared with its other values.
    fn with(&self, name: &str, value: &ParameterValue) -> Result<Self, ConfigError> {
        let mut tree = self.tree();
        let descriptor = descriptor(name).ok_or_else(|| unknown(name))?;
        let slot = slot_mut(&mut tree, name).ok_or_else(|| unknown(name))?;
        *slot = descriptor.accept(value)?;
        serde_json::from_value(tree)
            .map_err(|error| ConfigError::Value { parameter: name.to_owned(), reason: error.to_string() })
    }

    /// [`Self::with_overrides`] for a running node: a fixed parameter may only be set to what it is.
    ///
    /// # Errors
    /// [`ConfigError`] naming the parameters that are refused, and why.
    pub fn set_parameters<N: AsRef<str>>(&self, changes: &[(N, ParameterValue)]) -> Result<Self, ConfigError> {
        let next = self.with_overrides(changes)?;
        let (before, after) = (self.tree(), next.tree());
        let changed = |d: &&Descriptor| d.value_in(&before) != d.value_in(&after);
        match descriptors().iter().filter(|d| !d.dynamic).find(changed) {
            Some(fixed) => Err(ConfigError::Fixed { parameter: fixed.name.clone() }),
            None => Ok(next),
        }
    }

    fn tree(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Descriptor {
    /// What may stand there, for refusals and tables: `0 to 60 s`, `one of raw, compressed`; empty
    /// when anything of the type may.
    pub fn allowed(&self) -> String {
        let mut text = match self.range {
            Some(Range { min, max }) => format!("{} to {}", number(min), number(max)),
            None if !self.choices.is_empty() => format!("one of {}", self.choices.join(", ")),
            None => String::new(),
        };
        if !self.unit.is_empty() {
            text = format!("{text} {}", self.unit);
        }
        if self.optional {
            text.push_str(", or -1: not set");
        }
        text
    }

    fn value_in(&self, tree: &Value) -> ParameterValue {
        let value = self.name.split('.').try_fold(tree, |node, key| node.get(key));
        value.map_or(ParameterValue::NotSet, |value| self.to_ros(value))
    }

    fn to_ros(&self, value: &Value) -> ParameterValue {
        match (self.kind, value) {
            (Kind::Integer, Value::Null) => ParameterValue::Integer(NOT_SET),
            (Kind::Double, Value::Null) => ParameterValue::Double(NOT_SET as f64),
            (Kind::Double, value) => value.as_f64().map_or(ParameterValue::NotSet, ParameterValue::Double),
            (_, value) => ParameterValue::from_json(value),
        }
    }

    /// The value as the tree holds it, after the rules that are known here.
    fn accept(&self, value: &ParameterValue) -> Result<Value, ConfigError> {
        if self.optional && value.is_unset() {
            return Ok(Value::Null);
        }
        let accepted = match (self.kind, value) {
            (Kind::Bool, ParameterValue::Bool(value)) => (*value).into(),
            (Kind::Integer, ParameterValue::Integer(number)) => (*number).into(),
            (Kind::Double, ParameterValue::Double(number)) => (*number).into(),
            // A whole number where a real one is expected is what people type.
            (Kind::Double, ParameterValue::Integer(number)) => (*number as f64).into(),
            (Kind::String, ParameterValue::String(text)) => text.as_str().into(),
            // Unquoted, `off` is a boolean for YAML, and so for `ros2 param set` and parameter files.
            (Kind::String, ParameterValue::Bool(false)) if self.choices.iter().any(|choice| choice == "off") => {
                "off".into()
            }
            // `['']` is how a parameter file writes an empty list, which has no type there.
            (Kind::StringArray, ParameterValue::StringArray(texts)) => {
                texts.iter().filter(|text| !text.is_empty()).map(String::as_str).collect()
            }
            (Kind::StringArray, ParameterValue::NotSet) => Value::Array(Vec::new()),
            _ => {
                return Err(ConfigError::Type { parameter: self.name.clone(), expected: self.kind, got: value.kind() });
            }
        };
        if self.allows(value) {
            Ok(accepted)
        } else {
            let (parameter, value) = (self.name.clone(), value.to_string());
            Err(ConfigError::Range { parameter, value, allowed: self.allowed() })
        }
    }

    /// Whether range and choices hold, for a value of the right type.
    fn allows(&self, value: &ParameterValue) -> bool {
        let in_range = |number: f64| self.range.is_none_or(|range| (range.min..=range.max).contains(&number));
        match value {
            ParameterValue::Integer(number) => in_range(*number as f64),
            ParameterValue::Double(number) => in_range(*number),
            ParameterValue::String(text) => self.choices.is_empty() || self.choices.contains(text),
            _ => true,
        }
    }
}

impl ParameterValue {
    /// The leaf of a tree; lists of anything but texts, and trees, are [`Self::Other`].
    pub(super) fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::NotSet,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => {
                number.as_i64().map_or_else(|| Self::Double(number.as_f64().unwrap_or(f64::NAN)), Self::Integer)
            }
            Value::String(text) => Self::String(text.clone()),
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map_or(Self::Other("list of something else than texts"), Self::StringArray),
            Value::Object(_) => Self::Other("tree"),
        }
    }

    /// Nothing, or the number that stands for it.
    fn is_unset(&self) -> bool {
        match self {
            Self::NotSet => true,
            Self::Integer(number) => *number == NOT_SET,
            Self::Double(number) => *number == NOT_SET as f64,
            _ => false,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::NotSet => "nothing",
            Self::Bool(_) => Kind::Bool.name(),
            Self::Integer(_) => Kind::Integer.name(),
            Self::Double(_) => Kind::Double.name(),
            Self::String(_) => Kind::String.name(),
            Self::StringArray(_) => Kind::StringArray.name(),
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for ParameterValue {
    /// As YAML has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet => f.write_str("not set"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            // With a point, or ROS takes it for an integer.
            Self::Double(value) => write!(f, "{value:?}"),
            Self::String(value) => write!(f, "{value:?}"),
            Self::StringArray(value) => write!(f, "{value:?}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl Kind {
    /// As ROS calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::String => "string",
            Self::StringArray => "string array",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A number without a useless `.0`.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { value.to_string() }
}

fn slot_mut<'a>(tree: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    name.split('.').try_fold(tree, |node, key| node.get_mut(key))
}

/// The refusal of a name, with what was probably meant.
fn unknown(name: &str) -> ConfigError {
    if descriptors().iter().any(|d| d.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))) {
        return ConfigError::Section { name: name.to_owned() };
    }
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    // A right name in the wrong section is as near as a wrong letter.
    let distance = |known: &str| {
        if last(known) == last(name) { 1 } else { strsim::damerau_levenshtein(known, name) }
    };
    let nearest = descriptors().iter().min_by_key(|d| distance(&d.name));
    let near_enough = |d: &&Descriptor| distance(&d.name) <= (name.len() / 3).max(2);
    let hint = nearest.filter(near_enough).map(|d| format!("did you mean {}?", d.name));
    ConfigError::Unknown {
        name: name.to_owned(),
        hint: hint.unwrap_or_else(|| "`rostro params` lists them all".to_owned()),
    }
}

fn describe() -> Vec<Descriptor> {
    let settings = schemars::generate::SchemaSettings::default().with(|s| s.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<Config>();
    let mut found = Vec::new();
    walk("", schema.as_value(), &Config::default().tree(), &mut found);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn walk(prefix: &str, schema: &Value, default: &Value, found: &mut Vec<Descriptor>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, schema) in properties.into_iter().flatten() {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let default = default.get(key).unwrap_or(&Value::Null);
        if schema.get("properties").is_some() {
            walk(&name, schema, default, found);
        } else {
            found.push(leaf(name, schema, default));
        }
    }
}

fn leaf(name: String, schema: &Value, default: &Value) -> Descriptor {
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    };
    let kind = match types.first() {
        Some(&"boolean") => Kind::Bool,
        Some(&"integer") => Kind::Integer,
        Some(&"number") => Kind::Double,
        Some(&"array") => Kind::StringArray,
        _ => Kind::String,
    };
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let mut descriptor = Descriptor {
        unit: unit(&name),
        kind,
        description: String::new(),
        range: bound("minimum").zip(bound("maximum")).map(|(min, max)| Range { min, max }),
        choices: choices(schema),
        optional: types.contains(&"null"),
        dynamic: schema.get("dynamic") == Some(&Value::Bool(true)),
        default: ParameterValue::NotSet,
        name,
    };
    descriptor.default = descriptor.to_ros(default);
    descriptor.description = description(&descriptor, schema);
    descriptor
}

/// The doc comment in one line, then range, unit and whether it is dynamic.
fn description(descriptor: &Descriptor, schema: &Value) -> String {
    let doc = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut text = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    for variant in variants(schema) {
        if let Some((choice, meaning)) = choice(variant).zip(variant.get("description").and_then(Value::as_str)) {
            let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
            text = format!("{text} {choice}: {meaning}");
        }
    }
    let change = if descriptor.dynamic { "dynamic" } else { "fixed" };
    match descriptor.allowed() {
        // The choices have just been explained.
        allowed if !allowed.is_empty() && variants(schema).is_empty() => format!("{text} ({allowed}; {change})"),
        _ => format!("{text} ({change})"),
    }
}

/// The documented variants of an enum.
fn variants(schema: &Value) -> &[Value] {
    schema.get("oneOf").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn choice(variant: &Value) -> Option<&str> {
    variant.get("const").and_then(Value::as_str)
}

fn choices(schema: &Value) -> Vec<String> {
    let plain = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    plain.chain(variants(schema).iter().filter_map(choice)).map(str::to_owned).collect()
}

/// The unit that a name ends in.
fn unit(name: &str) -> &'static str {
    let units =
        [("_secs", "s"), ("_hours", "h"), ("_hz", "Hz"), ("_px", "px"), ("_m", "m"), ("_rad", "rad"), ("_mb", "MB")];
    units.iter().find(|(ending, _)| name.ends_with(ending)).map_or("", |(_, unit)| unit)
}

/// A tree as parameters: `a: {b: 1}` and `a.b: 1` are the same.
pub(super) fn flatten(tree: &Map<String, Value>) -> Result<Vec<(String, ParameterValue)>, ConfigError> {
    let mut found: Vec<(String, ParameterValue)> = Vec::new();
    flatten_into("", tree, &mut found);
    found.sort_by(|a, b| a.0.cmp(&b.0));
    match found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(ConfigError::Shape(format!("parameter {} is given twice", pair[0].0))),
        None => Ok(found),
    }
}

fn flatten_into(prefix: &str, tree: &Map<String, Value>, found: &mut Vec<(String, ParameterValue)>) {
    for (key, value) in tree {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(tree) => flatten_into(&name, tree, found),
            // An empty section: `detector:` with everything below it commented out.
            Value::Null if descriptor(&name).is_none() && matches!(unknown(&name), ConfigError::Section { .. }) => {}
            leaf => found.push((name, ParameterValue::from_json(leaf))),
        }
    }
}

#[cfg(test)]
mod tests;
