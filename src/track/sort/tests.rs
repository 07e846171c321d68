use super::*;
use crate::testing::{look_at, mixed, observation, person, similarity};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A tracker and what it last said.
struct Scene {
    tracker: SortTracker,
    tracks: Vec<Track>,
}

impl Scene {
    fn new() -> Self {
        let tracker = SortTracker::new(TrackerConfig::default(), Some(similarity()), FaceCounter::starting_at(0));
        Self { tracker, tracks: Vec::new() }
    }

    fn at(&mut self, secs: f64, seen: &[Observation]) -> &[Track] {
        self.tracker.update(Stamp::default().plus_secs(secs), seen, &mut self.tracks);
        &self.tracks
    }

    /// The track that took this observation.
    fn owner(&self, observation: usize) -> FaceId {
        self.tracks.iter().find(|track| track.observation == Some(observation)).unwrap().face_id
    }

    fn state_of(&self, id: FaceId) -> Option<TrackState> {
        self.tracks.iter().find(|track| track.face_id == id).map(|track| track.state)
    }
}

fn face(x: f32) -> Observation {
    observation(BBox::from_centre(x, 200.0, 50.0, 60.0), None)
}

fn face_of(who: usize, x: f32) -> Observation {
    observation(BBox::from_centre(x, 200.0, 50.0, 60.0), Some(person(who)))
}

#[test]
fn a_face_is_tentative_then_confirmed_then_lost_then_gone() {
    let mut scene = Scene::new();
    scene.at(0.0, &[face(100.0)]);
    let id = scene.owner(0);
    assert_eq!(scene.state_of(id), Some(TrackState::Tentative));
    scene.at(0.1, &[face(101.0)]);
    assert_eq!(scene.state_of(id), Some(TrackState::Tentative));
    scene.at(0.2, &[face(102.0)]);
    assert_eq!(scene.state_of(id), Some(TrackState::Confirmed));
    scene.at(0.3, &[]);
    assert_eq!(scene.state_of(id), Some(TrackState::Lost));
    assert_eq!(scene.tracks[0].observation, None);
    scene.at(1.7, &[]);
    assert_eq!(scene.state_of(id), Some(TrackState::Lost));
    scene.at(1.75, &[]);
    assert!(scene.tracks.is_empty());
}

#[test]
fn after_a_gap_between_frames_a_face_in_the_same_place_is_another() {
    for (gap, continues) in [(1.4, true), (1.6, false), (86_400.0, false)] {
        let mut scene = Scene::new();
        for frame in 0..5_u8 {
            scene.at(0.1 * f64::from(frame), &[face(100.0)]);
        }
        let id = scene.owner(0);
        let after = Stamp::default().plus_secs(0.4 + gap);
        assert_eq!(scene.tracker.expect(after, &face(100.0).detection.bbox).is_some(), continues, "a gap of {gap} s");
        scene.at(0.4 + gap, &[face(100.0)]);
        assert_eq!(scene.owner(0) == id, continues, "a gap of {gap} s");
        assert_eq!(scene.tracks.len(), 1);
    }
}

#[test]
fn two_sights_a_quarter_second_apart_confirm_at_a_low_rate() {
    let mut scene = Scene::new();
    scene.at(0.0, &[face(100.0)]);
    assert_eq!(scene.tracks[0].state, TrackState::Tentative);
    scene.at(0.3, &[face(100.0)]);
    assert_eq!(scene.tracks[0].state, TrackState::Confirmed);
}

#[test]
fn a_flash_is_forgotten_and_a_flicker_is_not() {
    let mut scene = Scene::new();
    scene.at(0.0, &[face(100.0)]);
    assert!(scene.at(0.1, &[]).is_empty());
    scene.at(0.2, &[face(100.0)]);
    let id = scene.owner(0);
    scene.at(0.3, &[face(100.0)]);
    scene.at(0.4, &[]);
    scene.at(0.5, &[face(100.0)]);
    assert_eq!((scene.owner(0), scene.state_of(id)), (id, Some(TrackState::Confirmed)));
}

