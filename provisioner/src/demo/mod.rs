//! `edgeseal demo`: three devices prove to each other who sent what, through a broker that turns hostile.
//!
//! Sensor, pump and panel are three agent processes, enrolled by the real commands. Their programs are plain MQTT clients
//! that know the port of their gateway and nothing else. Nothing in here signs, or decides a verdict: what the gateways
//! refused is read from their metrics.

mod device;
mod fleet;
mod keep;
mod local_api;
mod middle;
mod program;
mod report;
mod scene;
mod tally;

use crate::mqtt::Endpoint;
use clap::Args;
use keep::Kept;
use report::Report;
use scene::Stage;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Arguments of `edgeseal demo`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  edgeseal demo\n  edgeseal demo --keep\n  edgeseal demo --broker mqtt://localhost:1883"
)]
pub(crate) struct DemoArgs {
    /// Use this MQTT 5 broker instead of the embedded one; a client plays the hostile part
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// Certificate authorities (PEM) for an mqtts:// broker
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Leave everything running afterwards, and say how to try it with an MQTT client, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Runs the demo. Success only if every honest message was accepted and every hostile one refused by the expected code.
pub(crate) fn run(args: &DemoArgs, json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.map_err(|why| why.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            let mut report = Report::new(json);
            let mut told_to_end = EndSignals::new()?;
            let stage = tokio::select! {
                played = play(args, &mut report) => played?,
                () = told_to_end.any() => return Err("interrupted".to_owned()),
            };
            let good = report.finish();
            if args.keep {
                let kept = Kept::of(stage);
                kept.explain(&report);
                tokio::select! {
                    ended = kept.watch(&report) => ended?,
                    () = told_to_end.any() => {}
                }
            } else {
                stage.broker.close();
            }
            Ok(good)
        })
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("edgeseal demo: {why}");
            ExitCode::from(EX_UNAVAILABLE)
        }
    }
}

async fn play(args: &DemoArgs, report: &mut Report) -> Result<Stage, String> {
    let broker = match &args.broker {
        Some(url) => Some(Endpoint::parse(url, args.ca.as_deref()).map_err(|why| why.to_string())?),
        None => None,
    };
    scene::play(broker, report).await
}

/// Ctrl-C, and what a service manager sends.
struct EndSignals([Signal; 2]);

impl EndSignals {
    fn new() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|why| why.to_string());
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        let [interrupt, terminate] = kinds.map(listen);
        Ok(Self([interrupt?, terminate?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// sysexits.h: something the demo needs is not there.
const EX_UNAVAILABLE: u8 = 69;
