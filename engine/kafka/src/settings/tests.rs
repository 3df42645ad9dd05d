use super::*;

const NONE: [(&str, &str); 0] = [];

fn settings(options: &[(&str, &str)]) -> Result<Settings> {
    Settings::new(["127.0.0.1:9092"], options.iter().copied())
}

fn error(options: &[(&str, &str)]) -> String {
    let error = settings(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    error.to_string()
}

#[test]
fn the_engine_reads_committed_messages_with_checked_batches_and_never_commits() {
    let config = settings(&[]).unwrap().for_reader(8 << 20);
    for (name, value) in [
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("check.crcs", "true"),
        ("allow.auto.create.topics", "false"),
        ("fetch.queue.backoff.ms", "5"),
        ("fetch.wait.max.ms", "10"),
        ("queued.min.messages", "1000000"),
        ("group.id", READER_GROUP),
        ("metadata.broker.list", "127.0.0.1:9092"),
    ] {
        assert_eq!(config.get(name), Some(value), "{name}");
    }
    assert_eq!(settings(&[]).unwrap().for_calls().get("group.id"), None);
}

#[test]
fn queue_and_fetch_share_the_budget() {
    for (budget, fetch, queue_kbytes) in [
        (8 << 20, 2 << 20, 6 << 10),
        (64 << 20, 8 << 20, 56 << 10),
        // A budget below the least one is taken for that.
        (10, 256 << 10, 768),
    ] {
        let config = settings(&[]).unwrap().for_reader(budget);
        let number = |name| config.get(name).unwrap().parse::<usize>().unwrap();
        assert_eq!(number("fetch.message.max.bytes"), fetch);
        assert_eq!(number("queued.max.messages.kbytes"), queue_kbytes);
        config.create_native_config().unwrap();
    }
    let most = settings(&[]).unwrap().for_reader(usize::MAX);
    most.create_native_config().unwrap();
}

#[test]
fn the_users_options_win_over_the_defaults_under_any_spelling() {
    let config = settings(&[
        ("max.partition.fetch.bytes", "123456"),
        ("isolation.level", "read_uncommitted"),
        ("fetch.max.bytes", "67108864"),
        ("client.id", "me"),
    ])
    .unwrap()
    .for_reader(8 << 20);
    assert_eq!(config.get("fetch.message.max.bytes"), Some("123456"));
    assert_eq!(config.get("max.partition.fetch.bytes"), None);
    assert_eq!(config.get("isolation.level"), Some("read_uncommitted"));
    assert_eq!(config.get("client.id"), Some("me"));
}

#[test]
fn isolation_is_known_to_the_planner() {
    assert!(settings(&[]).unwrap().read_committed());
    let uncommitted = settings(&[("isolation.level", "read_uncommitted")]).unwrap();
    assert!(!uncommitted.read_committed());
    let all = settings(&[]).unwrap().for_uncommitted();
    assert_eq!(all.get("isolation.level"), Some("read_uncommitted"));
}

#[test]
fn owned_options_are_refused_with_the_reason() {
    for (name, _, reason) in OWNED {
        let text = error(&[(name, "something else")]);
        assert!(
            text.contains(&format!("{name:?}")) && text.contains(reason),
            "{text}"
        );
    }
    let text = error(&[("bootstrap.servers", "other:9092")]);
    assert!(
        text.contains("\"bootstrap.servers\"") && text.contains("`brokers`"),
        "{text}"
    );
    assert!(error(&[("auto.commit.enable", "true")]).contains("auto.commit.enable"));
    // What agrees with the engine does no harm.
    settings(&[("check.crcs", "true"), ("enable.auto.commit", "False")]).unwrap();
}

#[test]
fn the_page_of_settings_names_what_is_refused() {
    let page = include_str!("../../../../docs/settings.md");
    for (name, fixed, reason) in OWNED {
        let always = fixed.map_or_else(String::new, |fixed| format!("always `{fixed}`: "));
        let row = format!("| `{name}` | {always}{reason} |\n");
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn what_the_java_client_has_is_no_option_of_librdkafkas() {
    for (name, advice) in JAVA {
        let text = error(&[(name, "")]);
        assert!(
            text.contains(&format!("{name:?}")) && text.contains(advice),
            "{text}"
        );
    }
}

/// What is set through functions, and can't be by a text.
#[test]
fn functions_and_pointers_are_no_options() {
    for name in [
        "default_topic_conf",
        "error_cb",
        "interceptors",
        "oauthbearer_token_refresh_cb",
        "opaque",
        "rebalance_cb",
        "resolve_cb",
        "ssl.certificate.verify_cb",
        "ssl_ca",
    ] {
        assert!(error(&[(name, "1")]).contains(name));
    }
}

#[test]
fn what_breaks_no_promise_passes() {
    let options = [
        ("broker.address.family", "v4"),
        ("client.rack", "a"),
        ("connections.max.idle.ms", "60000"),
        ("consume.callback.max.messages", "10"),
        ("debug", "broker"),
        ("enable.metrics.push", "false"),
        ("enable.ssl.certificate.verification", "false"),
        ("fetch.error.backoff.ms", "100"),
        ("fetch.max.bytes", "67108864"),
        ("fetch.min.bytes", "1000"),
        ("isolation.level", "read_uncommitted"),
        ("fetch.message.max.bytes", "1000000"),
        ("max.poll.interval.ms", "600000"),
        ("metadata.recovery.strategy", "none"),
        ("partition.assignment.strategy", "roundrobin"),
        ("receive.message.max.bytes", "200000000"),
        ("session.timeout.ms", "60000"),
        ("socket.keepalive.enable", "true"),
        ("socket.timeout.ms", "30000"),
        ("topic.metadata.refresh.interval.ms", "-1"),
        ("topic.metadata.refresh.sparse", "false"),
    ];
    let config = settings(&options).unwrap().for_reader(8 << 20);
    for (name, value) in options {
        assert_eq!(config.get(name), Some(value), "{name}");
    }
}

#[test]
fn unknown_and_bad_options_are_named() {
    assert_eq!(
        error(&[("fetch.maximum", "1")]),
        "kafka option \"fetch.maximum\": librdkafka says: No such configuration property: \"fetch.maximum\"; its \
         CONFIGURATION.md lists all options"
    );
    let text = error(&[("fetch.wait.max.ms", "soon")]);
    assert!(text.contains("\"fetch.wait.max.ms\""), "{text}");
    let text = error(&[("isolation.level", "serializable")]);
    assert!(text.contains("isolation.level"), "{text}");
    assert_eq!(
        error(&[("ssl.truststore.location", "/a.jks")]),
        "kafka option \"ssl.truststore.location\" is written for the Java client; write `ssl.ca.location`, the path of a PEM file"
    );
    assert!(error(&[("fetch.max.wait.ms", "1")]).contains("`fetch.wait.max.ms`"));
    assert!(error(&[("ssl.endpoint.identification.algorithm", "")]).contains("write `none`"));
    assert!(error(&[("client.id", "a\0b")]).contains("NUL"));
}

#[test]
fn a_key_store_that_cannot_be_read_gets_a_hint() {
    let settings = settings(&[]).unwrap();
    for (cause, hint) in [
        (
            "/a.p12: error:0308010C:digital envelope routines::unsupported",
            "write it anew",
        ),
        (
            "/a.p12: error:11800071:PKCS12 routines::mac verify failure",
            "`ssl.keystore.password`",
        ),
    ] {
        let error = settings.refused(&KafkaError::ClientCreation(cause.to_owned()));
        let text = error.to_string();
        assert!(text.contains(cause) && text.contains(hint), "{text}");
    }
}

#[test]
fn an_option_given_twice_is_refused() {
    let text = error(&[
        ("sasl.mechanism", "PLAIN"),
        ("sasl.mechanisms", "SCRAM-SHA-256"),
    ]);
    assert!(text.contains("given twice"), "{text}");
}

#[test]
fn a_log_in_needs_a_mechanism() {
    let text = error(&[("security.protocol", "SASL_SSL")]);
    assert!(text.contains("\"sasl.mechanism\" is missing"), "{text}");
    let kerberos = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "GSSAPI"),
    ];
    if cfg!(feature = "gssapi") {
        settings(&kerberos).unwrap();
    } else {
        let text = error(&kerberos);
        assert!(text.contains("`--features gssapi`"), "{text}");
    }
    settings(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "PLAIN"),
    ])
    .unwrap();
}