#[test]
fn a_face_that_moves_by_its_width_per_frame_keeps_its_id() {
    let mut scene = Scene::new();
    for frame in 0..20_u8 {
        // Every fourth frame is displaced.
        if frame % 4 != 3 {
            scene.at(0.2 * f64::from(frame), &[face(50.0 * f32::from(frame))]);
            assert_eq!(scene.tracks.len(), 1, "frame {frame}: {:?}", scene.tracks);
        }
    }
    assert_eq!(scene.owner(0), FaceId::from_counter(0));
}

#[test]
fn a_face_that_turns_back_keeps_its_id() {
    let mut scene = Scene::new();
    for frame in 0..60_u8 {
        let phase = f32::from(frame) / 15.0;
        scene.at(phase.into(), &[face(320.0 + 250.0 * phase.sin())]);
        assert_eq!(scene.tracks.len(), 1);
    }
    assert_eq!(scene.owner(0), FaceId::from_counter(0));
}

#[test]
fn a_jump_of_more_than_a_width_keeps_the_id_and_a_larger_one_does_not() {
    for (jump, kept) in [(67.0, true), (100.0, false)] {
        let mut scene = Scene::new();
        for frame in 0..5_u8 {
            scene.at(0.2 * f64::from(frame), &[face(100.0)]);
        }
        scene.at(1.0, &[face(100.0 + jump)]);
        assert_eq!(scene.owner(0) == FaceId::from_counter(0), kept, "{jump} px");
    }
}

#[test]
fn a_stall_of_the_camera_widens_the_reach() {
    for (gap, kept) in [(0.2, false), (0.8, true)] {
        let mut scene = Scene::new();
        for frame in 0..5_u8 {
            scene.at(0.1 * f64::from(frame), &[face(100.0)]);
        }
        // 1.9 widths farther.
        scene.at(0.4 + gap, &[face(195.0)]);
        assert_eq!(scene.owner(0) == FaceId::from_counter(0), kept, "after {gap} s");
    }
}

#[test]
fn a_far_face_in_the_place_of_a_near_one_is_another() {
    let mut scene = Scene::new();
    let near = observation(BBox::from_centre(100.0, 100.0, 100.0, 120.0), None);
    let far = observation(BBox::from_centre(100.0, 100.0, 48.0, 56.0), None);
    for frame in 0..5_u8 {
        scene.at(0.1 * f64::from(frame), std::slice::from_ref(&near));
    }
    scene.at(0.5, std::slice::from_ref(&far));
    assert_ne!(scene.owner(0), FaceId::from_counter(0));
}

/// Two faces meet and pass; while they overlap only the nearer one, person 0, is found.
fn crossing(secs_per_frame: f64, observe: impl Fn(usize, f32, f64) -> Observation) -> (Vec<FaceId>, Vec<FaceId>) {
    let mut scene = Scene::new();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut frame = 0_u8;
    while f64::from(frame) * secs_per_frame <= 4.0 {
        let t = f64::from(frame) * secs_per_frame;
        let (a, b) = ((100.0 + 100.0 * t) as f32, (500.0 - 100.0 * t) as f32);
        let mut seen = vec![observe(0, a, t)];
        if (a - b).abs() > 35.0 {
            seen.push(observe(1, b, t));
        }
        scene.at(t, &seen);
        if seen.len() == 2 {
            last = vec![scene.owner(0), scene.owner(1)];
            if first.is_empty() {
                first.clone_from(&last);
            }
        }
        frame += 1;
    }
    (first, last)
}

#[test]
fn crossing_faces_keep_their_ids() {
    for rate in [30.0, 15.0, 5.0] {
        let (first, last) = crossing(1.0 / rate, |who, x, _| face_of(who, x));
        assert_eq!(first, last, "at {rate} Hz");
    }
}

#[test]
fn crossing_faces_keep_their_ids_by_motion_alone() {
    let (first, last) = crossing(1.0 / 15.0, |_, x, _| face(x));
    assert_eq!(first, last);
}

#[test]
fn faces_that_turn_back_at_their_meeting_are_told_apart_by_their_looks() {
    // They meet at t = 2 and go back to where they came from; motion alone would swap them.
    let mirror = |t: f32| if t < 2.0 { t } else { 4.0 - t };
    let mut scene = Scene::new();
    let mut first = None;
    for frame in 0..=60_u8 {
        let t = f32::from(frame) / 15.0;
        let (a, b) = (100.0 + 100.0 * mirror(t), 500.0 - 100.0 * mirror(t));
        let mut seen = vec![face_of(0, a)];
        if (a - b).abs() > 35.0 {
            seen.push(face_of(1, b));
        }
        scene.at(t.into(), &seen);
        if seen.len() == 2 {
            let ids = (scene.owner(0), scene.owner(1));
            assert_eq!(*first.get_or_insert(ids), ids, "at {t} s");
        }
    }
}

