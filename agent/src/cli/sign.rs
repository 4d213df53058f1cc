//! `sign` and `login`: what this device says.

use super::context::Context;
use super::message::{PayloadArgs, PropertyArgs, envelope};
use super::output::{Complaint, print_json, print_line, write_out};
use crate::exit::Exit;
use crate::wire::{LoginRequest, Octets, Qos, SignRequest, Signed};
use clap::Args;
use edgeseal_trust::id::Audience;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Kind, TokenId};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct SignArgs {
    /// Topic that the message will be published on
    #[arg(long)]
    topic: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// For whom: domain:NAME, device:ID or group:NAME [default: the domain]
    #[arg(long, value_parser = audience)]
    audience: Option<Audience>,
    /// message, retained or will
    #[arg(long, default_value = "message", value_parser = kind)]
    kind: Kind,
    /// Seconds until it expires [default: as the kind and the grant say]
    #[arg(long, value_name = "SECONDS")]
    lifetime_seconds: Option<u64>,
    /// Quality of service that it will be published at
    #[arg(long, value_parser = qos)]
    qos: Option<Qos>,
    /// When the data was captured, in seconds since 1970; not later than now
    #[arg(long, value_name = "SECONDS")]
    captured_at: Option<u64>,
    /// The device relays for another that cannot sign
    #[arg(long)]
    vouched: bool,
    /// Sign the same message anew, with the jti that it got first
    #[arg(long, value_name = "JTI", value_parser = token_id)]
    resend: Option<TokenId>,
    /// Write an envelope, token and payload in one, instead of the token
    #[arg(long, conflicts_with = "json")]
    envelope: bool,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    properties: PropertyArgs,
}

#[derive(Args, Debug)]
pub(super) struct LoginArgs {
    /// The broker or service: login:TEXT
    #[arg(value_parser = audience)]
    audience: Audience,
    /// Seconds until it expires, at most 300 [default: 60]
    #[arg(long, value_name = "SECONDS")]
    lifetime_seconds: Option<u64>,
}

pub(super) fn sign(context: &Context, args: &SignArgs) -> Result<Exit, Complaint> {
    let request = SignRequest {
        topic: args.topic.clone(),
        payload_b64: Octets(args.payload.read()?),
        audience: args.audience.clone(),
        kind: args.kind,
        lifetime_seconds: args.lifetime_seconds,
        qos: args.qos,
        properties: args.properties.read()?,
        captured_at: args.captured_at.map(UnixTime::from_seconds),
        vouched: args.vouched,
        resend: args.resend,
    };
    let signed: Signed = context.ask(async |client| client.post("/v1/sign", &request).await)?;
    if context.json() {
        print_json(&signed)?;
        return Ok(Exit::Ok);
    }
    let octets = if args.envelope {
        envelope(&signed.token, request.payload_b64.as_slice())
    } else {
        format!("{}\n", signed.token).into_bytes()
    };
    write_out(args.output.as_deref(), &octets)?;
    Ok(Exit::Ok)
}

pub(super) fn login(context: &Context, args: &LoginArgs) -> Result<Exit, Complaint> {
    let request = LoginRequest {
        audience: args.audience.clone(),
        lifetime_seconds: args.lifetime_seconds,
    };
    let signed: Signed = context.ask(async |client| client.post("/v1/login", &request).await)?;
    if context.json() {
        print_json(&signed)?;
    } else {
        print_line(&signed.token)?;
    }
    Ok(Exit::Ok)
}

pub(super) fn kind(text: &str) -> Result<Kind, String> {
    [Kind::Message, Kind::Retained, Kind::Will]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| "a kind is message, retained or will".to_owned())
}

pub(super) fn qos(text: &str) -> Result<Qos, String> {
    let number: u8 = text.parse().map_err(|_| "qos is 0, 1 or 2")?;
    Qos::try_from(number).map_err(str::to_owned)
}

fn audience(text: &str) -> Result<Audience, String> {
    Audience::parse(text).map_err(|why| why.to_string())
}

fn token_id(text: &str) -> Result<TokenId, String> {
    TokenId::parse(text).map_err(|why| why.to_string())
}