#[test]
fn what_becomes_part_of_a_command_is_no_other_command() {
    for name in ["sasl.kerberos.keytab", "sasl.kerberos.principal"] {
        for value in [
            "a\"; touch b",
            "$(touch b)",
            "a b",
            "`b`",
            "a|b",
            "a\nb",
            "-c",
        ] {
            let text = error(&[(name, value)]);
            assert!(
                text.contains(name) && text.contains("letters, digits"),
                "{text}"
            );
        }
        for value in [
            "/etc/kafka/loader.keytab",
            "loader/host.example.com@EXAMPLE.COM",
        ] {
            refuse_command(name, value).unwrap();
        }
    }
    refuse_command("client.id", "a b").unwrap();
}

#[test]
fn the_system_certificates_are_looked_for_unless_some_are_named() {
    let plain = settings(&[]).unwrap().for_calls();
    assert_eq!(plain.get("ssl.ca.location"), None);
    let system = settings(&[("security.protocol", "ssl")])
        .unwrap()
        .for_calls();
    assert_eq!(system.get("ssl.ca.location"), Some("probe"));
    let oidc = settings(&[
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.client.id", "me"),
        ("sasl.oauthbearer.client.secret", "hunter2"),
        (
            "sasl.oauthbearer.token.endpoint.url",
            "https://login.example.com/token",
        ),
        ("sasl.oauthbearer.scope", "kafka"),
        ("sasl.oauthbearer.extensions", "logicalCluster=a"),
    ])
    .unwrap();
    assert!(!format!("{oidc:?}").contains("hunter2"));
    let oidc = oidc.for_calls();
    assert_eq!(oidc.get("https.ca.location"), Some("probe"));
    assert_eq!(oidc.get("sasl.oauthbearer.scope"), Some("kafka"));
    let own = settings(&[("security.protocol", "ssl"), ("ssl.ca.location", "/ca.pem")]).unwrap();
    assert_eq!(own.for_calls().get("ssl.ca.location"), Some("/ca.pem"));
}

