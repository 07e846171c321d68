//! The transport inside a sourced ROS 2, under whatever RMW it uses: r2r. The only code that names
//! it.
//!
//! r2r moves bytes; parameters and lifecycle are the node's own, so that they are the same under
//! every transport (r2r's parameter services cannot tell ranges, and it has no lifecycle).

mod log;
mod services;
#[cfg(feature = "ros-check")]
mod stand_in;

pub use log::{QUIET, RosLog};

use crate::config::parameters::ParameterValue;
use crate::node::names::Names;
use crate::node::transport::{
    Connection, Incoming, Offer, OnMessage, OnRequest, Publisher, Qos, Transport, TransportError,
};
use futures::StreamExt as _;
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::{AbortHandle, abortable};
use futures::task::LocalSpawnExt as _;
use r2r::qos::{DurabilityPolicy, ReliabilityPolicy};
use r2r::{PublisherUntyped, QosProfile, RosParams};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A node of ROS 2.
pub struct Ros {
    node: r2r::Node,
    /// The node's names, and the rules of the command line as rcl has read them too.
    names: Names,
    /// The same names with rules of our own, which come first.
    asked: Names,
    pool: LocalPool,
    /// Publishers that nobody uses any more; only the node can end them.
    retired: Arc<Mutex<Vec<(String, PublisherUntyped)>>>,
    /// How many publishers of this node there are by topic, to tell them from others'.
    own: BTreeMap<String, usize>,
}

/// Why there is no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosError {
    /// rcl refused the arguments, or its RMW does not start.
    #[error("ROS 2 does not start: {0}; check what follows --ros-args, and RMW_IMPLEMENTATION")]
    Context(String),
    /// A context, but no node.
    #[error("the node cannot be made: {0}")]
    Node(String),
}

/// Whether this build knows messages of a type, such as `hri_msgs/msg/IdsList`.
pub fn has_type(type_name: &str) -> bool {
    r2r::WrappedNativeMsgUntyped::new_from(type_name).is_ok()
}

impl Ros {
    /// Joins the graph under these names. What follows `--ros-args` on the command line is rcl's to
    /// read. With the node come the parameters that were given there.
    ///
    /// # Errors
    /// [`RosError`] with what rcl says.
    pub fn join(names: Names) -> Result<(Self, Vec<(String, ParameterValue)>), RosError> {
        // r2r panics where rcl refuses an argument.
        let context = std::panic::catch_unwind(r2r::Context::create)
            .map_err(|panic| RosError::Context(panic_text(panic.as_ref())))?
            .map_err(|error| RosError::Context(error.to_string()))?;
        let mut node = r2r::Node::create(context, &names.node, &names.namespace)
            .map_err(|error| RosError::Node(error.to_string()))?;
        log::name_logger(node.logger());
        let given = overrides(&mut node);
        // rcl has the last word on the node's own name.
        let namespace = node.namespace().unwrap_or_else(|_| names.namespace.clone());
        let own_name = node.name().unwrap_or_else(|_| names.node.clone());
        let names = Names { namespace, node: own_name, ..names };
        let asked = Names { remaps: Vec::new(), ..names.clone() };
        let ros = Self { node, names, asked, pool: LocalPool::new(), retired: Arc::default(), own: BTreeMap::new() };
        Ok((ros, given))
    }

    /// Adds rules that come before those of the command line.
    pub fn remap(&mut self, rules: Vec<(String, String)>) {
        self.asked.remaps.splice(0..0, rules);
    }

    fn spawner(&self) -> LocalSpawner {
        self.pool.spawner()
    }

    /// Ends the publishers that were dropped.
    fn bury_publishers(&mut self) {
        for (topic, publisher) in locked(&self.retired).drain(..) {
            if let Some(count) = self.own.get_mut(&topic) {
                *count = count.saturating_sub(1);
            }
            self.node.destroy_publisher_untyped(publisher);
        }
    }
}

impl Transport for Ros {
    fn name(&self) -> String {
        let rmw = std::env::var("RMW_IMPLEMENTATION").unwrap_or_else(|_| "default RMW".to_owned());
        format!("ROS 2 {}, {rmw}", r2r::ROS_DISTRO)
    }

    fn node_name(&self) -> String {
        self.names.full_name()
    }

    fn resolve(&self, name: &str) -> String {
        self.names.resolve(&self.asked.resolve(name))
    }

    fn advertise(&mut self, topic: &str, type_name: &str, qos: Qos) -> Result<Box<dyn Publisher>, TransportError> {
        let (asked, topic) = (self.asked.resolve(topic), self.resolve(topic));
        let publisher = self
            .node
            .create_publisher_untyped(&asked, type_name, profile(qos))
            .map_err(|error| refused(&format!("publishing {type_name} on {topic}"), &error))?;
        *self.own.entry(topic.clone()).or_default() += 1;
        Ok(Box::new(RosPublisher { topic, publisher, retired: Arc::clone(&self.retired) }))
    }

    fn subscribe(
        &mut self,
        topic: &str,
        type_name: &str,
        qos: Qos,
        mut on_message: OnMessage,
    ) -> Result<Box<dyn Connection>, TransportError> {
        let what = format!("listening to {}", self.resolve(topic));
        let asked = self.asked.resolve(topic);
        let mut messages =
            self.node.subscribe_raw(&asked, type_name, profile(qos)).map_err(|error| refused(&what, &error))?;
        // Drained after each turn: r2r keeps ten messages and drops the newest when they are full.
        let drain = async move {
            while let Some(bytes) = messages.next().await {
                on_message(Ok(Incoming::Cdr(bytes)));
            }
        };
        spawn(&self.spawner(), &what, drain)
    }

