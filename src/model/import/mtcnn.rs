//! The three nets of MTCNN (Zhang et al. 2016) from facenet-pytorch's weights.

use super::ImportError;
use super::onnx::{Attr, Extent, Graph};
use super::torch::{Tensor, read_state_dict};
use std::collections::BTreeMap;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Net {
    /// Proposals over a whole image.
    P,
    /// Refinement of 24-pixel crops.
    R,
    /// Refinement of 48-pixel crops, with landmarks.
    O,
}

/// A convolution with its activation and the pooling behind it.
struct Conv {
    /// Number in the tensor names.
    index: u32,
    /// Input and output channels.
    channels: (usize, usize),
    kernel: usize,
    /// Side of the max pooling behind it, stride 2.
    pool: Option<i64>,
}

const fn conv(index: u32, channels: (usize, usize), kernel: usize, pool: Option<i64>) -> Conv {
    Conv { index, channels, kernel, pool }
}

const P_CONVS: [Conv; 3] = [conv(1, (3, 10), 3, Some(2)), conv(2, (10, 16), 3, None), conv(3, (16, 32), 3, None)];
const R_CONVS: [Conv; 3] = [conv(1, (3, 28), 3, Some(3)), conv(2, (28, 48), 3, Some(3)), conv(3, (48, 64), 2, None)];
const O_CONVS: [Conv; 4] = [
    conv(1, (3, 32), 3, Some(3)),
    conv(2, (32, 64), 3, Some(3)),
    conv(3, (64, 64), 3, Some(2)),
    conv(4, (64, 128), 2, None),
];

/// Converts a state dictionary into the ONNX file of `net`.
pub(super) fn convert(net: Net, bytes: &[u8]) -> Result<Vec<u8>, ImportError> {
    let weights = Weights(read_state_dict(bytes)?);
    let batch = Extent::Any("n");
    let row = |columns| [batch, Extent::Fixed(columns)];
    match net {
        Net::P => {
            let mut graph = Graph::new("mtcnn_pnet");
            graph.input("input", &[batch, Extent::Fixed(3), Extent::Any("h"), Extent::Any("w")]);
            let x = weights.convs(&mut graph, &P_CONVS)?;
            let scores = weights.conv(&mut graph, &x, "conv4_1", [2, 32, 1, 1])?;
            let reg = weights.conv(&mut graph, &x, "conv4_2", [4, 32, 1, 1])?;
            let map = |channels| [batch, Extent::Fixed(channels), Extent::Any("cells_y"), Extent::Any("cells_x")];
            finish(&mut graph, &reg, &scores);
            graph.output("reg", &map(4));
            graph.output("prob", &map(2));
            Ok(graph.encode())
        }
        Net::R => {
            let mut graph = Graph::new("mtcnn_rnet");
            graph.input("input", &[batch, Extent::Fixed(3), Extent::Fixed(24), Extent::Fixed(24)]);
            let x = weights.convs(&mut graph, &R_CONVS)?;
            let x = weights.dense_prelu(&mut graph, &x, 4, (576, 128))?;
            let scores = weights.dense(&mut graph, &x, "dense5_1", (128, 2))?;
            let reg = weights.dense(&mut graph, &x, "dense5_2", (128, 4))?;
            finish(&mut graph, &reg, &scores);
            graph.output("reg", &row(4));
            graph.output("prob", &row(2));
            Ok(graph.encode())
        }
        Net::O => {
            let mut graph = Graph::new("mtcnn_onet");
            graph.input("input", &[batch, Extent::Fixed(3), Extent::Fixed(48), Extent::Fixed(48)]);
            let x = weights.convs(&mut graph, &O_CONVS)?;
            let x = weights.dense_prelu(&mut graph, &x, 5, (1152, 256))?;
            let scores = weights.dense(&mut graph, &x, "dense6_1", (256, 2))?;
            let reg = weights.dense(&mut graph, &x, "dense6_2", (256, 4))?;
            let points = weights.dense(&mut graph, &x, "dense6_3", (256, 10))?;
            finish(&mut graph, &reg, &scores);
            graph.node("Identity", &[&points], "landmarks", &[]);
            graph.output("reg", &row(4));
            graph.output("prob", &row(2));
            graph.output("landmarks", &row(10));
            Ok(graph.encode())
        }
    }
}

/// Gives the two heads their public names; scores become probabilities.
fn finish(graph: &mut Graph, reg: &str, scores: &str) {
    graph.node("Identity", &[reg], "reg", &[]);
    graph.node("Softmax", &[scores], "prob", &[("axis", Attr::Int(1))]);
}

struct Weights(BTreeMap<String, Tensor>);

impl Weights {
    /// Copies a tensor into the graph under its own name, after checking its shape; `stored` is
    /// the shape it gets there.
    fn store(&self, graph: &mut Graph, name: &str, shape: &[usize], stored: &[usize]) -> Result<(), ImportError> {
        let tensor = self.0.get(name).ok_or_else(|| ImportError::MissingTensor { name: name.to_owned() })?;
        if tensor.shape != shape {
            let (expected, found) = (shape.to_vec(), tensor.shape.clone());
            return Err(ImportError::Shape { name: name.to_owned(), expected, found });
        }
        graph.floats(name, stored, tensor.values.iter().copied());
        Ok(())
    }

