//! Gathers the story of every face while a recording is replayed, in memory that grows with what changes,
//! not with the frames.

use crate::emotion::Emotion;
use crate::frame::ImageView;
use crate::geometry::BBox;
use crate::ids::{CameraId, FaceId};
use crate::people::{IdentityState, People, Person};
use crate::time::Stamp;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, Rgb, RgbImage};
use std::collections::BTreeMap;

/// Side of a thumbnail, pixels.
const THUMBNAIL: u32 = 72;
/// Faces of which a thumbnail is kept; a recording of a crowd must not grow the page without end.
const MOST_THUMBNAILS: usize = 60;
/// Part of the box's size added on each side of a thumbnail.
const MARGIN: f32 = 0.25;
/// A face not seen for longer leaves a gap in its track.
const GAP_SECS: f64 = 1.0;

/// What was said of a face for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch<T> {
    /// Seconds from the first frame.
    pub from: f64,
    /// Seconds from the first frame.
    pub to: f64,
    /// What was said.
    pub what: T,
}

/// Everything said of one person, or of a face that is nobody's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Empty when none.
    pub name: String,
    /// Empty when nobody known.
    pub person_id: String,
    /// The faces, in order of appearance.
    pub face_ids: Vec<String>,
    /// Seconds in which it was there.
    pub secs: f64,
    /// What identity was published.
    pub identity: Vec<Stretch<IdentityState>>,
    /// What expression was published; `None`: a reading that says it does not know.
    pub emotion: Vec<Stretch<Option<Emotion>>>,
    /// A JPEG picture of the face.
    pub thumbnail: Option<Vec<u8>>,
}

/// The story of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// Camera and stamp of the first frame.
    pub start: Option<(CameraId, Stamp)>,
    /// Length of the recording.
    pub secs: f64,
    /// Named people first, then by the time they were there.
    pub tracks: Vec<Track>,
}

/// Gathers a [`Story`].
#[derive(Default)]
pub struct Collector {
    start: Option<(CameraId, Stamp)>,
    secs: f64,
    faces: BTreeMap<FaceId, Face>,
    thumbnails: usize,
}

#[derive(Default)]
struct Face {
    track: Track,
    number: usize,
    fitness: f32,
}

impl Collector {
    /// Takes what was found in one frame.
    pub fn add(&mut self, people: &People) {
        let start = self.start.get_or_insert_with(|| (people.camera.clone(), people.stamp)).1;
        // A looping recording goes on from where it was: the page shows the time that passed.
        let now = people.stamp.secs_since(start).max(0.0);
        self.secs = self.secs.max(now);
        for person in &people.people {
            let number = self.faces.len();
            let face = self.faces.entry(person.face_id).or_insert_with(|| Face {
                number,
                track: Track { face_ids: vec![person.face_id.to_string()], ..Track::default() },
                ..Face::default()
            });
            face.add(person, now);
        }
    }

    /// Looks for better thumbnails in the image that these people were found in.
    pub fn look(&mut self, image: ImageView<'_>, people: &People) {
        for person in people.people.iter().filter(|person| person.observed) {
            let Some(face) = self.faces.get_mut(&person.face_id) else { continue };
            // A face unfit to recognise has a picture too.
            let fitness = (person.quality + 0.05) * person.bbox.width().max(0.0).sqrt();
            // A little better is not worth the work.
            let is_first = face.track.thumbnail.is_none();
            if (is_first && self.thumbnails >= MOST_THUMBNAILS) || fitness <= face.fitness * 1.15 {
                continue;
            }
            if let Some(jpeg) = thumbnail(image, &person.bbox) {
                self.thumbnails += usize::from(is_first);
                face.fitness = fitness;
                face.track.thumbnail = Some(jpeg);
            }
        }
    }

