//! `tidegate local`.

use std::sync::mpsc::sync_channel;

use engine::local::{
    Credential, LocalKafka, LocalKafkaConfig, LocalMaxCompute, LocalMaxComputeConfig,
};
use serde_json::json;

use super::run::LOOK_INTERVAL;
use crate::args::{
    LocalArgs, LocalKafkaArgs, LocalMaxComputeArgs, LocalProjectArgs, LocalServer, loopback,
};
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::signals::Signals;

pub(super) fn local(args: LocalArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let signals = Signals::catch()
        .map_err(|error| Failure::internal(format!("catching signals failed: {error}")))?;
    let (kafka, maxcompute) = servers(args)?;
    let kafka = kafka.map(start_kafka).transpose()?;
    let maxcompute = maxcompute.map(start_maxcompute).transpose()?;
    let brokers = kafka.as_ref().map(LocalKafka::brokers);
    let served = maxcompute
        .as_ref()
        .map(|(server, project)| (server.endpoint(), project.clone()));
    output.result(
        || {
            let mut lines = Vec::new();
            if let Some(brokers) = &brokers {
                lines.push(format!("Kafka broker         {brokers}"));
            }
            if let Some((endpoint, project)) = &served {
                lines.push(format!("MaxCompute endpoint  {endpoint}"));
                lines.push(format!("project              {project}"));
            }
            lines.push("serving until Ctrl-C".to_owned());
            lines.join("\n")
        },
        || {
            let (endpoint, project) = served.clone().unzip();
            let document = json!({ "brokers": brokers, "endpoint": endpoint, "project": project });
            serde_json::to_string_pretty(&document)
        },
    )?;
    // Nothing is ever sent: waiting for it is how this thread rests between two looks at the signals.
    let (_sender, never) = sync_channel::<()>(0);
    while !signals.asked_to_stop() {
        never.recv_timeout(LOOK_INTERVAL).ok();
    }
    if let Some(kafka) = kafka {
        kafka.shutdown();
    }
    if let Some((server, _)) = maxcompute {
        server.shutdown();
    }
    Ok(Exit::Done)
}

/// What is to be served: one server with its own arguments, or both on loopback.
fn servers(
    args: LocalArgs,
) -> Result<(Option<LocalKafkaArgs>, Option<LocalMaxComputeArgs>), Failure> {
    match (args.server, args.data) {
        (Some(LocalServer::Kafka(kafka)), _) => Ok((Some(kafka), None)),
        (Some(LocalServer::Maxcompute(maxcompute)), _) => Ok((None, Some(maxcompute))),
        (None, Some(data)) => {
            let kafka = LocalKafkaArgs {
                data: data.clone(),
                listen: loopback(args.kafka_port),
                advertised_host: None,
            };
            let maxcompute = LocalMaxComputeArgs {
                data,
                listen: loopback(args.maxcompute_port),
                project: args.project,
            };
            Ok((Some(kafka), Some(maxcompute)))
        }
        (None, None) => Err(Failure::usage(
            "--data is missing: name the folder of the servers' data",
        )),
    }
}

fn start_kafka(args: LocalKafkaArgs) -> Result<LocalKafka, Failure> {
    Ok(LocalKafka::start(LocalKafkaConfig {
        data: args.data,
        listen: args.listen,
        advertised_host: args.advertised_host,
    })?)
}

/// The server, and the name of its project.
fn start_maxcompute(args: LocalMaxComputeArgs) -> Result<(LocalMaxCompute, String), Failure> {
    let LocalProjectArgs {
        project,
        access_id,
        secret_from_env,
        token_from_env,
    } = args.project;
    let surroundings = Surroundings::of_process();
    let secret = surroundings.variable_of("--secret-from-env", secret_from_env.as_deref())?;
    let security_token = surroundings.variable_of("--token-from-env", token_from_env.as_deref())?;
    let credential = access_id.zip(secret).map(|(access_id, secret)| Credential {
        access_id,
        secret,
        security_token,
    });
    let server = LocalMaxCompute::start(LocalMaxComputeConfig {
        data: args.data,
        listen: args.listen,
        project: project.clone(),
        credentials: credential.into_iter().collect(),
    })?;
    Ok((server, project))
}
