#![allow(clippy::arithmetic_side_effects)]

use super::*;
use edgeseal_trust::id::{Audience, DeviceId};
use edgeseal_trust::token::AsPublished;

fn topic(text: &str) -> Topic<'_> {
    Topic::parse(text.as_bytes()).unwrap()
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap()
}

fn rule(number: usize, text: &str, mode: Mode) -> Rule {
    let filter = filter(text);
    Rule {
        name: RuleName::numbered(number, &filter),
        filter,
        mode,
        outgoing: OutgoingRule::default(),
        incoming: IncomingRule::default(),
    }
}

fn rules(stated: &[(&str, Mode)]) -> Rules {
    let numbered = stated.iter().zip(1..);
    Rules::new(
        numbered
            .map(|((text, mode), number)| rule(number, text, *mode))
            .collect(),
    )
}

fn device() -> DeviceId {
    DeviceId::parse("pump-1").unwrap()
}

/// Every text of one to `depth` levels, where the last may be one of `last` as well.
fn texts(levels: &[&str], last: &[&str], depth: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut beginnings = vec![String::new()];
    for _ in 0..depth {
        let mut longer = Vec::new();
        for beginning in &beginnings {
            all.extend(last.iter().map(|level| format!("{beginning}{level}")));
            longer.extend(levels.iter().map(|level| format!("{beginning}{level}")));
        }
        beginnings = longer.iter().map(|text| format!("{text}/")).collect();
        all.extend(longer);
    }
    all.retain(|text| !text.is_empty());
    all
}

/// Filters of up to three levels, and which of many topics each matches, by the verifier's own
/// matching. One level of the topics occurs in no filter, and one is longer than every filter.
fn matched() -> (Vec<String>, Vec<String>, Vec<Vec<bool>>) {
    let filters = texts(&["a", "b", "", "+", "$x"], &["#"], 3);
    let topics = texts(&["a", "b", "", "c", "$x", "edgeseal"], &[], 4);
    let matched = filters
        .iter()
        .map(|text| {
            let filter = filter(text);
            topics
                .iter()
                .map(|one| filter.matches(topic(one), None))
                .collect()
        })
        .collect();
    (filters, topics, matched)
}

#[test]
fn containment_and_overlap_are_what_matching_says() {
    let (filters, topics, matched) = matched();
    assert!(filters.len() > 150 && topics.len() > 1500);
    let (mut contained, mut apart) = (0, 0);
    for (wide, of_wide) in filters.iter().zip(&matched) {
        for (narrow, of_narrow) in filters.iter().zip(&matched) {
            let both = || of_wide.iter().zip(of_narrow);
            let contains = both().all(|(wide, narrow)| *wide || !narrow);
            let meet = both().any(|(wide, narrow)| *wide && *narrow);
            assert_eq!(covers(wide, narrow), contains, "{wide:?} covers {narrow:?}");
            assert_eq!(overlaps(wide, narrow), meet, "{wide:?} meets {narrow:?}");
            contained += usize::from(contains);
            apart += usize::from(!meet);
        }
    }
    assert!(contained > filters.len() && apart > filters.len());
}

#[test]
fn a_permitted_subscription_brings_nothing_that_the_list_does_not_match() {
    let (filters, topics, matched) = matched();
    let permissions = Permissions {
        publish: Vec::new(),
        subscribe: ["a/+/#", "+/b", "$x/a"].map(filter).into(),
    };
    let mut permitted = 0;
    for (text, of_filter) in filters.iter().zip(&matched) {
        let allowed = permissions.may_subscribe(text, None);
        assert_eq!(
            permissions.may_subscribe(&format!("$share/g/{text}"), None),
            allowed
        );
        if allowed {
            permitted += 1;
            for (one, _) in topics
                .iter()
                .zip(of_filter)
                .filter(|(_, matches)| **matches)
            {
                assert!(permissions.may_receive(topic(one), None), "{text} {one}");
            }
        }
    }
    assert!(permitted > 20, "{permitted}");
}

