//! The states of a managed node and the ways between them, as `rcl_lifecycle` has them; what is done
//! on the way is the caller's.
//!
//! A transition has two steps: it begins (`configure` leads from *unconfigured* to *configuring*)
//! and it ends with success, failure or an error. An error leads to *error processing*, which ends
//! in turn.

use crate::wire::lifecycle as msg;

/// A state; the numbers are those of `lifecycle_msgs/msg/State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Parameters may be set, nothing is loaded.
    Unconfigured = 1,
    /// Loaded, without input; all that is said is who was forgotten.
    Inactive = 2,
    /// At work.
    Active = 3,
    /// The end.
    Finalized = 4,
    /// Loading.
    Configuring = 10,
    /// Freeing.
    CleaningUp = 11,
    /// Ending.
    ShuttingDown = 12,
    /// Starting.
    Activating = 13,
    /// Stopping.
    Deactivating = 14,
    /// Putting things right after an error.
    ErrorProcessing = 15,
}

/// How the work of a transition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success,
    /// Not done, and everything is as it was.
    Failure,
    /// Not done, and it is unknown how things stand.
    Error,
}

/// One edge of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Number in `lifecycle_msgs/msg/Transition`.
    pub id: u8,
    /// Name, for people and for requests.
    pub label: &'static str,
    /// From.
    pub start: State,
    /// To.
    pub goal: State,
}

/// A transition that is not there from the present state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transition {wanted} is not possible while {state}; possible: {possible}")]
pub struct Illegal {
    /// Label or number asked for.
    pub wanted: String,
    /// Present state.
    pub state: &'static str,
    /// What could be asked for.
    pub possible: String,
}

/// A node's place in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    state: State,
}

const STATES: [State; 10] = [
    State::Unconfigured,
    State::Inactive,
    State::Active,
    State::Finalized,
    State::Configuring,
    State::CleaningUp,
    State::ShuttingDown,
    State::Activating,
    State::Deactivating,
    State::ErrorProcessing,
];

const SUCCESS: &str = "transition_success";
const FAILURE: &str = "transition_failure";
const ERROR: &str = "transition_error";

const fn edge(id: u8, label: &'static str, start: State, goal: State) -> Transition {
    Transition { id, label, start, goal }
}

/// Every edge. Those that a state machine takes by itself carry the label of their outcome.
const TRANSITIONS: [Transition; 25] = [
    edge(1, "configure", State::Unconfigured, State::Configuring),
    edge(10, SUCCESS, State::Configuring, State::Inactive),
    edge(11, FAILURE, State::Configuring, State::Unconfigured),
    edge(12, ERROR, State::Configuring, State::ErrorProcessing),
    edge(2, "cleanup", State::Inactive, State::CleaningUp),
    edge(20, SUCCESS, State::CleaningUp, State::Unconfigured),
    edge(21, FAILURE, State::CleaningUp, State::Inactive),
    edge(22, ERROR, State::CleaningUp, State::ErrorProcessing),
    edge(3, "activate", State::Inactive, State::Activating),
    edge(30, SUCCESS, State::Activating, State::Active),
    edge(31, FAILURE, State::Activating, State::Inactive),
    edge(32, ERROR, State::Activating, State::ErrorProcessing),
    edge(4, "deactivate", State::Active, State::Deactivating),
    edge(40, SUCCESS, State::Deactivating, State::Inactive),
    edge(41, FAILURE, State::Deactivating, State::Active),
    edge(42, ERROR, State::Deactivating, State::ErrorProcessing),
    edge(5, "shutdown", State::Unconfigured, State::ShuttingDown),
    edge(6, "shutdown", State::Inactive, State::ShuttingDown),
    edge(7, "shutdown", State::Active, State::ShuttingDown),
    edge(50, SUCCESS, State::ShuttingDown, State::Finalized),
    edge(51, FAILURE, State::ShuttingDown, State::Finalized),
    edge(52, ERROR, State::ShuttingDown, State::ErrorProcessing),
    edge(60, SUCCESS, State::ErrorProcessing, State::Unconfigured),
    edge(61, FAILURE, State::ErrorProcessing, State::Finalized),
    edge(62, ERROR, State::ErrorProcessing, State::Finalized),
];

