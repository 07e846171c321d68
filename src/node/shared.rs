//! What the threads of a node share.

use super::input::Arrived;
use super::perception::Call;
use crate::config::Config;
use crate::ids::CameraId;
use crate::lens::Lens;
use crate::mailbox::Inbox;
use crate::runtime::Clock;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

/// Most calls that wait for the perception thread.
const MOST_CALLS: usize = 16;

/// What the threads of a node share.
pub(super) struct Shared {
    pub(super) inbox: Inbox<Arrived, Call>,
    pub(super) clock: Clock,
    /// `~/enable`.
    pub(super) enabled: AtomicBool,
    config: RwLock<Config>,
    status: Mutex<Status>,
}

/// What diagnostics tell.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) cameras: BTreeMap<CameraId, CameraStatus>,
    pub(super) gallery: GalleryStatus,
    /// Lists of ROS4HRI that another node publishes too.
    pub(super) rivals: Vec<String>,
    /// Causes of trouble by their text, and how often each came since the node began.
    causes: BTreeMap<String, u64>,
}

/// Of one camera.
#[derive(Clone, Debug, Default)]
pub(super) struct CameraStatus {
    /// When the last message came, readable or not.
    pub(super) arrived: Option<Instant>,
    /// Width, height and encoding of the last processed image.
    pub(super) format: Option<(u32, u32, String)>,
    /// Nanoseconds from acquisition to publishing, of the frames since the last report.
    pub(super) latencies: Vec<i64>,
    /// Why the last failed frame failed.
    pub(super) last_failure: Option<String>,
    /// Stamps and clock are not of the same time.
    pub(super) clocks_differ: bool,
    /// People in the last processed image.
    pub(super) faces: usize,
    /// What the last `camera_info` says.
    pub(super) lens: Option<Lens>,
}

/// Of the gallery.
#[derive(Clone, Debug, Default)]
pub(super) struct GalleryStatus {
    pub(super) people: usize,
    /// The file, or that there is none.
    pub(super) place: String,
    /// Why it could not be written, until it can again.
    pub(super) trouble: Option<String>,
}

/// Different causes remembered; more are no longer told apart.
const MOST_CAUSES: usize = 64;

impl Shared {
    pub(super) fn new(config: Config, clock: Clock) -> Self {
        Self {
            inbox: Inbox::new(MOST_CALLS),
            clock,
            enabled: AtomicBool::new(true),
            config: RwLock::new(config),
            status: Mutex::default(),
        }
    }

    pub(super) fn config(&self) -> Config {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the configuration without copying it.
    pub(super) fn with_config<T>(&self, look: impl FnOnce(&Config) -> T) -> T {
        look(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_config(&self, config: Config) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    pub(super) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Status {
    pub(super) fn camera(&mut self, camera: &CameraId) -> &mut CameraStatus {
        self.cameras.entry(camera.clone()).or_default()
    }

    /// Notes a failed frame; the first of each cause goes to the log.
    pub(super) fn frame_failed(&mut self, camera: &CameraId, reason: &str) {
        self.camera(camera).last_failure = Some(reason.to_owned());
        if self.is_new(format!("{camera}: {reason}")) {
            tracing::warn!("{camera}: frame not processed: {reason}; more of the same are only counted");
        }
    }

    /// Counts a cause of trouble; true the first time, so that a log tells each once.
    pub(super) fn is_new(&mut self, cause: String) -> bool {
        if let Some(times) = self.causes.get_mut(&cause) {
            *times += 1;
            return false;
        }
        let is_room = self.causes.len() < MOST_CAUSES;
        if is_room {
            self.causes.insert(cause, 1);
        }
        is_room
    }
}
