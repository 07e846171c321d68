//! dlib's face recognition network, `dlib_face_recognition_resnet_model_v1.dat` (King 2017), as ONNX.
//!
//! The file lists its layers from input to output, each under a tag; the weights are found by the
//! order of their tags and every shape is checked. Affine layers are folded into the convolutions
//! before them, and the scaling of the pixels into the first. Behind dlib's last layer stand two of
//! our own: subtraction of a fixed mean and L2 normalisation, so that cosines are comparable.

use super::ImportError;
use super::dlib::Reader;
use super::onnx::{Attr, Extent, Graph};

/// What dlib subtracts from red, green and blue before it divides by 256.
const PIXEL_MEAN: [f64; 3] = [122.782, 117.001, 104.298];
const PIXEL_SCALE: f64 = 1.0 / 256.0;

/// Channels of each residual block, from input to output, and whether it halves the map.
const BLOCKS: [(usize, bool); 14] = [
    (32, false),
    (32, false),
    (32, false),
    (64, true),
    (64, false),
    (64, false),
    (64, false),
    (128, true),
    (128, false),
    (128, false),
    (256, true),
    (256, false),
    (256, false),
    (256, true),
];

const STEM_CHANNELS: usize = 32;
const DIMENSIONS: usize = 128;
/// Side of the map behind the stem: 150 -> 72 (7x7, stride 2) -> 35 (3x3 pool, stride 2).
const STEM_SIDE: i64 = 35;

/// Mean descriptor, one number a line.
const MEAN: &str = include_str!("../../../models/dlib_resnet_v1_mean.txt");

/// Converts the `.dat` file into an ONNX file.
pub(super) fn convert(bytes: &[u8]) -> Result<Vec<u8>, ImportError> {
    let mut net = Writer { reader: Reader::new(bytes), graph: Graph::new("dlib_resnet_v1"), convs: 0 };
    let batch = Extent::Any("n");
    net.graph.input("input", &[batch, Extent::Fixed(3), Extent::Fixed(150), Extent::Fixed(150)]);

    let mut x = net.stem()?;
    let (mut channels, mut side) = (STEM_CHANNELS, STEM_SIDE);
    for (index, (width, halves)) in BLOCKS.into_iter().enumerate() {
        x = net.block(&x, index, (channels, width), &mut side, halves)?;
        channels = width;
    }
    net.head(&x, channels)?;
    net.graph.output("embedding", &[batch, Extent::Fixed(DIMENSIONS as i64)]);
    Ok(net.graph.encode())
}

struct Writer<'a> {
    reader: Reader<'a>,
    graph: Graph,
    convs: usize,
}

