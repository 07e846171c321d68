//! The live node as a robot has it: a camera at 30 Hz, images over DDS, people over DDS. How old people are when
//! they are published, how many images were displaced, how much of a core it takes, how long it starts.
//!
//! ```sh
//! cargo bench --bench live                                       # 640x480, 3 faces, yunet-n-640, one core, a minute
//! cargo bench --bench live -- --detector yunet-n-dynamic --emotion rostro-emotion
//! cargo bench --bench live -- --detector mtcnn --faces 1 --secs 20
//! ```
//!
//! The node is a process of its own, held on one core with `taskset` (Linux); camera and listener are in this one,
//! on the others. It needs a machine that does nothing else.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures and prints")]

use clap::Parser;
use rostro::assembly;
use rostro::bench::frames::{Frames, RATE_HZ};
use rostro::config::Config;
use rostro::dds::{Dds, DdsOptions};
use rostro::demo::photos;
use rostro::frame::Pixels;
use rostro::ids::CameraId;
use rostro::model::NoProgress;
use rostro::model::pictures::demo_pictures;
use rostro::model::store::{InstallOptions, ModelStore};
use rostro::node::names::Names;
use rostro::node::transport::{Connection, Incoming, Publisher, Qos, Transport as _};
use rostro::runtime::system_now;
use rostro::wire::image::{Header, RawImage};
use rostro::wire::{Message as _, cdr, messages};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Until every face is decided and buffers have their size.
const WARM_UP: Duration = Duration::from_secs(8);
/// Longest wait for the first people.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Parser)]
struct Args {
    #[arg(long, default_value = "yunet-n-640")]
    detector: String,
    /// Expression net, by manifest name; `auto` as on a robot.
    #[arg(long, default_value = "auto")]
    emotion: String,
    #[arg(long, default_value_t = 640)]
    width: u32,
    #[arg(long, default_value_t = 480)]
    height: u32,
    #[arg(long, default_value_t = 3)]
    faces: usize,
    /// Time to measure for, after the warm-up.
    #[arg(long, default_value_t = 60.0)]
    secs: f64,
    /// Cores of the node, as `taskset -c` wants them; the others are the camera's.
    #[arg(long, default_value = "0")]
    cores: String,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let frames = compose(&args);
    let folder = tempfile::tempdir().unwrap();
    let domain = 100 + (std::process::id() % 100) as u16;
    keep_off(&args.cores);
    let camera = Camera::join(domain);
    let mut node = Node::start(&args, domain, folder.path());
    let began = Instant::now();

    // The camera runs from the beginning, as on a robot.
    let mut sent = 0;
    let mut show_until = |is_over: &dyn Fn() -> bool| {
        let (before, mut due) = (sent, Instant::now());
        while !is_over() {
            camera.show(&frames, sent);
            sent += 1;
            due += Duration::from_secs_f64(1.0 / RATE_HZ);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        sent - before
    };
    show_until(&|| camera.heard() > 0 || began.elapsed() > PATIENCE);
    assert!(camera.heard() > 0, "the node said nothing for {PATIENCE:?}");
    let start = began.elapsed();
    let warm = Instant::now();
    show_until(&|| warm.elapsed() >= WARM_UP);
    camera.take();
    let (cpu, stolen, measured) = (node.cpu_secs(), stolen_secs(), Instant::now());
    let sent = show_until(&|| measured.elapsed().as_secs_f64() >= args.secs);
    let (secs, cpu) = (measured.elapsed().as_secs_f64(), node.cpu_secs() - cpu);
    let stolen = stolen_secs() - stolen;
    // The last one is still on its way.
    std::thread::sleep(Duration::from_millis(500));
    let peak_mb = node.peak_mb();
    node.end();
    report(&args, &camera.take(), &Run { sent, secs, cpu, stolen, start, peak_mb });
}

struct Run {
    sent: usize,
    secs: f64,
    cpu: f64,
    stolen: f64,
    start: Duration,
    peak_mb: f64,
}

fn report(args: &Args, heard: &[messages::People], run: &Run) {
    let mut config = Config::default();
    config.emotion.model.clone_from(&args.emotion);
    let mut ages: Vec<f64> = heard
        .iter()
        .map(|people| f64::from(people.latency.sec) * 1e3 + f64::from(people.latency.nanosec) * 1e-6)
        .collect();
    ages.sort_by(f64::total_cmp);
    let at =
        |share: f64| ages.get((share * (ages.len().max(1) - 1) as f64).round() as usize).copied().unwrap_or(f64::NAN);
    let displaced: u32 = heard.iter().map(|people| people.displaced).sum();
    let lost = run.sent.saturating_sub(heard.len() + displaced as usize);
    let observed = heard.iter().flat_map(|people| &people.people).filter(|person| person.observed).count();
    let share = |count: usize| 100.0 * count as f64 / run.sent as f64;
    println!(
        "{}, {}, {}x{}, {} faces, node on core {}: {:.1} s at {:.1} Hz",
        args.detector,
        assembly::emotion_model(&config),
        args.width,
        args.height,
        args.faces,
        args.cores,
        run.secs,
        run.sent as f64 / run.secs
    );
    println!(
        "images        {} sent, {} gave people, {displaced} displaced ({:.2} %), {lost} lost on the way ({:.2} %)",
        run.sent,
        heard.len(),
        share(displaced as usize),
        share(lost)
    );
    println!("faces         {:.2} per image", observed as f64 / heard.len().max(1) as f64);
    println!(
        "age           p50 {:.1} ms, p90 {:.1}, p99 {:.1}, most {:.1}; p99 is {:.2} of p50",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        at(0.99) / at(0.5)
    );
    println!(
        "processor     {:.0} % of a core, {:.1} ms per image",
        100.0 * run.cpu / run.secs,
        1e3 * run.cpu / heard.len().max(1) as f64
    );
    println!(
        "machine       {:.1} % of a core was taken away by the host of this machine",
        100.0 * run.stolen / run.secs
    );
    println!("memory        {:.0} MB at most", run.peak_mb);
    println!("start         {:.0} ms from the start of the process to the first people", run.start.as_secs_f64() * 1e3);
}

/// Time that a virtual machine's cores were ready and the host ran something else: with more than a little of it, a run
/// says nothing.
fn stolen_secs() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    // The eighth number of the first line, in hundredths of a second.
    let ticks = text.lines().next().and_then(|line| line.split_whitespace().nth(8));
    ticks.and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0) / 100.0
}

