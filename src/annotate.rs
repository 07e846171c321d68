//! The annotated picture: who is where, readable at a glance.
//!
//! A face with a name is green, one still being looked at or fitting two people amber, a stored
//! person without a name blue, anyone else grey; a box on prediction only is dashed.

use crate::emotion::Emotion;
use crate::frame::{ChannelOrder, ImageView};
use crate::people::{IdentityState, People, Person};
use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, Rgb, RgbImage};

/// Wider pictures are scaled down to this, so that annotated pictures stay small on any network.
pub const MAX_WIDTH: u32 = 640;
/// JPEG quality, of 100.
const JPEG_QUALITY: u8 = 85;

const GREEN: Rgb<u8> = Rgb([60, 220, 90]);
const AMBER: Rgb<u8> = Rgb([255, 180, 40]);
const BLUE: Rgb<u8> = Rgb([90, 180, 255]);
const GREY: Rgb<u8> = Rgb([200, 200, 200]);
const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
const DARK: Rgb<u8> = Rgb([16, 18, 22]);
/// How much of the picture a label's background hides, 0..=1.
const LABEL_OPACITY: f32 = 0.78;

/// Why no annotated picture could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotateError {
    /// The font that is compiled in cannot be read.
    #[error("the built-in font cannot be read: {0}")]
    Font(String),
    /// JPEG encoding failed.
    #[error("encoding the annotated picture: {0}")]
    Encode(String),
}

/// Draws people onto pictures. It keeps its buffers between pictures.
pub struct Annotator {
    font: FontRef<'static>,
    jpeg: Vec<u8>,
}

/// Pixels of the annotated picture: left, top, right, bottom; right and bottom excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Area {
    x1: i32,
    y1: i32,
    x2: i32,
    y2: i32,
}

impl Area {
    fn overlaps(self, other: Self) -> bool {
        self.x1 < other.x2 && other.x1 < self.x2 && self.y1 < other.y2 && other.y1 < self.y2
    }

    fn moved_to(self, x: i32, y: i32) -> Self {
        Self { x1: x, y1: y, x2: x + self.x2 - self.x1, y2: y + self.y2 - self.y1 }
    }
}

impl Annotator {
    /// An annotator with the built-in font.
    ///
    /// # Errors
    /// [`AnnotateError::Font`], which no released version gives.
    pub fn new() -> Result<Self, AnnotateError> {
        let font = FontRef::try_from_slice(dejavu::sans_condensed::bold())
            .map_err(|error| AnnotateError::Font(error.to_string()))?;
        Ok(Self { font, jpeg: Vec::new() })
    }

