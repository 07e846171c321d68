//! The transport without ROS 2: a pure-Rust DDS participant that speaks as a ROS 2 Humble node does.

mod raw;
mod service;
mod tasks;

use crate::node::names::Names;
use crate::node::transport::{
    Connection, Incoming, Offer, OnMessage, OnRequest, Publisher, Qos, Transport, TransportError,
};
use crate::runtime;
use crate::wire::{Message as _, messages};
use futures::StreamExt as _;
use raw::Body;
use ros2_client::dds::rustdds::policy::{Durability as DdsDurability, Reliability as DdsReliability, ResourceLimits};
use ros2_client::dds::rustdds::{
    DomainParticipant, DomainParticipantBuilder, GUID, QosPolicies, QosPolicyBuilder, TopicKind,
};
use ros2_client::qos::{Durability, History, WhenFull};
use ros2_client::{Context, MessageTypeName, Name, Node, NodeName, NodeOptions, QosProfile, ServiceTypeName};
use serde::de::DeserializeOwned;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tasks::Tasks;

/// How often the subscribers of our topics are counted.
const COUNT_PERIOD: Duration = Duration::from_millis(100);

/// Messages that `rustdds` and `ros2_client` log although nothing is wrong: no multicast on a
/// loopback device, no ROS_DISTRO where there is no ROS 2, requests without an identity that Cyclone
/// never sends, a spinner that ended before it was told to, writers that outlive their participant.
pub const QUIET: [&str; 6] = [
    "rustdds=error",
    "rustdds::network=off",
    "rustdds::dds::pubsub=off",
    "ros2_client::service::wrappers=error",
    "ros2_client::node=off",
    "ros2_client::distributions=error",
];

/// Where a participant lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DdsOptions {
    /// DDS domain, 0 to 232.
    pub domain: u16,
    /// Only this computer, as `ROS_LOCALHOST_ONLY=1` wants it.
    pub localhost_only: bool,
}

/// `ROS_DOMAIN_ID` or `ROS_LOCALHOST_ONLY` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is \"{value}\", it must be {allowed}")]
pub struct EnvironmentError {
    /// Its name.
    pub variable: &'static str,
    /// As found.
    pub value: String,
    /// What may stand there.
    pub allowed: &'static str,
}

impl DdsOptions {
    /// What the variables say that every ROS 2 program reads.
    ///
    /// # Errors
    /// [`EnvironmentError`] naming the variable.
    pub fn from_environment(domain: Option<&str>, localhost_only: Option<&str>) -> Result<Self, EnvironmentError> {
        let domain =
            match domain.map(str::trim).filter(|text| !text.is_empty()) {
                None => 0,
                Some(text) => text.parse().ok().filter(|domain| *domain <= MAX_DOMAIN).ok_or_else(|| {
                    EnvironmentError { variable: "ROS_DOMAIN_ID", value: text.to_owned(), allowed: "0 to 232" }
                })?,
            };
        match localhost_only.map(str::trim) {
            None | Some("" | "0") => Ok(Self { domain, localhost_only: false }),
            Some("1") => Ok(Self { domain, localhost_only: true }),
            Some(text) => {
                let value = text.to_owned();
                Err(EnvironmentError { variable: "ROS_LOCALHOST_ONLY", value, allowed: "0 or 1" })
            }
        }
    }
}

/// The ports of a domain beyond this one do not exist.
pub const MAX_DOMAIN: u16 = 232;

/// A DDS participant with one node in it.
pub struct Dds {
    node: Node,
    participant: DomainParticipant,
    names: Names,
    tasks: Tasks,
    /// DDS names of our topics, and where the number of their subscribers is kept.
    counted: Vec<(String, Weak<AtomicUsize>)>,
    last_count: Option<Instant>,
}

