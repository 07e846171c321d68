use super::*;

fn default_with(name: &str, value: ParameterValue) -> Result<Config, ConfigError> {
    Config::default().with_overrides(&[(name, value)])
}

fn text(value: &str) -> ParameterValue {
    ParameterValue::String(value.to_owned())
}

#[test]
fn every_leaf_is_a_parameter_with_a_description() {
    fn leaves(value: &Value) -> usize {
        value.as_object().map_or(1, |fields| fields.values().map(leaves).sum())
    }
    assert_eq!(descriptors().len(), leaves(&Config::default().tree()));
    for d in descriptors() {
        assert!(d.description.len() > 15, "{} needs a doc comment", d.name);
        assert!(!matches!(d.default, ParameterValue::NotSet | ParameterValue::Other(_)), "{} has no ROS type", d.name);
        let is_number = matches!(d.kind, Kind::Integer | Kind::Double);
        assert_eq!(d.range.is_some(), is_number, "{}: a number needs #[schemars(range(min = .., max = ..))]", d.name);
        assert!(d.range.is_none_or(|range| range.min < range.max), "{}", d.name);
        if let Some(last) = d.name.rsplit('_').next().filter(|last| ["secs", "hz", "px", "hours"].contains(last)) {
            assert!(!d.unit.is_empty(), "{}: no unit known for _{last}", d.name);
        }
    }
}

#[test]
fn a_description_has_meaning_range_unit_and_change() {
    let of = |name: &str| descriptor(name).unwrap().description.clone();
    assert_eq!(of("tracker.coast_secs"), "Time that a track lives on its prediction. (0 to 60 s; dynamic)");
    assert_eq!(of("identity.enabled"), "Off: no embedding is computed and every face stays unknown. (fixed)");
    assert!(
        of("detector.score_threshold").ends_with("(0 to 1, or -1: not set; dynamic)"),
        "{}",
        of("detector.score_threshold")
    );
    assert!(of("inference.provider").contains("cuda: CUDA or an error."), "{}", of("inference.provider"));
    assert_eq!(descriptor("inference.provider").unwrap().choices, ["auto", "tensorrt", "cuda", "cpu"]);
}

#[test]
fn values_come_back_as_they_were_set() {
    let cases = [
        ("cameras", ParameterValue::StringArray(vec!["left".into(), "right".into()])),
        ("camera_transport", text("compressed")),
        ("detector.score_threshold", ParameterValue::Double(0.75)),
        ("detector.min_face_px", ParameterValue::Integer(33)),
        ("identity.enabled", ParameterValue::Bool(false)),
        ("dds.domain", ParameterValue::Integer(7)),
    ];
    let config = Config::default().with_overrides(&cases).unwrap();
    for (name, value) in cases {
        assert_eq!(config.parameter(name), Some(value.clone()), "{name}");
        assert!(config.parameters().contains(&(name, value)));
    }
    assert_eq!(config.detector.min_face_px, 33);
    assert_eq!(config.parameter("detector"), None);
}

#[test]
fn the_defaults_are_accepted_as_they_are_printed() {
    let defaults = Config::default();
    assert_eq!(defaults.set_parameters(&defaults.parameters()).unwrap(), defaults);
}

#[test]
fn an_optional_number_is_minus_one_while_it_is_not_set() {
    assert_eq!(Config::default().parameter("detector.score_threshold"), Some(ParameterValue::Double(-1.0)));
    let set = default_with("detector.score_threshold", ParameterValue::Double(0.5)).unwrap();
    let unset = set.with_overrides(&[("detector.score_threshold", ParameterValue::Integer(-1))]).unwrap();
    assert_eq!(unset, Config::default());
    assert!(default_with("tracker.coast_secs", ParameterValue::Double(-1.0)).is_err());
}

