//! Scenes made up by chance, for measuring: three to six people walk about, cross, hide each other,
//! leave and come back, while light, sharpness and the camera's rate vary. The same seed and cast
//! give the same scene.

use super::curve::Curve;
use super::dice::Dice;
use super::layer::Cutout;
use super::room;
use super::scene::{Actor, Prop, Scene, Script};
use super::story::{COLUMN_NEARNESS, START};

/// Seconds that are seen at the scene's full rate.
pub const SECONDS: f64 = 20.0;
/// Frames per second while nothing happens.
const IDLE_HZ: f64 = 1.0;
/// Height of the smallest and the largest face, pixels.
const HEIGHTS: (f32, f32) = (46.0, 128.0);
/// Fastest walk, face heights per second.
const FASTEST: f32 = 2.2;
/// Where half of a face has left the frame.
const EDGES: [f64; 2] = [-0.5, room::WIDTH as f64 - 0.5];

/// Seconds from the edge to where nothing of a face is seen: less than half of the shortest absence.
const HIDDEN_SECS: f64 = 0.45;

/// Someone who may appear.
#[derive(Clone, Debug)]
pub struct Member {
    /// Key in the truth.
    pub person: String,
    /// Indices of this person's photographs; with three or more the person can be enrolled.
    pub photographs: Vec<usize>,
}

/// What a scene is made to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Chooses everything else.
    pub seed: u64,
    /// People, 1 or more.
    pub people: usize,
    /// How long those who leave stay away, seconds.
    pub absence_secs: f64,
    /// Frames per second.
    pub rate_hz: f64,
}

/// A scene and who is to be known in it.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// The scene.
    pub scene: Scene,
    /// Person (also the name) and photographs to learn each from; none of these is shown.
    pub enrolled: Vec<(String, Vec<usize>)>,
}

impl Setting {
    /// The settings of `count` scenes that together cover every number of people, absence and rate.
    pub fn all(count: u64) -> impl Iterator<Item = Self> {
        const ABSENCES: [f64; 3] = [1.0, 10.0, 60.0];
        const RATES: [f64; 7] = [5.0, 15.0, 7.5, 10.0, 30.0, 12.0, 20.0];
        (0..count).map(|index| Self {
            seed: 1000 + index,
            people: 3 + index as usize % 4,
            absence_secs: ABSENCES[index as usize % ABSENCES.len()],
            rate_hz: RATES[index as usize % RATES.len()],
        })
    }
}

/// Makes up a scene. `cutouts` are one per photograph, and `cast` refers to them by index.
pub fn scene(setting: &Setting, cast: &[Member], cutouts: &[Cutout]) -> Crowd {
    let mut dice = Dice::new(setting.seed);
    let mut members: Vec<&Member> = cast.iter().collect();
    dice.shuffle(&mut members);
    members.truncate(setting.people.max(1));
    let stage = Stage::new(setting);
    let (mut actors, mut enrolled, mut used) = (Vec::new(), Vec::new(), Vec::new());
    for (place, member) in members.iter().enumerate() {
        let mut photographs = member.photographs.clone();
        dice.shuffle(&mut photographs);
        let is_known = photographs.len() >= 3 && dice.unit() < 0.6;
        let references =
            if is_known { photographs.split_off(photographs.len() - 2.min(photographs.len() - 1)) } else { Vec::new() };
        // At least two of the people go away and come back.
        let leaves = place < 2 || dice.unit() < 0.5;
        for mut actor in stage.walk(&mut dice, place, members.len(), leaves) {
            let photograph = photographs[actor.cutout % photographs.len()];
            actor.cutout = used.iter().position(|other| *other == photograph).unwrap_or_else(|| {
                used.push(photograph);
                used.len() - 1
            });
            actor.person.clone_from(&member.person);
            actor.name = is_known.then(|| member.person.clone());
            actors.push(actor);
        }
        if is_known {
            enrolled.push((member.person.clone(), references));
        }
    }
    let cutouts = used.iter().filter_map(|index| cutouts.get(*index).cloned()).collect();
    let props = vec![
        Prop { layer: room::column(setting.seed), x: room::COLUMN.0, y: 0, nearness: COLUMN_NEARNESS },
        Prop { layer: room::counter(setting.seed), x: 0, y: room::COUNTER_TOP, nearness: f64::INFINITY },
    ];
    let script = stage.script(&mut dice, setting, actors);
    Crowd { scene: Scene::new(script, room::backdrop(setting.seed), cutouts, props), enrolled }
}