#[test]
fn between_two_similar_faces_the_likelier_pairs_win() {
    // Siblings (cosine 0.45, no contradiction) who exchange their places between two frames.
    let sibling = || mixed(&[(0, 0.45), (1, 0.89)], 15);
    let at = |look, x| observation(BBox::from_centre(x, 200.0, 50.0, 60.0), Some(look));
    let mut scene = Scene::new();
    for frame in 0..5_u8 {
        scene.at(0.2 * f64::from(frame), &[at(person(0), 100.0), at(sibling(), 130.0)]);
    }
    let ids = (scene.owner(0), scene.owner(1));
    scene.at(1.0, &[at(person(0), 122.0), at(sibling(), 108.0)]);
    assert_eq!((scene.owner(0), scene.owner(1)), ids);
}

#[test]
fn a_lost_face_that_reappears_elsewhere_is_resumed_by_its_look_only() {
    for (who, resumed) in [(0, true), (1, false)] {
        let mut scene = Scene::new();
        for frame in 0..10_u8 {
            scene.at(f64::from(frame) / 15.0, &[face_of(0, 100.0)]);
        }
        let id = scene.owner(0);
        scene.at(1.0, &[]);
        scene.at(1.5, &[face_of(who, 500.0)]);
        assert_eq!(scene.owner(0) == id, resumed, "person {who}");
    }
}

#[test]
fn a_few_bad_looks_do_not_split_a_track_but_a_replaced_face_does() {
    let mut scene = Scene::new();
    let mut frame = 0.0;
    let mut show = |scene: &mut Scene, who| {
        frame += 1.0;
        scene.at(frame / 15.0, &[face_of(who, 100.0)]);
        scene.owner(0)
    };
    let id = show(&mut scene, 0);
    for who in [0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0] {
        assert_eq!(show(&mut scene, who), id);
    }
    let replaced = [1; 25].map(|who| show(&mut scene, who));
    assert_ne!(replaced[17], id);
    assert_eq!(replaced[24], replaced[17], "and then it stays with the new face");
}

#[test]
fn who_comes_out_from_where_another_hid_keeps_their_own_id() {
    // Half hidden, person 1 looks somewhat like person 0, who went behind the column where person 1 is.
    let coming_out = || observation(BBox::from_centre(104.0, 200.0, 50.0, 60.0), Some(mixed(&[(0, 0.5), (1, 0.7)], 9)));
    for both_known in [true, false] {
        let mut scene = Scene::new();
        let other = if both_known { 1 } else { 2 };
        scene.show(0.0, 1.0, &[face_of(0, 300.0), face_of(other, 100.0)]);
        let (hidden, first) = (scene.owner(0), scene.owner(1));
        scene.show(1.1, 4.0, &[face_of(0, 300.0)]);
        for step in 0..20_u8 {
            scene.at(4.1 + 0.1 * f64::from(step), &[face_of(0, 300.0 - 10.0 * f32::from(step))]);
        }
        scene.show(6.1, 6.5, &[]);
        scene.show(6.6, 7.4, &[coming_out()]);
        // Nobody else is known who fits: then it is who went in.
        assert_eq!(scene.owner(0), if both_known { first } else { hidden });
    }
}

#[test]
fn a_first_glimpse_of_another_does_not_stick() {
    let mut scene = Scene::new();
    let mut glimpse = face_of(1, 100.0);
    glimpse.quality = 0.35;
    scene.at(0.0, &[glimpse]);
    let id = scene.owner(0);
    scene.show(0.1, 3.0, &[face_of(0, 100.0)]);
    assert_eq!(scene.owner(0), id);
}

