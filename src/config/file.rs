//! Parameter files: reading any form of them, writing the documented one.

use super::parameters::{ParameterValue, descriptors, flatten};
use super::{Config, ConfigError};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Keys that every ROS node may be given and that are not ours.
const ROS_KEYS: [&str; 3] = ["use_sim_time", "qos_overrides", "start_type_description_service"];

/// The node's name, by which its section of a parameter file is found.
pub const NODE_NAME: &str = "rostro";

/// Whether a parameter belongs to ROS itself and not to the node's own settings.
pub fn is_ros_parameter(name: &str) -> bool {
    ROS_KEYS.contains(&name.split('.').next().unwrap_or(name))
}

impl Config {
    /// Reads YAML: this tree itself, or a ROS 2 parameter file, which wraps it as
    /// `node_name: {ros__parameters: …}` and may join keys with dots. Of a file for many nodes,
    /// `/**` and this node's own section count.
    ///
    /// # Errors
    /// [`ConfigError`] naming a key that is unknown, of the wrong type or out of range.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        let mut changes = parameters_in(text, NODE_NAME)?;
        changes.retain(|(name, _)| !is_ros_parameter(name));
        Self::default().with_overrides(&changes)
    }

    /// A ROS 2 parameter file with these values, each under its description.
    pub fn to_commented_yaml(&self) -> String {
        let mut text = "# Every parameter of rostro with its default, as `rostro params --yaml` prints them.\n\
                        # Keep only the lines that you change.\n/**:\n  ros__parameters:\n"
            .to_owned();
        let mut section = "";
        let mut parameters = self.parameters();
        // Those without a section first; YAML would take them for the section before.
        parameters.sort_by_key(|(name, _)| name.contains('.'));
        for (name, value) in parameters {
            let (own_section, key) = name.rsplit_once('.').unwrap_or(("", name));
            if own_section != section {
                section = own_section;
                let _ = writeln!(text, "    {section}:");
            }
            let indent = if section.is_empty() { 4 } else { 6 };
            let description = descriptors().iter().find(|d| d.name == name).map_or("", |d| &d.description);
            for line in wrapped(description, 96 - indent) {
                let _ = writeln!(text, "{:indent$}# {line}", "");
            }
            // An empty list has no type in ROS, so it may not stand there.
            let comment = if value == ParameterValue::StringArray(Vec::new()) { "# " } else { "" };
            let _ = writeln!(text, "{:indent$}{comment}{key}: {value}", "");
        }
        text
    }
}

/// What a file sets for `node` (its name, or that with its namespace), unchecked, in the order in which it counts;
/// also what is ROS's own, such as `use_sim_time`. See [`Config::from_yaml`].
///
/// # Errors
/// [`ConfigError::Shape`] when it is no YAML, or holds nothing for one node.
pub fn parameters_in(text: &str, node: &str) -> Result<Vec<(String, ParameterValue)>, ConfigError> {
    let mut found = Vec::new();
    match yaml(text)? {
        Value::Object(tree) => {
            for section in own_sections(tree, node)? {
                found.extend(flatten(&section)?);
            }
        }
        Value::Null => {}
        _ => return Err(ConfigError::Shape("expected parameters as `name: value` lines".into())),
    }
    Ok(found)
}

impl ParameterValue {
    /// A single value as YAML has it, such as that of `-p name:=value`.
    ///
    /// # Errors
    /// [`ConfigError::Shape`] when it is no YAML.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::from_json(&yaml(text)?))
    }
}

fn yaml(text: &str) -> Result<Value, ConfigError> {
    let value: Option<Value> = serde_saphyr::from_str(text).map_err(|e| ConfigError::Shape(e.to_string()))?;
    Ok(value.unwrap_or_default())
}

/// The sections of a ROS 2 parameter file that are for this node, the most general first; the tree
/// itself when it is no such file.
fn own_sections(mut tree: Map<String, Value>, node: &str) -> Result<Vec<Map<String, Value>>, ConfigError> {
    if !tree.values().any(|node| node.get("ros__parameters").is_some()) {
        return Ok(vec![tree]);
    }
    let names: Vec<String> = tree.keys().cloned().collect();
    let last = |name: &str| name.rsplit('/').next().map(str::to_owned);
    let full = names.iter().find(|name| name.trim_start_matches('/') == node.trim_start_matches('/'));
    // The same name in one other namespace is taken for this node's.
    let mut alike = names.iter().filter(|name| full.is_none() && last(name) == last(node));
    let mut chosen: Vec<&String> = names.iter().filter(|name| *name == "/**").chain(full).chain(alike.next()).collect();
    if let Some(second) = alike.next() {
        return Err(ConfigError::Shape(format!("the parameter file has two sections for {node}, one is {second}")));
    }
    // A file for a single node is for this one, whatever the node is called.
    if chosen.is_empty() && names.len() == 1 {
        chosen.extend(names.first());
    }
    if chosen.is_empty() {
        let found = names.join(", ");
        return Err(ConfigError::Shape(format!(
            "a parameter file for one node was expected, or for {node} among others; found {found}"
        )));
    }
    chosen.into_iter().map(|name| parameters_of(name, tree.get_mut(name))).collect()
}

fn parameters_of(name: &str, node: Option<&mut Value>) -> Result<Map<String, Value>, ConfigError> {
    match node.and_then(|node| node.get_mut("ros__parameters")).map(Value::take) {
        Some(Value::Object(parameters)) => Ok(parameters),
        Some(Value::Null) => Ok(Map::new()),
        _ => Err(ConfigError::Shape(format!("{name}: ros__parameters holds no parameters"))),
    }
}

/// Lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests;