#[test]
fn the_rule_for_a_whole_subscription_is_the_rule_for_each_of_its_topics() {
    let (filters, topics, matched) = matched();
    let rules = rules(&[
        ("a/b", Mode::Pass),
        ("a/#", Mode::Observe),
        ("+/b/#", Mode::Enforce),
        ("$x/#", Mode::Pass),
        ("b/+", Mode::Pass),
    ]);
    for (text, of_filter) in filters.iter().zip(&matched) {
        let decided: Vec<&Rule> = topics
            .iter()
            .zip(of_filter)
            .filter(|(_, matches)| **matches)
            .map(|(one, _)| rules.find(topic(one)))
            .collect();
        let enforced = decided.iter().any(|rule| rule.mode == Mode::Enforce);
        assert!(rules.may_enforce(&[filter(text)]) || !enforced, "{text}");
        if let Some(only) = rules.only_rule_for(text) {
            assert!(decided.iter().all(|rule| *rule == only), "{text}");
        }
    }
    for (text, expected) in [
        ("a/b", Some("rule 1 (a/b)")),
        ("a/c/#", Some("rule 2 (a/#)")),
        ("a/+", None),
        ("#", None),
        ("b/c", Some("rule 5 (b/+)")),
        ("$SYS/#", Some("built-in ($SYS/#)")),
        ("$other/x", Some("built-in (#)")),
        ("z/z/z", Some("built-in (#)")),
    ] {
        let found = rules.only_rule_for(text).map(|rule| rule.name.as_str());
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let stated = rules(&[("site/+/cmd", Mode::Observe), ("site/#", Mode::Pass)]);
    let found = |text: &str| stated.find(topic(text)).name.to_string();
    assert_eq!(found("site/a/cmd"), "rule 1 (site/+/cmd)");
    assert_eq!(found("site/a"), "rule 2 (site/#)");
    assert_eq!(found("site"), "rule 2 (site/#)");
    for (text, name, mode) in [
        ("other", "built-in (#)", Mode::Enforce),
        ("edgeseal/x", "built-in (#)", Mode::Enforce),
        ("$SYS/broker/uptime", "built-in ($SYS/#)", Mode::Pass),
        ("$SYS", "built-in ($SYS/#)", Mode::Pass),
        ("$else/x", "built-in (#)", Mode::Enforce),
    ] {
        let rule = stated.find(topic(text));
        assert_eq!((rule.name.as_str(), rule.mode), (name, mode), "{text}");
    }
    let own = rules(&[("$SYS/#", Mode::Enforce), ("#", Mode::Pass)]);
    assert_eq!(own.find(topic("$SYS/x")).mode, Mode::Enforce);
    assert_eq!(own.find(topic("x")).mode, Mode::Pass);
    assert_eq!(own.find(topic("$else/x")).mode, Mode::Enforce);
    assert_eq!(Rules::default().stated().len(), 0);
    assert_eq!(stated.stated().len(), 2);
    assert_eq!(stated.iter().count(), 4);
}

#[test]
fn enforcement_is_ruled_out_only_where_every_topic_passes() {
    let passing = rules(&[("site/#", Mode::Pass), ("raw/+", Mode::Observe)]);
    for (text, expected) in [
        ("site/a", false),
        ("site/{device}/#", false),
        ("raw/x", false),
        ("raw/#", true),
        ("#", true),
        ("$SYS/#", false),
        ("{device}/x", true),
        ("other", true),
    ] {
        assert_eq!(passing.may_enforce(&[filter(text)]), expected, "{text}");
    }
    assert!(!passing.may_enforce(&[]));
    assert!(!rules(&[("#", Mode::Observe)]).may_enforce(&[filter("#")]));
}

#[test]
fn publishing_needs_a_filter_and_never_reaches_the_agents_topics() {
    let permissions = Permissions {
        publish: ["site/{device}/#", "#"].map(filter).into(),
        subscribe: Vec::new(),
    };
    assert!(permissions.may_publish(topic("x"), None));
    assert!(!permissions.may_publish(topic("edgeseal/farm/manifest"), None));
    assert!(!permissions.may_publish(topic("$SYS/x"), None));
    let narrow = Permissions {
        publish: vec![filter("site/{device}/#")],
        subscribe: Vec::new(),
    };
    assert!(narrow.may_publish(topic("site/pump-1/x"), Some(&device())));
    assert!(!narrow.may_publish(topic("site/pump-2/x"), Some(&device())));
    assert!(!narrow.may_publish(topic("site/pump-1/x"), None));
    assert!(!Permissions::default().may_publish(topic("x"), Some(&device())));
}

#[test]
fn subscriptions_are_held_to_the_list() {
    let permissions = Permissions {
        publish: vec![filter("#")],
        subscribe: ["site/{device}/#", "all/+", "$SYS/#"].map(filter).into(),
    };
    for (text, expected) in [
        ("site/pump-1", true),
        ("site/pump-1/#", true),
        ("site/pump-1/+/x", true),
        ("site/+/x", false),
        ("site/pump-2/x", false),
        ("site/{device}/x", false),
        ("all/x", true),
        ("all/+", true),
        ("all/#", false),
        ("all", false),
        ("#", false),
        ("$SYS/broker", true),
        ("$share/g/all/x", true),
        ("$share/g/site/pump-2/x", false),
        ("$share/g", false),
        ("$share//all/x", false),
        ("$share/g/", false),
        ("$share/g+/all/x", false),
        ("", false),
        ("all/x+", false),
        ("site/pump-1/#/x", false),
    ] {
        assert_eq!(
            permissions.may_subscribe(text, Some(&device())),
            expected,
            "{text}"
        );
    }
    assert!(!permissions.may_subscribe("site/pump-1/x", None));
    let everything = Permissions {
        publish: Vec::new(),
        subscribe: vec![filter("#")],
    };
    assert!(everything.may_subscribe("+/farm/#", None));
    assert!(!everything.may_subscribe("edgeseal/farm/#", None));
    assert!(!everything.may_subscribe("$share/g/edgeseal", None));
    assert!(!everything.may_receive(topic("edgeseal/farm/manifest"), None));
    assert!(!everything.may_subscribe("$SYS/#", None));
}

#[test]
fn audiences_come_from_levels_of_the_topic() {
    let expand = |text: &str, of: &str, one: &str| {
        let template = AudienceTemplate::parse(text, &filter(of)).unwrap();
        assert_eq!(template.as_str(), text);
        template
            .expand(topic(one))
            .map(|audience| audience.map(|audience| audience.to_string()))
    };
    assert_eq!(
        expand("device:{2}", "site/+/cmd", "site/pump-1/cmd")
            .unwrap()
            .unwrap(),
        "device:pump-1"
    );
    assert_eq!(
        expand("group:{1}-{3}", "#", "a/b/c").unwrap().unwrap(),
        "group:a-c"
    );
    assert_eq!(expand("group:ops", "#", "a").unwrap().unwrap(), "group:ops");
    assert_eq!(
        expand("domain:farm", "#", "a").unwrap().unwrap(),
        "domain:farm"
    );
    assert_eq!(expand("domain", "#", "a").unwrap(), None);
    assert_eq!(
        AudienceTemplate::default().expand(topic("a")).unwrap(),
        None
    );
    for one in [
        "site/Pump/cmd",
        "site//cmd",
        "site/-a/cmd",
        "site/ü/cmd",
        "site/a b/cmd",
    ] {
        let refused = expand("device:{2}", "site/+/cmd", one).unwrap_err();
        assert!(matches!(refused, AudienceRefused::NoName { .. }), "{one}");
    }
    let long = format!("site/{}/cmd", "a".repeat(65));
    assert!(expand("device:{2}", "site/+/cmd", &long).is_err());
    assert_eq!(
        expand("device:{3}", "site/#", "site/a"),
        Err(AudienceRefused::NoLevel {
            level: 3,
            levels: 2
        })
    );
}

#[test]
fn audiences_that_no_topic_gives_are_refused_when_they_are_read() {
    for (text, of, why) in [
        ("device:{3}", "site/+", InvalidTemplate::NoLevel(3)),
        (
            "device:{1}",
            "Site/+",
            InvalidTemplate::NoName("Site".to_owned()),
        ),
        ("device:-{1}", "+", InvalidTemplate::NoName("-0".to_owned())),
        ("device:", "+", InvalidTemplate::NoName(String::new())),
        ("device:{0}", "+", InvalidTemplate::Level),
        ("device:{129}", "#", InvalidTemplate::Level),
        ("device:{-1}", "#", InvalidTemplate::Level),
        ("device:{}", "#", InvalidTemplate::Level),
        ("device:{1", "#", InvalidTemplate::Level),
        ("device:1}", "#", InvalidTemplate::Level),
        ("device:}{1}", "#", InvalidTemplate::Level),
        ("device:{device}", "#", InvalidTemplate::Level),
        ("domain:{1}", "#", InvalidTemplate::Form),
        ("login:x", "#", InvalidTemplate::Login),
        ("{1}:a", "device", InvalidTemplate::Form),
        ("pump", "#", InvalidTemplate::Form),
        ("", "#", InvalidTemplate::Form),
    ] {
        assert_eq!(
            AudienceTemplate::parse(text, &filter(of)),
            Err(why),
            "{text} {of}"
        );
    }
    assert!(matches!(
        AudienceTemplate::parse("device:{1}", &filter("#"))
            .unwrap()
            .expand(topic("a")),
        Ok(Some(Audience::Device(_)))
    ));
}

#[test]
fn commands_are_messages_whatever_else_is_set() {
    let settings = IncomingSettings {
        accept: AcceptedKinds::by_default(Kind::Retained).with(Kind::Message),
        command: true,
        after_power_loss: true,
        ..IncomingSettings::default()
    };
    let incoming = IncomingRule::new(&settings);
    assert_eq!(incoming.accept, AcceptedKinds::MESSAGE);
    let ready = incoming.receive(Kind::Message).unwrap();
    assert!(ready.command && !ready.after_power_loss);
    for kind in [Kind::Retained, Kind::Will] {
        assert_eq!(incoming.receive(kind), None);
    }
    assert_eq!(incoming.first(), ready);
}

#[test]
fn each_accepted_kind_has_its_rule_ready() {
    let mapping = AsPublished {
        remove: "north/".to_owned(),
        add: String::new(),
    };
    let incoming = IncomingRule::new(&IncomingSettings {
        accept: AcceptedKinds::by_default(Kind::Retained),
        max_age_seconds: Some(9),
        any_audience: true,
        as_published: Some(mapping.clone()),
        after_power_loss: true,
        bind_user_properties: false,
        ..IncomingSettings::default()
    });
    assert_eq!(incoming.accept.to_string(), "retained, will");
    assert_eq!(incoming.receive(Kind::Message), None);
    for kind in [Kind::Retained, Kind::Will] {
        let ready = incoming.receive(kind).unwrap();
        assert_eq!(
            (ready.kind, ready.max_age_seconds, ready.command),
            (kind, Some(9), false)
        );
        assert!(ready.any_audience && ready.after_power_loss && ready.ignore_user_properties);
        assert_eq!(ready.as_published.as_ref(), Some(&mapping));
    }
    assert_eq!(incoming.first().kind, Kind::Retained);
    let usual = IncomingRule::default();
    assert_eq!(usual.accept.to_string(), "message, will");
    assert!(!usual.first().ignore_user_properties);
}

#[test]
fn rules_are_said_in_words() {
    let mut command = rule(1, "site/+/cmd", Mode::Enforce);
    command.outgoing.audience = AudienceTemplate::parse("device:{2}", &command.filter).unwrap();
    command.incoming = IncomingRule::new(&IncomingSettings {
        command: true,
        max_age_seconds: Some(10),
        ..IncomingSettings::default()
    });
    let audience = command.outgoing.audience.in_words();
    let publish = command.publish_sentence("site/+/cmd", &audience, 60);
    assert!(
        publish.starts_with(
            "A message published on site/+/cmd is signed as a message for device:{2} \
             (numbers are levels of the topic), valid 60 s, with its token as property"
        ),
        "{publish}"
    );
    assert!(
        publish.ends_with(
            ". What waits longer than 60 s at the broker, in the session of a receiver that is away, \
             is refused there as expired."
        ),
        "{publish}"
    );
    command.outgoing.lifetime_seconds = Some(7 * 86_400);
    let publish = command.publish_sentence("site/+/cmd", &audience, 60);
    assert!(
        publish.contains("What waits longer than 7 days at the broker"),
        "{publish}"
    );
    assert_eq!(
        command.receive_sentence("site/+/cmd"),
        "A message received on site/+/cmd is delivered only when it verifies as a message, \
         is for this device, one of its groups or its domain, is at most 10 s old, \
         was issued after this device started, and was not delivered before."
    );

    let mut state = rule(2, "state", Mode::Observe);
    state.outgoing.kind = Kind::Retained;
    state.outgoing.form = Form::Envelope;
    state.incoming = IncomingRule::new(&IncomingSettings {
        accept: AcceptedKinds::by_default(Kind::Retained),
        any_audience: true,
        bind_user_properties: false,
        ..IncomingSettings::default()
    });
    assert_eq!(
        state.publish_sentence("state", "the whole domain", 60),
        "A message published on state is signed as a retained statement for the whole domain, \
         valid 1 day (if a grant of the device allows it), in an envelope with its token."
    );
    assert_eq!(
        state.receive_sentence("state"),
        "A message received on state is delivered in any case, marked as what it is only when \
         it verifies as a retained statement or a will, and is no older than the newest \
         statement of its sender. Its user properties are not bound, and removed."
    );

    let pass = rule(3, "raw/#", Mode::Pass);
    assert!(
        pass.publish_sentence("raw/#", "", 60)
            .ends_with("it is not signed.")
    );
    assert!(
        pass.receive_sentence("raw/#")
            .ends_with("it is not judged.")
    );
}