/// The time of a scene: one stretch at the full rate, or two with a long pause between.
struct Stage {
    absence: f64,
    /// Begin and end of the pause.
    pause: (f64, f64),
    end: f64,
}

impl Stage {
    fn new(setting: &Setting) -> Self {
        let absence = setting.absence_secs;
        if absence < SECONDS {
            return Self { absence, pause: (SECONDS, SECONDS), end: SECONDS };
        }
        let pause = (0.5 * SECONDS, 0.5 * SECONDS + absence - 2.0);
        Self { absence, pause, end: pause.1 + 0.5 * SECONDS }
    }

    /// The appearances of one person; `cutout` numbers the photograph.
    fn walk(&self, dice: &mut Dice, place: usize, people: usize, leaves: bool) -> Vec<Actor> {
        let share = (place as f32 + dice.unit()) / people as f32;
        let height = HEIGHTS.0 + (HEIGHTS.1 - HEIGHTS.0) * share;
        let enters = f64::from(dice.between(0.0, 1.5));
        let entry = dice.below(2);
        if !leaves {
            return vec![self.visit(dice, height, (enters, self.end), (entry, None))];
        }
        // A minute's absence begins just before the pause, so that it spans it.
        let goes = match self.absence {
            long if long >= SECONDS => self.pause.0 - 1.0,
            short => f64::from(dice.between(3.5, (SECONDS - short - 4.0).max(4.0) as f32)),
        };
        let is_short = self.absence < 5.0;
        let across = reach(height, goes - enters) > EDGES[1];
        let exit = if across { dice.below(2) } else { entry };
        let back = if is_short { exit } else { dice.below(2) };
        let comes = goes + self.absence;
        let first = self.visit(dice, height, (enters, goes), (entry, Some(exit)));
        let mut second = self.visit(dice, height, (comes, self.end), (back, None));
        second.cutout = usize::from(!is_short);
        vec![first, second]
    }

    /// One stay in view, from the moment that half of the face has come in at an edge of the frame to the
    /// moment that half of it has gone at another.
    fn visit(
        &self,
        dice: &mut Dice,
        height: f32,
        (from, to): (f64, f64),
        (entry, exit): (usize, Option<usize>),
    ) -> Actor {
        let away = f64::from(1.2 * height);
        let beyond = |side: usize| if side == 0 { -away } else { f64::from(room::WIDTH) + away };
        let mut x = vec![(from - HIDDEN_SECS, beyond(entry)), (from, EDGES[entry])];
        self.wander(dice, height, (from, to), exit.map(|side| EDGES[side]), &mut x);
        if let Some(side) = exit {
            x.push((to + HIDDEN_SECS, beyond(side)));
        }
        let (near, far) = (dice.between(0.85, 1.25), dice.between(0.85, 1.25));
        let middle = 0.5 * (from + to);
        let tall = |share: f32| f64::from((height * share).clamp(HEIGHTS.0 - 4.0, HEIGHTS.1 + 16.0));
        let low = f64::from(dice.between(180.0, 240.0));
        Actor {
            person: String::new(),
            name: None,
            cutout: 0,
            present: (from - HIDDEN_SECS)..(to + HIDDEN_SECS),
            x: Curve::through(&x),
            y: Curve::through(&[(from, low), (middle, low + f64::from(dice.between(-30.0, 30.0))), (to, low)]),
            height: Curve::through(&[(from, tall(1.0)), (middle, tall(near)), (to, tall(far))]),
            roll: swings(dice, (from, to)),
            brightness: Curve::constant(dice.between(0.85, 1.15).into()),
        }
    }

