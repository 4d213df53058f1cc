//! From CONNECT to CONNACK: identities, credentials, wills, what is announced.

use super::farm::{self, Desk};
use super::line::{Broker, Line};
use super::words::*;
use crate::config::{ClientIdTemplate, Credentials, LocalIdentity, LocalUser, UpstreamVersion};
use crate::gateway::clients::ConnectionId;
use crate::gateway::packet::{Connect, Packet, Property, Publish, Reasoned, Will};
use crate::gateway::password::PasswordHash;
use crate::gateway::rules::Permissions;
use crate::gateway::session::{Action, Event, ListenerPlan, Phase};
use edgeseal_trust::id::Audience;
use std::num::{NonZeroU16, NonZeroU32};

fn will(topic: &str) -> Will<'_> {
    Will {
        topic,
        payload: b"gone",
        qos: qos(1),
        retain: false,
        properties: Default::default(),
    }
}

/// What the broker gets and the program gets for a CONNECT, without a CONNACK of the broker.
fn asked(plan: ListenerPlan, program: &Connect<'_>) -> (Line, Vec<String>) {
    let mut line = Line::with(program.version, plan);
    line.program_sends(&connect(program));
    if line.broker == Broker::Wanted {
        line.is_connected();
    }
    let got = line.broker_got();
    (line, got)
}

#[test]
fn limits_are_announced_to_both_sides() {
    let said = properties(&[
        Property::ReceiveMaximum(NonZeroU16::new(9).unwrap()),
        Property::MaximumPacketSize(NonZeroU32::new(1000).unwrap()),
        Property::TopicAliasMaximum(5),
        Property::SessionExpiryInterval(7),
        Property::UserProperty("edgeseal-verdict", "verified"),
        Property::UserProperty("mine", "kept"),
    ]);
    let program = Connect {
        properties: said.as_properties(),
        ..plain_connect(V5)
    };
    let (mut line, got) = asked(farm::plan(), &program);
    assert_eq!(
        got,
        [
            "connect 5 clean app 30s SessionExpiryInterval(7) ReceiveMaximum(9) \
          MaximumPacketSize(5096) mine=kept"
        ]
    );
    line.broker_sends(&connack(
        false,
        0,
        &[
            Property::ServerKeepAlive(10),
            Property::ServerReference("elsewhere"),
            Property::TopicAliasMaximum(9),
            Property::MaximumPacketSize(NonZeroU32::new(10_000).unwrap()),
            Property::ReceiveMaximum(NonZeroU16::new(3).unwrap()),
            Property::UserProperty("edgeseal", "x"),
            Property::SessionExpiryInterval(5),
        ],
        V5,
    ));
    assert_eq!(
        line.program_got(),
        [
            "connack 00 ReceiveMaximum(3) SessionExpiryInterval(5) TopicAliasMaximum(16) \
          MaximumPacketSize(5904)"
        ]
    );
}

#[test]
fn a_small_broker_leaves_a_program_half() {
    let (mut line, _) = asked(farm::plan(), &plain_connect(V5));
    let size = Property::MaximumPacketSize(NonZeroU32::new(1000).unwrap());
    line.broker_sends(&connack(false, 0, &[size], V5));
    assert_eq!(
        line.program_got(),
        ["connack 00 TopicAliasMaximum(16) MaximumPacketSize(500)"]
    );
}

#[test]
fn empty_client_identifiers() {
    let nameless = |version, clean_start| Connect {
        client_id: "",
        clean_start,
        ..plain_connect(version)
    };
    let (mut line, got) = asked(farm::plan(), &nameless(V5, false));
    assert!(
        got[0].starts_with("connect 5 one-apps/anyone 30s"),
        "{got:?}"
    );
    line.broker_sends(&connack(false, 0, &[], V5));
    let got = line.program_got();
    assert!(
        got[0].contains("AssignedClientIdentifier(\"one-apps/anyone\")"),
        "{got:?}"
    );

    let (mut line, got) = asked(farm::plan(), &nameless(V5, true));
    assert!(got[0].starts_with("connect 5 clean  30s"), "{got:?}");
    let assigned = Property::AssignedClientIdentifier("auto-1");
    line.broker_sends(&connack(false, 0, &[assigned], V5));
    assert!(line.program_got()[0].contains("auto-1"));
    let (_, got) = asked(farm::plan(), &nameless(V311, true));
    assert!(got[0].starts_with("connect 5 clean  30s"), "{got:?}");
}

