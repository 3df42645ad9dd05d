//! `tidegate local`.

use std::sync::mpsc::sync_channel;

use engine::local::{LocalConfig, LocalServers};
use serde_json::json;

use super::run::LOOK_INTERVAL;
use crate::args::LocalArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::signals::Signals;

pub(super) fn local(args: &LocalArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let signals = Signals::catch()
        .map_err(|error| Failure::internal(format!("catching signals failed: {error}")))?;
    let servers = LocalServers::start(config(args, &Surroundings::of_process())?)?;
    let (brokers, endpoint) = (servers.brokers(), servers.endpoint());
    output.result(
        || {
            format!(
                "Kafka broker         {brokers}\nMaxCompute endpoint  {endpoint}\nproject              {}\n\
                 serving {} until Ctrl-C",
                args.project,
                args.data.display(),
            )
        },
        || {
            let document = json!({ "brokers": brokers, "endpoint": endpoint, "project": args.project });
            serde_json::to_string_pretty(&document)
        },
    )?;
    // Nothing is ever sent: waiting for it is how this thread rests between two looks at the signals.
    let (_sender, never) = sync_channel::<()>(0);
    while !signals.asked_to_stop() {
        never.recv_timeout(LOOK_INTERVAL).ok();
    }
    servers.shutdown();
    Ok(Exit::Done)
}

fn config(args: &LocalArgs, surroundings: &Surroundings<'_>) -> Result<LocalConfig, Failure> {
    let secret = args
        .secret_from_env
        .as_deref()
        .map(|name| surroundings.required_variable("--secret-from-env", name))
        .transpose()?;
    Ok(LocalConfig {
        data: args.data.clone(),
        kafka_port: args.kafka_port,
        maxcompute_port: args.maxcompute_port,
        project: args.project.clone(),
        credentials: args.access_id.clone().zip(secret).into_iter().collect(),
    })
}
