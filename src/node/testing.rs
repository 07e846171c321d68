//! A middleware within the test: services are called directly, messages are kept.

use super::transport::{Connection, Offer, OnMessage, OnRequest, Publisher, Qos, Transport, TransportError};
use crate::wire::{Message, cdr};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Topic and bytes of everything that was published.
type Published = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

#[derive(Default)]
pub(super) struct Direct {
    services: BTreeMap<String, (String, OnRequest)>,
    published: Published,
    /// Topics in the order in which they were offered.
    pub(super) advertised: Vec<String>,
}

/// An answer that may still come.
#[derive(Clone, Default)]
pub(super) struct Pending(Arc<Mutex<Option<Vec<u8>>>>);

struct Kept {
    topic: String,
    published: Published,
}

struct Open;

impl Connection for Open {}

impl Publisher for Kept {
    fn publish(&self, cdr: &[u8]) -> Result<(), TransportError> {
        self.published.lock().unwrap().push((self.topic.clone(), cdr.to_vec()));
        Ok(())
    }
    fn subscribers(&self) -> usize {
        0
    }
}

impl Transport for Direct {
    fn name(&self) -> String {
        "direct".into()
    }
    fn node_name(&self) -> String {
        "/robot/rostro".into()
    }
    fn resolve(&self, name: &str) -> String {
        name.replace('~', "/robot/rostro")
    }
    fn advertise(&mut self, topic: &str, _: &str, _: Qos) -> Result<Box<dyn Publisher>, TransportError> {
        self.advertised.push(self.resolve(topic));
        Ok(Box::new(Kept { topic: self.resolve(topic), published: Arc::clone(&self.published) }))
    }
    fn subscribe(&mut self, _: &str, _: &str, _: Qos, _: OnMessage) -> Result<Box<dyn Connection>, TransportError> {
        Ok(Box::new(Open))
    }
    fn serve(&mut self, name: &str, kind: &str, on: OnRequest) -> Result<Box<dyn Connection>, TransportError> {
        self.services.insert(self.resolve(name), (kind.to_owned(), on));
        Ok(Box::new(Open))
    }
    fn offers(&self, _: &str) -> Vec<Offer> {
        Vec::new()
    }
    fn spin(&mut self, _: Duration) {}
}

impl Direct {
    /// Sends bytes to a service of the node.
    pub(super) fn send(&self, service: &str, request: &[u8]) -> Pending {
        let pending = Pending::default();
        let kept = pending.clone();
        let (_, on_request) = &self.services[&format!("/robot/rostro/{service}")];
        on_request(request, Box::new(move |bytes| *kept.0.lock().unwrap() = Some(bytes)));
        pending
    }

    /// Sends a request whose answer may come later.
    pub(super) fn ask<Q: Serialize + Message>(&self, service: &str, request: &Q) -> Pending {
        let (kind, _) = &self.services[&format!("/robot/rostro/{service}")];
        assert_eq!(format!("{kind}_Request"), Q::TYPE);
        let mut bytes = Vec::new();
        cdr::write(request, &mut bytes).unwrap();
        self.send(service, &bytes)
    }

    /// Calls a service that answers at once.
    pub(super) fn call<Q: Serialize + Message, A: DeserializeOwned + Message>(&self, service: &str, request: &Q) -> A {
        self.ask(service, request).answer().unwrap()
    }

    /// What was published on a topic since the last time.
    pub(super) fn take<M: DeserializeOwned + Message>(&self, topic: &str) -> Vec<M> {
        let topic = self.resolve(topic);
        let mut published = self.published.lock().unwrap();
        let (wanted, others) = published.drain(..).partition(|(name, _)| *name == topic);
        *published = others;
        let wanted: Vec<(String, Vec<u8>)> = wanted;
        wanted.iter().map(|(_, bytes)| cdr::read(bytes).unwrap()).collect()
    }
}

impl Pending {
    pub(super) fn answer<A: DeserializeOwned + Message>(&self) -> Option<A> {
        self.0.lock().unwrap().as_ref().map(|bytes| cdr::read(bytes).unwrap())
    }
}
