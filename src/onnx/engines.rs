//! What was built for a processor, and what was found out about it: TensorRT's engines and timing caches,
//! networks laid out for the CPU, and whether a network answers as its fp32 original does.
//!
//! ```text
//! ~/.cache/rostro/engines/<device, TensorRT, ONNX Runtime>/timing/ how long TensorRT's kernels take here
//!     …/<model, part, precision, shapes>/                          an engine, whole
//!     …/build.lock                                                 held while one is being built
//!     …/<model, part, precision, shapes>.partial/                  the one
//!     …/<model, part, precision, shapes>.parity                    whether it answers as it should
//! ```
//!
//! A folder appears under its final name only when its engine is whole. Two processes that need the same engine
//! build it once: the second waits for the first.

use super::gate::Parity;
use crate::model::fetch;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Everything an engine depends on. Another value of any field is another engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EngineKey {
    /// Manifest name, and the first digits of the hash of the file.
    pub(super) model: String,
    /// Part of the model.
    pub(super) part: String,
    /// SHA-256 of the part's file.
    pub(super) sha256: String,
    /// Precision it was built in.
    pub(super) precision: String,
    /// Shapes it was built for.
    pub(super) shapes: String,
    /// The graphics processor, or the CPU.
    pub(super) device: String,
    /// Version of TensorRT, or that there is none.
    pub(super) tensorrt: String,
    /// Version of ONNX Runtime.
    pub(super) runtime: String,
}

impl EngineKey {
    /// The folder of this engine below `root`; a hash of all fields keeps apart what reads alike.
    pub(super) fn folder(&self, root: &Path) -> PathBuf {
        let machine = format!("{}-trt{}-ort{}", self.device, self.tensorrt, self.runtime);
        let network = format!("{}-{}-{}-{}", self.model, self.part, self.precision, &self.digest()[..8]);
        root.join(file_name(&machine)).join(file_name(&network))
    }

    fn digest(&self) -> String {
        let Self { model, part, sha256, precision, shapes, device, tensorrt, runtime } = self;
        fetch::sha256(
            [model, part, sha256, precision, shapes, device, tensorrt, runtime]
                .map(String::as_str)
                .join("\n")
                .as_bytes(),
        )
    }
}

/// Letters, digits, dots, dashes; anything else becomes a dash.
fn file_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// What to do while another process builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfBusy {
    /// An engine takes minutes; another cannot be had sooner.
    Wait,
    /// There is something to go on with.
    GiveUp,
}

/// The folder of engines.
#[derive(Clone, Debug)]
pub(super) struct EngineStore {
    root: PathBuf,
}

