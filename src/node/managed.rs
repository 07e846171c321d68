//! A node that others lead through its states: the standard lifecycle services, `transition_event`,
//! autostart, and the loop that runs it all until it is asked to end.

use super::Node;
use super::lifecycle::{Lifecycle, Outcome, State, Transition};
use super::parameters::{Parameters, answering};
use super::transport::{Answer, Connection, Publisher, Qos, Transport, TransportError};
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::runtime::{self, StopSignal};
use crate::wire::lifecycle as msg;
use crate::wire::{Message, cdr};
use anyhow::Context as _;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the node looks after itself.
const TICK: Duration = Duration::from_millis(50);

/// Loads the line that a configuration asks for; it may take long.
pub type Loader = Arc<dyn Fn(&Config) -> anyhow::Result<Pipeline> + Send + Sync>;

/// A node with its lifecycle and its parameters.
pub struct Managed {
    /// For the log.
    name: String,
    node: Node,
    parameters: Arc<Parameters>,
    /// Parameters that changed and that the node has not taken yet.
    changes: Receiver<Config>,
    lifecycle: Arc<Mutex<Lifecycle>>,
    requests: Receiver<Request>,
    events: Box<dyn Publisher>,
    loader: Loader,
    loading: Option<Loading>,
    /// Why the last transition was not made.
    trouble: Option<String>,
    _connections: Vec<Box<dyn Connection>>,
}

/// Somebody wants another state.
struct Request {
    transition: msg::Transition,
    answer: Answer,
}

/// *Configuring*: the models are being loaded in a thread of their own, so that the node answers
/// meanwhile.
struct Loading {
    config: Config,
    line: JoinHandle<anyhow::Result<Pipeline>>,
    /// To whom the end is told; nobody when the node starts itself.
    answer: Option<Answer>,
}

/// Runs a node until `stop` is set. With `autostart` it is active at once; otherwise it waits for
/// somebody to configure and activate it.
///
/// # Errors
/// What the transport refuses; with `autostart` also why the node cannot be configured or activated.
pub fn run(
    transport: &mut dyn Transport,
    config: Config,
    use_sim_time: bool,
    stop: &StopSignal,
    loader: Loader,
) -> anyhow::Result<()> {
    let autostart = config.autostart;
    let mut managed = Managed::new(transport, config, use_sim_time, loader)?;
    tracing::info!("{} is there ({})", transport.node_name(), transport.name());
    if autostart {
        managed.start(transport, stop)?;
    }
    while !stop.is_set() {
        transport.spin(TICK);
        managed.tick(transport);
    }
    tracing::info!("{} was asked to end", transport.node_name());
    managed.end(transport)
}

impl Managed {
    /// An unconfigured node that serves its parameters and its lifecycle.
    ///
    /// # Errors
    /// What the transport refuses.
    pub fn new(
        transport: &mut dyn Transport,
        config: Config,
        use_sim_time: bool,
        loader: Loader,
    ) -> anyhow::Result<Self> {
        let node = Node::new(transport, config.clone(), use_sim_time)?;
        let (changed, changes) = mpsc::channel();
        let parameters = Parameters::new(config, use_sim_time, move |config| drop(changed.send(config.clone())));
        parameters.let_fixed_change(true);
        let mut connections = parameters.serve(transport, node.clock())?;
        let lifecycle = Arc::default();
        let (wanted, requests) = mpsc::channel();
        connections.extend(serve(transport, &lifecycle, &wanted)?);
        let events = transport.advertise("~/transition_event", msg::TransitionEvent::TYPE, Qos::reliable(10))?;
        Ok(Self {
            name: transport.node_name(),
            node,
            parameters,
            changes,
            lifecycle,
            requests,
            events,
            loader,
            loading: None,
            trouble: None,
            _connections: connections,
        })
    }

    /// Where the node is.
    pub fn state(&self) -> State {
        self.lock().state()
    }