#[test]
fn a_coasting_track_does_not_take_the_detection_of_a_face_in_view() {
    let mut scene = Scene::new();
    for frame in 0..10_u8 {
        scene.at(f64::from(frame) / 15.0, &[face(100.0), face(180.0)]);
    }
    let (hidden, in_view) = (scene.owner(0), scene.owner(1));
    for frame in 10..25_u8 {
        // The face in view walks over the place of the hidden one.
        scene.at(f64::from(frame) / 15.0, &[face(180.0 - 10.0 * f32::from(frame - 9))]);
        assert_eq!(scene.owner(0), in_view);
    }
    assert_eq!(scene.state_of(hidden), Some(TrackState::Lost));
}

#[test]
fn the_tracker_expects_only_what_it_is_sure_of() {
    let mut scene = Scene::new();
    let stamp = Stamp::default().plus_secs(0.2);
    for frame in 0..3_u8 {
        scene.at(f64::from(frame) / 15.0, &[face(100.0), face(300.0)]);
    }
    let expect = |x| scene.tracker.expect(stamp, &face(x).detection.bbox);
    assert_eq!(expect(104.0), Some(scene.owner(0)));
    assert_eq!(expect(302.0), Some(scene.owner(1)));
    assert_eq!(expect(200.0), None, "nobody is there");
    let mut scene = Scene::new();
    scene.at(0.2, &[face(160.0), face(200.0)]);
    let expect = |x| scene.tracker.expect(stamp, &face(x).detection.bbox);
    assert_eq!(expect(165.0), None, "two tracks could claim it");
}

#[test]
fn reset_forgets_the_tracks_and_never_reuses_their_ids() {
    let mut scene = Scene::new();
    scene.at(5.0, &[face(100.0)]);
    let before = scene.owner(0);
    scene.tracker.reset();
    scene.at(1.0, &[face(100.0)]);
    assert_ne!(scene.owner(0), before);
}

#[test]
fn only_the_best_faces_are_kept_and_boxes_that_are_none_are_left_out() {
    let config = TrackerConfig { max_faces: 2, ..TrackerConfig::default() };
    let mut scene = Scene { tracker: SortTracker::new(config, None, FaceCounter::default()), tracks: Vec::new() };
    let mut seen: Vec<_> = [100.0, 300.0, 500.0].map(face).into();
    seen[1].detection.score = 0.5;
    seen.push(face(f32::NAN));
    scene.at(0.0, &seen);
    assert_eq!(scene.tracks.iter().map(|track| track.observation).collect::<Vec<_>>(), [Some(0), Some(2)]);
}

/// Centre and width of a box, and how much the face resembles whom.
type Sight = (f32, f32, f32, Option<(usize, f32)>);

fn arbitrary_frames() -> impl Strategy<Value = Vec<Vec<Sight>>> {
    let sight = (0.0_f32..300.0, 0.0_f32..200.0, 10.0_f32..80.0, prop::option::of((0_usize..3, -0.2_f32..1.0)));
    prop::collection::vec(prop::collection::vec(sight, 0..6), 1..15)
}

fn observe(sights: &[Sight]) -> Vec<Observation> {
    let one = |&(x, y, side, who): &Sight| {
        let look = who.map(|(who, cosine)| look_at(who, cosine));
        observation(BBox::from_centre(x, y, side, 1.2 * side), look)
    };
    sights.iter().map(one).collect()
}

/// Face ids and their boxes, by the position of the box.
fn boxes(tracks: &[Track]) -> BTreeMap<FaceId, [u32; 4]> {
    tracks.iter().map(|track| (track.face_id, track.bbox.to_array().map(f32::to_bits))).collect()
}