impl Writer<'_> {
    fn stem(&mut self) -> Result<String, ImportError> {
        let conv = Conv { channels: (3, STEM_CHANNELS), kernel: 7, stride: 2, reads_pixels: true };
        let x = self.conv("input", &conv)?;
        let x = self.graph.node("Relu", &[&x], "stem_relu", &[]);
        let pool = [("kernel_shape", Attr::Ints(&[3, 3])), ("strides", Attr::Ints(&[2, 2]))];
        Ok(self.graph.node("MaxPool", &[&x], "stem_pool", &pool))
    }

    /// Two convolutions and a branch around them. `side` is the side of the map, kept up to date.
    fn block(
        &mut self,
        x: &str,
        index: usize,
        (from, to): (usize, usize),
        side: &mut i64,
        halves: bool,
    ) -> Result<String, ImportError> {
        let first = Conv { channels: (from, to), kernel: 3, stride: 1 + i64::from(halves), reads_pixels: false };
        let second = Conv { channels: (to, to), kernel: 3, stride: 1, reads_pixels: false };
        let inner = self.conv(x, &first)?;
        let inner = self.graph.node("Relu", &[&inner], &format!("block{index}_relu"), &[]);
        let mut inner = self.conv(&inner, &second)?;
        let mut around = x.to_owned();
        if halves {
            let pool = [("kernel_shape", Attr::Ints(&[2, 2])), ("strides", Attr::Ints(&[2, 2]))];
            around = self.graph.node("AveragePool", &[x], &format!("block{index}_pool"), &pool);
            let (convolved, pooled) = ((*side - 3) / 2 + 1, *side / 2);
            // dlib adds tensors of different extents as if the smaller were padded with zeros.
            around = self.pad(&around, &format!("block{index}_wider"), [(to - from) as i64, 0, 0]);
            let missing = pooled - convolved;
            inner = self.pad(&inner, &format!("block{index}_larger"), [0, missing, missing]);
            *side = pooled;
        }
        let sum = self.graph.node("Add", &[&inner, &around], &format!("block{index}_sum"), &[]);
        Ok(self.graph.node("Relu", &[&sum], &format!("block{index}"), &[]))
    }

    /// Appends zero channels, rows and columns.
    fn pad(&mut self, x: &str, name: &str, behind: [i64; 3]) -> String {
        if behind == [0; 3] {
            return x.to_owned();
        }
        let [channels, rows, columns] = behind;
        let pads = format!("{name}_pads");
        self.graph.integers(&pads, &[0, 0, 0, 0, 0, channels, rows, columns]);
        self.graph.node("Pad", &[x, &pads], name, &[])
    }

    /// Mean over the map, one dense layer, then our own centring and normalisation.
    fn head(&mut self, x: &str, channels: usize) -> Result<(), ImportError> {
        self.reader.seek("fc_2")?;
        self.reader.exactly(DIMENSIONS as i64, "128 outputs")?;
        self.reader.exactly(channels as i64, "256 inputs")?;
        let weights = self.reader.tensor("fc", [channels, DIMENSIONS, 1, 1])?;

        let graph = &mut self.graph;
        graph.floats("fc", &[channels, DIMENSIONS], weights);
        graph.floats("mean", &[DIMENSIONS], mean_descriptor());
        graph.floats("least_length", &[1], [1e-12]);
        let x = graph.node("GlobalAveragePool", &[x], "pooled", &[]);
        let x = graph.node("Flatten", &[&x], "flat", &[("axis", Attr::Int(1))]);
        let x = graph.node("MatMul", &[&x, "fc"], "descriptor", &[]);
        let x = graph.node("Sub", &[&x, "mean"], "centred", &[]);
        let axes = [("axes", Attr::Ints(&[1])), ("keepdims", Attr::Int(1))];
        let length = graph.node("ReduceL2", &[&x], "length", &axes);
        // Keeps a vector that equals the mean at zero instead of making it NaN.
        let length = graph.node("Max", &[&length, "least_length"], "divisor", &[]);
        graph.node("Div", &[&x, &length], "embedding", &[]);
        Ok(())
    }

    /// A convolution with the affine layer that follows it folded in.
    fn conv(&mut self, x: &str, conv: &Conv) -> Result<String, ImportError> {
        let name = format!("conv{}", self.convs);
        self.convs += 1;
        let (from, to) = conv.channels;
        let size = from * conv.kernel * conv.kernel;

        self.reader.seek("con_4")?;
        let mut weights = self.reader.tensor(&name, [to * size + to, 1, 1, 1])?;
        let mut biases = weights.split_off(to * size);
        self.reader.seek("affine_")?;
        let affine = self.reader.tensor(&name, [2 * to, 1, 1, 1])?;
        let (gains, shifts) = affine.split_at(to);

        for (channel, (filter, bias)) in weights.chunks_exact_mut(size).zip(&mut biases).enumerate() {
            let (gain, shift) = (f64::from(gains[channel]), f64::from(shifts[channel]));
            let mut offset = f64::from(*bias);
            for (plane, mean) in filter.chunks_exact_mut(conv.kernel * conv.kernel).zip(PIXEL_MEAN.iter().cycle()) {
                for weight in plane {
                    let mut folded = f64::from(*weight);
                    if conv.reads_pixels {
                        folded *= PIXEL_SCALE;
                        offset -= folded * mean;
                    }
                    *weight = (folded * gain) as f32;
                }
            }
            *bias = (offset * gain + shift) as f32;
        }

        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        self.graph.floats(&weight_name, &[to, from, conv.kernel, conv.kernel], weights);
        self.graph.floats(&bias_name, &[to], biases);
        // dlib pads by half the kernel when the stride is 1, and not at all otherwise.
        let (kernel, padding) = (conv.kernel as i64, if conv.stride == 1 { conv.kernel as i64 / 2 } else { 0 });
        let attributes = [
            ("kernel_shape", Attr::Ints(&[kernel, kernel])),
            ("strides", Attr::Ints(&[conv.stride, conv.stride])),
            ("pads", Attr::Ints(&[padding, padding, padding, padding])),
        ];
        Ok(self.graph.node("Conv", &[x, &weight_name, &bias_name], &name, &attributes))
    }
}

