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

    /// Publishes, when it is time.
    pub(super) fn tick(&mut self, shared: &Shared, activity: Activity, transport: &dyn Transport) {
        let passed = self.last.elapsed();
        if passed < PERIOD {
            return;
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
    }

    fn collect(
        &mut self,
        shared: &Shared,
        activity: Activity,
        transport: &dyn Transport,
        passed_secs: f64,
    ) -> Vec<DiagnosticStatus> {
        let config = shared.config();
        let node = transport.node_name();
        let stages = runtime::take_stage_times();
        let mut processed_hz = 0.0;
        let mut latencies = Vec::new();
        let mut inputs = Vec::new();
        for camera in &config.cameras {
            let mut status = std::mem::take(shared.status().camera(camera));
            // What is only of this second starts anew, the rest is kept.
            let kept = CameraStatus { latencies: Vec::new(), ..status.clone() };
            *shared.status().camera(camera) = merged(kept, shared.status().camera(camera));
            let counts = shared.inbox.counts(camera);
            let before = self.before.insert(camera.clone(), counts).unwrap_or_default();
            let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / passed_secs;
            processed_hz += rate(counts.processed, before.processed);
            latencies.append(&mut status.latencies.clone());
            let topic = input_topic(camera, config.camera_transport);
            let input = Input {
                camera,
                resolved: transport.resolve(&topic),
                offers: transport.offers(&topic),
                config: &config,
                counts,
                received_hz: rate(counts.received, before.received),
                processed_hz: rate(counts.processed, before.processed),
                status: &status,
            };
            inputs.push(input.diagnose(activity));
            status.latencies.clear();
        }
        let (faces, gallery) = {
            let status = shared.status();
            (status.cameras.values().map(|camera| camera.faces).sum(), status.gallery.clone())
        };
        let mut all = vec![perception(activity, processed_hz, &mut latencies, faces, &stages, shared)];
        all.extend(inputs);
        all.push(inference(&config));
        all.push(gallery_status(&gallery, &config));
        for status in &mut all {
            status.name = format!("{PREFIX}{node}{}", status.name);
        }
        all
    }
}
