//! Composes moving scenes from photographs: a script says who is where, when and how lit; out come
//! frames and the exact truth about every face in them.
//!
//! A frame depends on the script and its own number only, so frames can be composed in any order,
//! by several threads, and always come out the same.

use super::curve::Curve;
use super::layer::{Cutout, Layer, Sized};
use crate::geometry::{BBox, ImagePx, Landmarks5, Point};
use crate::time::Stamp;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, RgbImage, imageops};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// How far the head turns as one piece, face heights from its centre; further down the turn fades.
const STIFF: f32 = 0.9;
/// Where the turn has faded, face heights.
const STILL: f32 = 2.4;
/// Rise and fall of a walking head, face heights, and its rate.
const GAIT: (f64, f64) = (0.025, 1.7);
/// Steps in which the turn is tabulated.
const TURN_STEPS: usize = 256;

/// A person on the scene, from one photograph, for one stretch of time.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Who; the same in all stretches and photographs of one person.
    pub person: String,
    /// The name, if this person is to be recognised.
    pub name: Option<String>,
    /// Index of the cut-out.
    pub cutout: usize,
    /// When on the scene, seconds from the start; at other moments nothing is drawn.
    pub present: std::ops::Range<f64>,
    /// Centre of the face, pixels from the left; may lie outside the frame.
    pub x: Curve,
    /// Centre of the face, pixels from the top.
    pub y: Curve,
    /// Height of the face's box, pixels; the larger, the nearer.
    pub height: Curve,
    /// Turn of the head in the image, degrees, clockwise as seen.
    pub roll: Curve,
    /// Factor on the person's light, besides that of the whole scene.
    pub brightness: Curve,
}

/// A thing that stands still and hides what is behind it.
#[derive(Clone, Debug)]
pub struct Prop {
    /// Its picture.
    pub layer: Layer,
    /// Left edge, pixels.
    pub x: i32,
    /// Upper edge, pixels.
    pub y: i32,
    /// Faces lower than this are behind it.
    pub nearness: f64,
}

/// Everything that happens.
#[derive(Clone, Debug)]
pub struct Script {
    /// Stamp of the first frame.
    pub start: Stamp,
    /// When each frame is taken, seconds from the first, rising; a camera need not be regular.
    pub moments: Vec<f64>,
    /// Factor on all light.
    pub light: Curve,
    /// Blur of the whole picture: standard deviation, pixels.
    pub blur: Curve,
    /// Standard deviation of the sensor's noise, grey levels.
    pub noise: f32,
    /// Chooses the noise.
    pub seed: u64,
    /// Quality of the JPEG files, 1..=100.
    pub jpeg_quality: u8,
    /// The people.
    pub actors: Vec<Actor>,
}

impl Script {
    /// The moments of a camera that misses no frame.
    pub fn evenly(rate_hz: f64, secs: f64) -> Vec<f64> {
        (0..(secs * rate_hz) as usize).map(|frame| frame as f64 / rate_hz).collect()
    }
}

/// A script with its pictures.
#[derive(Clone, Debug)]
pub struct Scene {
    script: Script,
    backdrop: RgbImage,
    cutouts: Vec<Cutout>,
    props: Vec<Prop>,
    noise: Vec<i8>,
}

/// What is true of one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameTruth {
    /// Of the frame.
    pub stamp: Stamp,
    /// Standard deviation of the blur, pixels.
    pub blur: f64,
    /// Everyone whose face is on the scene, also when hidden or outside the frame.
    pub faces: Vec<FaceTruth>,
}

/// What is true of one face in one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceTruth {
    /// Who.
    pub person: String,
    /// The name, if this person is to be recognised.
    pub name: Option<String>,
    /// Index of the cut-out.
    pub cutout: usize,
    /// The face's box as if nothing hid it: x1, y1, x2, y2, pixels.
    pub r#box: [f32; 4],
    /// Right eye, left eye, nose, right and left mouth corner, by the subject's side, pixels.
    pub landmarks: [[f32; 2]; 5],
    /// Share of the face that is in the frame and not hidden, 0..=1.
    pub visible: f32,
    /// Degrees, clockwise as seen.
    pub roll: f64,
    /// Factor on the face's light.
    pub brightness: f64,
}

