//! The log as ROS has it: levels by `--log-level`, the console, files and `/rosout`.

use std::fmt::Write as _;
use std::sync::OnceLock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// What r2r logs although nothing is wrong: what was announced is no message but the end of a publisher.
pub const QUIET: &str = "r2r::subscribers=off";

/// The node's logger, from when there is a node.
static LOGGER: OnceLock<String> = OnceLock::new();

/// Hands events to rcl's log: a layer for `tracing_subscriber`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RosLog {
    /// Tell details also where rcl was not asked for them with `--log-level debug`: as information.
    pub verbose: bool,
}

pub(super) fn name_logger(name: &str) {
    // There is one node in the process; a second would keep the first one's name.
    let _ = LOGGER.set(name.to_owned());
}

impl<S: Subscriber> Layer<S> for RosLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        // What others sent may be quoted; rcl's strings end at the first NUL.
        let text = (text.message + &text.fields).replace('\0', "\\0");
        let logger = LOGGER.get().map_or(crate::config::NODE_NAME, String::as_str);
        match *event.metadata().level() {
            Level::ERROR => r2r::log_error!(logger, "{text}"),
            Level::WARN => r2r::log_warn!(logger, "{text}"),
            Level::INFO => r2r::log_info!(logger, "{text}"),
            Level::DEBUG | Level::TRACE if self.verbose => r2r::log_info!(logger, "{text}"),
            Level::DEBUG | Level::TRACE => r2r::log_debug!(logger, "{text}"),
        }
    }
}

/// An event as one line: its message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // A string cannot refuse what is written to it.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            // Where a line of the crate `log` comes from.
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
