//! What a message costs the allocator beyond what its token costs, and that its payload is not copied.

use super::{
    Copies, EngineNotary, ReceiveContext, SendContext, Side, at, both, message, receive, send, user,
};
use crate::engine::{Lifetime, SignDraft, Step};
use crate::gateway::message::Notary;
use crate::wire::Qos;
use bytes::BytesMut;
use edgeseal_trust::token::{Kind, Properties, ReceiveRule, Received};

const PAYLOAD: usize = 100_000;

#[test]
fn a_message_that_is_received_allocates_three_times_at_most() {
    let (mut one, mut two) = both(Vec::new);
    let payload = vec![7; PAYLOAD];
    let mut sent = || one.sent(&message("site/a", &payload, &[user("a", "1")]));
    two.receives(&sent()); // the consumer and its window are made
    let messages = [sent(), sent()];
    let now = two.now();
    let mut notary = EngineNotary {
        engine: &mut two.engine,
        now,
    };
    let (rule, token) = (ReceiveRule::default(), messages[0].token());
    let user = [("a", "1")];
    let received = Received {
        topic: b"site/a",
        payload: &payload,
        properties: Some(Properties {
            user: &user,
            ..Properties::default()
        }),
        retain: false,
        consumer: &two.consumer,
        rule: &rule,
    };
    let judged = allocation_counter::measure(|| {
        let Step::Done(Ok(_)) = notary.judge(token.as_bytes(), &received, None, &mut |_| {}) else {
            panic!("not judged");
        };
    });
    let mut out = BytesMut::with_capacity(2 * PAYLOAD);
    let mut copies = Copies::default();
    let publish = messages[1].publish();
    let whole = allocation_counter::measure(|| {
        let mut context = ReceiveContext {
            rules: &two.rules,
            permissions: &two.permissions,
            upstream: two.upstream,
            program: two.program,
            program_max_octets: u32::MAX,
            sender_in_topic: true,
            consumer: &two.consumer,
            first: None,
            loaded: None,
            copies: &mut copies,
            record: &mut |_| {},
        };
        let Step::Done(_) = receive(&publish, &mut context, &mut notary, &mut out) else {
            panic!("not judged");
        };
    });
    assert!(out.len() > PAYLOAD);
    assert!(
        whole.count_total <= judged.count_total + 3,
        "{whole:?} {judged:?}"
    );
    assert!(
        whole.bytes_max < judged.bytes_max + 1000,
        "{whole:?} {judged:?}"
    );
}

#[test]
fn a_message_that_is_sent_allocates_three_times_at_most() {
    let mut one = Side::new(1, vec![]);
    let published = message("site/a", &[7; PAYLOAD], &[user("a", "1")]);
    one.sent(&published);
    let now = one.now();
    let mut notary = EngineNotary {
        engine: &mut one.engine,
        now,
    };
    let draft = SignDraft {
        topic: "site/a",
        payload: &published.payload,
        audience: None,
        kind: Kind::Message,
        lifetime: Lifetime::Default,
        qos: Some(Qos::AtLeastOnce),
        properties: Properties::default(),
        captured_at: None,
        vouched: false,
        resend: None,
    };
    let signed = allocation_counter::measure(|| {
        assert_eq!(notary.sign(&draft).unwrap().issued_at, at(super::NOW));
    });
    let mut out = BytesMut::with_capacity(2 * PAYLOAD);
    let whole = allocation_counter::measure(|| {
        let context = SendContext {
            rules: &one.rules,
            permissions: &one.permissions,
            upstream: one.upstream,
            max_packet_octets: u32::MAX,
            resend: None,
        };
        let _ = send(&published.publish(), &context, &mut notary, &mut out);
    });
    assert!(out.len() > PAYLOAD);
    assert!(
        whole.count_total <= signed.count_total + 3,
        "{whole:?} {signed:?}"
    );
    assert!(
        whole.bytes_max < signed.bytes_max + 1000,
        "{whole:?} {signed:?}"
    );
}
