//! Services that clients of every common middleware can call.
//!
//! Cyclone's clients put a 16-byte header before the request and want it back before the answer;
//! Fast DDS's send no header but an identity beside the message. ros2-client has a mode for each,
//! chosen when a server is made. Here the bodies are taken raw in the second mode, and the header is
//! told by who asks: without an identity in the request, the writer of the message stands there.

use super::raw::Body;
use super::tasks::Tasks;
use crate::node::transport::OnRequest;
use crate::runtime;
use futures::StreamExt as _;
use futures::channel::oneshot;
use ros2_client::dds::rustdds::DomainParticipant;
use ros2_client::qos::History;
use ros2_client::{
    CreateError, Name, Node, QosProfile, RmwRequestId, Server as Inner, ServiceMapping, ServiceTypeName,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Cyclone's header: the client's id and a running number.
const HEADER_LEN: usize = 16;
/// Kind of an entity id (its last byte, lower half): a writer without key.
const WRITER: u8 = 0x03;
/// How long the first answer to somebody waits for their reader to be known: longer than Cyclone's own
/// servers do (100 ms), as discovery is late on a machine that is busy with networks.
const READER_TIMEOUT: Duration = Duration::from_secs(2);
const READER_POLL: Duration = Duration::from_millis(2);
/// From when discovery knows a reader until our writer has surely been told, by another thread.
const MATCH_TIME: Duration = Duration::from_millis(100);
/// Askers remembered that need no waiting any more.
const MOST_ASKERS: usize = 64;

/// One service.
pub(super) struct Server(Arc<Inner<Body, Body>>);

/// A client, by the DDS id of what it asks with.
type Asker = [u8; 16];

impl Server {
    pub(super) fn create(node: &mut Node, name: &Name, type_name: &ServiceTypeName) -> Result<Self, CreateError> {
        let qos = QosProfile::publisher_default().history(History::KeepLast { depth: 10 });
        node.create_server(ServiceMapping::Enhanced, name, type_name, qos.clone(), qos)
            .map(|inner| Self(Arc::new(inner)))
    }

    /// Answers requests for ever. A request that cannot be read is logged and left.
    pub(super) async fn run(self, name: String, participant: DomainParticipant, tasks: Tasks, on_request: OnRequest) {
        let server = self.0;
        let mut requests = server.receive_request_stream();
        let mut askers: VecDeque<Asker> = VecDeque::new();
        while let Some(request) = requests.next().await {
            let (id, Body(body)) = match request {
                Ok(request) => request,
                Err(error) => {
                    tracing::warn!(service = name, %error, "a request cannot be read");
                    continue;
                }
            };
            let header_len = if is_writer(&id) { HEADER_LEN } else { 0 };
            let Some((header, request)) = body.split_at_checked(header_len) else {
                tracing::warn!(service = name, bytes = body.len(), "a request is shorter than its header");
                continue;
            };
            let (answer, answered) = oneshot::channel::<Vec<u8>>();
            on_request(&Body::with_header(request), Box::new(move |cdr| drop(answer.send(cdr))));
            let asker = id.writer_gid.to_bytes16();
            let reader = (!askers.contains(&asker)).then(|| {
                askers.truncate(MOST_ASKERS - 1);
                askers.push_front(asker);
                reader_matched(participant.clone(), format!("rr{name}Reply"), asker)
            });
            let (server, header, name) = (Arc::clone(&server), header.to_vec(), name.clone());
            tasks.spawn(async move {
                let Ok(cdr) = answered.await else { return };
                if let Some(matched) = reader {
                    // Cancelled only where no thread can be had; then it is sent at once.
                    let _ = matched.await;
                }
                let reply = Body([header.as_slice(), &Body::of(&cdr).0].concat());
                if let Err(error) = server.async_send_response(id, reply).await {
                    tracing::warn!(service = name, ?error, "an answer could not be sent");
                }
            });
        }
    }
}

fn is_writer(id: &RmwRequestId) -> bool {
    id.writer_gid.to_bytes16()[15] & 0x0f == WRITER
}

/// Ready when our writer knows the reader of somebody new, or after a while: an answer to a reader
/// that is not known yet is lost.
fn reader_matched(participant: DomainParticipant, topic: String, asker: Asker) -> oneshot::Receiver<()> {
    let is_known = move || {
        participant.discovered_readers().iter().any(|reader| {
            *reader.subscription_topic_data.topic_name() == topic
                && super::prefix_of(reader.reader_proxy.remote_reader_guid)[..] == asker[..12]
        })
    };
    let (done, matched) = oneshot::channel();
    let wait = move || {
        let began = runtime::now();
        while !is_known() && began.elapsed() < READER_TIMEOUT {
            runtime::sleep(READER_POLL);
        }
        runtime::sleep(MATCH_TIME);
        let _ = done.send(());
    };
    // Rare, so that a thread of its own for the wait is cheap.
    if let Err(error) = runtime::spawn("dds-reply", wait) {
        tracing::warn!(%error, "no thread to wait in; the first answer to a client may be lost");
    }
    matched
}
