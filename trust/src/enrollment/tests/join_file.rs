//! Join files.

use super::{altered, join, token};
use crate::document::fixture::{key, root, signed_root};
use crate::enrollment::{Broker, JoinDraft, JoinFile, JoinFileRejection, Secret};
use crate::id::TrustDomain;
use crate::limits;

const SEED: [u8; 32] = [31; 32];

fn broker() -> Broker {
    Broker {
        url: "mqtts://broker.example:8883".into(),
        ca: Some("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".into()),
        username: Some("joiner".into()),
        password: Some(Secret::new("open sesame".into())),
    }
}

fn make(root: &[u8], token: &str, seed: &[u8; 32]) -> Result<JoinFile, JoinFileRejection> {
    JoinFile::new(root, broker(), token, seed)
}

fn honest() -> JoinFile {
    make(&signed_root(&root(1), &[1, 2]), &token(&join()), &SEED).unwrap()
}

fn code(octets: &[u8]) -> &'static str {
    JoinFile::read(octets)
        .err()
        .map_or("accepted", |why| why.code())
}

fn text() -> String {
    String::from_utf8(honest().write().to_vec()).unwrap()
}

#[test]
fn a_file_is_read_back_as_it_was_written() {
    let bare = Broker {
        ca: None,
        username: None,
        password: None,
        ..broker()
    };
    let root = signed_root(&root(1), &[1, 2]);
    for broker in [broker(), bare] {
        let file = JoinFile::new(&root, broker.clone(), &token(&join()), &SEED).unwrap();
        let read = JoinFile::read(&file.write()).unwrap();
        assert_eq!(read.root.octets(), root);
        assert_eq!(read.broker, broker);
        assert_eq!((&read.token, &read.join), (&file.token, &file.join));
        assert_eq!(read.one_time_key().public(), key(31).public());
    }
    let spaced = format!(" \r\n{}\r\n", text());
    assert_eq!(
        code(spaced.as_bytes()),
        "accepted",
        "as an editor leaves it"
    );
}

#[test]
fn no_clock_is_asked() {
    // long expired, or of a day to come: the registrar judges that
    for shifted in [0, 1, 8_000_000_000] {
        let draft = JoinDraft {
            issued_at: crate::time::UnixTime::from_seconds(shifted),
            expires_at: crate::time::UnixTime::from_seconds(shifted + 60),
            ..join()
        };
        let root = signed_root(&root(1), &[1, 2]);
        assert!(make(&root, &token(&draft), &SEED).is_ok());
    }
}

#[test]
fn the_parts_must_fit_together() {
    let refused = |made: Result<JoinFile, JoinFileRejection>| made.unwrap_err().code();
    let good = signed_root(&root(1), &[1, 2]);
    assert_eq!(
        refused(make(&good, &token(&join()), &[32; 32])),
        "join-file-seed-mismatch"
    );
    let short = signed_root(&root(1), &[1]);
    assert_eq!(
        refused(make(&short, &token(&join()), &SEED)),
        "join-file-root"
    );
    assert_eq!(
        refused(make(b"{}", &token(&join()), &SEED)),
        "join-file-root"
    );
    let foreign = join().sign(&key(99)).unwrap();
    assert_eq!(refused(make(&good, &foreign, &SEED)), "join-file-token");
    let barn = JoinDraft {
        domain: TrustDomain::parse("barn").unwrap(),
        ..join()
    };
    assert_eq!(
        refused(make(&good, &token(&barn), &SEED)),
        "join-file-domain"
    );
    for broker in [
        Broker {
            url: String::new(),
            ..broker()
        },
        Broker {
            url: "mqtts://a\nb".into(),
            ..broker()
        },
        Broker {
            username: Some(String::new()),
            ..broker()
        },
        Broker {
            password: Some(Secret::new("x".repeat(1025))),
            ..broker()
        },
    ] {
        let made = JoinFile::new(&good, broker, &token(&join()), &SEED);
        assert_eq!(refused(made), "join-file-form");
    }
}

#[test]
fn a_file_cut_or_altered_is_refused() {
    let whole = text();
    for length in 0..whole.len() {
        assert_ne!(
            code(&whole.as_bytes()[..length]),
            "accepted",
            "cut at {length}"
        );
    }
    let broker_from = whole.find(r#""broker":{"#).unwrap();
    let broker_to = whole.find(r#","token""#).unwrap();
    for (place, altered) in altered(whole.as_bytes()) {
        // how the broker is reached is nobody's signed word
        if !(broker_from..broker_to).contains(&place) {
            assert_ne!(code(&altered), "accepted", "altered at {place}");
        }
    }
}

#[test]
fn a_file_is_strict_in_form() {
    type Change = fn(&str) -> String;
    let changes: [(Change, &str); 9] = [
        (
            |t| t.replace(r#""edgeseal_join":1"#, r#""edgeseal_join":2"#),
            "join-file-form",
        ),
        (|t| t.replace(r#""edgeseal_join":1,"#, ""), "join-file-form"),
        (|t| t.replacen('{', r#"{"more":1,"#, 1), "join-file-form"),
        (|t| t.replacen('{', r#"{"seed":"x","#, 1), "join-file-form"),
        (|t| t.replace(r#""url""#, r#""uri""#), "join-file-form"),
        (
            |t| t.replace(r#","username":"joiner""#, r#","username":null"#),
            "join-file-form",
        ),
        (|t| t.replace("}", " }"), "accepted"),
        (|t| format!("{t}{t}"), "join-file-form"),
        (
            |t| t.replace(r#""seed":""#, r#""seed":"A"#),
            "join-file-seed",
        ),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        assert_eq!(code(change(&text()).as_bytes()), expected, "{number}");
    }
    let mut large = text().into_bytes();
    large.resize(limits::JOIN_FILE_OCTETS, b' ');
    assert_eq!(code(&large), "accepted");
    large.push(b' ');
    assert_eq!(code(&large), "join-file-form");
}

#[test]
fn no_secret_is_shown() {
    let file = honest();
    let shown = format!("{file:?} {:?}", file.broker.password);
    assert!(!shown.contains("open sesame"), "{shown}");
    assert!(!shown.contains("31, 31"), "{shown}");
    let unread = text().replace(
        r#""password":"open sesame""#,
        r#""password":"open sesame","x":1"#,
    );
    let why = JoinFile::read(unread.as_bytes()).unwrap_err().to_string();
    assert!(!why.contains("sesame"), "{why}");
}
