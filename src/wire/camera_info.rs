//! `sensor_msgs/CameraInfo`, field by field as in its file.
#![expect(missing_docs, reason = "the package documents its fields")]

use super::Message;
use super::messages::Header;
use crate::lens::{Calibration, Lens, LensError};
use serde::{Deserialize, Serialize};

impl Message for CameraInfo {
    const TYPE: &'static str = "sensor_msgs/msg/CameraInfo";
}

impl Message for RegionOfInterest {
    const TYPE: &'static str = "sensor_msgs/msg/RegionOfInterest";
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CameraInfo {
    pub header: Header,
    pub height: u32,
    pub width: u32,
    pub distortion_model: String,
    pub d: Vec<f64>,
    pub k: [f64; 9],
    pub r: [f64; 9],
    pub p: [f64; 12],
    pub binning_x: u32,
    pub binning_y: u32,
    pub roi: RegionOfInterest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionOfInterest {
    pub x_offset: u32,
    pub y_offset: u32,
    pub height: u32,
    pub width: u32,
    pub do_rectify: bool,
}

impl CameraInfo {
    /// The lens it describes.
    ///
    /// # Errors
    /// [`LensError`] when the camera is not calibrated, or in a way that is not understood.
    pub fn lens(&self) -> Result<Lens, LensError> {
        let roi = &self.roi;
        Lens::new(&Calibration {
            size: (self.width, self.height),
            model: &self.distortion_model,
            d: &self.d,
            k: self.k,
            binning: [self.binning_x, self.binning_y],
            roi: [roi.x_offset, roi.y_offset, roi.width, roi.height],
        })
    }
}
