//! The services: decoded, handed to the perception thread, answered.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "all requests are handed over alike")]

use super::perception::{Call, Perception};
use super::shared::Shared;
use super::transport::{Answer, Connection, Transport, TransportError};
use crate::frame::Pixels;
use crate::gallery::Receipt;
use crate::ids::{FaceId, PersonId};
use crate::pipeline::{EnrolRequest, EnrolTicket, Enrolled, OperationError};
use crate::wire::services::{
    EnrolResponse, ExportPersonRequest, ExportPersonResponse, ForgetRequest, ForgetResponse, IdentifyRequest,
    IdentifyResponse, ListPeopleRequest, ListPeopleResponse, MergeRequest, MergeResponse, SetNameRequest,
    SetNameResponse,
};
use crate::wire::standard::{
    EmptyRequest, EmptyResponse, SetBoolRequest, SetBoolResponse, TriggerRequest, TriggerResponse,
};
use crate::wire::{self, Message, cdr, messages};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Every service and its type.
pub const SERVICES: [(&str, &str); 10] = [
    ("~/enrol", "rostro/srv/Enrol"),
    ("~/set_name", "rostro/srv/SetName"),
    ("~/merge", "rostro/srv/Merge"),
    ("~/forget", "rostro/srv/Forget"),
    ("~/list_people", "rostro/srv/ListPeople"),
    ("~/export_person", "rostro/srv/ExportPerson"),
    ("~/identify", "rostro/srv/Identify"),
    ("~/enable", "std_srvs/srv/SetBool"),
    ("~/reset", "std_srvs/srv/Empty"),
    ("~/forget_all", "std_srvs/srv/Trigger"),
];

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

refuse_with_message!(
    EnrolResponse,
    SetNameResponse,
    MergeResponse,
    ForgetResponse,
    ExportPersonResponse,
    IdentifyResponse,
    SetBoolResponse,
    TriggerResponse
);
refuse_silently!(ListPeopleResponse, EmptyResponse);

/// Serves all of them. They answer while the node is active, and say so when it is not.
pub(super) fn serve_all(
    transport: &mut dyn Transport,
    shared: &Arc<Shared>,
) -> Result<Vec<Box<dyn Connection>>, TransportError> {
    let mut server = Server { transport, shared, next: 0 };
    Ok(vec![
        server.serve_later::<wire::services::EnrolRequest, EnrolResponse>(enrol)?,
        server.serve(set_name)?,
        server.serve(merge)?,
        server.serve(forget)?,
        server.serve(list_people)?,
        server.serve(export_person)?,
        server.serve(identify)?,
        server.serve(enable)?,
        server.serve(reset)?,
        server.serve(forget_all)?,
    ])
}

/// Serves [`SERVICES`] in their order.
struct Server<'a> {
    transport: &'a mut dyn Transport,
    shared: &'a Arc<Shared>,
    next: usize,
}

