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
use std::sync::Arc;
use std::time::Duration;

/// Cyclone's header: the client's id and a running number.
const HEADER_LEN: usize = 16;
/// Kind of an entity id (its last byte, lower half): a writer without key.
const WRITER: u8 = 0x03;
/// How long an answer waits for the asker's reader to be known; Cyclone's own servers wait as long.
const READER_TIMEOUT: Duration = Duration::from_millis(100);
const READER_POLL: Duration = Duration::from_millis(2);

/// One service.
pub(super) struct Server(Arc<Inner<Body, Body>>);

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
            let reply_topic = format!("rr{name}Reply");
            let (server, participant, header) = (Arc::clone(&server), participant.clone(), header.to_vec());
            let name = name.clone();
            tasks.spawn(async move {
                let Ok(cdr) = answered.await else { return };
                reader_known(participant, reply_topic, id).await;
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

/// Ready when a reader of the asker's participant is known on the reply topic, or after a while: an
/// answer to a reader that is not known yet is lost.
async fn reader_known(participant: DomainParticipant, topic: String, id: RmwRequestId) {
    let asker: [u8; 16] = id.writer_gid.to_bytes16();
    let is_known = move || {
        participant.discovered_readers().iter().any(|reader| {
            *reader.subscription_topic_data.topic_name() == topic
                && super::prefix_of(reader.reader_proxy.remote_reader_guid)[..] == asker[..12]
        })
    };
    if is_known() {
        return;
    }
    // Rare, so that a thread of its own for the wait is cheap.
    let (done, waited) = oneshot::channel();
    let wait = move || {
        let began = runtime::now();
        while !is_known() && began.elapsed() < READER_TIMEOUT {
            runtime::sleep(READER_POLL);
        }
        // Known to discovery is not yet matched by the writer.
        runtime::sleep(READER_POLL);
        let _ = done.send(());
    };
    if runtime::spawn("dds-reply", wait).is_ok() {
        let _ = waited.await;
    }
}
