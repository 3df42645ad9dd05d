//! Options that are not for a job to set, and what to do about others that are refused.

/// Options that are the engine's: name, the value it always has where it is fixed, and why.
///
/// These would break what a load promises: each message once, all that are committed and no other, with their headers, in
/// bounded memory; or let a job file do more than read. Everything else passes.
pub(super) const OWNED: &[(&str, Option<&str>, &str)] = &[
    (
        "allow.auto.create.topics",
        Some("false"),
        "reading must not create a topic",
    ),
    (
        "api.version.fallback.ms",
        Some("0"),
        "what librdkafka takes a broker for then has no headers and no transactions",
    ),
    (
        "api.version.request",
        Some("true"),
        "without it brokers are asked as in Kafka 0.9, and headers and transactions are left out",
    ),
    (
        "auto.offset.reset",
        Some("error"),
        "an offset that is gone is an error, or messages would be lost or read twice",
    ),
    (
        "broker.version.fallback",
        None,
        "brokers say themselves what they can",
    ),
    (
        "check.crcs",
        Some("true"),
        "a damaged batch must be found before it becomes rows",
    ),
    (
        "enable.auto.commit",
        Some("false"),
        "the group's position is set after the load's commit",
    ),
    (
        "enable.auto.offset.store",
        Some("false"),
        "the group's position is set after the load's commit",
    ),
    (
        "enable.partition.eof",
        Some("true"),
        "a range that ends in transaction markers could not end without it",
    ),
    (
        "enabled_events",
        None,
        "what librdkafka tells is the engine's to hear",
    ),
    (
        "group.id",
        None,
        "messages are read without a group; name the one for lag monitoring as the source's `group`",
    ),
    (
        "group.instance.id",
        None,
        "messages are read without a group",
    ),
    ("group.protocol", None, "messages are read without a group"),
    (
        "internal.termination.signal",
        None,
        "signals are the program's to handle",
    ),
    (
        "log.queue",
        Some("true"),
        "log lines are the engine's to hear",
    ),
    (
        "metadata.broker.list",
        None,
        "the brokers are the source's `brokers`",
    ),
    (
        "offset.store.method",
        None,
        "offsets are kept in the journal",
    ),
    ("offset.store.path", None, "offsets are kept in the journal"),
    (
        "offset.store.sync.interval.ms",
        None,
        "offsets are kept in the journal",
    ),
    (
        "plugin.library.paths",
        None,
        "a job must not load code into the program",
    ),
    (
        "queued.max.messages.kbytes",
        None,
        "it follows from `limits.memory`",
    ),
    (
        "queued.min.messages",
        Some("1000000"),
        "bytes bound the queue, and `limits.memory` says how many",
    ),
    (
        "sasl.kerberos.kinit.cmd",
        None,
        "a job must not run commands; `kinit` is run with its principal and keytab, or not at all with \
         `sasl.kerberos.min.time.before.relogin: 0`",
    ),
    (
        "ssl.engine.location",
        None,
        "a job must not load code into the program",
    ),
    (
        "ssl.providers",
        None,
        "a job must not load code into the program",
    ),
    (
        "statistics.interval.ms",
        Some("0"),
        "nobody reads statistics, and they would pile up in clients that wait for their next call",
    ),
    (
        "test.mock.broker.rtt",
        None,
        "messages are read from the source's `brokers`, not from a mock cluster",
    ),
    (
        "test.mock.num.brokers",
        None,
        "messages are read from the source's `brokers`, not from a mock cluster",
    ),
    (
        "topic.blacklist",
        None,
        "only the source's `topic` is asked for",
    ),
];

/// Options whose values librdkafka puts into the command line of `kinit`, which a shell reads.
pub(super) const IN_COMMAND: &[&str] = &["sasl.kerberos.keytab", "sasl.kerberos.principal"];

/// What people bring along from the Java client, and what to write instead. librdkafka has no such option, or not such a
/// value of it.
pub(super) const JAVA: &[(&str, &str)] = &[
    (
        "default.api.timeout.ms",
        "leave it out: the engine has its own time-outs",
    ),
    ("fetch.max.wait.ms", "write `fetch.wait.max.ms`"),
    (
        "java.security.auth.login.config",
        "write `sasl.username` and `sasl.password`",
    ),
    (
        "java.security.krb5.conf",
        "leave it out: Kerberos reads what `KRB5_CONFIG` of the environment names",
    ),
    ("key.deserializer", "write the source's `key`"),
    (
        "max.poll.records",
        "leave it out: blocks of messages are bounded by bytes",
    ),
    (
        "receive.buffer.bytes",
        "write `socket.receive.buffer.bytes`",
    ),
    (
        "request.timeout.ms",
        "leave it out, or write `socket.timeout.ms`",
    ),
    (
        "sasl.jaas.config",
        "write `sasl.username` and `sasl.password`",
    ),
    (
        "sasl.login.callback.handler.class",
        "write `sasl.oauthbearer.method: oidc` and what goes with it",
    ),
    ("send.buffer.bytes", "write `socket.send.buffer.bytes`"),
    (
        "ssl.enabled.protocols",
        "leave it out: the newest that both sides know is taken",
    ),
    (
        "ssl.endpoint.identification.algorithm",
        "write `none` where it was empty, which leaves the brokers' host names unchecked",
    ),
    (
        "ssl.keystore.certificate.chain",
        "write `ssl.certificate.pem`",
    ),
    ("ssl.keystore.key", "write `ssl.key.pem`"),
    (
        "ssl.keystore.type",
        "leave it out: `ssl.keystore.location` is a PKCS#12 file",
    ),
    (
        "ssl.protocol",
        "leave it out: the newest that both sides know is taken",
    ),
    ("ssl.truststore.certificates", "write `ssl.ca.pem`"),
    (
        "ssl.truststore.location",
        "write `ssl.ca.location`, the path of a PEM file",
    ),
    (
        "ssl.truststore.password",
        "leave it out: the PEM file of `ssl.ca.location` has none",
    ),
    (
        "ssl.truststore.type",
        "leave it out: `ssl.ca.location` is a PEM file",
    ),
    ("value.deserializer", "write the source's `value`"),
];

/// Parts of what librdkafka says of options that do not go together, and what to do then.
pub(super) const HINTS: &[(&str, &str)] = &[
    (
        "digital envelope routines::unsupported",
        "the file is encrypted in a way that OpenSSL has given up; write it anew, as `keytool -importkeystore` of Java 17 does",
    ),
    ("mac verify failure", "check `ssl.keystore.password`"),
];
