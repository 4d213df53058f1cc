//! What the gateway makes of a PUBLISH, in both directions, versions and all modes: what it gives the program or the
//! broker is a PUBLISH again, no mark of ours is anybody else's, and what is said to be verified was signed here.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use bytes::BytesMut;
use edgeseal_agent::engine::{Engine, InForce, KeyTable, Settings, Signing, Step};
use edgeseal_agent::gateway::message::{
    Arrival, Copies, EngineNotary, ReceiveContext, SendContext, Sent, VerdictWord, is_ours,
    receive, send,
};
use edgeseal_agent::gateway::packet::{
    Frame, Packet, PropertiesBuf, Property, Publish, Version, read,
};
use edgeseal_agent::gateway::rules::{
    IncomingRule, Mode, OutgoingRule, Permissions, Rule, RuleName, Rules,
};
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::topic::TopicFilter;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use support::domain::{self, Domain, NOW};
use support::generate::{Honest, honest};

static HONEST: LazyLock<Vec<Honest>> = LazyLock::new(honest);
static SIGNED: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let vectors = support::corpus::tokens().into_iter();
    let lines = vectors.flat_map(|(_, vector)| vector.before.into_iter().chain([vector.line]));
    let tokens = lines.filter_map(|line| Some(line["token"].as_str()?.to_owned()));
    let honest = HONEST.iter().map(|message| message.token.clone());
    tokens.chain(honest).map(String::into_bytes).collect()
});
static RULES: LazyLock<[Rules; 3]> = LazyLock::new(|| {
    [Mode::Enforce, Mode::Observe, Mode::Pass].map(|mode| {
        let filter = TopicFilter::parse("#").expect("filter");
        Rules::new(vec![Rule {
            name: RuleName::numbered(1, &filter),
            filter,
            mode,
            outgoing: OutgoingRule::default(),
            incoming: IncomingRule::default(),
        }])
    })
});
static PERMISSIONS: LazyLock<Permissions> = LazyLock::new(|| {
    let all = vec![TopicFilter::parse("#").expect("filter")];
    Permissions {
        publish: all.clone(),
        subscribe: all,
    }
});

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(pump());
}

/// The device `pump`, which remembers nothing.
fn pump() -> Engine {
    let domain = Domain::new();
    let key = domain::key_of("pump");
    let own = domain.keys.get(&key.public().id()).map(|peer| peer.into());
    let signing = Signing::Ready {
        epoch: 5,
        key: Box::new(key),
    };
    let mut engine = Engine::new(Settings::default(), signing, None);
    let keys: KeyTable = domain.keys.into_values().collect();
    engine.set_in_force(Some(InForce {
        view: Arc::new(domain.view),
        own,
        keys: Box::new(keys),
    }));
    engine
}

// The first octet picks versions, mode and listener, the second one an honest token that is added to the packet. Then
// come the packet's first octet and its body, so that the fuzzer need not learn lengths.
fuzz_target!(|data: &[u8]| {
    let [bits, which, first, body @ ..] = data else {
        return;
    };
    let version = |bit: u8| match bits >> bit & 1 {
        0 => Version::V5,
        _ => Version::V311,
    };
    let (upstream, program) = (version(0), version(1));
    let mut octets = vec![*first];
    let mut left = body.len();
    while left >= 0x80 {
        octets.push((left & 0x7F | 0x80) as u8);
        left >>= 7;
    }
    octets.push(left as u8);
    octets.extend_from_slice(body);
    let Some(frame) = Frame::from_octets(&octets) else {
        return;
    };
    let rules = &RULES[usize::from(bits >> 2 & 3) % RULES.len()];
    ENGINE.with_borrow_mut(|engine| {
        if let Ok(Packet::Publish(publish)) = read(&frame, upstream)
            && !publish.topic.is_empty()
        {
            arrives(engine, rules, (upstream, program), &with_token(&publish, *which), bits >> 4 & 1 == 1);
        }
        if let Ok(Packet::Publish(publish)) = read(&frame, program)
            && !publish.topic.is_empty()
        {
            leaves(engine, rules, (upstream, program), &publish);
        }
    });
});

/// The message itself, or with the token of an honest one.
struct Carrying<'a>(Publish<'a>, PropertiesBuf);

fn with_token<'a>(publish: &Publish<'a>, which: u8) -> Carrying<'a> {
    let mut properties = PropertiesBuf::default();
    properties
        .extend(publish.properties.iter())
        .expect("they were read");
    if let Some(honest) = HONEST.get(usize::from(which)) {
        let token = Property::UserProperty("edgeseal", &honest.token);
        properties.push(token).expect("a token is short");
    }
    Carrying(*publish, properties)
}

