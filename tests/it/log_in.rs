use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tests::broker::{BrokerOptions, KafkaBroker, Listener};
use tests::certificates::{Certificates, STORE_PASSWORD};
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::MessagePlan;
use tests::produce::produce;
use tests::tokens::TokenIssuer;

/// What a refusal takes at most.
const REFUSED_WITHIN: Duration = Duration::from_secs(15);

const TOPIC: &str = "log_in";
const PASSWORD: &str = "right-password";
const WRONG: &str = "wrong-password";

/// Log-ins without TLS.
const LOG_IN: &str = "LOGIN";
/// TLS, and no log-in.
const TLS: &str = "TLS";
/// TLS that asks for a client's certificate.
const MUTUAL: &str = "MUTUAL";
/// TLS and a log-in.
const BOTH: &str = "BOTH";

/// A broker with these four listeners, and a topic of orders.
struct Scene {
    broker: KafkaBroker,
    certificates: Certificates,
    plan: MessagePlan,
}

impl Scene {
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Scene> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let certificates = Certificates::make();
        let broker = KafkaBroker::start_with(&BrokerOptions {
            listeners: vec![
                Listener::new(LOG_IN, "SASL_PLAINTEXT"),
                Listener::new(TLS, "SSL"),
                Listener::new(MUTUAL, "SSL"),
                Listener::new(BOTH, "SASL_SSL"),
            ],
            scram_users: ["SCRAM-SHA-256", "SCRAM-SHA-512"]
                .map(|mechanism| format!("{mechanism}=[name=loader,password={PASSWORD}]"))
                .into(),
            properties: properties(&certificates),
            ..BrokerOptions::default()
        });
        broker.create_topic(TOPIC, 1, &[]);
        let plan = MessagePlan {
            partitions: 1,
            malformed_per_mille: 0,
            ..MessagePlan::new(20_261_127, 1_000)
        };
        produce(&broker.client(), TOPIC, plan.messages());
        Self {
            broker,
            certificates,
            plan,
        }
    }

    /// A job that loads the whole topic through `listener`, with librdkafka's `options`.
    fn job(&self, loader: &Loader, listener: &str, options: &[(&str, &str)]) -> JobFile {
        let window = self.plan.start_ms..self.plan.start_ms + self.plan.span_ms;
        let address = self.broker.address(listener);
        // Strings of JSON are strings of YAML.
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| format!("{name}: {}", quoted(value)))
            .collect();
        JobFile {
            kafka: format!("options: {{ {} }}", options.join(", ")),
            ..JobFile::new(address, TOPIC, loader.server.endpoint(), window)
        }
    }
}

