//! `rostro models`, as a user meets it: what goes wrong on real machines, each with a clear message.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rostro"));
        command.arg("models").arg("--cache-dir").arg(self.cache()).args(args).env_remove("ORT_DYLIB_PATH");
        command.stdin(std::process::Stdio::null());
        command
    }

    /// stderr of a command that must fail with exit code 1.
    fn failure(&self, command: &mut Command) -> String {
        let ended = command.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(!self.cache().join("partial").exists(), "rubbish was left behind");
        said
    }

    /// A manifest of one file, lying beside it.
    fn manifest_beside(&self, weights: &[u8], sha256: &str) -> PathBuf {
        std::fs::write(self.folder.path().join("m.onnx"), weights).unwrap();
        let text = format!(
            r#"manifest = 1
name = "mine"
pack = "open"
role = "landmarks"
decoder = "dlib_shape"
license = "MIT"
commercial_use = true
source = "a test"
training_data = "none"
download_mb = 0.0
[[file]]
part = "model"
name = "m.onnx"
sha256 = "{sha256}"
[file.from]
by = "beside"
"#
        );
        let path = self.folder.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An executable `python3` in a folder of its own.
fn python3_that(folder: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = bin.join("python3");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[test]
fn the_list_names_every_model_and_its_terms() {
    let machine = Machine::new();
    let listed = json(&machine.command(&["list", "--json"]).output().unwrap());
    let models = listed["models"].as_array().unwrap();
    let mtcnn = models.iter().find(|model| model["name"] == "mtcnn").unwrap();
    assert_eq!(
        (&mtcnn["state"], &mtcnn["pack"], &mtcnn["license"]),
        (&"missing".into(), &"open".into(), &"MIT".into())
    );
    for model in models {
        assert_eq!(model["commercial_use"], model["pack"] != "research", "{model}");
    }
    let table = machine.command(&["list"]).output().unwrap();
    assert!(String::from_utf8(table.stdout).unwrap().contains("arcface-r100"));
    assert!(!machine.cache().exists(), "a list changes nothing");
}

#[test]
fn without_python_it_says_what_to_install() {
    let machine = Machine::new();
    let said = machine.failure(machine.command(&["install", "mtcnn"]).env("PATH", ""));
    assert!(said.contains("python3 cannot be started") && said.contains("apt install python3-pip"), "{said}");
    assert!(said.contains("rostro models install mtcnn --from FILE"), "{said}");
}

#[test]
fn without_pip_it_says_what_to_install() {
    let machine = Machine::new();
    let bin = python3_that(machine.folder.path(), "echo '/usr/bin/python3: No module named pip' >&2; exit 1");
    let said = machine.failure(machine.command(&["install", "mtcnn"]).env("PATH", bin));
    assert!(said.contains("which this python3 does not have") && said.contains("apt install python3-pip"), "{said}");
}

#[test]
fn without_a_network_it_says_how_to_fetch_by_hand() {
    let machine = Machine::new();
    // Nobody listens on the discard port.
    let index = "http://127.0.0.1:9/simple";
    let mut command = machine.command(&["install", "mtcnn"]);
    command.env("PIP_INDEX_URL", index).env("PIP_RETRIES", "1").env_remove("PIP_EXTRA_INDEX_URL");
    let said = machine.failure(&mut command);
    assert_eq!(said.matches("no network").count(), 1, "{said}");
    assert!(said.contains("facenet-pytorch 2.6.0"), "{said}");
    assert!(said.contains("pip download --no-deps") && said.contains("facenet-pytorch==2.6.0"), "{said}");
    assert!(said.contains("rostro models install mtcnn --from FILE"), "{said}");
}

#[test]
fn a_package_that_the_index_lacks_is_named() {
    let machine = Machine::new();
    let said = machine.failure(machine.command(&["install", "mtcnn"]).env("PIP_NO_INDEX", "1"));
    assert!(said.contains("pip could not fetch facenet-pytorch 2.6.0"), "{said}");
}

#[test]
fn a_package_that_pip_did_not_check_is_checked() {
    let machine = Machine::new();
    // Puts a file where pip would have: the argument after --dest.
    let script = "while [ \"$1\" != --dest ]; do shift; done; echo evil > \"$2/facenet.whl\"";
    let bin = python3_that(machine.folder.path(), script);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let said = machine.failure(machine.command(&["install", "mtcnn"]).env("PATH", path));
    assert!(said.contains("facenet-pytorch 2.6.0 has SHA-256") && said.contains("expected ecb82b27"), "{said}");
}

#[test]
fn research_models_are_installed_only_by_those_who_agree() {
    let machine = Machine::new();
    let said = machine.failure(&mut machine.command(&["install", "arcface-r50"]));
    assert!(said.contains("non-commercial research only") && said.contains("--accept-license"), "{said}");
}

#[test]
fn an_unwritable_folder_is_named() {
    let machine = Machine::new();
    let file = machine.folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rostro"));
    command.args(["models", "install", "mtcnn", "--cache-dir"]).arg(file.join("cache"));
    let said = machine.failure(&mut command);
    assert!(said.contains("cannot write") && said.contains("file/cache"), "{said}");
}

#[test]
fn verify_finds_what_was_altered() {
    let machine = Machine::new();
    // SHA-256 of "weights".
    let hash = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c";
    let manifest = machine.manifest_beside(b"other", hash);
    let said = machine.failure(machine.command(&["verify"]).arg(&manifest));
    assert!(said.contains("missing or altered"), "{said}");
    let verified = machine.command(&["verify", "--json"]).output().unwrap();
    assert_eq!(json(&verified)["files"], Value::Array(Vec::new()));
}

#[test]
fn a_wrong_file_given_by_hand_is_refused_with_both_hashes() {
    let machine = Machine::new();
    let file = machine.folder.path().join("yunet.onnx");
    std::fs::write(&file, "not it").unwrap();
    let said = machine.failure(machine.command(&["install", "yunet-n-640", "--from"]).arg(&file));
    assert!(said.contains("yunet.onnx") && said.contains("25a606a145a5"), "{said}");
}

#[test]
fn a_model_is_installed_from_a_file_at_hand() {
    let Some(data) = crate::support::shared("models/yunet_n_640_640.onnx", "installing YuNet from a file") else {
        return;
    };
    let machine = Machine::new();
    let installed =
        json(&machine.command(&["install", "yunet-n-640", "--json", "--from"]).arg(&data).output().unwrap());
    let path = installed["installed"][0]["files"][0].as_str().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), std::fs::read(data).unwrap());
    // Cut short, it is found, and repaired from the file.
    std::fs::write(path, "PK").unwrap();
    let said = machine.failure(&mut machine.command(&["verify"]));
    assert!(said.contains("rostro models install yunet-n-640"), "{said}");
}

#[test]
fn two_processes_at_once_both_end_well() {
    let Some(data) = crate::support::shared("models/yunet_n_640_640.onnx", "two installing processes") else { return };
    let machine = Machine::new();
    let spawn = || {
        let mut command = machine.command(&["install", "yunet-n-640", "--from"]);
        command.arg(&data).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..4).map(|_| spawn()).collect();
    for process in processes {
        let ended = process.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert!(machine.command(&["verify", "yunet-n-640"]).output().unwrap().status.success());
}
