//! `lifecycle_msgs`: what `ros2 lifecycle` and lifecycle managers speak with a node, field by field
//! as in its files.
#![expect(missing_docs, reason = "the package documents its fields")]

use super::Message;
use serde::{Deserialize, Serialize};

macro_rules! lifecycle {
    ($($type:ident = $name:literal,)*) => {
        $(impl Message for $type {
            const TYPE: &'static str = concat!("lifecycle_msgs/", $name);
        })*
    };
}

lifecycle! {
    TransitionEvent = "msg/TransitionEvent",
    ChangeStateRequest = "srv/ChangeState_Request",
    ChangeStateResponse = "srv/ChangeState_Response",
    GetStateRequest = "srv/GetState_Request",
    GetStateResponse = "srv/GetState_Response",
    GetAvailableStatesRequest = "srv/GetAvailableStates_Request",
    GetAvailableStatesResponse = "srv/GetAvailableStates_Response",
    GetAvailableTransitionsRequest = "srv/GetAvailableTransitions_Request",
    GetAvailableTransitionsResponse = "srv/GetAvailableTransitions_Response",
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub id: u8,
    pub label: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub id: u8,
    pub label: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionDescription {
    pub transition: Transition,
    pub start_state: State,
    pub goal_state: State,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionEvent {
    /// Nanoseconds.
    pub timestamp: u64,
    pub transition: Transition,
    pub start_state: State,
    pub goal_state: State,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeStateRequest {
    pub transition: Transition,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeStateResponse {
    pub success: bool,
}

/// rosidl gives every empty structure one member, and it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetStateRequest {
    pub structure_needs_at_least_one_member: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetStateResponse {
    pub current_state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetAvailableStatesRequest {
    pub structure_needs_at_least_one_member: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetAvailableStatesResponse {
    pub available_states: Vec<State>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetAvailableTransitionsRequest {
    pub structure_needs_at_least_one_member: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetAvailableTransitionsResponse {
    pub available_transitions: Vec<TransitionDescription>,
}