impl FaceTruth {
    /// Least share of a face for it to count as visible.
    pub const VISIBLE: f32 = 0.5;

    /// Whether enough of the face can be seen.
    pub fn is_visible(&self) -> bool {
        self.visible >= Self::VISIBLE
    }

    /// The box as the rest of the program has it.
    pub fn bbox(&self) -> BBox<ImagePx> {
        let [x1, y1, x2, y2] = self.r#box;
        BBox::new(x1, y1, x2, y2)
    }

    /// The points as the rest of the program has them.
    pub fn landmarks5(&self) -> Landmarks5<ImagePx> {
        Landmarks5::new(self.landmarks.map(|[x, y]| Point::new(x, y)))
    }
}

/// Buffers of one composing thread.
#[derive(Clone, Debug, Default)]
pub struct Canvas {
    picture: RgbImage,
    jpeg: Vec<u8>,
}

impl Canvas {
    /// The frame composed last.
    pub const fn picture(&self) -> &RgbImage {
        &self.picture
    }
}

/// An actor at one moment.
struct Placed<'a> {
    actor: &'a Actor,
    cutout: &'a Cutout,
    sized: Sized<'a>,
    centre: [f32; 2],
    height: f32,
    turn: Turn,
    roll: f64,
    brightness: f64,
}

impl Scene {
    /// `backdrop` gives the size of the frames; actors refer to `cutouts` by index.
    pub fn new(script: Script, backdrop: RgbImage, cutouts: Vec<Cutout>, props: Vec<Prop>) -> Self {
        let noise = noise_tile(script.seed, script.noise, backdrop.as_raw().len());
        Self { script, backdrop, cutouts, props, noise }
    }

    /// What happens.
    pub const fn script(&self) -> &Script {
        &self.script
    }

    /// Columns and rows of a frame.
    pub fn size(&self) -> (u32, u32) {
        self.backdrop.dimensions()
    }

    /// Acquisition time of a frame.
    pub fn stamp(&self, frame: usize) -> Stamp {
        self.script.start.plus_secs(self.secs(frame))
    }

    /// Number of frames.
    pub const fn frames(&self) -> usize {
        self.script.moments.len()
    }

    fn secs(&self, frame: usize) -> f64 {
        self.script.moments.get(frame).copied().unwrap_or_default()
    }

    /// What is true of a frame, without composing it.
    pub fn truth(&self, frame: usize) -> FrameTruth {
        let secs = self.secs(frame);
        let placed = self.placed(secs);
        let faces = (0..placed.len()).map(|index| self.face_truth(&placed, index)).collect();
        FrameTruth { stamp: self.stamp(frame), blur: self.script.blur.at(secs), faces }
    }

    /// Composes a frame into `canvas`.
    pub fn compose(&self, frame: usize, canvas: &mut Canvas) {
        let secs = self.secs(frame);
        let light = self.script.light.at(secs);
        canvas.picture.clone_from(&self.backdrop);
        lit(&mut canvas.picture, light);
        let mut props: Vec<&Prop> = self.props.iter().collect();
        props.sort_by(|a, b| a.nearness.total_cmp(&b.nearness));
        let mut props = props.into_iter().peekable();
        for actor in self.placed(secs) {
            while let Some(prop) = props.next_if(|prop| prop.nearness <= f64::from(actor.height)) {
                draw_prop(&mut canvas.picture, prop, light);
            }
            draw_actor(&mut canvas.picture, &actor);
        }
        for prop in props {
            draw_prop(&mut canvas.picture, prop, light);
        }
        let blur = self.script.blur.at(secs) as f32;
        if blur > 0.3 {
            canvas.picture = imageops::fast_blur(&canvas.picture, blur);
        }
        self.add_noise(frame, &mut canvas.picture);
    }

