//! `rostro node`.

use super::Outcome;
use super::progress::StderrProgress;
use crate::config::parameters::ParameterValue;
use crate::config::{CameraTransport, Config, NODE_NAME, is_ros_parameter, parameters_in};
use crate::dds::{self, Dds, DdsOptions};
use crate::node::names::{Names, RosArguments};
use crate::node::parameters::{Parameters, USE_SIM_TIME};
use crate::node::transport::Transport as _;
use crate::node::{Node, camera_topic};
use crate::runtime::{STAGE_TARGET, StageTimes, StopSignal};
use anyhow::Context as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;

/// Run the live ROS 2 node: cameras in, people out.
///
/// This build speaks DDS by itself and needs no ROS 2 on the machine; ROS 2 nodes of the same domain
/// see it as one of theirs (ROS_DOMAIN_ID and ROS_LOCALHOST_ONLY are read as usual). It runs until
/// SIGINT (Ctrl-C) or SIGTERM, and then ends with exit code 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Listens (per camera NAME of the parameter `cameras`, by default one called camera):
  NAME/image              sensor_msgs/Image             with camera_transport: raw
  NAME/image/compressed   sensor_msgs/CompressedImage   with camera_transport: compressed
Publishes:
  ~/people                rostro/People                 everyone in view, for every processed image
  ~/events                rostro/PersonEvent            what changed; the last 50 for late subscribers
  ~/known_people          rostro/KnownPeople            the gallery
  ~/annotated             sensor_msgs/Image             who is where, when somebody subscribes
  ~/annotated/compressed  sensor_msgs/CompressedImage   the same as JPEG
  /diagnostics            diagnostic_msgs/DiagnosticArray
Serves ~/enrol ~/set_name ~/merge ~/forget ~/list_people ~/export_person ~/identify ~/enable ~/reset
~/forget_all, and the parameter services.

Examples:
  rostro node --image /head_camera/image_raw
  rostro node --params-file robot.yaml --namespace robot1
  rostro node --ros-args -r camera/image:=/head/image_raw -p camera_transport:=compressed
  ROS_DOMAIN_ID=7 ROS_LOCALHOST_ONLY=1 rostro node -v

Exit codes: 0 ended by a signal, 1 could not start, 2 wrong usage")]
pub(super) struct NodeArgs {
    /// Image topic of the first camera (remaps NAME/image, or NAME/image/compressed).
    #[arg(long, value_name = "TOPIC")]
    image: Option<String>,

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

    /// What every ROS 2 node understands: -r from:=to, -r __ns:=NS, -r __node:=NAME, -p name:=value,
    /// --params-file FILE, --log-level LEVEL.
    #[arg(long, value_name = "ARGS", num_args = 0.., allow_hyphen_values = true, value_terminator = "--")]
    ros_args: Vec<String>,
}

/// How often the node looks after itself.
const TICK: Duration = Duration::from_millis(50);

pub(super) fn run(args: &NodeArgs) -> anyhow::Result<Outcome> {
    let ros = RosArguments::parse(&args.ros_args)?;
    let (config, use_sim_time) = settings(args, &ros)?;
    let names = names(args, &ros, &config)?;
    let stop = StopSignal::install().context("signals cannot be handled")?;
    let mut transport = Dds::join(&dds_options(&config)?, names)?;
    if config.camera_transport == CameraTransport::Raw
        && let Some(advice) = dds::buffer_advice(None)
    {
        tracing::warn!("{advice}");
    }
    let mut node = Node::new(&mut transport, config.clone(), use_sim_time)?;
    let (changed, changes) = mpsc::channel();
    let on_change = move |config: &Config| drop(changed.send(config.clone()));
    let parameters = Parameters::new(config.clone(), use_sim_time, on_change);
    let _parameter_services = parameters.serve(&mut transport, node.clock())?;
    node.configure(&mut transport, config, &mut StderrProgress::default())?;
    node.activate(&mut transport)?;
    tracing::info!("{} is active ({})", transport.node_name(), transport.name());
    while !stop.is_set() {
        transport.spin(TICK);
        for config in changes.try_iter() {
            node.reconfigure(config);
        }
        node.tick(&transport);
    }
    tracing::info!("{} was asked to end", transport.node_name());
    node.cleanup()?;
    Ok(Outcome::Done)
}

/// Files first, in their order, then single parameters, as ROS does it.
fn settings(args: &NodeArgs, ros: &RosArguments) -> anyhow::Result<(Config, bool)> {
    let mut changes = Vec::new();
    for path in args.params_file.iter().cloned().chain(ros.params_files.iter().map(PathBuf::from)) {
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        changes.extend(parameters_in(&text).with_context(|| path.display().to_string())?);
    }
    for (name, value) in &ros.parameters {
        changes.push((name.clone(), ParameterValue::from_yaml(value).with_context(|| format!("-p {name}"))?));
    }
    let (of_ros, own): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(name, _)| is_ros_parameter(name));
    let sim_time = of_ros.iter().rev().find(|(name, _)| name == USE_SIM_TIME);
    let use_sim_time = match sim_time {
        None => false,
        Some((_, ParameterValue::Bool(value))) => *value,
        Some((_, other)) => anyhow::bail!("{USE_SIM_TIME} is {other}, it must be true or false"),
    };
    Ok((Config::default().with_overrides(&own)?, args.use_sim_time || use_sim_time))
}

fn names(args: &NodeArgs, ros: &RosArguments, config: &Config) -> anyhow::Result<Names> {
    let namespace = args.namespace.as_deref().or(ros.namespace.as_deref()).unwrap_or_default();
    let node = args.name.as_deref().or(ros.node.as_deref()).unwrap_or(NODE_NAME);
    let mut remaps = ros.remaps.clone();
    if let (Some(topic), Some(camera)) = (&args.image, config.cameras.first()) {
        remaps.insert(0, (camera_topic(config, camera).0, topic.clone()));
    }
    Ok(Names::new(namespace, node, remaps)?)
}

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
        (0, Some("debug" | "DEBUG")) | (1, _) => "info,rostro=debug,ort=warn",
        (0, Some("warn" | "WARN")) => "warn",
        (0, Some("error" | "ERROR" | "fatal" | "FATAL")) => "error",
        (0, _) => "warn,rostro=info",
        _ => "debug,rostro=trace",
    };
    let filter = EnvFilter::new(format!("{level},{}", dds::QUIET.join(",")));
    let stages = Targets::new().with_target(STAGE_TARGET, tracing::Level::TRACE);
    tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(|| super::bar::LogWriter)
                .with_ansi(std::io::stderr().is_terminal())
                .with_filter(filter),
        )
        .with(StageTimes.with_filter(stages))
        .init();
}
