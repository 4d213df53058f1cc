#![allow(clippy::arithmetic_side_effects)]

mod listeners;
mod upstreams;
mod warnings;

use super::*;
use crate::config::tests::Case;
use crate::config::{Config, ProblemCode, describe};
use crate::gateway::rules::{Form, Mode};
use edgeseal_trust::token::Kind;
use edgeseal_trust::topic::Topic;

const UPSTREAM: &str = "[[gateway.upstream]]\nurl = \"mqtt://broker\"\n";
const HASH: &str = "$pbkdf2-sha256$i=100000,l=32$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn gateway(text: &str) -> GatewayConfig {
    Case::new(text).config().gateway
}

#[track_caller]
fn refused(text: &str, code: ProblemCode, line: usize, part: &str) {
    let (found, place, message) = Case::new(text).problem();
    assert_eq!(
        (found, place.map(|(line, _)| line)),
        (code, Some(line)),
        "{message}"
    );
    assert!(message.contains(part), "{message}");
}

/// A listener with these lines, after the upstream's two and its own first.
#[track_caller]
fn listener_refused(lines: &str, code: ProblemCode, line: usize, part: &str) {
    let text = format!("{UPSTREAM}[[gateway.listener]]\n{lines}\n");
    refused(&text, code, line + 3, part);
}

#[track_caller]
fn upstream_refused(lines: &str, code: ProblemCode, line: usize, part: &str) {
    refused(
        &format!("[[gateway.upstream]]\n{lines}\n"),
        code,
        line + 1,
        part,
    );
}

#[track_caller]
fn rule_refused(lines: &str, code: ProblemCode, line: usize, part: &str) {
    refused(&format!("[[rule]]\n{lines}\n"), code, line + 1, part);
}

#[test]
fn without_listeners_the_gateway_is_off() {
    for text in ["", UPSTREAM, "[gateway]\nmax_message_bytes = 4096\n"] {
        assert!(!gateway(text).is_on(), "{text}");
    }
    assert_eq!(gateway(""), GatewayConfig::default());
}

#[test]
fn a_listener_has_the_defaults_of_the_documentation() {
    let gateway = gateway(&format!("{UPSTREAM}[[gateway.listener]]\n"));
    assert!(gateway.is_on());
    let listener = &gateway.listeners[0];
    let address = SocketAddr::from(([127, 0, 0, 1], 1884));
    assert_eq!(listener.name, "1");
    assert_eq!(listener.address, ListenAddress::Tcp(address));
    assert_eq!(listener.permissions, Permissions::default());
    assert_eq!(listener.client_id.as_str(), "{client_id}");
    assert_eq!(listener.max_connections, 64);
    let upstream = upstream_of(&gateway, listener);
    let url = UpstreamUrl::Mqtt {
        host: "broker".to_owned(),
        port: 1883,
    };
    assert_eq!((upstream.name.as_str(), &upstream.url), ("main", &url));
    assert_eq!(upstream.version, UpstreamVersion::Auto);
    assert_eq!(upstream.credentials, Credentials::None);
    assert_eq!(upstream.tls, None);
    assert_eq!(
        (
            upstream.keep_alive_seconds,
            upstream.will_delay_seconds,
            upstream.connect_timeout_seconds,
            upstream.renewal
        ),
        (60, 10, 10, false)
    );
}

