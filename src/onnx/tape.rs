//! The network runs that a line makes, kept so that they can be made again alone: what they take then
//! is the floor of the line's time.

use super::session::{NetSpec, run_session};
use crate::inference::InferenceError;
use ort::session::Session;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by the networks of one line; counts their runs, and keeps them while it is told to.
#[derive(Clone, Default)]
pub struct Tape(Arc<Mutex<Recording>>);

#[derive(Default)]
struct Recording {
    is_keeping: bool,
    count: RunCount,
    runs: Vec<RecordedRun>,
}

/// How much the networks were asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCount {
    /// Runs.
    pub runs: u64,
    /// Numbers in their inputs.
    pub values: u64,
}

/// One run: the session itself, and a copy of its input.
pub struct RecordedRun {
    pub(super) session: Arc<Mutex<Session>>,
    pub(super) spec: Arc<NetSpec>,
    pub(super) shape: [usize; 4],
    pub(super) values: Vec<f32>,
}

impl Tape {
    /// From now on inputs are copied, or not any more.
    pub fn keep(&self, is_keeping: bool) {
        self.lock().is_keeping = is_keeping;
    }

    /// The runs kept since the last call.
    pub fn take_runs(&self) -> Vec<RecordedRun> {
        std::mem::take(&mut self.lock().runs)
    }

    /// What was done since the last call, kept or not.
    pub fn take_count(&self) -> RunCount {
        std::mem::take(&mut self.lock().count)
    }

    /// Notes a run that is about to be made.
    pub(super) fn note(&self, session: &Arc<Mutex<Session>>, spec: &Arc<NetSpec>, shape: [usize; 4], values: &[f32]) {
        let mut recording = self.lock();
        recording.count.runs += 1;
        recording.count.values += values.len() as u64;
        if recording.is_keeping {
            recording.runs.push(RecordedRun {
                session: Arc::clone(session),
                spec: Arc::clone(spec),
                shape,
                values: values.to_vec(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordedRun {
    /// Manifest name of the model.
    pub fn model(&self) -> &str {
        &self.spec.model
    }

    /// Images in the input.
    pub const fn batch(&self) -> usize {
        self.shape[0]
    }

    /// Makes the run again, in the same session and on the same numbers; its outputs are dropped.
    ///
    /// # Errors
    /// [`InferenceError`] when the network fails.
    pub fn repeat(&self) -> Result<(), InferenceError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        run_session(&mut session, &self.spec, (self.shape, &self.values), |_| Ok(()))
    }
}
