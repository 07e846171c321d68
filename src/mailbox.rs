//! What waits for the perception thread: the latest frame of every camera, and calls to answer.
//!
//! A frame that arrives while another of its camera waits replaces it; the replaced one is counted
//! as *displaced*. So the age of what is processed is bounded by the work, not by a queue, and
//! memory stays flat however fast cameras are. Nothing here reads a clock.

use crate::ids::CameraId;
use crate::time::Stamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where the frames of one camera went. `received` is the sum of all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Arrived.
    pub received: u64,
    /// Gave people.
    pub processed: u64,
    /// Replaced by a newer frame before it was processed, too soon after the one before, or not
    /// wanted.
    pub displaced: u64,
    /// Unreadable, stale, or refused by the line.
    pub failed: u64,
    /// In the mailbox or being processed: 0, 1 or 2.
    pub waiting: u64,
}

/// One frame taken for processing.
#[derive(Debug)]
pub struct Taken<M> {
    /// Whose.
    pub camera: CameraId,
    /// Acquisition time.
    pub stamp: Stamp,
    /// The image, still encoded.
    pub message: M,
    /// Frames of this camera displaced since the last one that was taken.
    pub displaced: u32,
}

/// What became of a frame that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameEnd {
    /// It gave people.
    Processed,
    /// It could not be processed.
    Failed,
    /// Nobody wanted it any more.
    Unwanted,
}

/// What the perception thread does next.
#[derive(Debug)]
pub enum Work<M, C> {
    /// A call, always before frames.
    Call(C),
    /// The latest frame of the camera that waited longest for its turn.
    Frame(Taken<M>),
    /// Nothing came in time.
    Idle,
    /// The end.
    Stop,
}

/// The inbox of a perception thread.
#[derive(Debug)]
pub struct Inbox<M, C> {
    state: Mutex<State<M, C>>,
    arrived: Condvar,
    most_calls: usize,
}

#[derive(Debug)]
struct State<M, C> {
    cameras: BTreeMap<CameraId, Slot<M>>,
    calls: VecDeque<C>,
    /// Frames taken so far; the camera whose last turn is longest ago comes next.
    turns: u64,
    is_open: bool,
    must_stop: bool,
}

#[derive(Debug)]
struct Slot<M> {
    waiting: Option<(Stamp, M)>,
    counts: FrameCounts,
    displaced_since_taken: u32,
    last_turn: u64,
    last_taken: Option<Stamp>,
}

impl<M> Default for Slot<M> {
    fn default() -> Self {
        Self { waiting: None, counts: FrameCounts::default(), displaced_since_taken: 0, last_turn: 0, last_taken: None }
    }
}

impl<M> Slot<M> {
    fn displace(&mut self) {
        self.counts.displaced += 1;
        self.displaced_since_taken = self.displaced_since_taken.saturating_add(1);
    }
}

