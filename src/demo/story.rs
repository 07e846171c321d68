//! What happens in the demo: half a minute in which the enrolled person comes and goes.
//!
//! | seconds | the enrolled person | the strangers |
//! |---|---|---|
//! | 0.0 – 2.2 | walks to the right | |
//! | 2.2 – 3.2 | hidden by the column: absent for 1 s | one comes in from the left |
//! | 3.2 – 8.8 | turns round, is passed by the stranger (first crossing), leaves in the dark | |
//! | 8.8 – 11.8 | outside: absent for 3 s | leaves to the right |
//! | 11.8 – 16.6 | walks from left to right in glaring light, before the other stranger (second crossing) | the other comes in, far away |
//! | 16.6 – 24.6 | outside: absent for 8 s | one comes back |
//! | 24.6 – 30.0 | comes near, in another photograph, blurred for a while | both stay |

use super::curve::Curve;
use super::layer::{Cutout, Layer};
use super::photos::{ENROLLED_NAME, Photograph};
use super::room;
use super::scene::{Actor, Prop, Scene, Script};
use crate::time::Stamp;

/// Absences of the enrolled person, seconds from the start: the first frame without and the first frame
/// with the face again.
pub const ABSENCES: [(f64, f64); 3] = [(2.2, 3.2), (8.8, 11.8), (16.6, 24.6)];
/// Length of the scene, seconds.
pub const SECONDS: f64 = 30.0;
/// Moments worth a picture in the report, seconds from the start.
pub const MOMENTS: [f64; 6] = [1.6, 4.6, 8.0, 14.2, 22.0, 28.6];
/// Frames per second.
pub const RATE_HZ: f64 = 15.0;

/// Key of the enrolled person.
pub const ENROLLED: &str = "enrolled";
const SEED: u64 = 20_260_101;
/// Stamp of the first frame, ns: any will do, as long as it is always the same.
pub(super) const START: Stamp = Stamp::from_nanos(1_700_000_000_000_000_000);
/// Where half of a face has left the frame: between the first pixel and the one before.
const LEFT: f64 = -0.5;
const RIGHT: f64 = room::WIDTH as f64 - 0.5;
/// Half of a face is behind the column's edge.
const COLUMN: (f64, f64) = (room::COLUMN.0 as f64 - 0.5, room::COLUMN.1 as f64 - 0.5);
/// Faces lower than this walk behind the column.
pub(super) const COLUMN_NEARNESS: f64 = 85.0;

/// The scene of the demo, with the cut-outs of [`super::photos::cutouts`].
pub fn scene(cutouts: Vec<Cutout>) -> Scene {
    let prop = |layer: Layer, x, y, nearness| Prop { layer, x, y, nearness };
    let props = vec![
        prop(room::column(SEED), room::COLUMN.0, 0, COLUMN_NEARNESS),
        prop(room::counter(SEED), 0, room::COUNTER_TOP, f64::INFINITY),
    ];
    Scene::new(script(), room::backdrop(SEED), cutouts, props)
}

fn script() -> Script {
    Script {
        start: START,
        moments: Script::evenly(RATE_HZ, SECONDS),
        light: Curve::through(&[
            (6.8, 1.0),
            (7.6, 0.4),
            (8.4, 0.4),
            (9.4, 1.0),
            (12.8, 1.0),
            (13.6, 1.6),
            (14.6, 1.6),
            (15.4, 1.0),
            (19.0, 1.0),
            (20.5, 0.6),
            (22.5, 0.6),
            (24.0, 1.0),
        ]),
        blur: Curve::through(&[(26.4, 0.0), (26.9, 2.2), (27.6, 2.2), (28.1, 0.0)]),
        noise: 2.0,
        seed: SEED,
        jpeg_quality: 60,
        actors: vec![enrolled_afar(), enrolled_near(), astronaut_first(), astronaut_again(), vice_president()],
    }
}

fn actor(person: &str, photograph: Photograph, present: std::ops::Range<f64>) -> Actor {
    Actor {
        person: person.to_owned(),
        name: (person == ENROLLED).then(|| ENROLLED_NAME.to_owned()),
        cutout: photograph as usize,
        present,
        x: Curve::constant(0.0),
        y: Curve::constant(0.0),
        height: Curve::constant(0.0),
        roll: Curve::constant(0.0),
        brightness: Curve::constant(1.0),
    }
}

/// When the middle of a face crosses an edge so that it counts as hidden, or visible, from the frame at
/// `secs` on: half a frame before.
const fn edge(secs: f64) -> f64 {
    secs - 0.5 / RATE_HZ
}

