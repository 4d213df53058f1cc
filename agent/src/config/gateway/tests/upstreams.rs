use super::*;

#[test]
fn urls_are_read_and_others_refused() {
    for (text, expected) in [
        ("mqtt://broker", "mqtt://broker:1883"),
        ("mqtts://broker/", "mqtts://broker:8883"),
        ("mqtts://10.0.0.1:443", "mqtts://10.0.0.1:443"),
        ("mqtt://[fd00::1]:99", "mqtt://[fd00::1]:99"),
        ("mqtt://[fd00::1]", "mqtt://[fd00::1]:1883"),
        ("unix:/run/b.sock", "unix:/run/b.sock"),
        ("unix:///run/b.sock", "unix:/run/b.sock"),
    ] {
        let text = format!("[[gateway.upstream]]\nurl = \"{text}\"\n");
        assert_eq!(gateway(&text).upstreams[0].url.to_string(), expected);
    }
    for (url, part) in [
        ("", "which protocol"),
        ("broker:1883", "which protocol"),
        ("tcp://broker", "not known here"),
        ("wss://broker", "WebSocket"),
        ("mqtt://", "host"),
        ("mqtt://:1883", "host"),
        ("mqtt://a b", "host"),
        ("mqtt://broker:0", "1 to 65535"),
        ("mqtt://broker:70000", "1 to 65535"),
        ("mqtt://broker:", "1 to 65535"),
        ("mqtt://broker:+80", "1 to 65535"),
        ("mqtt://[fd00::1", "host"),
        ("mqtt://[broker]", "host"),
        ("mqtt://fd00::1", "host"),
        ("mqtt://broker/path", "host"),
        ("mqtt://u:s3cret@broker", "must not hold a user name"),
        ("unix:run", "absolute"),
    ] {
        upstream_refused(&format!("url = \"{url}\""), ProblemCode::Value, 1, part);
        let text = format!("[[gateway.upstream]]\nurl = \"{url}\"\n");
        assert!(!Case::new(text).problem().2.contains("s3cret"));
    }
}

#[test]
fn credentials_and_tls_are_stated_whole_or_not_at_all() {
    let code = ProblemCode::Conflict;
    let url = "url = \"mqtts://b\"\n";
    for (lines, line, part) in [
        ("credentials = \"login\"", 2, "need `login_audience`"),
        (
            "credentials = \"password\"\nusername = \"u\"",
            2,
            "`password_file`",
        ),
        (
            "credentials = \"password\"\npassword_file = \"/p\"",
            2,
            "`username`",
        ),
        ("login_audience = \"login:x\"", 2, "no use with these"),
        ("username = \"u\"", 2, "no use with these"),
        (
            "credentials = \"program\"\npassword_file = \"/p\"",
            3,
            "no use with these",
        ),
        ("certificate_file = \"/c\"", 2, "needs `key_file`"),
        ("key_file = \"/c\"", 2, "needs `certificate_file`"),
    ] {
        upstream_refused(&format!("{url}{lines}"), code, line, part);
    }
}

#[test]
fn values_of_upstreams_that_mean_nothing_are_refused() {
    let code = ProblemCode::Conflict;
    let url = "url = \"mqtts://b\"\n";
    for key in ["ca_file", "certificate_file", "key_file"] {
        upstream_refused(
            &format!("url = \"mqtt://b\"\n{key} = \"/c\""),
            code,
            2,
            "is for TLS",
        );
        let lines = format!("{url}{key} = \"c.pem\"");
        upstream_refused(&lines, ProblemCode::Value, 2, "absolute");
    }
    upstream_refused(
        "url = \"unix:/b\"\nalpn = [\"mqtt\"]",
        code,
        2,
        "is for TLS",
    );
    upstream_refused(
        "url = \"unix:/b\"\nserver_name = \"b\"",
        code,
        2,
        "is for TLS",
    );
    upstream_refused("name = \"b\"", code, 0, "not where it is");
    let value = ProblemCode::Value;
    for (lines, part) in [
        ("login_audience = \"broker\"", "\"login:\""),
        ("credentials = \"token\"", "allowed: \"login\""),
        ("version = \"5\"", "allowed: \"auto\", \"3.1.1\""),
        ("alpn = [\"\"]", "1 to 255"),
        ("server_name = \"a b\"", "certificate"),
        ("username = \"\"", "1 to 1024"),
    ] {
        upstream_refused(&format!("{url}{lines}"), value, 2, part);
    }
    for lines in [
        "keep_alive_seconds = 4",
        "keep_alive_seconds = 65536",
        "will_delay_seconds = 3601",
        "connect_timeout_seconds = 0",
    ] {
        upstream_refused(
            &format!("{url}{lines}"),
            ProblemCode::OutOfRange,
            2,
            "must be from",
        );
    }
    upstream_refused(
        &format!("{url}renewal = 1"),
        ProblemCode::WrongType,
        2,
        "true or false",
    );
    upstream_refused(
        &format!("{url}cafile = 1"),
        ProblemCode::UnknownKey,
        2,
        "`ca_file`?",
    );
}