    /// The annotated picture as a JPEG file, at most [`MAX_WIDTH`] wide.
    ///
    /// # Errors
    /// [`AnnotateError::Encode`].
    pub fn jpeg(&mut self, image: ImageView<'_>, people: &People) -> Result<&[u8], AnnotateError> {
        let picture = self.picture(image, people);
        self.jpeg.clear();
        JpegEncoder::new_with_quality(&mut self.jpeg, JPEG_QUALITY)
            .encode(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
            .map_err(|error| AnnotateError::Encode(error.to_string()))?;
        Ok(&self.jpeg)
    }

    /// The annotated picture, at most [`MAX_WIDTH`] wide.
    pub fn picture(&self, image: ImageView<'_>, people: &People) -> RgbImage {
        let mut picture = scaled_down(image);
        let scale = picture.width() as f32 / image.width() as f32;
        // Boxes first, so that no box crosses a label.
        for person in &people.people {
            draw_box(&mut picture, box_area(person, scale), colour_of(person), !person.observed);
        }
        let faces: Vec<Area> = people.people.iter().map(|person| box_area(person, scale)).collect();
        let mut labels: Vec<Area> = Vec::new();
        for (person, face) in people.people.iter().zip(&faces) {
            self.draw_label(&mut picture, person, *face, &faces, &mut labels);
        }
        picture
    }

    /// Above the box if there is room, else below, beside or inside; the first place that hides
    /// neither a label nor a face, else the first that hides no label.
    fn draw_label(&self, picture: &mut RgbImage, person: &Person, face: Area, faces: &[Area], labels: &mut Vec<Area>) {
        let text_px = (picture.width() as f32 / 36.0).clamp(11.0, 20.0);
        let font = self.font.as_scaled(PxScale::from(text_px));
        let lines = label_lines(person);
        let (strip, pad) = (3, (text_px * 0.25) as i32 + 1);
        let line_height = font.height().ceil() as i32;
        let text_width = lines.iter().map(|line| width_of(line, &font)).fold(0.0, f32::max).ceil() as i32;
        let size = Area { x1: 0, y1: 0, x2: strip + text_width + 2 * pad, y2: line_height * lines.len() as i32 + pad };
        let (width, height) = (picture.width() as i32, picture.height() as i32);
        let (w, h, gap) = (size.x2, size.y2, 3);
        let x = face.x1.min(width - w).max(0);
        let places = [
            (x, face.y1 - h - gap),
            (x, face.y2 + gap),
            (face.x2 + gap, face.y1),
            (face.x1 - w - gap, face.y1),
            (x, face.y1 + gap),
            (x, face.y2 - h - gap),
        ]
        .map(|(x, y)| size.moved_to(x, y));
        let fits = |area: &Area| area.x1 >= 0 && area.x2 <= width && area.y1 >= 0 && area.y2 <= height;
        let hides = |area: &Area, others: &[Area]| others.iter().any(|other| other.overlaps(*area));
        let area = places
            .into_iter()
            .find(|area| fits(area) && !hides(area, labels) && !hides(area, faces))
            .or_else(|| places.into_iter().find(|area| fits(area) && !hides(area, labels)))
            .unwrap_or_else(|| size.moved_to(x, (face.y1 - h - gap).min(height - h).max(0)));
        labels.push(area);
        let colour = colour_of(person);
        fill(picture, area, DARK, LABEL_OPACITY);
        fill(picture, Area { x2: area.x1 + strip, ..area }, colour, 1.0);
        for (index, line) in lines.iter().enumerate() {
            let left = (area.x1 + strip + pad) as f32;
            let baseline = (area.y1 + pad / 2 + line_height * index as i32) as f32 + font.ascent();
            draw_text(picture, line, &font, (left, baseline), if index == 0 { colour } else { WHITE });
        }
    }
}

fn scaled_down(image: ImageView<'_>) -> RgbImage {
    let full = rgb_copy(image);
    if image.width() <= MAX_WIDTH {
        return full;
    }
    let height = (image.height() as f32 * MAX_WIDTH as f32 / image.width() as f32).round().max(1.0) as u32;
    image::imageops::thumbnail(&full, MAX_WIDTH, height)
}

fn rgb_copy(image: ImageView<'_>) -> RgbImage {
    let mut pixels = Vec::with_capacity(image.width() as usize * image.height() as usize * 3);
    for y in 0..image.height() {
        pixels.extend_from_slice(image.row(y));
    }
    if image.order() == ChannelOrder::Bgr {
        for pixel in pixels.as_chunks_mut::<3>().0 {
            pixel.swap(0, 2);
        }
    }
    RgbImage::from_raw(image.width(), image.height(), pixels).unwrap_or_default()
}

/// The name, or the face's id when there is none, and how sure that is; the expression below.
fn label_lines(person: &Person) -> Vec<String> {
    let identity = &person.identity;
    let percent = |share: f32| format!("{:.0} %", share.clamp(0.0, 1.0) * 100.0);
    let sure = percent(identity.confidence);
    let who = match (identity.state, &identity.name, identity.person_id) {
        (IdentityState::Named, Some(name), _) => format!("{name}  {sure}"),
        (IdentityState::Known | IdentityState::Anonymous, _, Some(id)) => format!("{id}  {sure}"),
        (IdentityState::Pending, ..) => format!("{} …", person.face_id),
        (IdentityState::Ambiguous, ..) => format!("{} ?", person.face_id),
        _ => person.face_id.to_string(),
    };
    let expression = person.emotion.as_ref().map(|reading| {
        if reading.uncertain {
            "uncertain".to_owned()
        } else {
            format!("{}  {}", Emotion::name(reading.label), percent(reading.confidence))
        }
    });
    std::iter::once(who).chain(expression).collect()
}

fn colour_of(person: &Person) -> Rgb<u8> {
    match person.identity.state {
        IdentityState::Named => GREEN,
        IdentityState::Pending | IdentityState::Ambiguous => AMBER,
        IdentityState::Known | IdentityState::Anonymous => BLUE,
        IdentityState::Unknown => GREY,
    }
}

fn box_area(person: &Person, scale: f32) -> Area {
    // Far outside is as good as anywhere outside, and leaves room for arithmetic.
    let [x1, y1, x2, y2] = person.bbox.to_array().map(|v| (v * scale).round().clamp(-1e5, 1e5) as i32);
    Area { x1, y1, x2, y2 }
}

/// A frame of the box with a dark edge on both sides, so that it stands out from any background.
fn draw_box(picture: &mut RgbImage, area: Area, colour: Rgb<u8>, dashed: bool) {
    let thickness = (picture.width() as i32 / 320).max(2);
    let dash = dashed.then_some(5 * thickness);
    frame(picture, area, thickness + 2, -1, DARK, dash);
    frame(picture, area, thickness, 0, colour, dash);
}

/// The four sides of `area`, `thickness` pixels inwards from `inset` pixels inside its edge.
fn frame(picture: &mut RgbImage, area: Area, thickness: i32, inset: i32, colour: Rgb<u8>, dash: Option<i32>) {
    let Area { x1, y1, x2, y2 } =
        Area { x1: area.x1 + inset, y1: area.y1 + inset, x2: area.x2 - inset, y2: area.y2 - inset };
    let sides = [
        (Area { x1, y1, x2, y2: y1 + thickness }, true),
        (Area { x1, y1: y2 - thickness, x2, y2 }, true),
        (Area { x1, y1, x2: x1 + thickness, y2 }, false),
        (Area { x1: x2 - thickness, y1, x2, y2 }, false),
    ];
    for (side, is_horizontal) in sides {
        for piece in pieces(side, is_horizontal, dash, inset) {
            fill(picture, piece, colour, 1.0);
        }
    }
}

/// The dashes of a side; the whole side when it is not dashed.
fn pieces(side: Area, is_horizontal: bool, dash: Option<i32>, inset: i32) -> Vec<Area> {
    let Some(dash) = dash else { return vec![side] };
    let (from, to) = if is_horizontal { (side.x1, side.x2) } else { (side.y1, side.y2) };
    // Dashes of nested frames lie on one another: each is counted from the frame's own corner.
    let (mut at, mut pieces) = (from, Vec::new());
    while at < to && pieces.len() < 4096 {
        let end = (at + dash - 2 * inset).min(to);
        pieces.push(if is_horizontal { Area { x1: at, x2: end, ..side } } else { Area { y1: at, y2: end, ..side } });
        at += 2 * dash;
    }
    pieces
}

/// Lays `colour` over an area, as far as it lies in the picture.
fn fill(picture: &mut RgbImage, area: Area, colour: Rgb<u8>, opacity: f32) {
    let (width, height) = (picture.width() as i32, picture.height() as i32);
    for y in area.y1.max(0)..area.y2.min(height) {
        for x in area.x1.max(0)..area.x2.min(width) {
            blend(picture.get_pixel_mut(x as u32, y as u32), colour, opacity);
        }
    }
}

fn blend(pixel: &mut Rgb<u8>, colour: Rgb<u8>, opacity: f32) {
    for (below, above) in pixel.0.iter_mut().zip(colour.0) {
        *below = (f32::from(*below) * (1.0 - opacity) + f32::from(above) * opacity).round() as u8;
    }
}

fn width_of<F: Font>(text: &str, font: &impl ScaleFont<F>) -> f32 {
    text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
}

/// Writes one line of text; `at` is the left end of its baseline.
fn draw_text<F: Font>(picture: &mut RgbImage, text: &str, font: &impl ScaleFont<F>, at: (f32, f32), colour: Rgb<u8>) {
    let (width, height) = (picture.width() as i32, picture.height() as i32);
    let (mut x, y) = at;
    for c in text.chars() {
        let mut glyph = font.scaled_glyph(c);
        glyph.position = point(x, y);
        x += font.h_advance(glyph.id);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
        outline.draw(|dx, dy, coverage| {
            let (px, py) = (left + dx as i32, top + dy as i32);
            if (0..width).contains(&px) && (0..height).contains(&py) {
                blend(picture.get_pixel_mut(px as u32, py as u32), colour, coverage.min(1.0));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BBox, Landmarks5, Point};
    use crate::ids::{CameraId, FaceId, PersonId};
    use crate::people::{EmotionReading, Identity};
    use crate::time::Stamp;

    fn person(state: IdentityState, bbox: BBox<crate::geometry::ImagePx>) -> Person {
        let name = (state == IdentityState::Named).then(|| "Jörg".to_owned());
        Person {
            face_id: FaceId::from_counter(1),
            identity: Identity {
                state,
                person_id: Some(PersonId::from_counter(1)),
                name,
                confidence: 0.97,
                ..Identity::default()
            },
            bbox,
            score: 0.9,
            landmarks: Landmarks5::new([Point::new(0.0, 0.0); 5]),
            quality: 1.0,
            observed: true,
            track_age_secs: 1.0,
            emotion: None,
            pose: None,
            attention: None,
        }
    }

    fn people(people: Vec<Person>) -> People {
        People {
            camera: CameraId::default(),
            stamp: Stamp::default(),
            frame_id: String::new(),
            width: 0,
            height: 0,
            frame_seq: 0,
            displaced: 0,
            latency_nanos: 0,
            people,
        }
    }

    fn draw(width: u32, height: u32, order: ChannelOrder, persons: Vec<Person>) -> RgbImage {
        let data = [10, 60, 110].repeat((width * height) as usize);
        let view = ImageView::new(width, height, width as usize * 3, order, &data).unwrap();
        Annotator::new().unwrap().picture(view, &people(persons))
    }

    fn count(picture: &RgbImage, colour: Rgb<u8>) -> usize {
        picture.pixels().filter(|pixel| **pixel == colour).count()
    }

    #[test]
    fn colours_tell_the_state_and_dashes_a_prediction() {
        let bbox = BBox::new(100.0, 100.0, 200.0, 220.0);
        for (state, colour) in [
            (IdentityState::Named, GREEN),
            (IdentityState::Pending, AMBER),
            (IdentityState::Ambiguous, AMBER),
            (IdentityState::Known, BLUE),
            (IdentityState::Unknown, GREY),
        ] {
            let mut seen = person(state, bbox);
            let whole = draw(400, 300, ChannelOrder::Rgb, vec![seen.clone()]);
            assert_eq!(*whole.get_pixel(100, 160), colour, "{state:?}: left side");
            assert_eq!(*whole.get_pixel(150, 219), colour, "{state:?}: lower side");
            assert_eq!(*whole.get_pixel(150, 160), Rgb([10, 60, 110]), "{state:?}: the face stays free");
            seen.observed = false;
            let dashed = draw(400, 300, ChannelOrder::Rgb, vec![seen]);
            let share = count(&dashed, colour) as f32 / count(&whole, colour) as f32;
            assert!((0.3..0.85).contains(&share), "{state:?}: {share} of the pixels are left");
        }
    }

    #[test]
    fn wide_pictures_are_scaled_down_with_their_boxes() {
        let bbox = BBox::new(600.0, 600.0, 900.0, 900.0);
        let picture = draw(1920, 1080, ChannelOrder::Bgr, vec![person(IdentityState::Unknown, bbox)]);
        assert_eq!(picture.dimensions(), (640, 360));
        assert_eq!(*picture.get_pixel(200, 250), GREY);
        assert_eq!(*picture.get_pixel(10, 10), Rgb([110, 60, 10]), "blue came first");
    }

    #[test]
    fn labels_stay_in_the_picture_and_off_one_another() {
        let at = |x: f32, y: f32| person(IdentityState::Named, BBox::new(x, y, x + 40.0, y + 50.0));
        let labelled = |persons: Vec<Person>| {
            let plain = draw(320, 240, ChannelOrder::Rgb, vec![]);
            let picture = draw(320, 240, ChannelOrder::Rgb, persons);
            picture.pixels().zip(plain.pixels()).filter(|(a, b)| a != b).count()
        };
        let alone = labelled(vec![at(100.0, 100.0)]);
        for corner in [at(0.0, 0.0), at(280.0, 0.0), at(0.0, 190.0), at(280.0, 190.0)] {
            let drawn = labelled(vec![corner]);
            assert!(drawn as f32 > 0.9 * alone as f32, "{drawn} of {alone} pixels");
        }
        let pair = labelled(vec![at(100.0, 100.0), at(110.0, 104.0)]);
        assert!(pair as f32 > 1.7 * alone as f32, "{pair} pixels for two, {alone} for one");
    }

    #[test]
    fn absurd_boxes_and_tiny_pictures_are_no_trouble() {
        let mut odd = person(IdentityState::Named, BBox::new(f32::NEG_INFINITY, f32::NAN, f32::INFINITY, 1e30));
        odd.observed = false;
        odd.emotion = Some(EmotionReading {
            label: Emotion::Surprise,
            confidence: f32::NAN,
            uncertain: false,
            probabilities: [0.125; 8],
            raw: None,
            valence: 0.0,
            arousal: 0.0,
        });
        assert_eq!(draw(3, 2, ChannelOrder::Rgb, vec![odd.clone()]).dimensions(), (3, 2));
        assert_eq!(draw(2000, 1, ChannelOrder::Rgb, vec![odd]).dimensions(), (640, 1));
    }

    #[test]
    fn labels_say_who_and_how_sure() {
        let bbox = BBox::new(0.0, 0.0, 9.0, 9.0);
        let mut named = person(IdentityState::Named, bbox);
        named.emotion = Some(EmotionReading {
            label: Emotion::Happiness,
            confidence: 0.834,
            uncertain: false,
            probabilities: [0.125; 8],
            raw: None,
            valence: 0.0,
            arousal: 0.0,
        });
        assert_eq!(label_lines(&named), ["Jörg  97 %", "happiness  83 %"]);
        let pending = label_lines(&person(IdentityState::Pending, bbox));
        assert_eq!(pending, [format!("{} …", FaceId::from_counter(1))]);
    }
}
