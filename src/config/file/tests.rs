use super::*;

#[test]
fn the_same_settings_read_from_a_plain_tree_and_from_ros_files() {
    let plain = "detector:\n  min_face_px: 10\n  score_threshold: 0.8\ntracker:\n  coast_secs: 2.0\n";
    let ros = "/**:\n  ros__parameters:\n    use_sim_time: true\n    detector.min_face_px: 10\n    detector.score_threshold: 0.8\n    tracker: {coast_secs: 2.0}\n";
    let config = Config::from_yaml(plain).unwrap();
    assert_eq!(config.detector.min_face_px, 10);
    assert_eq!(Config::from_yaml(ros).unwrap(), config);
    for nothing in ["", "# nothing\n", "detector:\n", "/**:\n  ros__parameters:\n", "identity: {min_margin: null}"] {
        assert_eq!(Config::from_yaml(nothing).unwrap(), Config::default(), "{nothing}");
    }
}

#[test]
fn of_a_file_for_a_whole_robot_the_own_sections_count() {
    let file = "/**:\n  ros__parameters: {use_sim_time: true, tracker: {coast_secs: 3.0, max_faces: 4}}\n\
                /robot1/rostro:\n  ros__parameters: {tracker.coast_secs: 2.0}\n\
                slam:\n  ros__parameters: {resolution: 0.05}\n";
    let config = Config::from_yaml(file).unwrap();
    assert_eq!((config.tracker.coast_secs, config.tracker.max_faces), (2.0, 4));
}

#[test]
fn misspelt_names_and_impossible_values_are_refused_by_name() {
    for (text, named) in [
        ("emotion: {cameras: [elsewhere]}", "emotion.cameras"),
        ("emotion: {rate_hz: 0.0}", "emotion.rate_hz"),
        ("detector: {scor_threshold: 0.5}", "did you mean detector.score_threshold"),
        ("detector: {score_threshold: 7.5}", "0 to 1"),
        ("detector: {min_face_px: 0}", "detector.min_face_px"),
        ("detector: 5", "detector is a section"),
        ("detector: {model: {name: mtcnn}}", "detector.model.name"),
        ("identity: {looks_hz: 0.0}", "identity.looks_hz"),
        ("identity: {looks_hz: [1.0]}", "identity.looks_hz must be of type double"),
        ("tracker: {coast_secs: -1.0}", "tracker.coast_secs"),
        ("tracker: {coast_secs: 1.0}\ntracker.coast_secs: 2.0", "given twice"),
        ("inference: {provider: gpu}", "gpu"),
        ("cameras: [left, left]", "cameras"),
        ("cameras: [2nd]", "2nd"),
        ("a: {ros__parameters: {}}\nb: {ros__parameters: {}}", "one node"),
        ("/y/rostro: {ros__parameters: {}}\n/x/rostro: {ros__parameters: {}}", "two sections"),
        ("a: {ros__parameters: 3}", "holds no parameters"),
        ("- a\n- b", "name: value"),
        ("detector: [", ""),
    ] {
        let error = Config::from_yaml(text).unwrap_err().to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn a_written_configuration_reads_back() {
    let mut config = Config::default();
    assert_eq!(Config::from_yaml(&config.to_commented_yaml()).unwrap(), config);
    config.detector.model = "a \"quoted\" \\ name: # é\n".into();
    config.tracker.coast_secs = 1e-7;
    config.dds.domain = Some(0);
    assert_eq!(Config::from_yaml(&config.to_commented_yaml()).unwrap(), config);
}

#[test]
fn the_written_file_documents_every_parameter() {
    let text = Config::default().to_commented_yaml();
    for descriptor in descriptors() {
        let key = descriptor.name.rsplit('.').next().unwrap_or_default();
        assert!(text.contains(&format!("{key}: ")), "{}", descriptor.name);
    }
    assert!(
        text.contains("# Time that a track lives on its prediction. (0 to 60 s; dynamic)\n      coast_secs: 1.5\n")
    );
    assert!(text.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn single_values_have_the_types_that_ros_gives_them() {
    let of = |text: &str| ParameterValue::from_yaml(text).unwrap();
    assert_eq!(of("true"), ParameterValue::Bool(true));
    assert_eq!(of("3"), ParameterValue::Integer(3));
    assert_eq!(of("3.0"), ParameterValue::Double(3.0));
    assert_eq!(of("cuda"), ParameterValue::String("cuda".into()));
    assert_eq!(of("'3'"), ParameterValue::String("3".into()));
    assert_eq!(of("[left, right]"), ParameterValue::StringArray(vec!["left".into(), "right".into()]));
    assert_eq!(of(""), ParameterValue::NotSet);
    assert!(ParameterValue::from_yaml("[").is_err());
}

#[test]
fn a_file_tells_also_what_is_ros_s_own() {
    let found = parameters_in("/**:\n  ros__parameters: {use_sim_time: true, tracker: {coast_secs: 2.0}}\n", NODE_NAME)
        .unwrap();
    assert_eq!(
        found,
        [
            ("tracker.coast_secs".to_owned(), ParameterValue::Double(2.0)),
            ("use_sim_time".to_owned(), ParameterValue::Bool(true)),
        ]
    );
}

#[test]
fn a_file_for_several_robots_goes_by_the_node_s_full_name() {
    let text = "/left/rostro:\n  ros__parameters: {tracker: {coast_secs: 2.0}}\n\
                /right/rostro:\n  ros__parameters: {tracker: {coast_secs: 3.0}}\n\
                face:\n  ros__parameters: {tracker: {coast_secs: 4.0}}\n";
    for (node, secs) in [("/left/rostro", 2.0), ("/right/rostro", 3.0), ("/face", 4.0), ("/robot/face", 4.0)] {
        let expected = ("tracker.coast_secs".to_owned(), ParameterValue::Double(secs));
        assert_eq!(parameters_in(text, node).unwrap(), [expected], "{node}");
    }
    for unclear in ["/rostro", "/nobody"] {
        assert!(parameters_in(text, unclear).is_err(), "{unclear}");
    }
}
