use super::*;
use crate::config::warnings;

/// Codes of the warnings, and the lines that they are about.
fn warned(text: &str) -> Vec<(&'static str, usize)> {
    let loaded = Case::new(text).load().unwrap_or_else(|why| panic!("{why}"));
    let line = |origin: &crate::config::Origin| match origin {
        crate::config::Origin::File { line, .. } => *line,
        _ => 0,
    };
    warnings(&loaded)
        .iter()
        .map(|one| (one.code, line(&one.origin)))
        .collect()
}

#[test]
fn a_configuration_that_means_what_it_says_has_no_warnings() {
    assert_eq!(warned(""), []);
    let text = "[[gateway.upstream]]\nurl = \"mqtt://127.0.0.1\"\ncredentials = \"program\"\n\
                [[gateway.listener]]\nsubscribe = [\"#\"]\n\
                [[rule]]\ntopic = \"a/b\"\ncommand = true\n[[rule]]\ntopic = \"a/+\"\nlifetime_seconds = 300\n\
                [[rule]]\ntopic = \"b\"\nlifetime_seconds = 3600\nafter_power_loss = \"accept\"\n\
                [[rule]]\ntopic = \"c\"\nkind = \"retained\"\nlifetime_seconds = 3600\n\
                [[rule]]\ntopic = \"#\"\nmode = \"pass\"\n[[rule]]\ntopic = \"$x/#\"\n";
    assert_eq!(warned(text), []);
}

#[test]
fn rules_that_are_never_reached_are_named() {
    let rule = |topic: &str| format!("[[rule]]\ntopic = \"{topic}\"\n");
    let both = |first: &str, second: &str| warned(&(rule(first) + &rule(second)));
    for (first, second) in [("a/#", "a/+/c"), ("a", "a"), ("#", "a"), ("+/#", "#")] {
        assert_eq!(
            both(first, second),
            [("rule-unreached", 3)],
            "{first} {second}"
        );
    }
    for (first, second) in [("a/+", "a/#"), ("+", "$SYS"), ("a/b", "a/+")] {
        assert_eq!(both(first, second), [], "{first} {second}");
    }
}

#[test]
fn what_a_power_cut_or_a_lost_password_would_cost_is_said() {
    let long = "[[rule]]\ntopic = \"a\"\nlifetime_seconds = 301\n";
    assert_eq!(warned(long), [("rule-after-power-loss", 1)]);
    assert_eq!(
        warned(&format!("{long}command = true\n")),
        [("rule-after-power-loss", 1)]
    );
    let any = "[[rule]]\ntopic = \"a\"\ncommand = true\nreceive_audience = \"any\"\n";
    assert_eq!(warned(any), [("rule-command-any-audience", 1)]);
    let clear = format!("{UPSTREAM}credentials = \"program\"\n[[gateway.listener]]\n");
    assert_eq!(
        warned(&clear),
        [("upstream-in-clear", 1), ("listener-grants-nothing", 4)]
    );
    assert_eq!(warned(UPSTREAM), [("upstream-unused", 1)]);
}
