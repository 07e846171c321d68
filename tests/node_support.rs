//! The live node and a peer for it: both are processes, each test has a DDS domain of its own, and
//! nothing leaves this computer.

use crate::support::{python_packages, skip};
use rostro::runtime;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest wait for anything here; a machine that builds beside the tests is slow.
const PATIENCE: Duration = Duration::from_mins(1);

/// A domain that no other test of this process has, and hardly any other process on this machine.
pub(crate) fn own_domain() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = (std::process::id() % 13) as u16;
    11 + process * 16 + NEXT.fetch_add(1, Ordering::Relaxed) % 16
}

/// A running `rostro node`.
pub(crate) struct LiveNode {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) domain: u16,
}

impl LiveNode {
    /// Starts it with these parameters and waits until it is active.
    pub(crate) fn start(domain: u16, folder: &Path, parameters: &str, arguments: &[&str]) -> Self {
        let mut node = Self::spawn(domain, folder, parameters, arguments);
        node.wait_for_log("is active");
        node
    }

    /// Starts it with these parameters and does not wait.
    pub(crate) fn spawn(domain: u16, folder: &Path, parameters: &str, arguments: &[&str]) -> Self {
        let file = folder.join("params.yaml");
        std::fs::write(&file, parameters).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rostro"));
        command
            .args(["node", "-v", "--params-file"])
            .arg(&file)
            .args(arguments)
            .env("ROS_DOMAIN_ID", domain.to_string())
            .env("ROS_LOCALHOST_ONLY", "1")
            .env("XDG_STATE_HOME", folder.join("state"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, theirs) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                theirs.lock().unwrap().push(line);
            }
        });
        Self { child, log, domain }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub(crate) fn wait_for_log(&mut self, text: &str) {
        let log = Arc::clone(&self.log);
        wait_until(&format!("\"{text}\" in the log"), || {
            let found = log.lock().unwrap().iter().any(|line| line.contains(text));
            if !found && let Ok(Some(status)) = self.child.try_wait() {
                panic!("the node ended with {status}:\n{}", log.lock().unwrap().join("\n"));
            }
            found
        });
    }

    /// Still running.
    pub(crate) fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the node ended with {status}:\n{}", self.log());
        }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal (`INT`, `TERM`).
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it with a signal.
    pub(crate) fn end(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        let mut ended = None;
        wait_until("the node to end", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for LiveNode {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("log of the node:\n{}", self.log());
        }
    }
}

/// Waits until `is_so`, or panics with what was waited for.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = runtime::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited for {what} in vain");
        runtime::sleep(Duration::from_millis(20));
    }
}

/// The peer: `tests/reference/dds_peer.py`.
pub(crate) struct Peer {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it; `None` (and a word) when its packages cannot be had.
    pub(crate) fn start(test: &str, domain: u16) -> Option<Self> {
        let site = python_packages(test, "dds_peer", &["cyclonedds==11.*"])?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/dds_peer.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(domain.to_string())
            .env("PYTHONPATH", site)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut peer = Self { child, commands, answers };
        if peer.read() != Some(json!("ready")) {
            skip(test, "the packages of the DDS peer do not load here");
            return None;
        }
        Some(peer)
    }

    fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    /// Does what the command says.
    pub(crate) fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        self.read().unwrap_or_else(|| panic!("the peer failed at {command}"))
    }

    pub(crate) fn listen(&mut self, topic: &str, kind: &str, latched: bool) {
        self.ask(&json!({"do": "listen", "topic": topic, "type": kind, "latched": latched}));
    }

    /// What came on a topic since the last call.
    pub(crate) fn take(&mut self, topic: &str) -> Vec<Value> {
        self.ask(&json!({"do": "take", "topic": topic})).as_array().unwrap().clone()
    }

    #[expect(clippy::needless_pass_by_value, reason = "written where it is called")]
    pub(crate) fn call(&mut self, service: &str, kind: &str, request: Value) -> Value {
        let answer =
            self.ask(&json!({"do": "call", "service": service, "type": kind, "request": request, "timeout": 60}));
        assert_eq!(answer.get("error"), None, "{service}");
        answer
    }

    /// Publishes a folder of pictures `count` times in all; goes on by itself.
    pub(crate) fn publish(&mut self, topic: &str, frames: &Path, hz: f64, count: usize) {
        self.ask(&json!({"do": "publish", "topic": topic, "frames": frames, "hz": hz, "count": count}));
    }

    /// What was published, at its end.
    pub(crate) fn published(&mut self, topic: &str) -> Vec<Value> {
        self.ask(&json!({"do": "published", "topic": topic})).as_array().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The values of the diagnostics of `/rostro` whose name ends so, from the last message.
pub(crate) fn diagnostics(messages: &[Value], name_end: &str) -> Option<(i64, String, serde_json::Map<String, Value>)> {
    let statuses = messages.last()?["status"].as_array()?;
    let status = statuses.iter().find(|status| status["name"].as_str().is_some_and(|name| name.ends_with(name_end)))?;
    let values = status["values"].as_array()?.iter();
    let values = values.map(|pair| (pair["key"].as_str().unwrap_or_default().to_owned(), pair["value"].clone()));
    Some((status["level"].as_i64()?, status["message"].as_str()?.to_owned(), values.collect()))
}

/// Frame counts of a camera in its diagnostics: received, processed, displaced, failed, waiting.
pub(crate) fn counts(messages: &[Value], camera: &str) -> Option<[u64; 5]> {
    let (_, _, values) = diagnostics(messages, &format!("/input_{camera}"))?;
    let number = |key: &str| values.get(key)?.as_str()?.parse().ok();
    Some([number("received")?, number("processed")?, number("displaced")?, number("failed")?, number("waiting")?])
}

/// Frames of a real clip; where it is not there, of a photograph that moves.
pub(crate) fn clip(test: &str) -> Option<Vec<image::RgbImage>> {
    use image::AnimationDecoder as _;
    if let Some(path) = crate::support::shared("data/video/classroom.gif", test) {
        let file = BufReader::new(std::fs::File::open(path).unwrap());
        let frames = image::codecs::gif::GifDecoder::new(file).unwrap().into_frames();
        return Some(frames.map(|f| image::DynamicImage::ImageRgba8(f.unwrap().into_buffer()).to_rgb8()).collect());
    }
    let picture = photograph(test)?;
    Some((0..30).map(|i| image::imageops::crop_imm(&picture, i, i / 2, 480, 400).to_image()).collect())
}

/// A photograph of one person from the front.
pub(crate) fn photograph(test: &str) -> Option<image::RgbImage> {
    use rostro::model::NoProgress;
    use rostro::model::store::{Bundle, InstallOptions, ModelStore};
    let store = ModelStore::open("").unwrap();
    let pictures = Bundle::load("demo-pictures").unwrap();
    match store.install_bundle(&pictures, &InstallOptions::default(), &mut NoProgress) {
        Ok(pictures) => Some(image::open(pictures.path("astronaut").unwrap()).unwrap().to_rgb8()),
        Err(error) => {
            skip(test, &error.to_string());
            None
        }
    }
}

/// Writes frames as the peer wants raw images.
pub(crate) fn write_raw(folder: &Path, frames: &[image::RgbImage], encoding: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    for (number, frame) in frames.iter().enumerate() {
        let (width, height) = frame.dimensions();
        let data: Vec<u8> = match encoding {
            "bgr8" => frame.pixels().flat_map(|p| [p[2], p[1], p[0]]).collect(),
            _ => frame.as_raw().clone(),
        };
        let about = json!({"width": width, "height": height, "encoding": encoding, "step": width * 3});
        std::fs::write(folder.join(format!("{number:05}.json")), about.to_string()).unwrap();
        std::fs::write(folder.join(format!("{number:05}.bin")), data).unwrap();
    }
    folder.to_owned()
}

/// Writes frames as JPEG files.
pub(crate) fn write_jpeg(folder: &Path, frames: &[image::RgbImage]) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    for (number, frame) in frames.iter().enumerate() {
        let file = std::fs::File::create(folder.join(format!("{number:05}.jpg"))).unwrap();
        frame.write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(file, 90)).unwrap();
    }
    folder.to_owned()
}