impl Dds {
    /// Joins the domain.
    ///
    /// # Errors
    /// [`TransportError`] when there is no network or too many participants on this computer.
    pub fn join(options: &DdsOptions, names: Names) -> Result<Self, TransportError> {
        let failed = |reason: String| TransportError { what: format!("joining DDS domain {}", options.domain), reason };
        let mut builder = DomainParticipantBuilder::new(options.domain);
        if options.localhost_only {
            builder = builder.with_only_networks([IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        }
        let participant = builder.build().map_err(|error| failed(error.to_string()))?;
        let context =
            Context::from_domain_participant(participant.clone()).map_err(|error| failed(error.to_string()))?;
        let name = NodeName::new(&names.namespace, &names.node).map_err(|error| failed(format!("{error:?}")))?;
        // Its own parameter services only understand Fast DDS; ours serve every middleware.
        let node_options = NodeOptions::new().enable_rosout(false).start_parameter_services(false);
        let mut node = context.new_node(name, node_options).map_err(|error| failed(format!("{error:?}")))?;
        let tasks = Tasks::start().map_err(|error| failed(error.to_string()))?;
        let spinner = node.spinner().map_err(|error| failed(error.to_string()))?;
        tasks.spawn(async move {
            if let Err(error) = spinner.spin().await {
                tracing::error!(%error, "discovery ended; nobody new will be found");
            }
        });
        Ok(Self { node, participant, names, tasks, counted: Vec::new(), last_count: None })
    }

    fn topic(
        &self,
        topic: &str,
        type_name: &str,
        policies: &QosPolicies,
    ) -> Result<(ros2_client::dds::rustdds::Topic, String), TransportError> {
        let full = self.names.resolve(topic);
        let failed = |reason: String| TransportError { what: format!("topic {full}"), reason };
        Name::parse(&full).map_err(|error| failed(format!("{error:?}")))?;
        let (package, short) = type_parts(type_name);
        let dds_type = MessageTypeName::new(package, short).dds_msg_type();
        let topic = self
            .participant
            .create_topic(dds_name(&full), dds_type, policies, TopicKind::NoKey)
            .map_err(|error| failed(error.to_string()))?;
        Ok((topic, full))
    }

    /// Hands over messages that the client decodes.
    fn listen<M: DeserializeOwned + Send + Sync + 'static>(
        &mut self,
        topic: &str,
        type_name: &str,
        qos: Qos,
        wrap: fn(M) -> Incoming,
        mut on_message: OnMessage,
    ) -> Result<Box<dyn Connection>, TransportError> {
        let (topic, full) = self.topic(topic, type_name, &subscribed(type_name, qos))?;
        let subscription = self
            .node
            .create_subscription::<M>(&topic, None)
            .map_err(|error| TransportError { what: format!("subscribing to {full}"), reason: error.to_string() })?;
        let listening = async move {
            let mut messages = std::pin::pin!(subscription.async_stream());
            while let Some(message) = messages.next().await {
                on_message(message.map(|(message, _)| wrap(message)).map_err(|error| error.to_string()));
            }
        };
        Ok(Box::new(self.tasks.spawn_until_dropped(listening)))
    }

    fn count_subscribers(&mut self) {
        self.counted.retain(|(_, count)| count.strong_count() > 0);
        let readers = self.participant.discovered_readers();
        for (topic, count) in &self.counted {
            let is_ours = |name: &String| name == topic;
            let subscribers =
                readers.iter().filter(|reader| is_ours(reader.subscription_topic_data.topic_name())).count();
            if let Some(count) = count.upgrade() {
                count.store(subscribers, Ordering::Relaxed);
            }
        }
    }
}

impl Transport for Dds {
    fn name(&self) -> String {
        format!("dds, domain {}", self.participant.domain_id())
    }

    fn node_name(&self) -> String {
        self.names.full_name()
    }

    fn resolve(&self, name: &str) -> String {
        self.names.resolve(name)
    }

    fn advertise(&mut self, topic: &str, type_name: &str, qos: Qos) -> Result<Box<dyn Publisher>, TransportError> {
        let (topic, full) = self.topic(topic, type_name, &policies(qos))?;
        let publisher = self
            .node
            .create_publisher::<Body>(&topic, None)
            .map_err(|error| TransportError { what: format!("advertising {full}"), reason: error.to_string() })?;
        let subscribers = Arc::new(AtomicUsize::new(0));
        self.counted.push((dds_name(&full), Arc::downgrade(&subscribers)));
        Ok(Box::new(DdsPublisher { publisher, topic: full, subscribers }))
    }

