//! `verify` and `explain`: what others said.

use super::context::Context;
use super::input;
use super::message::{PayloadArgs, PropertyArgs, open_envelope};
use super::offline::{self, OfflineArgs};
use super::output::{Complaint, exit_of_class, print_json, print_line};
use super::rules::{self, RuleArgs};
use super::sign::{kind, qos};
use crate::client::ClientError;
use crate::exit::Exit;
use crate::wire::{
    Answer, ConsumerName, Explanation, Octets, Qos, VerdictBody, VerifyRequest, explained, sentence,
};
use clap::Args;
use edgeseal_trust::token::Kind;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// Topic that the message was delivered on
    #[arg(long, required_unless_present = "batch")]
    topic: Option<String>,
    /// The token that came with it
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["token_file", "envelope"])]
    token: Option<String>,
    /// File with the token; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "envelope")]
    token_file: Option<PathBuf>,
    /// The input is an envelope: token and payload in one
    #[arg(long)]
    envelope: bool,
    #[command(flatten)]
    payload: PayloadArgs,
    /// What the topic takes: message, retained or will
    #[arg(long, default_value = "message", value_parser = kind)]
    kind: Kind,
    /// Quality of service that it came at
    #[arg(long, value_parser = qos)]
    qos: Option<Qos>,
    /// It came with RETAIN
    #[arg(long)]
    retain: bool,
    /// Which program asks: each is handed a message once
    #[arg(long, value_name = "NAME", value_parser = consumer)]
    consumer: Option<ConsumerName>,
    /// It came over MQTT 5, so that properties are judged even where there are none
    #[arg(long)]
    mqtt5: bool,
    #[command(flatten)]
    properties: PropertyArgs,
    #[command(flatten)]
    offline: OfflineArgs,
}

/// A message, or a topic alone.
#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    message: VerifyArgs,
    #[command(flatten)]
    rule: RuleArgs,
}

pub(super) fn verify(context: &Context, args: &VerifyArgs) -> Result<Exit, Complaint> {
    if let Some(mut verifier) = offline::open(context, &args.offline)? {
        if args.offline.batch {
            return verifier.batch(context);
        }
        let verdict = verifier.verify(&args.request()?);
        return tell(
            context,
            &verdict.outcome,
            &verdict,
            verdict.root_words.as_deref(),
        );
    }
    let request = args.request()?;
    let verdict = context.ask(async |client| {
        match client.post::<_, VerdictBody>("/v1/verify", &request).await {
            Ok(verdict) => Ok(Answer::Done(verdict)),
            Err(ClientError::Refused(body)) => Ok(Answer::Error(body)),
            Err(error) => Err(error),
        }
    })?;
    match verdict {
        Answer::Error(body) => Err(body.into()),
        verdict => tell(context, &verdict, &verdict, None),
    }
}

pub(super) fn explain(context: &Context, args: &ExplainArgs) -> Result<Exit, Complaint> {
    let ExplainArgs {
        message: args,
        rule,
    } = args;
    if let Some(topic) = &args.topic
        && (rule.is_stated() || args.is_topic_alone())
    {
        return rules::explain(context, topic, rule);
    }
    if let Some(mut verifier) = offline::open(context, &args.offline)? {
        if args.offline.batch {
            return Err(Complaint::new(
                Exit::Usage,
                "explain-batch",
                "explain takes one message",
                "edgeseal-agent verify --batch judges many",
            ));
        }
        let explanation = verifier.explain(&args.request()?);
        let words = explanation.root_words.as_deref();
        return tell_explanation(context, &explanation.outcome, &explanation, words);
    }
    let request = args.request()?;
    let explanation: Explanation =
        context.ask(async |client| client.post("/v1/explain", &request).await)?;
    tell_explanation(context, &explanation, &explanation, None)
}

impl VerifyArgs {
    /// Whether nothing of a message is stated but its topic.
    fn is_topic_alone(&self) -> bool {
        let token = self.token.is_some() || self.token_file.is_some() || self.envelope;
        !token && !self.payload.is_stated() && !self.offline.is_stated()
    }

    fn request(&self) -> Result<VerifyRequest, Complaint> {
        let (token, payload) = self.message()?;
        let stated = self.properties.read()?;
        Ok(VerifyRequest {
            token,
            topic: self.topic.clone().unwrap_or_default(),
            payload_b64: Octets(payload),
            kind: self.kind,
            qos: self.qos,
            retain: self.retain,
            consumer: self.consumer.clone(),
            properties: match stated {
                None if self.mqtt5 => Some(Default::default()),
                stated => stated,
            },
        })
    }

    fn message(&self) -> Result<(String, Vec<u8>), Complaint> {
        if self.envelope {
            return open_envelope(&self.payload.read()?);
        }
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => input::read_line(path, TOKEN_FILE_OCTETS)?,
            (None, None) => {
                return Err(Complaint::new(
                    Exit::Usage,
                    "no-token",
                    "which token?",
                    "give --token TOKEN, --token-file FILE, or --envelope",
                ));
            }
        };
        Ok((token, self.payload.read()?))
    }
}

fn tell<T: serde::Serialize>(
    context: &Context,
    verdict: &Answer<VerdictBody>,
    whole: &T,
    words: Option<&str>,
) -> Result<Exit, Complaint> {
    if context.json() {
        print_json(whole)?;
    } else {
        print_line(&sentence(verdict))?;
        tell_words(words)?;
    }
    Ok(exit_of_verdict(verdict))
}

fn tell_explanation<T: serde::Serialize>(
    context: &Context,
    explanation: &Explanation,
    whole: &T,
    words: Option<&str>,
) -> Result<Exit, Complaint> {
    if context.json() {
        print_json(whole)?;
    } else {
        print_line(&explained(explanation))?;
        tell_words(words)?;
    }
    Ok(exit_of_verdict(&explanation.verdict))
}

fn tell_words(words: Option<&str>) -> Result<(), Complaint> {
    match words {
        Some(words) => print_line(&format!(
            "by a root that nobody has compared yet: {words}\n(say --root \"{words}\" once you have)"
        )),
        None => Ok(()),
    }
}

const fn exit_of_verdict_body(verdict: &VerdictBody) -> Exit {
    match verdict {
        VerdictBody::Verified(_) => Exit::Ok,
        VerdictBody::Rejected(_) => Exit::No,
    }
}

fn exit_of_verdict(verdict: &Answer<VerdictBody>) -> Exit {
    match verdict {
        Answer::Done(verdict) => exit_of_verdict_body(verdict),
        Answer::Error(body) => exit_of_class(body.error),
    }
}

fn consumer(text: &str) -> Result<ConsumerName, String> {
    ConsumerName::parse(text).map_err(|why| why.to_string())
}

/// Longer than any token, so that a longer one is refused by the verifier, with its code.
const TOKEN_FILE_OCTETS: u64 = 64 << 10;
