//! Temporary credentials that are renewed while calls are under way, and secrets that no text shows.

use std::fs;
use std::path::Path;

use super::server::{Reply, Server, answer};
use super::upload::{Ids, session};
use super::*;
use crate::{Error, ErrorKind, ProfileFile};

const PROJECT: &str = "<Project><Name>wire_prj</Name></Project>";

/// Writes the file as a renewing program does; its secret and token end in `n`.
fn write(path: &Path, n: u32, expires: &str) {
    let expires: Timestamp = expires.parse().unwrap();
    let text = serde_json::json!({
        "current": "load",
        "profiles": [{
            "name": "load", "mode": "StsToken", "access_key_id": format!("id{n}"),
            "access_key_secret": format!("s3cret{n}"), "sts_token": format!("t0ken{n}"),
            "sts_expiration": expires.as_second(),
        }],
    });
    fs::write(path, text.to_string()).unwrap();
}

/// A file that lasts for hours, and a client that reads it.
fn renewing(server: &Server) -> (tempfile::TempDir, Client) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    write(&path, 1, "2026-03-02T09:00:00Z");
    let mut config = config(server);
    config.credentials = CredentialSource::File(ProfileFile {
        path,
        profile: None,
    });
    (folder, client(config).0)
}

fn refused(code: &str) -> Reply {
    answer(401, format!(r#"{{"Code":"{code}","Message":"no"}}"#))
}

fn tokens(server: &Server) -> Vec<String> {
    let arrived = server.arrived();
    let token = |arrived: &super::server::Arrived| {
        arrived
            .header("authorization-sts-token")
            .unwrap()
            .to_owned()
    };
    arrived.iter().map(token).collect()
}

#[tokio::test]
async fn credentials_that_are_refused_are_read_again() {
    let server = Server::start([
        answer(200, PROJECT),
        refused("Unauthorized"),
        answer(200, PROJECT),
        refused("ODPS-0410031"),
        answer(200, ""),
    ])
    .await;
    let (folder, client) = renewing(&server);
    let path = folder.path().join("config.json");
    client.check_access().await.unwrap();
    write(&path, 2, "2026-03-02T10:00:00Z");
    client.check_access().await.unwrap();
    write(&path, 3, "2026-03-02T11:00:00Z");
    let receipt = client
        .put_block(&session(), 0, &Ids::new([Some(vec![1])]))
        .await
        .unwrap();
    assert_eq!(receipt.tries, 2);
    assert_eq!(
        tokens(&server),
        ["t0ken1", "t0ken1", "t0ken2", "t0ken2", "t0ken3"]
    );
    let signed_by = |n: usize, id: &str| {
        let arrived = &server.arrived()[n];
        arrived.header("authorization").unwrap().starts_with(id)
    };
    assert!(signed_by(0, "ODPS id1:") && signed_by(4, "ODPS id3:"));
}

#[tokio::test]
async fn a_commit_and_a_statement_survive_a_renewal_too() {
    let state = |status| answer(200, session_json(status, &[(0, 5)]));
    let submitted = answer(201, "").with("Location", "http://host/i1");
    let script = [
        state("normal"),
        refused("InvalidStsToken"),
        state("normal"),
        state("closed"),
        refused("SecurityTokenExpired"),
        submitted,
    ];
    // Nobody renews the last ones.
    let refusals = (0..13).map(|_| refused("Unauthorized"));
    let server = Server::start(script.into_iter().chain(refusals)).await;
    let (folder, client) = renewing(&server);
    let path = folder.path().join("config.json");
    write(&path, 2, "2026-03-02T10:00:00Z");
    client
        .commit(&session().key, &[(0, 5)].into())
        .await
        .unwrap();
    write(&path, 3, "2026-03-02T11:00:00Z");
    // Refused, so that it surely didn't run; then submitted, and only its status can't be asked any more.
    let error = client.execute("INSERT INTO t SELECT 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let tokens = tokens(&server);
    let (first, waiting) = tokens.split_at(6);
    assert_eq!(
        first,
        ["t0ken1", "t0ken1", "t0ken2", "t0ken2", "t0ken2", "t0ken3"]
    );
    assert_eq!(waiting, ["t0ken3"; 13]);
}

/// While the file is just being rewritten, those who come too early look again.
#[tokio::test]
async fn a_renewal_that_comes_late_is_waited_for() {
    let server = Server::start([
        answer(200, PROJECT),
        refused("Unauthorized"),
        refused("Unauthorized"),
        answer(200, PROJECT),
    ])
    .await;
    let (folder, client) = renewing(&server);
    client.check_access().await.unwrap();
    fs::write(folder.path().join("config.json"), "{").unwrap();
    client.check_access().await.unwrap();
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test]
async fn credentials_that_expire_soon_are_read_before_the_request() {
    let server = Server::start((0..3).map(|_| answer(200, PROJECT))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    write(&path, 1, "2026-03-02T03:08:00Z");
    let mut config = config(&server);
    config.credentials = CredentialSource::File(ProfileFile {
        path: path.clone(),
        profile: None,
    });
    let (client, clock) = client(config);
    write(&path, 2, "2026-03-02T09:00:00Z");
    client.check_access().await.unwrap();
    clock.sleep(Duration::from_secs(10)).await;
    client.check_access().await.unwrap();
    client.check_access().await.unwrap();
    assert_eq!(tokens(&server), ["t0ken1", "t0ken2", "t0ken2"]);
}

#[tokio::test]
async fn a_file_without_news_ends_the_call_and_says_so() {
    let server = Server::start([refused("Unauthorized"), refused("Unauthorized")]).await;
    let (folder, client) = renewing(&server);
    let error = client.check_access().await.unwrap_err();
    assert_eq!((error.kind(), error.tries()), (ErrorKind::Unauthorized, 1));
    assert!(
        error
            .to_string()
            .contains("no; the credentials file was read again and has the same ones"),
        "{error}"
    );
    fs::write(folder.path().join("config.json"), "{ half of a fi").unwrap();
    let error = client.check_access().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("config.json: it is no `config.json`"),
        "{error}"
    );
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn credentials_that_are_refused_again_and_again_are_given_up() {
    // Each answer is for credentials that were renewed meanwhile.
    let server = Server::start((0..8).map(|_| refused("Unauthorized"))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    write(&path, 1, "2026-03-02T09:00:00Z");
    let mut config = config(&server);
    config.credentials = CredentialSource::File(ProfileFile {
        path: path.clone(),
        profile: None,
    });
    let (client, _clock) = client(config);
    let mut call = Box::pin(client.check_access());
    let error = loop {
        tokio::select! {
            biased;
            outcome = &mut call => break outcome.unwrap_err(),
            () = tokio::task::yield_now() => {
                let arrived = u32::try_from(server.arrived().len()).unwrap();
                write(&path, arrived + 2, "2026-03-02T09:00:00Z");
            }
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.tries() <= 8, "{error}");
}

#[test]
fn a_file_that_cannot_be_used_is_named_when_the_client_is_made() {
    let credentials = CredentialSource::File(ProfileFile {
        path: "/nowhere/credentials".into(),
        profile: Some("load".into()),
    });
    let config = ClientConfig::new("http://127.0.0.1:1/api", "p", credentials);
    let error = Client::new(config, Arc::new(TestClock::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let expected = "cannot set up the MaxCompute client: the credentials file /nowhere/credentials can't be read: ";
    assert!(error.to_string().starts_with(expected), "{error}");
}

/// Everything that a caller can print of an error.
fn texts(error: &Error) -> String {
    format!(
        "{error} {error:?} {error:#?} {:?} {:?}",
        error.code(),
        error.request_id()
    )
}

#[tokio::test]
async fn a_server_that_quotes_what_it_got_brings_nothing_secret_into_a_text() {
    // Whatever the server puts anywhere: the secret (which it can't know), the token, the signature.
    let echo = |status, text: &str| {
        answer(
            status,
            format!(r#"{{"Code":"{text}","Message":"{text}","RequestId":"{text}"}}"#),
        )
        .with("x-odps-request-id", text)
    };
    // The signature of the first request, taken from a run that was answered well.
    let server = Server::start([answer(200, PROJECT)]).await;
    let mut given = config(&server);
    given.credentials = temporary("t0ken");
    client(given).0.check_access().await.unwrap();
    let authorization = server.arrived()[0]
        .header("authorization")
        .unwrap()
        .to_owned();
    let signature = authorization.rsplit(':').next().unwrap().to_owned();

    for secret in [SECRET, "t0ken", &signature] {
        let script = [
            echo(403, secret),
            echo(200, secret),
            echo(401, &authorization),
        ];
        let server = Server::start(script).await;
        let mut given = config(&server);
        given.credentials = temporary("t0ken");
        given.retry.tries_max = 1;
        let settings = format!("{given:?}");
        let (client, _clock) = client(given);
        let mut shown = format!("{settings} {client:?}");
        for _ in 0..3 {
            shown += &texts(&client.check_access().await.unwrap_err());
        }
        for secret in [SECRET, "t0ken"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        // A body that is no error and no project is quoted too, and doesn't know of signatures.
        assert_eq!(server.lines().len(), 3);
    }
}
