//! The photographs of the demo, and how their people are cut out.
//!
//! All are works of the United States government, in the public domain. They come out of Python
//! packages, fetched like models, and are never part of this project; only numbers measured on them
//! stand here. Faces and points were measured with the detector YuNet on the photograph scaled to a
//! longer side of 640 pixels. Outlines were found by graph-cut segmentation around the face (GrabCut)
//! with a few strokes by hand, and simplified to corners.

use super::layer::{Cutout, Portrait};
use crate::model::store::{Installed, ModelError};
use image::{ImageReader, RgbImage};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The name under which the person with three photographs is enrolled: the photographs' caption.
pub const ENROLLED_NAME: &str = "Barack Obama";
/// Part of the picture bundle that the enrolled person is learnt from. It is never shown.
pub const ENROLLED_FROM: &str = "obama";

/// Photographs that are shown; the discriminant is the index of the cut-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Photograph {
    /// The enrolled person, standing, from afar.
    Standing,
    /// The enrolled person, speaking, from near.
    Speaking,
    /// A stranger, standing.
    VicePresident,
    /// A stranger in a space suit.
    Astronaut,
}

impl Photograph {
    /// All, in the order of their indices.
    pub const ALL: [Self; 4] = [Self::Standing, Self::Speaking, Self::VicePresident, Self::Astronaut];

    /// Its part in the picture bundle.
    pub const fn part(self) -> &'static str {
        match self {
            Self::Standing => "obama3",
            Self::Speaking => "obama2",
            Self::VicePresident => "biden",
            Self::Astronaut => "astronaut",
        }
    }

    /// How its person is cut out.
    pub const fn portrait(self) -> Portrait {
        match self {
            Self::Standing => Portrait {
                face: [644.3, 273.7, 909.1, 617.7],
                landmarks: [[735.0, 379.4], [865.1, 382.1], [812.3, 445.3], [737.0, 509.0], [849.2, 510.9]],
                outline: Cow::Borrowed(&STANDING_OUTLINE),
            },
            Self::Speaking => Portrait {
                face: [202.1, 229.2, 477.3, 634.0],
                landmarks: [[244.1, 374.9], [368.8, 384.2], [276.2, 455.2], [244.2, 523.8], [350.5, 530.7]],
                outline: Cow::Borrowed(&SPEAKING_OUTLINE),
            },
            Self::VicePresident => Portrait {
                face: [416.1, 176.4, 716.5, 578.0],
                landmarks: [[521.7, 322.5], [663.3, 326.6], [600.0, 405.2], [519.5, 461.9], [640.3, 470.7]],
                outline: Cow::Borrowed(&VICE_PRESIDENT_OUTLINE),
            },
            Self::Astronaut => Portrait {
                face: [178.8, 63.1, 269.8, 174.2],
                landmarks: [[201.2, 105.0], [245.2, 104.9], [220.5, 127.2], [203.7, 145.2], [242.3, 145.1]],
                outline: Cow::Borrowed(&ASTRONAUT_OUTLINE),
            },
        }
    }
}

/// Why the pictures cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// Not in the store.
    #[error(transparent)]
    Store(#[from] ModelError),
    /// Not readable as a picture.
    #[error("cannot read the photograph {path}: {reason}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
}

/// Cuts everyone out of their photographs, in the order of [`Photograph::ALL`].
///
/// # Errors
/// [`PhotoError`] naming the photograph.
pub fn cutouts(pictures: &Installed) -> Result<Vec<Cutout>, PhotoError> {
    let cut = |photograph: Photograph| {
        let picture = read(pictures.path(photograph.part())?)?;
        Ok(Cutout::new(&picture, photograph.portrait()))
    };
    Photograph::ALL.into_iter().map(cut).collect()
}

fn read(path: &Path) -> Result<RgbImage, PhotoError> {
    let unreadable = |reason: String| PhotoError::Unreadable { path: path.to_owned(), reason };
    let reader = ImageReader::open(path).map_err(|error| unreadable(error.to_string()))?;
    Ok(reader.decode().map_err(|error| unreadable(error.to_string()))?.into_rgb8())
}

