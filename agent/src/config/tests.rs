#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::error::MAX_PROBLEMS;
use super::*;

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\npump:x:990:990::/:/x\n";
const GROUP: &str = "root:x:0:\npi:x:1000:\nmqtt:x:985:pi\n";

/// A configuration on disk and an environment, loaded as the agent does.
pub(super) struct Case {
    directory: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
}

impl Case {
    pub(super) fn new(main: impl AsRef<[u8]>) -> Self {
        let case = Self {
            directory: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        };
        fs::write(case.directory.path().join("config.toml"), main).unwrap();
        case
    }

    pub(super) fn drop_in(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let directory = self.directory.path().join("config.d");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("config.toml")
    }

    pub(super) fn load(&self) -> Result<Loaded, ConfigError> {
        let mut sources = read_sources(&Location::Named(self.path()));
        sources.environment.clone_from(&self.environment);
        let names = NameDatabase {
            passwd: PASSWD.to_owned(),
            group: GROUP.to_owned(),
        };
        load_from(&sources, &names)
    }

    pub(super) fn config(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}")).config
    }

    fn problems(&self) -> Vec<Problem> {
        self.load().expect_err("must be refused").problems
    }

    /// The one problem: code, line and column, and all of its text.
    #[track_caller]
    pub(super) fn problem(&self) -> (ProblemCode, Option<(usize, usize)>, String) {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        let place = match &problems[0].place {
            Place::Text { line, column, .. } => Some((*line, *column)),
            _ => None,
        };
        (problems[0].code, place, problems[0].to_string())
    }
}

#[track_caller]
fn refused(main: &str, code: ProblemCode, place: (usize, usize), text: &str) {
    let (found, at, message) = Case::new(main).problem();
    assert_eq!((found, at), (code, Some(place)), "{message}");
    assert!(message.contains(text), "{message}");
}

#[test]
fn an_empty_file_and_an_absent_one_mean_defaults() {
    let case = Case::new("");
    assert_eq!(case.config(), Config::default());
    assert_eq!(
        case.config().api_socket(),
        Path::new("/run/edgeseal/api.sock")
    );
    assert!(
        describe(&case.load().unwrap())
            .iter()
            .all(|one| one.origin == Origin::Default)
    );
}

#[test]
fn a_named_file_that_is_absent_is_an_error() {
    let case = Case::new("");
    fs::remove_file(case.path()).unwrap();
    let (code, _, message) = case.problem();
    assert_eq!(code, ProblemCode::Unreadable);
    assert!(
        message.contains("does not exist") && message.contains("--config"),
        "{message}"
    );
}

#[test]
fn every_value_is_taken_and_shown_with_its_line() {
    let text = "\
[agent]
state_directory = \"/srv/state\"
runtime_directory = \"/run/other\"
dangerous_volatile_state = true
[api]
socket_mode = \"0600\"
socket_group = \"mqtt\"
max_connections = 1_000
max_body_bytes = 0x1000
[clock]
leeway_seconds = 0
unsynchronized = \"allow\"
[log]
level = \"trace\"
[enroll]
join_file = \"/media/card/join.json\"
rotate_after_days = 365
rotate_delay_seconds = 60
";
    let case = Case::new(text);
    let loaded = case.load().unwrap();
    let config = &loaded.config;
    assert_eq!(config.api_socket(), Path::new("/run/other/api.sock"));
    assert_eq!(config.api.socket_mode, 0o600);
    assert_eq!(config.api.socket_group.as_ref().unwrap().gid, Some(985));
    assert_eq!(
        (config.api.max_connections, config.api.max_body_bytes),
        (1000, 4096)
    );
    assert_eq!(config.clock.unsynchronized, Unsynchronized::Allow);
    assert!(config.agent.dangerous_volatile_state);
    assert_eq!(config.enroll.join_file, Path::new("/media/card/join.json"));
    let rotate = &config.enroll;
    assert_eq!(
        (rotate.rotate_after_days, rotate.rotate_delay_seconds),
        (365, 60)
    );
    let settings = describe(&loaded);
    let shown = |key: &str| {
        let setting = settings.iter().find(|one| one.key == key).unwrap();
        format!("{} ({})", setting.value, setting.origin)
    };
    let path = case.path().display().to_string();
    assert_eq!(shown("clock.leeway_seconds"), format!("0 ({path}:11)"));
    assert_eq!(shown("api.socket_mode"), format!("\"0600\" ({path}:6)"));
    assert_eq!(
        shown("enroll.join_file"),
        format!("\"/media/card/join.json\" ({path}:16)")
    );
    assert_eq!(shown("api.socket"), "\"/run/other/api.sock\" (default)");
    assert_eq!(shown("token.lifetime_seconds"), "60 (default)");
}

