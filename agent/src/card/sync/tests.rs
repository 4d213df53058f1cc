use super::*;
use crate::card::Standing;
use crate::enroll::EnrollState;
use edgeseal_trust::id::DeviceId;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use tempfile::TempDir;

/// A card, the hand-over directory, and the agent's runtime directory.
struct Board {
    dir: TempDir,
}

impl Board {
    fn new() -> Self {
        let board = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for name in ["card", "hand-over", "run"] {
            fs::create_dir(board.path(name)).unwrap();
        }
        board
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// The agent tells that it waits, and why there is no connection; or, without that, that it is enrolled.
    fn report(&self, waits: Option<&str>, used: &[&str]) {
        let used = used
            .iter()
            .map(|file| Digest::of(file.as_bytes()))
            .collect();
        let standing = match waits {
            Some(why) => Standing {
                state: EnrollState::Waiting,
                why: Some(why.to_owned()),
                ..Standing::default()
            },
            None => Standing {
                state: EnrollState::Enrolled,
                device: Some(DeviceId::parse("pump-1").unwrap()),
                ..Standing::default()
            },
        };
        let report = Report::new(used, standing);
        report.write(&self.path("run")).unwrap();
    }

    fn places(&self) -> Places {
        Places {
            cards: vec![self.path("card"), self.path("absent")],
            hand_over: self.path("hand-over"),
            runtime: self.path("run"),
        }
    }

    fn sync(&self) -> Synced {
        self.sync_at(0)
    }

    /// So many seconds after the start of the system.
    fn sync_at(&self, seconds: u64) -> Synced {
        sync(&self.places(), None, Duration::from_secs(seconds)).unwrap()
    }

    fn was_shredded(&self, file: &str) -> bool {
        was_shredded(&self.path("hand-over"), &[Digest::of(file.as_bytes())]).unwrap()
    }
}

#[test]
fn a_join_file_is_handed_over_and_shredded_when_the_agent_has_done_with_it() {
    let board = Board::new();
    board.put("card/join.json", "the file");
    let done = board.sync();
    assert!(done.handed_over && done.problems.is_empty(), "{done:?}");
    assert_eq!(board.read("hand-over/join.json").unwrap(), "the file");
    let mode = fs::metadata(board.path("hand-over/join.json"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o777, 0o640, "not for everybody");
    assert_eq!(
        board.read("card/edgeseal-result.txt"),
        None,
        "nobody said anything"
    );
    // The agent asks: the text goes onto the card, and the file stays.
    board.report(Some("refused"), &[]);
    board.sync();
    let result = board.read("card/edgeseal-result.txt").unwrap();
    let words: Vec<&str> = result.split_whitespace().collect();
    assert!(
        words.join(" ").contains("The last try: refused."),
        "{result}"
    );
    assert_eq!(result.matches('\n').count(), result.matches("\r\n").count());
    assert_eq!(board.read("card/join.json").unwrap(), "the file");
    assert!(!board.was_shredded("the file"));
    // It is enrolled: both go, and it is told so.
    board.report(None, &["the file"]);
    let done = board.sync();
    assert_eq!(
        (done.shredded, done.written, done.handed_over),
        (1, 1, false)
    );
    assert_eq!(board.read("card/join.json"), None);
    assert_eq!(board.read("hand-over/join.json"), None);
    assert!(board.was_shredded("the file"));
    let result = board.read("card/edgeseal-result.txt").unwrap();
    assert!(
        result.starts_with("Edgeseal: ENROLLED as pump-1\r\n"),
        "{result}"
    );
}

#[test]
fn what_says_the_same_is_not_written_again() {
    let board = Board::new();
    board.put("card/join.json", "the file");
    board.report(Some("refused"), &[]);
    assert_eq!(board.sync().written, 0, "the report is of before the file");
    assert_eq!(board.sync().written, 1);
    let inode = |name: &str| fs::metadata(board.path(name)).unwrap().ino();
    let names = ["card/edgeseal-result.txt", "hand-over/join.json"];
    let before = names.map(inode);
    assert_eq!(board.sync().written, 0);
    assert_eq!(names.map(inode), before);
}

#[test]
fn only_the_very_file_that_was_used_is_shredded() {
    let board = Board::new();
    board.put("card/join.json", "another file");
    board.report(None, &["the file"]);
    let done = board.sync();
    assert_eq!(
        (done.shredded, done.handed_over),
        (0, false),
        "it is enrolled"
    );
    assert_eq!(board.read("card/join.json").unwrap(), "another file");
    assert!(board.was_shredded("the file"), "it is on no card");
}

#[test]
fn a_card_that_is_not_there_proves_nothing() {
    let board = Board::new();
    board.put("card/join.json", "the file");
    board.sync();
    board.report(None, &["the file"]);
    fs::rename(board.path("card"), board.path("pulled")).unwrap();
    assert_eq!(board.sync(), Synced::default());
    assert!(!board.was_shredded("the file"));
    assert_eq!(board.read("hand-over/join.json").unwrap(), "the file");
    fs::rename(board.path("pulled"), board.path("card")).unwrap();
    assert_eq!(board.sync().shredded, 1);
    assert!(board.was_shredded("the file"));
}

#[test]
fn a_cut_while_shredding_leaves_nothing_behind() {
    let board = Board::new();
    board.put("card/join.json.used", "the file");
    board.report(None, &["the file"]);
    let done = board.sync();
    assert_eq!((done.ended, done.shredded), (1, 0), "it is said");
    assert_eq!(board.sync().ended, 0);
    assert_eq!(board.read("card/join.json.used"), None);
    assert!(board.was_shredded("the file"));
}

#[test]
fn what_cannot_be_read_is_said_on_the_card() {
    let board = Board::new();
    board.put("secret", "shadow");
    symlink(board.path("secret"), board.path("card/join.json")).unwrap();
    let done = board.sync();
    assert!(!done.handed_over);
    let result = board.read("card/edgeseal-result.txt").unwrap();
    assert!(result.contains("cannot be read: it is a link"), "{result}");
    assert_eq!(board.read("hand-over/join.json"), None);
    fs::remove_file(board.path("card/join.json")).unwrap();
    board.put("card/join.json", &"x".repeat(limits::JOIN_FILE_OCTETS + 1));
    board.sync();
    let result = board.read("card/edgeseal-result.txt").unwrap();
    assert!(result.contains("has more than"), "{result}");
    // An enrolled device does not care.
    board.report(None, &[]);
    board.sync();
    let result = board.read("card/edgeseal-result.txt").unwrap();
    assert!(
        result.starts_with("Edgeseal: ENROLLED as pump-1\r\n"),
        "{result}"
    );
    assert_eq!(board.read("secret").unwrap(), "shadow");
}

#[test]
fn a_name_that_is_not_right_and_a_wrong_configuration_are_said() {
    let board = Board::new();
    board.put("card/join-q2xLiEz9.json", "the file");
    board.sync();
    let result = board.read("card/edgeseal-result.txt").unwrap();
    assert!(result.contains("but join-q2xLiEz9.json"), "{result}");
    sync(
        &board.places(),
        Some("The configuration is wrong."),
        Duration::ZERO,
    )
    .unwrap();
    let result = board.read("card/edgeseal-result.txt").unwrap();
    assert!(result.contains("The configuration is wrong."), "{result}");
}

#[test]
fn a_report_from_an_agent_that_was_taken_over_does_no_more_than_a_report() {
    let board = Board::new();
    board.put("card/join.json", "the file");
    board.put("secret", "shadow");
    symlink(board.path("secret"), board.path("run/card.json")).unwrap();
    let done = board.sync();
    assert_eq!((done.written, done.shredded), (0, 0));
    fs::remove_file(board.path("run/card.json")).unwrap();
    board.sync();
    board.report(
        Some(&format!("\u{1b}]0;evil\u{7}{}", "line\n".repeat(500))),
        &[],
    );
    board.sync();
    let result = board.read("card/edgeseal-result.txt").unwrap();
    assert!(
        result.len() < 1500 && !result.contains('\u{1b}'),
        "{result}"
    );
    assert!(
        result.starts_with("Edgeseal: NOT ENROLLED YET\r\n"),
        "{result}"
    );
}

#[test]
fn an_agent_that_was_taken_over_does_not_wear_out_the_card() {
    let board = Board::new();
    let writes = |from: u64, to: u64| {
        let each = (from..to).map(|second| {
            board.report(Some(&format!("try {second}")), &[]);
            board.sync_at(second)
        });
        let done: Vec<Synced> = each.collect();
        let told = done.last().unwrap().problems.len();
        (done.iter().map(|done| done.written).sum::<u32>(), told)
    };
    assert_eq!(writes(100, 120), (20, 0));
    assert_eq!(writes(120, 300), (0, 1), "the rest is told and not written");
    assert_eq!(writes(700, 710), (1, 1), "one in ten minutes");
    // What says the same is no write, and handing over and shredding wait for nothing.
    board.put("card/join.json", "the file");
    assert!(board.sync_at(800).handed_over);
    board.report(None, &["the file"]);
    assert_eq!(board.sync_at(800).shredded, 1);
    assert_eq!(board.sync_at(1400).written, 1);
    // After a start of the system it begins anew, as with a file of another clock.
    fs::remove_file(board.path("hand-over/written")).unwrap();
    assert_eq!(writes(1, 21), (20, 0));
    assert_eq!(writes(30, 31), (0, 1));
    board.put("hand-over/written", "99999999999999999");
    assert_eq!(writes(32, 33), (1, 0));
}
