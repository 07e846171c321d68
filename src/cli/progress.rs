//! What the user sees of steps that take a while: bars on a terminal, plain lines elsewhere.

use crate::model::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// A bar on a terminal, a line per step elsewhere; on stderr.
#[derive(Debug, Default)]
pub(super) struct StderrProgress {
    bar: Option<ProgressBar>,
}

impl Progress for StderrProgress {
    fn begin(&mut self, step: &str, bytes: Option<u64>) {
        self.end();
        if !std::io::stderr().is_terminal() {
            let _ = writeln!(std::io::stderr(), "{step}");
            return;
        }
        let bar = ProgressBar::no_length().with_style(style(bytes.is_some())).with_message(step.to_owned());
        if let Some(bytes) = bytes {
            bar.set_length(bytes);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        self.bar = Some(bar);
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn warn(&mut self, text: &str) {
        let say = || {
            let _ = writeln!(std::io::stderr(), "warning: {text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }
}

impl Drop for StderrProgress {
    fn drop(&mut self) {
        self.end();
    }
}

fn style(known_size: bool) -> ProgressStyle {
    let template =
        if known_size { "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}" } else { "{spinner} {msg} {elapsed}" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
