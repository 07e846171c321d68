//! Services by the name of their type. r2r serves only types it was built with, so here they are all
//! named; what they carry passes through as bytes.

use super::{Ros, refused, spawn};
use crate::node::transport::{Answer, Connection, OnRequest, TransportError};
use futures::StreamExt as _;
use r2r::{QosProfile, ServiceRequest, WrappedServiceTypeSupport, WrappedTypesupport};

#[cfg(feature = "ros-check")]
use super::stand_in::{rostro, std_srvs};
use r2r::{lifecycle_msgs, rcl_interfaces};
#[cfg(not(feature = "ros-check"))]
use r2r::{rostro, std_srvs};

/// Calls the function of the service whose name is in `type_name`.
macro_rules! by_type {
    ($type_name:ident, $($package:ident: $($service:ident)*;)*) => {
        match $type_name {
            $($(concat!(stringify!($package), "/srv/", stringify!($service)) => {
                Some(serve_typed::<$package::srv::$service::Service>)
            })*)*
            _ => None,
        }
    };
}

type Serve = fn(&mut Ros, &str, OnRequest) -> Result<Box<dyn Connection>, TransportError>;

/// Serves `service` (an absolute name).
pub(super) fn serve(
    ros: &mut Ros,
    service: &str,
    type_name: &str,
    on_request: OnRequest,
) -> Result<Box<dyn Connection>, TransportError> {
    let serve: Option<Serve> = by_type! { type_name,
        rostro: Enrol SetName Merge Forget ListPeople ExportPerson Identify;
        std_srvs: SetBool Empty Trigger;
        rcl_interfaces: ListParameters GetParameters GetParameterTypes DescribeParameters SetParameters SetParametersAtomically;
        lifecycle_msgs: ChangeState GetState GetAvailableStates GetAvailableTransitions;
    };
    let Some(serve) = serve else {
        let reason = format!("{type_name} is not among the services this program was built with");
        return Err(TransportError { what: format!("serving {service}"), reason });
    };
    serve(ros, service, on_request)
}

fn serve_typed<S: WrappedServiceTypeSupport + 'static>(
    ros: &mut Ros,
    service: &str,
    on_request: OnRequest,
) -> Result<Box<dyn Connection>, TransportError> {
    let what = format!("serving {service}");
    let mut requests = ros
        .node
        .create_service::<S>(service, QosProfile::services_default())
        .map_err(|error| refused(&what, &error))?;
    let name = service.to_owned();
    let work = async move {
        while let Some(request) = requests.next().await {
            match request.message.to_serialized_bytes() {
                Ok(bytes) => on_request(&bytes, answer_to(request, name.clone())),
                Err(error) => tracing::warn!(service = name, %error, "a request cannot be read"),
            }
        }
    };
    spawn(&ros.spawner(), &what, work)
}

fn answer_to<S: WrappedServiceTypeSupport + 'static>(request: ServiceRequest<S>, service: String) -> Answer {
    Box::new(move |bytes: Vec<u8>| {
        let sent = S::Response::from_serialized_bytes(&bytes).and_then(|response| request.respond(response));
        if let Err(error) = sent {
            tracing::warn!(service, %error, "an answer could not be sent");
        }
    })
}
