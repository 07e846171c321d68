//! Models are data: a manifest says what a network is, a pack says where it comes from.

pub mod fetch;
pub mod import;
pub mod machine;
pub mod manifest;
pub mod pictures;
pub mod runtime;
pub mod store;

/// Told about everything that may take more than a moment.
pub trait Progress {
    /// A step begins; `bytes` is how much there is to do, when that is known.
    fn begin(&mut self, step: &str, bytes: Option<u64>);

    /// So many more bytes of the step are done.
    fn advance(&mut self, bytes: u64);

    /// The step is over, well or not.
    fn end(&mut self);

    /// Something the user should read although the work goes on.
    fn warn(&mut self, text: &str);
}

/// Shows nothing, but warnings reach the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&mut self, step: &str, _bytes: Option<u64>) {
        tracing::info!("{step}");
    }

    fn advance(&mut self, _bytes: u64) {}

    fn end(&mut self) {}

    fn warn(&mut self, text: &str) {
        tracing::warn!("{text}");
    }
}