#[test]
fn programs_without_identifier_do_not_take_each_others_messages() {
    let nameless = Connect {
        client_id: "",
        ..plain_connect(V311)
    };
    let mut first = Line::new(V311);
    first.runs(&nameless, &[]);
    first.program_sends(&subscribe(1, &["site/#"], V311));
    first.broker_sends(&suback(1, &[1], V5));
    first.program_got();
    let mut second = Line::on(first.desk, V311, farm::plan(), 2);
    second.runs(&nameless, &[]);
    second.program_sends(&subscribe(1, &["site/#"], V311));
    second.broker_sends(&suback(1, &[1], V5));
    second.program_got();
    let sent = Desk::new(2).sends(&message(1, 7, "site/two/temp", "21"), V5);
    second.broker_sends(&sent);
    assert_eq!(second.program_got(), ["publish 7 1 site/two/temp 21"]);
    first.desk = second.desk;
    first.broker_sends(&sent);
    assert_eq!(first.program_got(), ["publish 7 1 site/two/temp 21"]);
    // Whoever comes later gets nothing that others had.
    let mut third = Line::on(first.desk, V311, farm::plan(), 3);
    third.runs(&nameless, &[]);
    third.program_sends(&subscribe(1, &["site/#"], V311));
    third.broker_sends(&suback(1, &[1], V5));
    third.program_got();
    third.broker_sends(&sent);
    assert_eq!(third.program_got(), [""; 0]);
}

#[test]
fn a_template_names_the_device() {
    let mut plan = farm::plan();
    plan.listener.client_id = ClientIdTemplate::parse("{device}-{client_id}").unwrap();
    let (_, got) = asked(plan, &plain_connect(V5));
    assert!(got[0].starts_with("connect 5 clean one-app 30s"), "{got:?}");
}

#[test]
fn a_client_identifier_has_one_owner_and_one_connection() {
    let mut first = Line::running(V5);
    let mut plan = farm::plan();
    plan.listener.name = "others".to_owned();
    let mut other = Line::on(first.desk, V5, plan, 2);
    other.program_sends(&connect(&plain_connect(V5)));
    assert_eq!(other.program_got(), ["connack 85"]);
    assert_eq!(other.closed_by(), ["client-id-taken"]);

    let mut again = Line::on(other.desk, V5, farm::plan(), 3);
    again.program_sends(&connect(&plain_connect(V5)));
    let asked = std::mem::take(&mut again.asked);
    let older = ConnectionId::new(1);
    assert!(
        matches!(asked[..], [Action::TakeOver(id)] if id == older),
        "{asked:?}"
    );
    first.desk = again.desk;
    first.event(Event::TakenOver);
    assert_eq!(first.program_got(), ["disconnect 8e"]);
    assert_eq!(
        first.broker_got(),
        [""; 0],
        "no DISCONNECT: the will is the broker's"
    );
    let mut again = Line::on(first.desk, V5, farm::plan(), 4);
    again.program_sends(&connect(&plain_connect(V5)));
    assert_eq!(
        again.asked.len(),
        1,
        "the connection that was closed first took nothing with it"
    );
}

#[test]
fn whoever_cannot_sign_or_judge_lets_nobody_in_unless_nothing_is_enforced() {
    for version in [V5, V311] {
        let mut line = Line::new(version);
        line.desk.is_synchronized = false;
        line.program_sends(&connect(&plain_connect(version)));
        assert_eq!(line.program_got(), [""; 0], "it may come again");
        assert_eq!(line.closed_by(), ["clock-unsynchronized"]);
        assert_eq!(line.broker, Broker::Closed);
    }
    let mut plan = farm::plan();
    for list in [
        &mut plan.listener.permissions.publish,
        &mut plan.listener.permissions.subscribe,
    ] {
        list.retain(|filter| ["pass/#", "watch/#"].contains(&filter.as_str()));
    }
    let mut line = Line::with(V311, plan);
    line.desk.is_synchronized = false;
    line.program_sends(&connect(&plain_connect(V311)));
    assert_eq!(line.broker, Broker::Wanted);
}

#[test]
fn a_broker_that_cannot_be_reached_or_closes_is_unavailable() {
    for version in [V5, V311] {
        let mut line = Line::new(version);
        line.program_sends(&connect(&plain_connect(version)));
        line.event(Event::UpstreamUnavailable);
        assert_eq!(line.program_got(), [""; 0], "it may come again");
        let (mut line, _) = asked(farm::plan(), &plain_connect(version));
        line.event(Event::UpstreamClosed);
        assert_eq!(line.program_got(), [""; 0], "it may come again");
        assert!(line.is_local_closed);
    }
}

