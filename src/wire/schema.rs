//! The text of the message definitions, as bags carry it beside the messages.

/// Definitions by `package/Type`. Those of the standard packages are bare: their packages document
/// them.
const DEFINITIONS: [(&str, &str); 13] = [
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
