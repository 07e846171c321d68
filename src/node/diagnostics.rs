//! `/diagnostics`, once a second: what comes in, what it costs, where networks run, who is known.

use super::shared::{CameraStatus, GalleryStatus, Shared};
use super::transport::{Offer, Publisher, Qos, Transport, TransportError};
use crate::config::{CameraReliability, CameraTransport, Config};
use crate::ids::CameraId;
use crate::mailbox::FrameCounts;
use crate::runtime::{self, StageTime};
use crate::wire::standard::{DiagnosticArray, DiagnosticStatus, KeyValue};
use crate::wire::{Message as _, cdr, messages};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often diagnostics are published.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
/// Without an image for so long, a camera is suspected.
const WARN_AFTER: Duration = Duration::from_secs(2);
/// Without an image for so long, a camera is taken for dead.
const ERROR_AFTER: Duration = Duration::from_secs(10);
/// Most of a second's frames from acquisition to publishing must be faster than this, milliseconds.
const LATENCY_WARN_MS: f64 = 500.0;
/// As aggregators for social robots group them.
const PREFIX: &str = "/social_perception/faces";

/// The type of `/diagnostics`.
pub const TYPE: &str = DiagnosticArray::TYPE;

/// Publishes `/diagnostics`.
pub(super) struct Diagnostics {
    publisher: Box<dyn Publisher>,
    last: Instant,
    before: BTreeMap<CameraId, FrameCounts>,
    message: Vec<u8>,
}

/// What the node does, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Models are not loaded.
    Unconfigured,
    /// Models are loaded, cameras are not listened to.
    Inactive,
    /// Since when cameras are listened to.
    Active(Instant),
}

impl Diagnostics {
    pub(super) fn advertise(transport: &mut dyn Transport) -> Result<Self, TransportError> {
        let publisher = transport.advertise("/diagnostics", TYPE, Qos::reliable(1))?;
        Ok(Self { publisher, last: runtime::now(), before: BTreeMap::new(), message: Vec::new() })
    }

    /// Publishes, when it is time; true then.
    pub(super) fn tick(&mut self, shared: &Shared, activity: Activity, transport: &dyn Transport) -> bool {
        let passed = self.last.elapsed();
        if passed < PERIOD {
            return false;
        }
        self.last = runtime::now();
        let status = self.collect(shared, activity, transport, passed.as_secs_f64());
        let header = messages::Header { stamp: shared.clock.now().into(), frame_id: String::new() };
        let array = DiagnosticArray { header, status };
        if let Err(error) = cdr::write(&array, &mut self.message) {
            tracing::error!(%error, "diagnostics cannot be written");
        } else if let Err(error) = self.publisher.publish(&self.message) {
            tracing::debug!(%error, "diagnostics were not sent");
        }
        true
    }

    fn collect(
        &mut self,
        shared: &Shared,
        activity: Activity,
        transport: &dyn Transport,
        passed_secs: f64,
    ) -> Vec<DiagnosticStatus> {
        let config = shared.config();
        let mut processed_hz = 0.0;
        let mut latencies = Vec::new();
        let mut inputs = Vec::new();
        let mut faces = 0;
        for camera in &config.cameras {
            let status = {
                let mut all = shared.status();
                let status = all.camera(camera);
                latencies.append(&mut status.latencies);
                status.clone()
            };
            faces += status.faces;
            let counts = shared.inbox.counts(camera);
            let before = self.before.insert(camera.clone(), counts).unwrap_or_default();
            let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / passed_secs;
            processed_hz += rate(counts.processed, before.processed);
            let topic = input_topic(camera, config.camera_transport);
            let input = Input {
                camera,
                topic: transport.resolve(&topic),
                offers: transport.offers(&topic),
                config: &config,
                counts,
                received_hz: rate(counts.received, before.received),
                status: &status,
            };
            inputs.push(input.diagnose(activity));
        }
        let gallery = shared.status().gallery.clone();
        let enabled = shared.enabled.load(Ordering::Relaxed);
        let mut all = vec![perception(activity, enabled, processed_hz, &mut latencies, faces)];
        all.extend(inputs);
        all.push(humans(&config, &shared.status().rivals));
        all.push(inference(&config));
        all.push(gallery_status(&gallery));
        let node = transport.node_name();
        for status in &mut all {
            status.name = format!("{PREFIX}{node}{}", status.name);
            node.trim_start_matches('/').clone_into(&mut status.hardware_id);
        }
        all
    }
}

