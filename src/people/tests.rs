use super::*;
use crate::embed::Embedding;
use crate::gallery::{Candidate, MemoryGallery};
use crate::testing::{look_at, mixed, observation, person, similarity, tag};
use crate::track::Track;

/// A camera, a gallery of `Anna` (axis 0) and `Bert` (axis 1), and what was said last.
struct Room {
    gallery: MemoryGallery,
    identifier: Identifier,
    frame: People,
    events: Vec<PersonEvent>,
    first_seen: BTreeMap<FaceId, Stamp>,
}

/// One face in a frame: its number, its width, and a look at it.
#[derive(Clone)]
struct Sight {
    face: u64,
    width: f32,
    look: Option<Embedding>,
    quality: f32,
    observed: bool,
}

fn sight(face: u64, look: Embedding) -> Sight {
    Sight { face, width: 50.0, look: Some(look), quality: 0.8, observed: true }
}

fn coasting(face: u64) -> Sight {
    Sight { face, width: 50.0, look: None, quality: 0.0, observed: false }
}

fn face(number: u64) -> FaceId {
    FaceId::from_counter(number)
}

impl Room {
    fn new() -> Self {
        let mut gallery = MemoryGallery::new(tag(), 0);
        gallery.enrol("Anna", &person(0), 1.0).unwrap();
        gallery.enrol("Bert", &person(1), 1.0).unwrap();
        let frame = People {
            camera: CameraId::new("camera").unwrap(),
            stamp: Stamp::default(),
            frame_id: "optical".into(),
            width: 640,
            height: 480,
            frame_seq: 0,
            displaced: 0,
            latency_nanos: 0,
            people: Vec::new(),
        };
        let identifier = Identifier::new(&Config::default(), Some(similarity()), None);
        Self { gallery, identifier, frame, events: Vec::new(), first_seen: BTreeMap::new() }
    }

    /// One frame `secs` after the last.
    fn after(&mut self, secs: f64, sights: &[Sight]) -> &[Person] {
        let stamp = self.frame.stamp.plus_secs(secs);
        self.frame.stamp = stamp;
        let (mut tracks, mut seen) = (Vec::new(), Vec::new());
        for sight in sights {
            let bbox = BBox::from_centre(100.0 * sight.face as f32, 100.0, sight.width, 1.2 * sight.width);
            let face_id = face(sight.face);
            let first_seen = *self.first_seen.entry(face_id).or_insert(stamp);
            let mut observed = observation(bbox, sight.look.clone());
            observed.quality = sight.quality;
            tracks.push(Track {
                face_id,
                former_id: None,
                is_continuous: true,
                state: if sight.observed { TrackState::Confirmed } else { TrackState::Lost },
                bbox,
                last_detection: observed.detection,
                observation: sight.observed.then_some(seen.len()),
                first_seen,
                last_seen: stamp,
            });
            if sight.observed {
                seen.push(observed);
            }
        }
        self.events.clear();
        let (frame, events) = (&mut self.frame, &mut self.events);
        self.identifier.decide(&tracks, &seen, &self.gallery, frame, events).unwrap();
        name_in(events, &self.gallery);
        &self.frame.people
    }

    /// The same frame `times` over, 0.2 s apart.
    fn show(&mut self, times: usize, sights: &[Sight]) {
        for _ in 0..times {
            self.after(0.2, sights);
        }
    }

    fn identity(&self, number: u64) -> &Identity {
        &self.frame.people.iter().find(|person| person.face_id == face(number)).unwrap().identity
    }

    fn name(&self, number: u64) -> Option<&str> {
        self.identity(number).name.as_deref()
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|event| event.kind).collect()
    }
}

#[test]
fn a_name_needs_several_agreeing_looks_and_comes_with_its_person() {
    let mut room = Room::new();
    let mut confidences = Vec::new();
    for look in 1..=5 {
        room.show(1, &[sight(1, look_at(0, 0.8))]);
        let identity = room.identity(1);
        assert_eq!(identity.name.is_some(), look >= 3, "after {look} looks");
        assert_eq!(identity.person_id, identity.name.as_ref().and_then(|_| room.gallery.person_named("Anna")));
        confidences.push(identity.confidence);
    }
    assert_eq!(room.identity(1).state, IdentityState::Named);
    assert!((room.identity(1).similarity - 0.8).abs() < 1e-5 && (room.identity(1).margin - 0.8).abs() < 1e-5);
    assert_eq!(confidences[..2], [0.0, 0.0]);
    assert!(confidences[2..].is_sorted() && confidences[2] > 0.99 && confidences[4] < 1.0);
}

