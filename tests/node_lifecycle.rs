//! A node led through its states from outside, as `ros2 lifecycle` and lifecycle managers do it.

use crate::node_support::{LiveNode, Peer, own_domain, photograph, wait_until, write_raw};
use crate::replay::folder;
use crate::support::runtime;
use serde_json::{Value, json};

fn state(peer: &mut Peer) -> String {
    let answer = peer.call("/rostro/get_state", "GetState", json!({}));
    answer["current_state"]["label"].as_str().unwrap().to_owned()
}

/// Asks for a transition by label, or by number where the label is empty; whether it was made.
fn change(peer: &mut Peer, id: u8, label: &str) -> bool {
    let request = json!({"transition": {"id": id, "label": label}});
    peer.call("/rostro/change_state", "ChangeState", request)["success"].as_bool().unwrap()
}

fn transitions(peer: &mut Peer, service: &str) -> Vec<String> {
    let answer = peer.call(service, "GetAvailableTransitions", json!({}));
    let found = answer["available_transitions"].as_array().unwrap().iter();
    found.map(|each| each["transition"]["label"].as_str().unwrap().to_owned()).collect()
}

fn set_parameter(peer: &mut Peer, name: &str, value: &Value) -> Value {
    let request = json!({"parameters": [{"name": name, "value": value}]});
    peer.call("/rostro/set_parameters", "SetParameters", request)["results"][0].clone()
}

/// "start>goal", for every step since the last call; waits for `count`, since events come beside the answers.
fn steps(peer: &mut Peer, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    wait_until("steps", || {
        events.extend(peer.take("/rostro/transition_event"));
        events.len() >= count
    });
    let label = |event: &Value, side: &str| event[side]["label"].as_str().unwrap().to_owned();
    events.iter().map(|event| format!("{}>{}", label(event, "start_state"), label(event, "goal_state"))).collect()
}

