//! The tree of persons, for robots without a person manager.
//!
//! Whoever has a stored identity is listed under its permanent id. A face without one is an anonymous
//! person, `anon_<face id>`, until it turns out who it is: then the anonymous id is an alias of the
//! permanent one, and leaves the list a while later.

use super::transforms::Place;
use super::{LINGER_SECS, Settings, Sink, Topic, Writer};
use crate::head_pose::HeadPose;
use crate::ids::{CameraId, FaceId, PersonId};
use crate::node::transport::Qos;
use crate::people::{People, Person};
use crate::time::Stamp;
use crate::wire::geometry::{Bool, Float32, Text};
use crate::wire::hri::{EngagementLevel, IdsList};
use crate::wire::messages::Header;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds after which lists, confidences and engagements are sent again although nothing changed.
const REPEAT_SECS: f64 = 1.0;
/// Seconds for which an anonymous id stays known after it is gone or has become an alias.
const ANONYMOUS_SECS: f64 = 2.0;
/// Seconds for which a person becomes engaged, or disengaged.
const CHANGING_SECS: f64 = 1.0;
/// Attention at which engagement begins, and under which it ends.
const ENGAGED: f32 = 0.65;
const DISENGAGED: f32 = 0.35;
/// Most persons out of sight that keep their topics.
const MOST_ABSENT: usize = 64;
/// Below this confidence a person is nowhere, and has no frame.
const NOWHERE: f32 = 0.01;

/// Everyone, seen or known.
#[derive(Default)]
pub(super) struct Persons {
    stored: BTreeSet<PersonId>,
    nodes: BTreeMap<String, Node>,
    /// The lists as they were last sent, and when.
    known: Sent<Vec<String>>,
    tracked: Sent<Vec<String>>,
}

/// What was last sent, and when.
type Sent<T> = Option<(T, Stamp)>;

/// What is known of one person.
#[derive(Default)]
struct Node {
    is_open: bool,
    is_anonymous: bool,
    name: String,
    alias: String,
    face: Option<FaceId>,
    /// Camera that saw the person last, and when it saw the face.
    seen: Option<(CameraId, Stamp)>,
    /// The frame it was in, and where.
    place: Option<(String, HeadPose)>,
    engagement: Engagement,
    /// When it leaves the list of the known.
    leaves: Option<Stamp>,
    /// Latched texts as last sent: face, alias, name.
    told: Option<[String; 3]>,
    repeated: Option<Stamp>,
}

#[derive(Debug, Default)]
struct Engagement {
    is_known: bool,
    is_attentive: bool,
    since: Option<Stamp>,
}

impl Persons {
    pub(super) fn know(&mut self, stored: impl IntoIterator<Item = PersonId>) {
        self.stored = stored.into_iter().collect();
    }

    pub(super) fn rename(&mut self, person: PersonId, name: Option<&str>) {
        if let Some(node) = self.nodes.get_mut(person.as_str()) {
            name.unwrap_or_default().clone_into(&mut node.name);
        }
    }

    pub(super) fn merge(&mut self, keep: PersonId, absorbed: PersonId, stamp: Stamp) {
        self.stored.remove(&absorbed);
        self.stored.insert(keep);
        if let Some(node) = self.nodes.get_mut(absorbed.as_str()) {
            (node.alias, node.face, node.leaves) = (keep.to_string(), None, Some(stamp.plus_secs(ANONYMOUS_SECS)));
        }
    }

    pub(super) fn forget(&mut self, person: PersonId, stamp: Stamp) {
        self.stored.remove(&person);
        if let Some(node) = self.nodes.get_mut(person.as_str()) {
            (node.face, node.place, node.leaves) = (None, None, Some(stamp));
            node.name.clear();
        }
        // An alias of nobody would be an error to readers. It may be somebody who was merged into the person.
        for node in self.nodes.values_mut().filter(|node| node.alias == person.as_str()) {
            node.alias.clear();
            node.name.clear();
            node.leaves = Some(stamp);
        }
    }

    /// Takes a frame's people; `listed` are the faces that readers know, of all cameras.
    pub(super) fn look(&mut self, people: &People, listed: &BTreeSet<FaceId>, namespace: &str, sink: &mut dyn Sink) {
        for person in people.people.iter().filter(|person| listed.contains(&person.face_id)) {
            let id = id_of(person);
            self.leave_former(person.face_id, &id, people.stamp);
            let node = self.nodes.entry(id.clone()).or_default();
            node.is_open = node.is_open || topics(namespace, &id).iter().filter(|topic| !sink.open(topic)).count() == 0;
            node.see(person, people);
        }
        for node in self.nodes.values_mut().filter(|node| node.face.is_some_and(|face| !listed.contains(&face))) {
            node.lose(people.stamp);
        }
    }

