//! Messages and services of the standard packages that a node needs beside its own, field by field
//! as in their files.
#![expect(missing_docs, reason = "the packages document their fields")]

use super::Message;
use super::messages::{Header, Time};
use serde::{Deserialize, Serialize};

macro_rules! standard {
    ($($type:ident = $name:literal,)*) => {
        $(impl Message for $type {
            const TYPE: &'static str = $name;
        })*
    };
}

standard! {
    Clock = "rosgraph_msgs/msg/Clock",
    KeyValue = "diagnostic_msgs/msg/KeyValue",
    DiagnosticStatus = "diagnostic_msgs/msg/DiagnosticStatus",
    DiagnosticArray = "diagnostic_msgs/msg/DiagnosticArray",
    EmptyRequest = "std_srvs/srv/Empty_Request",
    EmptyResponse = "std_srvs/srv/Empty_Response",
    SetBoolRequest = "std_srvs/srv/SetBool_Request",
    SetBoolResponse = "std_srvs/srv/SetBool_Response",
    TriggerRequest = "std_srvs/srv/Trigger_Request",
    TriggerResponse = "std_srvs/srv/Trigger_Response",
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    pub clock: Time,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosticStatus {
    pub level: u8,
    pub name: String,
    pub message: String,
    pub hardware_id: String,
    pub values: Vec<KeyValue>,
}

impl DiagnosticStatus {
    pub const OK: u8 = 0;
    pub const WARN: u8 = 1;
    pub const ERROR: u8 = 2;
    pub const STALE: u8 = 3;
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosticArray {
    pub header: Header,
    pub status: Vec<DiagnosticStatus>,
}

/// rosidl gives every empty structure one member, and it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptyRequest {
    pub structure_needs_at_least_one_member: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptyResponse {
    pub structure_needs_at_least_one_member: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBoolRequest {
    pub data: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBoolResponse {
    pub success: bool,
    pub message: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRequest {
    pub structure_needs_at_least_one_member: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerResponse {
    pub success: bool,
    pub message: String,
}