#[test]
fn drop_ins_override_in_lexical_order_and_the_environment_overrides_them() {
    let case = Case::new("[clock]\nleeway_seconds = 1\n[token]\nlifetime_seconds = 1\n")
        .drop_in("20-later.toml", "[clock]\nleeway_seconds = 20\n")
        .drop_in(
            "10-first.toml",
            "[clock]\nleeway_seconds = 2\n[token]\nlifetime_seconds = 2\n",
        )
        .drop_in("30-not.toml.dpkg-old", "[clock]\nleeway_seconds = 30\n")
        .drop_in(".40-hidden.toml", "[clock]\nleeway_seconds = 40\n")
        .variable("EDGESEAL_TOKEN__LIFETIME_SECONDS", "3")
        .variable("EDGESEAL_LOG__FORMAT", "text")
        .variable("EDGESEAL_AGENT__DANGEROUS_VOLATILE_STATE", "true")
        .variable("EDGESEAL_CONFIG", "/somewhere")
        .variable("EDGESEAL_SOMETHING", "of another program");
    let loaded = case.load().unwrap();
    assert_eq!(loaded.config.clock.leeway_seconds, 20);
    assert_eq!(loaded.config.token.lifetime_seconds, 3);
    assert_eq!(loaded.config.log.format, LogFormat::Text);
    assert!(loaded.config.agent.dangerous_volatile_state);
    assert_eq!(loaded.files.len(), 3);
    let settings = describe(&loaded);
    let origin = |key: &str| {
        settings
            .iter()
            .find(|one| one.key == key)
            .unwrap()
            .origin
            .to_string()
    };
    assert!(origin("clock.leeway_seconds").ends_with("config.d/20-later.toml:2"));
    assert_eq!(
        origin("token.lifetime_seconds"),
        "environment EDGESEAL_TOKEN__LIFETIME_SECONDS"
    );
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let code = ProblemCode::UnknownKey;
    refused(
        "[clock]\nleaway_seconds = 1\n",
        code,
        (2, 1),
        "did you mean `leeway_seconds`?",
    );
    refused(
        "[clok]\nleeway_seconds = 1\n",
        code,
        (1, 2),
        "did you mean [clock]?",
    );
    refused(
        "[api]\n  cached_keys = 1\n",
        code,
        (2, 3),
        "`cached_keys` belongs to [peers]",
    );
    refused(
        "level = \"info\"\n",
        code,
        (1, 1),
        "`level` is a key of [log]",
    );
    refused(
        "[log]\ncolour = true\n",
        code,
        (2, 1),
        "keys of [log]: format, level",
    );
    refused(
        "[log]\n\"\\u001b[31m\" = 1\n",
        code,
        (2, 1),
        "`\\u{1b}[31m`",
    );
}

#[test]
fn wrong_types_are_refused() {
    let code = ProblemCode::WrongType;
    refused(
        "[clock]\nleeway_seconds = \"10\"\n",
        code,
        (2, 18),
        "must be an integer, not text",
    );
    refused(
        "[clock]\nleeway_seconds = 1.5\n",
        code,
        (2, 18),
        "not a decimal number",
    );
    refused(
        "[clock]\nunsynchronized = true\n",
        code,
        (2, 18),
        "must be one of \"allow\", \"refuse\"",
    );
    refused(
        "[api]\nsocket_mode = 660\n",
        code,
        (2, 15),
        "socket_mode = \"0660\"",
    );
    refused(
        "[agent]\nstate_directory = [\"/a\"]\n",
        code,
        (2, 19),
        "not a list",
    );
    refused(
        "[agent]\ndangerous_volatile_state = 1\n",
        code,
        (2, 28),
        "must be true or false",
    );
    refused(
        "clock = 10\n",
        code,
        (1, 9),
        "write it as a line of its own: [clock]",
    );
    refused("[[log]]\n", code, (1, 1), "`log` is a section, not a list");
    refused("[api.caller]\nuid = 1\n", code, (1, 1), "with two brackets");
}

