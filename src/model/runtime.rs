//! Where the ONNX Runtime library is: it is loaded at run time, never linked.
//!
//! In this order: the file `ORT_DYLIB_PATH` names, a library of the system (JetPack puts one with
//! CUDA and TensorRT there), the library out of the pinned Python package.

use super::Progress;
use super::fetch::PipArchive;
use super::manifest::Archive;
use super::store::{Bundle, InstallOptions, ModelError, ModelStore};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Name of the pinned library in the store.
pub const BUNDLE: &str = "onnxruntime";

/// The version of the pinned package.
pub const VERSION: &str = "1.23.2";

/// Oldest version whose interface this program can use.
const OLDEST: (u32, u32) = (1, 17);

/// A library, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeLibrary {
    /// The file to load.
    pub path: PathBuf,
    /// How it was found.
    pub found: FoundBy,
}

/// How the library was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// The environment variable `ORT_DYLIB_PATH` names it.
    Environment,
    /// It lies where libraries of the system lie, or in `LD_LIBRARY_PATH`.
    System,
    /// It comes from the pinned Python package.
    Package,
}

impl fmt::Display for FoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("named by ORT_DYLIB_PATH"),
            Self::System => f.write_str("found on the system"),
            Self::Package => write!(f, "out of the Python package onnxruntime {VERSION}"),
        }
    }
}

impl fmt::Display for RuntimeLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.found)
    }
}

/// Why there is no library.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The variable is set, but wrong.
    #[error("ORT_DYLIB_PATH names {path}, which is not a file: correct or unset it")]
    NamedButMissing {
        /// As set.
        path: PathBuf,
    },
    /// There is no pinned package for this machine.
    #[error(
        "no ONNX Runtime library was found, and none is known for {machine}: install one and name it in ORT_DYLIB_PATH"
    )]
    NoPackage {
        /// Processor and system.
        machine: String,
    },
    /// See there.
    #[error("no ONNX Runtime library: {0}; or install one and name it in ORT_DYLIB_PATH")]
    Install(ModelError),
}

/// Finds the library, installing the pinned one when there is no other.
///
/// # Errors
/// [`RuntimeError`], saying what to do.
pub fn ensure(store: &ModelStore, progress: &mut dyn Progress) -> Result<RuntimeLibrary, RuntimeError> {
    if let Some(library) = find_on_machine()? {
        return Ok(library);
    }
    let bundle = bundle().ok_or_else(|| RuntimeError::NoPackage { machine: machine() })?;
    let installed =
        store.install_bundle(&bundle, &InstallOptions::default(), progress).map_err(RuntimeError::Install)?;
    let path = installed.path("libonnxruntime").map_err(RuntimeError::Install)?.to_owned();
    Ok(RuntimeLibrary { path, found: FoundBy::Package })
}

/// The library this machine has by itself, if any.
///
/// # Errors
/// [`RuntimeError::NamedButMissing`].
pub fn find_on_machine() -> Result<Option<RuntimeLibrary>, RuntimeError> {
    find(std::env::var_os("ORT_DYLIB_PATH"), &system_folders(std::env::var_os("LD_LIBRARY_PATH").as_ref()))
}

/// The pinned library for this machine; none where the package has no Linux wheel.
pub fn bundle() -> Option<Bundle> {
    let (archive, archive_sha256, library_sha256) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => (
            Archive::Wheel,
            "da44b99206e77734c5819aa2142c69e64f3b46edc3bd314f6a45a932defc0b3e",
            "718c3fb0785d5ea06061b92c32ce4ad35be1bd4c71ae6192efe06f1ab21f0f8a",
        ),
        ("linux", "aarch64") => (
            Archive::WheelAarch64,
            "bbfd2fca76c855317568c1b36a885ddea2272c13cb0e395002c402f2360429a6",
            "ab8c4363e06ac80b3d1279ea55ebea44e906c5b131ba783ff684a067540c0e94",
        ),
        _ => return None,
    };
    let package =
        PipArchive { package: "onnxruntime".into(), version: VERSION.into(), archive, sha256: archive_sha256.into() };
    let mut bundle = Bundle::new(BUNDLE);
    bundle.add_packaged(&package, &format!("onnxruntime/capi/libonnxruntime.so.{VERSION}"), library_sha256);
    Some(bundle)
}

fn machine() -> String {
    format!("{} {}", std::env::consts::ARCH, std::env::consts::OS)
}