    /// The story so far: faces of one person in one track.
    pub fn story(&self) -> Story {
        let mut faces: Vec<&Face> = self.faces.values().collect();
        faces.sort_by_key(|face| face.number);
        let mut tracks: Vec<(f32, Track)> = Vec::new();
        for face in faces {
            let known = |(_, track): &&mut (f32, Track)| {
                !face.track.person_id.is_empty() && track.person_id == face.track.person_id
            };
            match tracks.iter_mut().find(known) {
                Some((fitness, track)) => {
                    track.join(&face.track, face.fitness > *fitness);
                    *fitness = fitness.max(face.fitness);
                }
                None => tracks.push((face.fitness, face.track.clone())),
            }
        }
        let mut tracks: Vec<Track> = tracks.into_iter().map(|(_, track)| track).collect();
        tracks.sort_by(|a, b| a.name.is_empty().cmp(&b.name.is_empty()).then(b.secs.total_cmp(&a.secs)));
        Story { start: self.start.clone(), secs: self.secs, tracks }
    }
}

impl Face {
    fn add(&mut self, person: &Person, now: f64) {
        let track = &mut self.track;
        let last = track.identity.last().map_or(now, |stretch| stretch.to);
        if now - last <= GAP_SECS {
            track.secs += (now - last).max(0.0);
        }
        if let Some(id) = &person.identity.person_id {
            track.person_id = id.to_string();
            track.name = person.identity.name.clone().unwrap_or_default();
        }
        extend(&mut track.identity, now, person.identity.state);
        if let Some(reading) = &person.emotion {
            extend(&mut track.emotion, now, (!reading.uncertain).then_some(reading.label));
        }
    }
}

/// The last stretch goes on, or ends where the next one begins.
fn extend<T: PartialEq>(stretches: &mut Vec<Stretch<T>>, now: f64, what: T) {
    if let Some(last) = stretches.last_mut().filter(|last| now - last.to <= GAP_SECS) {
        last.to = last.to.max(now);
        if last.what == what {
            return;
        }
    }
    stretches.push(Stretch { from: now, to: now, what });
}

impl Track {
    fn join(&mut self, later: &Self, is_better_picture: bool) {
        self.name.clone_from(&later.name);
        self.face_ids.extend(later.face_ids.iter().cloned());
        self.secs += later.secs;
        self.identity.extend(later.identity.iter().cloned());
        self.emotion.extend(later.emotion.iter().cloned());
        if (is_better_picture && later.thumbnail.is_some()) || self.thumbnail.is_none() {
            self.thumbnail.clone_from(&later.thumbnail);
        }
    }
}

/// The face with some margin, as a square JPEG picture.
fn thumbnail(image: ImageView<'_>, bbox: &BBox<crate::geometry::ImagePx>) -> Option<Vec<u8>> {
    let side = bbox.width().max(bbox.height()) * (1.0 + 2.0 * MARGIN);
    if !side.is_finite() || side < 1.0 {
        return None;
    }
    let (left, top) = (0.5 * (bbox.x1 + bbox.x2 - side), 0.5 * (bbox.y1 + bbox.y2 - side));
    let size = THUMBNAIL.min(side.ceil() as u32).max(1);
    let step = side / size as f32;
    let picture = RgbImage::from_fn(size, size, |x, y| mean_colour(image, left, top, step, x, y));
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 80);
    encoder.encode(picture.as_raw(), size, size, ExtendedColorType::Rgb8).ok()?;
    Some(jpeg)
}