#[test]
fn secrets_show_in_no_text() {
    let settings = settings(&[("sasl.password", "hunter2"), ("sasl.username", "ann")]).unwrap();
    let shown = format!("{settings:?}");
    assert!(
        shown.contains("sasl.password") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert!(!shown.contains("ann\""), "{shown}");
    let shown = format!("{:?}", error(&[("ssl.key.pem", "a\0hunter2")]));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!error(&[("no.such.password", "hunter2")]).contains("hunter2"));
}

#[test]
fn opaque_values_show_in_no_text() {
    let opaque = |name: &'static str, value: &str| {
        let options = [(name, OptionText::Opaque(value.to_owned()))];
        Settings::new(["127.0.0.1:9092"], options)
    };
    let shown = format!("{:?}", opaque("client.id", "hunter2").unwrap());
    assert!(
        shown.contains("client.id") && !shown.contains("hunter2"),
        "{shown}"
    );
    for (name, value, echo) in [
        ("isolation.level", "hunter2", "hunter2"),
        ("no.such.option", "hunter2", "hunter2"),
        // librdkafka would say the number in its own way.
        ("fetch.wait.max.ms", "0x7ffffff0", "2147483632"),
        ("enable.partition.eof", "hunter2", "hunter2"),
    ] {
        let error = opaque(name, value).unwrap_err().to_string();
        assert!(
            error.contains(&format!("{name:?}")) && !error.contains(echo) && !error.contains(value),
            "{error}"
        );
    }
    let missing = Settings::new(
        ["127.0.0.1:1"],
        [
            ("security.protocol", OptionText::from("ssl")),
            (
                "ssl.ca.location",
                OptionText::Opaque("/no/hunter2".to_owned()),
            ),
        ],
    );
    let error = crate::Client::new(&missing.unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ssl.ca.location") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn of_nested_values_the_longer_one_is_concealed() {
    let options = [("client.id", "ann"), ("client.rack", "annabel")]
        .map(|(name, value)| (name, OptionText::Opaque(value.to_owned())));
    let settings = Settings::new(["a:1"], options).unwrap();
    assert_eq!(settings.conceal("ann or annabel"), "… or …");
}

#[test]
fn broker_lists_are_taken_apart() {
    let settings = Settings::new(["a:1, b:2", "c:3"], NONE).unwrap();
    assert_eq!(settings.brokers(), ["a:1", "b:2", "c:3"]);
    assert_eq!(
        settings.for_calls().get("metadata.broker.list"),
        Some("a:1,b:2,c:3")
    );
    assert_eq!(settings.only_broker("b:2").brokers(), ["b:2"]);
    let error = Settings::new([" , "], NONE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
}
