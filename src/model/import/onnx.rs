//! The few parts of the ONNX format that the importers write, and a builder over them.
//!
//! Field numbers are those of `onnx.proto` (ONNX project), of which this is a small subset.

use prost::Message;

/// `IR_VERSION` 8 came with ONNX 1.13; ONNX Runtime 1.17 reads it.
const IR_VERSION: i64 = 8;
/// Operator set: everything used here (PRelu, Pad, ReduceL2 with attribute axes) has its form since 13.
const OPSET: i64 = 13;
/// `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;
/// `TensorProto.DataType.INT64`.
const INT64: i32 = 7;

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, optional, tag = "1")]
    ir_version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    producer_name: Option<String>,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetId>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetId {
    #[prost(string, optional, tag = "1")]
    domain: Option<String>,
    #[prost(int64, optional, tag = "2")]
    version: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    name: Option<String>,
    #[prost(string, optional, tag = "4")]
    op_type: Option<String>,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    /// `AttributeType`: 2 INT, 7 INTS.
    #[prost(int32, optional, tag = "20")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, optional, tag = "2")]
    data_type: Option<i32>,
    #[prost(string, optional, tag = "8")]
    name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "9")]
    raw_data: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, optional, tag = "2")]
    kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, optional, tag = "1")]
    element: Option<i32>,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    parameter: Option<String>,
}

/// An extent of an input or output: known, or named and known only at run time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// A number of elements.
    Fixed(i64),
    /// A name; equal names are equal extents.
    Any(&'static str),
}

/// An attribute of a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attr<'a> {
    /// One integer.
    Int(i64),
    /// Several integers.
    Ints(&'a [i64]),
}

/// Writes a graph node by node; values are named by strings.
#[derive(Debug, Default)]
pub(super) struct Graph {
    proto: GraphProto,
}

impl Graph {
    /// An empty graph.
    pub(super) fn new(name: &str) -> Self {
        Self { proto: GraphProto { name: Some(name.to_owned()), ..GraphProto::default() } }
    }

    /// Declares an input of the network.
    pub(super) fn input(&mut self, name: &str, shape: &[Extent]) {
        self.proto.input.push(value_info(name, shape));
    }

    /// Declares an output of the network.
    pub(super) fn output(&mut self, name: &str, shape: &[Extent]) {
        self.proto.output.push(value_info(name, shape));
    }

    /// Stores a constant tensor of floats.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: impl IntoIterator<Item = f32>) {
        let raw = values.into_iter().flat_map(f32::to_le_bytes).collect();
        self.constant(name, FLOAT, shape, raw);
    }

    /// Stores a constant list of integers.
    pub(super) fn integers(&mut self, name: &str, values: &[i64]) {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, INT64, &[values.len()], raw);
    }

    fn constant(&mut self, name: &str, data_type: i32, shape: &[usize], raw: Vec<u8>) {
        self.proto.initializer.push(TensorProto {
            dims: shape.iter().map(|&extent| extent as i64).collect(),
            data_type: Some(data_type),
            name: Some(name.to_owned()),
            raw_data: Some(raw),
        });
    }

    /// Adds an operator with one result and returns the result's name.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attr<'_>)]) -> String {
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: Some(output.to_owned()),
            op_type: Some(op.to_owned()),
            attribute: attributes.iter().map(|&(name, value)| attribute(name, value)).collect(),
        });
        output.to_owned()
    }

    /// The bytes of the `.onnx` file.
    pub(super) fn encode(self) -> Vec<u8> {
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("rostro".to_owned()),
            graph: Some(self.proto),
            opset_import: vec![OperatorSetId { domain: Some(String::new()), version: Some(OPSET) }],
        };
        model.encode_to_vec()
    }
}

fn value_info(name: &str, shape: &[Extent]) -> ValueInfo {
    let dim = shape
        .iter()
        .map(|extent| match *extent {
            Extent::Fixed(value) => Dimension { value: Some(value), parameter: None },
            Extent::Any(name) => Dimension { value: None, parameter: Some(name.to_owned()) },
        })
        .collect();
    let tensor = TensorType { element: Some(FLOAT), shape: Some(TensorShape { dim }) };
    ValueInfo { name: Some(name.to_owned()), kind: Some(TypeProto { tensor: Some(tensor) }) }
}

fn attribute(name: &str, value: Attr<'_>) -> AttributeProto {
    let mut proto = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
    match value {
        Attr::Int(i) => {
            proto.i = Some(i);
            proto.kind = Some(2);
        }
        Attr::Ints(ints) => {
            proto.ints = ints.to_vec();
            proto.kind = Some(7);
        }
    }
    proto
}

/// What every written graph must satisfy, for tests.
#[cfg(test)]
pub(super) mod check {
    use super::ModelProto;
    use prost::Message;
    use std::collections::BTreeSet;

    /// Nodes come after what they read, names are unique, raw data has the declared size, and the
    /// declared outputs are `outputs`, each written by a node.
    pub(crate) fn assert_sound(onnx: &[u8], outputs: &[&str]) {
        let graph = ModelProto::decode(onnx).unwrap().graph.unwrap();
        let mut known = BTreeSet::new();
        for tensor in &graph.initializer {
            let name = tensor.name.clone().unwrap();
            let elements: i64 = tensor.dims.iter().product();
            let width = if tensor.data_type == Some(super::INT64) { 8 } else { 4 };
            assert_eq!(tensor.raw_data.as_ref().unwrap().len() as i64, elements * width, "{name}");
            assert!(known.insert(name.clone()), "{name} twice");
        }
        known.extend(graph.input.iter().filter_map(|input| input.name.clone()));
        for node in &graph.node {
            for input in &node.input {
                assert!(known.contains(input), "{:?} reads {input} before it exists", node.op_type);
            }
            for output in &node.output {
                assert!(known.insert(output.clone()), "{output} twice");
            }
        }
        let declared: Vec<_> = graph.output.iter().map(|output| output.name.clone().unwrap()).collect();
        assert_eq!(declared, outputs);
        assert!(declared.iter().all(|name| graph.node.iter().any(|node| node.output.contains(name))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `TensorProto.DataType.INT8`.
    const INT8: i32 = 3;

    /// Processors without VNNI add two products of an unsigned and a signed byte in sixteen bits and cut off what is
    /// too large: with weights of eight bits the net lost 5 points of its accuracy on one.
    #[test]
    fn no_sum_of_our_net_in_integers_overflows_on_any_processor() {
        let onnx = include_bytes!("../../../models/rostro-emotion-int8.onnx");
        let graph = ModelProto::decode(onnx.as_slice()).unwrap().graph.unwrap();
        let weights = graph.initializer.iter().filter(|tensor| tensor.data_type == Some(INT8) && tensor.dims.len() > 1);
        let bytes: Vec<i8> =
            weights.flat_map(|tensor| tensor.raw_data.iter().flatten()).map(|byte| *byte as i8).collect();
        assert!(bytes.len() > 1_000_000, "{} weights", bytes.len());
        let largest = bytes.iter().map(|weight| i32::from(weight.unsigned_abs())).max().unwrap();
        assert!(2 * 255 * largest <= i32::from(i16::MAX), "{largest}");
    }
}
