//! Importers: model files as other projects package them, rewritten as the files rostro loads.
//!
//! Bytes in, bytes out. The same input always gives the same output, so manifests pin the SHA-256
//! of the result. Nothing in a file is trusted: sizes are checked against the bytes that are there
//! before anything is allocated, and an unexpected structure is an [`ImportError`], never a panic.

pub(crate) mod dlib;
mod dlib_resnet;
mod mtcnn;
mod onnx;
mod torch;

use crate::model::manifest::Import;

/// Why a packaged file could not be converted. The file is not the one this importer knows:
/// fetch it again, or correct `package`, `version` or `member` in the manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The file ends too early.
    #[error("the file ends at byte {len} inside {what}; fetch it again")]
    Truncated {
        /// Length of the file.
        len: usize,
        /// What was being read.
        what: &'static str,
    },
    /// The file is of another kind, or of a version this importer does not know.
    #[error("byte {at}: expected {expected}, found {found}; this is not the file the importer knows")]
    Unexpected {
        /// Position in the file.
        at: usize,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A weight tensor is absent.
    #[error("the file has no tensor \"{name}\"; is it the right member of the package?")]
    MissingTensor {
        /// Name of the tensor.
        name: String,
    },
    /// A weight tensor has another shape than the network needs.
    #[error("tensor \"{name}\" has shape {found:?}, the network needs {expected:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// As the network needs it.
        expected: Vec<usize>,
        /// As the file has it.
        found: Vec<usize>,
    },
    /// A number in the file cannot be a weight.
    #[error("tensor \"{name}\" holds a value that is not finite")]
    NotFinite {
        /// Name of the tensor.
        name: String,
    },
}

/// Converts a packaged file into the file that is loaded.
///
/// | kind | input | output |
/// |---|---|---|
/// | `Copy` | anything | the same bytes |
/// | `MtcnnPnet`, `MtcnnRnet`, `MtcnnOnet` | `pnet.pt`, `rnet.pt`, `onet.pt` of facenet-pytorch (torch's format before 1.6) | ONNX |
/// | `DlibResnet` | `dlib_face_recognition_resnet_model_v1.dat` | ONNX |
///
/// The ONNX files need opset 13 (ONNX Runtime 1.6 or newer). Their tensors, all 32-bit floats:
///
/// | net | `input`, RGB | outputs |
/// |---|---|---|
/// | P-Net | `[n,3,h,w]`, (x - 127.5) / 128 | `reg` `[n,4,h',w']`, `prob` `[n,2,h',w']` (channel 1: face); stride 2, cell 12 |
/// | R-Net | `[n,3,24,24]`, the same | `reg` `[n,4]`, `prob` `[n,2]` |
/// | O-Net | `[n,3,48,48]`, the same | `reg`, `prob`, `landmarks` `[n,10]`: five x, then five y, as shares of the box |
/// | ResNet | `[n,3,150,150]`, 0..=255 | `embedding` `[n,128]`, centred, unit length |
///
/// `reg` holds the corrections of left, top, right and bottom as shares of the box's width and height.
///
/// # Errors
/// [`ImportError`] when `bytes` is not the file that `kind` names.
pub fn convert(kind: Import, bytes: &[u8]) -> Result<Vec<u8>, ImportError> {
    match kind {
        Import::Copy => Ok(bytes.to_vec()),
        Import::MtcnnPnet => mtcnn::convert(mtcnn::Net::P, bytes),
        Import::MtcnnRnet => mtcnn::convert(mtcnn::Net::R, bytes),
        Import::MtcnnOnet => mtcnn::convert(mtcnn::Net::O, bytes),
        Import::DlibResnet => dlib_resnet::convert(bytes),
    }
}

/// Reads little-endian 32-bit floats; trailing bytes that do not fill one are ignored.
fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word))
}