impl Default for Lifecycle {
    fn default() -> Self {
        Self { state: State::Unconfigured }
    }
}

impl Lifecycle {
    /// Where the node is.
    pub const fn state(self) -> State {
        self.state
    }

    /// Every state of the graph.
    pub const fn states() -> &'static [State] {
        &STATES
    }

    /// Every edge of the graph.
    pub const fn graph() -> &'static [Transition] {
        &TRANSITIONS
    }

    /// The edges that lead on from here.
    pub fn available(self) -> impl Iterator<Item = &'static Transition> {
        TRANSITIONS.iter().filter(move |transition| transition.start == self.state)
    }

    /// Begins the transition that is asked for by label, or by number when the label is empty.
    ///
    /// # Errors
    /// [`Illegal`] when no such transition leads on from a primary state; the state stays.
    pub fn begin(&mut self, id: u8, label: &str) -> Result<&'static Transition, Illegal> {
        let is_asked_for = |t: &&Transition| if label.is_empty() { t.id == id } else { t.label == label };
        let found = self.available().filter(|t| t.start.is_primary()).find(is_asked_for);
        let Some(transition) = found else {
            let labels: Vec<&str> = self.available().filter(|t| t.start.is_primary()).map(|t| t.label).collect();
            return Err(Illegal {
                wanted: if label.is_empty() { id.to_string() } else { label.to_owned() },
                state: self.state.label(),
                possible: if labels.is_empty() { "none".to_owned() } else { labels.join(", ") },
            });
        };
        self.state = transition.goal;
        Ok(transition)
    }

    /// Ends the transition under way. `None` when there is none. After [`Outcome::Error`] the node is
    /// in error processing, which must be ended in turn.
    pub fn finish(&mut self, outcome: Outcome) -> Option<&'static Transition> {
        let label = match outcome {
            Outcome::Success => SUCCESS,
            Outcome::Failure => FAILURE,
            Outcome::Error => ERROR,
        };
        let transition = self.available().find(|transition| transition.label == label)?;
        self.state = transition.goal;
        Some(transition)
    }
}

impl State {
    /// Name, as ROS has it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Finalized => "finalized",
            Self::Configuring => "configuring",
            Self::CleaningUp => "cleaningup",
            Self::ShuttingDown => "shuttingdown",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::ErrorProcessing => "errorprocessing",
        }
    }

    /// Whether a node rests in it.
    pub const fn is_primary(self) -> bool {
        (self as u8) < Self::Configuring as u8
    }
}

impl From<State> for msg::State {
    fn from(state: State) -> Self {
        Self { id: state as u8, label: state.label().to_owned() }
    }
}