    /// Composes a frame and returns it as a JPEG file.
    ///
    /// # Errors
    /// When the encoder refuses the size or quality.
    pub fn jpeg<'a>(&self, frame: usize, canvas: &'a mut Canvas) -> image::ImageResult<&'a [u8]> {
        self.compose(frame, canvas);
        let (width, height) = self.size();
        canvas.jpeg.clear();
        let mut encoder = JpegEncoder::new_with_quality(&mut canvas.jpeg, self.script.jpeg_quality);
        encoder.encode(canvas.picture.as_raw(), width, height, ExtendedColorType::Rgb8)?;
        Ok(&canvas.jpeg)
    }

    /// Everyone on the scene, the farthest first.
    fn placed(&self, secs: f64) -> Vec<Placed<'_>> {
        let light = self.script.light.at(secs);
        let on_scene = self.script.actors.iter().filter(|actor| actor.present.contains(&secs));
        let mut placed: Vec<Placed<'_>> = on_scene
            .filter_map(|actor| {
                let cutout = self.cutouts.get(actor.cutout)?;
                let height = actor.height.at(secs) as f32;
                let (swing, rate) = GAIT;
                let gait = swing * f64::from(height) * (std::f64::consts::TAU * rate * secs).sin();
                let roll = actor.roll.at(secs);
                Some(Placed {
                    actor,
                    cutout,
                    sized: cutout.sized(height),
                    centre: [actor.x.at(secs) as f32, (actor.y.at(secs) + gait) as f32],
                    height,
                    turn: Turn::new(roll),
                    roll,
                    brightness: light * actor.brightness.at(secs),
                })
            })
            .collect();
        placed.sort_by(|a, b| a.height.total_cmp(&b.height));
        placed
    }

    fn face_truth(&self, placed: &[Placed<'_>], index: usize) -> FaceTruth {
        let this = &placed[index];
        let portrait = &this.cutout.portrait;
        let ([px, py], [width, height]) = (portrait.centre(), portrait.size());
        let scale = this.height / height;
        let [cx, cy] = this.centre;
        let bbox = BBox::<ImagePx>::from_centre(cx, cy, width * scale, this.height);
        let at = |dx: f32, dy: f32| {
            let [dx, dy] = this.turn.forward(dx, dy, this.height);
            [cx + dx, cy + dy]
        };
        let landmarks = portrait.landmarks.map(|[x, y]| at((x - px) * scale, (y - py) * scale));
        FaceTruth {
            person: this.actor.person.clone(),
            name: this.actor.name.clone(),
            cutout: this.actor.cutout,
            r#box: bbox.to_array(),
            landmarks,
            visible: self.visible_share(&placed[index + 1..], this.height, &bbox),
            roll: this.roll,
            brightness: this.brightness,
        }
    }

    /// Which share of the ellipse in `face` lies in the frame and is hidden neither by those `in
    /// front` nor by a prop.
    fn visible_share(&self, in_front: &[Placed<'_>], height: f32, face: &BBox<ImagePx>) -> f32 {
        const STEPS: i32 = 24;
        let (frame_width, frame_height) = self.size();
        let centre = face.centre();
        let unit = |step: i32| (step as f32 + 0.5) / STEPS as f32 * 2.0 - 1.0;
        let (mut seen, mut all) = (0_u32, 0_u32);
        for (u, v) in (0..STEPS).flat_map(|v| (0..STEPS).map(move |u| (unit(u), unit(v)))) {
            if u.hypot(v) > 1.0 {
                continue;
            }
            all += 1;
            let (x, y) = (centre.x + 0.5 * u * face.width(), centre.y + 0.5 * v * face.height());
            let inside = x >= -0.5 && y >= -0.5 && x < frame_width as f32 - 0.5 && y < frame_height as f32 - 0.5;
            let hidden_by_someone = || in_front.iter().any(|other| other.opacity(x, y) > 127.0);
            let hidden_by_a_prop = || {
                let nearer = self.props.iter().filter(|prop| prop.nearness > f64::from(height));
                nearer.into_iter().any(|prop| prop.layer.sample(x - prop.x as f32, y - prop.y as f32)[3] > 127.0)
            };
            if inside && !hidden_by_someone() && !hidden_by_a_prop() {
                seen += 1;
            }
        }
        seen as f32 / all.max(1) as f32
    }

    fn add_noise(&self, frame: usize, picture: &mut RgbImage) {
        if self.noise.is_empty() {
            return;
        }
        let mut random = Pcg32::seed_from_u64(self.script.seed ^ (frame as u64 + 1));
        let shift = random.next_u32() as usize % self.noise.len();
        let bytes: &mut [u8] = picture;
        for (byte, noise) in bytes.iter_mut().zip(self.noise[shift..].iter().chain(&self.noise)) {
            *byte = byte.saturating_add_signed(*noise);
        }
    }
}

impl Placed<'_> {
    /// The person's picture at a point of the frame.
    fn sample(&self, x: f32, y: f32) -> [f32; 4] {
        let [dx, dy] = self.turn.backward(x - self.centre[0], y - self.centre[1], self.height);
        self.sized.sample(dx, dy)
    }

    fn opacity(&self, x: f32, y: f32) -> f32 {
        self.sample(x, y)[3]
    }

    /// Left, top, right, bottom of all that may be drawn, as pixels of a picture of this size.
    fn area(&self, (width, height): (u32, u32)) -> [u32; 4] {
        // What turns stays in a circle of this radius.
        let slack = (self.roll.abs().to_radians().sin() as f32) * STILL;
        let [left, top, right, bottom] = self.cutout.extent();
        let x = |face_heights: f32| self.centre[0] + face_heights * self.height;
        let y = |face_heights: f32| self.centre[1] + face_heights * self.height;
        [
            x(left - slack).floor().clamp(0.0, width as f32) as u32,
            y(top - slack).floor().clamp(0.0, height as f32) as u32,
            x(right + slack).ceil().clamp(0.0, width as f32) as u32,
            y(bottom + slack).ceil().clamp(0.0, height as f32) as u32,
        ]
    }
}