fn arrives(
    engine: &mut Engine,
    rules: &Rules,
    (upstream, program): (Version, Version),
    carrying: &Carrying<'_>,
    sender_in_topic: bool,
) {
    let publish = Publish {
        properties: carrying.1.as_properties(),
        ..carrying.0
    };
    let now = engine.now(ClockReading {
        time: UnixTime::from_seconds(NOW),
        synchronized: true,
    });
    let mut notary = EngineNotary { engine, now };
    let consumer: ConsumerId = "fuzz".into();
    let mut out = BytesMut::new();
    let mut recorded = 0;
    let mut context = ReceiveContext {
        rules,
        permissions: &PERMISSIONS,
        upstream,
        program,
        program_max_octets: 4096,
        sender_in_topic,
        consumer: &consumer,
        first: None,
        loaded: None,
        copies: &mut Copies::default(),
        record: &mut |_| recorded += 1,
    };
    let Step::Done(arrival) = receive(&publish, &mut context, &mut notary, &mut out) else {
        panic!("every key is in memory");
    };
    let Arrival::Delivered(delivered) = arrival else {
        assert!(out.is_empty(), "{arrival:?}");
        return;
    };
    assert!(out.len() <= 4096);
    let frame = Frame::from_octets(&out).expect("one packet");
    let Ok(Packet::Publish(given)) = read(&frame, program) else {
        panic!("no PUBLISH");
    };
    let ours: Vec<_> = given
        .properties
        .user()
        .filter(|(name, _)| is_ours(name))
        .collect();
    let verified = !matches!(delivered.word, None | Some(VerdictWord::Unverified));
    match delivered.word {
        None => assert!(ours.iter().all(|(name, _)| *name == "edgeseal")),
        Some(word) => {
            let said = ours.iter().filter(|(name, _)| *name == "edgeseal-verdict");
            assert!(said.clone().count() <= 1 && said.clone().all(|(_, value)| *value == word.as_str()));
            assert!(ours.iter().all(|(name, _)| *name != "edgeseal"));
            assert!(verified || ours.iter().all(|(name, _)| *name != "edgeseal-sender"));
            let enforce = delivered.rule.mode == Mode::Enforce;
            assert!(verified || !enforce);
        }
    }
    assert!(verified == delivered.sender.is_some());
    assert!(recorded == usize::from(verified && publish.packet_id.is_some()));
    assert!(given.topic.starts_with("verified/") == (verified && sender_in_topic));
    if verified {
        let carried = publish.properties.user().find(|(name, _)| *name == "edgeseal");
        let enveloped = || {
            let rest = publish.payload.strip_prefix(b"ES1 ")?;
            rest.split(|octet| *octet == b'\n').next()
        };
        let token = carried.map(|(_, token)| token.as_bytes()).or_else(enveloped);
        assert!(token.is_some_and(|token| SIGNED.contains(token)), "accepted");
    }
}

fn leaves(
    engine: &mut Engine,
    rules: &Rules,
    (upstream, _): (Version, Version),
    publish: &Publish<'_>,
) {
    let now = engine.now(ClockReading {
        time: UnixTime::from_seconds(NOW),
        synchronized: true,
    });
    let mut notary = EngineNotary { engine, now };
    let context = SendContext {
        rules,
        permissions: &PERMISSIONS,
        upstream,
        max_packet_octets: 4096,
        resend: None,
    };
    let mut out = BytesMut::new();
    let Sent::Forwarded { rule, id, packets, .. } =
        send(publish, &context, &mut notary, &mut out)
    else {
        assert!(out.is_empty());
        return;
    };
    if packets != 1 {
        assert!(publish.retain && publish.payload.is_empty() && upstream == Version::V311);
        return;
    }
    assert!(out.len() <= 4096);
    let frame = Frame::from_octets(&out).expect("one packet");
    let Ok(Packet::Publish(sent)) = read(&frame, upstream) else {
        panic!("no PUBLISH");
    };
    assert!(sent.properties.topic_alias().is_none());
    let mut ours = sent.properties.user().filter(|(name, _)| is_ours(name));
    match (rule.mode, id, upstream) {
        (Mode::Pass, ..) => assert!(ours.all(|(name, _)| name == "edgeseal")),
        (_, Some(_), Version::V5) => {
            let token = ours.next().map(|(name, _)| name);
            assert!(token == Some("edgeseal") && ours.next().is_none());
        }
        (_, Some(_), Version::V311) => assert!(sent.payload.starts_with(b"ES1 ")),
        (mode, None, _) => assert!(mode == Mode::Observe && ours.next().is_none()),
    }
    assert!(sent.payload.ends_with(publish.payload) && sent.topic == publish.topic);
}