    fn subscribe(
        &mut self,
        topic: &str,
        type_name: &str,
        qos: Qos,
        on_message: OnMessage,
    ) -> Result<Box<dyn Connection>, TransportError> {
        match type_name {
            messages::Image::TYPE => self.listen(topic, type_name, qos, Incoming::Image, advising(on_message)),
            messages::CompressedImage::TYPE => self.listen(topic, type_name, qos, Incoming::Compressed, on_message),
            _ => {
                let wrap = |body: Body| Incoming::Cdr(Body::with_header(&body.0));
                self.listen(topic, type_name, qos, wrap, on_message)
            }
        }
    }

    fn serve(
        &mut self,
        service: &str,
        type_name: &str,
        on_request: OnRequest,
    ) -> Result<Box<dyn Connection>, TransportError> {
        let full = self.names.resolve(service);
        let failed = |reason: String| TransportError { what: format!("service {full}"), reason };
        let name = Name::parse(&full).map_err(|error| failed(format!("{error:?}")))?;
        let (package, short) = type_parts(type_name);
        let server = service::Server::create(&mut self.node, &name, &ServiceTypeName::new(package, short))
            .map_err(|error| failed(error.to_string()))?;
        let serving = server.run(full, self.participant.clone(), self.tasks.clone(), on_request);
        Ok(Box::new(self.tasks.spawn_until_dropped(serving)))
    }

    fn offers(&self, topic: &str) -> Vec<Offer> {
        let topic = dds_name(&self.names.resolve(topic));
        let own = self.participant.guid_prefix_bytes();
        let mut offers = Vec::new();
        for writer in self.participant.discovered_writers() {
            let data = writer.publication_topic_data;
            if data.topic_name != topic || prefix_of(writer.writer_proxy.remote_writer_guid) == own {
                continue;
            }
            // What is DDS's default is not always told: reliable, for a writer.
            let reliable = !matches!(data.reliability, Some(DdsReliability::BestEffort));
            let latched = matches!(data.durability, Some(DdsDurability::TransientLocal));
            let qos = Qos { reliable, latched, depth: 0 };
            offers.push(Offer { type_name: ros_type(&data.type_name), qos });
        }
        offers
    }

    fn spin(&mut self, timeout: Duration) {
        if self.last_count.is_none_or(|last| last.elapsed() >= COUNT_PERIOD) {
            self.count_subscribers();
            self.last_count = Some(runtime::now());
        }
        runtime::sleep(timeout.min(COUNT_PERIOD));
    }
}

/// Twelve bytes that name a participant.
trait GuidPrefixBytes {
    fn guid_prefix_bytes(&self) -> [u8; 12];
}

impl GuidPrefixBytes for DomainParticipant {
    fn guid_prefix_bytes(&self) -> [u8; 12] {
        use ros2_client::dds::rustdds::RTPSEntity as _;
        prefix_of(self.guid())
    }
}

fn prefix_of(guid: GUID) -> [u8; 12] {
    let bytes = guid.to_bytes();
    std::array::from_fn(|i| bytes[i])
}

struct DdsPublisher {
    publisher: ros2_client::Publisher<Body>,
    topic: String,
    subscribers: Arc<AtomicUsize>,
}

impl Publisher for DdsPublisher {
    fn publish(&self, cdr: &[u8]) -> Result<(), TransportError> {
        self.publisher.publish(Body::of(cdr)).map_err(|error| {
            // The text of this error ends in the whole message.
            let reason = error.to_string().chars().take(80).collect();
            TransportError { what: format!("publishing on {}", self.topic), reason }
        })
    }

    fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }
}

fn policies(qos: Qos) -> QosPolicies {
    let history = History::KeepLast { depth: qos.depth as usize };
    let durability = if qos.latched { Durability::TransientLocal } else { Durability::Volatile };
    let profile = QosProfile::subscription_default().history(history).durability(durability);
    (if qos.reliable { profile.reliability_reliable(WhenFull::DEFAULT) } else { profile }).into()
}

/// Without a limit the client keeps the last 64 messages of a topic, read or not. Of images those are 60 MB and more.
/// With it, a reliable reader gives a lost image up once those after it are more than these and 16 MB.
fn subscribed(type_name: &str, qos: Qos) -> QosPolicies {
    if !matches!(type_name, messages::Image::TYPE | messages::CompressedImage::TYPE) {
        return policies(qos);
    }
    let most = qos.depth as i32;
    let limits = ResourceLimits { max_samples: most, max_instances: 1, max_samples_per_instance: most };
    policies(qos).modify_by(&QosPolicyBuilder::new().resource_limits(limits).build())
}