#[test]
fn looks_in_quick_succession_are_worth_less_than_looks_apart() {
    let mut room = Room::new();
    for _ in 0..3 {
        room.after(1.0 / 60.0, &[sight(1, look_at(0, 0.8))]);
    }
    assert_eq!(room.identity(1).state, IdentityState::Pending);
}

#[test]
fn a_stranger_is_never_named_not_even_with_a_spike_now_and_then() {
    let mut room = Room::new();
    for look in 0..200 {
        let cosine = if look % 10 == 4 { 0.6 } else { 0.1 };
        room.show(1, &[sight(1, look_at(look % 2, cosine))]);
        assert_eq!(room.name(1), None);
    }
    assert_eq!((room.identity(1).state, room.identity(1).confidence), (IdentityState::Unknown, 0.0));
}

#[test]
fn a_spike_at_first_sight_names_nobody() {
    let mut room = Room::new();
    room.show(1, &[sight(1, look_at(0, 0.9))]);
    for _ in 0..20 {
        room.show(1, &[sight(1, look_at(0, 0.2))]);
        assert_eq!(room.name(1), None);
    }
}

#[test]
fn two_who_look_alike_are_ambiguous() {
    let mut room = Room::new();
    for look in 0..30 {
        let (anna, bert) = if look % 2 == 0 { (0.71, 0.69) } else { (0.69, 0.71) };
        room.show(1, &[sight(1, mixed(&[(0, anna), (1, bert)], 8))]);
        assert_eq!(room.name(1), None);
    }
    let identity = room.identity(1);
    assert_eq!((identity.state, identity.person_id, identity.confidence), (IdentityState::Ambiguous, None, 0.0));
}

#[test]
fn a_lead_that_is_steady_but_within_the_margin_is_ambiguous() {
    let mut room = Room::new();
    room.show(60, &[sight(1, mixed(&[(0, 0.71), (1, 0.68)], 8))]);
    assert_eq!(room.identity(1).state, IdentityState::Ambiguous);
}

#[test]
fn a_runner_up_close_behind_delays_the_name() {
    let mut room = Room::new();
    let anna_or_bert = [sight(1, mixed(&[(0, 0.72), (1, 0.66)], 8))];
    for _ in 0..3 {
        room.after(1.0 / 15.0, &anna_or_bert);
    }
    assert_eq!(room.identity(1).state, IdentityState::Ambiguous);
    room.show(5, &anna_or_bert);
    assert_eq!(room.name(1), Some("Anna"));
}

#[test]
fn a_clear_lead_is_no_ambiguity_however_long_it_lasts() {
    let mut room = Room::new();
    room.show(50, &[sight(1, mixed(&[(0, 0.73), (1, 0.66)], 8))]);
    assert_eq!(room.name(1), Some("Anna"));
    assert!(room.identity(1).confidence > 0.99);
}

#[test]
fn looks_of_poor_quality_do_not_count() {
    let mut room = Room::new();
    room.show(20, &[Sight { quality: 0.2, ..sight(1, look_at(0, 0.9)) }]);
    assert_eq!(*room.identity(1), Identity::default());
}

#[test]
fn confidence_fades_without_looks_and_then_one_contradiction_is_still_not_enough() {
    let mut room = Room::new();
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    let sure = room.identity(1).confidence;
    for _ in 0..67 {
        room.after(0.3, &[Sight { look: None, ..sight(1, person(0)) }]);
    }
    let later = room.identity(1).confidence;
    assert!((0.5..0.99 * sure).contains(&later), "{later} of {sure}");
    room.show(1, &[sight(1, look_at(0, 0.1))]);
    room.show(1, &[sight(1, look_at(0, 0.8))]);
    assert_eq!(room.name(1), Some("Anna"), "withheld, not lost");
}

