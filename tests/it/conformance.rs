use std::sync::Arc;

use engine_model::job::{BlockFormat, Compression, Secret};
use engine_tunnel::{Client, ClientConfig, Credentials, SystemClock};
use tests::conformance::{self, Context};
use tests::server::{ACCESS_ID, ACCESS_SECRET, PROJECT, Server};
use tests::skip::skipped;

fn client(
    endpoint: &str,
    project: &str,
    credentials: Credentials,
    region: Option<String>,
    form: (BlockFormat, Compression),
) -> Client {
    let mut config = ClientConfig::new(endpoint, project, credentials);
    config.region = region;
    (config.block_format, config.compression) = form;
    Client::new(config, Arc::new(SystemClock::start())).unwrap()
}

fn run(context: &Context) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(conformance::all(context));
}

#[test]
fn the_embedded_server_conforms() {
    let server = Server::start();
    let plain = (BlockFormat::Arrow, Compression::None);
    let packed = (BlockFormat::Record, Compression::Zstd);
    for (schema, region, form) in [
        (None, None, plain),
        (Some("default"), Some("cn-shanghai"), packed),
    ] {
        let credentials = Credentials {
            access_id: ACCESS_ID.to_owned(),
            secret: Secret::new(ACCESS_SECRET),
            security_token: None,
        };
        let region = region.map(str::to_owned);
        run(&Context {
            client: client(server.endpoint(), PROJECT, credentials, region, form),
            project: PROJECT.to_owned(),
            schema: schema.map(str::to_owned),
            prefix: "conformance_".to_owned(),
        });
    }
}

/// `docs/contributing.md` names the variables.
#[test]
fn the_service_conforms() {
    let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let needed = [
        "TIDEGATE_TEST_ENDPOINT",
        "TIDEGATE_TEST_PROJECT",
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    ];
    let [Some(endpoint), Some(project), Some(access_id), Some(secret)] = needed.map(value) else {
        skipped(&format!(
            "nothing was checked against the real MaxCompute; set {}",
            needed.join(", ")
        ));
        return;
    };
    let credentials = Credentials {
        access_id,
        secret: Secret::new(secret),
        security_token: value("ALIBABA_CLOUD_SECURITY_TOKEN").map(Secret::new),
    };
    run(&Context {
        client: client(
            &endpoint,
            &project,
            credentials,
            value("TIDEGATE_TEST_REGION"),
            (BlockFormat::default(), Compression::default()),
        ),
        project,
        schema: value("TIDEGATE_TEST_SCHEMA"),
        prefix: format!("tidegate_test_{:08x}_", fastrand::u32(..)),
    });
}
