//! The node's parameters as others see them: the six services of `rcl_interfaces` and
//! `/parameter_events`, the same under every transport.

use super::transport::{Answer, Connection, OnRequest, Publisher, Qos, Transport, TransportError};
use crate::config::parameters::{Descriptor, Kind, ParameterValue, descriptor};
use crate::config::{Config, ConfigError};
use crate::runtime::Clock;
use crate::wire::parameters as msg;
use crate::wire::{Message, cdr};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The parameter that every ROS node has: follow `/clock`.
pub const USE_SIM_TIME: &str = "use_sim_time";

/// Parameters and who wants to know of their changes.
pub struct Parameters {
    state: Mutex<State>,
    use_sim_time: bool,
    on_change: Box<dyn Fn(&Config) + Send + Sync>,
}

struct State {
    config: Config,
    /// Nothing is loaded yet, so that everything may still change.
    fixed_may_change: bool,
    events: Option<Events>,
}

/// Where changes are published.
struct Events {
    publisher: Box<dyn Publisher>,
    node: String,
    clock: Clock,
}

impl Parameters {
    /// Parameters of a node that starts with `config`. `on_change` is called after every change, on
    /// the thread that serves.
    pub fn new(config: Config, use_sim_time: bool, on_change: impl Fn(&Config) + Send + Sync + 'static) -> Arc<Self> {
        let state = Mutex::new(State { config, fixed_may_change: false, events: None });
        Arc::new(Self { state, use_sim_time, on_change: Box::new(on_change) })
    }

    /// The present values.
    pub fn config(&self) -> Config {
        self.lock().config.clone()
    }

    /// Lets fixed parameters change too, or not: a node that is not configured has nothing loaded yet.
    pub fn let_fixed_change(&self, may: bool) {
        self.lock().fixed_may_change = may;
    }

    /// Serves the six services and announces the values.
    ///
    /// # Errors
    /// [`TransportError`] naming the service.
    pub fn serve(
        self: &Arc<Self>,
        transport: &mut dyn Transport,
        clock: Clock,
    ) -> Result<Vec<Box<dyn Connection>>, TransportError> {
        let publisher = transport.advertise("/parameter_events", msg::ParameterEvent::TYPE, Qos::reliable(1000))?;
        let events = Events { publisher, node: transport.node_name(), clock };
        events.publish(self.parameters(), Vec::new());
        self.lock().events = Some(events);
        let (all, values, types) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let (descriptions, each, together) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let services: [(&str, &str, OnRequest); 6] = [
            ("list_parameters", "ListParameters", answering(move |request| all.list(&request))),
            ("get_parameters", "GetParameters", answering(move |request| values.get(&request))),
            ("get_parameter_types", "GetParameterTypes", answering(move |request| types.types(&request))),
            ("describe_parameters", "DescribeParameters", answering(move |request| descriptions.describe(&request))),
            ("set_parameters", "SetParameters", answering(move |request| each.set_each(&request))),
            (
                "set_parameters_atomically",
                "SetParametersAtomically",
                answering(move |request| together.set_together(&request)),
            ),
        ];
        let serve = |(name, service, on_request): (&str, &str, OnRequest)| {
            transport.serve(&format!("~/{name}"), &format!("rcl_interfaces/srv/{service}"), on_request)
        };
        services.into_iter().map(serve).collect()
    }

    fn list(&self, request: &msg::ListParametersRequest) -> msg::ListParametersResponse {
        let depth = |text: &str| text.matches('.').count() as u64;
        let is_wanted = |name: &str| {
            let below = |prefix: &String| {
                let rest = name.strip_prefix(prefix.as_str())?;
                // The parameter itself, or `.` and the way to it from the section.
                (rest.is_empty() || rest.starts_with('.')).then(|| depth(rest))
            };
            let levels = if request.prefixes.is_empty() {
                Some(depth(name) + 1)
            } else {
                request.prefixes.iter().filter_map(below).min()
            };
            levels.is_some_and(|levels| request.depth == 0 || levels <= request.depth)
        };
        let names: Vec<String> =
            self.values().into_iter().map(|(name, _)| name).filter(|name| is_wanted(name)).collect();
        let sections: BTreeSet<&str> = names.iter().filter_map(|name| Some(name.rsplit_once('.')?.0)).collect();
        let prefixes = sections.into_iter().map(str::to_owned).collect();
        msg::ListParametersResponse { names, prefixes }
    }