#[test]
fn a_name_outlasts_weak_and_poor_looks() {
    for bad in [
        sight(1, look_at(0, 0.4)),
        Sight { quality: 0.3, ..sight(1, look_at(0, 0.0)) },
        Sight { quality: 0.1, ..sight(1, look_at(1, 0.9)) },
        Sight { look: None, ..sight(1, person(0)) },
        coasting(1),
    ] {
        let mut room = Room::new();
        room.show(4, &[sight(1, look_at(0, 0.8))]);
        for _ in 0..15 {
            room.after(1.0 / 15.0, std::slice::from_ref(&bad));
            assert_eq!(room.name(1), Some("Anna"));
            assert!(room.identity(1).confidence > 0.95);
        }
    }
}

#[test]
fn one_contradiction_withholds_the_name_and_several_take_it() {
    let mut room = Room::new();
    room.show(10, &[sight(1, look_at(0, 0.8))]);
    for _ in 0..10 {
        room.show(1, &[sight(1, look_at(0, 0.1))]);
        assert_eq!(room.name(1), None, "withheld at once");
        room.show(1, &[sight(1, look_at(0, 0.8))]);
        assert_eq!(room.name(1), Some("Anna"), "and back with the next look");
        room.show(4, &[sight(1, look_at(0, 0.8))]);
    }
    let mut looks = 0;
    while room.identity(1).state != IdentityState::Unknown {
        room.show(1, &[sight(1, look_at(5, 0.9))]);
        assert_eq!(room.name(1), None);
        looks += 1;
        assert!(looks < 20);
    }
    room.show(1, &[sight(1, look_at(0, 0.8))]);
    assert_eq!(room.name(1), None, "what was lost must be earned again");
}

#[test]
fn a_track_that_is_taken_over_by_another_person_changes_its_name_only_after_clear_looks() {
    let mut room = Room::new();
    room.show(10, &[sight(1, look_at(0, 0.8))]);
    let mut looks = 0;
    while room.name(1) != Some("Bert") {
        room.show(1, &[sight(1, look_at(1, 0.8))]);
        looks += 1;
        assert!(room.name(1) != Some("Bert") || looks >= 3);
        assert!(looks < 12, "the right name never comes");
    }
}

#[test]
fn of_two_faces_in_view_one_bears_the_name_and_keeps_it() {
    let mut room = Room::new();
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    for _ in 0..20 {
        room.show(1, &[sight(1, look_at(0, 0.8)), sight(2, look_at(0, 0.85))]);
        assert_eq!((room.name(1), room.name(2)), (Some("Anna"), None));
    }
    assert_eq!(room.identity(2).state, IdentityState::Pending);
    room.show(1, &[coasting(1), sight(2, look_at(0, 0.85))]);
    assert_eq!((room.name(1), room.name(2)), (None, Some("Anna")), "the face in view has more right to it");
}

#[test]
fn a_slightly_surer_face_does_not_take_the_name_over() {
    let mut room = Room::new();
    room.show(3, &[sight(1, look_at(0, 0.62))]);
    let unlooked = Sight { look: None, ..sight(1, person(0)) };
    room.show(4, &[unlooked.clone(), sight(2, look_at(0, 0.62))]);
    assert_eq!((room.name(1), room.name(2)), (Some("Anna"), None));
    room.show(4, &[unlooked, sight(2, look_at(0, 0.8))]);
    assert_eq!((room.name(1), room.name(2)), (None, Some("Anna")), "a much surer one does");
}

#[test]
fn nobody_is_named_without_a_gallery_or_a_scale() {
    let mut room = Room::new();
    room.identifier = Identifier::new(&Config::default(), None, None);
    room.show(5, &[sight(1, person(0))]);
    assert_eq!(*room.identity(1), Identity::default());
    assert_eq!(room.identifier.urgency(Some(face(1)), room.frame.stamp), None);
    let mut room = Room::new();
    room.gallery = MemoryGallery::new(tag(), 0);
    room.show(5, &[sight(1, person(0))]);
    assert_eq!(room.identity(1).state, IdentityState::Unknown);
}

#[test]
fn another_embedders_looks_are_an_error() {
    let mut room = Room::new();
    room.gallery = MemoryGallery::new(crate::embed::ModelTag::new("other", "0123456789abcdef"), 0);
    let seen = [observation(BBox::from_centre(0.0, 0.0, 50.0, 60.0), Some(person(0)))];
    let track = track(1, 0, &seen[0]);
    let result = room.identifier.decide(&[track], &seen, &room.gallery, &mut room.frame, &mut room.events);
    assert!(matches!(result, Err(GalleryError::Embedding(_))));
}

