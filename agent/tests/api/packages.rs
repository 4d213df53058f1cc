//! The configuration file of the package: nothing but defaults, and every key.

use edgeseal_agent::config::{
    Config, Loaded, NameDatabase, SourceFile, Sources, describe, load_from,
};
use std::path::PathBuf;

const SHIPPED: &str = include_str!("../../../packages/config.toml");

fn load(text: &str) -> Loaded {
    let sources = Sources {
        files: vec![SourceFile {
            path: PathBuf::from("/etc/edgeseal/config.toml"),
            text: text.to_owned(),
        }],
        ..Sources::default()
    };
    let names = NameDatabase {
        passwd: String::new(),
        group: "edgeseal:x:990:\n".to_owned(),
    };
    load_from(&sources, &names).unwrap_or_else(|why| panic!("{why}\n{text}"))
}

/// Settings without a mark of comment; sentences begin with a mark and a blank.
fn uncommented() -> String {
    let lines = SHIPPED.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_file_changes_nothing() {
    assert_eq!(load(SHIPPED).config, Config::default());
}

#[test]
fn each_of_its_lines_is_right_and_each_key_is_in_it() {
    let defaults = describe(&Loaded::default());
    let shown = describe(&load(&uncommented()));
    for default in defaults {
        let here = shown
            .iter()
            .find(|setting| setting.key == default.key)
            .unwrap();
        assert_ne!(
            here.origin.to_string(),
            "default",
            "packages/config.toml lacks {}",
            default.key
        );
        // What has no value unless stated is shown by an example.
        if !default.value.starts_with("(none") && !default.value.is_empty() {
            assert_eq!(here.value, default.value, "{}", default.key);
        }
    }
}
