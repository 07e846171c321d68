//! The invariants that can be read off the sources.

use std::path::{Path, PathBuf};

/// Modules of the line: no I/O, no clock.
const LINE: [&str; 22] = [
    "align.rs",
    "detect.rs",
    "embed.rs",
    "emotion.rs",
    "frame",
    "frame.rs",
    "gallery",
    "gallery.rs",
    "geometry.rs",
    "head_pose.rs",
    "ids.rs",
    "inference.rs",
    "landmarks.rs",
    "lens.rs",
    "people",
    "people.rs",
    "pipeline.rs",
    "quality.rs",
    "resample.rs",
    "time.rs",
    "track.rs",
    "track",
];

fn sources(path: &Path) -> Vec<(PathBuf, String)> {
    if path.is_file() {
        return vec![(path.to_owned(), std::fs::read_to_string(path).unwrap())];
    }
    let mut entries: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let is_source = |path: &Path| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs");
    entries.iter().filter(|path| path.is_dir() || is_source(path)).flat_map(|path| sources(path)).collect()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of a file without its comments and without the tests at its foot.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]").next().unwrap_or(text);
    shipped.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn only_the_onnx_module_names_ort() {
    for (path, text) in sources(&src()) {
        let relative = path.strip_prefix(src()).unwrap();
        let may = relative.starts_with("onnx") || relative == Path::new("onnx.rs");
        let names_it = [" ort::", "(ort::", "<ort::"].iter().any(|name| code(&text).contains(name));
        assert!(may || !names_it, "{} names ort", path.display());
    }
}

#[test]
fn only_the_ros_module_names_r2r() {
    for (path, text) in sources(&src()) {
        let relative = path.strip_prefix(src()).unwrap();
        let may = relative.starts_with("ros") || relative == Path::new("ros.rs");
        let names_it = [" r2r::", "(r2r::", "<r2r::", "r2r_rcl::"].iter().any(|name| code(&text).contains(name));
        assert!(may || !names_it, "{} names r2r", path.display());
    }
}

#[test]
fn the_line_does_no_io_and_reads_no_clock() {
    for module in LINE {
        let found = sources(&src().join(module));
        assert!(!found.is_empty(), "{module} is missing");
        // The one place that keeps people on a disk; it is used between frames.
        let store = [src().join("gallery/store"), src().join("gallery/store.rs")];
        for (path, text) in found.into_iter().filter(|(path, _)| !store.iter().any(|store| path.starts_with(store))) {
            for forbidden in [
                "std::fs",
                "std::net",
                "std::env",
                "std::process",
                "Instant::",
                "SystemTime",
                "thread::sleep",
                "println!",
            ] {
                assert!(!code(&text).contains(forbidden), "{} uses {forbidden}", path.display());
            }
        }
    }
}

#[test]
fn no_file_outgrows_one_task() {
    for (path, text) in sources(&src()) {
        assert!(text.lines().count() <= 800, "{} has {} lines", path.display(), text.lines().count());
    }
}