fn enrolled_afar() -> Actor {
    let [behind_column, outside_left, outside_right] = ABSENCES.map(|(from, to)| (edge(from), edge(to)));
    Actor {
        x: Curve::through(&[
            (0.0, 48.0),
            (behind_column.0, COLUMN.0),
            (behind_column.1, COLUMN.1),
            (4.3, 478.0),
            (4.9, 494.0),
            (5.4, 470.0),
            (6.3, 352.0),
            (outside_left.0, LEFT),
            (9.7, -90.0),
            (10.9, -90.0),
            (outside_left.1, LEFT),
            (outside_right.0, RIGHT),
            (18.0, 760.0),
        ]),
        y: Curve::through(&[(0.0, 208.0), (4.9, 200.0), (8.8, 196.0), (16.6, 202.0)]),
        height: Curve::through(&[(0.0, 58.0), (3.2, 64.0), (5.0, 82.0), (6.3, 93.0), (8.8, 100.0), (16.6, 110.0)]),
        roll: Curve::through(&[
            (0.0, 0.0),
            (1.2, -8.0),
            (2.2, 0.0),
            (3.4, 2.0),
            (4.6, 15.0),
            (5.6, 3.0),
            (7.4, -10.0),
            (8.8, 0.0),
            (11.8, 0.0),
            (13.0, -15.0),
            (14.2, 6.0),
            (15.6, 12.0),
            (16.6, 0.0),
        ]),
        ..actor(ENROLLED, Photograph::Standing, 0.0..18.0)
    }
}

fn enrolled_near() -> Actor {
    Actor {
        x: Curve::through(&[(23.6, -150.0), (edge(ABSENCES[2].1), LEFT), (26.2, 206.0), (27.5, 252.0), (30.0, 290.0)]),
        y: Curve::constant(206.0),
        height: Curve::through(&[(24.6, 140.0), (26.5, 150.0), (28.5, 158.0), (30.0, 152.0)]),
        roll: Curve::through(&[(25.0, 0.0), (25.8, 12.0), (26.6, 0.0), (28.2, -13.0), (29.3, 9.0), (30.0, 4.0)]),
        ..actor(ENROLLED, Photograph::Speaking, 23.6..SECONDS)
    }
}

fn astronaut_first() -> Actor {
    Actor {
        x: Curve::through(&[(2.9, -90.0), (6.3, 345.0), (8.0, 530.0), (9.0, 566.0), (10.4, 570.0), (12.4, 740.0)]),
        y: Curve::constant(208.0),
        height: Curve::through(&[(2.9, 114.0), (6.3, 122.0), (12.4, 112.0)]),
        roll: Curve::through(&[(3.0, 0.0), (4.4, 7.0), (6.0, -4.0), (8.6, 10.0), (10.0, -10.0), (12.0, 0.0)]),
        ..actor("stranger-1", Photograph::Astronaut, 2.9..12.4)
    }
}

fn astronaut_again() -> Actor {
    Actor {
        x: Curve::through(&[(18.4, 740.0), (20.2, 584.0), (24.0, 562.0), (27.0, 574.0), (30.0, 560.0)]),
        y: Curve::through(&[(18.4, 204.0), (24.0, 210.0)]),
        height: Curve::through(&[(18.4, 84.0), (24.0, 98.0), (30.0, 104.0)]),
        roll: Curve::through(&[(19.0, 0.0), (21.0, -9.0), (23.0, 8.0), (25.5, -6.0), (28.0, 11.0), (30.0, 0.0)]),
        ..actor("stranger-1", Photograph::Astronaut, 18.4..SECONDS)
    }
}

fn vice_president() -> Actor {
    Actor {
        x: Curve::through(&[(13.0, 680.0), (15.4, 548.0), (18.0, 476.0), (22.0, 436.0), (26.0, 444.0), (30.0, 462.0)]),
        y: Curve::through(&[(13.0, 222.0), (18.0, 214.0), (30.0, 206.0)]),
        height: Curve::through(&[(13.0, 42.0), (18.0, 50.0), (30.0, 60.0)]),
        roll: Curve::through(&[(13.0, 0.0), (16.5, 6.0), (19.0, -12.0), (22.0, 9.0), (25.0, -4.0), (28.0, 7.0)]),
        brightness: Curve::through(&[(17.0, 1.0), (19.0, 1.15), (30.0, 1.1)]),
        ..actor("stranger-2", Photograph::VicePresident, 13.0..SECONDS)
    }
}
