//! Annotated pictures back out of the bag that a replay wrote.

use super::bag::BagSource;
use super::source::{FrameSource, OpenError, SourceError};
use crate::frame::Pixels;
use std::path::Path;

/// For each moment (camera and stamp), the annotated JPEG picture nearest to it in `people.mcap`.
///
/// # Errors
/// [`OpenError`] when the bag cannot be opened; one without pictures gives none.
pub fn annotated_near(bag: &Path, moments: &[(String, i64)]) -> Result<Vec<Option<Vec<u8>>>, OpenError> {
    let mut nearest: Vec<Option<(u64, Vec<u8>)>> = vec![None; moments.len()];
    let mut source = match BagSource::open(&[bag.to_owned()], &[]) {
        Ok(source) => source,
        Err(OpenError::NoFrames { .. } | OpenError::NoImageTopic { .. }) => return Ok(vec![None; moments.len()]),
        Err(error) => return Err(error),
    };
    let is_alone = source.cameras().len() == 1;
    loop {
        let frame = match source.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(SourceError::Lost { .. }) => break,
            Err(SourceError::Frame { .. }) => continue,
        };
        let Pixels::Encoded(picture) = &frame.pixels else { continue };
        for ((camera, stamp), nearest) in moments.iter().zip(&mut nearest) {
            // The topic is /rostro/annotated/CAMERA/compressed, without CAMERA when there is one only.
            let is_camera = is_alone || frame.camera.as_str().strip_prefix("rostro/annotated/") == Some(camera);
            let distance = frame.stamp.nanos().abs_diff(*stamp);
            if is_camera && nearest.as_ref().is_none_or(|(other, _)| distance < *other) {
                *nearest = Some((distance, picture.data.to_vec()));
            }
        }
    }
    Ok(nearest.into_iter().map(|nearest| nearest.map(|(_, jpeg)| jpeg)).collect())
}
