//! The services: decoded, handed to the perception thread, answered.

use super::perception::{Call, Perception};
use super::shared::Shared;
use super::transport::{Answer, Connection, Transport, TransportError};
use crate::wire::standard::{EmptyRequest, EmptyResponse, SetBoolRequest, SetBoolResponse};
use crate::wire::{Message, cdr};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Every service and its type.
pub const SERVICES: [(&str, &str); 2] = [("~/enable", "std_srvs/srv/SetBool"), ("~/reset", "std_srvs/srv/Empty")];

/// An answer that can say why nothing was done.
trait Refusal: Message + Serialize {
    fn refusal(reason: &str) -> Self;
}

macro_rules! refuse_with_message {
    ($($response:ident),*) => {
        $(impl Refusal for $response {
            fn refusal(reason: &str) -> Self {
                Self { message: reason.to_owned(), ..Self::default() }
            }
        })*
    };
}

macro_rules! refuse_silently {
    ($($response:ident),*) => {
        $(impl Refusal for $response {
            fn refusal(reason: &str) -> Self {
                tracing::warn!(reason, "a request was refused whose answer has no room for the reason");
                Self::default()
            }
        })*
    };
}

refuse_with_message!(SetBoolResponse);
refuse_silently!(EmptyResponse);

/// Serves all of them. They answer while the node is active, and say so when it is not.
pub(super) fn serve_all(
    transport: &mut dyn Transport,
    shared: &Arc<Shared>,
) -> Result<Vec<Box<dyn Connection>>, TransportError> {
    let mut server = Server { transport, shared, next: 0 };
    Ok(vec![server.serve(enable)?, server.serve(reset)?])
}

/// Serves [`SERVICES`] in their order.
struct Server<'a> {
    transport: &'a mut dyn Transport,
    shared: &'a Arc<Shared>,
    next: usize,
}

impl Server<'_> {
    /// A service that answers at once.
    fn serve<Q, R>(&mut self, work: fn(&mut Perception, Q) -> R) -> Result<Box<dyn Connection>, TransportError>
    where
        Q: Message + DeserializeOwned + Send + 'static,
        R: Refusal + 'static,
    {
        self.register::<Q, R>(move |this, request, answer| answer(encoded(&work(this, request))))
    }

    fn register<Q, R>(
        &mut self,
        work: impl FnOnce(&mut Perception, Q, Answer) + Copy + Send + Sync + 'static,
    ) -> Result<Box<dyn Connection>, TransportError>
    where
        Q: Message + DeserializeOwned + Send + 'static,
        R: Refusal + 'static,
    {
        let (name, type_name) = SERVICES[self.next];
        debug_assert_eq!(Q::TYPE, format!("{type_name}_Request"), "SERVICES is in another order");
        self.next += 1;
        let shared = Arc::clone(self.shared);
        let on_request = move |bytes: &[u8], answer: Answer| {
            let request: Q = match cdr::read(bytes) {
                Ok(request) => request,
                Err(error) => {
                    tracing::warn!(service = name, %error, "a request cannot be read");
                    return answer(encoded(&R::refusal(&error.to_string())));
                }
            };
            tracing::debug!(service = name, "called");
            let call = Call::Service {
                work: Box::new(move |this, answer| work(this, request, answer)),
                answer,
                refuse: Box::new(|reason| encoded(&R::refusal(reason))),
            };
            if let Err(call) = shared.inbox.call(call) {
                call.refuse(if shared.inbox.is_open() {
                    "too many calls are waiting; call again"
                } else {
                    "the node is not active"
                });
            }
        };
        self.transport.serve(name, type_name, Box::new(on_request))
    }
}

/// CDR of an answer; none of ours can fail to be written.
fn encoded<R: Message + Serialize>(response: &R) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = cdr::write(response, &mut bytes) {
        tracing::error!(%error, "an answer cannot be written");
    }
    bytes
}

fn enable(this: &mut Perception, request: SetBoolRequest) -> SetBoolResponse {
    let was = this.shared.enabled.swap(request.data, Ordering::Relaxed);
    if was && !request.data {
        this.reset();
        this.say_nobody();
    }
    let message = match (was, request.data) {
        (true, true) => "was on already",
        (false, false) => "was off already",
        (false, true) => "images are processed again",
        (true, false) => "images are left unprocessed until the node is enabled again; models stay loaded",
    };
    SetBoolResponse { success: true, message: message.into() }
}

fn reset(this: &mut Perception, _: EmptyRequest) -> EmptyResponse {
    this.reset();
    EmptyResponse::default()
}
