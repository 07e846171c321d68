//! What the node really advertises, serves and listens to, against the tables of the README and the
//! security policy. Also the package's own files against each other.

use rostro::config::Config;
use rostro::config::parameters::descriptors;
use rostro::detect::{Detection, FaceDetector};
use rostro::frame::ImageView;
use rostro::inference::InferenceError;
use rostro::node::managed::Managed;
use rostro::node::transport::{Connection, Offer, OnMessage, OnRequest, Publisher, Qos, Transport, TransportError};
use rostro::pipeline::{Pipeline, Stages};
use rostro::runtime::StopSignal;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Takes note of what a node asks of its middleware.
#[derive(Default)]
struct Recorder {
    topics: Vec<String>,
    inputs: Vec<String>,
    services: Vec<String>,
}

struct Nothing;

impl Connection for Nothing {}

impl Publisher for Nothing {
    fn publish(&self, _: &[u8]) -> Result<(), TransportError> {
        Ok(())
    }
    fn subscribers(&self) -> usize {
        0
    }
}

fn row(name: &str, type_name: &str, qos: Qos) -> String {
    format!("| `{name}` | `{type_name}` | {qos}, {} |", qos.depth)
}

impl Transport for Recorder {
    fn name(&self) -> String {
        String::new()
    }
    fn node_name(&self) -> String {
        "/rostro".into()
    }
    fn resolve(&self, name: &str) -> String {
        name.replace('~', "/rostro")
    }
    fn advertise(&mut self, topic: &str, type_name: &str, qos: Qos) -> Result<Box<dyn Publisher>, TransportError> {
        self.topics.push(row(topic, type_name, qos));
        Ok(Box::new(Nothing))
    }
    fn subscribe(
        &mut self,
        topic: &str,
        kind: &str,
        qos: Qos,
        _: OnMessage,
    ) -> Result<Box<dyn Connection>, TransportError> {
        self.inputs.push(row(topic, kind, qos));
        Ok(Box::new(Nothing))
    }
    fn serve(&mut self, service: &str, kind: &str, _: OnRequest) -> Result<Box<dyn Connection>, TransportError> {
        self.services.push(format!("| `{service}` | `{kind}` |"));
        Ok(Box::new(Nothing))
    }
    fn offers(&self, _: &str) -> Vec<Offer> {
        Vec::new()
    }
    fn spin(&mut self, _: Duration) {}
}

struct NoFaces;

impl FaceDetector for NoFaces {
    fn detect(&mut self, _: ImageView<'_>, _: &mut Vec<Detection>) -> Result<(), InferenceError> {
        Ok(())
    }
}

/// A node that went through its states up to *active*.
fn recorded() -> Recorder {
    let mut recorder = Recorder::default();
    let loader = |config: &Config| {
        let stages = Stages { detector: Box::new(NoFaces), landmarks: None, embedding: None, emotion: None };
        Ok(Pipeline::new(config.clone(), stages))
    };
    let mut node = Managed::new(&mut recorder, Config::default(), true, Arc::new(loader)).unwrap();
    node.start(&mut recorder, &StopSignal::default()).unwrap();
    node.end(&mut recorder).unwrap();
    recorder
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rows of the table after a marker, each cut to its first columns.
fn table(readme: &str, marker: &str, columns: usize) -> BTreeSet<String> {
    let after = readme.split(&format!("<!-- {marker} -->")).nth(1).expect(marker);
    let rows = after.trim_start().lines().take_while(|line| line.starts_with('|')).skip(2);
    let first = |line: &str| {
        let cells = line.split('|').skip(1).take(columns);
        cells.fold(String::from("|"), |row, cell| row + cell + "|")
    };
    rows.map(first).collect()
}

fn compare(marker: &str, columns: usize, real: Vec<String>) {
    let written = table(&file("README.md"), marker, columns);
    let real: BTreeSet<String> = real.into_iter().collect();
    let missing: Vec<_> = real.difference(&written).collect();
    let wrong: Vec<_> = written.difference(&real).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "README, {marker}: missing {missing:#?}, wrong {wrong:#?}");
}

#[test]
fn the_readme_lists_what_the_node_speaks() {
    let Recorder { topics, inputs, services } = recorded();
    compare("topics", 3, topics);
    compare("inputs", 3, inputs);
    compare("services", 2, services);
}

#[test]
fn the_readme_lists_every_parameter() {
    let rows = descriptors().iter().map(|d| {
        let change = if d.dynamic { "dynamic" } else { "fixed" };
        format!("| `{}` | `{}` | {} | {change} |", d.name, d.default, d.allowed())
    });
    let rows: Vec<String> = rows.collect();
    let mut all = String::new();
    for row in &rows {
        writeln!(all, "{row}").unwrap();
    }
    let readme = file("README.md");
    assert!(readme.contains(&all), "the table of parameters in the README should be:\n{all}");
}

#[test]
fn the_security_policy_knows_every_name() {
    let policy = file("config/sros2_policy.xml");
    let Recorder { topics, services, .. } = recorded();
    for (rows, tag) in [(topics, "topic"), (services, "service")] {
        for row in rows {
            let name = row.split('`').nth(1).unwrap().replace('~', "/rostro");
            assert!(policy.contains(&format!("<{tag}>{name}</{tag}>")), "{name} is not in config/sros2_policy.xml");
        }
    }
}

#[test]
fn packages_of_our_interfaces_are_dependencies_everywhere() {
    let (package, cmake, filter) = (file("package.xml"), file("CMakeLists.txt"), file(".cargo/config.toml"));
    let mut used = BTreeSet::new();
    for folder in ["msg", "srv"] {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let fields = text.lines().filter_map(|line| line.split('#').next()?.split_whitespace().next());
            used.extend(fields.filter_map(|kind| Some(kind.split_once('/')?.0.to_owned())));
        }
    }
    assert!(used.len() >= 4, "{used:?}");
    for name in &used {
        assert!(package.contains(&format!("<depend>{name}</depend>")), "package.xml lacks {name}");
        assert!(cmake.contains(&format!("find_package({name} REQUIRED)")), "CMakeLists.txt lacks {name}");
    }
    // What the node itself speaks.
    let Recorder { topics, inputs, services } = recorded();
    let kinds = topics.iter().chain(&inputs).chain(&services).filter_map(|row| row.split('`').nth(3));
    used.extend(kinds.map(|kind| kind.split('/').next().unwrap().to_owned()));
    let filter = filter.split('"').nth(1).unwrap().split(';').collect::<BTreeSet<_>>();
    // Used where they are installed.
    let optional = ["hri_msgs", "vision_msgs"];
    used.extend(optional.map(str::to_owned));
    for name in used {
        assert!(filter.contains(name.as_str()), "IDL_PACKAGE_FILTER lacks {name}");
        if optional.contains(&name.as_str()) {
            continue;
        }
        assert!(name == "rostro" || package.contains(&format!("<depend>{name}</depend>")), "package.xml lacks {name}");
    }
    assert!(package.contains(&format!("<version>{}</version>", env!("CARGO_PKG_VERSION"))), "package.xml's version");
}
