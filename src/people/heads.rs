//! Where heads are and whether they look at the camera, smoothed by the images' stamps.
//!
//! Place and turn of a head pass a one-euro filter (Casiez, Roussel, Vogel: *1€ Filter*, CHI 2012): a
//! low-pass filter whose cut-off grows with the speed, `f = f₀ + β |v|`, so that a still head does not
//! tremble and a moving one does not lag.
//!
//! Attention is a reading of the head alone, not of the eyes: 1 while the face is turned to the camera
//! within [`LOOKING_RAD`], 0 beyond [`LOOKING_AWAY_RAD`], averaged over [`ATTENTION_SECS`]. Only angles
//! count, so a camera without calibration is taken for a usual one.

use super::presence::{about, event};
use super::{EventKind, People, Person, PersonEvent};
use crate::head_pose::HeadPose;
use crate::ids::FaceId;
use crate::lens::Lens;
use crate::time::Stamp;
use nalgebra::{UnitQuaternion, Vector3};
use std::collections::BTreeMap;
use std::f64::consts::TAU;

/// Within this angle of the camera a face looks at it: 12°.
const LOOKING_RAD: f64 = 0.21;
/// Beyond this angle it looks at something else: 32°.
const LOOKING_AWAY_RAD: f64 = 0.56;
/// Time over which attention is averaged, seconds.
const ATTENTION_SECS: f64 = 0.4;
/// Attention that is told as gained, and under which it is told as lost.
const GAINED: f64 = 0.65;
const LOST: f64 = 0.35;
/// Seconds for which the attention of a face that is not seen is held.
const HOLD_SECS: f64 = 1.0;
/// Cut-off of the filters for a head at rest, Hz.
const REST_HZ: f64 = 1.5;
/// Hz by which the cut-off grows for each m/s, and for each rad/s.
const HZ_PER_SPEED: f64 = 8.0;
const HZ_PER_TURN: f64 = 1.5;
/// Cut-off of the speeds themselves, Hz.
const SPEED_HZ: f64 = 1.0;

/// The heads of one camera's people.
#[derive(Debug, Default)]
pub struct Heads {
    heads: BTreeMap<FaceId, Head>,
    /// Lens and pictures of another size were told of.
    has_warned: bool,
}

/// What is remembered about one head.
#[derive(Debug, Default)]
struct Head {
    pose: Option<Smooth>,
    attention: Option<Attention>,
    is_attentive: bool,
}

#[derive(Debug)]
struct Attention {
    value: f64,
    stamp: Stamp,
}

/// A head between two looks, and how fast it moved.
#[derive(Debug)]
struct Smooth {
    stamp: Stamp,
    pose: HeadPose,
    speed: Vector3<f64>,
    turn_speed: f64,
}

impl Heads {
    /// Fills in pose and attention of everyone in the frame, and appends what changed to `events`, which tell
    /// already which faces are gone.
    pub fn look(&mut self, lens: Option<Lens>, frame: &mut People, events: &mut Vec<PersonEvent>) {
        let lens = self.checked(lens, frame);
        let nominal = Lens::nominal(frame.width, frame.height);
        for person in &mut frame.people {
            let head = self.heads.entry(person.face_id).or_default();
            head.look(person, lens.as_ref(), &nominal, frame.stamp);
        }
        for person in &frame.people {
            let Some(head) = self.heads.get_mut(&person.face_id) else { continue };
            if let Some(kind) = head.change(person.attention) {
                let confidence = person.attention.unwrap_or(0.0);
                events.push(PersonEvent { confidence, ..about(frame, kind, person) });
            }
        }
        self.heads.retain(|face_id, head| {
            let is_live = frame.people.iter().any(|person| person.face_id == *face_id);
            if !is_live && head.is_attentive {
                // Whose face it was is told with its loss, by who knows of people that were forgotten or merged since.
                let is_lost =
                    |event: &&PersonEvent| event.kind == EventKind::FaceLost && event.face_id == Some(*face_id);
                let person_id = events.iter().find(is_lost).and_then(|event| event.person_id);
                let attention_lost = event(frame, EventKind::AttentionLost);
                events.push(PersonEvent { face_id: Some(*face_id), person_id, ..attention_lost });
            }
            is_live
        });
    }

    /// Forgets how the heads moved; they will be those of other faces.
    pub fn reset(&mut self) {
        for head in self.heads.values_mut() {
            (head.pose, head.attention) = (None, None);
        }
    }

    /// The lens, if it can be that of these pictures.
    fn checked(&mut self, lens: Option<Lens>, frame: &People) -> Option<Lens> {
        let size = (frame.width, frame.height);
        let fitting = lens.filter(|lens| lens.fits(size));
        if let Some(lens) = lens.filter(|_| fitting.is_none() && !self.has_warned) {
            tracing::warn!(
                camera = %frame.camera, calibrated = ?lens.size(), images = ?size,
                "camera_info is for images of another size: heads have no place; let both come from the same driver"
            );
        }
        self.has_warned = lens.is_some() && fitting.is_none();
        fitting
    }
}

