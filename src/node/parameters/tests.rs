use super::*;
use crate::config::parameters::descriptors;
use crate::node::testing::Direct;

/// What a tool does with parameters.
trait Tool {
    fn set(&self, name: &str, value: ParameterValue) -> msg::SetParametersResult;
    fn get(&self, name: &str) -> ParameterValue;
    fn events(&self) -> Vec<msg::ParameterEvent>;
}

impl Tool for Direct {
    fn set(&self, name: &str, value: ParameterValue) -> msg::SetParametersResult {
        let request = msg::SetParametersRequest { parameters: vec![parameter(name.into(), value)] };
        self.call::<_, msg::SetParametersResponse>("set_parameters", &request).results.remove(0)
    }

    fn get(&self, name: &str) -> ParameterValue {
        let request = msg::GetParametersRequest { names: vec![name.into()] };
        (&self.call::<_, msg::GetParametersResponse>("get_parameters", &request).values[0]).into()
    }

    fn events(&self) -> Vec<msg::ParameterEvent> {
        self.take("/parameter_events")
    }
}

fn served() -> (Direct, Arc<Parameters>, Arc<Mutex<Vec<Config>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let parameters = Parameters::new(Config::default(), true, move |config| log.lock().unwrap().push(config.clone()));
    let mut transport = Direct::default();
    assert_eq!(parameters.serve(&mut transport, Clock::simulated()).unwrap().len(), 6);
    (transport, parameters, seen)
}

#[test]
fn a_change_is_applied_announced_and_read_back() {
    let (ros, parameters, seen) = served();
    let start = ros.events();
    assert_eq!(start[0].new_parameters.len(), descriptors().len() + 1);
    assert_eq!(start[0].node, "/robot/rostro");
    assert!(ros.set("tracker.coast_secs", ParameterValue::Double(2.5)).successful);
    assert_eq!(ros.get("tracker.coast_secs"), ParameterValue::Double(2.5));
    assert_eq!(parameters.config().tracker.coast_secs, 2.5);
    assert_eq!(seen.lock().unwrap().len(), 1);
    let events = ros.events();
    let changed: Vec<_> = events[0].changed_parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(changed, ["tracker.coast_secs"]);
    // Setting it to what it is tells nobody anything.
    assert!(ros.set("tracker.coast_secs", ParameterValue::Double(2.5)).successful);
    assert!(ros.events().is_empty() && seen.lock().unwrap().len() == 1);
}

#[test]
fn refusals_carry_their_reason_and_change_nothing() {
    let (ros, parameters, seen) = served();
    for (name, value, reason) in [
        ("tracker.coast_secs", ParameterValue::Double(99.0), "must be 0 to 60 s"),
        ("tracker.coast_secs", ParameterValue::String("long".into()), "must be of type double, got string"),
        ("tracker.cost_secs", ParameterValue::Double(1.0), "did you mean tracker.coast_secs?"),
        ("inference.provider", ParameterValue::String("cpu".into()), "cannot change while the node runs"),
        ("use_sim_time", ParameterValue::Bool(false), "cannot change while the node runs"),
        ("cameras", ParameterValue::StringArray(vec![]), "at least one name"),
    ] {
        let result = ros.set(name, value);
        assert!(!result.successful && result.reason.contains(reason), "{name}: {}", result.reason);
    }
    assert_eq!(parameters.config(), Config::default());
    assert!(seen.lock().unwrap().is_empty());
    // As long as nothing is loaded, everything may change.
    parameters.let_fixed_change(true);
    assert!(ros.set("inference.provider", ParameterValue::String("cpu".into())).successful);
}

