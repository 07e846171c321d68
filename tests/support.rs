//! What several integration tests share: finding the data and models that are not part of the project.

use rostro::config::{Config, InferenceConfig};
use rostro::model::NoProgress;
use rostro::model::runtime;
use rostro::model::store::ModelStore;
use rostro::onnx::Runtime;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The folder of shared test data: `ROSTRO_TEST_DATA`, else `../shared` beside the repository.
/// Says what is skipped when it is absent.
pub(crate) fn shared(path: &str, test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ROSTRO_TEST_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    skip(test, &format!("{} is absent; set ROSTRO_TEST_DATA to the folder that holds {path}", found.display()));
    None
}

/// Says, where a person running the tests sees it, that a test did not run.
pub(crate) fn skip(test: &str, why: &str) {
    use std::io::Write as _;
    // Straight to the terminal: the test harness swallows what `eprintln` prints in a passing test.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// The store and ONNX Runtime, fetched on the first run; `None` (and a word) without a network.
pub(crate) fn runtime(test: &str) -> Option<(ModelStore, Runtime)> {
    let config: InferenceConfig = Config::default().inference;
    let store = ModelStore::open(&config.cache_dir).expect("a cache folder");
    match runtime::ensure(&store, &mut NoProgress) {
        Ok(library) => Some((store, Runtime::start(&library.path, &config).expect("ONNX Runtime starts"))),
        Err(error) => {
            skip(test, &format!("ONNX Runtime cannot be had: {error}"));
            None
        }
    }
}

/// A folder `name` with these Python packages, fetched once; `None` (and a word) when pip cannot.
pub(crate) fn python_packages(test: &str, name: &str, packages: &[&str]) -> Option<PathBuf> {
    // Tests run side by side, and one fetch is enough.
    static FETCHING: Mutex<()> = Mutex::new(());
    let _fetching = FETCHING.lock();
    let site = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if site.join("complete").exists() {
        return Some(site);
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"];
    match Command::new("python3").args(pip).arg(&site).args(packages).output() {
        Ok(output) if output.status.success() => {
            std::fs::write(site.join("complete"), "").unwrap();
            Some(site)
        }
        Ok(output) => {
            skip(test, &format!("pip cannot fetch {packages:?}: {}", String::from_utf8_lossy(&output.stderr)));
            None
        }
        Err(error) => {
            skip(test, &format!("python3: {error}"));
            None
        }
    }
}