    fn convs(&self, graph: &mut Graph, convs: &[Conv]) -> Result<String, ImportError> {
        let mut x = "input".to_owned();
        for Conv { index, channels: (from, to), kernel, pool } in convs {
            x = self.conv(graph, &x, &format!("conv{index}"), [*to, *from, *kernel, *kernel])?;
            x = self.prelu(graph, &x, *index, *to, &[*to, 1, 1])?;
            if let Some(side) = *pool {
                let attributes = [
                    ("kernel_shape", Attr::Ints(&[side, side])),
                    ("strides", Attr::Ints(&[2, 2])),
                    // facenet-pytorch keeps the last, incomplete window, as Caffe did in training.
                    ("ceil_mode", Attr::Int(1)),
                ];
                x = graph.node("MaxPool", &[&x], &format!("pool{index}"), &attributes);
            }
        }
        Ok(x)
    }

    fn conv(&self, graph: &mut Graph, x: &str, layer: &str, shape: [usize; 4]) -> Result<String, ImportError> {
        let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
        self.store(graph, &weight, &shape, &shape)?;
        self.store(graph, &bias, &shape[..1], &shape[..1])?;
        let kernel = [shape[2] as i64, shape[3] as i64];
        Ok(graph.node("Conv", &[x, &weight, &bias], layer, &[("kernel_shape", Attr::Ints(&kernel))]))
    }

    fn prelu(
        &self,
        graph: &mut Graph,
        x: &str,
        index: u32,
        channels: usize,
        stored: &[usize],
    ) -> Result<String, ImportError> {
        let slope = format!("prelu{index}.weight");
        self.store(graph, &slope, &[channels], stored)?;
        Ok(graph.node("PRelu", &[x, &slope], &format!("prelu{index}"), &[]))
    }

    /// The first dense layer. Its weights expect the map flattened column by column, the channels
    /// of a cell side by side.
    fn dense_prelu(
        &self,
        graph: &mut Graph,
        x: &str,
        index: u32,
        (from, to): (usize, usize),
    ) -> Result<String, ImportError> {
        let turned = graph.node("Transpose", &[x], "columns_first", &[("perm", Attr::Ints(&[0, 3, 2, 1]))]);
        let flat = graph.node("Flatten", &[&turned], "flat", &[("axis", Attr::Int(1))]);
        let x = self.dense(graph, &flat, &format!("dense{index}"), (from, to))?;
        self.prelu(graph, &x, index, to, &[to])
    }

    fn dense(
        &self,
        graph: &mut Graph,
        x: &str,
        layer: &str,
        (from, to): (usize, usize),
    ) -> Result<String, ImportError> {
        let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
        self.store(graph, &weight, &[to, from], &[to, from])?;
        self.store(graph, &bias, &[to], &[to])?;
        Ok(graph.node("Gemm", &[x, &weight, &bias], layer, &[("transB", Attr::Int(1))]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::onnx::check::assert_sound;
    use super::super::torch::sample::{Stored, counting, file};
    use super::*;

    /// A state dictionary of the right shapes.
    fn weights(net: Net) -> Vec<Stored> {
        let (convs, dense): (&[Conv], &[(&str, u16, u16)]) = match net {
            Net::P => (&P_CONVS, &[]),
            Net::R => (&R_CONVS, &[("dense4", 576, 128), ("dense5_1", 128, 2), ("dense5_2", 128, 4)]),
            Net::O => {
                (&O_CONVS, &[("dense5", 1152, 256), ("dense6_1", 256, 2), ("dense6_2", 256, 4), ("dense6_3", 256, 10)])
            }
        };
        let mut tensors = Vec::new();
        let mut add = |name: String, shape: &[u16]| tensors.push(counting(&name, shape));
        for Conv { index, channels: (from, to), kernel, .. } in convs {
            let (from, to, kernel) = (*from as u16, *to as u16, *kernel as u16);
            add(format!("conv{index}.weight"), &[to, from, kernel, kernel]);
            add(format!("conv{index}.bias"), &[to]);
            add(format!("prelu{index}.weight"), &[to]);
        }
        for &(name, from, to) in dense {
            add(format!("{name}.weight"), &[to, from]);
            add(format!("{name}.bias"), &[to]);
        }
        match net {
            Net::P => {
                for (name, to) in [("conv4_1", 2), ("conv4_2", 4)] {
                    add(format!("{name}.weight"), &[to, 32, 1, 1]);
                    add(format!("{name}.bias"), &[to]);
                }
            }
            Net::R => add("prelu4.weight".to_owned(), &[128]),
            Net::O => add("prelu5.weight".to_owned(), &[256]),
        }
        tensors
    }

    #[test]
    fn each_net_becomes_a_sound_graph() {
        for (net, outputs) in
            [(Net::P, &["reg", "prob"][..]), (Net::R, &["reg", "prob"]), (Net::O, &["reg", "prob", "landmarks"])]
        {
            let onnx = convert(net, &file(&weights(net))).unwrap();
            assert_sound(&onnx, outputs);
        }
    }

    #[test]
    fn the_wrong_net_is_refused_by_name() {
        let error = convert(Net::O, &file(&weights(Net::R))).unwrap_err();
        assert!(matches!(&error, ImportError::Shape { name, .. } if name == "conv1.weight"), "{error}");
        let mut tensors = weights(Net::P);
        tensors.pop();
        let error = convert(Net::P, &file(&tensors)).unwrap_err();
        assert_eq!(error, ImportError::MissingTensor { name: "conv4_2.bias".to_owned() });
    }
}