#[test]
fn several_hold_each_by_itself_or_all_together() {
    let (ros, parameters, _) = served();
    let good = || parameter("tracker.coast_secs".into(), ParameterValue::Double(2.0));
    let bad = || parameter("tracker.max_faces".into(), ParameterValue::Integer(0));
    let request = msg::SetParametersAtomicallyRequest { parameters: vec![good(), bad()] };
    let answer: msg::SetParametersAtomicallyResponse = ros.call("set_parameters_atomically", &request);
    assert!(!answer.result.successful && answer.result.reason.contains("tracker.max_faces is 0"));
    assert_eq!(parameters.config(), Config::default());

    let request = msg::SetParametersRequest { parameters: vec![good(), bad()] };
    let answer: msg::SetParametersResponse = ros.call("set_parameters", &request);
    assert_eq!(answer.results.iter().map(|r| r.successful).collect::<Vec<_>>(), [true, false]);
    assert_eq!(parameters.config().tracker.coast_secs, 2.0);
}

#[test]
fn names_can_be_listed_by_section_and_depth() {
    let (ros, ..) = served();
    let list = |prefixes: &[&str], depth| -> msg::ListParametersResponse {
        let prefixes = prefixes.iter().map(|&p| p.to_owned()).collect();
        ros.call("list_parameters", &msg::ListParametersRequest { prefixes, depth })
    };
    let all = list(&[], 0);
    assert_eq!(all.names.len(), descriptors().len() + 1);
    assert!(all.names.contains(&"use_sim_time".to_owned()) && all.prefixes.contains(&"tracker".to_owned()));
    assert!(list(&[], 1).names.iter().all(|name| !name.contains('.')));
    let tracker = list(&["tracker"], 0);
    assert!(tracker.names.len() >= 4 && tracker.names.iter().all(|name| name.starts_with("tracker.")));
    assert_eq!(tracker, list(&["tracker"], 1));
    assert_eq!(list(&["tracker.coast_secs"], 1).names, ["tracker.coast_secs"]);
    assert!(list(&["track"], 0).names.is_empty());
}

#[test]
fn a_description_has_type_range_and_meaning() {
    let (ros, parameters, _) = served();
    let describe = |name: &str| -> msg::ParameterDescriptor {
        let request = msg::DescribeParametersRequest { names: vec![name.into()] };
        ros.call::<_, msg::DescribeParametersResponse>("describe_parameters", &request).descriptors.remove(0)
    };
    let coast = describe("tracker.coast_secs");
    assert_eq!((coast.r#type, coast.read_only, coast.additional_constraints.as_str()), (3, false, "0 to 60 s"));
    assert_eq!(coast.floating_point_range, [msg::FloatingPointRange { from_value: 0.0, to_value: 60.0, step: 0.0 }]);
    assert!(coast.description.contains("prediction"));
    let threshold = describe("detector.score_threshold");
    assert_eq!(threshold.floating_point_range[0].from_value, -1.0);
    assert_eq!(describe("tracker.max_faces").integer_range[0].to_value, 1000);
    assert!(describe("cameras").read_only && describe("use_sim_time").read_only);
    parameters.let_fixed_change(true);
    assert!(!describe("cameras").read_only);
    assert_eq!(describe("nothing").r#type, 0);
    let types: msg::GetParameterTypesResponse = ros.call(
        "get_parameter_types",
        &msg::GetParameterTypesRequest { names: vec!["cameras".into(), "nothing".into(), "use_sim_time".into()] },
    );
    assert_eq!(types.types, [9, 0, 1]);
    assert_eq!(ros.get("nothing"), ParameterValue::NotSet);
}

#[test]
fn bytes_that_are_no_request_get_no_answer() {
    let (ros, parameters, _) = served();
    for service in ["set_parameters", "get_parameters", "list_parameters"] {
        for bytes in [&[][..], &[0, 1, 0, 0], &[0, 1, 0, 0, 255, 255, 255, 255, 0]] {
            assert!(ros.send(service, bytes).answer::<msg::ParameterEvent>().is_none(), "{service}");
        }
    }
    assert_eq!(parameters.config(), Config::default());
}