#[test]
fn a_managed_node_goes_where_it_is_led() {
    const TEST: &str = "node_lifecycle";
    let (Some(picture), Some(_)) = (photograph(TEST), runtime(TEST)) else { return };
    let folder = folder(TEST);
    let domain = own_domain();
    let Some(mut peer) = Peer::start(TEST, domain) else { return };
    let parameters = "autostart: false\ncamera_reliability: reliable\nprocessing: {max_age_secs: 0.0}\n";
    let mut node = LiveNode::spawn(domain, &folder, parameters, &[]);
    node.wait_for_log("is there");
    peer.listen("/rostro/transition_event", "TransitionEvent", false);
    peer.listen("/rostro/people", "People", false);

    // It waits, and says what it could do.
    assert_eq!(state(&mut peer), "unconfigured");
    assert_eq!(transitions(&mut peer, "/rostro/get_available_transitions"), ["configure", "shutdown"]);
    assert_eq!(transitions(&mut peer, "/rostro/get_transition_graph").len(), 25);
    let states = peer.call("/rostro/get_available_states", "GetAvailableStates", json!({}));
    assert_eq!(states["available_states"].as_array().unwrap().len(), 10);
    let refused = peer.call("/rostro/set_name", "SetName", json!({"person_id": "aaaaaaaa", "name": "x"}));
    assert_eq!(refused["message"], "the node is not active");

    // What leads nowhere from here is refused and changes nothing.
    for (id, label) in [(3, ""), (0, "deactivate"), (2, "cleanup"), (10, ""), (0, "fly")] {
        assert!(!change(&mut peer, id, label), "{id} {label}");
    }
    assert_eq!((state(&mut peer).as_str(), steps(&mut peer, 0)), ("unconfigured", vec![]));
    node.wait_for_log("transition 3 is not possible while unconfigured; possible: configure, shutdown");

    // A model that is not there: a failure, after which it can be put right, since nothing is loaded yet.
    let set = set_parameter(&mut peer, "detector.model", &json!({"type": 4, "string_value": "nosuchmodel"}));
    assert_eq!(set["successful"], true, "{set}");
    assert!(!change(&mut peer, 1, ""));
    assert_eq!(state(&mut peer), "unconfigured");
    assert_eq!(steps(&mut peer, 2), ["unconfigured>configuring", "configuring>unconfigured"]);
    node.wait_for_log("nosuchmodel");
    let default = rostro::config::Config::default().detector.model;
    let set = set_parameter(&mut peer, "detector.model", &json!({"type": 4, "string_value": default}));
    assert_eq!(set["successful"], true, "{set}");

    assert!(change(&mut peer, 1, "configure"));
    assert_eq!((state(&mut peer).as_str(), steps(&mut peer, 2).len()), ("inactive", 2));
    assert_eq!(transitions(&mut peer, "/rostro/get_available_transitions"), ["cleanup", "activate", "shutdown"]);
    let fixed = set_parameter(&mut peer, "detector.model", &json!({"type": 4, "string_value": "other"}));
    assert_eq!(fixed["successful"], false, "{fixed}");
    assert!(fixed["reason"].as_str().unwrap().contains("detector.model"), "{fixed}");

    // Images are looked at while it is active, and only then.
    let frames = write_raw(&folder.join("frames"), &[picture], "rgb8");
    peer.publish("/camera/image", &frames, 10.0, 6000);
    let observed = |messages: Vec<Value>| messages.iter().any(|m| m["people"][0]["observed"] == true);
    for _ in 0..2 {
        assert!(change(&mut peer, 3, ""));
        assert_eq!(state(&mut peer), "active");
        wait_until("people", || observed(peer.take("/rostro/people")));
        assert!(!change(&mut peer, 1, "configure") && !change(&mut peer, 2, "cleanup"));
        assert!(change(&mut peer, 4, ""));
        let mut last = Value::Null;
        wait_until("a last message that says that nobody is seen", || {
            last = peer.take("/rostro/people").pop().unwrap_or(last.take());
            last["people"] == json!([])
        });
        rostro::runtime::sleep(std::time::Duration::from_millis(300));
        assert_eq!(peer.take("/rostro/people"), Vec::<Value>::new());
        let there_and_back =
            ["inactive>activating", "activating>active", "active>deactivating", "deactivating>inactive"];
        assert_eq!(steps(&mut peer, 4), there_and_back);
    }

    // Freed, loaded again, and ended from the active state; the process stays until it is asked to go.
    assert!(change(&mut peer, 0, "cleanup"));
    assert_eq!(state(&mut peer), "unconfigured");
    assert!(change(&mut peer, 0, "configure") && change(&mut peer, 0, "activate"));
    wait_until("people again", || observed(peer.take("/rostro/people")));
    // A detector that is asked for more than it can give finds nobody from the next image on.
    let set = set_parameter(&mut peer, "detector.score_threshold", &json!({"type": 3, "double_value": 1.0}));
    assert_eq!(set["successful"], true, "{set}");
    wait_until("nobody", || peer.take("/rostro/people").last().is_some_and(|last| last["people"] == json!([])));
    assert!(change(&mut peer, 7, ""));
    assert_eq!(state(&mut peer), "finalized");
    assert_eq!(transitions(&mut peer, "/rostro/get_available_transitions"), Vec::<String>::new());
    assert!(!change(&mut peer, 1, "configure"));
    assert_eq!(steps(&mut peer, 8).last().unwrap(), "shuttingdown>finalized");
    node.assert_alive();
    // Of a client inside the node, `-v` tells nothing.
    assert!(!node.log().contains("ros2_client") && !node.log().contains("rustdds"), "{}", node.log());
    // A launcher and its terminal both say it: that is no second, harder request.
    node.signal("INT");
    assert!(node.end("INT").success());
}

#[test]
fn a_node_that_never_saw_a_camera_can_be_shut_down() {
    const TEST: &str = "node_shutdown";
    let Some(_) = runtime(TEST) else { return };
    let folder = folder(TEST);
    // By its own number each, and by the label that all three share.
    for (from, id, label) in [("unconfigured", 5, ""), ("unconfigured", 0, "shutdown"), ("inactive", 6, "")] {
        let domain = own_domain();
        let Some(mut peer) = Peer::start(TEST, domain) else { return };
        let mut node = LiveNode::spawn(domain, &folder, "autostart: false\n", &[]);
        node.wait_for_log("is there");
        peer.listen("/rostro/transition_event", "TransitionEvent", false);
        if from == "inactive" {
            assert!(change(&mut peer, 1, ""));
        }
        assert_eq!(state(&mut peer), from);
        // Those of other states lead nowhere.
        for other in [5, 6, 7].into_iter().filter(|other| *other != id && label.is_empty()) {
            assert!(!change(&mut peer, other, ""), "{other} while {from}");
        }
        assert!(change(&mut peer, id, label));
        assert_eq!(state(&mut peer), "finalized");
        let steps = steps(&mut peer, if from == "inactive" { 4 } else { 2 });
        assert_eq!(steps[steps.len() - 2..], [format!("{from}>shuttingdown"), "shuttingdown>finalized".to_owned()]);
        assert!(node.end("TERM").success());
    }
}
