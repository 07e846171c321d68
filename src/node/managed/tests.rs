use super::*;
use crate::gallery::{NewPerson, StoredGallery};
use crate::node::testing::Direct;
use crate::testing::{references, stages, tag};
use crate::time::Stamp;
use crate::wire::messages;
use crate::wire::parameters as params;
use std::sync::atomic::{AtomicBool, Ordering};

fn line(config: &Config) -> Pipeline {
    Pipeline::new(config.clone(), stages())
}

/// A node in a middleware of its own.
struct Robot {
    ros: Direct,
    node: Managed,
}

impl Robot {
    fn new(loader: impl Fn(&Config) -> anyhow::Result<Pipeline> + Send + Sync + 'static) -> Self {
        let mut ros = Direct::default();
        let node = Managed::new(&mut ros, Config::default(), false, Arc::new(loader)).unwrap();
        Self { ros, node }
    }

    fn label(&self) -> String {
        let answer: msg::GetStateResponse = self.ros.call("get_state", &msg::GetStateRequest::default());
        answer.current_state.label
    }

    fn ask(&self, label: &str) -> crate::node::testing::Pending {
        let transition = msg::Transition { id: 0, label: label.to_owned() };
        self.ros.ask("change_state", &msg::ChangeStateRequest { transition })
    }

    fn change(&mut self, label: &str) -> bool {
        let pending = self.ask(label);
        for _ in 0..2000 {
            self.node.tick(&mut self.ros);
            if let Some(msg::ChangeStateResponse { success }) = pending.answer() {
                return success;
            }
            runtime::sleep(Duration::from_millis(5));
        }
        panic!("{label} was not answered");
    }

    /// The states that were passed since the last time.
    fn passed(&self) -> Vec<String> {
        let events: Vec<msg::TransitionEvent> = self.ros.take("~/transition_event");
        assert!(events.iter().all(|event| event.timestamp > 0));
        events.into_iter().map(|event| event.goal_state.label).collect()
    }

    fn possible(&self, service: &str) -> Vec<String> {
        let request = msg::GetAvailableTransitionsRequest::default();
        let answer: msg::GetAvailableTransitionsResponse = self.ros.call(service, &request);
        answer.available_transitions.into_iter().map(|t| t.transition.label).collect()
    }
}

#[test]
fn a_node_is_led_through_every_state_and_tells_each() {
    let mut robot = Robot::new(|config| Ok(line(config)));
    assert_eq!(robot.label(), "unconfigured");
    for (label, passes) in [
        ("configure", ["configuring", "inactive"]),
        ("activate", ["activating", "active"]),
        ("deactivate", ["deactivating", "inactive"]),
        ("cleanup", ["cleaningup", "unconfigured"]),
        ("configure", ["configuring", "inactive"]),
        ("activate", ["activating", "active"]),
        ("shutdown", ["shuttingdown", "finalized"]),
    ] {
        assert!(robot.change(label), "{label}");
        assert_eq!(robot.passed(), passes, "{label}");
        assert_eq!(robot.label(), passes[1]);
    }
    assert!(robot.possible("get_available_transitions").is_empty());
    // The end of the program finds nothing more to do.
    robot.node.end(&mut robot.ros).unwrap();
}

#[test]
fn illegal_requests_are_refused_and_change_nothing() {
    let mut robot = Robot::new(|config| Ok(line(config)));
    assert_eq!(robot.possible("get_available_transitions"), ["configure", "shutdown"]);
    assert_eq!(robot.possible("get_transition_graph").len(), 25);
    for label in ["activate", "deactivate", "cleanup", "transition_success", "fly"] {
        assert!(!robot.change(label), "{label}");
    }
    assert!(robot.change("configure"));
    assert!(!robot.change("configure") && !robot.change("deactivate"));
    assert_eq!(robot.label(), "inactive");
    assert_eq!(robot.passed(), ["configuring", "inactive"]);
}

#[test]
fn models_that_cannot_be_loaded_leave_the_node_unconfigured_and_it_can_be_tried_again() {
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let mut robot = Robot::new(move |config| {
        if works.load(Ordering::Relaxed) { Ok(line(config)) } else { anyhow::bail!("model mtcnn is missing") }
    });
    assert!(!robot.change("configure"));
    assert_eq!(robot.passed(), ["configuring", "unconfigured"]);
    assert!(robot.node.trouble.as_ref().unwrap().contains("model mtcnn is missing"));
    switch.store(true, Ordering::Relaxed);
    assert!(robot.change("configure"));
}

#[test]
fn a_panic_while_loading_goes_through_error_processing() {
    let mut robot = Robot::new(|_| panic!("a broken model"));
    assert!(!robot.change("configure"));
    assert_eq!(robot.passed(), ["configuring", "errorprocessing", "unconfigured"]);
    assert!(robot.node.start(&mut robot.ros, &StopSignal::default()).is_err());
}