    /// Points from one place to the next, none farther than can be walked, the last at `exit` if there
    /// is one. During the pause everybody stands.
    fn wander(&self, dice: &mut Dice, height: f32, (from, to): (f64, f64), exit: Option<f64>, x: &mut Vec<(f64, f64)>) {
        let (mut now, mut at) = (from, x.last().map_or(0.0, |last| last.1));
        while now < to {
            let stands = (self.pause.0..self.pause.1).contains(&now);
            let secs = if stands { self.pause.1 - now } else { dice.between(1.2, 3.0).into() };
            let next = if now + secs > to - 1.2 { to } else { now + secs };
            let wanted = if stands { at } else { f64::from(dice.between(40.0, room::WIDTH as f32 - 40.0)) };
            let step = reach(height, next - now);
            at = wanted.clamp(at - step, at + step);
            if let Some(exit) = exit {
                let left = reach(height, to - next);
                at = at.clamp(exit - left, exit + left);
            }
            x.push((next, at));
            now = next;
        }
    }

    fn script(&self, dice: &mut Dice, setting: &Setting, actors: Vec<Actor>) -> Script {
        let noise = dice.between(1.0, 4.0);
        Script {
            start: START,
            moments: self.moments(dice, setting.rate_hz),
            light: self.steps_of_light(dice),
            blur: Self::stretch_of_blur(dice),
            noise,
            seed: setting.seed,
            jpeg_quality: 80,
            actors,
        }
    }

    /// Frames of a camera that loses some, one by one and, in some scenes, several in a row.
    fn moments(&self, dice: &mut Dice, rate_hz: f64) -> Vec<f64> {
        let lost = dice.between(0.0, 0.12);
        let stall = if dice.unit() < 0.4 { f64::from(dice.between(0.4, 0.8)) } else { 0.0 };
        let stalled_at = f64::from(dice.between(2.0, 0.4 * SECONDS as f32));
        let is_seen = |secs: f64, dice: &mut Dice| {
            let is_stalled = (stalled_at..stalled_at + stall).contains(&secs);
            let is_idle = (self.pause.0..self.pause.1).contains(&secs);
            let is_kept = !is_idle || secs.rem_euclid(1.0 / IDLE_HZ) < 1.0 / rate_hz - 1e-9;
            dice.unit() >= lost && !is_stalled && is_kept
        };
        Script::evenly(rate_hz, self.end).into_iter().filter(|secs| is_seen(*secs, dice)).collect()
    }

    fn steps_of_light(&self, dice: &mut Dice) -> Curve {
        let (mut points, mut now) = (Vec::new(), 0.0);
        let mut light = 1.0;
        while now < self.end {
            points.push((now, light));
            now += f64::from(dice.between(3.0, 7.0));
            points.push((now - 0.1, light));
            light = dice.between(0.5, 1.5).into();
        }
        Curve::through(&points)
    }

    fn stretch_of_blur(dice: &mut Dice) -> Curve {
        let from = f64::from(dice.between(4.0, 0.45 * SECONDS as f32));
        let (sigma, secs) = (dice.between(0.8, 2.2).into(), f64::from(dice.between(0.5, 1.2)));
        Curve::through(&[(from, 0.0), (from + 0.3, sigma), (from + 0.3 + secs, sigma), (from + 0.6 + secs, 0.0)])
    }
}

/// How far a face of this height gets, pixels. Curves are up to half as steep again as the line between
/// their points.
fn reach(height: f32, secs: f64) -> f64 {
    f64::from(FASTEST * height) * secs / 1.5
}