#[test]
fn refusals_name_the_parameter_and_the_reason() {
    for (name, value, reason) in [
        ("detector.scor_threshold", ParameterValue::Double(0.5), "did you mean detector.score_threshold?"),
        ("detecter.score_threshold", ParameterValue::Double(0.5), "did you mean detector.score_threshold?"),
        ("coast_secs", ParameterValue::Double(0.5), "did you mean tracker.coast_secs?"),
        ("colour", ParameterValue::Bool(true), "`rostro params` lists them all"),
        ("", ParameterValue::Bool(true), "`rostro params` lists them all"),
        ("detector", ParameterValue::Integer(3), "a section"),
        ("detector.score_threshold", ParameterValue::Double(7.5), "is 7.5, it must be 0 to 1"),
        ("detector.score_threshold", ParameterValue::Double(f64::NAN), "it must be 0 to 1"),
        ("tracker.coast_secs", ParameterValue::Double(f64::INFINITY), "it must be 0 to 60 s"),
        ("detector.score_threshold", text("high"), "must be of type double, got string"),
        ("detector.min_face_px", ParameterValue::Double(20.0), "must be of type integer, got double"),
        ("detector.min_face_px", ParameterValue::Integer(0), "it must be 4 to 2000 px"),
        ("detector.min_face_px", ParameterValue::Integer(i64::MAX), "it must be 4 to 2000 px"),
        ("identity.enabled", ParameterValue::NotSet, "must be of type boolean, got nothing"),
        ("identity.enabled", ParameterValue::Other("byte array"), "got byte array"),
        ("inference.provider", text("gpu"), "one of auto, tensorrt, cuda, cpu"),
        ("output.mode", text("ros4all"), "one of aggregate, ros4hri, ros4hri_standalone"),
        ("output.humans_namespace", text("humans"), "an absolute name"),
        ("output.humans_namespace", text("/humans/"), "an absolute name"),
        ("cameras", ParameterValue::StringArray(vec!["2nd".into()]), "\"2nd\" is not a camera name"),
        ("cameras", ParameterValue::StringArray(vec!["a".into(), "a".into()]), "none of them twice"),
        ("cameras", ParameterValue::StringArray(vec![]), "at least one name"),
    ] {
        let error = default_with(name, value).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(name), "{name}: {error}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let changes = [
        ("coast_secs", ParameterValue::Double(0.5)),
        ("tracker.max_faces", ParameterValue::Integer(8)),
        ("detector.score_threshold", ParameterValue::Double(7.5)),
    ];
    let error = Config::default().with_overrides(&changes).unwrap_err().to_string();
    for told in ["did you mean tracker.coast_secs?", "detector.score_threshold is 7.5, it must be 0 to 1"] {
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_whole_number_may_stand_for_a_real_one() {
    assert_eq!(default_with("tracker.coast_secs", ParameterValue::Integer(2)).unwrap().tracker.coast_secs, 2.0);
}

#[test]
fn off_without_quotes_is_off() {
    let session = default_with("identity.auto_enrol", text("session")).unwrap();
    let off = session.with_overrides(&[("identity.auto_enrol", ParameterValue::Bool(false))]).unwrap();
    assert_eq!(off, Config::default());
    assert!(default_with("identity.auto_enrol", ParameterValue::Bool(true)).is_err());
    assert!(default_with("inference.provider", ParameterValue::Bool(false)).is_err());
}

#[test]
fn all_changes_hold_or_none() {
    let good = ("tracker.coast_secs", ParameterValue::Double(2.0));
    let bad = ("tracker.max_faces", ParameterValue::Integer(0));
    let before = Config::default();
    assert!(before.set_parameters(&[good.clone(), bad]).is_err());
    assert_eq!(before, Config::default());
    let fixed = ("inference.threads", ParameterValue::Integer(2));
    let error = before.set_parameters(&[good.clone(), fixed]).unwrap_err();
    assert_eq!(error, ConfigError::Fixed { parameter: "inference.threads".into() });
    assert_eq!(before.set_parameters(&[good]).unwrap().tracker.coast_secs, 2.0);
    // Setting a fixed one to what it is changes nothing.
    assert!(before.set_parameters(&[("inference.threads", ParameterValue::Integer(1))]).is_ok());
}