    /// A face that was somebody else's: an anonymous person becomes an alias.
    fn leave_former(&mut self, face: FaceId, id: &str, stamp: Stamp) {
        for (_, node) in self.nodes.iter_mut().filter(|(former, node)| node.face == Some(face) && *former != id) {
            node.face = None;
            if node.is_anonymous {
                id.clone_into(&mut node.alias);
                node.leaves = Some(stamp.plus_secs(ANONYMOUS_SECS));
            }
        }
    }

    /// The frames of the persons whom this camera saw last.
    pub(super) fn places(&self, camera: &CameraId, stamp: Stamp, leave_secs: f64) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        for (id, node) in self.nodes.iter().filter(|(_, node)| node.is_open && node.alias.is_empty()) {
            let is_of_camera = node.seen.as_ref().is_some_and(|(seen_by, _)| seen_by == camera);
            if let Some((frame_id, head)) = node.place.as_ref().filter(|_| is_of_camera)
                && node.location_confidence(stamp, leave_secs) >= NOWHERE
            {
                places.push(Place { child: format!("person_{id}"), frame_id, head: *head });
            }
        }
        places
    }

    /// Sends lists that changed or are due, then what each person's topics are to say.
    pub(super) fn publish(
        &mut self,
        stamp: Stamp,
        frame_id: &str,
        Settings { namespace, leave_secs, .. }: &Settings,
        sink: &mut dyn Sink,
        writer: &mut Writer,
    ) {
        self.drop_the_gone(stamp, namespace, sink);
        let header = Header::new(stamp, frame_id);
        let open = || self.nodes.iter().filter(|(_, node)| node.is_open);
        let mut known: BTreeSet<String> = self.stored.iter().map(ToString::to_string).collect();
        known.extend(open().filter(|(_, node)| !node.has_left(stamp)).map(|(id, _)| id.clone()));
        let tracked = open().filter(|(_, node)| node.face.is_some()).map(|(id, _)| id.clone()).collect();
        // A person is known before anything else is said about it, and before an alias names it.
        let known = known.into_iter().collect();
        send_list(&mut self.known, known, &format!("{namespace}/persons/known"), &header, stamp, sink, writer);
        for (id, node) in self.nodes.iter_mut().filter(|(_, node)| node.is_open) {
            let topic = |below: &str| format!("{namespace}/persons/{id}/{below}");
            node.publish(topic, &header, stamp, *leave_secs, sink, writer);
        }
        let topic = format!("{namespace}/persons/tracked");
        send_list(&mut self.tracked, tracked, &topic, &header, stamp, sink, writer);
    }

    /// Nobody is seen any more; every topic ends.
    pub(super) fn end(&mut self, stamp: Stamp, settings: &Settings, sink: &mut dyn Sink, writer: &mut Writer) {
        for node in self.nodes.values_mut() {
            node.lose(stamp);
            (node.seen, node.repeated) = (None, None);
            node.leaves = node.leaves.filter(|_| node.is_anonymous).map(|_| stamp);
        }
        self.publish(stamp, "", settings, sink, writer);
        for id in std::mem::take(&mut self.nodes).into_keys() {
            close(&settings.namespace, &id, sink);
        }
        (self.known, self.tracked) = (None, None);
    }

    fn drop_the_gone(&mut self, stamp: Stamp, namespace: &str, sink: &mut dyn Sink) {
        let mut gone: Vec<String> = Vec::new();
        let mut absent: Vec<(Stamp, &String)> = Vec::new();
        for (id, node) in &self.nodes {
            if node.leaves.is_some_and(|leaves| stamp.secs_since(leaves) >= LINGER_SECS) {
                gone.push(id.clone());
            } else if node.face.is_none()
                && let Some((_, seen)) = &node.seen
            {
                absent.push((*seen, id));
            }
        }
        absent.sort_unstable();
        let too_many = absent.len().saturating_sub(MOST_ABSENT);
        gone.extend(absent[..too_many].iter().map(|(_, id)| (*id).clone()));
        for id in gone {
            self.nodes.remove(&id);
            close(namespace, &id, sink);
        }
    }
}

fn id_of(person: &Person) -> String {
    person.identity.person_id.map_or_else(|| format!("anon_{}", person.face_id), |id| id.to_string())
}

/// All topics of a person.
fn topics(namespace: &str, id: &str) -> [Topic; 8] {
    let name = |below: &str| format!("{namespace}/persons/{id}/{below}");
    let text = |below: &str| Topic::new::<Text>(name(below), Qos::latched(1));
    [
        Topic::new::<Bool>(name("anonymous"), Qos::latched(1)),
        text("face_id"),
        text("body_id"),
        text("voice_id"),
        text("alias"),
        text("name"),
        Topic::new::<Float32>(name("location_confidence"), Qos::reliable(1)),
        Topic::new::<EngagementLevel>(name("engagement_status"), Qos::reliable(1)),
    ]
}

fn close(namespace: &str, id: &str, sink: &mut dyn Sink) {
    for topic in topics(namespace, id) {
        sink.close(&topic.name);
    }
}