/// Turns of the head to both sides.
fn swings(dice: &mut Dice, (from, to): (f64, f64)) -> Curve {
    let mut points = Vec::new();
    let mut now = from;
    while now < to {
        points.push((now, dice.between(-15.0, 15.0).into()));
        now += f64::from(dice.between(0.8, 2.5));
    }
    Curve::through(&points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::layer::Portrait;
    use image::{Rgb, RgbImage};
    use std::borrow::Cow;

    fn made(setting: &Setting) -> Crowd {
        let portrait = Portrait {
            face: [30.0, 30.0, 70.0, 70.0],
            landmarks: [[40.0, 42.0], [60.0, 42.0], [50.0, 50.0], [42.0, 60.0], [58.0, 60.0]],
            outline: Cow::Borrowed(&[[20, 20], [80, 20], [80, 80], [20, 80]]),
        };
        let cutouts = vec![Cutout::new(&RgbImage::from_pixel(100, 100, Rgb([200, 100, 50])), portrait); 24];
        let cast: Vec<_> = (0..8)
            .map(|who| Member { person: format!("p{who}"), photographs: (3 * who..3 * who + 3).collect() })
            .collect();
        scene(setting, &cast, &cutouts)
    }

    #[test]
    fn the_same_seed_gives_the_same_scene_and_another_seed_another() {
        let setting = Setting { seed: 1, people: 4, absence_secs: 10.0, rate_hz: 10.0 };
        let truth = |setting: &Setting| {
            let scene = made(setting).scene;
            (0..scene.frames()).step_by(20).map(|frame| scene.truth(frame)).collect::<Vec<_>>()
        };
        assert_eq!(truth(&setting), truth(&setting));
        assert_ne!(truth(&setting), truth(&Setting { seed: 2, ..setting }));
    }

    #[test]
    fn thirty_scenes_show_every_number_of_people_every_absence_and_every_rate() {
        let settings: Vec<_> = Setting::all(30).collect();
        for people in 3..=6 {
            assert!(settings.iter().any(|setting| setting.people == people));
        }
        for absence in [1.0, 10.0, 60.0] {
            assert_eq!(settings.iter().filter(|setting| setting.absence_secs == absence).count(), 10);
        }
        assert!(settings.iter().any(|s| s.rate_hz == 5.0) && settings.iter().any(|s| s.rate_hz == 30.0));
    }

    #[test]
    fn people_leave_for_as_long_as_they_should_and_move_as_people_do() {
        for setting in Setting::all(30) {
            let crowd = made(&setting);
            let scene = &crowd.scene;
            let people: std::collections::BTreeSet<_> =
                scene.script().actors.iter().map(|actor| actor.person.clone()).collect();
            assert_eq!(people.len(), setting.people);
            let full_rate = scene.script().moments.windows(2).filter(|pair| pair[1] - pair[0] < 0.9).count() as f64;
            assert!(full_rate / setting.rate_hz > 0.8 * SECONDS, "seed {}", setting.seed);
            let mut absences = 0;
            for person in &people {
                let visits: Vec<_> = scene.script().actors.iter().filter(|actor| actor.person == *person).collect();
                for pair in visits.windows(2) {
                    absences += 1;
                    let out = |actor: &Actor, secs: f64| !(0.0..=639.0).contains(&actor.x.at(secs));
                    // Half of the face has gone at one edge, and comes back at one.
                    let (gone, back) = (pair[0].present.end - 0.45, pair[1].present.start + 0.45);
                    assert!((back - gone - setting.absence_secs).abs() < 1e-6);
                    assert!(out(pair[0], gone + 0.01) && out(pair[1], back - 0.01), "seed {}", setting.seed);
                }
                for actor in visits {
                    let mut secs = actor.present.start;
                    while secs < actor.present.end {
                        let step = (actor.x.at(secs + 0.1) - actor.x.at(secs)).abs();
                        assert!(
                            step < 0.8 * actor.height.at(secs),
                            "seed {}: {step} px in 0.1 s at {secs}",
                            setting.seed
                        );
                        secs += 0.1;
                    }
                }
            }
            assert!(absences >= 2, "seed {}", setting.seed);
        }
    }
}