impl Head {
    fn look(&mut self, person: &mut Person, lens: Option<&Lens>, nominal: &Lens, stamp: Stamp) {
        let seen = person.observed.then(|| HeadPose::estimate(&person.landmarks, lens.unwrap_or(nominal))).flatten();
        if let Some(pose) = &seen {
            let looks = 1.0 - smooth_step(LOOKING_RAD, LOOKING_AWAY_RAD, pose.angle_to_camera());
            self.attention = Some(Attention { value: self.averaged(looks, stamp), stamp });
        }
        let held = |last: &&Attention| stamp.secs_since(last.stamp) <= HOLD_SECS;
        person.attention = self.attention.as_ref().filter(held).map(|attention| attention.value as f32);
        person.pose = seen.filter(|_| lens.is_some()).map(|pose| self.smoothed(pose, stamp));
    }

    fn averaged(&self, looks: f64, stamp: Stamp) -> f64 {
        let Some(last) = &self.attention else { return looks };
        let stays = (-stamp.secs_since(last.stamp).max(0.0) / ATTENTION_SECS).exp();
        stays * last.value + (1.0 - stays) * looks
    }

    fn smoothed(&mut self, pose: HeadPose, stamp: Stamp) -> HeadPose {
        let smooth = match self.pose.take().filter(|last| (0.0..HOLD_SECS).contains(&stamp.secs_since(last.stamp))) {
            Some(last) => last.follow(&pose, stamp),
            None => Smooth { stamp, pose, speed: Vector3::zeros(), turn_speed: 0.0 },
        };
        self.pose.insert(smooth).pose
    }

    fn change(&mut self, attention: Option<f32>) -> Option<EventKind> {
        let attention = attention.map_or(0.0, f64::from);
        let is_attentive = if self.is_attentive { attention > LOST } else { attention >= GAINED };
        let has_changed = std::mem::replace(&mut self.is_attentive, is_attentive) != is_attentive;
        has_changed.then_some(if is_attentive { EventKind::AttentionGained } else { EventKind::AttentionLost })
    }
}

impl Smooth {
    fn follow(self, seen: &HeadPose, stamp: Stamp) -> Self {
        let secs = stamp.secs_since(self.stamp);
        if secs <= 0.0 {
            return self;
        }
        let of_speed = share(SPEED_HZ, secs);
        let speed = self.speed.lerp(&((seen.position - self.pose.position) / secs), of_speed);
        let turned = self.pose.rotation.angle_to(&seen.rotation);
        let turn_speed = self.turn_speed + of_speed * (turned / secs - self.turn_speed);
        let of_place = share(REST_HZ + HZ_PER_SPEED * speed.norm(), secs);
        let of_turn = share(REST_HZ + HZ_PER_TURN * turn_speed, secs);
        let pose = HeadPose {
            position: self.pose.position.lerp(&seen.position, of_place),
            rotation: between(&self.pose.rotation, &seen.rotation, of_turn),
        };
        Self { stamp, pose, speed, turn_speed }
    }
}

/// The rotation that is this share of the way from one to the other.
fn between(from: &UnitQuaternion<f64>, to: &UnitQuaternion<f64>, share: f64) -> UnitQuaternion<f64> {
    UnitQuaternion::from_scaled_axis(from.rotation_to(to).scaled_axis() * share) * from
}

/// Share of the new value that a low-pass filter with this cut-off takes after this time.
fn share(cut_off_hz: f64, secs: f64) -> f64 {
    let r = TAU * cut_off_hz * secs;
    r / (r + 1.0)
}