#[test]
fn wills_are_signed_and_delayed_and_their_session_outlives_the_connection() {
    for version in [V311, V5] {
        let program = Connect {
            will: Some(will("site/one/gone")),
            ..plain_connect(version)
        };
        let (mut line, got) = asked(farm::plan(), &program);
        let told = "will(publish 1 site/one/gone gone WillDelayInterval(10) +token) \
                    SessionExpiryInterval(60)";
        assert!(got[0].contains(told), "{got:?}");
        let expiry = Property::SessionExpiryInterval(60);
        line.broker_sends(&connack(false, 0, &[expiry], V5));
        assert!(!line.program_got()[0].contains("Expiry"));
        line.broker_got();
        line.program_sends(&disconnect(0, version));
        assert_eq!(
            line.broker_got(),
            ["disconnect 00 SessionExpiryInterval(0)"]
        );
    }
}

#[test]
fn a_farewell_that_revives_its_session_is_none() {
    let mut line = Line::running(V5);
    let revives = properties(&[Property::SessionExpiryInterval(60)]);
    let farewell = Packet::Disconnect(Reasoned {
        code: 0,
        properties: revives.as_properties(),
    });
    line.program_sends(&written(&farewell, V5));
    assert_eq!(line.program_got(), ["disconnect 82"]);
    assert_eq!(line.broker_got(), [""; 0], "so that the will is published");
    assert_eq!(line.closed_by(), ["program-protocol"]);
}

#[test]
fn a_will_that_is_not_granted_or_not_listed_is_refused() {
    for topic in ["open/gone", "elsewhere"] {
        for (version, told) in [(V5, "connack 87"), (V311, "connack 05")] {
            let program = Connect {
                will: Some(will(topic)),
                ..plain_connect(version)
            };
            let (mut line, got) = asked(farm::plan(), &program);
            assert_eq!(got, [""; 0]);
            assert_eq!(line.program_got(), [told], "{topic}");
            assert!(line.is_local_closed);
        }
    }
}

#[test]
fn credentials_are_those_of_the_configuration() {
    let program = Connect {
        username: Some("app"),
        password: Some(b"secret"),
        ..plain_connect(V5)
    };
    let login = Credentials::Login {
        audience: Audience::parse("login:broker").unwrap(),
        username: None,
    };
    let fixed = Credentials::Password {
        username: "fixed".to_owned(),
        password_file: "/p".into(),
    };
    let rows = [
        (Credentials::None, ""),
        (Credentials::Program, " user=app password=secret"),
        (login, " user=one password=TOKEN"),
        (fixed, " user=fixed password=pw"),
    ];
    for (credentials, told) in rows {
        let mut plan = farm::plan();
        plan.upstream.credentials = credentials;
        plan.upstream_password = Some(b"pw".to_vec().into());
        let (_, got) = asked(plan, &program);
        let begin = format!("connect 5 clean app 30s{told} Receive");
        assert!(got[0].starts_with(&begin), "{got:?}");
    }
}

#[test]
fn a_local_users_password_is_checked_and_never_sent_upstream() {
    let hash = PasswordHash::of(b"secret", [7; 16], 1);
    let plan = || {
        let mut plan = farm::plan();
        plan.upstream.credentials = Credentials::Program;
        plan.listener.users.push(LocalUser {
            who: LocalIdentity::Password {
                name: "app".to_owned(),
                hash: hash.clone(),
            },
            permissions: Permissions::default(),
        });
        plan
    };
    let program = Connect {
        username: Some("app"),
        password: Some(b"secret"),
        ..plain_connect(V311)
    };
    let mut line = Line::with(V311, plan());
    line.program_sends(&connect(&program));
    assert!(
        matches!(&line.asked[..], [Action::CheckPassword { user, password }]
        if &**user == "app" && password[..] == *b"secret")
    );
    assert_eq!(line.phase(), Phase::ChecksPassword);
    line.event(Event::PasswordChecked(true));
    line.is_connected();
    let got = line.broker_got();
    assert!(
        got[0].starts_with("connect 5 clean app 30s Receive"),
        "{got:?}"
    );
    let mut line = Line::with(V311, plan());
    line.program_sends(&connect(&program));
    line.event(Event::PasswordChecked(false));
    assert_eq!(line.program_got(), ["connack 04"]);
    let mut line = Line::with(V5, plan());
    line.program_sends(&connect(&plain_connect(V5)));
    assert_eq!(line.program_got(), ["connack 86"], "no user name at all");
}

fn authenticating(data: &'static [u8]) -> [Property<'static>; 2] {
    [
        Property::AuthenticationMethod("M"),
        Property::AuthenticationData(data),
    ]
}