/// The topic of a camera's images, before it is resolved.
pub(super) fn input_topic(camera: &CameraId, transport: CameraTransport) -> String {
    match transport {
        CameraTransport::Raw => format!("{camera}/image"),
        CameraTransport::Compressed => format!("{camera}/image/compressed"),
    }
}

/// What is asked of a camera's topic. A few messages are kept, so that a burst is counted and not
/// lost unseen; the mailbox keeps the last.
pub(super) const fn input_qos(reliability: CameraReliability) -> Qos {
    Qos { reliable: matches!(reliability, CameraReliability::Reliable), latched: false, depth: 5 }
}

/// The message type of a camera's images.
pub(super) const fn input_type(transport: CameraTransport) -> &'static str {
    match transport {
        CameraTransport::Raw => messages::Image::TYPE,
        CameraTransport::Compressed => messages::CompressedImage::TYPE,
    }
}

/// Everything known about one camera.
struct Input<'a> {
    camera: &'a CameraId,
    topic: String,
    offers: Vec<Offer>,
    config: &'a Config,
    counts: FrameCounts,
    received_hz: f64,
    status: &'a CameraStatus,
}

impl Input<'_> {
    fn diagnose(&self, activity: Activity) -> DiagnosticStatus {
        let (level, message) = self.verdict(activity);
        let FrameCounts { received, processed, displaced, failed, waiting } = self.counts;
        let qos = input_qos(self.config.camera_reliability);
        let mut values = vec![
            value("topic", &self.topic),
            value("type", input_type(self.config.camera_transport)),
            value("qos_requested", qos),
            value("qos_offered", self.offered()),
            value("frame_rate_msg", format!("{:.1}", self.received_hz)),
            value("received", received),
            value("processed", processed),
            value("displaced", displaced),
            value("failed", failed),
            value("waiting", waiting),
        ];
        if let Some(arrived) = self.status.arrived {
            values.push(value("age_of_last_image_s", format!("{:.2}", arrived.elapsed().as_secs_f64())));
        }
        if let Some((width, height, encoding)) = &self.status.format {
            values.push(value("format", format!("{width}x{height} {encoding}")));
        }
        values.push(value("calibrated", self.status.lens.is_some()));
        if let Some(reason) = &self.status.last_failure {
            values.push(value("last_failure", reason));
        }
        status(&format!("/input_{}", self.camera.as_str().replace('/', "_")), level, message, values)
    }

    fn verdict(&self, activity: Activity) -> (u8, String) {
        let Activity::Active(since) = activity else { return (DiagnosticStatus::OK, "not listening".into()) };
        // Before the first image, silence counts from when listening began.
        let silent = self.status.arrived.map_or(since, |arrived| arrived.max(since)).elapsed();
        if silent >= WARN_AFTER {
            let level = if silent >= ERROR_AFTER { DiagnosticStatus::ERROR } else { DiagnosticStatus::WARN };
            let message = format!("no image on {} for {:.0} s: {}", self.topic, silent.as_secs_f64(), self.suspicion());
            return (level, message);
        }
        if self.received_hz > 0.0 && self.counts.processed == 0 && self.counts.failed > 0 {
            let reason = self.status.last_failure.as_deref().unwrap_or_default();
            return (DiagnosticStatus::ERROR, format!("no image on {} can be used: {reason}", self.topic));
        }
        if self.status.clocks_differ {
            let message = "stamps and clock are of different times: ages are unknown".into();
            return (DiagnosticStatus::WARN, message);
        }
        (DiagnosticStatus::OK, format!("{:.1} Hz on {}", self.received_hz, self.topic))
    }

    fn offered(&self) -> String {
        let offers: Vec<String> =
            self.offers.iter().map(|offer| format!("{} ({})", offer.qos, offer.type_name)).collect();
        if offers.is_empty() { "no publisher".to_owned() } else { offers.join("; ") }
    }

    /// Why nothing comes, and what to do.
    fn suspicion(&self) -> String {
        let wanted = input_type(self.config.camera_transport);
        let requested = input_qos(self.config.camera_reliability);
        if self.offers.is_empty() {
            return "nobody publishes there; start the camera, or remap the topic".to_owned();
        }
        let offered = self.offered();
        if self.offers.iter().all(|offer| offer.type_name != wanted) {
            return format!("{offered} is offered, {wanted} is needed; see camera_transport");
        }
        if requested.reliable && self.offers.iter().all(|offer| !offer.qos.reliable) {
            return format!("{offered} is offered, {requested} was asked for; set camera_reliability to best_effort");
        }
        format!("{offered} is offered, but nothing arrives")
    }
}