/// 0 up to `low`, 1 from `high` on.
fn smooth_step(low: f64, high: f64, value: f64) -> f64 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BBox;
    use crate::head_pose::project;
    use crate::head_pose::tests::head;
    use crate::ids::CameraId;
    use crate::people::Identity;

    fn lens() -> Lens {
        crate::lens::tests::lens("plumb_bob", &[])
    }

    /// What is seen of this head, or nothing of a head that was there.
    fn frame(nanos: i64, heads: &[(u64, Option<HeadPose>)]) -> People {
        let people = heads.iter().map(|(number, pose)| Person {
            face_id: FaceId::from_counter(*number),
            identity: Identity::default(),
            bbox: BBox::new(0.0, 0.0, 1.0, 1.0),
            score: 0.9,
            landmarks: project(&pose.unwrap_or(head(0.0, 0.0, 0.0, [0.0, 0.0, 1.0])), &lens()).unwrap(),
            quality: 1.0,
            observed: pose.is_some(),
            track_age_secs: 0.0,
            emotion: None,
            pose: None,
            attention: None,
        });
        People {
            camera: CameraId::default(),
            stamp: Stamp::from_nanos(nanos),
            frame_id: "eye".into(),
            width: 640,
            height: 480,
            frame_seq: 0,
            displaced: 0,
            latency_nanos: 0,
            people: people.collect(),
        }
    }

    /// Frames at 20 Hz of one head that is turned to the side by `yaw(seconds)`.
    fn turn(heads: &mut Heads, lens: Option<Lens>, from: i64, frames: i64, yaw: f64) -> (People, Vec<EventKind>) {
        let mut events = Vec::new();
        let mut last = None;
        for n in 0..frames {
            let mut seen = frame((from + n) * 50_000_000, &[(1, Some(head(yaw, 0.0, 0.0, [0.1, 0.0, 1.5])))]);
            heads.look(lens, &mut seen, &mut events);
            last = Some(seen);
        }
        (last.unwrap(), events.into_iter().map(|event| event.kind).collect())
    }

    #[test]
    fn a_calibrated_camera_gives_places_and_any_camera_attention() {
        let mut heads = Heads::default();
        let (seen, events) = turn(&mut heads, Some(lens()), 0, 10, 5.0);
        let person = &seen.people[0];
        assert!((person.pose.unwrap().distance() - 1.503).abs() < 0.01);
        assert!(person.attention.unwrap() > 0.9);
        assert_eq!(events, [EventKind::AttentionGained]);

        let (seen, _) = turn(&mut Heads::default(), None, 0, 10, 5.0);
        assert_eq!(seen.people[0].pose, None);
        assert!(seen.people[0].attention.unwrap() > 0.9);

        let mut other_size = frame(0, &[(1, Some(head(0.0, 0.0, 0.0, [0.0, 0.0, 1.0])))]);
        (other_size.width, other_size.height) = (1280, 960);
        Heads::default().look(Some(lens()), &mut other_size, &mut Vec::new());
        assert_eq!(other_size.people[0].pose, None);
    }

    #[test]
    fn attention_is_lost_by_turning_away_and_by_leaving_and_told_once() {
        let mut heads = Heads::default();
        turn(&mut heads, None, 0, 10, 0.0);
        let (seen, events) = turn(&mut heads, None, 10, 20, 45.0);
        assert_eq!(events, [EventKind::AttentionLost]);
        assert!(seen.people[0].attention.unwrap() < 0.1);
        let (_, events) = turn(&mut heads, None, 30, 20, 0.0);
        assert_eq!(events, [EventKind::AttentionGained]);

        let mut events = Vec::new();
        heads.look(None, &mut frame(2_600_000_000, &[]), &mut events);
        heads.look(None, &mut frame(2_700_000_000, &[]), &mut events);
        let kinds: Vec<_> = events.iter().map(|event| (event.kind, event.face_id)).collect();
        assert_eq!(kinds, [(EventKind::AttentionLost, Some(FaceId::from_counter(1)))]);
    }

    #[test]
    fn who_is_not_seen_keeps_attention_for_a_while_and_has_no_place() {
        let mut heads = Heads::default();
        turn(&mut heads, Some(lens()), 0, 10, 0.0);
        for (nanos, is_held) in [(900_000_000, true), (1_600_000_000, false)] {
            let mut seen = frame(nanos, &[(1, None)]);
            heads.look(Some(lens()), &mut seen, &mut Vec::new());
            assert_eq!((seen.people[0].pose, seen.people[0].attention.is_some()), (None, is_held));
        }
    }

    #[test]
    fn a_still_head_does_not_tremble_and_a_moving_one_hardly_lags() {
        let mut heads = Heads::default();
        let mut dice = 1_u32;
        let mut noise = || {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(dice >> 8) / f64::from(1 << 24) - 0.5
        };
        let (mut worst_still, mut worst_moving) = (0.0_f64, 0.0_f64);
        for n in 0..200_i64 {
            let depth = if n < 100 { 1.5 } else { 1.5 - 0.5 * (n - 100) as f64 / 30.0 }.max(0.6);
            let mut seen =
                frame(n * 33_000_000, &[(1, Some(head(10.0 * noise(), 0.0, 0.0, [0.0, 0.0, depth + 0.1 * noise()])))]);
            heads.look(Some(lens()), &mut seen, &mut Vec::new());
            let off = (seen.people[0].pose.unwrap().distance() - depth).abs();
            match n {
                30..100 => worst_still = worst_still.max(off),
                100.. => worst_moving = worst_moving.max(off),
                _ => {}
            }
        }
        assert!(worst_still < 0.035 && worst_moving < 0.1, "{worst_still} {worst_moving}");
    }
}