proptest! {
    #[test]
    fn every_detection_belongs_to_exactly_one_track_and_no_id_comes_back_by_itself(
        frames in arbitrary_frames(), step in 0.02_f64..0.6,
    ) {
        let mut scene = Scene::new();
        let mut gone = BTreeSet::new();
        let mut live = BTreeSet::new();
        for (index, seen) in frames.iter().enumerate() {
            scene.at(index as f64 * step, &observe(seen));
            let mut taken: Vec<_> = scene.tracks.iter().filter_map(|track| track.observation).collect();
            taken.sort_unstable();
            prop_assert_eq!(taken, (0..seen.len()).collect::<Vec<_>>());
            let now: BTreeSet<_> = scene.tracks.iter().map(|track| track.face_id).collect();
            prop_assert_eq!(now.len(), scene.tracks.len());
            // An id comes back only to a face that was known again.
            let known_again = scene.tracks.iter().filter(|track| track.former_id.is_some()).map(|track| track.face_id);
            let known_again: BTreeSet<_> = known_again.collect();
            prop_assert!(now.difference(&known_again).all(|id| !gone.contains(id) || live.contains(id)));
            prop_assert!(scene.tracks.is_sorted_by_key(|track| track.first_seen));
            prop_assert!(scene.tracks.iter().all(|track| track.bbox.is_proper()));
            gone.extend(live.difference(&now).copied());
            live = now;
        }
    }

    #[test]
    fn the_order_of_detections_decides_nothing(frames in arbitrary_frames(), turn in 0_usize..6) {
        let (mut straight, mut turned) = (Scene::new(), Scene::new());
        for (index, seen) in frames.iter().enumerate() {
            let mut other = seen.clone();
            other.reverse();
            if !other.is_empty() {
                let by = turn % other.len();
                other.rotate_left(by);
            }
            let secs = index as f64 / 10.0;
            prop_assert_eq!(boxes(straight.at(secs, &observe(seen))), boxes(turned.at(secs, &observe(&other))));
        }
    }

    #[test]
    fn empty_frames_age_every_track_away(frames in arbitrary_frames()) {
        let mut scene = Scene::new();
        let mut secs = 0.0;
        for seen in &frames {
            scene.at(secs, &observe(seen));
            secs += 0.1;
        }
        let before = boxes(&scene.tracks);
        scene.at(secs, &[]);
        prop_assert!(scene.tracks.iter().all(|track| track.state != TrackState::Confirmed));
        prop_assert!(scene.tracks.iter().all(|track| before.contains_key(&track.face_id)));
        prop_assert!(scene.at(secs + 1.6, &[]).is_empty());
    }
}

impl Scene {
    /// The same faces ten times a second, from `from` until `to`.
    fn show(&mut self, from: f64, to: f64, seen: &[Observation]) {
        for step in 0..=((to - from) * 10.0).round() as u32 {
            self.at(from + 0.1 * f64::from(step), seen);
        }
    }

    fn published(&self) -> Vec<FaceId> {
        let published = self.tracks.iter().filter(|track| track.state == TrackState::Confirmed);
        published.map(|track| track.face_id).collect()
    }
}

#[test]
fn who_comes_back_gets_the_old_id_from_the_first_moment_and_a_stranger_a_new_one() {
    for (who, cosine, comes_back) in [(0, 0.9, true), (0, 0.5, false), (3, 0.9, false)] {
        let mut scene = Scene::new();
        scene.show(0.0, 2.0, &[face_of(0, 100.0)]);
        let id = scene.owner(0);
        scene.show(2.1, 12.0, &[]);
        assert!(scene.tracks.is_empty());
        let returned = observation(BBox::from_centre(500.0, 150.0, 70.0, 84.0), Some(look_at(who, cosine)));
        let mut published = BTreeSet::new();
        for step in 0..20_u8 {
            scene.at(12.1 + 0.1 * f64::from(step), std::slice::from_ref(&returned));
            published.extend(scene.published());
        }
        assert_eq!(published.len(), 1, "a published id changed");
        assert_eq!(published.contains(&id), comes_back, "{who} at {cosine}");
    }
}

#[test]
fn poor_looks_at_first_do_not_make_a_returning_face_another_for_good() {
    let mut scene = Scene::new();
    scene.show(0.0, 2.0, &[face_of(0, 100.0)]);
    let id = scene.owner(0);
    scene.show(2.1, 8.0, &[]);
    let at = |cosine| observation(BBox::from_centre(400.0, 200.0, 50.0, 60.0), Some(look_at(0, cosine)));
    scene.show(8.1, 8.4, &[at(0.35)]);
    assert!(scene.published().iter().all(|published| *published != id) && !scene.published().is_empty());
    scene.show(8.5, 9.5, &[at(1.0)]);
    assert_eq!(scene.owner(0), id);
}

#[test]
fn a_face_without_a_good_look_waits_a_second_while_someone_is_gone() {
    let mut scene = Scene::new();
    scene.show(0.0, 2.0, &[face_of(0, 100.0)]);
    scene.show(2.1, 8.0, &[]);
    scene.show(8.1, 8.9, &[face(400.0)]);
    assert!(scene.published().is_empty());
    scene.show(9.0, 9.2, &[face(400.0)]);
    assert_eq!(scene.published().len(), 1, "and no longer");
}