#[test]
fn every_key_is_taken() {
    let gateway = gateway(&WHOLE.replace("HASH", HASH));
    assert_eq!(
        (gateway.max_buffered_bytes, gateway.max_message_bytes),
        (4 << 20, 65_536)
    );
    let [apps, second] = gateway.listeners.as_slice() else {
        panic!("{gateway:?}");
    };
    assert!(
        matches!(&apps.address, ListenAddress::Unix { mode: 0o600, group: Some(group), .. }
        if group.gid == Some(985))
    );
    assert_eq!(
        (
            apps.max_connections,
            apps.close_on_refused,
            apps.sender_in_topic
        ),
        (8, true, true)
    );
    assert_eq!(second.name, "2");
    assert_eq!(upstream_of(&gateway, second).version, UpstreamVersion::V311);
    let main = upstream_of(&gateway, apps);
    let tls = main.tls.as_ref().unwrap();
    assert_eq!((tls.alpn.len(), tls.client.is_some()), (1, true));
    assert_eq!(tls.server_name.as_deref(), Some("inner.example"));
    assert!(
        matches!(&main.credentials, Credentials::Login { audience, username: None }
        if audience.to_string() == "login:broker")
    );
    let find = |topic: &str| gateway.rules.find(Topic::parse(topic.as_bytes()).unwrap());
    let command = find("site/pump-1/cmd");
    assert_eq!(command.name.as_str(), "rule 1 (site/+/cmd)");
    assert_eq!(command.outgoing.lifetime_seconds, Some(600));
    assert_eq!(
        (command.outgoing.form, command.outgoing.vouch),
        (Form::Envelope, true)
    );
    let received = command.incoming.first();
    assert!(received.command && received.any_audience && received.ignore_user_properties);
    assert_eq!(received.max_age_seconds, Some(10));
    assert_eq!(received.as_published.as_ref().unwrap().remove, "north/");
    let state = find("site/pump-1/state");
    assert_eq!(
        (state.mode, state.outgoing.kind),
        (Mode::Observe, Kind::Retained)
    );
    assert!(state.incoming.receive(Kind::Will).is_none());
    assert!(
        state
            .incoming
            .receive(Kind::Retained)
            .unwrap()
            .after_power_loss
    );
    assert_eq!(find("debug/x").mode, Mode::Pass);
}

#[test]
fn everything_is_shown_with_its_place_and_no_secret() {
    let loaded = Case::new(WHOLE.replace("HASH", HASH)).load().unwrap();
    let shown = describe(&loaded);
    let of = |key: &str| {
        let found = shown.iter().find(|one| one.key == key);
        found.unwrap_or_else(|| panic!("{key}")).clone()
    };
    for (key, part, line) in [
        ("gateway.max_message_bytes", "65536", 3),
        (
            "gateway.upstream[0]",
            "url=\"mqtts://broker.example:8883\"",
            4,
        ),
        (
            "gateway.upstream[0]",
            "login_audience=\"login:broker\" ca_file=\"/etc/ssl/farm.pem\"",
            4,
        ),
        (
            "gateway.upstream[1]",
            "password_file=\"/etc/edgeseal/broker.password\"",
            17,
        ),
        (
            "gateway.listener[0]",
            "publish=[\"site/{device}/#\"] subscribe=[\"site/#\"]",
            24,
        ),
        (
            "gateway.listener[0].user[0]",
            "gid=985 publish=[\"extra\"]",
            24,
        ),
        (
            "gateway.listener[1].user[0]",
            "name=\"nodered\" password_hash=(set)",
            38,
        ),
        (
            "rule[0]",
            "audience=\"device:{2}\" lifetime_seconds=600 form=\"envelope\"",
            46,
        ),
        ("rule[1]", "kind=\"retained\" accept=[\"retained\"]", 57),
        ("rule[2]", "topic=\"debug/#\" mode=\"pass\"", 63),
    ] {
        let one = of(key);
        assert!(one.value.contains(part), "{key}: {}", one.value);
        let origin = one.origin.to_string();
        assert!(
            origin.ends_with(&format!("config.toml:{line}")),
            "{key}: {origin}"
        );
    }
    let all: String = shown.iter().map(|one| one.value.as_str()).collect();
    assert!(!all.contains("pbkdf2") && !format!("{:?}", loaded.config).contains("AAECAw"));
}

/// In their part of the page, each as the first thing of a row.
#[test]
fn every_key_is_documented() {
    let page = include_str!("../../../../../docs/gateway.md");
    for kind in [
        &listener::LISTENER,
        &listener::USER,
        &upstream::UPSTREAM,
        &rule::RULE,
    ] {
        let heading = match kind.title {
            "[[rule]]" => "## Rules".to_owned(),
            title => format!("### `{title}`"),
        };
        let part = page.split(&format!("\n{heading}\n")).nth(1).unwrap();
        let rows: Vec<&str> = part
            .split("\n#")
            .take(1)
            .flat_map(str::lines)
            .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
            .collect();
        for key in kind
            .keys
            .iter()
            .filter(|key| **key != "user" || kind.word == "user")
        {
            let named = |row: &&str| row.split(['`', ',', ' ']).any(|word| word == *key);
            assert!(rows.iter().any(named), "{key} of {}", kind.title);
        }
    }
}