/// A turn of the head that leaves the feet where they are: a rotation about the centre of the face
/// that fades with the distance from it. It keeps distances to the centre, so it can be undone.
struct Turn {
    /// Cosine and sine by distance.
    by_distance: [(f32, f32); TURN_STEPS + 1],
}

impl Turn {
    fn new(degrees: f64) -> Self {
        let by_distance = std::array::from_fn(|step| {
            let distance = step as f32 / TURN_STEPS as f32 * STILL;
            let u = ((distance - STIFF) / (STILL - STIFF)).clamp(0.0, 1.0);
            let angle = degrees.to_radians() as f32 * (1.0 - u * u * (3.0 - 2.0 * u));
            (angle.cos(), angle.sin())
        });
        Self { by_distance }
    }

    fn of(&self, dx: f32, dy: f32, face_height: f32) -> (f32, f32) {
        let step = dx.hypot(dy) / face_height * (TURN_STEPS as f32 / STILL);
        self.by_distance[(step.round() as usize).min(TURN_STEPS)]
    }

    /// From the photograph's offset to the frame's.
    fn forward(&self, dx: f32, dy: f32, face_height: f32) -> [f32; 2] {
        let (cos, sin) = self.of(dx, dy, face_height);
        [cos * dx - sin * dy, sin * dx + cos * dy]
    }

    /// From the frame's offset to the photograph's.
    fn backward(&self, dx: f32, dy: f32, face_height: f32) -> [f32; 2] {
        let (cos, sin) = self.of(dx, dy, face_height);
        [cos * dx + sin * dy, cos * dy - sin * dx]
    }
}