/// `server.properties` of the four listeners.
fn properties(certificates: &Certificates) -> Vec<(String, String)> {
    let module = |name: &str| format!("org.apache.kafka.common.security.{name} required");
    let scram = format!("{};", module("scram.ScramLoginModule"));
    let plain = module("plain.PlainLoginModule");
    let oauth = module("oauthbearer.OAuthBearerLoginModule");
    // Line breaks as the format of Java's properties has them.
    let pem = |text: &str| text.replace('\n', "\\n");
    [
        (
            "listener.name.login.sasl.enabled.mechanisms",
            "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned(),
        ),
        (
            "listener.name.login.plain.sasl.jaas.config",
            format!("{plain} user_loader=\"{PASSWORD}\";"),
        ),
        (
            "listener.name.login.scram-sha-256.sasl.jaas.config",
            scram.clone(),
        ),
        (
            "listener.name.login.scram-sha-512.sasl.jaas.config",
            scram.clone(),
        ),
        (
            "listener.name.login.oauthbearer.sasl.jaas.config",
            format!("{oauth} unsecuredLoginStringClaim_sub=\"broker\";"),
        ),
        (
            "listener.name.both.sasl.enabled.mechanisms",
            "SCRAM-SHA-512".to_owned(),
        ),
        ("listener.name.both.scram-sha-512.sasl.jaas.config", scram),
        (
            "listener.name.mutual.ssl.client.auth",
            "required".to_owned(),
        ),
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.key", pem(&certificates.broker_key)),
        ("ssl.keystore.certificate.chain", pem(&certificates.broker)),
        ("ssl.truststore.type", "PEM".to_owned()),
        ("ssl.truststore.certificates", pem(&certificates.authority)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The files that options name.
struct Files {
    authority: String,
    client: String,
    client_key: String,
    client_store: String,
}

impl Files {
    fn write(folder: &Path, certificates: &Certificates) -> Self {
        let write = |name: &str, bytes: &[u8]| {
            let path: PathBuf = folder.join(name);
            fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        Self {
            authority: write("authority.pem", certificates.authority.as_bytes()),
            client: write("client.pem", certificates.client.as_bytes()),
            client_key: write("client.key", certificates.client_key.as_bytes()),
            client_store: write("client.p12", &certificates.client_store),
        }
    }
}

/// librdkafka's options by name.
type Options<'a> = Vec<(&'a str, &'a str)>;

fn log_in<'a>(protocol: &'a str, mechanism: &'a str, password: &'a str) -> Options<'a> {
    vec![
        ("security.protocol", protocol),
        ("sasl.mechanism", mechanism),
        ("sasl.username", "loader"),
        ("sasl.password", password),
    ]
}

/// A token of `issuer` is asked for with this secret.
fn from_issuer<'a>(issuer: &'a TokenIssuer, secret: &'a str) -> Options<'a> {
    vec![
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.token.endpoint.url", issuer.url()),
        ("sasl.oauthbearer.client.id", "loader"),
        ("sasl.oauthbearer.client.secret", secret),
    ]
}

/// All messages of the topic are loaded through the listener, and no secret is shown.
#[track_caller]
fn assert_loads(loader: &Loader, listener: &str, options: &Options<'_>) {
    let scene = Scene::shared();
    let ended = loader.run(&scene.job(loader, listener, options));
    let window = &ended.json()["windows"][0];
    assert_eq!(window["outcome"], "committed", "{options:?}: {ended:#?}");
    assert_eq!(window["rows"], scene.plan.messages, "{options:?}");
    for secret in [PASSWORD, STORE_PASSWORD, "PRIVATE KEY"] {
        assert!(!ended.stdout.contains(secret), "{options:?}: {ended:#?}");
    }
}

/// The table holds what the last run should have loaded.
#[track_caller]
fn assert_truth(loader: &Loader) {
    let scene = Scene::shared();
    let job = scene.job(loader, LOG_IN, &Vec::new());
    let truth = loader.topic_truth(&job, scene.broker.bootstrap());
    assert_eq!(loader.table_truth(Some("ds=20261122")), truth.table);
}

/// The run fails in time with an error that names the broker and `says` this, and shows no secret.
#[track_caller]
fn assert_refused(loader: &Loader, listener: &str, options: &Options<'_>, says: &str) {
    let scene = Scene::shared();
    let started = Instant::now();
    let ended = loader.run(&scene.job(loader, listener, options));
    let took = started.elapsed();
    assert_eq!(ended.code, Some(1), "{options:?}: {ended:#?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains(says), "{options:?}: {said}");
    let address = scene.broker.address(listener);
    assert!(said.contains(address), "{options:?}: {said}");
    assert!(!said.contains(WRONG), "{options:?}: {said}");
    assert!(took < REFUSED_WITHIN, "{took:?}: {said}");
}

#[test]
fn passwords_and_tokens_log_in() {
    let loader = Loader::with_table();
    let files = Files::write(loader.folder.path(), &Scene::shared().certificates);
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let options = log_in("SASL_PLAINTEXT", mechanism, PASSWORD);
        assert_loads(&loader, LOG_IN, &options);
    }
    let token = vec![
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", "principal=loader"),
    ];
    assert_loads(&loader, LOG_IN, &token);
    let issuer = TokenIssuer::start("loader", PASSWORD);
    assert_loads(&loader, LOG_IN, &from_issuer(&issuer, PASSWORD));
    let mut both = log_in("SASL_SSL", "SCRAM-SHA-512", PASSWORD);
    both.push(("ssl.ca.location", &files.authority));
    assert_loads(&loader, BOTH, &both);
    assert_truth(&loader);
}

#[test]
fn certificates_are_taken_from_files_texts_and_key_stores() {
    let Certificates {
        authority,
        client,
        client_key,
        ..
    } = &Scene::shared().certificates;
    let loader = Loader::with_table();
    let files = Files::write(loader.folder.path(), &Scene::shared().certificates);
    let by_file = vec![
        ("security.protocol", "SSL"),
        ("ssl.ca.location", files.authority.as_str()),
    ];
    let by_text = vec![("security.protocol", "SSL"), ("ssl.ca.pem", authority)];
    assert_loads(&loader, TLS, &by_file);
    assert_loads(&loader, TLS, &by_text);

    let with = |trust: &Options<'_>, more: [(&str, &str); 2]| {
        let options = [trust, &more[..]].concat();
        assert_loads(&loader, MUTUAL, &options);
    };
    with(
        &by_file,
        [
            ("ssl.certificate.location", &files.client),
            ("ssl.key.location", &files.client_key),
        ],
    );
    with(
        &by_text,
        [("ssl.certificate.pem", client), ("ssl.key.pem", client_key)],
    );
    with(
        &by_file,
        [
            ("ssl.keystore.location", &files.client_store),
            ("ssl.keystore.password", STORE_PASSWORD),
        ],
    );
    assert_truth(&loader);
}

#[test]
fn a_refused_password_is_named_in_time_and_not_shown() {
    let loader = Loader::with_table();
    let files = Files::write(loader.folder.path(), &Scene::shared().certificates);
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let options = log_in("SASL_PLAINTEXT", mechanism, WRONG);
        assert_refused(&loader, LOG_IN, &options, "refused the log-in");
    }
    let mut both = log_in("SASL_SSL", "SCRAM-SHA-512", WRONG);
    both.push(("ssl.ca.location", &files.authority));
    assert_refused(&loader, BOTH, &both, "refused the log-in");
    let issuer = TokenIssuer::start("loader", PASSWORD);
    let options = from_issuer(&issuer, WRONG);
    assert_refused(&loader, LOG_IN, &options, "OAUTHBEARER token");
}

