//! The live node: cameras in, people, events and diagnostics out, services answered; whatever the
//! middleware.
//!
//! ```text
//! transport ─▶ input ─▶ mailbox ─▶ perception (owns the line) ─▶ outputs ─▶ transport
//!              services ───▲
//! ```
//!
//! A [`Node`] belongs to the thread that runs its transport. Its states are those of a ROS 2
//! lifecycle node; a transport without lifecycle passes through them at once.

mod diagnostics;
mod humans;
mod input;
pub mod lifecycle;
pub mod managed;
pub mod names;
mod outputs;
pub mod parameters;
mod perception;
mod services;
mod shared;
#[cfg(test)]
mod testing;
pub mod transport;

pub use diagnostics::TYPE as DIAGNOSTICS_TYPE;
pub use outputs::{TOPICS, picture_topics};
pub use services::SERVICES;

use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::runtime::{self, Clock};
use crate::wire::camera_info::CameraInfo;
use crate::wire::standard::Clock as ClockMessage;
use crate::wire::{Message as _, cdr};
use anyhow::Context as _;
use diagnostics::{Activity, Diagnostics};
use humans::Wishes;
use input::CameraInput;
use outputs::Outputs;
use perception::{Call, Perception};
use shared::Shared;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use transport::{Connection, Incoming, OnMessage, Qos, Transport};

/// How long topics stay after the last messages on them.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The live node.
pub struct Node {
    shared: Arc<Shared>,
    state: State,
    diagnostics: Diagnostics,
    /// Services and `/clock`, for as long as the node lives.
    _connections: Vec<Box<dyn Connection>>,
    /// Topics that come and go; while configured.
    wishes: Option<[Wishes; 2]>,
    /// Topics that no other node may publish, and those that others do publish.
    exclusive: Vec<String>,
    warned_of_namesake: bool,
}

enum State {
    Unconfigured,
    Inactive(Box<Perception>),
    Active { perception: JoinHandle<Perception>, cameras: Vec<Box<dyn Connection>>, since: Instant },
}

impl Node {
    /// A node without models that answers its services with "not active". `use_sim_time` makes it
    /// follow `/clock`.
    ///
    /// # Errors
    /// What the transport refuses.
    pub fn new(transport: &mut dyn Transport, config: Config, use_sim_time: bool) -> anyhow::Result<Self> {
        let clock = if use_sim_time { Clock::simulated() } else { Clock::system() };
        let shared = Arc::new(Shared::new(config, clock));
        let mut connections = services::serve_all(transport, &shared)?;
        if use_sim_time {
            let follow = follow_clock(Arc::clone(&shared));
            connections.push(transport.subscribe("/clock", ClockMessage::TYPE, Qos::best_effort(), follow)?);
        }
        let diagnostics = Diagnostics::advertise(transport)?;
        Ok(Self {
            shared,
            state: State::Unconfigured,
            diagnostics,
            _connections: connections,
            wishes: None,
            exclusive: Vec::new(),
            warned_of_namesake: false,
        })
    }

    /// Takes the loaded line and starts the topics. Nothing is published yet.
    ///
    /// # Errors
    /// What the transport refuses; the node stays as it was.
    pub fn configure(&mut self, transport: &mut dyn Transport, config: Config, line: Pipeline) -> anyhow::Result<()> {
        anyhow::ensure!(matches!(self.state, State::Unconfigured), "the node is configured already");
        let (outputs, wishes) = Outputs::advertise(transport, &config)?;
        self.exclusive = outputs.exclusive_topics();
        self.wishes = Some(wishes);
        self.shared.status().gallery.place = line.gallery_place();
        self.shared.set_config(config);
        self.state = State::Inactive(Box::new(Perception::new(line, Arc::clone(&self.shared), outputs)));
        Ok(())
    }

    /// Listens to the cameras and publishes.
    ///
    /// # Errors
    /// What the transport refuses; the node stays inactive.
    pub fn activate(&mut self, transport: &mut dyn Transport) -> anyhow::Result<()> {
        anyhow::ensure!(matches!(self.state, State::Inactive(_)), "only an inactive node can be activated");
        self.look_for_rivals(transport);
        let cameras = self.listen(transport)?;
        let State::Inactive(perception) = std::mem::replace(&mut self.state, State::Unconfigured) else {
            return Ok(());
        };
        self.shared.inbox.open();
        let perception = runtime::spawn("perception", move || perception.run()).context("starting a thread")?;
        self.state = State::Active { perception, cameras, since: runtime::now() };
        Ok(())
    }

    fn listen(&self, transport: &mut dyn Transport) -> anyhow::Result<Vec<Box<dyn Connection>>> {
        let config = self.shared.config();
        let qos = diagnostics::input_qos(config.camera_reliability);
        let type_name = diagnostics::input_type(config.camera_transport);
        let mut connections = Vec::new();
        for camera in &config.cameras {
            let topic = diagnostics::input_topic(camera, config.camera_transport);
            let mut input = CameraInput::new(Arc::clone(&self.shared), camera.clone(), config.camera_transport);
            let on_message: OnMessage = Box::new(move |incoming| input.receive(incoming));
            connections.push(transport.subscribe(&topic, type_name, qos, on_message)?);
            tracing::info!("{camera}: listening to {} ({type_name}, {qos})", transport.resolve(&topic));
            let topic = format!("{camera}/camera_info");
            let on_message = input::calibrate(Arc::clone(&self.shared), camera.clone());
            connections.push(transport.subscribe(&topic, CameraInfo::TYPE, qos, on_message)?);
        }
        Ok(connections)
    }