#[test]
fn decided_faces_are_looked_at_less_often_than_open_ones() {
    let mut room = Room::new();
    let soon = |room: &Room| room.identifier.urgency(Some(face(1)), room.frame.stamp.plus_secs(1.0 / 15.0)).is_some();
    assert!(soon(&room), "a new face");
    room.show(1, &[sight(1, look_at(0, 0.8))]);
    assert!(soon(&room), "an undecided face");
    room.show(4, &[sight(1, look_at(0, 0.8))]);
    assert!(!soon(&room), "a named face");
    assert!(room.identifier.urgency(Some(face(1)), room.frame.stamp.plus_secs(0.2)).is_some());
    room.show(1, &[sight(1, look_at(0, 0.1))]);
    assert!(soon(&room), "a doubted name");
    let mut room = Room::new();
    room.show(6, &[sight(1, look_at(0, 0.1))]);
    assert!(!soon(&room), "surely a stranger");
    let mut room = Room::new();
    room.show(40, &[sight(1, mixed(&[(0, 0.7), (1, 0.7)], 8))]);
    assert!(!soon(&room), "undecided for too long");
}

#[test]
fn new_faces_are_looked_at_before_undecided_ones_and_those_before_decided_ones() {
    let mut room = Room::new();
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    room.after(0.1, &[sight(1, look_at(0, 0.8)), sight(2, look_at(1, 0.7))]);
    room.after(0.1, &[sight(1, look_at(0, 0.8)), sight(3, look_at(5, 0.7))]);
    let urgency = |number: Option<u64>| room.identifier.urgency(number.map(face), room.frame.stamp.plus_secs(0.3));
    assert_eq!(urgency(None), Some(Urgency::New));
    assert!(urgency(None) < urgency(Some(3)) && urgency(Some(3)) < urgency(Some(1)));
}

#[test]
fn only_confirmed_faces_are_published_visible_and_near_ones_first_without_flicker() {
    let mut room = Room::new();
    let sized = |face, width| Sight { width, look: None, ..sight(face, person(0)) };
    let order = |people: &[Person]| people.iter().map(|person| person.face_id).collect::<Vec<_>>();
    let people = room.after(0.1, &[sized(1, 50.0), sized(2, 80.0), Sight { width: 200.0, ..coasting(3) }]);
    assert_eq!(order(people), [face(2), face(1), face(3)]);
    assert!(!people[2].observed && people[0].observed);
    let people = room.after(0.1, &[sized(1, 84.0), sized(2, 80.0)]);
    assert_eq!(order(people), [face(2), face(1)], "hardly nearer");
    let people = room.after(0.1, &[sized(1, 95.0), sized(2, 80.0)]);
    assert_eq!(order(people), [face(1), face(2)], "clearly nearer");
    assert!((people[0].track_age_secs - 0.2).abs() < 1e-6);
}

#[test]
fn events_tell_of_faces_and_visits_once_each() {
    use EventKind::{FaceAppeared, FaceLost, PersonIdentified, PersonLeft, PersonReturned};
    let anna = |face| sight(face, look_at(0, 0.8));
    let mut room = Room::new();
    room.show(1, &[anna(1)]);
    assert_eq!(room.kinds(), [FaceAppeared]);
    room.show(1, &[anna(1)]);
    assert!(room.events.is_empty());
    room.show(1, &[anna(1)]);
    assert_eq!(room.kinds(), [PersonIdentified]);
    let event = &room.events[0];
    assert_eq!(
        (event.name.as_deref(), event.face_id, event.person_id),
        (Some("Anna"), Some(face(1)), room.gallery.person_named("Anna"))
    );
    assert!(event.confidence > 0.9);

    room.after(1.0, &[]);
    assert_eq!(room.kinds(), [FaceLost]);
    assert_eq!(room.events[0].name.as_deref(), Some("Anna"));
    room.show(4, &[anna(2)]);
    assert!(room.events.is_empty(), "still the same visit");
    room.after(9.9, &[]);
    assert_eq!(room.kinds(), [FaceLost]);
    room.after(0.2, &[]);
    assert_eq!(room.kinds(), [PersonLeft]);
    room.after(4.3, &[anna(3)]);
    room.show(2, &[anna(3)]);
    assert_eq!(room.kinds(), [PersonReturned]);
    assert!((room.events[0].absent_for_secs - 14.8).abs() < 1e-3, "{} s", room.events[0].absent_for_secs);
}