fn send_list(
    sent: &mut Sent<Vec<String>>,
    ids: Vec<String>,
    topic: &str,
    header: &Header,
    stamp: Stamp,
    sink: &mut dyn Sink,
    writer: &mut Writer,
) {
    let is_due = |(last, at): &(Vec<String>, Stamp)| *last != ids || is_over(stamp, *at);
    if sent.as_ref().is_none_or(is_due) {
        writer.send(sink, topic, stamp, &IdsList { header: header.clone(), ids: ids.clone() });
        *sent = Some((ids, stamp));
    }
}

/// Whether what was said then is to be said again. What was told between two frames may be ahead of the next.
fn is_over(stamp: Stamp, said: Stamp) -> bool {
    !(-REPEAT_SECS..REPEAT_SECS).contains(&stamp.secs_since(said))
}

impl Node {
    fn see(&mut self, person: &Person, people: &People) {
        // On two cameras at once a person is where the first of them is.
        let is_elsewhere = self.face.is_some_and(|face| face != person.face_id)
            && self.seen.as_ref().is_some_and(|(camera, at)| {
                *camera != people.camera && people.stamp.secs_since(*at) < super::CAMERA_LOST_SECS
            });
        if is_elsewhere {
            return;
        }
        self.is_anonymous = person.identity.person_id.is_none();
        self.name = person.identity.name.clone().unwrap_or_default();
        self.alias.clear();
        self.leaves = None;
        self.face = Some(person.face_id);
        if person.observed || self.seen.is_none() {
            self.seen = Some((people.camera.clone(), people.stamp));
        }
        if let Some(head) = person.pose {
            self.place = Some((people.frame_id.clone(), head));
        }
        self.engagement.take(person.attention, people.stamp);
    }

    fn lose(&mut self, stamp: Stamp) {
        self.face = None;
        self.engagement.take(None, stamp);
        if self.is_anonymous && self.leaves.is_none() {
            self.leaves = Some(stamp.plus_secs(ANONYMOUS_SECS));
        }
    }

    fn has_left(&self, stamp: Stamp) -> bool {
        self.leaves.is_some_and(|leaves| stamp.secs_since(leaves) >= 0.0)
    }

    /// 1 while the face is seen, falling to 0 while it is not.
    fn location_confidence(&self, stamp: Stamp, leave_secs: f64) -> f32 {
        let Some((_, seen)) = &self.seen else { return 0.0 };
        let hidden = stamp.secs_since(*seen).max(0.0);
        if hidden == 0.0 {
            return 1.0;
        }
        (1.0 - hidden / leave_secs.max(1e-3)).clamp(0.0, 1.0) as f32
    }

    fn publish(
        &mut self,
        topic: impl Fn(&str) -> String,
        header: &Header,
        stamp: Stamp,
        leave_secs: f64,
        sink: &mut dyn Sink,
        writer: &mut Writer,
    ) {
        let face = self.face.map(|face| face.to_string()).unwrap_or_default();
        let now = [face, self.alias.clone(), self.name.clone()];
        if self.told.is_none() {
            writer.send(sink, &topic("anonymous"), stamp, &Bool { data: self.is_anonymous });
            for below in ["body_id", "voice_id"] {
                writer.send(sink, &topic(below), stamp, &Text::default());
            }
        }
        for (place, below) in ["face_id", "alias", "name"].into_iter().enumerate() {
            if self.told.as_ref().is_none_or(|told| told[place] != now[place]) {
                writer.send(sink, &topic(below), stamp, &Text { data: now[place].clone() });
            }
        }
        self.told = Some(now);
        let is_due = self.repeated.is_none_or(|at| is_over(stamp, at));
        if self.face.is_some() || is_due {
            let data = self.location_confidence(stamp, leave_secs);
            writer.send(sink, &topic("location_confidence"), stamp, &Float32 { data });
            let level = self.engagement.level(stamp);
            let message = EngagementLevel { header: header.clone(), level };
            writer.send(sink, &topic("engagement_status"), stamp, &message);
            self.repeated = Some(stamp);
        }
    }
}

impl Engagement {
    fn take(&mut self, attention: Option<f32>, stamp: Stamp) {
        self.is_known = attention.is_some();
        let attention = attention.unwrap_or(0.0);
        let is_attentive = if self.is_attentive { attention > DISENGAGED } else { attention >= ENGAGED };
        if is_attentive != self.is_attentive {
            (self.is_attentive, self.since) = (is_attentive, Some(stamp));
        }
    }

    fn level(&self, stamp: Stamp) -> u8 {
        let is_changing = self.since.is_some_and(|since| stamp.secs_since(since) < CHANGING_SECS);
        match (self.is_known || is_changing, self.is_attentive, is_changing) {
            (false, ..) => EngagementLevel::UNKNOWN,
            (true, true, true) => EngagementLevel::ENGAGING,
            (true, true, false) => EngagementLevel::ENGAGED,
            (true, false, true) => EngagementLevel::DISENGAGING,
            (true, false, false) => EngagementLevel::DISENGAGED,
        }
    }
}
