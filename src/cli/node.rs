//! `rostro node`.

use super::Outcome;
use super::progress::StderrProgress;
use crate::assembly;
use crate::config::parameters::ParameterValue;
use crate::config::{CameraTransport, Config, NODE_NAME, is_ros_parameter, parameters_in};
#[cfg(feature = "dds")]
use crate::dds::{self, Dds, DdsOptions};
use crate::node::managed::{self, Loader};
use crate::node::names::{Names, RosArguments};
use crate::node::parameters::USE_SIM_TIME;
#[cfg(feature = "ros")]
use crate::ros::{Ros, RosLog};
use crate::runtime::{STAGE_TARGET, StageTimes, StopSignal};
use anyhow::Context as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;

/// Run the live ROS 2 node: cameras in, people out.
///
/// Built with ROS 2 (`colcon build`) it is a node like any other. Built without, it speaks DDS by
/// itself and needs no ROS 2 on the machine; ROS 2 nodes of the same domain see it as one of theirs
/// (ROS_DOMAIN_ID and ROS_LOCALHOST_ONLY are read as usual). It runs until SIGINT (Ctrl-C) or SIGTERM,
/// and then ends with exit code 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Listens (per camera NAME of the parameter `cameras`, by default one called camera):
  NAME/image              sensor_msgs/Image             with camera_transport: raw
  NAME/image/compressed   sensor_msgs/CompressedImage   with camera_transport: compressed
  NAME/camera_info        sensor_msgs/CameraInfo        for distances, head poses and transforms
Publishes:
  ~/people                rostro/People                 everyone in view, for every processed image
  ~/events                rostro/PersonEvent            what changed; the last 50 for late subscribers
  ~/known_people          rostro/KnownPeople            the gallery
  ~/detections            vision_msgs/Detection2DArray  boxes, when somebody subscribes
  ~/primary_person_pose   geometry_msgs/PoseStamped     the nearest head
  ~/annotated             sensor_msgs/Image             who is where, when somebody subscribes
  ~/annotated/compressed  sensor_msgs/CompressedImage   the same as JPEG
  /tf                     tf2_msgs/TFMessage            face_ID and gaze_ID, of calibrated cameras
  /humans/...             hri_msgs                      with output.mode ros4hri or ros4hri_standalone
  /diagnostics            diagnostic_msgs/DiagnosticArray
Serves ~/enrol ~/set_name ~/merge ~/forget ~/list_people ~/export_person ~/identify ~/enable ~/reset
~/forget_all, and those of parameters and of the lifecycle.

Examples:
  rostro node --image /head_camera/image_raw
  rostro node --params-file robot.yaml --namespace robot1
  rostro node --ros-args -p output.mode:=ros4hri_standalone
  rostro node --ros-args -r camera/image:=/head/image_raw -p camera_transport:=compressed
  ROS_DOMAIN_ID=7 ROS_LOCALHOST_ONLY=1 rostro node -v

Exit codes: 0 ended by a signal, 1 could not start, 2 wrong usage")]
pub(super) struct NodeArgs {
    /// Image topic of the first camera, in place of NAME/image; compressed images are taken from
    /// TOPIC/compressed, the calibration from camera_info beside TOPIC.
    #[arg(long, value_name = "TOPIC")]
    image: Option<String>,

    /// Calibration of the first camera, in place of NAME/camera_info or of what is beside --image.
    #[arg(long, value_name = "TOPIC")]
    camera_info: Option<String>,

    /// Parameters: a ROS 2 parameter file, or the tree itself; may be repeated, later ones win.
    /// `rostro params` lists them.
    #[arg(long, value_name = "YAML")]
    params_file: Vec<PathBuf>,

    /// Namespace of the node.
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,

    /// Name of the node.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Follow /clock, as when a bag is played with --clock.
    #[arg(long)]
    use_sim_time: bool,

    /// What carries the messages.
    #[arg(long, value_enum, default_value_t)]
    transport: Middleware,