    fn get(&self, request: &msg::GetParametersRequest) -> msg::GetParametersResponse {
        let values = request.names.iter().map(|name| self.value(name).into()).collect();
        msg::GetParametersResponse { values }
    }

    fn types(&self, request: &msg::GetParameterTypesRequest) -> msg::GetParameterTypesResponse {
        let types = request.names.iter().map(|name| msg::ParameterValue::from(self.value(name)).r#type).collect();
        msg::GetParameterTypesResponse { types }
    }

    fn describe(&self, request: &msg::DescribeParametersRequest) -> msg::DescribeParametersResponse {
        let may_change = self.lock().fixed_may_change;
        let describe = |name: &String| match descriptor(name) {
            Some(descriptor) => described(descriptor, may_change),
            None if name == USE_SIM_TIME => msg::ParameterDescriptor {
                name: name.clone(),
                r#type: Kind::Bool as u8,
                description: "Take the time from /clock (fixed)".to_owned(),
                read_only: true,
                ..msg::ParameterDescriptor::default()
            },
            None => msg::ParameterDescriptor { name: name.clone(), ..msg::ParameterDescriptor::default() },
        };
        msg::DescribeParametersResponse { descriptors: request.names.iter().map(describe).collect() }
    }

    /// Each by itself, as ROS has it: one refusal leaves the others.
    fn set_each(&self, request: &msg::SetParametersRequest) -> msg::SetParametersResponse {
        let set = |parameter| result(self.set(std::slice::from_ref(parameter)));
        msg::SetParametersResponse { results: request.parameters.iter().map(set).collect() }
    }

    fn set_together(&self, request: &msg::SetParametersAtomicallyRequest) -> msg::SetParametersAtomicallyResponse {
        msg::SetParametersAtomicallyResponse { result: result(self.set(&request.parameters)) }
    }

    /// Checks all, then changes all or nothing.
    fn set(&self, parameters: &[msg::Parameter]) -> Result<(), ConfigError> {
        let mut changes = Vec::with_capacity(parameters.len());
        for msg::Parameter { name, value } in parameters {
            let value = ParameterValue::from(value);
            if name != USE_SIM_TIME {
                changes.push((name.as_str(), value));
            } else if value != ParameterValue::Bool(self.use_sim_time) {
                return Err(ConfigError::Fixed { parameter: name.clone() });
            }
        }
        let mut state = self.lock();
        let next = if state.fixed_may_change {
            state.config.with_overrides(&changes)?
        } else {
            state.config.set_parameters(&changes)?
        };
        if next != state.config {
            let before = state.config.parameters();
            let changed = next.parameters().into_iter().filter(|parameter| !before.contains(parameter));
            let changed: Vec<_> = changed.map(|(name, value)| parameter(name.to_owned(), value)).collect();
            tracing::info!(parameters = %names_of(&changed), "parameters changed");
            if let Some(events) = &state.events {
                events.publish(Vec::new(), changed);
            }
            state.config = next.clone();
            drop(state);
            (self.on_change)(&next);
        }
        Ok(())
    }

    /// All names, sorted, with their values.
    fn values(&self) -> Vec<(String, ParameterValue)> {
        let own = self.lock().config.parameters();
        let mut values: Vec<_> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        values.push((USE_SIM_TIME.to_owned(), ParameterValue::Bool(self.use_sim_time)));
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    }

    fn parameters(&self) -> Vec<msg::Parameter> {
        self.values().into_iter().map(|(name, value)| parameter(name, value)).collect()
    }

    fn value(&self, name: &str) -> ParameterValue {
        if name == USE_SIM_TIME {
            return ParameterValue::Bool(self.use_sim_time);
        }
        self.lock().config.parameter(name).unwrap_or(ParameterValue::NotSet)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A configuration is replaced whole, so it is right also after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    fn publish(&self, new_parameters: Vec<msg::Parameter>, changed_parameters: Vec<msg::Parameter>) {
        let event = msg::ParameterEvent {
            stamp: self.clock.now().into(),
            node: self.node.clone(),
            new_parameters,
            changed_parameters,
            deleted_parameters: Vec::new(),
        };
        let mut bytes = Vec::new();
        let sent = cdr::write(&event, &mut bytes).map_err(|e| e.to_string());
        if let Err(reason) = sent.and_then(|()| self.publisher.publish(&bytes).map_err(|e| e.to_string())) {
            tracing::debug!(reason, "parameter event not sent");
        }
    }
}

/// A service that is answered at once: decoded, handled, encoded.
pub(super) fn answering<Request, Response>(handle: impl Fn(Request) -> Response + Send + Sync + 'static) -> OnRequest
where
    Request: DeserializeOwned + Message,
    Response: Serialize + Message,
{
    Box::new(move |request: &[u8], answer: Answer| {
        let mut bytes = Vec::new();
        match cdr::read(request).and_then(|request| cdr::write(&handle(request), &mut bytes)) {
            Ok(()) => answer(bytes),
            // Without an answer the caller runs into its time limit; there is none that fits.
            Err(error) => tracing::warn!(%error, "a request was not answered"),
        }
    })
}

fn result(set: Result<(), ConfigError>) -> msg::SetParametersResult {
    match set {
        Ok(()) => msg::SetParametersResult { successful: true, reason: String::new() },
        Err(error) => msg::SetParametersResult { successful: false, reason: error.to_string() },
    }
}

fn parameter(name: String, value: ParameterValue) -> msg::Parameter {
    msg::Parameter { name, value: value.into() }
}

fn names_of(parameters: &[msg::Parameter]) -> String {
    parameters.iter().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn described(descriptor: &Descriptor, fixed_may_change: bool) -> msg::ParameterDescriptor {
    let mut described = msg::ParameterDescriptor {
        name: descriptor.name.clone(),
        r#type: descriptor.kind as u8,
        description: descriptor.description.clone(),
        additional_constraints: descriptor.allowed(),
        read_only: !descriptor.dynamic && !fixed_may_change,
        ..msg::ParameterDescriptor::default()
    };
    if let Some(range) = descriptor.range {
        // What stands for "not set" lies in the announced range too, or tools could not set it.
        let min = if descriptor.optional { range.min.min(-1.0) } else { range.min };
        if descriptor.kind == Kind::Integer {
            let range = msg::IntegerRange { from_value: min as i64, to_value: range.max as i64, step: 1 };
            described.integer_range.push(range);
        } else {
            let range = msg::FloatingPointRange { from_value: min, to_value: range.max, step: 0.0 };
            described.floating_point_range.push(range);
        }
    }
    described
}

impl From<ParameterValue> for msg::ParameterValue {
    fn from(value: ParameterValue) -> Self {
        let mut message = Self::default();
        match value {
            ParameterValue::NotSet | ParameterValue::Other(_) => {}
            ParameterValue::Bool(value) => (message.r#type, message.bool_value) = (Kind::Bool as u8, value),
            ParameterValue::Integer(value) => (message.r#type, message.integer_value) = (Kind::Integer as u8, value),
            ParameterValue::Double(value) => (message.r#type, message.double_value) = (Kind::Double as u8, value),
            ParameterValue::String(value) => (message.r#type, message.string_value) = (Kind::String as u8, value),
            ParameterValue::StringArray(value) => {
                (message.r#type, message.string_array_value) = (Kind::StringArray as u8, value);
            }
        }
        message
    }
}

impl From<&msg::ParameterValue> for ParameterValue {
    fn from(message: &msg::ParameterValue) -> Self {
        match message.r#type {
            0 => Self::NotSet,
            1 => Self::Bool(message.bool_value),
            2 => Self::Integer(message.integer_value),
            3 => Self::Double(message.double_value),
            4 => Self::String(message.string_value.clone()),
            5 => Self::Other("byte array"),
            6 => Self::Other("boolean array"),
            7 => Self::Other("integer array"),
            8 => Self::Other("double array"),
            9 => Self::StringArray(message.string_array_value.clone()),
            _ => Self::Other("value of an unknown type"),
        }
    }
}

#[cfg(test)]
mod tests;