#[test]
fn a_refused_certificate_is_named_in_time() {
    let loader = Loader::with_table();
    let folder = loader.folder.path();
    let files = Files::write(folder, &Scene::shared().certificates);
    let others = folder.join("others");
    fs::create_dir(&others).unwrap();
    let others = Files::write(&others, &Certificates::make());

    let tls = ("security.protocol", "SSL");
    let untrusted = vec![tls, ("ssl.ca.location", &*others.authority)];
    assert_refused(&loader, TLS, &untrusted, "`ssl.ca.location`");
    // The system's authorities know nothing of it.
    assert_refused(&loader, TLS, &vec![tls], "`ssl.ca.location`");
    let trusting = vec![tls, ("ssl.ca.location", &*files.authority)];
    let advice = "`ssl.certificate.location`";
    assert_refused(&loader, MUTUAL, &trusting, advice);
    let mut strange = trusting.clone();
    strange.push(("ssl.certificate.location", &others.client));
    strange.push(("ssl.key.location", &others.client_key));
    assert_refused(&loader, MUTUAL, &strange, advice);
    assert_refused(&loader, TLS, &Vec::new(), "`security.protocol`");

    // No broker is asked with a key that can't be read.
    let mut locked = trusting;
    locked.push(("ssl.keystore.location", &files.client_store));
    locked.push(("ssl.keystore.password", WRONG));
    let ended = loader.run(&Scene::shared().job(&loader, MUTUAL, &locked));
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("check `ssl.keystore.password`"), "{said}");
    assert!(!said.contains(WRONG), "{said}");
}
