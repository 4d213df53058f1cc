use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn key(client_id: &str) -> ClientKey {
    ClientKey {
        upstream: "main".into(),
        client_id: client_id.into(),
    }
}

fn uid(uid: u32) -> LocalIdentity {
    LocalIdentity {
        listener: "apps".into(),
        who: Who::Uid(uid),
    }
}

fn number(number: u64) -> ConnectionId {
    ConnectionId::new(number)
}

#[test]
fn an_identifier_is_its_owners_until_an_hour_after_it_left() {
    let mut clients = Clients::new(100);
    let start = Duration::from_secs(7);
    let entered = clients.enter(&key("a"), &uid(1), number(1), start);
    assert_eq!(entered, Ok(None));
    let refused = clients.enter(&key("a"), &uid(2), number(2), start + 9 * HOUR);
    assert_eq!(refused, Err(ClientRefused::Another), "still connected");
    clients.leave(&key("a"), number(1), start + 9 * HOUR);
    let soon = start + 10 * HOUR - Duration::from_secs(1);
    let refused = clients.enter(&key("a"), &uid(2), number(2), soon);
    assert_eq!(refused, Err(ClientRefused::Another));
    let entered = clients.enter(&key("a"), &uid(2), number(2), start + 10 * HOUR);
    assert_eq!(entered, Ok(None));
    let refused = clients.enter(&key("a"), &uid(1), number(3), start + 10 * HOUR);
    assert_eq!(refused, Err(ClientRefused::Another));
}

#[test]
fn the_same_user_on_another_listener_is_another_identity_and_brokers_do_not_share_names() {
    let mut clients = Clients::new(100);
    clients.enter(&key("a"), &uid(1), number(1), HOUR).unwrap();
    let elsewhere = LocalIdentity {
        listener: "other".into(),
        who: Who::Uid(1),
    };
    let refused = clients.enter(&key("a"), &elsewhere, number(2), HOUR);
    assert_eq!(refused, Err(ClientRefused::Another));
    let there = ClientKey {
        upstream: "second".into(),
        client_id: "a".into(),
    };
    assert_eq!(clients.enter(&there, &elsewhere, number(3), HOUR), Ok(None));
}

#[test]
fn a_second_connection_takes_over_and_the_end_of_the_first_changes_nothing() {
    let mut clients = Clients::new(100);
    let enter = |clients: &mut Clients, connection, who| {
        clients.enter(&key("a"), &uid(who), number(connection), HOUR)
    };
    assert_eq!(enter(&mut clients, 1, 1), Ok(None));
    assert_eq!(enter(&mut clients, 2, 1), Ok(Some(number(1))));
    clients.leave(&key("a"), number(1), HOUR);
    assert_eq!(enter(&mut clients, 3, 2), Err(ClientRefused::Another));
    clients.tidy(5 * HOUR);
    assert_eq!(clients.len(), 1, "a living one is never forgotten");
    clients.leave(&key("a"), number(2), HOUR);
    clients.tidy(2 * HOUR);
    assert!(clients.is_empty());
}

#[test]
fn who_makes_up_identifiers_takes_room_from_nobody_else() {
    let mut clients = Clients::new(8);
    let now = Duration::ZERO;
    for each in 0..100 {
        let made_up = key(&format!("made-up-{each}"));
        let entered = clients.enter(&made_up, &uid(1), number(each), now);
        assert_eq!(entered, Ok(None));
        clients.leave(&made_up, number(each), now + Duration::from_millis(each));
        assert!(clients.len() <= 2);
    }
    let kept = clients.enter(&key("made-up-99"), &uid(2), number(100), now);
    assert_eq!(kept, Err(ClientRefused::Another), "the newest is kept");
    for (each, who) in [(200, 2), (201, 2), (202, 3), (203, 3), (204, 4), (205, 4)] {
        let entered = clients.enter(&key(&each.to_string()), &uid(who), number(each), now);
        assert_eq!(entered, Ok(None));
    }
    let refused = clients.enter(&key("more"), &uid(2), number(300), now);
    assert_eq!(
        refused,
        Err(ClientRefused::Full),
        "all of its own are connected"
    );
    let refused = clients.enter(&key("more"), &uid(5), number(301), now);
    assert_eq!(refused, Err(ClientRefused::Full));
    assert_eq!(clients.len(), 8);
    let long = key(&"x".repeat(257));
    let refused = clients.enter(&long, &uid(5), number(302), now);
    assert_eq!(refused, Err(ClientRefused::TooLong));
}

#[test]
fn connections_without_identifier_get_the_lowest_free_number_of_their_identity() {
    let mut clients = Clients::new(8);
    let (one, other) = (uid(1), uid(2));
    let numbers = [1, 2, 3].map(|_| clients.enter_unnamed(&one));
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(clients.enter_unnamed(&other), 1);
    clients.leave_unnamed(&one, 2);
    clients.leave_unnamed(&other, 2);
    assert_eq!(clients.enter_unnamed(&one), 2);
    assert_eq!(clients.enter_unnamed(&one), 4);
    clients.leave_unnamed(&one, 1);
    assert_eq!(clients.enter_unnamed(&one), 1);
}
