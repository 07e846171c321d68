//! Where time passes: clocks, signals, threads, and how long the stages take. The line itself knows
//! nothing of these.
#![expect(clippy::disallowed_methods, reason = "this is the one module of the node that reads clocks")]

use crate::time::Stamp;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracing::span;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Target of the spans that the stages of the line open.
pub const STAGE_TARGET: &str = "rostro::stage";
/// Target of the spans that the steps of a start open.
pub const START_TARGET: &str = "rostro::start";

/// A clock that jumps back by less than this is taken for jitter, seconds.
pub const JITTER_SECS: f64 = 0.1;

/// For measuring how long things take and how long ago they were; never goes back.
pub fn now() -> Instant {
    Instant::now()
}

/// How long this thread has been on a processor: it stands still while others are.
pub fn on_processor() -> Duration {
    cpu_time::ThreadTime::now().as_duration()
}

/// The computer's clock.
pub fn system_now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// The time that stamps are compared with: the computer's clock, or `/clock`.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Nanoseconds of the last `/clock` message; 0 before the first.
    simulated: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The computer's clock.
    pub const fn system() -> Self {
        Self { simulated: None }
    }

    /// A clock that stands still until [`Self::set`].
    pub fn simulated() -> Self {
        Self { simulated: Some(Arc::default()) }
    }

    /// Whether it follows `/clock`.
    pub const fn is_simulated(&self) -> bool {
        self.simulated.is_some()
    }

    /// What it shows; 0 for a simulated clock that was never set.
    pub fn now(&self) -> Stamp {
        match &self.simulated {
            Some(nanos) => Stamp::from_nanos(nanos.load(Ordering::Relaxed)),
            None => system_now(),
        }
    }

    /// Sets a simulated clock. Returns where it stood when this sets it back by more than
    /// [`JITTER_SECS`].
    pub fn set(&self, stamp: Stamp) -> Option<Stamp> {
        let before = Stamp::from_nanos(self.simulated.as_ref()?.swap(stamp.nanos(), Ordering::Relaxed));
        (before.secs_since(stamp) > JITTER_SECS).then_some(before)
    }
}

/// Signals so close together are one wish: a launcher passes on what the terminal has told the whole group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Whether SIGINT or SIGTERM asked this process to end.
#[derive(Clone, Debug, Default)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    /// From now on the first SIGINT or SIGTERM is noted instead of ending the process; one that comes
    /// more than a second later ends the process at once.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn install() -> io::Result<Self> {
        let stop = Self::default();
        let wish = Arc::clone(&stop.0);
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        spawn("signals", move || {
            let mut first = None;
            for _ in &mut signals {
                if first.get_or_insert_with(now).elapsed() > SAME_WISH {
                    signal_hook::low_level::exit(130);
                }
                wish.store(true, Ordering::Relaxed);
            }
        })?;
        Ok(stop)
    }

    /// Whether the end was asked for.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts a named thread.
///
/// # Errors
/// When the system has none left.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Waits.
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}

/// Allocations and their bytes since the program began; none when nobody counts them. The `rostro` program
/// does, at two atomic additions each.
pub fn allocations() -> Option<(u64, u64)> {
    let stats = stats_alloc::INSTRUMENTED_SYSTEM.stats();
    let count = (stats.allocations + stats.reallocations) as u64;
    (count > 0).then_some((count, stats.bytes_allocated as u64))
}

/// Most memory this process has had at once, 10⁶ bytes, where the system tells.
pub fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1.024e-3)
}

/// How long one stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTime {
    /// Times it ran.
    pub runs: u32,
    /// All runs together.
    pub total: Duration,
    /// The longest.
    pub longest: Duration,
}

/// Measures the stages of the line, and the steps of a start, by the spans they open: a layer for
/// `tracing_subscriber`.
#[derive(Debug, Default)]
pub struct StageTimes;

type Times = Mutex<BTreeMap<&'static str, StageTime>>;
static STAGE_TIMES: Times = Mutex::new(BTreeMap::new());
static START_TIMES: Times = Mutex::new(BTreeMap::new());

/// What every stage took since the last call.
pub fn take_stage_times() -> BTreeMap<&'static str, StageTime> {
    std::mem::take(&mut *STAGE_TIMES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What every step of a start took since the last call.
pub fn take_start_times() -> BTreeMap<&'static str, StageTime> {
    std::mem::take(&mut *START_TIMES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The times that spans of this target belong to.
fn times_of(target: &str) -> Option<&'static Times> {
    match target {
        STAGE_TARGET => Some(&STAGE_TIMES),
        START_TARGET => Some(&START_TIMES),
        _ => None,
    }
}

/// When a stage's span was opened.
struct Began(Instant);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for StageTimes {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if times_of(attributes.metadata().target()).is_some()
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(Began(now()));
        }
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(took) = span.extensions().get::<Began>().map(|began| began.0.elapsed()) else { return };
        let Some(times) = times_of(span.metadata().target()) else { return };
        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
        let time = times.entry(span.name()).or_default();
        time.runs += 1;
        time.total += took;
        time.longest = time.longest.max(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn a_simulated_clock_tells_when_it_is_set_back() {
        let clock = Clock::simulated();
        assert_eq!((clock.is_simulated(), clock.now().nanos()), (true, 0));
        let at = |millis: i64| Stamp::from_nanos(millis * 1_000_000);
        assert_eq!((clock.set(at(5000)), clock.set(at(5050)), clock.set(at(5000))), (None, None, None));
        assert_eq!(clock.set(at(1000)), Some(at(5000)));
        assert_eq!(clock.clone().now(), at(1000));
        assert_eq!(Clock::system().set(at(0)), None);
        assert!(Clock::system().now().nanos() > 1_600_000_000_000_000_000);
    }

    #[test]
    fn spans_of_stages_are_measured_and_others_are_not() {
        tracing::subscriber::with_default(tracing_subscriber::registry().with(StageTimes), || {
            for _ in 0..2 {
                let _span = tracing::trace_span!(target: STAGE_TARGET, "a stage").entered();
            }
            let _span = tracing::trace_span!("no stage").entered();
        });
        let times = take_stage_times();
        assert_eq!(times["a stage"].runs, 2);
        assert!(times["a stage"].total >= times["a stage"].longest && !times.contains_key("no stage"));
    }
}