    fn serve(
        &mut self,
        service: &str,
        type_name: &str,
        on_request: OnRequest,
    ) -> Result<Box<dyn Connection>, TransportError> {
        services::serve(self, &self.asked.resolve(service), type_name, on_request)
    }

    fn offers(&self, topic: &str) -> Vec<Offer> {
        let topic = self.resolve(topic);
        let found = self.node.get_publishers_info_by_topic(&topic, false).unwrap_or_default();
        // A namesake's publishers look like ours; as many as we have are ours.
        let mut own = self.own.get(&topic).copied().unwrap_or(0);
        let mut is_own = |name: &str, namespace: &str| {
            let is_own = own > 0 && name == self.names.node && namespace == self.names.namespace;
            own -= usize::from(is_own);
            is_own
        };
        found
            .into_iter()
            .filter(|info| !is_own(&info.node_name, &info.node_namespace))
            .map(|info| Offer { type_name: info.topic_type, qos: offered(&info.qos_profile) })
            .collect()
    }

    fn spin(&mut self, timeout: Duration) {
        self.bury_publishers();
        self.node.spin_once(timeout);
        self.pool.run_until_stalled();
    }
}

/// One topic's messages out.
struct RosPublisher {
    topic: String,
    publisher: PublisherUntyped,
    retired: Arc<Mutex<Vec<(String, PublisherUntyped)>>>,
}

impl Publisher for RosPublisher {
    fn publish(&self, cdr: &[u8]) -> Result<(), TransportError> {
        self.publisher.publish_raw(cdr).map_err(|error| refused(&format!("publishing on {}", self.topic), &error))
    }

    fn subscribers(&self) -> usize {
        self.publisher.get_inter_process_subscription_count().unwrap_or(0)
    }
}

impl Drop for RosPublisher {
    fn drop(&mut self) {
        locked(&self.retired).push((std::mem::take(&mut self.topic), self.publisher.clone()));
    }
}

/// A task that ends when it is dropped.
struct Task(AbortHandle);

impl Connection for Task {}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `work` with the node's turns, for as long as the returned connection lives.
fn spawn(
    spawner: &LocalSpawner,
    what: &str,
    work: impl Future<Output = ()> + 'static,
) -> Result<Box<dyn Connection>, TransportError> {
    let (work, handle) = abortable(work);
    // Whether it was aborted or has come to its end does not matter.
    let work = async move {
        let _ = work.await;
    };
    spawner.spawn_local(work).map_err(|error| TransportError { what: what.to_owned(), reason: error.to_string() })?;
    Ok(Box::new(Task(handle)))
}

/// The parameters that rcl read from the command line and its files, for this node.
fn overrides(node: &mut r2r::Node) -> Vec<(String, ParameterValue)> {
    let given = Arc::new(Mutex::new(Overrides::default()));
    let observer: Arc<Mutex<dyn RosParams + Send>> = Arc::<Mutex<Overrides>>::clone(&given);
    // r2r hands them over before it serves them; refusing there keeps its own services away.
    drop(node.make_derived_parameter_handler(observer));
    std::mem::take(&mut locked(&given).0)
}

/// Takes note of what r2r would register.
#[derive(Default)]
struct Overrides(Vec<(String, ParameterValue)>);

const NOT_HERE: r2r::Error = r2r::Error::RCL_RET_UNSUPPORTED;

impl RosParams for Overrides {
    fn register_parameters(
        &mut self,
        _prefix: &str,
        _parameter: Option<r2r::Parameter>,
        given: &mut r2r::indexmap::IndexMap<String, r2r::Parameter>,
    ) -> r2r::Result<()> {
        self.0 = given.iter().map(|(name, parameter)| (name.clone(), value(&parameter.value))).collect();
        Err(NOT_HERE)
    }
    fn get_parameter(&mut self, _name: &str) -> r2r::Result<r2r::ParameterValue> {
        Err(NOT_HERE)
    }
    fn set_parameter(&mut self, _name: &str, _value: &r2r::ParameterValue) -> r2r::Result<()> {
        Err(NOT_HERE)
    }
    fn check_parameter(&self, _name: &str, _value: &r2r::ParameterValue) -> r2r::Result<()> {
        Err(NOT_HERE)
    }
}

fn value(value: &r2r::ParameterValue) -> ParameterValue {
    match value {
        r2r::ParameterValue::NotSet => ParameterValue::NotSet,
        r2r::ParameterValue::Bool(value) => ParameterValue::Bool(*value),
        r2r::ParameterValue::Integer(value) => ParameterValue::Integer(*value),
        r2r::ParameterValue::Double(value) => ParameterValue::Double(*value),
        r2r::ParameterValue::String(value) => ParameterValue::String(value.clone()),
        r2r::ParameterValue::StringArray(value) => ParameterValue::StringArray(value.clone()),
        other => ParameterValue::Other(other.type_name()),
    }
}

fn profile(qos: Qos) -> QosProfile {
    let profile = QosProfile::default().keep_last(qos.depth as usize);
    let profile = if qos.reliable { profile.reliable() } else { profile.best_effort() };
    if qos.latched { profile.transient_local() } else { profile.volatile() }
}

fn offered(profile: &QosProfile) -> Qos {
    Qos {
        reliable: matches!(profile.reliability, ReliabilityPolicy::Reliable),
        latched: matches!(profile.durability, DurabilityPolicy::TransientLocal),
        depth: u32::try_from(profile.depth).unwrap_or(u32::MAX),
    }
}

fn refused(what: &str, error: &r2r::Error) -> TransportError {
    TransportError { what: what.to_owned(), reason: error.to_string() }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason given").to_owned()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
