//! The text of the message definitions, as bags carry it beside the messages.

/// Definitions by `package/Type`. Those of the standard packages are bare: their packages document
/// them.
const DEFINITIONS: [(&str, &str); 42] = [
    ("rostro/People", include_str!("../../msg/People.msg")),
    ("rostro/Person", include_str!("../../msg/Person.msg")),
    ("rostro/PersonEvent", include_str!("../../msg/PersonEvent.msg")),
    ("rostro/PersonRecord", include_str!("../../msg/PersonRecord.msg")),
    ("rostro/KnownPeople", include_str!("../../msg/KnownPeople.msg")),
    ("builtin_interfaces/Time", "int32 sec\nuint32 nanosec\n"),
    ("builtin_interfaces/Duration", "int32 sec\nuint32 nanosec\n"),
    ("std_msgs/Header", "builtin_interfaces/Time stamp\nstring frame_id\n"),
    ("geometry_msgs/Point", "float64 x\nfloat64 y\nfloat64 z\n"),
    ("geometry_msgs/Quaternion", "float64 x 0\nfloat64 y 0\nfloat64 z 0\nfloat64 w 1\n"),
    ("geometry_msgs/Pose", "Point position\nQuaternion orientation\n"),
    (
        "sensor_msgs/Image",
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data\n",
    ),
    ("sensor_msgs/CompressedImage", "std_msgs/Header header\nstring format\nuint8[] data\n"),
    ("std_msgs/Bool", "bool data\n"),
    ("std_msgs/Float32", "float32 data\n"),
    ("std_msgs/String", "string data\n"),
    ("geometry_msgs/Vector3", "float64 x\nfloat64 y\nfloat64 z\n"),
    ("geometry_msgs/Transform", "Vector3 translation\nQuaternion rotation\n"),
    ("geometry_msgs/TransformStamped", "std_msgs/Header header\nstring child_frame_id\nTransform transform\n"),
    ("geometry_msgs/PoseStamped", "std_msgs/Header header\nPose pose\n"),
    ("geometry_msgs/PoseWithCovariance", "Pose pose\nfloat64[36] covariance\n"),
    ("tf2_msgs/TFMessage", "geometry_msgs/TransformStamped[] transforms\n"),
    ("hri_msgs/IdsList", "std_msgs/Header header\nstring[] ids\n"),
    ("hri_msgs/IdsMatch", "string id1\nint8 id1_type\nstring id2\nint8 id2_type\nfloat32 confidence\n"),
    (
        "hri_msgs/NormalizedRegionOfInterest2D",
        "std_msgs/Header header\nfloat32 xmin\nfloat32 ymin\nfloat32 xmax\nfloat32 ymax\nfloat32 c\n",
    ),
    ("hri_msgs/NormalizedPointOfInterest2D", "float32 x\nfloat32 y\nfloat32 c\n"),
    (
        "hri_msgs/FacialLandmarks",
        "std_msgs/Header header\nNormalizedPointOfInterest2D[70] landmarks\nuint32 height\nuint32 width\n",
    ),
    (
        "hri_msgs/Expression",
        "std_msgs/Header header\nstring expression\nfloat32 valence\nfloat32 arousal\nfloat32 confidence\n",
    ),
    ("hri_msgs/EngagementLevel", "std_msgs/Header header\nuint8 level\n"),
    ("vision_msgs/Point2D", "float64 x\nfloat64 y\n"),
    ("vision_msgs/Pose2D", "Point2D position\nfloat64 theta\n"),
    ("vision_msgs/BoundingBox2D", "Pose2D center\nfloat64 size_x\nfloat64 size_y\n"),
    ("vision_msgs/ObjectHypothesis", "string class_id\nfloat64 score\n"),
    ("vision_msgs/ObjectHypothesisWithPose", "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"),
    (
        "vision_msgs/Detection2D",
        "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox2D bbox\nstring id\n",
    ),
    ("vision_msgs/Detection2DArray", "std_msgs/Header header\nDetection2D[] detections\n"),
    ("foxglove_msgs/Point2", "float64 x\nfloat64 y\n"),
    ("foxglove_msgs/Color", "float64 r\nfloat64 g\nfloat64 b\nfloat64 a\n"),
    (
        "foxglove_msgs/CircleAnnotation",
        "builtin_interfaces/Time timestamp\nPoint2 position\nfloat64 diameter\nfloat64 thickness\nColor fill_color\n\
         Color outline_color\n",
    ),
    (
        "foxglove_msgs/PointsAnnotation",
        "builtin_interfaces/Time timestamp\nuint8 type\nPoint2[] points\nColor outline_color\n\
         Color[] outline_colors\nColor fill_color\nfloat64 thickness\n",
    ),
    (
        "foxglove_msgs/TextAnnotation",
        "builtin_interfaces/Time timestamp\nPoint2 position\nstring text\nfloat64 font_size\nColor text_color\n\
         Color background_color\n",
    ),
    (
        "foxglove_msgs/ImageAnnotations",
        "CircleAnnotation[] circles\nPointsAnnotation[] points\nTextAnnotation[] texts\n",
    ),
];