#[test]
fn values_out_of_range_are_refused() {
    let code = ProblemCode::OutOfRange;
    refused(
        "[clock]\nleeway_seconds = 61\n",
        code,
        (2, 18),
        "must be from 0 to 60",
    );
    refused(
        "[clock]\nleeway_seconds = -1\n",
        code,
        (2, 18),
        "must be from 0 to 60",
    );
    refused(
        "[peers]\ncached_keys = 15\n",
        code,
        (2, 15),
        "must be from 16 to 65536",
    );
    let huge = "[peers]\ncached_keys = 99999999999999999999999999\n";
    refused(huge, code, (2, 15), "must be from 16 to 65536");
    refused("[api]\nsocket_mode = \"1777\"\n", code, (2, 15), "\"0777\"");
    let long = format!("[agent]\nruntime_directory = \"/{}\"\n", "a".repeat(100));
    refused(&long, code, (2, 1), "path of the API socket is longer");
}

#[test]
fn values_without_meaning_are_refused() {
    let code = ProblemCode::Value;
    refused(
        "[log]\nlevel = \"inof\"\n",
        code,
        (2, 9),
        "did you mean \"info\"?",
    );
    refused(
        "[agent]\nstate_directory = \"state\"\n",
        code,
        (2, 19),
        "absolute path",
    );
    refused(
        "[agent]\nstate_directory = \"\"\n",
        code,
        (2, 19),
        "absolute path",
    );
    refused(
        "[agent]\nstate_directory = \"/a\\u0000b\"\n",
        code,
        (2, 19),
        "control characters",
    );
    refused(
        "[api]\nsocket_mode = \"rw-rw----\"\n",
        code,
        (2, 15),
        "octal",
    );
    refused("[api]\nsocket_mode = \"+660\"\n", code, (2, 15), "octal");
    refused(
        "[api]\nsocket_group = \"a:b\"\n",
        code,
        (2, 16),
        "must be a name",
    );
}