fn compose(args: &Args) -> Frames {
    let store = ModelStore::open("").unwrap();
    let pictures = store.install_bundle(&demo_pictures(), &InstallOptions::default(), &mut NoProgress).unwrap();
    Frames::compose(&photos::cutouts(&pictures).unwrap(), (args.width, args.height), args.faces)
}

/// Leaves the node's cores to the node.
fn keep_off(cores: &str) {
    let all = std::thread::available_parallelism().unwrap().get();
    let others: Vec<String> = (0..all).map(|core| core.to_string()).filter(|core| core != cores).collect();
    let own = std::process::id().to_string();
    let moved = Command::new("taskset").args(["-a", "-cp", &others.join(","), &own]).stdout(Stdio::null()).status();
    if others.is_empty() || !moved.is_ok_and(|status| status.success()) {
        println!("camera and node share a core");
    }
}

/// A camera, and who listens to the people.
struct Camera {
    // Keeps the participant, and what it hears with.
    _dds: Dds,
    _listening: Box<dyn Connection>,
    images: Box<dyn Publisher>,
    people: Arc<Mutex<Vec<messages::People>>>,
}

impl Camera {
    fn join(domain: u16) -> Self {
        let names = Names { namespace: "/".into(), node: "camera".into(), remaps: Vec::new() };
        let mut dds = Dds::join(&DdsOptions { domain, localhost_only: true }, names).unwrap();
        let images = dds.advertise("/camera/image", messages::Image::TYPE, Qos::best_effort()).unwrap();
        let people = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&people);
        let hear = move |message: Result<Incoming, String>| {
            if let Ok(Incoming::Cdr(bytes)) = message {
                heard.lock().unwrap().push(cdr::read(&bytes).unwrap());
            }
        };
        let listening =
            dds.subscribe("/rostro/people", messages::People::TYPE, Qos::reliable(100), Box::new(hear)).unwrap();
        Self { _dds: dds, _listening: listening, images, people }
    }

    fn show(&self, frames: &Frames, tick: usize) {
        let Pixels::Raw(pixels) = frames.frame(&CameraId::default(), tick).pixels else { return };
        let mut message = Vec::new();
        RawImage { header: Header { stamp: system_now(), frame_id: "camera" }, pixels }.encode(&mut message).unwrap();
        self.images.publish(&message).unwrap();
    }

    fn heard(&self) -> usize {
        self.people.lock().unwrap().len()
    }

    fn take(&self) -> Vec<messages::People> {
        std::mem::take(&mut *self.people.lock().unwrap())
    }
}

/// The node's process.
struct Node(Child);

impl Node {
    fn start(args: &Args, domain: u16, folder: &Path) -> Self {
        let parameters = folder.join("live.yaml");
        let models = format!("detector: {{model: {}}}\nemotion: {{model: {}}}\n", args.detector, args.emotion);
        std::fs::write(&parameters, models).unwrap();
        let child = Command::new("taskset")
            .args(["-c", &args.cores, env!("CARGO_BIN_EXE_rostro"), "node", "--params-file"])
            .arg(&parameters)
            .env("ROS_DOMAIN_ID", domain.to_string())
            .env("ROS_LOCALHOST_ONLY", "1")
            .env("XDG_STATE_HOME", folder.join("state"))
            .spawn();
        Self(child.expect("taskset, of util-linux, is needed"))
    }

    /// Time on processors so far.
    fn cpu_secs(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
        // utime and stime, the 14th and 15th field, in hundredths of a second on every Linux.
        (ticks(11) + ticks(12)) / 100.0
    }

    fn peak_mb(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<f64>().unwrap() * 1.024e-3
    }

    fn end(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        self.0.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
