#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::wire::ErrorClass;
use edgeseal_trust::id::DeviceId;

fn moment(seconds: u64) -> Moment {
    Moment {
        since_start: Duration::from_secs(seconds),
        chance: 0,
    }
}

fn kid(octet: u8) -> KeyId {
    KeyId::from_octets([octet; 32])
}

fn ask(octet: u8) -> Ask {
    Ask {
        kid: kid(octet),
        digest: Digest::of(&[octet]),
        words: "eight words".to_owned(),
        sent: false,
    }
}

fn active() -> Standing {
    Standing::Active {
        device: DeviceId::parse("pump-1").unwrap(),
        retiring: false,
    }
}

fn held(state: &'static str) -> Standing {
    let device = DeviceId::parse("pump-1").unwrap();
    Standing::Held { device, state }
}

fn problem(code: &'static str) -> ErrorBody {
    ErrorBody::new(ErrorClass::Failure, code, "it is so")
}

fn hint(octet: u8, text: &str) -> Event {
    Event::Answer(Hint {
        request: Digest::of(&[octet]),
        text: text.to_owned(),
    })
}

/// What a look shows.
#[derive(Clone)]
struct Card {
    ask: Option<Ask>,
    problem: Option<ErrorBody>,
}

impl Card {
    fn none() -> Self {
        Self {
            ask: None,
            problem: None,
        }
    }

    fn of(ask: Ask) -> Self {
        Self {
            ask: Some(ask),
            problem: None,
        }
    }

    fn bad(code: &'static str) -> Self {
        Self {
            ask: None,
            problem: Some(problem(code)),
        }
    }

    fn looked(self) -> Event {
        Event::Looked {
            ask: self.ask,
            problem: self.problem,
        }
    }
}

/// A device with a virtual clock, a join file, and a broker that does what the test says.
struct Rig {
    enrollment: Enrollment,
    seconds: u64,
    standing: Standing,
    /// The join file on the card.
    card: Card,
    /// What the broker does with a publish.
    broker: Broker,
    published: Vec<u64>,
    cleared: u32,
    shredded: u32,
    forgotten: u32,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Broker {
    Takes,
    Drops,
    SaysNothing,
}

impl Rig {
    fn new(card: Card) -> Self {
        let mut rig = Self {
            enrollment: Enrollment::new(),
            seconds: 0,
            standing: Standing::NoManifest,
            card,
            broker: Broker::Takes,
            published: Vec::new(),
            cleared: 0,
            shredded: 0,
            forgotten: 0,
        };
        rig.give(Event::Standing(Standing::NoManifest));
        rig
    }

    fn give(&mut self, event: Event) {
        if let Event::Standing(standing) = &event {
            self.standing = standing.clone();
        }
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in self.enrollment.on(event, moment(self.seconds)) {
                let enrolled = self.standing.active().is_some();
                match action {
                    Action::Look { .. } => events.push(self.card.clone().looked()),
                    Action::Publish(_) => {
                        self.published.push(self.seconds);
                        events.extend(self.word());
                    }
                    Action::Clear(_) => {
                        assert!(enrolled, "nothing is removed before it is in force");
                        if self.broker == Broker::Takes {
                            self.cleared += 1;
                        }
                        events.extend(self.word());
                    }
                    Action::Shred => {
                        assert!(enrolled, "nothing is shredded before it is in force");
                        self.shredded += 1;
                        events.push(Event::Shredded(Ok(Shredding::Done)));
                    }
                    Action::Forget => {
                        assert!(self.shredded > 0);
                        self.forgotten += 1;
                        self.card = Card::none();
                    }
                    Action::Say(_) => {}
                }
            }
        }
    }

    fn word(&self) -> Option<Event> {
        match self.broker {
            Broker::Takes => Some(Event::Acknowledged(true)),
            Broker::Drops => Some(Event::Acknowledged(false)),
            Broker::SaysNothing => None,
        }
    }

    /// Lets time pass, waking the machine when it wants to be woken.
    fn wait(&mut self, seconds: u64) {
        let until = self.seconds + seconds;
        while let Some(at) = self.enrollment.wake_at() {
            let at = at.as_secs() + u64::from(at.subsec_nanos() > 0);
            assert!(at > self.seconds || at == 0, "it turns without an end");
            if at > until {
                break;
            }
            self.seconds = at.max(self.seconds);
            self.give(Event::Time);
        }
        self.seconds = until;
    }

    fn state(&self) -> EnrollState {
        self.enrollment.status().state
    }
}