impl EngineStore {
    /// The store in `root`, made when something is built.
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder with the engine of `key`: the one there is, else the one that `build` makes in the folder it
    /// is given. While another process builds, this one waits or gives up.
    ///
    /// # Errors
    /// What `build` says, and when the folder cannot be written; nothing of a failed build stays.
    pub(super) fn ensure(
        &self,
        key: &EngineKey,
        if_busy: IfBusy,
        build: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        let folder = key.folder(&self.root);
        if folder.is_dir() {
            return Ok(folder);
        }
        let failed = |path: &Path, error: &io::Error| format!("{}: {error}", path.display());
        let parent = folder.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        // One at a time on this machine: builders share the timing cache, and would disturb each other's timing.
        let lock_path = parent.join("build.lock");
        let lock = File::create(&lock_path).map_err(|error| failed(&lock_path, &error))?;
        match if_busy {
            IfBusy::Wait => lock.lock().map_err(|error| failed(&lock_path, &error))?,
            IfBusy::GiveUp => lock.try_lock().map_err(|error| format!("{}: {error}", lock_path.display()))?,
        }
        // Looked at again: another process may have built it while this one waited.
        if folder.is_dir() {
            return Ok(folder);
        }
        let partial = beside(&folder, "partial");
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&partial).map_err(|error| failed(&partial, &error))?;
        if let Err(reason) = build(&partial) {
            let _ = fs::remove_dir_all(&partial);
            return Err(reason);
        }
        fs::rename(&partial, &folder).map_err(|error| failed(&folder, &error))?;
        Ok(folder)
    }

    /// Forgets the engine of `key`: the next that needs it builds it again.
    pub(super) fn discard(&self, key: &EngineKey) {
        let _ = fs::remove_dir_all(key.folder(&self.root));
    }

    /// Where TensorRT keeps how long its kernels take on this machine: shared by all engines.
    pub(super) fn timing_cache(&self, key: &EngineKey) -> PathBuf {
        key.folder(&self.root).parent().unwrap_or(&self.root).join("timing")
    }

    /// Whether the network of `key` answers as its original does; none when nobody has compared them.
    pub(super) fn parity(&self, key: &EngineKey) -> Option<Parity> {
        let text = fs::read_to_string(beside(&key.folder(&self.root), "parity")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps the verdict.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn set_parity(&self, key: &EngineKey, parity: &Parity) -> io::Result<()> {
        let folder = key.folder(&self.root);
        fs::create_dir_all(folder.parent().unwrap_or(&self.root))?;
        let partial = beside(&folder, &format!("parity.{}", std::process::id()));
        fs::write(&partial, serde_json::to_string_pretty(parity)?)?;
        fs::rename(partial, beside(&folder, "parity"))
    }
}

/// `folder` with something behind its name.
fn beside(folder: &Path, what: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn key() -> EngineKey {
        EngineKey {
            model: "yunet-n-640@25a606a1".into(),
            part: "model".into(),
            sha256: "25a606a1".into(),
            precision: "fp16".into(),
            shapes: "1x3x640x640".into(),
            device: "NVIDIA Jetson AGX Orin".into(),
            tensorrt: "10.3.0".into(),
            runtime: "1.23.2".into(),
        }
    }

    #[test]
    fn every_field_leads_to_another_folder() {
        let root = Path::new("/engines");
        let folder = key().folder(root);
        let text = folder.to_string_lossy();
        assert!(
            text.starts_with("/engines/nvidia-jetson-agx-orin-trt10.3.0-ort1.23.2/yunet-n-640-25a606a1-model-fp16-")
        );
        let changes: [fn(&mut EngineKey) -> &mut String; 8] = [
            |k| &mut k.model,
            |k| &mut k.part,
            |k| &mut k.sha256,
            |k| &mut k.precision,
            |k| &mut k.shapes,
            |k| &mut k.device,
            |k| &mut k.tensorrt,
            |k| &mut k.runtime,
        ];
        for change in changes {
            let mut other = key();
            change(&mut other).push('_');
            assert_ne!(other.folder(root), folder, "{other:?}");
        }
    }

    #[test]
    fn an_engine_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = EngineStore::new(folder.path().join("engines"));
        let failed = store.ensure(&key(), IfBusy::Wait, |partial| {
            fs::write(partial.join("half.engine"), "half").unwrap();
            Err("out of memory".into())
        });
        assert_eq!(failed, Err("out of memory".into()));
        // What a killed process leaves behind is rubbish.
        let partial = beside(&key().folder(&store.root), "partial");
        fs::create_dir_all(&partial).unwrap();
        fs::write(partial.join("half.engine"), "half").unwrap();
        let built = store.ensure(&key(), IfBusy::Wait, |partial| {
            assert_eq!(fs::read_dir(partial).unwrap().count(), 0);
            fs::write(partial.join("whole.engine"), "whole").map_err(|e| e.to_string())
        });
        let built = built.unwrap();
        assert!(built.join("whole.engine").is_file() && !partial.exists());
        assert_eq!(store.ensure(&key(), IfBusy::Wait, |_| panic!("it is there")), Ok(built.clone()));
        store.discard(&key());
        assert!(!built.exists());
    }

    #[test]
    fn two_who_need_the_same_engine_build_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = EngineStore::new(folder.path().to_owned());
        let builds = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    store
                        .ensure(&key(), IfBusy::Wait, |partial| {
                            builds.fetch_add(1, Ordering::Relaxed);
                            crate::runtime::sleep(std::time::Duration::from_millis(30));
                            fs::write(partial.join("engine"), "").map_err(|e| e.to_string())
                        })
                        .unwrap();
                });
            }
        });
        assert_eq!(builds.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn verdicts_belong_to_their_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = EngineStore::new(folder.path().to_owned());
        let verdict = Parity { runs: 3, worst: 0.5, allowed: 0.02 };
        store.set_parity(&key(), &verdict).unwrap();
        assert_eq!(store.parity(&key()), Some(verdict));
        assert_eq!(store.parity(&EngineKey { precision: "int8".into(), ..key() }), None);
    }
}
