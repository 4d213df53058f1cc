//! `hash-password`: the stored form of a local user's password.

use super::context::Context;
use super::input;
use super::output::{Complaint, print_json, print_line};
use crate::exit::Exit;
use crate::gateway::password::{MAX_ITERATIONS, MIN_ITERATIONS, PasswordHash, SALT_OCTETS};
use clap::Args;
use std::path::Path;
use zeroize::Zeroizing;

#[derive(Args, Debug)]
pub(super) struct HashPasswordArgs {
    /// Rounds of PBKDF2: as many more as it takes longer to guess, and to connect
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = MIN_ITERATIONS,
        value_parser = clap::value_parser!(u32).range(i64::from(MIN_ITERATIONS)..=i64::from(MAX_ITERATIONS))
    )]
    iterations: u32,
}

pub(super) fn hash(context: &Context, args: &HashPasswordArgs) -> Result<Exit, Complaint> {
    let password = Zeroizing::new(input::read_line(Path::new("-"), PASSWORD_OCTETS)?);
    if password.is_empty() || password.chars().any(char::is_control) {
        return Err(Complaint::new(
            Exit::Usage,
            "password",
            "a password is one line of text, and this is none",
            "printf %s \"$PASSWORD\" | edgeseal-agent hash-password",
        ));
    }
    let mut salt = [0; SALT_OCTETS];
    getrandom::fill(&mut salt).map_err(|error| {
        Complaint::new(
            Exit::TemporaryFailure,
            "random",
            format!("the operating system gives no random numbers: {error}"),
            "try again later",
        )
    })?;
    let hash = PasswordHash::of(password.as_bytes(), salt, args.iterations).to_phc();
    if context.json() {
        print_json(&serde_json::json!({ "password_hash": hash }))?;
    } else {
        print_line(&hash)?;
    }
    Ok(Exit::Ok)
}

const PASSWORD_OCTETS: u64 = 1024;