#[test]
fn a_join_file_leads_to_a_request_and_only_the_manifest_in_force_to_the_end() {
    let mut rig = Rig::new(Card::of(ask(1)));
    assert_eq!(rig.state(), EnrollState::Waiting);
    rig.wait(100);
    assert!(rig.published.is_empty(), "there is no connection");
    rig.give(Event::Connected(true));
    rig.wait(100);
    assert!(rig.published.len() > 1, "it is said again");
    for standing in [Standing::NoManifest, Standing::Unknown, held("pending")] {
        rig.give(Event::Standing(standing));
        rig.wait(1000);
        assert_eq!(rig.state(), EnrollState::Waiting);
    }
    rig.give(Event::Standing(active()));
    assert_eq!((rig.shredded, rig.cleared, rig.forgotten), (1, 1, 1));
    assert_eq!(rig.state(), EnrollState::Enrolled);
    assert_eq!(rig.enrollment.wake_at(), None, "an enrolled device sleeps");
    // It ignores join files from now on.
    rig.card = Card::of(ask(2));
    let published = rig.published.len();
    rig.wait(10_000);
    rig.give(Event::Standing(held("suspended")));
    rig.wait(10_000);
    assert_eq!(rig.published.len(), published);
}

#[test]
fn a_broker_that_says_yes_to_everything_gains_nothing() {
    let mut rig = Rig::new(Card::of(ask(1)));
    rig.give(Event::Connected(true));
    for text in ["approved", "rejected: go to mqtt://evil", "approved"] {
        rig.give(hint(1, text));
        rig.wait(5000);
        assert_eq!(rig.enrollment.status().answer.as_deref(), Some(text));
        assert_eq!((rig.shredded, rig.cleared, rig.forgotten), (0, 0, 0));
        assert_eq!(rig.state(), EnrollState::Waiting);
    }
    // An answer to another request, of an earlier day or another device, is not even shown.
    rig.give(hint(9, "rejected"));
    assert_eq!(rig.enrollment.status().answer.as_deref(), Some("approved"));
    let before = rig.published.len();
    rig.wait(10_000);
    assert!(rig.published.len() > before, "it asks on");
    rig.give(Event::Standing(active()));
    assert_eq!(rig.state(), EnrollState::Enrolled);
}

#[test]
fn a_broker_that_holds_back_or_drops_everything_leaves_the_device_able_to_enroll() {
    for broker in [Broker::Drops, Broker::SaysNothing] {
        let mut rig = Rig::new(Card::of(ask(1)));
        rig.broker = broker;
        rig.give(Event::Connected(true));
        rig.wait(100_000);
        assert_eq!(rig.state(), EnrollState::Waiting);
        assert!(!rig.published.is_empty() && rig.published.len() < 100);
        // The bundle came by stick: the join file goes, the request as soon as the broker answers.
        rig.give(Event::Standing(active()));
        rig.wait(10_000);
        assert_eq!((rig.shredded, rig.cleared, rig.forgotten), (1, 0, 0));
        assert_eq!(rig.state(), EnrollState::Finishing);
        rig.broker = Broker::Takes;
        rig.give(Event::Acknowledged(false)); // dropped with the connection
        rig.wait(10_000);
        assert_eq!((rig.shredded, rig.cleared, rig.forgotten), (1, 1, 1));
        assert_eq!(rig.state(), EnrollState::Enrolled);
    }
}

#[test]
fn a_word_to_the_publish_is_not_taken_for_the_removal() {
    let mut rig = Rig::new(Card::of(ask(1)));
    rig.broker = Broker::SaysNothing;
    rig.give(Event::Connected(true));
    assert_eq!(rig.published.len(), 1);
    rig.give(Event::Standing(active()));
    assert_eq!(rig.forgotten, 0, "the removal waits for its own word");
    rig.give(Event::Acknowledged(true));
    assert_eq!(rig.forgotten, 1);
}

#[test]
fn wholly_by_file_nothing_is_left_to_remove_at_a_broker() {
    let mut rig = Rig::new(Card::of(ask(1)));
    rig.wait(50_000);
    assert!(
        rig.enrollment
            .status()
            .waits_for
            .unwrap()
            .contains("by file")
    );
    rig.give(Event::Standing(active()));
    assert_eq!((rig.shredded, rig.cleared, rig.forgotten), (1, 0, 1));
    assert_eq!(rig.state(), EnrollState::Enrolled);
}

#[test]
fn after_a_restart_at_any_moment_it_goes_on() {
    // Before the manifest: the stored request is published again.
    let stored = Ask {
        sent: true,
        ..ask(1)
    };
    let mut rig = Rig::new(Card::of(stored.clone()));
    rig.give(Event::Connected(true));
    assert_eq!(rig.published.len(), 1);
    // After the manifest came, before the end: shredded and removed again, then forgotten.
    let mut rig = Rig::new(Card::none());
    rig.enrollment = Enrollment::new();
    rig.card = Card::of(stored);
    rig.standing = active();
    rig.give(Event::Standing(active()));
    rig.give(Event::Connected(true));
    assert_eq!((rig.shredded, rig.cleared, rig.forgotten), (1, 1, 1));
    assert!(rig.published.is_empty());
    // Enrolled long ago: nothing is left, and nothing is done.
    let mut rig = Rig::new(Card::none());
    rig.enrollment = Enrollment::new();
    rig.give(Event::Standing(active()));
    assert_eq!(rig.state(), EnrollState::Enrolled);
    assert_eq!((rig.shredded, rig.forgotten), (0, 0));
}

