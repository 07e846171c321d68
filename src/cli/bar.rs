//! The progress bar of the moment, and a way for log lines to appear above it instead of in it.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bar that counts frames, on a terminal; it goes away with this value.
pub(super) struct FrameBar(ProgressBar);

impl FrameBar {
    /// Shows the bar; `frames` is how many there will be, when that is known.
    pub(super) fn show(frames: Option<u64>) -> Self {
        Self::counting("frames", frames)
    }

    /// Shows a bar that counts something else.
    pub(super) fn counting(what: &'static str, count: Option<u64>) -> Self {
        let (bar, template) = match count {
            Some(count) => (ProgressBar::new(count), "{bar:30} {pos}/{len} {msg}  {eta} left"),
            None => (ProgressBar::new_spinner(), "{spinner} {pos} {msg}  {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        *shown() = Some(bar.clone());
        Self(bar)
    }

    /// So many frames are through.
    pub(super) fn set(&self, frames: u64) {
        self.0.set_position(frames);
    }
}

impl Drop for FrameBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        *shown() = None;
    }
}

/// Standard error for log lines.
#[derive(Debug)]
pub(super) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let print = || io::stderr().write(bytes);
        match shown().as_ref() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
