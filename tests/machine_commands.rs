//! `rostro bench`, `prepare` and `doctor`: what the machine can do.

use crate::support::runtime;
use serde_json::Value;
use std::process::{Command, Output};

fn rostro(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rostro")).args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })
}

fn has_gpu() -> bool {
    rostro::model::machine::Machine::look().gpu.is_some()
}

#[test]
fn bench_measures_a_case_and_its_floor() {
    if runtime("bench_measures_a_case_and_its_floor").is_none() {
        return;
    }
    let case = ["bench", "--json", "--detector", "mtcnn", "--size", "320x240", "--faces", "1", "--cameras", "2"];
    let output = rostro(&[&case[..], &["--secs", "0"]].concat());
    let report = json(&output);
    let case = &report["cases"][0];
    assert_eq!(case["name"], "mtcnn 320x240, 1 face, 2 cameras");
    let number = |key: &str| case[key].as_f64().unwrap_or_else(|| panic!("{key} in {case}"));
    assert_eq!((number("faces"), number("faces_found")), (1.0, 1.0));
    assert!(number("frame_ms") > 0.0 && number("floor_ms") > 0.0 && number("against_one_camera") > 0.0);
    // The line can hardly be faster than its networks alone, nor ten times slower, however busy the machine is.
    assert!((0.8..10.0).contains(&number("cpu_ratio")), "{case}");
    assert!(number("allocated_bytes_per_frame") > 0.0 && number("peak_rss_mb") > number("frames_mb"));
    // Three networks of MTCNN on every frame; a look at the face five times a second, its expression ten times.
    let images: Vec<(String, f64)> = serde_json::from_value(case["images_per_frame"].clone()).unwrap();
    let of = |model: &str| images.iter().find(|(name, _)| name == model).map_or(0.0, |(_, count)| *count);
    assert!(of("mtcnn") > 3.0);
    // In integers or in floats, whichever this processor is made for.
    let expressions = of("rostro-emotion") + of("rostro-emotion-int8");
    assert!((of("dlib-resnet-v1") - 1.0 / 6.0).abs() < 1e-6 && (expressions - 1.0 / 3.0).abs() < 1e-6, "{images:?}");
}

#[test]
fn bench_refuses_what_is_no_size() {
    let output = rostro(&["bench", "--size", "1280"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not a size like 1280x720"));
}

#[test]
fn doctor_says_what_can_run_and_where_the_networks_are() {
    if runtime("doctor_says_what_can_run_and_where_the_networks_are").is_none() {
        return;
    }
    let output = rostro(&["doctor", "--json"]);
    let report = json(&output);
    assert_eq!((output.status.code(), &report["can_run"]), (Some(0), &Value::Bool(true)), "{report}");
    let findings = report["findings"].as_array().unwrap();
    let text =
        |about: &str| findings.iter().find(|f| f["about"] == about).map(|f| f["text"].as_str().unwrap().to_owned());
    assert!(text("ONNX Runtime").is_some());
    if !has_gpu() {
        assert_eq!(text("network mtcnn_pnet").as_deref(), Some("runs on cpu (given to cpu)"));
        assert!(findings.iter().any(|f| f["about"] == "provider tensorrt" && f["level"] == "no"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("robot.yaml");
    std::fs::write(&file, format!("inference: {{cache_dir: {}}}\n", folder.path().join("empty").display())).unwrap();
    let output = rostro(&["doctor", "--params-file", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("to install it: rostro models install mtcnn"));
    assert!(!folder.path().join("empty").exists(), "nothing was fetched or made");
}

#[test]
fn prepare_checks_the_networks_and_refuses_a_provider_that_is_not_there() {
    if runtime("prepare_checks_the_networks_and_refuses_a_provider_that_is_not_there").is_none() {
        return;
    }
    let output = rostro(&["prepare", "--provider", "cpu", "--json"]);
    let report = json(&output);
    assert!(output.status.success());
    let networks = report["networks"].as_array().unwrap();
    assert_eq!(networks.len(), 5, "three of MTCNN, one each for identity and expression: {report}");
    assert!(networks.iter().all(|n| n["usable"] == true && n["runs_on"] == "cpu" && n["difference"] == 0.0));
    if has_gpu() {
        return;
    }
    let output = rostro(&["prepare", "--provider", "tensorrt"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("dlib-resnet-v1") && said.contains("tensorrt fp16") && said.contains("not usable: "),
        "{said}"
    );
}
