//! `rcl_interfaces`: what `ros2 param` and others speak with a node about its parameters, field by
//! field as in its files.
#![expect(missing_docs, reason = "the package documents its fields")]

use super::Message;
use super::messages::Time;
use serde::{Deserialize, Serialize};

macro_rules! parameters {
    ($($type:ident = $name:literal,)*) => {
        $(impl Message for $type {
            const TYPE: &'static str = concat!("rcl_interfaces/", $name);
        })*
    };
}

parameters! {
    ParameterValue = "msg/ParameterValue",
    Parameter = "msg/Parameter",
    ParameterDescriptor = "msg/ParameterDescriptor",
    ParameterEvent = "msg/ParameterEvent",
    ListParametersRequest = "srv/ListParameters_Request",
    ListParametersResponse = "srv/ListParameters_Response",
    GetParametersRequest = "srv/GetParameters_Request",
    GetParametersResponse = "srv/GetParameters_Response",
    GetParameterTypesRequest = "srv/GetParameterTypes_Request",
    GetParameterTypesResponse = "srv/GetParameterTypes_Response",
    DescribeParametersRequest = "srv/DescribeParameters_Request",
    DescribeParametersResponse = "srv/DescribeParameters_Response",
    SetParametersRequest = "srv/SetParameters_Request",
    SetParametersResponse = "srv/SetParameters_Response",
    SetParametersAtomicallyRequest = "srv/SetParametersAtomically_Request",
    SetParametersAtomicallyResponse = "srv/SetParametersAtomically_Response",
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterValue {
    pub r#type: u8,
    pub bool_value: bool,
    pub integer_value: i64,
    pub double_value: f64,
    pub string_value: String,
    pub byte_array_value: Vec<u8>,
    pub bool_array_value: Vec<bool>,
    pub integer_array_value: Vec<i64>,
    pub double_array_value: Vec<f64>,
    pub string_array_value: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    pub value: ParameterValue,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterDescriptor {
    pub name: String,
    pub r#type: u8,
    pub description: String,
    pub additional_constraints: String,
    pub read_only: bool,
    pub dynamic_typing: bool,
    pub floating_point_range: Vec<FloatingPointRange>,
    pub integer_range: Vec<IntegerRange>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FloatingPointRange {
    pub from_value: f64,
    pub to_value: f64,
    pub step: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegerRange {
    pub from_value: i64,
    pub to_value: i64,
    pub step: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterEvent {
    pub stamp: Time,
    pub node: String,
    pub new_parameters: Vec<Parameter>,
    pub changed_parameters: Vec<Parameter>,
    pub deleted_parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetParametersResult {
    pub successful: bool,
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListParametersRequest {
    pub prefixes: Vec<String>,
    pub depth: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListParametersResponse {
    pub names: Vec<String>,
    pub prefixes: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetParametersRequest {
    pub names: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GetParametersResponse {
    pub values: Vec<ParameterValue>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetParameterTypesRequest {
    pub names: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetParameterTypesResponse {
    pub types: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeParametersRequest {
    pub names: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DescribeParametersResponse {
    pub descriptors: Vec<ParameterDescriptor>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SetParametersRequest {
    pub parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetParametersResponse {
    pub results: Vec<SetParametersResult>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SetParametersAtomicallyRequest {
    pub parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetParametersAtomicallyResponse {
    pub result: SetParametersResult,
}