#[test]
fn a_jump_of_time_ends_every_visit_once() {
    let mut room = Room::new();
    room.show(3, &[sight(1, look_at(0, 0.8))]);
    room.identifier.reset();
    room.after(-100.0, &[]);
    assert_eq!(room.kinds(), [EventKind::FaceLost, EventKind::PersonLeft]);
    room.after(0.1, &[]);
    assert!(room.events.is_empty());
    room.show(3, &[sight(2, look_at(0, 0.8))]);
    assert_eq!(room.kinds(), [EventKind::PersonIdentified]);
}

#[test]
fn a_forgotten_person_is_gone_at_once() {
    let mut room = Room::new();
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    let anna = room.identity(1).person_id.unwrap();
    room.gallery.forget(anna).unwrap();
    room.identifier.forget(anna);
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    assert_eq!((room.identity(1).person_id, room.name(1)), (None, None));
    room.after(20.0, &[]);
    assert_eq!(room.kinds(), [EventKind::FaceLost]);
    assert_eq!(room.events[0].person_id, None);
}

#[test]
fn a_person_without_a_name_is_known_and_a_new_name_shows_at_once() {
    let mut room = Room::new();
    let anna = room.gallery.person_named("Anna").unwrap();
    room.gallery.rename(anna, None).unwrap();
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    assert_eq!((room.identity(1).state, room.identity(1).person_id), (IdentityState::Known, Some(anna)));
    room.gallery.rename(anna, Some("Ann")).unwrap();
    room.show(1, &[sight(1, look_at(0, 0.8))]);
    assert_eq!(room.name(1), Some("Ann"));
}

#[test]
fn after_being_out_of_sight_a_name_waits_for_a_look_that_agrees() {
    let mut room = Room::new();
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    let unlooked = Sight { look: None, ..sight(1, person(0)) };
    room.after(0.1, &[coasting(1)]);
    assert_eq!(room.name(1), Some("Anna"), "coasting");
    room.after(0.1, std::slice::from_ref(&unlooked));
    assert_eq!(room.name(1), Some("Anna"), "a short gap");
    room.show(3, &[coasting(1)]);
    let soon = room.identifier.urgency(Some(face(1)), room.frame.stamp.plus_secs(0.1));
    assert!(matches!(soon, Some(Urgency::Undecided { .. })));
    room.after(0.1, std::slice::from_ref(&unlooked));
    assert_eq!((room.name(1), room.identity(1).state), (None, IdentityState::Pending), "who is it?");
    room.after(0.1, &[sight(1, look_at(1, 0.8))]);
    assert_eq!(room.name(1), None, "somebody else");
    room.after(0.1, &[sight(1, look_at(0, 0.8))]);
    assert_eq!(room.name(1), Some("Anna"), "it was her");
}

/// The room's gallery, but one person is a poster or a stored stranger.
struct But<'a>(&'a MemoryGallery, PersonId, Standing);