#[test]
fn entries_of_all_files_add_up_in_their_order() {
    let rule = |topic: &str| format!("[[rule]]\ntopic = \"{topic}\"\n");
    let case = Case::new(rule("a/+"))
        .drop_in("20.toml", rule("c"))
        .drop_in(
            "10.toml",
            rule("b") + UPSTREAM + "[[gateway.listener]]\nname = \"x\"\n",
        );
    let gateway = case.config().gateway;
    let names: Vec<&str> = gateway
        .rules
        .stated()
        .iter()
        .map(|rule| rule.name.as_str())
        .collect();
    assert_eq!(names, ["rule 1 (a/+)", "rule 2 (b)", "rule 3 (c)"]);
    assert_eq!(gateway.listeners.len(), 1);
}

#[test]
fn rules_that_contradict_themselves_are_refused() {
    let code = ProblemCode::Conflict;
    rule_refused("mode = \"pass\"", code, 0, "which topics");
    let topic = "topic = \"site/+/cmd\"\n";
    for (lines, line, part) in [
        (
            "mode = \"pass\"\ncommand = true",
            3,
            "neither signs nor judges",
        ),
        (
            "mode = \"pass\"\naudience = \"domain\"",
            3,
            "`audience` has no effect",
        ),
        ("relay = true\nvouch = true", 3, "`vouch` has no effect"),
        (
            "relay = true\nlifetime_seconds = 5",
            3,
            "`lifetime_seconds` has no effect",
        ),
        (
            "command = true\nkind = \"retained\"",
            2,
            "no retained statement",
        ),
        (
            "command = true\naccept = [\"will\"]",
            3,
            "commands are messages",
        ),
        (
            "kind = \"retained\"\naudience = \"device:{2}\"",
            3,
            "whole domain",
        ),
    ] {
        rule_refused(&format!("{topic}{lines}"), code, line, part);
    }
}

#[test]
fn values_of_rules_that_mean_nothing_are_refused() {
    let topic = "topic = \"site/+/cmd\"\n";
    for (lines, code, part) in [
        (
            "audience = \"device:{4}\"",
            ProblemCode::Value,
            "no level 4",
        ),
        ("audience = \"device:{0}\"", ProblemCode::Value, "braces"),
        ("audience = \"login:x\"", ProblemCode::Value, "login"),
        ("audience = \"pump\"", ProblemCode::Value, "must be domain"),
        (
            "audience = \"group:Ops\"",
            ProblemCode::Value,
            "no valid name",
        ),
        (
            "lifetime_seconds = 0",
            ProblemCode::OutOfRange,
            "must be from 1",
        ),
        (
            "lifetime_seconds = 2592001",
            ProblemCode::OutOfRange,
            "30 days",
        ),
        (
            "max_age_seconds = 0",
            ProblemCode::OutOfRange,
            "must be from 1",
        ),
        (
            "kind = \"will\"",
            ProblemCode::Value,
            "always signed as a will",
        ),
        ("kind = \"status\"", ProblemCode::Value, "allowed"),
        ("accept = []", ProblemCode::Value, "at least one"),
        ("accept = [\"wills\"]", ProblemCode::Value, "is no kind"),
        (
            "as_published = { remove = \"a/#\" }",
            ProblemCode::Value,
            "no wildcards",
        ),
        (
            "as_published = { remov = \"a\" }",
            ProblemCode::UnknownKey,
            "`remove`?",
        ),
        (
            "as_published = \"a\"",
            ProblemCode::WrongType,
            "must be a table",
        ),
        (
            "after_power_loss = true",
            ProblemCode::WrongType,
            "text in quotes",
        ),
        (
            "lifetime = 5",
            ProblemCode::UnknownKey,
            "`lifetime_seconds`?",
        ),
        (
            "mode = \"passs\"",
            ProblemCode::Value,
            "did you mean \"pass\"?",
        ),
    ] {
        rule_refused(&format!("{topic}{lines}"), code, 2, part);
    }
    let year = format!("{topic}kind = \"retained\"\nlifetime_seconds = 31536000");
    assert_eq!(
        gateway(&format!("[[rule]]\n{year}\n")).rules.stated().len(),
        1
    );
}