impl Server<'_> {
    /// A service that answers at once.
    fn serve<Q, R>(&mut self, work: fn(&mut Perception, &Q) -> R) -> Result<Box<dyn Connection>, TransportError>
    where
        Q: Message + DeserializeOwned + Send + 'static,
        R: Refusal + 'static,
    {
        self.register::<Q, R>(move |this, request, answer| answer(encoded(&work(this, request))))
    }

    /// A service that answers when it has something to say.
    fn serve_later<Q, R>(
        &mut self,
        work: fn(&mut Perception, &Q, Answer),
    ) -> Result<Box<dyn Connection>, TransportError>
    where
        Q: Message + DeserializeOwned + Send + 'static,
        R: Refusal + 'static,
    {
        self.register::<Q, R>(work)
    }

    fn register<Q, R>(
        &mut self,
        work: impl FnOnce(&mut Perception, &Q, Answer) + Copy + Send + Sync + 'static,
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
                work: Box::new(move |this, answer| work(this, &request, answer)),
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

/// "Nothing" is the empty text in ROS.
fn optional<T>(text: &str, parse: impl FnOnce(&str) -> T) -> Option<T> {
    (!text.is_empty()).then(|| parse(text))
}

fn enrol(this: &mut Perception, request: &wire::services::EnrolRequest, answer: Answer) {
    match begin_enrol(this, request) {
        Ok(ticket) => drop(this.enrolments.insert(ticket, answer)),
        Err(reason) => answer(encoded(&EnrolResponse::refusal(&reason))),
    }
}

fn begin_enrol(this: &mut Perception, request: &wire::services::EnrolRequest) -> Result<EnrolTicket, String> {
    if !this.shared.enabled.load(Ordering::Relaxed) {
        return Err("the node is switched off; call ~/enable with data: true".into());
    }
    let face_id = optional(&request.face_id, FaceId::parse).transpose().map_err(|error| error.to_string())?;
    let person_id = optional(&request.person_id, PersonId::parse).transpose().map_err(|error| error.to_string())?;
    let request = EnrolRequest {
        face_id,
        person_id,
        name: request.name.clone(),
        min_samples: u32::from(request.min_samples),
        timeout_secs: f64::from(request.timeout),
        consent: request.consent,
        force: request.force,
    };
    let now = this.image_time();
    this.line.begin_enrol(request, now).map_err(|error| error.to_string())
}

/// The answer to an enrolment that ended.
pub(super) fn enrolled(result: Result<Enrolled, OperationError>) -> Vec<u8> {
    let id = |person: Option<PersonId>| person.map(|person| person.to_string()).unwrap_or_default();
    encoded(&match result {
        Ok(Enrolled { person_id, references, possible_duplicate_of }) => EnrolResponse {
            success: true,
            person_id: person_id.to_string(),
            possible_duplicate_of: id(possible_duplicate_of),
            message: format!("{references} looks stored"),
        },
        Err(error) => EnrolResponse {
            possible_duplicate_of: id(error.possible_duplicate_of()),
            ..EnrolResponse::refusal(&error.to_string())
        },
    })
}

/// The answer to an enrolment that will not end.
pub(super) fn enrolment_refused(reason: &str) -> Vec<u8> {
    encoded(&EnrolResponse::refusal(reason))
}

/// Runs an operation on a person.
fn on_person<T>(
    this: &mut Perception,
    person: &str,
    operation: impl FnOnce(&mut Perception, PersonId) -> Result<T, OperationError>,
) -> Result<T, String> {
    let person = PersonId::parse(person).map_err(|error| error.to_string())?;
    operation(this, person).map_err(|error| error.to_string())
}

fn set_name(this: &mut Perception, request: &SetNameRequest) -> SetNameResponse {
    match on_person(this, &request.person_id, |this, person| this.line.set_name(person, &request.name)) {
        Ok(person) if request.name.is_empty() => {
            SetNameResponse { success: true, message: format!("{person} has no name any more") }
        }
        Ok(person) => {
            let others: Vec<_> = this.line.gallery().namesakes(person).iter().map(ToString::to_string).collect();
            let also = if others.is_empty() { String::new() } else { format!(", and so is {}", others.join(" ")) };
            SetNameResponse { success: true, message: format!("{person} is called {}{also}", request.name) }
        }
        Err(reason) => SetNameResponse::refusal(&reason),
    }
}

fn merge(this: &mut Perception, request: &MergeRequest) -> MergeResponse {
    let merged = on_person(this, &request.keep, |this, keep| {
        let absorb = PersonId::parse(&request.absorb);
        Ok(absorb.map(|absorb| this.line.merge(keep, absorb)))
    });
    match merged {
        Ok(Ok(Ok(keep))) => MergeResponse { success: true, message: format!("{} is now {keep}", request.absorb) },
        Ok(Ok(Err(error))) => MergeResponse::refusal(&error.to_string()),
        Ok(Err(error)) => MergeResponse::refusal(&error.to_string()),
        Err(reason) => MergeResponse::refusal(&reason),
    }
}

fn forget(this: &mut Perception, request: &ForgetRequest) -> ForgetResponse {
    match on_person(this, &request.person_id, |this, person| this.line.forget(person)) {
        Ok(receipt) => ForgetResponse {
            success: true,
            removed: lines(&receipt),
            message: format!("{} is forgotten", request.person_id),
        },
        Err(reason) => ForgetResponse::refusal(&reason),
    }
}

fn lines(receipt: &Receipt) -> Vec<String> {
    receipt.lines()
}

fn list_people(this: &mut Perception, _: &ListPeopleRequest) -> ListPeopleResponse {
    ListPeopleResponse { people: this.line.list().iter().map(messages::PersonRecord::from).collect() }
}

fn export_person(this: &mut Perception, request: &ExportPersonRequest) -> ExportPersonResponse {
    match on_person(this, &request.person_id, |this, person| this.line.export(person)) {
        Ok(json) => ExportPersonResponse { success: true, json, message: "everything that is stored".into() },
        Err(reason) => ExportPersonResponse::refusal(&reason),
    }
}

fn identify(this: &mut Perception, request: &IdentifyRequest) -> IdentifyResponse {
    let pixels: Pixels<'_> = request.image.pixels();
    match this.line.identify(&pixels) {
        Ok(people) => {
            let message = if people.is_empty() { "nobody in the picture".to_owned() } else { String::new() };
            IdentifyResponse { people: people.iter().map(messages::Person::from).collect(), message }
        }
        Err(error) => IdentifyResponse::refusal(&error.to_string()),
    }
}

fn enable(this: &mut Perception, request: &SetBoolRequest) -> SetBoolResponse {
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

fn reset(this: &mut Perception, _: &EmptyRequest) -> EmptyResponse {
    this.reset();
    EmptyResponse::default()
}

fn forget_all(this: &mut Perception, _: &TriggerRequest) -> TriggerResponse {
    match this.line.forget_all() {
        Ok(receipt) => TriggerResponse { success: true, message: lines(&receipt).join(", ") },
        Err(error) => TriggerResponse::refusal(&error.to_string()),
    }
}