fn draw_actor(picture: &mut RgbImage, actor: &Placed<'_>) {
    let [left, top, right, bottom] = actor.area(picture.dimensions());
    for y in top..bottom {
        for x in left..right {
            let above = actor.sample(x as f32, y as f32);
            if above[3] >= 0.5 {
                lay_over(&mut picture.get_pixel_mut(x, y).0, above, actor.brightness as f32);
            }
        }
    }
}

fn draw_prop(picture: &mut RgbImage, prop: &Prop, light: f64) {
    let (width, height) = (picture.width() as i32, picture.height() as i32);
    let clipped = |from: i32, length: u32, most: i32| from.clamp(0, most)..(from + length as i32).clamp(0, most);
    for y in clipped(prop.y, prop.layer.height, height) {
        for x in clipped(prop.x, prop.layer.width, width) {
            let above = prop.layer.pixel(x - prop.x, y - prop.y).map(f32::from);
            lay_over(&mut picture.get_pixel_mut(x as u32, y as u32).0, above, light as f32);
        }
    }
}

/// Blends a lit colour with opacity over a pixel.
fn lay_over(pixel: &mut [u8; 3], [r, g, b, alpha]: [f32; 4], light: f32) {
    let through = 1.0 - alpha / 255.0;
    for (below, above) in pixel.iter_mut().zip([r, g, b]) {
        *below = ((above * light).min(alpha) + f32::from(*below) * through + 0.5) as u8;
    }
}

fn lit(picture: &mut RgbImage, light: f64) {
    let table: [u8; 256] = std::array::from_fn(|value| (value as f64 * light).round().min(255.0) as u8);
    let bytes: &mut [u8] = picture;
    for byte in bytes {
        *byte = table[usize::from(*byte)];
    }
}