impl<M, C> Inbox<M, C> {
    /// A closed inbox that holds at most `most_calls` calls.
    pub const fn new(most_calls: usize) -> Self {
        let state =
            State { cameras: BTreeMap::new(), calls: VecDeque::new(), turns: 0, is_open: false, must_stop: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), most_calls }
    }

    /// Lets calls in, and ends a `stop`.
    pub fn open(&self) {
        let mut state = self.lock();
        (state.is_open, state.must_stop) = (true, false);
    }

    /// Whether calls are let in.
    pub fn is_open(&self) -> bool {
        self.lock().is_open
    }

    /// Lets no call in any more, drops the frames that wait and makes [`Self::next`] return
    /// [`Work::Stop`]. Returns the calls that nobody will answer.
    pub fn stop(&self) -> Vec<C> {
        let mut state = self.lock();
        (state.is_open, state.must_stop) = (false, true);
        state.discard(|_| true);
        self.arrived.notify_all();
        state.calls.drain(..).collect()
    }

    /// A frame of `camera`: it replaces the one that waits. One that follows the last taken frame
    /// within `least_period_secs` of image time is displaced at once.
    pub fn put(&self, camera: &CameraId, stamp: Stamp, message: M, least_period_secs: f64) {
        let mut state = self.lock();
        let is_open = state.is_open;
        let slot = slot(&mut state.cameras, camera);
        slot.counts.received += 1;
        // Jitter of a tenth is still on time; a stamp before the last is a clock that jumped.
        let too_soon = |last: Stamp| (0.0..0.9 * least_period_secs).contains(&stamp.secs_since(last));
        if !is_open || slot.last_taken.is_some_and(too_soon) {
            slot.displace();
            return;
        }
        slot.counts.waiting += 1;
        if slot.waiting.replace((stamp, message)).is_some() {
            slot.counts.waiting -= 1;
            slot.displace();
        }
        self.arrived.notify_one();
    }

    /// A frame of `camera` that nobody can read or use.
    pub fn put_failed(&self, camera: &CameraId) {
        let mut state = self.lock();
        let counts = &mut slot(&mut state.cameras, camera).counts;
        counts.received += 1;
        counts.failed += 1;
    }

    /// A frame of `camera` that is not wanted now.
    pub fn put_unwanted(&self, camera: &CameraId) {
        let mut state = self.lock();
        let slot = slot(&mut state.cameras, camera);
        slot.counts.received += 1;
        slot.displace();
    }

    /// Displaces waiting frames that were taken after `latest`: leftovers when time jumped back.
    pub fn discard_after(&self, latest: Stamp) {
        self.lock().discard(|stamp| stamp > latest);
    }

    /// Queues a call for the perception thread.
    ///
    /// # Errors
    /// The call itself, when the inbox is closed or full.
    pub fn call(&self, call: C) -> Result<(), C> {
        let mut state = self.lock();
        if !state.is_open || state.calls.len() >= self.most_calls {
            return Err(call);
        }
        state.calls.push_back(call);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next thing to do, waiting for at most `timeout`. A frame taken must be given to
    /// [`Self::done`] afterwards.
    pub fn next(&self, timeout: Duration) -> Work<M, C> {
        let nothing = |state: &mut State<M, C>| {
            !state.must_stop && state.calls.is_empty() && state.cameras.values().all(|slot| slot.waiting.is_none())
        };
        let guard = self.lock();
        let (mut state, _) =
            self.arrived.wait_timeout_while(guard, timeout, nothing).unwrap_or_else(PoisonError::into_inner);
        if state.must_stop {
            return Work::Stop;
        }
        if let Some(call) = state.calls.pop_front() {
            return Work::Call(call);
        }
        state.take_frame().map_or(Work::Idle, Work::Frame)
    }

    /// What became of a frame that was taken.
    pub fn done(&self, camera: &CameraId, end: FrameEnd) {
        let mut state = self.lock();
        let slot = slot(&mut state.cameras, camera);
        slot.counts.waiting = slot.counts.waiting.saturating_sub(1);
        match end {
            FrameEnd::Processed => slot.counts.processed += 1,
            FrameEnd::Failed => slot.counts.failed += 1,
            FrameEnd::Unwanted => slot.displace(),
        }
    }

    /// The counts of a camera.
    pub fn counts(&self, camera: &CameraId) -> FrameCounts {
        self.lock().cameras.get(camera).map(|slot| slot.counts).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State<M, C>> {
        // Nothing in here panics half-way; what is there after a panic elsewhere is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot<'a, M>(cameras: &'a mut BTreeMap<CameraId, Slot<M>>, camera: &CameraId) -> &'a mut Slot<M> {
    cameras.entry(camera.clone()).or_default()
}

impl<M, C> State<M, C> {
    fn discard(&mut self, is_unwanted: impl Fn(Stamp) -> bool) {
        for slot in self.cameras.values_mut() {
            if slot.waiting.as_ref().is_some_and(|(stamp, _)| is_unwanted(*stamp)) {
                slot.waiting = None;
                slot.counts.waiting -= 1;
                slot.displace();
            }
        }
    }

    fn take_frame(&mut self) -> Option<Taken<M>> {
        let (camera, slot) = self
            .cameras
            .iter_mut()
            .filter(|(_, slot)| slot.waiting.is_some())
            .min_by_key(|(_, slot)| slot.last_turn)?;
        let (stamp, message) = slot.waiting.take()?;
        self.turns += 1;
        slot.last_turn = self.turns;
        slot.last_taken = Some(stamp);
        let displaced = std::mem::take(&mut slot.displaced_since_taken);
        Some(Taken { camera: camera.clone(), stamp, message, displaced })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn camera(name: &str) -> CameraId {
        CameraId::new(name).unwrap()
    }

    fn at(millis: i64) -> Stamp {
        Stamp::from_nanos(millis * 1_000_000)
    }

    fn frame(inbox: &Inbox<u32, &'static str>) -> Taken<u32> {
        match inbox.next(Duration::ZERO) {
            Work::Frame(taken) => taken,
            other => panic!("{other:?}"),
        }
    }

    fn open() -> Inbox<u32, &'static str> {
        let inbox = Inbox::new(2);
        inbox.open();
        inbox
    }

    #[test]
    fn the_newest_frame_wins_and_the_older_ones_are_counted() {
        let (inbox, left) = (open(), camera("left"));
        for i in 0..4 {
            inbox.put(&left, at(i), i as u32, 0.0);
        }
        let taken = frame(&inbox);
        assert_eq!((taken.message, taken.displaced, taken.stamp), (3, 3, at(3)));
        let counts = FrameCounts { received: 4, displaced: 3, waiting: 1, ..FrameCounts::default() };
        assert_eq!(inbox.counts(&left), counts);
        inbox.done(&left, FrameEnd::Processed);
        assert_eq!(inbox.counts(&left), FrameCounts { processed: 1, waiting: 0, ..counts });
        assert!(matches!(inbox.next(Duration::ZERO), Work::Idle));
    }

    #[test]
    fn a_fast_camera_does_not_starve_a_slow_one() {
        let (inbox, fast, slow) = (open(), camera("a_fast"), camera("slow"));
        inbox.put(&slow, at(0), 100, 0.0);
        let mut order = Vec::new();
        for i in 0..4 {
            inbox.put(&fast, at(i), i as u32, 0.0);
            let taken = frame(&inbox);
            inbox.done(&taken.camera, FrameEnd::Processed);
            order.push(taken.message);
        }
        assert_eq!(order, [0, 100, 2, 3]);
    }

    #[test]
    fn frames_faster_than_the_limit_are_displaced_on_arrival() {
        let (inbox, left) = (open(), camera("left"));
        let mut taken = Vec::new();
        for i in 0..6 {
            // 60 Hz with a little jitter, at most 30 wanted.
            inbox.put(&left, at(i * 16 + i % 2), i as u32, 1.0 / 30.0);
            if let Work::Frame(frame) = inbox.next(Duration::ZERO) {
                inbox.done(&left, FrameEnd::Processed);
                taken.push(frame.message);
            }
        }
        assert_eq!(taken, [0, 2, 4]);
        assert_eq!(inbox.counts(&left).displaced, 3);
        // A looping bag starts again in the past.
        inbox.put(&left, at(0), 9, 1.0 / 30.0);
        assert_eq!(frame(&inbox).message, 9);
    }

    #[test]
    fn calls_come_first_are_bounded_and_refused_when_closed() {
        let (inbox, left) = (open(), camera("left"));
        inbox.put(&left, at(0), 1, 0.0);
        assert_eq!((inbox.call("a"), inbox.call("b"), inbox.call("c")), (Ok(()), Ok(()), Err("c")));
        assert!(matches!(inbox.next(Duration::ZERO), Work::Call("a")));
        assert!(matches!(inbox.next(Duration::ZERO), Work::Call("b")));
        inbox.call("e").unwrap();
        assert_eq!(inbox.stop(), ["e"]);
        assert_eq!(inbox.call("d"), Err("d"));
        assert!(matches!(inbox.next(Duration::ZERO), Work::Stop));
        inbox.put(&left, at(1), 2, 0.0);
        assert_eq!(inbox.counts(&left), FrameCounts { received: 2, displaced: 2, ..FrameCounts::default() });
        inbox.open();
        assert!(matches!(inbox.next(Duration::ZERO), Work::Idle));
    }

    #[test]
    fn a_waiting_thread_wakes_for_a_frame_and_for_the_end() {
        let inbox = Arc::new(open());
        let theirs = Arc::clone(&inbox);
        let worker = std::thread::spawn(move || {
            let mut seen = 0;
            loop {
                match theirs.next(Duration::from_mins(1)) {
                    Work::Frame(taken) => {
                        seen += 1;
                        theirs.done(&taken.camera, FrameEnd::Processed);
                    }
                    Work::Stop => return seen,
                    _ => {}
                }
            }
        });
        let left = camera("left");
        while inbox.counts(&left).processed < 3 {
            inbox.put(&left, at(0), 0, 0.0);
            std::thread::yield_now();
        }
        inbox.stop();
        assert!(worker.join().unwrap() >= 3);
    }

    proptest! {
        #[test]
        fn every_frame_is_accounted_for(steps in prop::collection::vec((0_u8..7, 0_u8..3, 0_i64..50), 0..200)) {
            let inbox = open();
            let cameras = [camera("a"), camera("b"), camera("c")];
            let mut received = [0_u64; 3];
            for (step, which, millis) in steps {
                let which = usize::from(which);
                let camera = &cameras[which];
                match step {
                    0..3 => { inbox.put(camera, at(millis), 0, 0.02); received[which] += 1; }
                    3 => { inbox.put_failed(camera); received[which] += 1; }
                    4 => { inbox.put_unwanted(camera); received[which] += 1; }
                    _ => if let Work::Frame(taken) = inbox.next(Duration::ZERO) {
                        if step == 6 { inbox.discard_after(at(25)); }
                        if step == 5 { inbox.put(&taken.camera, at(millis), 0, 0.0); }
                        if step == 5 { received[cameras.iter().position(|c| *c == taken.camera).unwrap()] += 1; }
                        inbox.done(&taken.camera, [FrameEnd::Processed, FrameEnd::Failed, FrameEnd::Unwanted][millis as usize % 3]);
                    },
                }
                for (camera, received) in cameras.iter().zip(received) {
                    let counts = inbox.counts(camera);
                    prop_assert_eq!(counts.received, received);
                    prop_assert_eq!(counts.received, counts.processed + counts.displaced + counts.failed + counts.waiting);
                    prop_assert!(counts.waiting <= 1);
                }
            }
        }
    }
}
