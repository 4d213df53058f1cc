//! Boots on a clock that is not right yet.

use crate::board::{Board, Farm};
use std::time::Duration;

#[test]
fn boot_in_1970() {
    boots_with_a_dead_battery(0);
}

/// The hardware clock lost its battery and counts from the year of its making.
#[test]
fn boot_years_back() {
    boots_with_a_dead_battery(1_546_300_800);
}

/// It starts, says so, neither signs nor judges, takes trust data over TLS all the same, and works once the time is right:
/// what was sent meanwhile is accepted then.
fn boots_with_a_dead_battery(shown: u64) {
    let mut farm = Farm::found();
    farm.beta.boot();
    farm.beta.says("synchronized", None);
    farm.alpha.hands.set_synchronized(false);
    farm.alpha.hands.set(shown);
    farm.alpha.boot();
    farm.alpha.says("behind-floor", Some(BEHIND));
    assert!(farm.alpha.status()["time"].as_u64().unwrap() < shown + 60);
    refuses(&farm, BEHIND);
    assert_eq!(
        farm.alpha.status()["noted_time"],
        0,
        "a wrong time was noted"
    );

    let floor = farm.alpha.status()["floor"].as_u64().unwrap();
    let sequence = farm.publish();
    let status = farm.alpha.until("the manifest", |status| {
        status["trust"]["sequence"] == sequence
    });
    let risen = status["floor"].as_u64().unwrap();
    assert!(risen >= floor && status["floor"] == status["trust"]["iat"]);
    farm.alpha.says("behind-floor", Some(BEHIND));

    // A minute after the boot the time comes from the network.
    farm.alpha.hands.pass(MINUTE);
    let sent = farm.beta.sign("sent before alpha knew the time").unwrap();
    farm.is_put_right(&sent);
    assert_eq!(
        farm.alpha.status()["epoch"],
        status["epoch"],
        "started again"
    );
}

#[test]
fn boot_at_the_time_of_the_last_shutdown() {
    let mut farm = Farm::found();
    farm.boot();
    farm.alpha.says("synchronized", None);
    farm.talks("before");
    let noted = noted(&farm.alpha);
    let epoch = farm.alpha.status()["epoch"].as_u64().unwrap();
    let shut_down = farm.alpha.hands.time();
    farm.alpha.shut_down();

    // Switched off for an hour, and fake-hwclock sets what it stored.
    farm.beta.hands.pass(HOUR);
    farm.alpha.hands.set_synchronized(false);
    farm.alpha.hands.set(shut_down);
    farm.alpha.boot();
    farm.alpha.says("unsynchronized", Some(UNSYNCHRONIZED));
    refuses(&farm, UNSYNCHRONIZED);
    let status = farm.alpha.status();
    assert_eq!(
        status["noted_time"], noted,
        "an unsynchronized time was noted"
    );
    assert!(status["epoch"].as_u64().unwrap() > epoch);

    // Earlier than what was noted it is wrong for certain.
    farm.alpha.hands.set(noted - 60);
    farm.alpha.says("behind-floor", Some(BEHIND));
    farm.alpha.hands.set(shut_down);
    farm.alpha.says("unsynchronized", Some(UNSYNCHRONIZED));

    let sent = farm.beta.sign("sent before alpha knew the time").unwrap();
    farm.is_put_right(&sent);
}

/// An island without any time service works on whatever the clock says, and everybody is told so.
#[test]
fn an_isolated_board_works_where_its_configuration_says_so() {
    let mut farm = Farm::found();
    farm.beta.boot();
    farm.alpha.configure("allow");
    farm.alpha.hands.set_synchronized(false);
    farm.alpha.boot();
    farm.alpha.says("unsynchronized", None);
    farm.seconds_pass();
    let message = farm.alpha.sign("from the island").unwrap();
    let verdict = farm.beta.verdict(&message);
    assert_eq!(verdict["verdict"], "verified", "{verdict}");
    assert_eq!(verdict["sender_clock"], "unsynchronized");
    assert_eq!(verdict["clock"], "synchronized");

    // Behind the floor it does not work either way.
    farm.alpha.hands.set(0);
    farm.alpha.says("behind-floor", Some(BEHIND));
    refuses(&farm, BEHIND);
    farm.alpha.hands.set_by(&farm.beta.hands);
    farm.alpha.says("unsynchronized", None);
    farm.alpha.hands.set_synchronized(true);
    farm.alpha.says("synchronized", None);
    farm.talks("afterwards");
}

/// Alpha neither signs nor judges, by a failure that passes.
pub(crate) fn refuses(farm: &Farm, code: &str) {
    assert_eq!(farm.alpha.sign("in vain").unwrap_err(), code);
    let message = farm.beta.sign("in vain").unwrap();
    assert_eq!(farm.alpha.judge(&message), code);
}

/// The time that it noted.
pub(crate) fn noted(board: &Board) -> u64 {
    let status = board.until("the time is noted", |status| status["noted_time"] != 0);
    status["noted_time"].as_u64().unwrap()
}

pub(crate) const BEHIND: &str = "clock-behind-floor";
pub(crate) const UNSYNCHRONIZED: &str = "clock-unsynchronized";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