#[test]
fn hostile_files_are_refused() {
    let code = ProblemCode::Syntax;
    refused(
        "[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
        code,
        (3, 1),
        "duplicate key",
    );
    refused("[log]\n[log]\n", code, (2, 2), "duplicate key");
    for nested in [
        format!(
            "[log]\nlevel = {}{}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        ),
        format!("[log]\nlevel = {}", "{a=".repeat(10_000)),
        format!("[log]\nlevel{} = 1", ".a".repeat(10_000)),
        format!("[{}]", "a.".repeat(10_000)),
        "[".repeat(60_000),
        "\"".repeat(60_001),
        "=\n".repeat(30_000),
    ] {
        let problems = Case::new(&nested).problems();
        assert!(
            problems.iter().all(|one| one.code == ProblemCode::Syntax),
            "{problems:#?}"
        );
        assert!(problems.len() <= MAX_PROBLEMS);
    }
}

#[test]
fn a_report_is_bounded_but_complete_up_to_there() {
    let many: String = (0..1000)
        .map(|index| format!("key{index} = {index}\n"))
        .collect();
    let error = Case::new(format!("[log]\n{many}")).load().unwrap_err();
    assert_eq!(error.problems.len(), MAX_PROBLEMS);
    assert!(error.to_string().len() < 20_000);
    assert!(
        error
            .to_string()
            .ends_with("(only the first 50 problems are shown)")
    );
    let long_name = format!("[log]\n{} = 1\n", "k".repeat(60_000));
    assert!(Case::new(long_name).load().unwrap_err().to_string().len() < 1_000);
}

#[test]
fn problems_of_a_file_are_reported_by_line() {
    let text = "[log]\nz = 1\na = 1\n[api]\nm = 1\n[[api.caller]]\nuid = -1\n[agent]\nb = 1\n";
    let line = |problem: &Problem| match problem.place {
        Place::Text { line, .. } => line,
        _ => 0,
    };
    let lines: Vec<usize> = Case::new(text).problems().iter().map(line).collect();
    assert_eq!(lines, [2, 3, 5, 7, 9]);
}

#[test]
fn all_problems_of_all_sources_are_reported_together() {
    let case = Case::new("[clock]\nleeway_seconds = 99\nnonsense = 1\n")
        .drop_in("1.toml", "[log\n")
        .drop_in("2.toml", [b'[', 0xff])
        .drop_in(
            "3.toml",
            "[[api.caller]]\nuser = \"nobody-here\"\nverbs = [\"verify\"]\n",
        )
        .variable("EDGESEAL_PEERS__CACHED_KEYS", "many");
    let mut codes: Vec<&str> = case
        .problems()
        .iter()
        .map(|one| one.code.as_str())
        .collect();
    codes.sort_unstable();
    let expected = [
        "config-not-utf8",
        "config-out-of-range",
        "config-syntax",
        "config-unknown-key",
        "config-unknown-name",
        "config-wrong-type",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn files_that_are_too_large_or_no_files_are_not_read() {
    let (code, _, message) = Case::new(vec![b'#'; 10 * 1024 * 1024]).problem();
    assert_eq!(code, ProblemCode::TooLarge, "{message}");
    assert_eq!(Case::new(vec![b'#'; 64 * 1024]).config(), Config::default());
    assert_eq!(
        Case::new(vec![b'#'; 64 * 1024 + 1]).problem().0,
        ProblemCode::TooLarge
    );

    let sources = read_sources(&Location::Named("/dev/zero".into()));
    assert_eq!(sources.problems[0].code, ProblemCode::Unreadable);
    let directory = Case::new("").drop_in("x", "");
    fs::create_dir(directory.directory.path().join("config.d/dir.toml")).unwrap();
    assert_eq!(directory.problem().0, ProblemCode::Unreadable);

    let mut many = Case::new("");
    for index in 0..65 {
        many = many.drop_in(&format!("{index}.toml"), "");
    }
    assert_eq!(many.problem().0, ProblemCode::TooLarge);
}

#[test]
fn bytes_that_are_not_utf8_are_refused_where_they_are() {
    let (code, place, message) = Case::new(b"[log]\n# p\xc3\xbcmp f\xfcr\n").problem();
    assert_eq!(
        (code, place),
        (ProblemCode::NotUtf8, Some((2, 9))),
        "{message}"
    );
    assert!(message.contains("iconv"), "{message}");
    let variable = OsString::from_vec(vec![0xff]);
    let case = Case::new("").variable("EDGESEAL_LOG__LEVEL", variable);
    assert_eq!(case.problem().0, ProblemCode::NotUtf8);
}

#[test]
fn variables_that_set_nothing_are_refused() {
    let cases = [
        (
            "EDGESEAL_LOG__LEVLE",
            "info",
            ProblemCode::UnknownKey,
            "did you mean EDGESEAL_LOG__LEVEL?",
        ),
        (
            "EDGESEAL_LOG_LEVEL",
            "info",
            ProblemCode::UnknownKey,
            "two underscores",
        ),
        (
            "EDGESEAL_Log__level",
            "info",
            ProblemCode::UnknownKey,
            "EDGESEAL_Log__level",
        ),
        (
            "EDGESEAL_API__CALLER",
            "[]",
            ProblemCode::UnknownKey,
            "in files only",
        ),
        (
            "EDGESEAL_LOG__LEVEL",
            "",
            ProblemCode::Value,
            "cannot be \"\"",
        ),
        (
            "EDGESEAL_AGENT__DANGEROUS_VOLATILE_STATE",
            "yes",
            ProblemCode::WrongType,
            "true or false",
        ),
        (
            "EDGESEAL_CLOCK__LEEWAY_SECONDS",
            "61",
            ProblemCode::OutOfRange,
            "from 0 to 60",
        ),
        (
            "EDGESEAL_CLOCK__LEEWAY_SECONDS",
            "-1",
            ProblemCode::OutOfRange,
            "from 0 to 60",
        ),
        (
            "EDGESEAL_CLOCK__LEEWAY_SECONDS",
            "1 s",
            ProblemCode::WrongType,
            "must be an integer",
        ),
    ];
    for (name, value, code, text) in cases {
        let (found, _, message) = Case::new("").variable(name, value).problem();
        assert_eq!(found, code, "{message}");
        assert!(
            message.contains(text) && message.starts_with("environment EDGESEAL_"),
            "{message}"
        );
    }
}