impl From<&Transition> for msg::TransitionDescription {
    fn from(transition: &Transition) -> Self {
        Self {
            transition: msg::Transition { id: transition.id, label: transition.label.to_owned() },
            start_state: transition.start.into(),
            goal_state: transition.goal.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Step = (&'static str, Outcome);

    fn after(steps: &[Step]) -> Lifecycle {
        let mut lifecycle = Lifecycle::default();
        for (label, outcome) in steps {
            lifecycle.begin(0, label).unwrap();
            lifecycle.finish(*outcome).unwrap();
        }
        lifecycle
    }

    const CONFIGURED: Step = ("configure", Outcome::Success);
    const ACTIVATED: Step = ("activate", Outcome::Success);

    #[test]
    fn every_legal_way_leads_where_it_should() {
        use Outcome::{Failure, Success};
        for (steps, state) in [
            (vec![], State::Unconfigured),
            (vec![CONFIGURED], State::Inactive),
            (vec![("configure", Failure)], State::Unconfigured),
            (vec![CONFIGURED, ACTIVATED], State::Active),
            (vec![CONFIGURED, ("activate", Failure)], State::Inactive),
            (vec![CONFIGURED, ACTIVATED, ("deactivate", Success)], State::Inactive),
            (vec![CONFIGURED, ACTIVATED, ("deactivate", Failure)], State::Active),
            (vec![CONFIGURED, ("cleanup", Success)], State::Unconfigured),
            (vec![CONFIGURED, ("cleanup", Failure)], State::Inactive),
            (vec![("shutdown", Success)], State::Finalized),
            (vec![CONFIGURED, ("shutdown", Failure)], State::Finalized),
            (vec![CONFIGURED, ACTIVATED, ("shutdown", Success)], State::Finalized),
            (vec![CONFIGURED, ("cleanup", Success), CONFIGURED], State::Inactive),
        ] {
            assert_eq!(after(&steps).state(), state, "{steps:?}");
        }
    }

    #[test]
    fn an_error_in_any_transition_leads_to_error_processing() {
        let cases: [(&[Step], &str); 7] = [
            (&[], "configure"),
            (&[CONFIGURED], "cleanup"),
            (&[CONFIGURED], "activate"),
            (&[CONFIGURED, ACTIVATED], "deactivate"),
            (&[], "shutdown"),
            (&[CONFIGURED], "shutdown"),
            (&[CONFIGURED, ACTIVATED], "shutdown"),
        ];
        for (before, label) in cases {
            let ends = [
                (Outcome::Success, State::Unconfigured),
                (Outcome::Failure, State::Finalized),
                (Outcome::Error, State::Finalized),
            ];
            for (outcome, end) in ends {
                let mut lifecycle = after(before);
                lifecycle.begin(0, label).unwrap();
                assert!(!lifecycle.state().is_primary());
                assert_eq!(lifecycle.finish(Outcome::Error).unwrap().goal, State::ErrorProcessing);
                assert!(lifecycle.begin(0, "configure").is_err(), "nothing begins during error processing");
                lifecycle.finish(outcome).unwrap();
                assert_eq!(lifecycle.state(), end, "{label}, then {outcome:?}");
            }
        }
    }

    #[test]
    fn illegal_requests_change_nothing_and_say_what_is_possible() {
        let cases: [(&[Step], &str, &str); 7] = [
            (&[], "activate", "configure, shutdown"),
            (&[], "deactivate", "configure, shutdown"),
            (&[CONFIGURED], "configure", "cleanup, activate, shutdown"),
            (&[CONFIGURED, ACTIVATED], "configure", "deactivate, shutdown"),
            (&[CONFIGURED, ACTIVATED], "cleanup", "deactivate, shutdown"),
            (&[("shutdown", Outcome::Success)], "configure", "none"),
            (&[], "transition_success", "configure, shutdown"),
        ];
        for (before, label, possible) in cases {
            let mut lifecycle = after(before);
            let state = lifecycle.state();
            let error = lifecycle.begin(0, label).unwrap_err();
            assert_eq!((error.wanted.as_str(), error.possible.as_str()), (label, possible));
            assert_eq!((lifecycle.state(), lifecycle.finish(Outcome::Success)), (state, None));
        }
        // While one is under way, no other begins, and nobody from outside may end it.
        let mut lifecycle = Lifecycle::default();
        lifecycle.begin(0, "configure").unwrap();
        assert!(lifecycle.begin(0, "shutdown").is_err() && lifecycle.begin(10, "").is_err());
        assert_eq!(lifecycle.state(), State::Configuring);
    }

    #[test]
    fn a_number_counts_when_there_is_no_label() {
        let mut lifecycle = Lifecycle::default();
        assert!(lifecycle.begin(3, "").is_err());
        assert_eq!(lifecycle.begin(1, "").unwrap().label, "configure");
        lifecycle.finish(Outcome::Success);
        // `shutdown` has another number in every state; only the right one is taken.
        assert!(lifecycle.begin(5, "").is_err());
        assert_eq!(lifecycle.begin(6, "").unwrap().start, State::Inactive);
    }

    #[test]
    fn every_state_but_the_last_leads_on_and_ids_are_unique() {
        for state in Lifecycle::states() {
            let leads_on = Lifecycle { state: *state }.available().count();
            assert_eq!(leads_on == 0, *state == State::Finalized, "{state:?}");
        }
        let mut ids: Vec<u8> = Lifecycle::graph().iter().map(|t| t.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Lifecycle::graph().len());
    }
}