    /// Stops listening; models and gallery stay. The last message says that nobody is seen; after it only those are
    /// told whom another program makes the node forget.
    ///
    /// # Errors
    /// When the node is not active, or its thread was lost.
    pub fn deactivate(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(matches!(self.state, State::Active { .. }), "only an active node can be deactivated");
        let State::Active { perception, cameras, .. } = std::mem::replace(&mut self.state, State::Unconfigured) else {
            return Ok(());
        };
        drop(cameras);
        for call in self.shared.inbox.stop() {
            call.refuse("the node is not active any more");
        }
        let perception =
            perception.join().map_err(|_panic| anyhow::anyhow!("the perception thread was lost; configure again"))?;
        self.state = State::Inactive(Box::new(perception));
        Ok(())
    }

    /// Frees models, gallery and topics.
    ///
    /// # Errors
    /// When the node was active and its thread was lost; it is unconfigured all the same.
    pub fn cleanup(&mut self) -> anyhow::Result<()> {
        let was_active = self.is_active();
        let deactivated = if was_active { self.deactivate() } else { Ok(()) };
        if was_active {
            // A reader that missed that nobody is seen any more asks for it again; pure-Rust DDS does not wait for
            // that when a topic ends.
            runtime::sleep(LAST_WORDS);
        }
        self.state = State::Unconfigured;
        (self.wishes, self.exclusive) = (None, Vec::new());
        deactivated
    }

    /// Whether cameras are listened to.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// Whether the node should be at work and is not: its thread ended without being asked to.
    pub fn has_lost_its_thread(&self) -> bool {
        matches!(&self.state, State::Active { perception, .. } if perception.is_finished())
    }

    /// The clock that stamps are compared with.
    pub fn clock(&self) -> Clock {
        self.shared.clock.clone()
    }

    /// The parameters in use.
    pub fn config(&self) -> Config {
        self.shared.config()
    }

    /// Takes parameters that may change while the node runs. The caller has checked that the others
    /// are as they were.
    pub fn reconfigure(&mut self, config: Config) {
        self.shared.set_config(config.clone());
        match &mut self.state {
            State::Unconfigured => {}
            State::Inactive(perception) => perception.reconfigure(&config),
            State::Active { .. } => {
                // It holds at most as many calls as can be waiting anyway; the next change comes with all.
                if self.shared.inbox.call(Call::Reconfigure(Box::new(config))).is_err() {
                    tracing::warn!("parameters could not be handed over: too many calls are waiting; set them again");
                }
            }
        }
    }

    /// What is to be done now and then: publishes diagnostics once a second, looks for another node of
    /// the same name, and takes back what an inactive node says of people who were forgotten.
    pub fn tick(&mut self, transport: &mut dyn Transport) {
        for wishes in self.wishes.iter().flatten() {
            wishes.grant(transport);
        }
        let transport: &dyn Transport = transport;
        let activity = match &self.state {
            State::Unconfigured => Activity::Unconfigured,
            State::Inactive(_) => Activity::Inactive,
            State::Active { since, .. } => Activity::Active(*since),
        };
        if self.diagnostics.tick(&self.shared, activity, transport) {
            self.look_for_namesake(transport);
            self.look_for_rivals(transport);
            if let State::Inactive(perception) = &mut self.state {
                perception.retract_the_forgotten();
            }
        }
    }

    /// Two nodes that publish one list of faces make every reader lose and find each of them again and again.
    fn look_for_rivals(&self, transport: &dyn Transport) {
        let has_rival = |topic: &&String| !transport.offers(topic).is_empty();
        let rivals: Vec<String> = self.exclusive.iter().filter(has_rival).cloned().collect();
        let mut status = self.shared.status();
        for rival in rivals.iter().filter(|topic| !status.rivals.contains(topic)) {
            tracing::error!(
                "another node publishes {rival} too: readers take whoever is missing from the latest list for lost, so \
                 everyone flickers; end the other node, or set output.mode or output.humans_namespace"
            );
        }
        status.rivals = rivals;
    }

    fn look_for_namesake(&mut self, transport: &dyn Transport) {
        let (people, type_name, _) = TOPICS[0];
        let is_another = transport.offers(people).iter().any(|offer| offer.type_name == type_name);
        if is_another && !self.warned_of_namesake {
            tracing::warn!(
                "another node publishes {} too: people of both are mixed there, and its services answer in place of \
                 these; give one of them another name or namespace",
                transport.resolve(people)
            );
        }
        self.warned_of_namesake = is_another;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.is_active()
            && let Err(error) = self.deactivate()
        {
            tracing::error!("{error:#}");
        }
    }
}

/// Sets the clock to what `/clock` says.
fn follow_clock(shared: Arc<Shared>) -> OnMessage {
    Box::new(move |incoming| {
        let Ok(Incoming::Cdr(bytes)) = incoming else { return };
        let Ok(to) = cdr::read::<ClockMessage>(&bytes)
            .map_err(|e| e.to_string())
            .and_then(|message| crate::time::Stamp::try_from(message.clock).map_err(|e| e.to_string()))
        else {
            return;
        };
        if let Some(from) = shared.clock.set(to) {
            // A full inbox is not active; the stamps of the images tell it as well.
            let _ = shared.inbox.call(Call::ClockJumped { from, to });
        }
    })
}
