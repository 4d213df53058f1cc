//! A configuration file: a complete configuration or a list of problems, never a panic.
#![no_main]

use edgeseal_agent::config::{NameDatabase, SourceFile, Sources, describe, load_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let sources = Sources {
        files: vec![SourceFile {
            path: "/etc/edgeseal/config.toml".into(),
            text: text.to_owned(),
        }],
        ..Sources::default()
    };
    match load_from(&sources, &NameDatabase::default()) {
        Ok(loaded) => assert!(!describe(&loaded).is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