/// Noise of nearly normal distribution: each value is a sum of four even ones.
fn noise_tile(seed: u64, sd: f32, length: usize) -> Vec<i8> {
    if sd <= 0.0 {
        return Vec::new();
    }
    let mut random = Pcg32::seed_from_u64(seed);
    // A byte's standard deviation is 73.9; that of a sum of four twice as much.
    let scale = sd / 147.8;
    let value = |bits: u32| {
        let sum: i32 = bits.to_le_bytes().into_iter().map(i32::from).sum();
        ((sum - 510) as f32 * scale).round() as i8
    };
    (0..length).map(|_| value(random.next_u32())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::layer::Portrait;
    use image::Rgb;
    use std::borrow::Cow;

    const PORTRAIT: Portrait = Portrait {
        face: [30.0, 30.0, 70.0, 70.0],
        landmarks: [[40.0, 42.0], [60.0, 42.0], [50.0, 50.0], [42.0, 60.0], [58.0, 60.0]],
        outline: Cow::Borrowed(&[[20, 20], [80, 20], [80, 99], [20, 99]]),
    };

    fn actor(person: &str, x: &[(f64, f64)], height: f64) -> Actor {
        Actor {
            person: person.into(),
            name: None,
            cutout: 0,
            present: 0.0..100.0,
            x: Curve::through(x),
            y: Curve::constant(60.0),
            height: Curve::constant(height),
            roll: Curve::constant(0.0),
            brightness: Curve::constant(1.0),
        }
    }

    fn scene(actors: Vec<Actor>, props: Vec<Prop>) -> Scene {
        let script = Script {
            start: Stamp::from_nanos(5_000_000_000),
            moments: (0..100).map(|frame| f64::from(frame) / 10.0).collect(),
            light: Curve::constant(1.0),
            blur: Curve::constant(0.0),
            noise: 2.0,
            seed: 7,
            jpeg_quality: 60,
            actors,
        };
        let photograph = RgbImage::from_pixel(100, 100, Rgb([200, 100, 50]));
        let backdrop = RgbImage::from_pixel(160, 120, Rgb([20, 40, 60]));
        Scene::new(script, backdrop, vec![Cutout::new(&photograph, PORTRAIT)], props)
    }

    #[test]
    fn the_same_script_gives_the_same_bytes_in_any_order() {
        let scene = scene(vec![actor("a", &[(0.0, 0.0), (10.0, 160.0)], 40.0)], vec![]);
        let (mut one, mut two) = (Canvas::default(), Canvas::default());
        let forwards: Vec<Vec<u8>> = (0..4).map(|f| scene.jpeg(f, &mut one).unwrap().to_vec()).collect();
        let backwards: Vec<Vec<u8>> = (0..4).rev().map(|f| scene.jpeg(f, &mut two).unwrap().to_vec()).collect();
        assert!(forwards.iter().eq(backwards.iter().rev()));
        assert_ne!(forwards[0], forwards[1]);
        assert_eq!(scene.stamp(10).nanos(), 6_000_000_000);
    }

    #[test]
    fn the_truth_is_where_the_face_is_drawn() {
        let mut turned = actor("a", &[(0.0, 80.0)], 40.0);
        turned.roll = Curve::constant(30.0);
        let scene = scene(vec![turned], vec![]);
        let mut canvas = Canvas::default();
        scene.compose(0, &mut canvas);
        let face = &scene.truth(0).faces[0];
        assert_eq!(face.r#box, [60.0, 40.0, 100.0, 80.0]);
        assert!((face.visible - 1.0).abs() < 1e-6);
        // The right eye lies 10 px left of and 8 px above the centre, turned by 30 degrees.
        let (sin, cos) = 30_f32.to_radians().sin_cos();
        let expected = [80.0 - 10.0 * cos + 8.0 * sin, 60.0 - 10.0 * sin - 8.0 * cos];
        let [x, y] = face.landmarks[0];
        assert!((x - expected[0]).hypot(y - expected[1]) < 0.2, "{x} {y}, expected {expected:?}");
        let [r, g, b] = canvas.picture().get_pixel(80, 60).0;
        assert!(r.abs_diff(200) < 9 && g.abs_diff(100) < 9 && b.abs_diff(50) < 9, "{r} {g} {b}");
    }

    #[test]
    fn nearer_people_props_and_the_border_hide_faces() {
        let column = Layer { width: 40, height: 120, rgba: vec![[9, 9, 9, 255]; 40 * 120] };
        let prop = Prop { layer: column, x: 60, y: 0, nearness: 30.0 };
        let share = |actors: Vec<Actor>, person: &str| {
            let truth = scene(actors, vec![prop.clone()]).truth(0);
            truth.faces.iter().find(|face| face.person == person).unwrap().visible
        };
        let at = |x: f64| [(0.0, x)];
        assert!((share(vec![actor("far", &at(80.0), 20.0)], "far") - 0.0).abs() < 1e-6, "behind the column");
        assert!((share(vec![actor("far", &at(59.5), 20.0)], "far") - 0.5).abs() < 0.06, "at its edge");
        assert!((share(vec![actor("near", &at(80.0), 40.0)], "near") - 1.0).abs() < 1e-6, "before it");
        assert!((share(vec![actor("half", &at(-0.5), 20.0)], "half") - 0.5).abs() < 0.06, "leaving the frame");
        let pair = || vec![actor("near", &at(130.0), 40.0), actor("far", &at(130.0), 20.0)];
        assert!(share(pair(), "far") < 1e-6);
        assert!((share(pair(), "near") - 1.0).abs() < 1e-6);
    }

    #[test]
    fn light_and_absence_show_in_the_picture() {
        let mut dark = actor("a", &[(0.0, 80.0)], 40.0);
        dark.brightness = Curve::constant(0.4);
        dark.present = 1.0..2.0;
        let scene = scene(vec![dark], vec![]);
        let mut canvas = Canvas::default();
        scene.compose(0, &mut canvas);
        assert!(scene.truth(0).faces.is_empty());
        assert!(canvas.picture().get_pixel(80, 60).0[0] < 40);
        scene.compose(10, &mut canvas);
        assert!(canvas.picture().get_pixel(80, 60).0[0].abs_diff(80) < 9);
        assert!((scene.truth(10).faces[0].brightness - 0.4).abs() < 1e-9);
    }
}