#[test]
fn a_return_is_reported_once_with_the_id_it_replaces() {
    let mut scene = Scene::new();
    scene.show(0.0, 2.0, &[face_of(0, 100.0)]);
    let id = scene.owner(0);
    scene.show(2.1, 6.0, &[]);
    let mut former = Vec::new();
    for step in 0..6_u8 {
        scene.at(6.1 + 0.1 * f64::from(step), &[face_of(0, 400.0)]);
        former.extend(scene.tracks[0].former_id.map(|former| (former, scene.tracks[0].face_id)));
    }
    assert_eq!(former.len(), 1);
    assert!(former[0].0 != id && former[0].1 == id);
}

#[test]
fn a_coasting_face_is_known_again_elsewhere_and_its_track_is_not_there_twice() {
    let mut scene = Scene::new();
    scene.show(0.0, 2.0, &[face_of(0, 100.0)]);
    let id = scene.owner(0);
    scene.at(2.1, &[]);
    // At first without a look: cut off by the border, say.
    scene.at(2.2, &[face(600.0)]);
    scene.show(2.3, 3.0, &[face_of(0, 600.0)]);
    assert_eq!((scene.owner(0), scene.tracks.len()), (id, 1));
}

#[test]
fn a_short_return_does_not_wear_out_what_is_remembered() {
    let mut scene = Scene::new();
    scene.show(0.0, 2.0, &[face_of(0, 100.0)]);
    let id = scene.owner(0);
    scene.show(2.1, 8.0, &[]);
    // Half hidden, with one look that is like and others that say little.
    let at = |cosine| observation(BBox::from_centre(100.0, 200.0, 50.0, 60.0), Some(look_at(0, cosine)));
    scene.at(8.1, &[at(0.7)]);
    assert_eq!(scene.owner(0), id);
    scene.at(8.2, &[at(0.4)]);
    scene.show(8.3, 16.0, &[]);
    scene.show(16.1, 17.0, &[face_of(0, 500.0)]);
    assert_eq!(scene.owner(0), id);
}

#[test]
fn of_two_who_look_alike_none_is_known_again() {
    let mut scene = Scene::new();
    let twins = [
        observation(BBox::from_centre(100.0, 200.0, 50.0, 60.0), Some(mixed(&[(0, 0.8), (1, 0.55)], 8))),
        observation(BBox::from_centre(400.0, 200.0, 50.0, 60.0), Some(mixed(&[(0, 0.8), (2, 0.55)], 8))),
    ];
    scene.show(0.0, 2.0, &twins);
    let before: BTreeSet<FaceId> = [scene.owner(0), scene.owner(1)].into();
    scene.show(2.1, 8.0, &[]);
    scene.show(8.1, 9.5, &[face_of(0, 250.0)]);
    assert!(!before.contains(&scene.owner(0)), "two fit, none is right for sure");
}

#[test]
fn whoever_was_seen_beside_a_face_is_not_that_face() {
    let mut scene = Scene::new();
    // The same look at two places at once: a mirror, a photograph on the wall.
    scene.show(0.0, 1.0, &[face_of(0, 100.0)]);
    let first = scene.owner(0);
    scene.show(1.1, 3.0, &[face_of(0, 100.0), face_of(0, 500.0)]);
    let second = scene.owner(1);
    assert_ne!(first, second);
    scene.show(3.1, 4.2, &[face_of(0, 500.0)]);
    assert_eq!(scene.owner(0), second);
}

#[test]
fn the_memory_of_faces_ends() {
    let returned_after = |secs: f64, forgotten: bool| {
        let mut scene = Scene::new();
        scene.show(0.0, 2.0, &[face_of(0, 100.0)]);
        let id = scene.owner(0);
        scene.at(10.0, &[]);
        if forgotten {
            scene.tracker.forget(id);
        }
        scene.show(secs, secs + 1.0, &[face_of(0, 100.0)]);
        scene.owner(0) == id
    };
    assert!(returned_after(300.0, false));
    assert!(!returned_after(303.0, false), "longer than tracker.dormant_secs");
    assert!(!returned_after(20.0, true), "forgotten");
}