#[test]
fn a_join_file_that_cannot_be_used_is_named_once_and_looked_at_again() {
    let mut rig = Rig::new(Card::bad("join-root"));
    let status = rig.enrollment.status();
    assert_eq!(status.problem.unwrap().code, "join-root");
    let again = rig
        .enrollment
        .on(Card::bad("join-root").looked(), moment(10));
    assert!(!again.iter().any(|action| matches!(action, Action::Say(_))));
    let other = rig
        .enrollment
        .on(Card::bad("join-form").looked(), moment(20));
    assert_eq!(other, [Action::Say(Said::Problem(problem("join-form")))]);
    rig.seconds = 20;
    rig.card = Card::of(ask(1));
    rig.wait(20);
    assert_eq!(rig.state(), EnrollState::Waiting);
    assert_eq!(rig.enrollment.status().problem, None);
    // A bad file beside a good request stops nothing.
    rig.card = Card::bad("join-form");
    rig.give(Event::Connected(true));
    let before = rig.published.len();
    rig.wait(1000);
    assert!(rig.published.len() > before);
}

#[test]
fn another_card_asks_anew() {
    let mut rig = Rig::new(Card::of(ask(1)));
    rig.give(Event::Connected(true));
    rig.give(hint(1, "rejected: expired"));
    rig.card = Card::of(ask(2));
    let before = rig.published.len();
    rig.wait(10);
    assert!(rig.published.len() > before, "at once");
    assert_eq!(rig.enrollment.asked().map(|ask| ask.kid), Some(kid(2)));
    assert_eq!(rig.enrollment.status().answer, None);
}

#[test]
fn only_who_is_not_enrolled_looks_for_a_join_file() {
    for (standing, join_file) in [
        (active(), false),
        (Standing::Unknown, true),
        (Standing::NoManifest, true),
    ] {
        let mut enrollment = Enrollment::new();
        assert_eq!(enrollment.on(Event::Time, moment(0)), []);
        let actions = enrollment.on(Event::Standing(standing), moment(0));
        assert_eq!(actions, [Action::Look { join_file }]);
    }
}

#[test]
fn a_join_file_that_cannot_be_shredded_is_said_and_ends_the_enrollment_all_the_same() {
    let mut enrollment = Enrollment::new();
    let _ = enrollment.on(Event::Standing(active()), moment(0));
    let _ = enrollment.on(Card::of(ask(1)).looked(), moment(0));
    let failed = Event::Shredded(Err(problem("join-file-left")));
    let actions = enrollment.on(failed, moment(1));
    assert!(actions.contains(&Action::Forget));
    assert!(actions.contains(&Action::Say(Said::Problem(problem("join-file-left")))));
    let status = enrollment.status();
    assert_eq!(status.state, EnrollState::Enrolled);
    assert_eq!(status.problem.unwrap().code, "join-file-left");
}

#[test]
fn a_join_file_that_only_root_can_shred_is_waited_for_and_asked_about_ever_less() {
    let mut enrollment = Enrollment::new();
    let _ = enrollment.on(Event::Standing(active()), moment(0));
    let actions = enrollment.on(Card::of(ask(1)).looked(), moment(0));
    assert!(actions.contains(&Action::Shred));
    let mut looks = 0;
    let mut seconds = 0;
    let told = || Event::Shredded(Ok(Shredding::Told));
    assert_eq!(enrollment.on(told(), moment(0)), []);
    while let Some(at) = enrollment.wake_at().filter(|at| at.as_secs() < 100_000) {
        assert!(at.as_secs() > seconds, "it turns without an end");
        seconds = at.as_secs();
        assert_eq!(enrollment.on(Event::Time, moment(seconds)), [Action::Shred]);
        let said = enrollment.on(told(), moment(seconds));
        looks += 1;
        assert_eq!(said.is_empty(), looks != PATIENT_SHREDS, "said once");
    }
    assert!(looks < 50, "{looks}");
    assert_eq!(enrollment.status().state, EnrollState::Finishing);
    assert_eq!(enrollment.status().problem.unwrap().code, "join-file-left");
    let done = enrollment.on(Event::Shredded(Ok(Shredding::Done)), moment(seconds));
    assert_eq!(done, [Action::Forget]);
    assert_eq!(enrollment.status().state, EnrollState::Enrolled);
    assert_eq!(enrollment.status().problem, None);
}