#[test]
fn the_node_answers_while_it_loads() {
    let go_on = Arc::new(AtomicBool::new(false));
    let wait = Arc::clone(&go_on);
    let mut robot = Robot::new(move |config| {
        while !wait.load(Ordering::Relaxed) {
            runtime::sleep(Duration::from_millis(1));
        }
        Ok(line(config))
    });
    let configured = robot.ask("configure");
    robot.node.tick(&mut robot.ros);
    assert_eq!(robot.label(), "configuring");
    // Nothing else can begin meanwhile, and what is being loaded cannot change.
    assert!(!robot.change("shutdown") && configured.answer::<msg::ChangeStateResponse>().is_none());
    let value = crate::config::parameters::ParameterValue::String("cpu".into()).into();
    let parameters = vec![params::Parameter { name: "inference.provider".into(), value }];
    let set = params::SetParametersRequest { parameters };
    let refused: params::SetParametersResponse = robot.ros.call("set_parameters", &set);
    assert!(refused.results[0].reason.contains("cannot change while the node runs"));
    go_on.store(true, Ordering::Relaxed);
    while configured.answer::<msg::ChangeStateResponse>().is_none() {
        robot.node.tick(&mut robot.ros);
    }
    assert_eq!(robot.label(), "inactive");
    // Unconfigured again, it may.
    assert!(robot.change("cleanup"));
    let accepted: params::SetParametersResponse = robot.ros.call("set_parameters", &set);
    assert!(accepted.results[0].successful);
    assert!(robot.change("configure"));
    assert_eq!(robot.node.node.config().inference.provider, crate::config::Provider::Cpu);
}

#[test]
fn a_changed_parameter_reaches_the_node() {
    let mut robot = Robot::new(|config| Ok(line(config)));
    robot.node.start(&mut robot.ros, &StopSignal::default()).unwrap();
    assert_eq!(robot.label(), "active");
    let value = crate::config::parameters::ParameterValue::Double(2.5).into();
    let parameters = vec![params::Parameter { name: "tracker.coast_secs".into(), value }];
    let set: params::SetParametersResponse =
        robot.ros.call("set_parameters", &params::SetParametersRequest { parameters });
    assert!(set.results[0].successful);
    robot.node.tick(&mut robot.ros);
    assert_eq!(robot.node.node.config().tracker.coast_secs, 2.5);
    robot.node.end(&mut robot.ros).unwrap();
}

#[test]
fn an_inactive_node_does_not_go_on_telling_who_was_forgotten_by_another_program() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.db");
    let mut other = StoredGallery::open(&file, &tag()).unwrap();
    let create = |gallery: &mut StoredGallery, who: usize, name: &str| {
        let looks = references(who, [0.9], Stamp::default());
        gallery.create(&NewPerson { name: name.into(), ..NewPerson::default() }, &looks).unwrap()
    };
    let people = [(0, "Anna"), (1, "Ben"), (2, "Cleo")].map(|(who, name)| create(&mut other, who, name));
    let mut robot = Robot::new(move |config| {
        let mut line = line(config);
        line.open_gallery(&file)?;
        Ok(line)
    });
    let known = |robot: &mut Robot| {
        for _ in 0..1000 {
            robot.node.tick(&mut robot.ros);
            let told: Vec<messages::KnownPeople> = robot.ros.take("~/known_people");
            if let Some(last) = told.last() {
                let mut names: Vec<_> = last.people.iter().map(|person| person.name.clone()).collect();
                names.sort();
                return names;
            }
            runtime::sleep(Duration::from_millis(5));
        }
        panic!("nothing was said of the people known");
    };
    assert!(robot.change("configure"));
    runtime::sleep(Duration::from_millis(1100));
    robot.node.tick(&mut robot.ros);
    assert!(robot.ros.take::<messages::KnownPeople>("~/known_people").is_empty(), "nothing before it was active");
    assert!(robot.change("activate"));
    assert_eq!(known(&mut robot), ["Anna", "Ben", "Cleo"]);
    assert!(robot.change("deactivate"));
    for person in &people[..2] {
        other.forget(*person).unwrap();
    }
    create(&mut other, 3, "Dora");
    assert_eq!(known(&mut robot), ["Cleo"], "who came meanwhile is told when it is active again");
    let forgotten: Vec<messages::PersonEvent> = robot.ros.take("~/events");
    assert_eq!(forgotten.len(), 2);
    // The topic is offered anew, once, without its past.
    robot.node.tick(&mut robot.ros);
    let offered = robot.ros.advertised.iter().filter(|topic| topic.ends_with("/events")).count();
    assert_eq!(offered, 2);
    assert!(robot.change("activate"));
    assert_eq!(known(&mut robot), ["Cleo", "Dora"]);
}