impl Gallery for But<'_> {
    fn search(&self, probe: &Embedding, limit: usize) -> Result<Vec<Candidate>, GalleryError> {
        self.0.search(probe, limit)
    }

    fn name(&self, person: PersonId) -> Option<&str> {
        self.0.name(person)
    }

    fn standing(&self, person: PersonId) -> Option<Standing> {
        if person == self.1 { Some(self.2) } else { self.0.standing(person) }
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn a_poster_is_nobody_and_a_stored_stranger_is_anonymous() {
    for (standing, state) in [
        (Standing::Negative, IdentityState::Unknown),
        (Standing::Anonymous, IdentityState::Anonymous),
        (Standing::Known, IdentityState::Known),
    ] {
        let mut room = Room::new();
        let anna = room.gallery.person_named("Anna").unwrap();
        for _ in 0..5 {
            let seen =
                [1.0, 3.0].map(|x| observation(BBox::from_centre(100.0 * x, 100.0, 50.0, 60.0), Some(look_at(0, 0.9))));
            let tracks: Vec<_> =
                seen.iter().enumerate().map(|(index, seen)| track(index as u64, index, seen)).collect();
            room.frame.stamp = room.frame.stamp.plus_secs(0.2);
            let (people, events) = (&mut room.frame, &mut room.events);
            room.identifier.decide(&tracks, &seen, &But(&room.gallery, anna, standing), people, events).unwrap();
        }
        let identities: Vec<_> = room.frame.people.iter().map(|person| &person.identity).collect();
        assert_eq!(identities[0].state, state);
        assert_eq!(identities[0].person_id, (standing != Standing::Negative).then_some(anna));
        assert!(identities.iter().all(|identity| identity.name.is_none()));
        // There may be two posters of one face, but not the same person twice.
        let expected = if standing == Standing::Negative { state } else { IdentityState::Pending };
        assert_eq!(identities[1].state, expected);
    }
}

/// A confirmed face that was observed in this frame.
fn track(number: u64, index: usize, seen: &Observation) -> Track {
    Track {
        face_id: face(number),
        former_id: None,
        is_continuous: true,
        state: TrackState::Confirmed,
        bbox: seen.detection.bbox,
        last_detection: seen.detection,
        observation: Some(index),
        first_seen: Stamp::default(),
        last_seen: Stamp::default(),
    }
}

#[test]
fn the_more_people_are_known_the_more_alike_a_face_must_be() {
    let named_among = |others: usize| {
        let mut room = Room::new();
        for other in 0..others {
            room.gallery.enrol(&format!("one of many {other}"), &person(2 + other % 6), 1.0).unwrap();
        }
        room.show(10, &[sight(1, look_at(0, 0.6))]);
        room.name(1).map(str::to_owned)
    };
    assert_eq!(named_among(0).as_deref(), Some("Anna"));
    assert_eq!(named_among(300), None);
}

#[test]
fn a_face_known_again_keeps_its_person_and_proves_it_with_one_look() {
    let mut room = Room::new();
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    let frame = |room: &mut Room, id: FaceId, former: Option<FaceId>, look: Option<Embedding>| {
        let seen = [observation(BBox::from_centre(100.0, 100.0, 50.0, 60.0), look)];
        let track = Track { face_id: id, former_id: former, ..track(0, 0, &seen[0]) };
        room.frame.stamp = room.frame.stamp.plus_secs(0.1);
        let (people, events) = (&mut room.frame, &mut room.events);
        room.identifier.decide(&[track], &seen, &room.gallery, people, events).unwrap();
    };
    // It coasts while a new track appears elsewhere, which turns out to be the same face.
    room.show(1, &[coasting(1), Sight { look: None, ..sight(2, person(0)) }]);
    frame(&mut room, face(1), Some(face(2)), None);
    assert_eq!(room.name(1), None);
    frame(&mut room, face(1), None, Some(look_at(0, 0.8)));
    assert_eq!(room.name(1), Some("Anna"));
}

#[test]
fn strangers_are_told_only_when_that_is_asked_for() {
    for auto_enrol in [AutoEnrol::Off, AutoEnrol::Session] {
        let mut room = Room::new();
        let mut config = Config::default();
        config.identity.auto_enrol = auto_enrol;
        room.identifier = Identifier::new(&config, Some(similarity()), None);
        room.show(20, &[sight(1, look_at(5, 0.9))]);
        let told = room.identifier.take_strangers();
        assert_eq!(told, if auto_enrol == AutoEnrol::Off { vec![] } else { vec![face(1)] });
        room.show(20, &[sight(1, look_at(5, 0.9))]);
        assert!(room.identifier.take_strangers().is_empty(), "once each");
    }
}

#[test]
fn a_face_that_jumps_is_not_named_until_a_look_agrees() {
    let mut room = Room::new();
    room.show(5, &[sight(1, look_at(0, 0.8))]);
    for (look, named) in [(None, false), (Some(look_at(0, 0.4)), false), (Some(look_at(0, 0.8)), true)] {
        let seen = [observation(BBox::from_centre(140.0, 100.0, 50.0, 60.0), look)];
        let jumped = Track { is_continuous: named, ..track(1, 0, &seen[0]) };
        room.frame.stamp = room.frame.stamp.plus_secs(0.1);
        let (people, events) = (&mut room.frame, &mut room.events);
        room.identifier.decide(&[jumped], &seen, &room.gallery, people, events).unwrap();
        assert_eq!(room.name(1).is_some(), named);
    }
}
