//! `edgeseal demo`: three devices prove to each other who sent what, through a broker that turns hostile.
//!
//! Sensor, pump and panel are three agent processes, enrolled by the real commands. Their programs publish and receive
//! over MQTT and ask their own agent, over its socket, to sign and to verify. Nothing in here decides a verdict.

mod fleet;
mod local_api;
mod report;
mod scene;

use crate::mqtt::Endpoint;
use clap::Args;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `edgeseal demo`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  edgeseal demo\n  edgeseal demo --broker mqtt://localhost:1883")]
pub(crate) struct DemoArgs {
    /// Use this MQTT 5 broker instead of the embedded one; a client plays the hostile part
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// Certificate authorities (PEM) for an mqtts:// broker
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Runs the demo. Success only if every honest message was accepted and every hostile one refused by the expected code.
pub(crate) fn run(args: &DemoArgs, json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.map_err(|why| why.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            let mut report = Report::new(json);
            tokio::select! {
                played = play(args, &mut report) => played.map(|()| report.finish()),
                _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
            }
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

async fn play(args: &DemoArgs, report: &mut Report) -> Result<(), String> {
    let broker = match &args.broker {
        Some(url) => Some(Endpoint::parse(url, args.ca.as_deref()).map_err(|why| why.to_string())?),
        None => None,
    };
    scene::play(broker, report).await
}

/// sysexits.h: something the demo needs is not there.
const EX_UNAVAILABLE: u8 = 69;