fn auth(code: u8, data: &'static [u8]) -> Vec<u8> {
    let said = properties(&authenticating(data));
    let properties = said.as_properties();
    written(&Packet::Auth(Reasoned { code, properties }), V5)
}

#[test]
fn enhanced_authentication_goes_by_turns_with_the_programs_own_credentials() {
    let said = properties(&authenticating(b"1"));
    let program = Connect {
        properties: said.as_properties(),
        ..plain_connect(V5)
    };
    let (mut line, _) = asked(farm::plan(), &program);
    assert_eq!(line.program_got(), ["connack 8c"]);

    let mut plan = farm::plan();
    plan.upstream.credentials = Credentials::Program;
    let (mut line, got) = asked(again(&plan), &program);
    assert!(got[0].contains("AuthenticationMethod(\"M\")"));
    line.broker_sends(&auth(0x18, b"2"));
    assert!(line.program_got()[0].starts_with("auth 18"));
    line.program_sends(&auth(0x18, b"3"));
    assert!(line.broker_got()[0].starts_with("auth 18"));
    line.broker_sends(&connack(false, 0, &authenticating(b"4"), V5));
    assert!(line.program_got()[0].starts_with("connack 00"));
    // Again, later; but twice is once too often.
    line.program_sends(&auth(0x19, b"5"));
    assert!(line.broker_got()[0].starts_with("auth 19"));
    line.broker_sends(&auth(0x00, b"6"));
    assert!(line.program_got()[0].starts_with("auth 00"));
    line.broker_sends(&auth(0x00, b"6"));
    assert_eq!(line.program_got(), ["disconnect 89"]);

    let (mut line, _) = asked(again(&plan), &program);
    line.program_sends(&publish(&message(0, 0, "site/one/a", "1"), V5));
    assert_eq!(line.program_got(), ["connack 82"]);
    let (mut line, _) = asked(plan, &plain_connect(V5));
    line.broker_sends(&auth(0x18, b"2"));
    assert_eq!(line.program_got(), [""; 0], "nobody asked for it");
    assert_eq!(line.broker_got(), ["disconnect 82"]);
}

#[test]
fn a_lying_session_present_ends_it() {
    for version in [V5, V311] {
        let (mut line, _) = asked(farm::plan(), &plain_connect(version));
        line.broker_sends(&connack(true, 0, &[], V5));
        assert_eq!(line.program_got(), [""; 0], "it may come again");
        assert_eq!(line.broker_got(), ["disconnect 82"]);
    }
}

#[test]
fn what_is_no_connect_gets_no_answer_and_other_versions_their_own() {
    let mut line = Line::new(V5);
    line.program_sends(PINGREQ);
    assert_eq!(line.program_got(), [""; 0]);
    assert!(line.is_local_closed);
    let mut line = Line::new(V311);
    let of_31 = b"\x10\x11\0\x06MQIsdp\x03\x02\0\x3c\0\x03abc";
    line.program_sends(of_31);
    assert_eq!(line.program_got_octets(), [0x20, 2, 0, 1]);
    let mut line = Line::new(V5);
    line.program_sends(&connect(&plain_connect(V5)));
    line.is_connected();
    line.broker_sends(&connack(false, 0, &[], V5));
    line.program_got();
    line.program_sends(&connect(&plain_connect(V5)));
    assert_eq!(line.program_got(), ["disconnect 82"]);
}

#[test]
fn a_refused_message_closes_where_that_is_configured() {
    let mut plan = farm::plan();
    plan.listener.close_on_refused = true;
    plan.upstream.version = UpstreamVersion::Auto;
    let refused = Publish {
        topic: "open/a",
        ..message(1, 1, "", "1")
    };
    let mut line = Line::with(V311, again(&plan));
    line.runs(&plain_connect(V311), &[]);
    line.program_sends(&publish(&refused, V311));
    assert_eq!(line.program_got(), [""; 0]);
    assert!(line.is_local_closed);
    let mut line = Line::with(V5, plan);
    line.runs(&plain_connect(V5), &[]);
    line.program_sends(&publish(&refused, V5));
    assert_eq!(
        line.program_got(),
        ["puback 1 87"],
        "MQTT 5 has a word for it"
    );
}

fn again(plan: &ListenerPlan) -> ListenerPlan {
    ListenerPlan {
        listener: plan.listener.clone(),
        upstream: plan.upstream.clone(),
        upstream_password: plan.upstream_password.clone(),
        max_message_octets: plan.max_message_octets,
    }
}