/// The mean of the source pixels that one pixel of a thumbnail covers; the border goes on outside.
fn mean_colour(image: ImageView<'_>, left: f32, top: f32, step: f32, x: u32, y: u32) -> Rgb<u8> {
    let range = |origin: f32, at: u32, limit: u32| {
        let from = (origin + at as f32 * step).clamp(0.0, limit as f32 - 1.0) as u32;
        let to = (origin + (at + 1) as f32 * step).ceil().clamp(from as f32 + 1.0, limit as f32) as u32;
        from..to.max(from + 1)
    };
    let (mut sum, mut count) = ([0_u32; 3], 0);
    for row in range(top, y, image.height()) {
        for column in range(left, x, image.width()) {
            for (sum, value) in sum.iter_mut().zip(image.rgb(column, row)) {
                *sum += u32::from(value);
            }
            count += 1;
        }
    }
    Rgb(sum.map(|sum| (sum / count.max(1)) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::ChannelOrder;
    use crate::geometry::{Landmarks5, Point};
    use crate::ids::PersonId;
    use crate::people::Identity;

    fn seen(face: u64, person: Option<u64>) -> Person {
        let identity = Identity {
            state: if person.is_some() { IdentityState::Named } else { IdentityState::Pending },
            person_id: person.map(PersonId::from_counter),
            name: person.map(|n| format!("P{n}")),
            ..Identity::default()
        };
        Person {
            face_id: FaceId::from_counter(face),
            identity,
            bbox: BBox::new(10.0, 10.0, 40.0, 40.0),
            score: 0.9,
            landmarks: Landmarks5::new([Point::new(0.0, 0.0); 5]),
            quality: 0.8,
            observed: true,
            track_age_secs: 0.0,
            emotion: None,
            pose: None,
            attention: None,
        }
    }

    fn frame(tenths: i64, people: Vec<Person>) -> People {
        People {
            camera: CameraId::default(),
            stamp: Stamp::from_nanos(5_000_000_000 + tenths * 100_000_000),
            frame_id: String::new(),
            width: 64,
            height: 48,
            frame_seq: 0,
            displaced: 0,
            latency_nanos: 0,
            people,
        }
    }

    #[test]
    fn the_faces_of_a_person_become_one_track() {
        let mut collector = Collector::default();
        for tenth in 0..40 {
            let people = match tenth {
                0..5 => vec![seen(1, None), seen(9, None)],
                5..10 => vec![seen(1, Some(3)), seen(9, None)],
                30..40 => vec![seen(2, Some(3))],
                _ => vec![],
            };
            collector.add(&frame(tenth, people));
        }
        let story = collector.story();
        assert!((story.secs - 3.9).abs() < 1e-9);
        assert_eq!(story.tracks.len(), 2);
        let track = &story.tracks[0];
        assert_eq!((track.name.as_str(), track.face_ids.len()), ("P3", 2));
        let states: Vec<_> = track.identity.iter().map(|s| (s.what, s.from, s.to)).collect();
        assert_eq!(states.len(), 3);
        assert_eq!((states[0].0, states[1].0), (IdentityState::Pending, IdentityState::Named));
        assert!((states[0].2 - 0.5).abs() < 1e-9 && (states[2].1 - 3.0).abs() < 1e-9);
        assert!((track.secs - 1.8).abs() < 1e-6, "{}", track.secs);
        assert!(story.tracks[1].name.is_empty());
    }

    #[test]
    fn a_thumbnail_shows_the_face_also_at_the_border() {
        let pixels: Vec<u8> = (0..64 * 48).flat_map(|i| [if i % 64 < 32 { 250 } else { 10 }, 0, 100]).collect();
        let image = ImageView::new(64, 48, 64 * 3, ChannelOrder::Bgr, &pixels).unwrap();
        let mut collector = Collector::default();
        let people = frame(0, vec![Person { bbox: BBox::new(-20.0, -10.0, 20.0, 30.0), ..seen(1, None) }]);
        collector.add(&people);
        collector.look(image, &people);
        let story = collector.story();
        let jpeg = story.tracks[0].thumbnail.as_ref().unwrap();
        let picture = image::load_from_memory(jpeg).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (60, 60));
        let Rgb([red, _, blue]) = *picture.get_pixel(5, 5);
        assert!(red > 80 && red < 120 && blue > 230, "{red} {blue}");
        collector.look(image, &frame(0, vec![Person { bbox: BBox::new(f32::NAN, 0.0, 1.0, 1.0), ..seen(1, None) }]));
    }
}