/// `rostro/msg/People` as package and name.
fn type_parts(type_name: &str) -> (&str, &str) {
    let package = type_name.split('/').next().unwrap_or_default();
    (package, type_name.rsplit('/').next().unwrap_or_default())
}

/// `/rostro/people` as DDS knows it.
fn dds_name(topic: &str) -> String {
    format!("rt{topic}")
}

/// `sensor_msgs::msg::dds_::Image_` as ROS writes it.
fn ros_type(dds: &str) -> String {
    dds.trim_end_matches('_').replace("::dds_::", "/").replace("::", "/")
}

/// Looks at the first image: one that fits the socket buffers badly is met again with gaps.
fn advising(mut on_message: OnMessage) -> OnMessage {
    let mut is_first = true;
    Box::new(move |message| {
        if is_first && let Ok(Incoming::Image(image)) = &message {
            is_first = false;
            if let Some(advice) = buffer_advice(Some(image.data.len() as u64)) {
                tracing::warn!("{advice}");
            }
        }
        on_message(message);
    })
}

/// Socket buffers smaller than two of these lose raw images that are sent in one burst: 640×480 rgb8.
const SMALL_IMAGE_BYTES: u64 = 640 * 480 * 3;

/// What to do when the kernel's socket buffers are too small for images of this many bytes, if they
/// are.
pub fn buffer_advice(image_bytes: Option<u64>) -> Option<String> {
    let rmem_max = std::fs::read_to_string(Path::new("/proc/sys/net/core/rmem_max")).ok()?.trim().parse().ok()?;
    buffer_advice_for(rmem_max, image_bytes.unwrap_or(SMALL_IMAGE_BYTES))
}

fn buffer_advice_for(rmem_max: u64, image_bytes: u64) -> Option<String> {
    let needed = (2 * image_bytes).next_power_of_two();
    (rmem_max < 2 * image_bytes).then(|| {
        format!(
            "net.core.rmem_max is {rmem_max} bytes, raw images of {image_bytes} bytes will be lost: run \
             `sudo sysctl -w net.core.rmem_max={needed}`, or set camera_transport to compressed, or \
             camera_reliability to reliable"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_topics_are_spelt_both_ways() {
        assert_eq!(type_parts("sensor_msgs/msg/Image"), ("sensor_msgs", "Image"));
        assert_eq!(ros_type("sensor_msgs::msg::dds_::Image_"), "sensor_msgs/msg/Image");
        assert_eq!(dds_name("/rostro/people"), "rt/rostro/people");
    }

    #[test]
    fn no_more_images_are_kept_than_were_asked_for() {
        let qos = Qos { reliable: false, latched: false, depth: 5 };
        for (type_name, most) in [
            (messages::Image::TYPE, Some(5)),
            (messages::CompressedImage::TYPE, Some(5)),
            (messages::People::TYPE, None),
        ] {
            let kept = subscribed(type_name, qos).resource_limits().map(|limits| limits.max_samples);
            assert_eq!(kept, most, "{type_name}");
        }
        assert_eq!(policies(qos).resource_limits(), None, "a publisher is not held up");
    }

    #[test]
    fn the_variables_of_ros_are_read_and_checked() {
        let read = DdsOptions::from_environment;
        assert_eq!(read(None, None), Ok(DdsOptions::default()));
        assert_eq!(read(Some("42"), Some("1")), Ok(DdsOptions { domain: 42, localhost_only: true }));
        assert_eq!(read(Some(""), Some("0")), Ok(DdsOptions::default()));
        for (domain, localhost) in [(Some("233"), None), (Some("-1"), None), (Some("x"), None), (None, Some("yes"))] {
            assert!(read(domain, localhost).is_err(), "{domain:?} {localhost:?}");
        }
    }

    #[test]
    fn small_buffers_come_with_advice() {
        assert_eq!(buffer_advice_for(8 << 20, SMALL_IMAGE_BYTES), None);
        let advice = buffer_advice_for(212_992, 1280 * 720 * 3).unwrap();
        assert!(advice.contains("212992") && advice.contains("net.core.rmem_max=8388608"), "{advice}");
    }
}