struct Conv {
    /// Input and output channels.
    channels: (usize, usize),
    kernel: usize,
    stride: i64,
    /// True for the first one, whose input is pixels of 0..=255.
    reads_pixels: bool,
}

fn mean_descriptor() -> Vec<f32> {
    MEAN.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::dlib::sample;
    use super::super::onnx::check::assert_sound;
    use super::*;
    use proptest::prelude::*;

    /// Layers as dlib writes them, with every weight the same.
    fn layers(convs: impl Iterator<Item = (usize, usize, usize)>) -> Vec<u8> {
        let mut bytes = b"\x01\x02 some header".to_vec();
        for (from, to, kernel) in convs {
            sample::tag(&mut bytes, "con_4");
            sample::tensor(&mut bytes, [to * from * kernel * kernel + to, 1, 1, 1], 0.01);
            sample::tag(&mut bytes, "affine_");
            sample::tensor(&mut bytes, [2 * to, 1, 1, 1], 0.5);
        }
        bytes
    }

    fn all_convs() -> Vec<(usize, usize, usize)> {
        let mut convs = vec![(3, STEM_CHANNELS, 7)];
        let mut from = STEM_CHANNELS;
        for (to, _) in BLOCKS {
            convs.extend([(from, to, 3), (to, to, 3)]);
            from = to;
        }
        convs
    }

    #[test]
    fn a_complete_file_becomes_a_sound_graph() {
        let mut bytes = layers(all_convs().into_iter());
        sample::tag(&mut bytes, "fc_2");
        sample::int(&mut bytes, 128);
        sample::int(&mut bytes, 256);
        sample::tensor(&mut bytes, [256, 128, 1, 1], 0.25);
        let onnx = convert(&bytes).unwrap();
        assert_sound(&onnx, &["embedding"]);
        assert_eq!(
            convert(&bytes[..bytes.len() - 1]),
            Err(ImportError::Truncated { len: bytes.len() - 1, what: "a tensor" })
        );
    }

    #[test]
    fn another_architecture_is_refused() {
        let error = convert(&layers([(3, 16, 7)].into_iter())).unwrap_err();
        assert!(matches!(error, ImportError::Shape { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn flipped_bits_do_not_panic(flips in prop::collection::vec((0_usize..400, 0_u8..8), 1..4)) {
            let mut bytes = layers(all_convs().into_iter().take(2));
            for (at, bit) in flips {
                bytes[at % 40] ^= 1 << bit;
                let end = bytes.len() - 1 - at;
                bytes[end] ^= 1 << bit;
            }
            prop_assert!(convert(&bytes).is_err());
        }
    }

    #[test]
    fn the_mean_descriptor_is_complete() {
        assert_eq!(mean_descriptor().len(), DIMENSIONS);
        assert_eq!(MEAN.lines().filter(|line| !line.starts_with('#')).count(), DIMENSIONS);
    }
}
