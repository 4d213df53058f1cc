//! Steps of a clock that was right.

use crate::board::{Farm, LIFETIME};
use crate::booting::{BEHIND, MINUTE, UNSYNCHRONIZED, refuses};
use std::time::Duration;

#[test]
fn synchronization_is_lost_and_comes_back() {
    let mut farm = Farm::found();
    farm.boot();
    farm.talks("before");
    farm.alpha.hands.set_synchronized(false);
    farm.alpha.says("unsynchronized", Some(UNSYNCHRONIZED));
    refuses(&farm, UNSYNCHRONIZED);
    let sent = farm.beta.sign("sent meanwhile").unwrap();
    farm.alpha.hands.set_synchronized(true);
    farm.alpha.says("synchronized", None);
    assert_eq!(farm.alpha.judge(&sent), "verified");
    assert_eq!(farm.alpha.judge(&sent), "replay");
    farm.talks("afterwards");
}

/// Whoever keeps the clock right says so all the time: it lies for a while.
#[test]
fn a_synchronized_clock_steps_forward_a_year_and_back() {
    let mut farm = Farm::found();
    farm.boot();
    let old = farm.beta.sign("accepted before").unwrap();
    assert_eq!(farm.alpha.judge(&old), "verified");
    let right = farm.alpha.status()["noted_time"].as_u64().unwrap();

    farm.alpha.hands.set(farm.alpha.hands.time() + YEAR);
    farm.alpha.says("synchronized", Some("trust-stale"));
    refuses(&farm, "trust-stale");
    // The lie is noted within a minute, and what is kept against replays is tidied meanwhile.
    farm.alpha.hands.pass(20 * MINUTE);
    farm.alpha.until("the lie is noted", |status| {
        status["noted_time"].as_u64().unwrap() >= right + YEAR
    });
    let sent = farm.beta.sign("sent meanwhile").unwrap();

    farm.alpha.hands.set_by(&farm.beta.hands);
    farm.alpha.says("synchronized", None);
    farm.alpha.hands.pass(MINUTE);
    farm.beta.hands.pass(MINUTE);
    let status = farm.alpha.until("the lie is rewritten", |status| {
        status["noted_time"].as_u64().unwrap() < right + YEAR
    });
    assert!(status["noted_time"].as_u64().unwrap() >= right);
    assert!(farm.alpha.log().contains("the clock is believed"));
    assert_eq!(farm.alpha.judge(&sent), "verified");
    assert_eq!(
        farm.alpha.judge(&old),
        "replay",
        "what was known is forgotten"
    );
    farm.talks("afterwards");
    // And the next boot, whose clock nobody vouches for yet, knows nothing of the lie.
    farm.alpha.shut_down();
    farm.alpha.hands.set_synchronized(false);
    farm.alpha.boot();
    farm.alpha.says("unsynchronized", Some(UNSYNCHRONIZED));
}

/// It lied from the boot on, so that the agent took its own start for next year.
#[test]
fn a_boot_on_a_clock_that_lies_does_not_outlast_the_lie() {
    let mut farm = Farm::found();
    farm.beta.boot();
    farm.alpha.hands.set(farm.alpha.hands.time() + DAY);
    farm.alpha.boot();
    farm.alpha.says("synchronized", None);
    farm.alpha.hands.pass(MINUTE);
    farm.beta.hands.pass(MINUTE);
    let sent = farm.beta.sign("sent meanwhile").unwrap();
    assert_eq!(farm.alpha.judge(&sent), "expired");
    farm.alpha.hands.set_by(&farm.beta.hands);
    farm.alpha.until("the clock is right", |status| {
        status["time"].as_u64().unwrap() <= farm.beta.hands.time()
    });
    assert_eq!(farm.alpha.judge(&sent), "verified");
    farm.talks("afterwards");
}

/// Nobody vouches for it while it is wrong, so nothing of it is believed.
#[test]
fn an_unsynchronized_clock_steps_forward_a_year_and_back() {
    let mut farm = Farm::found();
    farm.boot();
    farm.talks("before");
    let before = farm.alpha.status();
    farm.alpha.hands.set_synchronized(false);
    farm.alpha.hands.set(farm.alpha.hands.time() + YEAR);
    farm.alpha
        .until("it is lost", |status| status["clock"] == "unsynchronized");
    let status = farm.alpha.status();
    assert_eq!(status["signing"]["code"], UNSYNCHRONIZED, "{status}");
    assert_eq!(status["verifying"]["code"], "trust-stale", "{status}");
    farm.alpha.hands.pass(20 * MINUTE);
    assert_eq!(farm.alpha.status()["noted_time"], before["noted_time"]);
    let sent = farm.beta.sign("sent meanwhile").unwrap();
    farm.is_put_right(&sent);
}

/// A synchronized clock is believed against what was noted, but not against what the operator signed.
#[test]
fn a_synchronized_clock_years_back_signs_nothing() {
    let mut farm = Farm::found();
    farm.boot();
    farm.talks("before");
    farm.alpha.hands.set(farm.alpha.hands.time() - 5 * YEAR);
    farm.alpha.says("behind-floor", Some(BEHIND));
    refuses(&farm, BEHIND);
    let sent = farm.beta.sign("sent meanwhile").unwrap();
    farm.is_put_right(&sent);
}

#[test]
fn a_message_expires_by_the_time_that_passes() {
    let mut farm = Farm::found();
    farm.boot();
    let sent = farm.beta.sign("sent").unwrap();
    farm.alpha.hands.pass(Duration::from_secs(LIFETIME + 1));
    farm.alpha.until("an hour has passed", |status| {
        status["uptime_seconds"].as_u64().unwrap() > LIFETIME
    });
    assert_eq!(farm.alpha.judge(&sent), "expired");
}

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;
