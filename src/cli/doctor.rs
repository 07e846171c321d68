//! `rostro doctor`.

use super::params::read_config;
use super::{Outcome, Output};
use crate::assembly;
use crate::config::{Config, OutputMode, Provider};
use crate::model::NoProgress;
use crate::model::machine::Machine;
use crate::model::runtime::{self, FoundBy};
use crate::model::store::{Bundle, FileState, ModelStore};
use crate::onnx::{self, Runtime};
use crate::wire::Message as _;
use crate::wire::geometry::TfMessage;
use crate::wire::hri::IdsList;
use crate::wire::vision::Detection2DArray;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Say what this machine can run, what it cannot, and what to do about that.
///
/// Looks at the machine, ONNX Runtime, the models and the folders, tries every provider, loads the networks of
/// the settings and reports where ONNX Runtime really put them. Fetches nothing and changes no setting.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 the line can run with these settings, 1 it cannot, 2 wrong usage")]
pub(super) struct DoctorArgs {
    /// Settings to check.
    #[arg(long, value_name = "YAML")]
    params_file: Option<PathBuf>,
}

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be, or a plain fact.
    Ok,
    /// Not there, and not needed for these settings.
    No,
    /// It works, but something will be missed.
    Warn,
    /// The line cannot run.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    about: String,
    level: Level,
    text: String,
}

#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    can_run: bool,
    findings: Vec<Finding>,
    machine: Machine,
}

pub(super) fn run(args: &DoctorArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = read_config(args.params_file.as_deref())?;
    let machine = Machine::look();
    let mut doctor = Doctor { findings: Vec::new() };
    doctor.look_at_machine(&machine);
    doctor.look_at_networks(&config, &machine)?;
    doctor.look_at_folders(&config);
    doctor.look_at_tools();
    doctor.look_at_messages(&config);
    let findings = doctor.findings;
    let can_run = findings.iter().all(|finding| finding.level != Level::Error);
    let text: String = findings.iter().map(Finding::line).collect();
    let report = Report { version: env!("CARGO_PKG_VERSION"), can_run, findings, machine };
    output.result(&report, &text)?;
    anyhow::ensure!(can_run, "the line cannot run here with these settings; see the lines marked with !!");
    Ok(Outcome::Done)
}

impl Finding {
    fn line(&self) -> String {
        let mark = match self.level {
            Level::Ok => "ok",
            Level::No => "--",
            Level::Warn => " !",
            Level::Error => "!!",
        };
        format!("{mark}  {:22}  {}\n", self.about, self.text)
    }
}

struct Doctor {
    findings: Vec<Finding>,
}

impl Doctor {
    fn say(&mut self, about: &str, level: Level, text: impl Into<String>) {
        self.findings.push(Finding { about: about.to_owned(), level, text: text.into() });
    }

    fn look_at_machine(&mut self, machine: &Machine) {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        self.say("machine", Level::Ok, format!("{system} {processor}, {cores} cores for this process"));
        let parts = [
            ("graphics processor", &machine.gpu),
            ("driver", &machine.driver),
            ("JetPack's Linux", &machine.l4t),
            ("CUDA", &machine.cuda),
            ("cuDNN", &machine.cudnn),
            ("TensorRT", &machine.tensorrt),
        ];
        for (about, found) in parts {
            match found {
                Some(found) => self.say(about, Level::Ok, found.clone()),
                None if machine.gpu.is_some() && about != "JetPack's Linux" && about != "driver" => {
                    self.say(about, Level::Warn, "not found; in a container: is it part of the image?");
                }
                None if about == "JetPack's Linux" => {}
                None => self.say(about, Level::No, "not found"),
            }
        }
    }

    fn look_at_networks(&mut self, config: &Config, machine: &Machine) -> anyhow::Result<()> {
        let store = ModelStore::open(&config.inference.cache_dir)?;
        let library = self.look_at_library(&store)?;
        let have_all = self.look_at_models(&store, config)?;
        let Some(library) = library else { return Ok(()) };
        let runtime = match Runtime::start(&library, &config.inference) {
            Ok(runtime) => runtime,
            Err(error) => {
                self.say("ONNX Runtime", Level::Error, error.to_string());
                return Ok(());
            }
        };
        for (name, provider) in [("tensorrt", Provider::TensorRt), ("cuda", Provider::Cuda)] {
            match onnx::check_provider(&runtime, provider) {
                Ok(()) => self.say(&format!("provider {name}"), Level::Ok, "can be registered"),
                Err(reason) => {
                    let missed = machine.gpu.is_some() || config.inference.provider == provider;
                    let level = if missed { Level::Warn } else { Level::No };
                    let reason = reason.lines().next().unwrap_or_default();
                    let advice = if missed { "; docs/orin.md and docker/Dockerfile show what it needs" } else { "" };
                    self.say(&format!("provider {name}"), level, format!("{reason}{advice}"));
                }
            }
        }
        if have_all {
            self.load_networks(config, machine);
        }
        Ok(())
    }

    fn look_at_library(&mut self, store: &ModelStore) -> anyhow::Result<Option<PathBuf>> {
        match runtime::find_on_machine() {
            Ok(Some(library)) => {
                self.say("ONNX Runtime", Level::Ok, library.to_string());
                return Ok(Some(library.path));
            }
            Ok(None) => {}
            Err(error) => {
                self.say("ONNX Runtime", Level::Error, error.to_string());
                return Ok(None);
            }
        }
        let Some(bundle) = runtime::bundle() else {
            let text = "none is known for this machine: install one and name it in ORT_DYLIB_PATH";
            self.say("ONNX Runtime", Level::Error, text);
            return Ok(None);
        };
        let files = store.verify(&bundle)?;
        let Some((path, _)) = files.iter().find(|(_, state)| *state == FileState::Right) else {
            self.say("ONNX Runtime", Level::Error, "not there yet; to fetch it: rostro models install onnxruntime");
            return Ok(None);
        };
        self.say("ONNX Runtime", Level::Ok, format!("{} ({}; CPU only)", path.display(), FoundBy::Package));
        Ok(Some(path.clone()))
    }

