//! TLS, proxies, connections that are used again, and time-outs.

use std::fs;

use native_tls::Identity;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use tempfile::TempDir;

use super::server::{Reply, Server, answer};
use super::*;
use crate::ErrorKind;

const PROJECT: &str = "<Project><Name>wire_prj</Name></Project>";

/// A certificate for `name` that `issuer` signs, or that signs itself.
fn certificate(name: &str, issuer: Option<(&X509, &PKey<Private>)>) -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder: X509Builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(fastrand::u32(1..)).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder
        .set_issuer_name(issuer.map_or(&subject, |(issuer, _)| issuer.subject_name()))
        .unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(2).unwrap())
        .unwrap();
    if let Some((issuer, _)) = issuer {
        let context = builder.x509v3_context(Some(issuer), None);
        let address = SubjectAlternativeName::new()
            .ip("127.0.0.1")
            .build(&context)
            .unwrap();
        builder.append_extension(address).unwrap();
    } else {
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
    }
    builder
        .sign(issuer.map_or(&key, |(_, key)| key), MessageDigest::sha256())
        .unwrap();
    (builder.build(), key)
}

/// An authority's certificate in a file, and a server's that it signed.
fn authority() -> (TempDir, Identity) {
    let (ca, ca_key) = certificate("an authority of a test", None);
    let (certificate, key) = certificate("a server", Some((&ca, &ca_key)));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), ca.to_pem().unwrap()).unwrap();
    let key = key.private_key_to_pem_pkcs8().unwrap();
    let identity = Identity::from_pkcs8(&certificate.to_pem().unwrap(), &key).unwrap();
    (folder, identity)
}

fn https(server: &Server) -> ClientConfig {
    ClientConfig {
        endpoint: format!("https://{}/api", server.address),
        ..config(server)
    }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_once_it_is_named() {
    let (folder, identity) = authority();
    let server =
        Server::start_with(Some(identity), [answer(200, PROJECT), answer(200, PROJECT)]).await;
    let mut named = https(&server);
    named.ca_file = Some(folder.path().join("ca.pem"));
    let (client, _clock) = client(named);
    client.check_access().await.unwrap();
    client.check_access().await.unwrap();
    assert_eq!((server.lines().len(), server.accepted()), (2, 1));
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_ends_the_call_and_is_explained() {
    let (_folder, identity) = authority();
    let (other, _) = authority();
    let server = Server::start_with(Some(identity), []).await;
    let address = format!("https://{}/api", server.address);

    let (client, clock) = client(https(&server));
    let error = client.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("{address} is not trusted: ")),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("name a file with the authority that signed it as `ca_file`"),
        "{error}"
    );
    assert_eq!((error.tries(), clock.waits()), (1, vec![]));

    let mut wrong = https(&server);
    let path = other.path().join("ca.pem");
    wrong.ca_file = Some(path.clone());
    let (client, _clock) = super::client(wrong);
    let error = client.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let expected = format!(
        "check `endpoint`: `ca_file` {} does not hold the authority",
        path.display()
    );
    assert!(error.to_string().contains(&expected), "{error}");
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_without_a_certificate_is_refused_before_anything_is_sent() {
    let server = Server::start([]).await;
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "no certificate").unwrap();
    let damaged = folder.path().join("damaged.pem");
    fs::write(
        &damaged,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for (path, problem) in [
        (empty, "empty.pem holds no certificate"),
        (damaged, "damaged.pem holds no certificate"),
        (folder.path().join("none.pem"), "none.pem can't be read: "),
    ] {
        let mut config = https(&server);
        config.ca_file = Some(path);
        let error = Client::new(config, Arc::new(TestClock::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[tokio::test]
async fn requests_go_through_the_proxy_that_is_named() {
    // A proxy gets the whole address in the request line.
    let proxy = Server::start([
        answer(200, PROJECT),
        answer(200, session_json("normal", &[])),
    ])
    .await;
    let mut config = config(&proxy);
    config.proxy = Some(format!("http://{}", proxy.address));
    config.endpoint = "http://service.test/api".into();
    config.tunnel_endpoint = Some("http://dt.test".into());
    let (client, _clock) = client(config);
    client.check_access().await.unwrap();
    client
        .create_upload_session(&table(), &partition(), true)
        .await
        .unwrap();
    assert_eq!(
        proxy.lines(),
        [
            "GET http://service.test/api/projects/wire_prj?curr_project=wire_prj",
            "POST http://dt.test/projects/wire_prj/tables/t?curr_project=wire_prj&partition=ds%3D20260302&uploads\
             &overwrite=true",
        ]
    );
}

#[tokio::test]
async fn https_goes_through_a_tunnel_of_the_proxy() {
    let proxy = Server::start([answer(407, "log in first")]).await;
    let mut config = config(&proxy);
    config.proxy = Some(format!("http://{}", proxy.address));
    config.endpoint = "https://service.test/api".into();
    config.retry.tries_max = 1;
    let error = client(config).0.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error
            .to_string()
            .contains("cannot reach https://service.test/api: "),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("check `endpoint`, `proxy` and the network"),
        "{error}"
    );
    assert_eq!(proxy.lines(), ["CONNECT service.test:443"]);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_right_is_refused_without_showing_it() {
    let server = Server::start([]).await;
    for (proxy, problem) in [
        ("nonsense", "`proxy` is no URL"),
        ("ftp://proxy:21", "`proxy` is neither http nor https"),
        (
            "http://user:hunter2@proxy:3128",
            "`proxy` has a user name or password in it",
        ),
    ] {
        let mut config = config(&server);
        config.proxy = Some(proxy.into());
        let error = Client::new(config, Arc::new(TestClock::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = format!("{error} {error:?}");
        assert!(
            text.contains(problem) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start((0..40).map(|_| answer(200, PROJECT))).await;
    let (client, _clock) = client(config(&server));
    for _ in 0..30 {
        client.check_access().await.unwrap();
    }
    // Also by clones, and after errors that were read to their end.
    let clone = client.clone();
    for _ in 0..10 {
        clone.check_access().await.unwrap();
    }
    assert_eq!((server.lines().len(), server.accepted()), (40, 1));
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    // The server takes the connection and never answers the greeting of TLS, which is a part of connecting.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::start([]).await;
    let mut config = config(&server);
    config.endpoint = format!("https://{address}/api");
    config.timeouts.connect = Duration::from_millis(50);
    config.retry.tries_max = 2;
    let (client, clock) = client(config);
    let error = client.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error
            .to_string()
            .contains(&format!("cannot reach https://{address}/api: ")),
        "{error}"
    );
    assert_eq!((error.tries(), clock.waits().len()), (2, 1));
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_failed_try() {
    let server = Server::start([answer(200, PROJECT), Reply::Hang, answer(200, PROJECT)]).await;
    let mut config = config(&server);
    config.timeouts.answer = Duration::from_millis(100);
    let (client, clock) = client(config);
    client.check_access().await.unwrap();
    client.check_access().await.unwrap();
    assert_eq!((server.lines().len(), clock.waits().len()), (3, 1));
}
