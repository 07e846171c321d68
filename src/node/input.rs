//! Images as they come: counted, stamped, and put where the perception thread takes the latest.

use super::shared::Shared;
use super::transport::{ImageMessage, Incoming, OnMessage};
use crate::config::CameraTransport;
use crate::ids::CameraId;
use crate::runtime::{self, JITTER_SECS};
use crate::time::Stamp;
use crate::wire::camera_info::CameraInfo;
use crate::wire::cdr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Images further than this from the clock come from another time (a bag without `use_sim_time`, a
/// camera with a clock of its own), so that their age says nothing, seconds.
pub(super) const CLOCKS_DIFFER_SECS: f64 = 10.0;

/// An image, and when it came.
pub(super) struct Arrived {
    pub(super) image: ImageMessage,
    pub(super) at: Instant,
}

/// One camera's messages on their way to the mailbox.
pub(super) struct CameraInput {
    shared: Arc<Shared>,
    camera: CameraId,
    compressed: bool,
    last: Option<Stamp>,
}

/// Follows a camera's calibration.
pub(super) fn calibrate(shared: Arc<Shared>, camera: CameraId) -> OnMessage {
    Box::new(move |incoming| {
        let read = incoming.and_then(|incoming| match incoming {
            Incoming::Cdr(bytes) => cdr::read::<CameraInfo>(&bytes).map_err(|error| error.to_string()),
            _ => Err("not a camera_info".to_owned()),
        });
        let lens = read.and_then(|info| info.lens().map_err(|error| error.to_string()));
        let mut status = shared.status();
        if let Err(reason) = &lens
            && status.is_new(format!("{camera}: {reason}"))
        {
            tracing::warn!("{camera}/camera_info: {reason}");
        }
        status.camera(&camera).lens = lens.ok();
    })
}

impl CameraInput {
    pub(super) fn new(shared: Arc<Shared>, camera: CameraId, transport: CameraTransport) -> Self {
        Self { shared, camera, compressed: transport == CameraTransport::Compressed, last: None }
    }

    /// Takes one message, or the reason why it is none.
    pub(super) fn receive(&mut self, incoming: Result<Incoming, String>) {
        self.shared.status().camera(&self.camera).arrived = Some(runtime::now());
        let read = incoming.and_then(|incoming| {
            let message = ImageMessage::of(incoming, self.compressed);
            let stamp = message.frame(self.camera.clone()).map_err(|error| error.to_string())?.stamp;
            Ok((self.stamp(stamp), message))
        });
        let checked = read.and_then(|(stamp, message)| {
            self.check(stamp)?;
            Ok((stamp, message))
        });
        match checked {
            Ok((stamp, message)) => self.put(stamp, message),
            Err(reason) => {
                self.shared.inbox.put_failed(&self.camera);
                self.shared.status().frame_failed(&self.camera, &reason);
            }
        }
    }

    /// A camera that does not stamp its images is taken to deliver them at once.
    fn stamp(&self, stamp: Stamp) -> Stamp {
        if stamp.nanos() != 0 {
            return stamp;
        }
        if self.shared.status().is_new(format!("{}: no stamp", self.camera)) {
            tracing::warn!("{}: images carry no stamp; the time of their arrival is used instead", self.camera);
        }
        self.shared.clock.now()
    }

    /// Refuses what came too late to be useful.
    fn check(&mut self, stamp: Stamp) -> Result<(), String> {
        if let Some(last) = self.last
            && (0.0..JITTER_SECS).contains(&last.secs_since(stamp))
            && stamp < last
        {
            return Err("older than the image before it".into());
        }
        self.last = Some(stamp);
        if self.shared.clock.is_simulated() {
            return Ok(());
        }
        let age = self.shared.clock.now().secs_since(stamp);
        let clocks_differ = !(-1.0..CLOCKS_DIFFER_SECS).contains(&age);
        self.shared.status().camera(&self.camera).clocks_differ = clocks_differ;
        if clocks_differ {
            if self.shared.status().is_new(format!("{}: clocks differ", self.camera)) {
                tracing::warn!(
                    "{}: images are stamped {age:.1} s before the computer's clock, so their age is not known; \
                     synchronise the clocks, or set use_sim_time when a bag is played with --clock",
                    self.camera
                );
            }
            return Ok(());
        }
        let most = self.shared.with_config(|config| config.processing.max_age_secs);
        // 0: never too old.
        if most > 0.0 && age > most {
            return Err(format!("more than processing.max_age_secs ({most} s) old on arrival"));
        }
        Ok(())
    }

    fn put(&self, stamp: Stamp, message: ImageMessage) {
        if !self.shared.enabled.load(Ordering::Relaxed) {
            self.shared.inbox.put_unwanted(&self.camera);
            return;
        }
        let most_hz = self.shared.with_config(|config| config.processing.max_rate_hz);
        let arrived = Arrived { image: message, at: runtime::now() };
        self.shared.inbox.put(&self.camera, stamp, arrived, 1.0 / most_hz);
    }
}
