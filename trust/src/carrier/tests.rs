//! Topics and answers.

use super::{Answer, AnswerState, CarrierKind, CarrierTopic, filter};
use crate::document::Digest;
use crate::id::{DeviceId, TrustDomain};
use crate::key::KeyId;
use crate::limits;
use crate::topic::{Topic, TopicFilter};
use crate::words::Words;

fn farm() -> TrustDomain {
    TrustDomain::parse("farm").unwrap()
}

fn topics() -> [(CarrierTopic, String); 7] {
    let kid = KeyId::from_octets([1; 32]);
    let digest = Digest::of(b"shard");
    let device = DeviceId::parse("pump-1").unwrap();
    [
        (CarrierTopic::Manifest, "edgeseal/farm/manifest".into()),
        (CarrierTopic::Root(1), "edgeseal/farm/root/1".into()),
        (
            CarrierTopic::Root(u64::MAX),
            format!("edgeseal/farm/root/{}", u64::MAX),
        ),
        (
            CarrierTopic::Shard(digest),
            format!("edgeseal/farm/shard/{digest}"),
        ),
        (
            CarrierTopic::Status(device),
            "edgeseal/farm/status/pump-1".into(),
        ),
        (
            CarrierTopic::Request(kid),
            format!("edgeseal/farm/request/{kid}"),
        ),
        (
            CarrierTopic::Answer(kid),
            format!("edgeseal/farm/answer/{kid}"),
        ),
    ]
}

#[test]
fn every_topic_is_written_and_read_in_one_way() {
    for (topic, name) in topics() {
        assert_eq!(topic.name(&farm()), name);
        assert_eq!(CarrierTopic::parse(&name, &farm()), Some(topic.clone()));
        let barn = TrustDomain::parse("barn").unwrap();
        assert_eq!(CarrierTopic::parse(&name, &barn), None);
        // reserved: no grant and no list of a caller reaches it
        let all = TopicFilter::parse("#").unwrap();
        assert!(!all.matches(Topic::parse(name.as_bytes()).unwrap(), None));
        for length in 0..name.len() {
            let cut = CarrierTopic::parse(&name[..length], &farm());
            assert_ne!(cut, Some(topic.clone()), "{}", &name[..length]);
        }
    }
    for bad in [
        "",
        "edgeseal",
        "edgeseal/farm",
        "edgeseal/farm/",
        "edgeseal/farm/manifest/",
        "edgeseal/farm/manifest/1",
        "edgeseal/farmer/manifest",
        "edgeseal/farm/root",
        "edgeseal/farm/root/0",
        "edgeseal/farm/root/01",
        "edgeseal/farm/root/+1",
        "edgeseal/farm/root/18446744073709551616",
        "edgeseal/farm/status/Pump",
        "edgeseal/farm/status/pump-1/x",
        "edgeseal/farm/shard/ABCD",
        "edgeseal/farm/request/abc",
        "edgeseal/farm/other/pump-1",
        "Edgeseal/farm/manifest",
        "/edgeseal/farm/manifest",
    ] {
        assert_eq!(CarrierTopic::parse(bad, &farm()), None, "{bad:?}");
    }
}

#[test]
fn a_filter_matches_the_topics_of_its_kind_alone() {
    let kinds = [
        CarrierKind::Answer,
        CarrierKind::Manifest,
        CarrierKind::Request,
        CarrierKind::Root,
        CarrierKind::Shard,
        CarrierKind::Status,
    ];
    for kind in kinds {
        let text = filter(kind, &farm());
        for (topic, name) in topics() {
            let matches = match text.strip_suffix('+') {
                Some(prefix) => name
                    .strip_prefix(prefix)
                    .is_some_and(|rest| !rest.contains('/')),
                None => name == text,
            };
            assert_eq!(matches, topic.kind() == kind, "{text} {name}");
        }
    }
    assert_eq!(
        filter(CarrierKind::Status, &farm()),
        "edgeseal/farm/status/+"
    );
    assert_eq!(
        filter(CarrierKind::Manifest, &farm()),
        "edgeseal/farm/manifest"
    );
}

fn answer() -> Answer {
    Answer {
        request: Digest::of(b"request"),
        state: AnswerState::Rejected,
        reason: Some("not ours".into()),
        words: Some(Words::of_request(b"request")),
    }
}

#[test]
fn an_answer_is_read_back_as_it_was_written() {
    for state in [
        AnswerState::Approved,
        AnswerState::Pending,
        AnswerState::Rejected,
    ] {
        let bare = Answer {
            state,
            reason: None,
            words: None,
            ..answer()
        };
        for answer in [Answer { state, ..answer() }, bare] {
            assert_eq!(Answer::read(&answer.write().unwrap()), Ok(answer));
        }
    }
}

#[test]
fn an_answer_is_strict_and_bounded() {
    type Change = fn(&str) -> String;
    let text = String::from_utf8(answer().write().unwrap()).unwrap();
    let code = |octets: &[u8]| {
        Answer::read(octets)
            .err()
            .map_or("accepted", |why| why.code())
    };
    let changes: [(Change, &str); 9] = [
        (
            |t| t.replace(r#""format":1"#, r#""format":3"#),
            "format-unknown",
        ),
        (|t| t.replacen('{', r#"{"kid":"x","#, 1), "malformed"),
        (
            |t| t.replacen('{', r#"{"format":1,"#, 1),
            "duplicate-member",
        ),
        (|t| t.replace("rejected", "shredded"), "malformed"),
        (|t| t.replace("not ours", ""), "text"),
        (|t| t.replace("not ours", "not\\nours"), "text"),
        (
            |t| t.replace(r#""words":""#, r#""words":"zoo "#),
            "malformed",
        ),
        (|t| t.replace(r#""words":""#, r#""words":" "#), "malformed"),
        (
            |t| t.replacen(r#""request":""#, r#""request":"A"#, 1),
            "malformed",
        ),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        assert_eq!(code(change(&text).as_bytes()), expected, "{number}");
    }
    for length in 0..text.len() {
        assert_ne!(
            code(&text.as_bytes()[..length]),
            "accepted",
            "cut at {length}"
        );
    }
    let mut large = text.into_bytes();
    large.resize(limits::ANSWER_OCTETS + 1, b' ');
    assert_eq!(code(&large), "size");
    let long = Answer {
        reason: Some("x".repeat(limits::REASON_OCTETS + 1)),
        ..answer()
    };
    assert_eq!(long.write().unwrap_err().code(), "text");
}
