//! Bundle files: given to `trust apply` and to the running agent.

use crate::bounded::{is_code, run};
use crate::damage::damages;
use crate::domain::enrolled;
use crate::http::{get, post_octets};
use crate::works::{LIFETIME, documents, works};
use edgeseal_trust::registry::DeviceState;
use std::fs;

#[test]
fn to_the_verb() {
    let (place, domain) = enrolled(LIFETIME);
    let good = domain.bundle_for(&place, 2, DeviceState::Active);
    let path = place.path().join("damaged");
    let apply = |path: &str| run(&place.command(&["trust", "apply", path, "--json"]), b"");
    let before = documents(&place);
    for damage in damages(&fs::read(&good).unwrap()) {
        fs::write(&path, damage.octets).unwrap();
        let ended = apply(path.to_str().unwrap());
        assert_ne!(ended.exit, 0, "{}: {ended:?}", damage.how);
        ended.refusal();
        assert_eq!(documents(&place), before, "{}", damage.how);
    }
    // Sources without end, and what is no file.
    for source in ["/dev/zero", "/dev/null", "/proc/self/mem", "/", "absent"] {
        apply(source).refusal();
    }
    for words in ["", "zoo", "\u{202e}", &"zoo ".repeat(10_000)] {
        let path = good.to_str().unwrap();
        let command = place.command(&["trust", "apply", path, "--json", "--root", words]);
        run(&command, b"").refusal();
    }
    assert_eq!(documents(&place), before);
    let daemon = place.start();
    works(&daemon, &place, 1);
    daemon.stop();
    let ended = apply(good.to_str().unwrap());
    assert_eq!(ended.exit, 0, "{ended:?}");
    let daemon = place.start();
    works(&daemon, &place, 2);
}

#[test]
fn to_the_running_agent() {
    let (place, domain) = enrolled(LIFETIME);
    let good = fs::read(domain.bundle_for(&place, 2, DeviceState::Active)).unwrap();
    let daemon = place.start();
    let before = documents(&place);
    let post = |octets: &[u8]| {
        post_octets(
            daemon.socket(),
            "/v1/trust",
            "application/octet-stream",
            octets,
        )
    };
    for damage in damages(&good) {
        let reply = post(&damage.octets);
        assert_eq!(reply.status, 409, "{}: {reply:?}", damage.how);
        assert!(is_code(&reply.code()), "{}: {reply:?}", damage.how);
        assert_eq!(documents(&place), before, "{}", damage.how);
    }
    assert_eq!(get(daemon.socket(), "/healthz").status, 200);
    works(&daemon, &place, 1);
    assert_eq!(post(&good).status, 200);
    works(&daemon, &place, 2);
    daemon.stop();
}
