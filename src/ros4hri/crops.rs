//! Pictures of one face: 128 pixels square, bgr8, as every reader takes them.

use crate::align::{AlignedCrop, warp};
use crate::frame::ImageView;
use crate::geometry::{Affine, BBox, CropPx, ImagePx};
use crate::people::Person;
use crate::wire::messages::{Header, Image};

/// Side of the pictures: REP-155's default for `/humans/faces/width` and `height`.
const SIDE: u32 = 128;

/// What the two pictures are called.
pub(super) const PICTURES: [&str; 2] = ["cropped", "aligned"];

/// One of [`PICTURES`]: the box, as large as fits, black beside it; or the same square turned so that the
/// eyes are level.
pub(super) fn picture(which: &str, image: ImageView<'_>, person: &Person, header: &Header) -> Image {
    let (right, left) = (person.landmarks.right_eye(), person.landmarks.left_eye());
    let is_cropped = which == PICTURES[0];
    let angle = if is_cropped { 0.0 } else { (left.y - right.y).atan2(left.x - right.x) };
    let mut crop = AlignedCrop::default();
    warp(image, square(&person.bbox, angle), SIDE, &mut crop);
    if is_cropped {
        blacken(&mut crop, &person.bbox);
    }
    let mut data = crop.rgb;
    data.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.reverse());
    Image {
        header: header.clone(),
        height: SIDE,
        width: SIDE,
        encoding: "bgr8".into(),
        is_bigendian: 0,
        step: 3 * SIDE,
        data,
    }
}

/// The square around a box, turned about its centre.
fn square(bbox: &BBox<ImagePx>, angle: f32) -> Affine<ImagePx, CropPx> {
    let scale = bbox.width().max(bbox.height()).max(1.0) / SIDE as f32;
    let (sin, cos) = angle.sin_cos();
    let (a, b) = (scale * cos, scale * sin);
    let (centre, middle) = (bbox.centre(), 0.5 * (SIDE as f32 - 1.0));
    Affine::new([[a, -b, centre.x - (a - b) * middle], [b, a, centre.y - (b + a) * middle]])
}

/// What lies beside the box.
fn blacken(crop: &mut AlignedCrop, bbox: &BBox<ImagePx>) {
    let longer = bbox.width().max(bbox.height()).max(1.0);
    let margin = |length: f32| (0.5 * SIDE as f32 * (1.0 - length / longer)).round() as usize;
    let (beside, above, side) = (margin(bbox.width()), margin(bbox.height()), SIDE as usize);
    for (index, pixel) in crop.rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (x, y) = (index % side, index / side);
        if x < beside || x >= side - beside || y < above || y >= side - above {
            *pixel = [0; 3];
        }
    }
}
