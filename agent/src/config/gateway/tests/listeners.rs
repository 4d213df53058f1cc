use super::*;

#[test]
fn addresses_are_read_and_others_refused() {
    for (text, expected) in [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("127.0.0.1", "127.0.0.1:1884"),
        ("::1", "[::1]:1884"),
        ("[::1]", "[::1]:1884"),
        ("[::1]:7", "[::1]:7"),
        ("127.9.9.9:7", "127.9.9.9:7"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
    ] {
        let text = format!("{UPSTREAM}[[gateway.listener]]\naddress = \"{text}\"\n");
        assert_eq!(gateway(&text).listeners[0].address.to_string(), expected);
    }
    let value = ProblemCode::Value;
    for (text, code, part) in [
        ("localhost:1884", value, "an IP address with a port"),
        ("", value, "cannot be"),
        ("1884", value, "cannot be"),
        ("127.0.0.1:0", ProblemCode::OutOfRange, "port"),
        ("127.0.0.1:65536", value, "cannot be"),
        ("unix:run/x", value, "absolute"),
        ("unix:", value, "absolute"),
    ] {
        listener_refused(&format!("address = \"{text}\""), code, 1, part);
    }
    let long = format!("address = \"unix:/{}\"", "x".repeat(107));
    listener_refused(&long, ProblemCode::OutOfRange, 1, "107 bytes");
}

#[test]
fn another_address_than_loopback_takes_consent_and_users() {
    let code = ProblemCode::Conflict;
    for address in [
        "0.0.0.0:1884",
        "[::]:1884",
        "192.168.1.5:1884",
        "[::ffff:10.0.0.1]:1",
    ] {
        let lines = format!("address = \"{address}\"");
        listener_refused(&lines, code, 1, "other machines");
        let lines = format!("{lines}\nallow_nonloopback = true");
        listener_refused(&lines, code, 2, "needs local users");
        let user = format!("[[gateway.listener.user]]\nname = \"a\"\npassword_hash = \"{HASH}\"");
        let lines = format!("{UPSTREAM}[[gateway.listener]]\n{lines}\n{user}\n");
        assert!(gateway(&lines).is_on(), "{address}");
    }
}

#[test]
fn listeners_must_not_meet() {
    let both = |one: &str, other: &str| {
        format!(
            "{UPSTREAM}[[gateway.listener]]\naddress = \"{one}\"\n[[gateway.listener]]\naddress = \"{other}\"\n"
        )
    };
    let code = ProblemCode::Conflict;
    for (one, other) in [
        ("127.0.0.1:1884", "127.0.0.1"),
        ("unix:/a", "unix:/a"),
        ("[::1]:5", "[::1]:5"),
    ] {
        refused(&both(one, other), code, 6, "listens on");
    }
    for (one, other) in [
        ("127.0.0.1:1884", "127.0.0.1:1885"),
        ("127.0.0.1:1884", "127.0.0.2:1884"),
        ("127.0.0.1:1884", "[::1]:1884"),
        ("unix:/a", "unix:/b"),
    ] {
        assert_eq!(gateway(&both(one, other)).listeners.len(), 2);
    }
    let user = format!("[[gateway.listener.user]]\nname = \"a\"\npassword_hash = \"{HASH}\"\n");
    let any = format!(
        "{}allow_nonloopback = true\n{user}",
        both("127.0.0.1:7", "0.0.0.0:7")
    );
    refused(&any, code, 6, "listens on");
    let any = any.replace("0.0.0.0", "[::]");
    refused(&any, code, 6, "listens on");
    let named = "name = \"x\"\n[[gateway.listener]]\naddress = \"127.0.0.1:9\"\nname = \"x\"";
    listener_refused(named, code, 4, "\"x\" already");
    let numbered = "name = \"2\"\n[[gateway.listener]]\naddress = \"127.0.0.1:9\"";
    listener_refused(numbered, code, 2, "\"2\" already");
    let api = "address = \"unix:/run/edgeseal/api.sock\"";
    listener_refused(api, code, 1, "agent's own API");
}

#[test]
fn a_gateway_does_not_connect_to_itself() {
    for (url, address) in [
        ("mqtt://127.0.0.1:1884", "127.0.0.1:1884"),
        ("mqtt://localhost:1884", "127.0.0.1"),
        ("mqtts://[::1]:7", "[::1]:7"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
    ] {
        let text = format!(
            "[[gateway.upstream]]\nurl = \"{url}\"\n[[gateway.listener]]\naddress = \"{address}\"\n"
        );
        refused(&text, ProblemCode::Conflict, 2, "connect to itself");
    }
    let other = "[[gateway.upstream]]\nurl = \"mqtt://127.0.0.1\"\n[[gateway.listener]]\n";
    assert!(gateway(other).is_on());
}

#[test]
fn a_listener_names_an_upstream_that_exists() {
    let code = ProblemCode::Conflict;
    listener_refused("upstream = \"mian\"", code, 1, "did you mean \"main\"?");
    refused("[[gateway.listener]]\n", code, 1, "no upstream \"main\"");
    listener_refused("upstream = \"Main\"", ProblemCode::Value, 1, "a-z");
    let twice = format!("{UPSTREAM}{UPSTREAM}");
    refused(&twice, code, 3, "\"main\" already");
    // One that was refused is not missing as well.
    upstream_refused(
        "url = \"x\"\n[[gateway.listener]]",
        ProblemCode::Value,
        1,
        "protocol",
    );
    let half = "credentials = \"login\"\nurl = \"mqtt://b\"\n[[gateway.listener]]";
    upstream_refused(half, code, 1, "need `login_audience`");
}

#[test]
fn local_users_are_known_by_password_over_tcp_and_by_the_kernel_on_sockets() {
    let code = ProblemCode::Conflict;
    let user = |lines: &str| format!("[[gateway.listener.user]]\n{lines}");
    listener_refused(&user("name = \"a\""), code, 1, "`name` and `password_hash`");
    listener_refused(&user("uid = 5"), code, 2, "`uid` is for Unix sockets");
    let socket = "address = \"unix:/run/x.sock\"\n";
    listener_refused(
        &format!("{socket}{}", user("name = \"a\"")),
        code,
        3,
        "the kernel says",
    );
    listener_refused(
        &format!("{socket}{}", user("publish = [\"a\"]")),
        code,
        2,
        "says not who",
    );
    let two = format!("{socket}{}\n{}", user("uid = 5"), user("uid = 5"));
    listener_refused(&two, code, 4, "this user already");
    let unknown = format!("{socket}{}", user("user = \"nobody-here\""));
    listener_refused(&unknown, ProblemCode::UnknownName, 3, "/etc/passwd");
    let plain = user("name = \"a\"\npassword_hash = \"s3cret\"");
    listener_refused(&plain, ProblemCode::Value, 3, "hash-password");
    let (_, _, message) = Case::new(format!("{UPSTREAM}[[gateway.listener]]\n{plain}\n")).problem();
    assert!(!message.contains("s3cret"), "{message}");
    listener_refused("socket_mode = \"0600\"", code, 1, "is for Unix sockets");
    let consent = format!("{socket}allow_nonloopback = true");
    listener_refused(&consent, code, 2, "is for TCP");
    let group = format!("{socket}socket_group = \"nope\"");
    listener_refused(&group, ProblemCode::UnknownName, 2, "/etc/group");
    listener_refused("user = 1", ProblemCode::WrongType, 1, "list of tables");
}

#[test]
fn who_a_local_user_is_decides_what_it_may_do() {
    let text = format!(
        "{UPSTREAM}[[gateway.listener]]\naddress = \"unix:/run/x.sock\"\npublish = [\"all\"]\n\
         [[gateway.listener.user]]\ngid = 985\npublish = [\"group\"]\n\
         [[gateway.listener.user]]\nuid = 5\ngid = 985\nsubscribe = [\"both\"]\n"
    );
    let listener = &gateway(&text).listeners[0];
    let lists = |uid, gids: &[u32]| {
        let permissions = listener.permissions_of(uid, gids);
        (permissions.publish.len(), permissions.subscribe.len())
    };
    assert_eq!(lists(7, &[7]), (1, 0));
    assert_eq!(lists(7, &[7, 985]), (2, 0));
    assert_eq!(lists(5, &[985]), (2, 1));
    assert_eq!(lists(5, &[5]), (1, 0));

    let hash = PasswordHash::of(b"secret", [1; 16], 0).to_phc();
    let text = format!(
        "{UPSTREAM}[[gateway.listener]]\n[[gateway.listener.user]]\nname = \"a\"\npassword_hash = \"{hash}\"\n\
         [[gateway.listener.user]]\nname = \"b\"\npassword_hash = \"{HASH}\"\n"
    );
    let listener = &gateway(&text).listeners[0];
    assert_eq!(
        listener.authenticate("a", b"secret"),
        Some(&listener.users[0])
    );
    for (name, password) in [("a", "Secret"), ("b", "secret"), ("c", "secret"), ("", "")] {
        assert_eq!(
            listener.authenticate(name, password.as_bytes()),
            None,
            "{name}"
        );
    }
}

#[test]
fn client_identifiers_are_made_from_the_template() {
    let template = ClientIdTemplate::parse("{device}-{client_id}").unwrap();
    let device = DeviceId::parse("pump-1").unwrap();
    assert_eq!(template.expand("app", Some(&device)).unwrap(), "pump-1-app");
    assert_eq!(template.expand("app", None), None);
    assert_eq!(
        template.expand("{device}", Some(&device)).unwrap(),
        "pump-1-{device}"
    );
    assert_eq!(Config::default().gateway.listeners.len(), 0);
}