const SEPARATOR: &str = "================================================================================\n";

/// The definition of a message and of everything it contains, in the form that MCAP calls
/// `ros2msg`: the message's own text, then each contained type once, after a line of `=` and a line
/// `MSG: package/Type`. `name` is `package/msg/Type` or `package/Type`; `None` when it is not one of
/// the messages here.
pub fn schema(name: &str) -> Option<String> {
    let mut types = vec![definition(&name.replacen("/msg/", "/", 1))?];
    // The list grows while it is read: contained types follow in the order they are met.
    let mut next = 0;
    while let Some(&(name, text)) = types.get(next) {
        for contained in contained_types(name, text) {
            let contained = definition(&contained)?;
            if !types.contains(&contained) {
                types.push(contained);
            }
        }
        next += 1;
    }
    let (_, own) = types[0];
    let contained = types[1..].iter().map(|(name, text)| format!("{SEPARATOR}MSG: {name}\n{text}"));
    Some(std::iter::once(own.to_owned()).chain(contained).collect())
}

fn definition(name: &str) -> Option<(&'static str, &'static str)> {
    DEFINITIONS.into_iter().find(|(known, _)| *known == name)
}

/// Full names of the message types among the fields; ROS spells only those with a capital.
fn contained_types<'a>(name: &'a str, text: &'a str) -> impl Iterator<Item = String> + 'a {
    let package = name.split('/').next().unwrap_or_default();
    let types = text.lines().filter_map(|line| line.split('#').next()?.split_whitespace().next());
    types.filter_map(move |field| {
        let element = field.split('[').next()?;
        let short = element.rsplit('/').next()?;
        let full = if element.contains('/') { element.to_owned() } else { format!("{package}/{element}") };
        short.starts_with(char::is_uppercase).then_some(full)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_contained_type_follows_once() {
        let text = schema("rostro/msg/People").unwrap();
        let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("MSG: ")).collect();
        assert_eq!(
            names,
            [
                "std_msgs/Header",
                "builtin_interfaces/Duration",
                "rostro/Person",
                "builtin_interfaces/Time",
                "geometry_msgs/Pose",
                "geometry_msgs/Point",
                "geometry_msgs/Quaternion",
            ]
        );
        assert!(text.starts_with(include_str!("../../msg/People.msg")));
        assert_eq!(text.lines().filter(|line| *line == "=".repeat(80)).count(), names.len());
        assert_eq!(schema("rostro/People"), Some(text));
        assert_eq!(schema("rostro/msg/Robot"), None);
    }

    #[test]
    fn every_definition_is_complete() {
        for (name, _) in DEFINITIONS {
            assert!(schema(name).is_some(), "{name} contains a type that is not here");
        }
    }
}