fn perception(
    activity: Activity,
    enabled: bool,
    processed_hz: f64,
    latencies: &mut [i64],
    faces: usize,
) -> DiagnosticStatus {
    latencies.sort_unstable();
    let ms = |share: f64| {
        let at = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(at).map(|nanos| *nanos as f64 * 1e-6)
    };
    let mut values = vec![value("frame_rate_node", format!("{processed_hz:.1}")), value("faces", faces)];
    for (key, share) in [("latency_p50_ms", 0.5), ("latency_p95_ms", 0.95), ("latency_max_ms", 1.0)] {
        values.extend(ms(share).map(|ms| value(key, format!("{ms:.1}"))));
    }
    for (stage, StageTime { runs, total, longest }) in runtime::take_stage_times() {
        let mean_ms = total.as_secs_f64() * 1e3 / f64::from(runs.max(1));
        let longest_ms = longest.as_secs_f64() * 1e3;
        values.push(value(&format!("stage_{stage}_ms"), format!("{mean_ms:.1} mean, {longest_ms:.1} longest")));
    }
    let (level, message) = match activity {
        Activity::Unconfigured => (DiagnosticStatus::OK, "models are not loaded".to_owned()),
        Activity::Inactive => (DiagnosticStatus::OK, "inactive".to_owned()),
        Activity::Active(_) if !enabled => (DiagnosticStatus::OK, "switched off by ~/enable".to_owned()),
        Activity::Active(_) => match ms(0.95) {
            Some(ms) if ms > LATENCY_WARN_MS => (
                DiagnosticStatus::WARN,
                format!("slow: 5 % of the people are published more than {ms:.0} ms after their image was taken"),
            ),
            _ => (DiagnosticStatus::OK, format!("{processed_hz:.1} Hz, {faces} faces")),
        },
    };
    status("", level, message, values)
}

/// Where each network really runs.
fn inference(config: &Config) -> DiagnosticStatus {
    let used = crate::onnx::providers_in_use();
    let wanted = serde_json::to_value(config.inference.provider).unwrap_or_default();
    let wanted = wanted.as_str().unwrap_or_default();
    let mut values = vec![value("provider_requested", wanted)];
    values.extend(used.iter().map(|(model, place)| value(&format!("provider_used_{model}"), &place.placement)));
    values.extend(used.iter().map(|(model, place)| value(&format!("provider_given_{model}"), &place.given_to)));
    let elsewhere: Vec<&str> = used
        .iter()
        .filter(|(_, place)| wanted != "auto" && place.placement.single() != Some(wanted))
        .map(|(model, _)| model.as_str())
        .collect();
    if let Some((what, since)) = crate::onnx::in_building() {
        let message = format!("TensorRT builds an engine for {what}, {:.0} s so far; once", since.as_secs_f64());
        return status("/inference", DiagnosticStatus::WARN, message, values);
    }
    if elsewhere.is_empty() {
        let mut providers: Vec<String> = used.iter().map(|(_, place)| place.placement.to_string()).collect();
        providers.sort_unstable();
        providers.dedup();
        return status("/inference", DiagnosticStatus::OK, providers.join(", "), values);
    }
    let message = format!("{wanted} was asked for, {} run elsewhere", elsewhere.join(", "));
    status("/inference", DiagnosticStatus::WARN, message, values)
}

/// Whether ROS4HRI's readers get what they should.
fn humans(config: &Config, rivals: &[String]) -> DiagnosticStatus {
    let mode = serde_json::to_value(config.output.mode).unwrap_or_default();
    let mode = mode.as_str().unwrap_or_default();
    let values = vec![value("mode", mode), value("also_published_by_others", rivals.join(" "))];
    if rivals.is_empty() {
        return status("/ros4hri", DiagnosticStatus::OK, mode.to_owned(), values);
    }
    let message = format!("another node publishes {} too: everyone flickers", rivals.join(", "));
    status("/ros4hri", DiagnosticStatus::ERROR, message, values)
}

fn gallery_status(gallery: &GalleryStatus) -> DiagnosticStatus {
    let values = vec![value("people", gallery.people), value("place", &gallery.place)];
    match &gallery.trouble {
        Some(trouble) => status("/gallery", DiagnosticStatus::ERROR, trouble.clone(), values),
        None => status("/gallery", DiagnosticStatus::OK, format!("{} people", gallery.people), values),
    }
}

fn value(key: &str, value: impl Display) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value.to_string() }
}

fn status(name: &str, level: u8, message: String, values: Vec<KeyValue>) -> DiagnosticStatus {
    DiagnosticStatus { level, name: name.to_owned(), message, hardware_id: String::new(), values }
}