    /// What every ROS 2 node understands: -r from:=to, -r __ns:=NS, -r __node:=NAME, -p name:=value,
    /// --params-file FILE, --log-level LEVEL.
    #[arg(long, value_name = "ARGS", num_args = 0.., allow_hyphen_values = true, value_terminator = "--")]
    ros_args: Vec<String>,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Middleware {
    /// The ROS 2 of this machine, under any RMW.
    #[cfg(feature = "ros")]
    #[default]
    R2r,
    /// DDS without ROS 2.
    #[cfg(feature = "dds")]
    #[cfg_attr(not(feature = "ros"), default)]
    Dds,
}

pub(super) fn run(args: &NodeArgs) -> anyhow::Result<Outcome> {
    let stop = StopSignal::install().context("signals cannot be handled")?;
    match args.transport {
        #[cfg(feature = "ros")]
        Middleware::R2r => over_ros(args, &stop)?,
        #[cfg(feature = "dds")]
        Middleware::Dds => over_dds(args, &stop)?,
    }
    Ok(Outcome::Done)
}

#[cfg(feature = "dds")]
fn over_dds(args: &NodeArgs, stop: &StopSignal) -> anyhow::Result<()> {
    let ros = RosArguments::parse(&args.ros_args)?;
    anyhow::ensure!(
        ros.enclave.is_none(),
        "--enclave asks for DDS security, which the transport dds does not have; use the node that colcon builds"
    );
    let mut names = names(args, &ros)?;
    let files = args.params_file.iter().cloned().chain(ros.params_files.iter().map(PathBuf::from));
    let mut given = in_files(files, &names.full_name())?;
    for (name, value) in &ros.parameters {
        given.push((name.clone(), ParameterValue::from_yaml(value).with_context(|| format!("-p {name}"))?));
    }
    let (config, use_sim_time) = settings(args, given)?;
    names.remaps.splice(0..0, image_remaps(args, &config, &ros.remaps));
    let mut transport = Dds::join(&dds_options(&config)?, names)?;
    if config.camera_transport == CameraTransport::Raw
        && let Some(advice) = dds::buffer_advice(None)
    {
        tracing::warn!("{advice}");
    }
    managed::run(&mut transport, config, use_sim_time, stop, loader())
}

#[cfg(feature = "ros")]
fn over_ros(args: &NodeArgs, stop: &StopSignal) -> anyhow::Result<()> {
    // Read here too, for the names in diagnostics, and because rcl ends the program over a mistake.
    let ros = RosArguments::parse(&args.ros_args)?;
    let names = names(args, &ros)?;
    let mut given = in_files(args.params_file.iter().cloned(), &names.full_name())?;
    let (mut transport, of_rcl) = Ros::join(names)?;
    given.extend(of_rcl);
    let (config, use_sim_time) = settings(args, given)?;
    transport.remap(image_remaps(args, &config, &ros.remaps));
    managed::run(&mut transport, config, use_sim_time, stop, loader())
}

/// Loads what a configuration asks for. Every loader runs its network once, so that the first image
/// meets warm ones.
fn loader() -> Loader {
    Arc::new(|config: &Config| assembly::load_node_pipeline(config, &mut StderrProgress::default()))
}

/// What parameter files set for `node`, in their order.
fn in_files(paths: impl Iterator<Item = PathBuf>, node: &str) -> anyhow::Result<Vec<(String, ParameterValue)>> {
    let mut found = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        found.extend(parameters_in(&text, node).with_context(|| path.display().to_string())?);
    }
    Ok(found)
}

/// The configuration with everything that was given, the later the stronger, and `use_sim_time`.
fn settings(args: &NodeArgs, given: Vec<(String, ParameterValue)>) -> anyhow::Result<(Config, bool)> {
    let (of_ros, own): (Vec<_>, Vec<_>) = given.into_iter().partition(|(name, _)| is_ros_parameter(name));
    let sim_time = of_ros.iter().rev().find(|(name, _)| name == USE_SIM_TIME);
    let use_sim_time = match sim_time {
        None => false,
        Some((_, ParameterValue::Bool(value))) => *value,
        Some((_, other)) => anyhow::bail!("{USE_SIM_TIME} is {other}, it must be true or false"),
    };
    Ok((Config::default().with_overrides(&own)?, args.use_sim_time || use_sim_time))
}