fn find(named: Option<OsString>, folders: &[PathBuf]) -> Result<Option<RuntimeLibrary>, RuntimeError> {
    if let Some(path) = named.filter(|path| !path.is_empty()).map(PathBuf::from) {
        if !path.is_file() {
            return Err(RuntimeError::NamedButMissing { path });
        }
        return Ok(Some(RuntimeLibrary { path, found: FoundBy::Environment }));
    }
    let found = folders.iter().find_map(|folder| newest_library(folder));
    Ok(found.map(|path| RuntimeLibrary { path, found: FoundBy::System }))
}

/// Where the loader would look.
pub(super) fn system_folders(ld_library_path: Option<&OsString>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ld_library_path.into_iter().flat_map(std::env::split_paths).filter(|folder| folder.is_absolute()).collect();
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    for base in ["/usr/local/lib", "/usr/lib", "/lib"] {
        folders.push(Path::new(base).join(&triple));
        folders.push(base.into());
    }
    folders.push("/usr/lib64".into());
    folders
}

/// The newest `libonnxruntime.so*` in the folder, leaving out those whose name says that they are
/// too old: then the pinned one is better than a failure.
fn newest_library(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let candidates = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        library_version(path.file_name()?.to_str()?)?;
        // A link without a version leads to a file with one.
        let real = path.canonicalize().ok().filter(|real| real.is_file())?;
        let version = library_version(real.file_name()?.to_str()?).unwrap_or(OLDEST);
        (version >= OLDEST).then_some((version, path))
    });
    candidates.max().map(|(_, path)| path)
}

/// The version in a name like `libonnxruntime.so.1.23.2`; without one in the name it is taken for
/// the oldest usable. `None` when it is the name of something else.
fn library_version(name: &str) -> Option<(u32, u32)> {
    let rest = name.strip_prefix("libonnxruntime.so")?;
    let Some(version) = rest.strip_prefix('.') else { return rest.is_empty().then_some(OLDEST) };
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    let major = numbers.next()??;
    numbers.next().map_or(Some(OLDEST), |minor| Some((major, minor?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_usable_library_of_the_first_folder_is_taken() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [first.path().to_owned(), second.path().to_owned()];
        for name in ["libonnxruntime.so.1.16.3", "libonnxruntime_providers_shared.so", "libonnxruntime.so.bak"] {
            std::fs::write(first.path().join(name), "").unwrap();
        }
        // A link without a version is as old as what it leads to.
        std::os::unix::fs::symlink("libonnxruntime.so.1.16.3", first.path().join("libonnxruntime.so")).unwrap();
        std::os::unix::fs::symlink("gone", first.path().join("libonnxruntime.so.1")).unwrap();
        assert_eq!(find(None, &folders).unwrap(), None);

        for name in ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.20.1", "libonnxruntime.so.1.18.0"] {
            std::fs::write(second.path().join(name), "").unwrap();
        }
        let found = find(None, &folders).unwrap().unwrap();
        assert_eq!(found.path, second.path().join("libonnxruntime.so.1.20.1"));
        assert!(found.to_string().ends_with("(found on the system)"));
    }

    #[test]
    fn the_variable_wins_and_must_be_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.so");
        let error = find(Some(path.clone().into()), &[]).unwrap_err().to_string();
        assert!(error.contains("ORT_DYLIB_PATH") && error.contains("mine.so"), "{error}");
        std::fs::write(&path, "").unwrap();
        std::fs::write(folder.path().join("libonnxruntime.so.1.20.1"), "").unwrap();
        let found = find(Some(path.clone().into()), &[folder.path().to_owned()]).unwrap().unwrap();
        assert_eq!(found, RuntimeLibrary { path, found: FoundBy::Environment });
        assert_eq!(find(Some("".into()), &[]).unwrap(), None);
    }

    #[test]
    fn names_tell_versions() {
        assert_eq!(library_version("libonnxruntime.so.1.23.2"), Some((1, 23)));
        assert_eq!(library_version("libonnxruntime.so.1.21"), Some((1, 21)));
        assert_eq!(library_version("libonnxruntime.so"), Some(OLDEST));
        assert_eq!(library_version("libonnxruntime.so.1"), Some(OLDEST));
        for other in ["libonnxruntime.so.x", "libonnxruntime.so.1.x", "libonnxruntime.sox", "libonnx.so", ""] {
            assert_eq!(library_version(other), None, "{other}");
        }
    }
}
