//! ROS4HRI's topics of a live node. Those of faces and persons come and go while it runs: the thread that
//! perceives wishes for them, the one that runs the transport offers them.

use super::outputs::Topic;
use super::transport::{Publisher, Transport, TransportError};
use crate::ros4hri::{self, Sink};
use crate::time::Stamp;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A topic that was wished for, or why there is none.
pub(super) type Granted = (String, Result<Box<dyn Publisher>, TransportError>);

/// Where ROS4HRI's messages go.
pub(super) struct HumansTopics {
    /// `None` while a topic is wished for.
    topics: BTreeMap<String, Option<Topic>>,
    wisher: Wisher,
    has_warned: bool,
}

/// The side of the thread that perceives.
pub(super) struct Wisher {
    wishes: Sender<ros4hri::Topic>,
    granted: Receiver<Granted>,
}

/// The side of the transport.
pub(super) struct Wishes {
    wishes: Receiver<ros4hri::Topic>,
    grants: Sender<Granted>,
}

/// Wishes on one side, their fulfilment on the other.
pub(super) fn connected() -> (Wisher, Wishes) {
    let ((wishes, wished), (grants, granted)) = (channel(), channel());
    (Wisher { wishes, granted }, Wishes { wishes: wished, grants })
}

impl Wisher {
    /// Asks for a topic.
    pub(super) fn wish(&self, topic: ros4hri::Topic) {
        // Nobody listens only when the node is being cleaned up.
        let _ = self.wishes.send(topic);
    }

    /// What was granted since the last call.
    pub(super) fn granted(&self) -> impl Iterator<Item = Granted> {
        self.granted.try_iter()
    }
}

impl Wishes {
    /// Offers what was wished for since the last call.
    pub(super) fn grant(&self, transport: &mut dyn Transport) {
        for topic in self.wishes.try_iter() {
            let publisher = transport.advertise(&topic.name, topic.type_name, topic.qos);
            // Nobody receives only when the node is being cleaned up.
            let _ = self.grants.send((topic.name, publisher));
        }
    }
}

impl HumansTopics {
    pub(super) fn new(wisher: Wisher) -> Self {
        Self { topics: BTreeMap::new(), wisher, has_warned: false }
    }

    /// Takes a topic that is there from the beginning.
    pub(super) fn add(&mut self, name: String, topic: Topic) {
        self.topics.insert(name, Some(topic));
    }

    fn receive(&mut self) {
        for (name, granted) in self.wisher.granted() {
            // One that was closed meanwhile is not wanted any more.
            let Some(topic) = self.topics.get_mut(&name) else { continue };
            match granted {
                Ok(publisher) => *topic = Some(Topic::of(publisher)),
                Err(error) if !self.has_warned => {
                    self.has_warned = true;
                    tracing::error!(%error, "a face or person cannot be shown to ROS4HRI");
                }
                Err(_) => {}
            }
        }
    }
}

impl Sink for HumansTopics {
    fn open(&mut self, topic: &ros4hri::Topic) -> bool {
        self.receive();
        if let Some(there) = self.topics.get(&topic.name) {
            return there.is_some();
        }
        self.topics.insert(topic.name.clone(), None);
        self.wisher.wish(topic.clone());
        false
    }

    fn is_wanted(&mut self, topic: &str) -> bool {
        self.topics.get(topic).and_then(Option::as_ref).is_some_and(Topic::is_wanted)
    }

    fn send(&mut self, topic: &str, _: Stamp, message: &[u8]) {
        if let Some(Some(topic)) = self.topics.get_mut(topic) {
            topic.send_written(Ok(()), message);
        }
    }

    fn close(&mut self, topic: &str) {
        self.topics.remove(topic);
    }
}
