//! Requests and responses, field by field as in `srv/`.
#![expect(missing_docs, reason = "the .srv files document the fields; a test keeps names, order and types equal")]

use super::Message;
use super::messages::{Image, Person, PersonRecord};
use serde::{Deserialize, Serialize};

macro_rules! services {
    ($($request:ident, $response:ident = $name:literal,)*) => {
        $(impl Message for $request {
            const TYPE: &'static str = concat!($name, "_Request");
        }
        impl Message for $response {
            const TYPE: &'static str = concat!($name, "_Response");
        })*
    };
}

services! {
    EnrolRequest, EnrolResponse = "rostro/srv/Enrol",
    SetNameRequest, SetNameResponse = "rostro/srv/SetName",
    MergeRequest, MergeResponse = "rostro/srv/Merge",
    ForgetRequest, ForgetResponse = "rostro/srv/Forget",
    ListPeopleRequest, ListPeopleResponse = "rostro/srv/ListPeople",
    ExportPersonRequest, ExportPersonResponse = "rostro/srv/ExportPerson",
    IdentifyRequest, IdentifyResponse = "rostro/srv/Identify",
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EnrolRequest {
    pub face_id: String,
    pub person_id: String,
    pub name: String,
    pub min_samples: u16,
    pub timeout: f32,
    pub consent: bool,
    pub force: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolResponse {
    pub success: bool,
    pub person_id: String,
    pub possible_duplicate_of: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNameRequest {
    pub person_id: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNameResponse {
    pub success: bool,
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRequest {
    pub keep: String,
    pub absorb: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeResponse {
    pub success: bool,
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetRequest {
    pub person_id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetResponse {
    pub success: bool,
    pub removed: Vec<String>,
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPeopleRequest {
    /// Not in the file: rosidl gives every empty structure this member, and it is sent.
    pub structure_needs_at_least_one_member: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPeopleResponse {
    pub people: Vec<PersonRecord>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPersonRequest {
    pub person_id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPersonResponse {
    pub success: bool,
    pub json: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifyRequest {
    pub image: Image,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdentifyResponse {
    pub people: Vec<Person>,
    pub message: String,
}