fn names(args: &NodeArgs, ros: &RosArguments) -> anyhow::Result<Names> {
    let namespace = args.namespace.as_deref().or(ros.namespace.as_deref()).unwrap_or_default();
    let node = args.name.as_deref().or(ros.node.as_deref()).unwrap_or(NODE_NAME);
    Ok(Names::new(namespace, node, ros.remaps.clone())?)
}

/// `--image` is the base of both kinds of images of the first camera; its calibration is beside it, unless
/// `--camera-info` or a rule of its own says where it is.
fn image_remaps(args: &NodeArgs, config: &Config, given: &[(String, String)]) -> Vec<(String, String)> {
    let Some(camera) = config.cameras.first() else { return Vec::new() };
    let info = format!("{camera}/camera_info");
    let mut remaps = Vec::new();
    if let Some(topic) = &args.camera_info {
        remaps.push((info.clone(), topic.clone()));
    }
    let Some(topic) = &args.image else { return remaps };
    let base = topic.strip_suffix("/compressed").unwrap_or(topic);
    remaps.push((format!("{camera}/image"), base.to_owned()));
    remaps.push((format!("{camera}/image/compressed"), format!("{base}/compressed")));
    let is_given = given.iter().any(|(from, _)| from.trim_start_matches('/') == info);
    if args.camera_info.is_none() && !is_given {
        // A relative topic without a folder has its calibration in the node's namespace.
        let beside =
            base.rsplit_once('/').map_or("camera_info".to_owned(), |(folder, _)| format!("{folder}/camera_info"));
        remaps.push((info, beside));
    }
    remaps
}

#[cfg(feature = "dds")]
fn dds_options(config: &Config) -> anyhow::Result<DdsOptions> {
    let variable = |name: &str| std::env::var(name).ok();
    let found =
        DdsOptions::from_environment(variable("ROS_DOMAIN_ID").as_deref(), variable("ROS_LOCALHOST_ONLY").as_deref())?;
    let domain = config.dds.domain.map(u16::try_from).transpose().context("dds.domain")?;
    Ok(DdsOptions { domain: domain.unwrap_or(found.domain), ..found })
}

/// A node's log: what happens is told, with the time; the stages of the line are measured beside it.
pub(super) fn start_logging(args: &NodeArgs, verbose: u8) {
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
    use tracing_subscriber::util::SubscriberInitExt as _;
    let wanted = RosArguments::parse(&args.ros_args).ok().and_then(|ros| ros.log_level);
    let level = match (verbose, wanted.as_deref().map(|level| level.rsplit(":=").next().unwrap_or(level))) {
        (0, Some("debug" | "DEBUG")) | (1, _) => "warn,rostro=debug",
        (0, Some("warn" | "WARN")) => "warn",
        (0, Some("error" | "ERROR" | "fatal" | "FATAL")) => "error",
        (0, _) => "warn,rostro=info",
        _ => "debug,rostro=trace",
    };
    #[cfg(feature = "dds")]
    let level = format!("{level},{}", dds::QUIET.join(","));
    #[cfg(feature = "ros")]
    let level = format!("{level},{}", crate::ros::QUIET);
    let filter = EnvFilter::new(level);
    let stages = StageTimes.with_filter(Targets::new().with_target(STAGE_TARGET, tracing::Level::TRACE));
    let registry = tracing_subscriber::registry().with(stages);
    #[cfg(feature = "ros")]
    if args.transport == Middleware::R2r {
        return registry.with(RosLog { verbose: verbose > 0 }.with_filter(filter)).init();
    }
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(|| super::bar::LogWriter)
        .with_ansi(std::io::stderr().is_terminal());
    registry.with(stderr.with_filter(filter)).init();
}