    /// Configures and activates; the transport goes on being served. Returns early when `stop` is set.
    ///
    /// # Errors
    /// Why one of the two was not possible.
    pub fn start(&mut self, transport: &mut dyn Transport, stop: &StopSignal) -> anyhow::Result<()> {
        for (label, state) in [("configure", State::Inactive), ("activate", State::Active)] {
            self.change(transport, &msg::Transition { id: 0, label: label.to_owned() }, None);
            while self.loading.is_some() && !stop.is_set() {
                transport.spin(TICK);
                self.tick(transport);
            }
            if stop.is_set() {
                return Ok(());
            }
            if self.state() != state {
                anyhow::bail!(self.trouble.take().unwrap_or_else(|| format!("{label} was not possible")));
            }
        }
        Ok(())
    }

    /// What is to be done between two turns of the transport: requests, changed parameters,
    /// diagnostics.
    pub fn tick(&mut self, transport: &mut dyn Transport) {
        if self.loading.as_ref().is_some_and(|loading| loading.line.is_finished()) {
            self.finish_loading(transport);
        }
        while let Ok(Request { transition, answer }) = self.requests.try_recv() {
            self.change(transport, &transition, Some(answer));
        }
        while let Ok(config) = self.changes.try_recv() {
            self.node.reconfigure(config);
        }
        if self.state() == State::Active && self.node.has_lost_its_thread() {
            // Deactivating finds the reason, and error processing puts things right.
            self.change(transport, &msg::Transition { id: 0, label: "deactivate".to_owned() }, None);
        }
        self.node.tick(transport);
    }

    /// Ends from any state.
    ///
    /// # Errors
    /// When something could not be ended in order; it is ended all the same.
    pub fn end(mut self, transport: &mut dyn Transport) -> anyhow::Result<()> {
        if self.loading.is_some() {
            // Nothing is loaded yet, and loading may take minutes.
            return Ok(());
        }
        if self.state() == State::Finalized {
            // Somebody has shut it down already.
            return Ok(());
        }
        self.change(transport, &msg::Transition { id: 0, label: "shutdown".to_owned() }, None);
        match self.trouble.take() {
            Some(trouble) => anyhow::bail!(trouble),
            None => Ok(()),
        }
    }

    /// Begins a transition, and ends it when that takes no time.
    fn change(&mut self, transport: &mut dyn Transport, wanted: &msg::Transition, answer: Option<Answer>) {
        let begun = self.lock().begin(wanted.id, &wanted.label);
        let transition = match begun {
            Ok(transition) => transition,
            Err(illegal) => {
                tracing::warn!("{illegal}");
                self.trouble = Some(illegal.to_string());
                return tell(answer, false);
            }
        };
        self.trouble = None;
        self.announce(transition);
        let done = match transition.label {
            "configure" => match self.begin_loading() {
                Ok((config, line)) => {
                    self.loading = Some(Loading { config, line, answer });
                    return;
                }
                Err(error) => Err((Outcome::Failure, error)),
            },
            "activate" => self.node.activate(transport).map_err(|error| (Outcome::Failure, error)),
            "deactivate" => self.node.deactivate().map_err(|error| (Outcome::Error, error)),
            // cleanup and shutdown: from an active node too.
            _ => self.node.cleanup().map_err(|error| (Outcome::Error, error)),
        };
        self.finish(transition.label, done, answer);
    }

    fn begin_loading(&self) -> anyhow::Result<(Config, JoinHandle<anyhow::Result<Pipeline>>)> {
        let config = self.parameters.config();
        let (loader, wanted) = (Arc::clone(&self.loader), config.clone());
        let line = runtime::spawn("loading", move || loader(&wanted)).context("starting a thread")?;
        // From here on a fixed parameter would not be what is loaded.
        self.parameters.let_fixed_change(false);
        Ok((config, line))
    }

    fn finish_loading(&mut self, transport: &mut dyn Transport) {
        let Some(Loading { config, line, answer }) = self.loading.take() else { return };
        let done = match line.join() {
            Ok(loaded) => loaded
                .and_then(|line| self.node.configure(transport, config, line))
                .map_err(|error| (Outcome::Failure, error)),
            Err(_panic) => Err((Outcome::Error, anyhow::anyhow!("loading the models ended in a panic"))),
        };
        self.finish("configure", done, answer);
    }

