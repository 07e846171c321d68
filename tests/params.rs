//! `rostro params` and the files made from it.

use std::path::Path;
use std::process::{Command, Output};

fn rostro(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rostro")).args(args).output().unwrap()
}

fn stdout(args: &[&str]) -> String {
    let output = rostro(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_parameter_file_is_what_the_command_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rostro.yaml");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written,
        stdout(&["params", "--yaml"]),
        "config/rostro.yaml is out of date: cargo run -- params --yaml > config/rostro.yaml"
    );
}

#[test]
fn every_parameter_is_shown_with_its_value() {
    let rows: Vec<serde_json::Value> = serde_json::from_str(&stdout(&["params", "--json"])).unwrap();
    let text = stdout(&["params"]);
    assert!(rows.len() > 25);
    for row in &rows {
        assert!(text.contains(row["name"].as_str().unwrap()) && text.contains(row["description"].as_str().unwrap()));
    }
    let coast = rows.iter().find(|row| row["name"] == "tracker.coast_secs").unwrap();
    assert_eq!((&coast["unit"], &coast["dynamic"], &coast["value"]), (&"s".into(), &true.into(), &1.5.into()));
    assert_eq!(coast["range"], serde_json::json!({"min": 0.0, "max": 60.0}));
}

#[test]
fn a_file_is_checked_and_its_values_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("robot.yaml");
    let path = path.to_str().unwrap();
    std::fs::write(path, "rostro:\n  ros__parameters:\n    tracker: {coast_secs: 2.5}\n").unwrap();
    assert!(stdout(&["params", "--params-file", path]).contains("2.5 [default 1.5]"));
    let yaml = stdout(&["params", "--yaml", "--params-file", path]);
    assert!(yaml.contains("coast_secs: 2.5"));

    std::fs::write(path, "tracker: {cost_secs: 2.5}\n").unwrap();
    let refused = rostro(&["params", "--params-file", path]);
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(message.contains("robot.yaml") && message.contains("did you mean tracker.coast_secs?"), "{message}");
}
