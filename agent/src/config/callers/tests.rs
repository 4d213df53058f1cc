use super::*;
use crate::config::tests::Case;
use crate::config::{Config, ProblemCode, describe};

const PUMP: &str = "\
[[api.caller]]
user = \"pump\"
verbs = [\"sign\", \"verify\"]
publish = [\"site/pump/#\", \"site/+/level\"]
";

fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer<'_> {
    Peer { uid, gid, groups }
}

#[test]
fn without_a_list_root_and_the_agent_may_do_everything_and_others_nothing() {
    let api = Config::default().api;
    for uid in [0, 900] {
        let all = api.permissions(peer(uid, 1, &[]), 900).unwrap();
        assert_eq!(all.verbs.len(), Verb::ALL.len());
        assert_eq!(
            (all.publish, all.login, all.rate),
            (vec!["#".to_owned()], Audiences::AnyLogin, None)
        );
    }
    assert_eq!(api.permissions(peer(1000, 0, &[0, 900]), 900), None);
}

#[test]
fn a_list_adds_to_root_and_the_agent() {
    let api = Case::new(PUMP).config().api;
    assert_eq!(
        api.permissions(peer(0, 0, &[]), 900).unwrap().verbs.len(),
        Verb::ALL.len()
    );
    let pump = api.permissions(peer(990, 990, &[]), 900).unwrap();
    assert_eq!(pump.verbs, [Verb::Sign, Verb::Verify].into());
    assert_eq!(pump.publish, ["site/pump/#", "site/+/level"]);
    assert_eq!(pump.login, Audiences::Listed(vec![]));
    assert_eq!(
        pump.rate,
        Some(Rate {
            requests_per_second: 100,
            burst: 200
        })
    );
    assert_eq!(api.permissions(peer(1000, 1000, &[]), 900), None);
}

#[test]
fn all_that_an_entry_states_must_hold() {
    let both = "[[api.caller]]\nuser = \"pi\"\ngid = 985\nverbs = [\"verify\"]\n";
    let api = Case::new(both).config().api;
    assert!(api.permissions(peer(1000, 985, &[]), 900).is_some());
    assert!(api.permissions(peer(1000, 1000, &[7, 985]), 900).is_some());
    assert!(api.permissions(peer(1000, 1000, &[7]), 900).is_none());
    assert!(api.permissions(peer(990, 985, &[985]), 900).is_none());
}

#[test]
fn entries_of_all_files_add_up_and_the_higher_rate_holds() {
    let case = Case::new(PUMP).drop_in(
        "pump.toml",
        "[[api.caller]]\ngroup = \"mqtt\"\nverbs = [\"login\"]\nlogin = [\"login:broker\"]\nburst = 500\nrequests_per_second = 1\n",
    );
    let loaded = case.load().unwrap();
    let sum = loaded
        .config
        .api
        .permissions(peer(990, 990, &[985]), 900)
        .unwrap();
    assert_eq!(sum.verbs, [Verb::Login, Verb::Sign, Verb::Verify].into());
    assert_eq!(
        sum.login,
        Audiences::Listed(vec!["login:broker".to_owned()])
    );
    assert_eq!(
        sum.rate,
        Some(Rate {
            requests_per_second: 100,
            burst: 500
        })
    );
    let shown = describe(&loaded)
        .into_iter()
        .find(|one| one.key == "api.caller[1]")
        .unwrap();
    assert!(
        shown.value.starts_with("gid=985 verbs=[\"login\"]"),
        "{}",
        shown.value
    );
    assert!(
        shown.origin.to_string().ends_with("pump.toml:1"),
        "{}",
        shown.origin
    );
}

#[track_caller]
fn entry_refused(entry: &str, code: ProblemCode, line: usize, text: &str) {
    let (found, place, message) = Case::new(format!("[[api.caller]]\n{entry}\n")).problem();
    assert_eq!(
        (found, place.map(|(line, _)| line)),
        (code, Some(line)),
        "{message}"
    );
    assert!(message.contains(text), "{message}");
}

#[test]
fn entries_that_contradict_themselves_are_refused() {
    let code = ProblemCode::Conflict;
    let verify = "verbs = [\"verify\"]";
    entry_refused(verify, code, 1, "says not who it is");
    entry_refused(
        &format!("user = \"pi\"\nuid = 1000\n{verify}"),
        code,
        1,
        "`user` and `uid`",
    );
    entry_refused(
        &format!("group = \"pi\"\ngid = 1000\n{verify}"),
        code,
        1,
        "`group` and `gid`",
    );
    entry_refused("uid = 1", code, 1, "may do nothing");
    entry_refused("uid = 1\nverbs = []", code, 1, "may do nothing");
    entry_refused("uid = 1\nverbs = [\"sign\"]", code, 1, "`publish`");
    entry_refused(
        &format!("uid = 1\n{verify}\npublish = [\"a\"]"),
        code,
        1,
        "`sign`",
    );
    entry_refused(
        "uid = 1\nverbs = [\"login\"]",
        code,
        1,
        "`login` need each other",
    );
    entry_refused(
        &format!("uid = 1\n{verify}\nlogin = [\"login:a\"]"),
        code,
        1,
        "need each other",
    );
}

#[test]
fn topics_of_the_agents_and_broken_filters_are_refused() {
    for (filter, text) in [
        ("edgeseal/#", "below edgeseal/"),
        ("edgeseal", "below edgeseal/"),
        ("edgeseal/site/manifest", "below edgeseal/"),
        ("", "1 to 1024 bytes"),
        ("a/#/b", "`#` must be"),
        ("a/b#", "`#` must be"),
        ("a/b+/c", "`+` must be"),
        ("a\\u0000b", "control characters"),
    ] {
        let entry = format!("uid = 1\nverbs = [\"sign\"]\npublish = [\"a\", \"{filter}\"]");
        entry_refused(&entry, ProblemCode::Value, 4, text);
    }
    for filter in ["#", "+", "+/+/#", "/", "edgesealed/x", "a//b", "{device}/x"] {
        assert_eq!(super::check_publish_filter(filter), Ok(()), "{filter}");
    }
}

#[test]
fn other_broken_entries_are_refused() {
    let ok = "uid = 1\nverbs = [\"verify\"]\n";
    let line = |text: &str| format!("{ok}{text}");
    entry_refused(
        &line("usr = 1"),
        ProblemCode::UnknownKey,
        4,
        "did you mean `user`?",
    );
    entry_refused(
        &line("permissions = 1"),
        ProblemCode::UnknownKey,
        4,
        "keys of [[api.caller]]",
    );
    entry_refused(
        &line("burst = 0"),
        ProblemCode::OutOfRange,
        4,
        "from 1 to 1000000",
    );
    entry_refused(
        &line("burst = \"9\""),
        ProblemCode::WrongType,
        4,
        "must be an integer",
    );
    entry_refused(
        &line("gid = 4294967295"),
        ProblemCode::OutOfRange,
        4,
        "`gid` must be",
    );
    entry_refused(
        &line("group = 985"),
        ProblemCode::WrongType,
        4,
        "stated as `gid`",
    );
    entry_refused(
        &line("login = \"login:a\""),
        ProblemCode::WrongType,
        4,
        "must be a list",
    );
    entry_refused(
        &line("login = [1]"),
        ProblemCode::WrongType,
        4,
        "must be text",
    );
    entry_refused(
        &line("login = [\"broker\"]"),
        ProblemCode::Value,
        4,
        "\"login:\"",
    );
    entry_refused(
        &line("login = [\"login:\"]"),
        ProblemCode::Value,
        4,
        "\"login:\"",
    );
    let bad_verb = "uid = 1\nverbs = [\"sing\"]";
    entry_refused(bad_verb, ProblemCode::Value, 3, "did you mean \"sign\"?");
    let unknown = "user = \"nobody-here\"\nverbs = [\"verify\"]";
    entry_refused(unknown, ProblemCode::UnknownName, 2, "state `uid`");
    let list = format!("uid = 1\nverbs = [{}]", "\"verify\",".repeat(65));
    entry_refused(&list, ProblemCode::OutOfRange, 3, "more than 64 entries");
    let many = format!("[[api.caller]]\n{ok}").repeat(65);
    assert_eq!(Case::new(many).problem().0, ProblemCode::OutOfRange);
    let (code, _, message) = Case::new("[api]\nsocket_group = \"nope\"\n").problem();
    assert_eq!(code, ProblemCode::UnknownName, "{message}");
}

#[test]
fn an_entry_that_names_nobody_applies_to_nobody() {
    let mut api = Case::new(PUMP).config().api;
    api.callers[0].uid = None;
    assert_eq!(api.permissions(peer(990, 990, &[]), 900), None);
}
