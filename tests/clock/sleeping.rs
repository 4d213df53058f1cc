//! A machine that sleeps.

use crate::board::Farm;
use crate::booting::{HOUR, MINUTE, UNSYNCHRONIZED};

/// Its broker has given it up meanwhile, and trust data has come.
#[test]
fn a_board_sleeps_for_hours() {
    let mut farm = Farm::found();
    farm.boot();
    farm.talks("before");
    let before = farm.alpha.status();
    farm.alpha.freeze();
    farm.beta.hands.pass(8 * HOUR);
    if let Some(broker) = farm.broker.mosquitto() {
        broker.stop();
        broker.start_again();
    }
    let sequence = farm.publish();
    let sent = farm.beta.sign("sent while alpha slept").unwrap();
    farm.alpha.hands.sleep(8 * HOUR);
    farm.alpha.thaw();
    farm.alpha.says("synchronized", None);
    assert_eq!(farm.alpha.judge(&sent), "verified");
    // The ping that was due comes when its timer has run on.
    let status = farm.alpha.until("the manifest", |status| {
        farm.alpha.hands.pass(MINUTE / 6);
        farm.beta.hands.pass(MINUTE / 6);
        status["trust"]["sequence"] == sequence
    });
    assert_eq!(status["epoch"], before["epoch"], "started again");
    farm.talks("afterwards");
}

/// It slept before it knew the time, and still knows when it was started: what was sent after that is accepted.
#[test]
fn a_board_sleeps_before_it_knows_the_time() {
    let mut farm = Farm::found();
    farm.beta.boot();
    farm.alpha.hands.set_synchronized(false);
    farm.alpha.boot();
    farm.alpha.says("unsynchronized", Some(UNSYNCHRONIZED));
    farm.beta.hands.pass(MINUTE);
    farm.alpha.freeze();
    farm.alpha.hands.sleep(MINUTE);
    let sent = farm.beta.sign("sent while alpha slept").unwrap();
    farm.beta.hands.pass(HOUR / 2);
    farm.alpha.hands.sleep(HOUR / 2);
    farm.alpha.thaw();
    farm.alpha.hands.set_synchronized(true);
    farm.alpha.says("synchronized", None);
    assert_eq!(farm.alpha.judge(&sent), "verified");
    farm.talks("afterwards");
}