const STANDING_OUTLINE: [[i16; 2]; 75] = [
    [797, 222],
    [758, 222],
    [727, 233],
    [657, 284],
    [626, 323],
    [614, 412],
    [591, 416],
    [583, 428],
    [587, 490],
    [607, 513],
    [634, 517],
    [638, 560],
    [649, 579],
    [649, 626],
    [630, 649],
    [630, 684],
    [607, 688],
    [548, 727],
    [338, 774],
    [311, 805],
    [307, 863],
    [296, 879],
    [296, 902],
    [276, 925],
    [276, 941],
    [292, 957],
    [292, 995],
    [272, 1019],
    [249, 1159],
    [237, 1174],
    [237, 1229],
    [264, 1306],
    [257, 1345],
    [268, 1380],
    [296, 1411],
    [393, 1415],
    [393, 1450],
    [334, 1614],
    [338, 1653],
    [288, 1843],
    [284, 1925],
    [261, 2080],
    [354, 2104],
    [346, 2255],
    [362, 2329],
    [1093, 2329],
    [1108, 2088],
    [1166, 2080],
    [1124, 1637],
    [1085, 1384],
    [1128, 1373],
    [1159, 1341],
    [1194, 1271],
    [1221, 1170],
    [1194, 1139],
    [1186, 1050],
    [1163, 1019],
    [1163, 984],
    [1155, 980],
    [1143, 922],
    [1151, 871],
    [1139, 797],
    [1054, 758],
    [906, 731],
    [852, 688],
    [844, 626],
    [832, 622],
    [832, 607],
    [887, 544],
    [902, 544],
    [922, 498],
    [914, 358],
    [906, 327],
    [871, 268],
    [836, 237],
];

const SPEAKING_OUTLINE: [[i16; 2]; 45] = [
    [426, 176],
    [386, 166],
    [346, 166],
    [308, 174],
    [306, 180],
    [284, 188],
    [260, 206],
    [260, 218],
    [222, 266],
    [212, 300],
    [214, 330],
    [210, 356],
    [204, 358],
    [200, 418],
    [210, 420],
    [206, 468],
    [220, 526],
    [220, 548],
    [228, 556],
    [238, 602],
    [226, 604],
    [218, 616],
    [196, 628],
    [0, 690],
    [0, 1070],
    [624, 1070],
    [624, 674],
    [610, 672],
    [594, 660],
    [574, 654],
    [496, 598],
    [482, 594],
    [468, 576],
    [450, 572],
    [450, 536],
    [464, 500],
    [490, 500],
    [504, 494],
    [532, 440],
    [538, 394],
    [516, 384],
    [526, 320],
    [522, 268],
    [484, 214],
    [454, 190],
];

const VICE_PRESIDENT_OUTLINE: [[i16; 2]; 68] = [
    [624, 107],
    [584, 99],
    [507, 103],
    [448, 136],
    [411, 180],
    [393, 217],
    [382, 283],
    [386, 382],
    [404, 426],
    [419, 430],
    [419, 492],
    [393, 544],
    [378, 544],
    [312, 588],
    [206, 599],
    [96, 624],
    [55, 647],
    [40, 683],
    [40, 1054],
    [62, 1153],
    [92, 1231],
    [110, 1253],
    [103, 1337],
    [81, 1414],
    [73, 1517],
    [59, 1554],
    [66, 1609],
    [44, 1771],
    [40, 2167],
    [66, 2200],
    [797, 2200],
    [797, 2134],
    [808, 2123],
    [812, 2083],
    [830, 2061],
    [834, 2013],
    [929, 2009],
    [955, 1998],
    [937, 1796],
    [889, 1587],
    [889, 1546],
    [900, 1543],
    [900, 1521],
    [860, 1444],
    [827, 1436],
    [823, 1231],
    [900, 1234],
    [966, 1205],
    [966, 911],
    [944, 896],
    [940, 867],
    [929, 856],
    [911, 749],
    [845, 716],
    [808, 687],
    [764, 680],
    [727, 661],
    [698, 661],
    [635, 595],
    [635, 555],
    [672, 514],
    [687, 474],
    [702, 463],
    [753, 290],
    [749, 239],
    [724, 165],
    [705, 143],
    [680, 140],
];

const ASTRONAUT_OUTLINE: [[i16; 2]; 68] = [
    [248, 18],
    [238, 18],
    [237, 16],
    [205, 21],
    [156, 58],
    [153, 68],
    [155, 98],
    [157, 104],
    [170, 116],
    [174, 128],
    [182, 132],
    [183, 147],
    [161, 149],
    [148, 154],
    [141, 154],
    [126, 163],
    [126, 197],
    [124, 205],
    [119, 206],
    [117, 202],
    [113, 202],
    [113, 205],
    [90, 227],
    [76, 235],
    [62, 250],
    [44, 282],
    [39, 306],
    [34, 315],
    [23, 398],
    [23, 431],
    [25, 436],
    [33, 442],
    [38, 455],
    [48, 463],
    [48, 467],
    [58, 475],
    [58, 481],
    [63, 484],
    [61, 511],
    [275, 511],
    [276, 460],
    [282, 433],
    [292, 411],
    [295, 395],
    [332, 359],
    [363, 350],
    [363, 345],
    [360, 344],
    [356, 302],
    [352, 287],
    [347, 282],
    [340, 262],
    [319, 243],
    [303, 233],
    [299, 219],
    [289, 203],
    [276, 189],
    [255, 173],
    [256, 163],
    [264, 149],
    [266, 137],
    [275, 134],
    [290, 117],
    [296, 107],
    [300, 92],
    [296, 58],
    [288, 43],
    [276, 31],
];