    /// Ends the transition under way, after an error through error processing.
    fn finish(&mut self, label: &str, done: Result<(), (Outcome, anyhow::Error)>, answer: Option<Answer>) {
        let (outcome, trouble) = match done {
            Ok(()) => (Outcome::Success, None),
            Err((outcome, error)) => (outcome, Some(format!("{label}: {error:#}"))),
        };
        if let Some(trouble) = &trouble {
            tracing::error!("{trouble}");
        }
        self.trouble = trouble;
        self.step(outcome);
        if self.state() == State::ErrorProcessing {
            let freed = self.node.cleanup();
            self.step(if freed.is_ok() { Outcome::Success } else { Outcome::Failure });
        }
        let state = self.state();
        self.parameters.let_fixed_change(state == State::Unconfigured);
        tracing::info!("{} is {}", self.name, state.label());
        tell(answer, outcome == Outcome::Success);
    }

    fn step(&mut self, outcome: Outcome) {
        let step = self.lock().finish(outcome);
        if let Some(transition) = step {
            self.announce(transition);
        }
    }

    fn announce(&self, transition: &Transition) {
        let msg::TransitionDescription { transition, start_state, goal_state } = transition.into();
        let timestamp = self.node.clock().now().nanos().unsigned_abs();
        let event = msg::TransitionEvent { timestamp, transition, start_state, goal_state };
        let mut bytes = Vec::new();
        let sent = cdr::write(&event, &mut bytes).map_err(|e| e.to_string());
        if let Err(reason) = sent.and_then(|()| self.events.publish(&bytes).map_err(|e| e.to_string())) {
            tracing::warn!(reason, "transition event not sent");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lifecycle> {
        locked(&self.lifecycle)
    }
}

/// The five services of a managed node. Those that ask are answered at once; a wish for another state
/// goes to the node's own thread.
fn serve(
    transport: &mut dyn Transport,
    lifecycle: &Arc<Mutex<Lifecycle>>,
    wanted: &Sender<Request>,
) -> Result<Vec<Box<dyn Connection>>, TransportError> {
    let (state, possible, wanted) = (Arc::clone(lifecycle), Arc::clone(lifecycle), Mutex::new(wanted.clone()));
    let descriptions = |transitions: &mut dyn Iterator<Item = &'static Transition>| {
        msg::GetAvailableTransitionsResponse { available_transitions: transitions.map(Into::into).collect() }
    };
    Ok(vec![
        transport.serve(
            "~/get_state",
            "lifecycle_msgs/srv/GetState",
            answering(move |_: msg::GetStateRequest| msg::GetStateResponse {
                current_state: locked(&state).state().into(),
            }),
        )?,
        transport.serve(
            "~/get_available_states",
            "lifecycle_msgs/srv/GetAvailableStates",
            answering(|_: msg::GetAvailableStatesRequest| msg::GetAvailableStatesResponse {
                available_states: Lifecycle::states().iter().map(|&state| state.into()).collect(),
            }),
        )?,
        transport.serve(
            "~/get_available_transitions",
            "lifecycle_msgs/srv/GetAvailableTransitions",
            answering(move |_: msg::GetAvailableTransitionsRequest| {
                let now = *locked(&possible);
                // What the node does by itself is not for others to ask for.
                descriptions(&mut now.available().filter(|transition| transition.start.is_primary()))
            }),
        )?,
        transport.serve(
            "~/get_transition_graph",
            "lifecycle_msgs/srv/GetAvailableTransitions",
            answering(move |_: msg::GetAvailableTransitionsRequest| descriptions(&mut Lifecycle::graph().iter())),
        )?,
        transport.serve(
            "~/change_state",
            "lifecycle_msgs/srv/ChangeState",
            Box::new(move |request, answer| match cdr::read::<msg::ChangeStateRequest>(request) {
                // Nobody receives only when the node ends.
                Ok(msg::ChangeStateRequest { transition }) => {
                    drop(locked(&wanted).send(Request { transition, answer }));
                }
                Err(error) => tracing::warn!(%error, "a request was not answered"),
            }),
        )?,
    ])
}

fn tell(answer: Option<Answer>, success: bool) {
    let Some(answer) = answer else { return };
    let mut bytes = Vec::new();
    match cdr::write(&msg::ChangeStateResponse { success }, &mut bytes) {
        Ok(()) => answer(bytes),
        Err(error) => tracing::warn!(%error, "a request was not answered"),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in here is replaced whole, so it is right also after a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
