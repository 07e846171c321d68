//! Photographs the demo composes its scene from, out of Python packages, fetched like models.

use super::fetch::PipArchive;
use super::manifest::Archive;
use super::store::Bundle;

/// Name of the pictures in the store.
pub const BUNDLE: &str = "demo-pictures";

/// Three photographs of one person (`obama`, `obama2`, `obama3`) and one each of two others
/// (`biden`, `astronaut`). All five are works of the United States government, in the public domain.
///
/// Each picture's part is its name without the extension.
pub fn demo_pictures() -> Bundle {
    let presidents = PipArchive {
        package: "face_recognition".into(),
        version: "1.3.0".into(),
        archive: Archive::Source,
        sha256: "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec".into(),
    };
    let scikit_image = PipArchive {
        package: "scikit-image".into(),
        version: "0.26.0".into(),
        archive: Archive::Wheel,
        sha256: "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af".into(),
    };
    let mut bundle = Bundle::new(BUNDLE);
    for (name, sha256) in [
        ("obama.jpg", "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6"),
        ("obama2.jpg", "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6"),
        ("obama3.jpg", "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3"),
        ("biden.jpg", "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c"),
    ] {
        bundle.add_packaged(&presidents, &format!("tests/test_images/{name}"), sha256);
    }
    let astronaut = "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5";
    bundle.add_packaged(&scikit_image, "skimage/data/astronaut.png", astronaut);
    bundle
}
