//! What a program's filters become.

use super::{filter, rule};
use crate::gateway::message::{SubscribeContext, filter_upstream};
use crate::gateway::rules::{Mode, Permissions, Rules};
use edgeseal_trust::id::DeviceId;

fn outcome(
    filters: &[&str],
    sender_in_topic: bool,
    wanted: &str,
) -> Result<String, (&'static str, u8)> {
    let device = DeviceId::parse("one").unwrap();
    let rules = Rules::new(vec![
        rule("site/secret", |_| {}),
        rule("open/#", |rule| rule.mode = Mode::Pass),
        rule("site/+", |rule| rule.mode = Mode::Pass),
    ]);
    let permissions = Permissions {
        publish: Vec::new(),
        subscribe: filters.iter().map(|text| filter(text)).collect(),
    };
    let context = SubscribeContext {
        rules: &rules,
        permissions: &permissions,
        sender_in_topic,
        device: Some(&device),
    };
    match filter_upstream(wanted, &context) {
        Ok(upstream) => Ok(upstream.into_owned()),
        Err(refused) => {
            assert!(!refused.sentence.is_empty());
            Err((refused.code, refused.reason))
        }
    }
}

#[test]
fn a_filter_is_subscribed_as_it_is_where_the_list_covers_it() {
    let lists = ["site/#", "own/{device}/+"];
    for wanted in [
        "site/#",
        "site/+/a",
        "site",
        "own/one/a",
        "own/one/+",
        "$share/g/site/a",
    ] {
        assert_eq!(outcome(&lists, false, wanted), Ok(wanted.to_owned()));
    }
    for wanted in [
        "#",
        "+/a",
        "own/two/a",
        "own/one/#",
        "edgeseal/#",
        "$share/g/#",
    ] {
        assert_eq!(
            outcome(&lists, false, wanted),
            Err(("filter-not-listed", 0x87)),
            "{wanted}"
        );
    }
    for wanted in ["", "a/#/b", "a+", "$share/g", "$share//a", "$share/+/a"] {
        assert_eq!(
            outcome(&["#"], false, wanted),
            Err(("filter", 0x8F)),
            "{wanted}"
        );
    }
    for wanted in ["verified/+/a", "verified/#", "$share/g/verified/+/a"] {
        assert_eq!(
            outcome(&["#"], false, wanted),
            Err(("filter-verified", 0x87)),
            "{wanted}"
        );
    }
    assert_eq!(
        outcome(&["#"], false, "verified"),
        Ok("verified".to_owned())
    );
}

#[test]
fn with_the_sender_in_the_topic_one_filter_becomes_one_filter() {
    let lists = ["#", "$SYS/#"];
    for (wanted, upstream) in [
        ("verified/+/site/+/temp", "site/+/temp"),
        ("verified/+/#", "#"),
        ("verified/#", "#"),
        ("$share/g/verified/+/site/a", "$share/g/site/a"),
        ("$share/g/verified/#", "$share/g/#"),
        ("verified/+/verified/#", "verified/#"),
        ("open/#", "open/#"),
        ("open", "open"),
        ("site/a", "site/a"),
        ("$share/g/open/a", "$share/g/open/a"),
        ("$SYS/broker/+", "$SYS/broker/+"),
    ] {
        assert_eq!(outcome(&lists, true, wanted), Ok(upstream.to_owned()));
    }
    for wanted in [
        "verified/one/site/a",
        "verified/one/#",
        "verified/+",
        "verified/+/",
        "verified",
        "+/+/site/a",
        "#",
        "site/#",
        "site/+",
        "site/secret",
        "other/a",
        "verified/+/$share/g/site/a",
    ] {
        assert_eq!(
            outcome(&lists, true, wanted),
            Err(("filter-sender", 0x87)),
            "{wanted}"
        );
    }
    let listed = outcome(&["site/#"], true, "verified/#");
    assert_eq!(
        listed,
        Err(("filter-not-listed", 0x87)),
        "the list is of topics upstream"
    );
}