    /// Whether all models of the settings are installed.
    fn look_at_models(&mut self, store: &ModelStore, config: &Config) -> anyhow::Result<bool> {
        let mut have_all = true;
        for name in assembly::model_names(config)? {
            let files = store.verify(&Bundle::load(&name)?)?;
            let about = format!("model {name}");
            if files.iter().all(|(_, state)| *state == FileState::Right) {
                self.say(&about, Level::Ok, "installed");
            } else {
                have_all = false;
                let is_altered = files.iter().any(|(_, state)| matches!(state, FileState::Altered { .. }));
                let state = if is_altered { "altered" } else { "not there yet" };
                self.say(&about, Level::Error, format!("{state}; to install it: rostro models install {name}"));
            }
        }
        Ok(have_all)
    }

    fn load_networks(&mut self, config: &Config, machine: &Machine) {
        if let Err(error) = assembly::load_pipeline(config, &mut NoProgress) {
            self.say("networks", Level::Error, format!("{error:#}"));
            return;
        }
        for (network, place) in onnx::providers_in_use() {
            let is_missed = machine.gpu.is_some() && place.placement.single() == Some("cpu");
            let level = if is_missed && config.inference.provider != Provider::Cpu { Level::Warn } else { Level::Ok };
            let hint =
                if level == Level::Warn { "; with -v the log says why not on the graphics processor" } else { "" };
            let text = format!("runs on {} (given to {}){hint}", place.placement, place.given_to);
            self.say(&format!("network {network}"), level, text);
        }
    }

    fn look_at_folders(&mut self, config: &Config) {
        match assembly::gallery_path(config) {
            Ok(path) => {
                let (level, text) = writable(&path);
                self.say("gallery", level, text);
            }
            Err(error) => self.say("gallery", Level::Error, format!("{error:#}")),
        }
    }

    fn look_at_tools(&mut self) {
        let tools = [
            ("pip", ["python3", "-m", "pip", "--version"].as_slice(), "fetches models: install python3-pip"),
            ("ffmpeg", ["ffmpeg", "-version"].as_slice(), "reads video files in rostro replay"),
        ];
        for (about, command, what_for) in tools {
            let (program, arguments) = (command[0], &command[1..]);
            let quiet = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
            match quiet {
                Ok(status) if status.success() => self.say(about, Level::Ok, "found"),
                _ => self.say(about, Level::No, format!("not found; it {what_for}")),
            }
        }
        match std::env::var("ROS_DISTRO") {
            Ok(distro) => self.say("ROS 2", Level::Ok, format!("{distro} is sourced")),
            Err(_) => self.say("ROS 2", Level::No, "not sourced; rostro node then speaks DDS by itself"),
        }
        let transport = if cfg!(feature = "ros") { "r2r (inside ROS 2)" } else { "dds (without ROS 2)" };
        self.say("transport", Level::Ok, transport);
        #[cfg(feature = "dds")]
        if let Some(advice) = crate::dds::buffer_advice(None) {
            self.say("socket buffers", Level::Warn, advice);
        }
    }

    /// Packages of messages that ROS 2 need not have: without them some topics are not there.
    fn look_at_messages(&mut self, config: &Config) {
        let asks_for_humans = config.output.mode != OutputMode::Aggregate;
        for (message, topics, is_asked_for) in [
            (IdsList::TYPE, "/humans (REP-155)", asks_for_humans),
            (Detection2DArray::TYPE, "~/detections", false),
            (TfMessage::TYPE, "/tf", config.tf.publish),
        ] {
            let package = message.split('/').next().unwrap_or(message);
            if has_type(message) {
                self.say(package, Level::Ok, format!("built in, for {topics}"));
            } else {
                let level = if is_asked_for { Level::Warn } else { Level::No };
                let installed = package.replace('_', "-");
                self.say(
                    package,
                    level,
                    format!("not there, so no {topics}: install ros-$ROS_DISTRO-{installed} and build rostro again"),
                );
            }
        }
    }
}

/// Whether messages of this type can be sent: inside ROS 2 only those of packages that were there at the build.
#[cfg(feature = "ros")]
fn has_type(message: &str) -> bool {
    crate::ros::has_type(message)
}

/// Without ROS 2 every message is our own.
#[cfg(not(feature = "ros"))]
const fn has_type(_: &str) -> bool {
    true
}

/// Whether a file can be made or changed there; nothing is written.
fn writable(path: &Path) -> (Level, String) {
    let shown = path.display();
    if path.is_dir() {
        return (Level::Error, format!("{shown} is a folder; gallery.path names a file, such as {shown}/people.db"));
    }
    let existing = path.ancestors().find(|ancestor| ancestor.exists());
    let is_readonly = existing.and_then(|found| found.metadata().ok()).is_none_or(|data| data.permissions().readonly());
    if is_readonly {
        return (Level::Error, format!("{shown} cannot be written; set gallery.path"));
    }
    (Level::Ok, if path.exists() { shown.to_string() } else { format!("{shown}, not there yet") })
}