#[test]
fn filters_are_refused_that_could_never_match_or_mean_something_else() {
    for (filter, part) in [
        ("edgeseal/#", "edgeseal/"),
        ("$share/g/a", "the filter alone"),
        ("a/#/b", "wildcard"),
        ("a+", "wildcard"),
        ("", "empty"),
        ("{client}/a", "braces"),
        ("a\\u0001", "control"),
    ] {
        rule_refused(
            &format!("topic = \"{filter}\""),
            ProblemCode::Value,
            1,
            part,
        );
        listener_refused(
            &format!("publish = [\"{filter}\"]"),
            ProblemCode::Value,
            1,
            part,
        );
    }
    rule_refused("topic = \"a/{device}\"", ProblemCode::Value, 1, "{device}");
}

#[test]
fn other_keys_and_sections_are_refused_with_a_suggestion() {
    listener_refused("adress = 1", ProblemCode::UnknownKey, 1, "`address`?");
    listener_refused("client_id = \"{device}\"", ProblemCode::Value, 1, "once");
    listener_refused(
        "client_id = \"{client_id}{x}\"",
        ProblemCode::Value,
        1,
        "braces",
    );
    listener_refused("max_connections = 0", ProblemCode::OutOfRange, 1, "1024");
    refused(
        "[[rules]]\ntopic = \"a\"\n",
        ProblemCode::UnknownKey,
        1,
        "[[rule]]?",
    );
    refused(
        "[rule]\ntopic = \"a\"\n",
        ProblemCode::WrongType,
        1,
        "[[rule]]",
    );
    refused("[gatway]\n", ProblemCode::UnknownKey, 1, "[gateway]?");
    refused(
        "[gateway]\nlistner = 1\n",
        ProblemCode::UnknownKey,
        2,
        "`listener`?",
    );
    refused(
        "[gateway.listener]\n",
        ProblemCode::WrongType,
        1,
        "two brackets",
    );
    let small = "[gateway]\nmax_message_bytes = 1048576\nmax_buffered_bytes = 1048576\n";
    refused(small, ProblemCode::Conflict, 2, "at least twice");
    let many = "[[rule]]\ntopic = \"a\"\n".repeat(257);
    refused(&many, ProblemCode::OutOfRange, 513, "more than 256 rules");
}

const WHOLE: &str = r#"[gateway]
max_buffered_bytes = 4194304
max_message_bytes = 65536
[[gateway.upstream]]
url = "mqtts://broker.example"
credentials = "login"
login_audience = "login:broker"
ca_file = "/etc/ssl/farm.pem"
certificate_file = "/etc/ssl/pump.pem"
key_file = "/etc/ssl/pump.key"
alpn = ["mqtt"]
server_name = "inner.example"
keep_alive_seconds = 30
will_delay_seconds = 20
connect_timeout_seconds = 5
renewal = true
[[gateway.upstream]]
name = "local"
url = "unix:/run/mosquitto/mosquitto.sock"
version = "3.1.1"
credentials = "password"
username = "edge"
password_file = "/etc/edgeseal/broker.password"
[[gateway.listener]]
name = "apps"
address = "unix:/run/edgeseal/mqtt.sock"
socket_mode = "0600"
socket_group = "mqtt"
publish = ["site/{device}/#"]
subscribe = ["site/#"]
client_id = "{device}-{client_id}"
sender_in_topic = true
max_connections = 8
close_on_refused = true
[[gateway.listener.user]]
group = "mqtt"
publish = ["extra"]
[[gateway.listener]]
address = "0.0.0.0:1885"
upstream = "local"
allow_nonloopback = true
[[gateway.listener.user]]
name = "nodered"
password_hash = "HASH"
subscribe = ["a"]
[[rule]]
topic = "site/+/cmd"
audience = "device:{2}"
lifetime_seconds = 600
form = "envelope"
vouch = true
command = true
max_age_seconds = 10
receive_audience = "any"
as_published = { remove = "north/" }
bind_user_properties = false
[[rule]]
topic = "site/+/state"
mode = "observe"
kind = "retained"
accept = ["retained"]
after_power_loss = "accept"
[[rule]]
topic = "debug/#"
mode = "pass"
"#;

fn upstream_of<'a>(gateway: &'a GatewayConfig, listener: &ListenerConfig) -> &'a UpstreamConfig {
    let named = |upstream: &&UpstreamConfig| upstream.name == listener.upstream;
    gateway.upstreams.iter().find(named).unwrap()
}
