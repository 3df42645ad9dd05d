//! Who may use a server, and what it may be started on.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Config, Credential, MaxCompute, exchange};

#[tokio::test(flavor = "multi_thread")]
async fn only_known_signatures_are_let_in() {
    let folder = TempDir::new().unwrap();
    let credential = Credential {
        access_id: "id".to_owned(),
        secret: "secret".to_owned(),
        security_token: None,
    };
    let config = Config {
        credentials: vec![credential],
        ..Config::new(folder.path(), "prj")
    };
    let server = MaxCompute::start(config).await.unwrap();
    assert_eq!(
        server.endpoint(),
        format!("http://{}/api", server.address())
    );
    let unsigned = b"GET /api/projects/prj HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(server.address(), unsigned);
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("<Code>Unauthorized</Code>"));
    let tunnel =
        b"POST /projects/prj/tables/t?uploads HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(server.address(), tunnel);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (401, "Unauthorized")
    );
    let twice = b"GET /api/projects/prj/tables?name=a&x&name=b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(server.address(), twice);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("\"name\" is there twice"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_somebody_has_to_be_asked() {
    let folder = TempDir::new().unwrap();
    let config = Config {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..Config::new(folder.path(), "prj")
    };
    let error = MaxCompute::start(config).await.unwrap_err();
    assert!(error.to_string().contains("open to everyone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_used_is_named() {
    let folder = TempDir::new().unwrap();
    let file: &Path = &folder.path().join("file");
    fs::write(file, b"").unwrap();
    let error = MaxCompute::start(Config::new(file, "prj"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/file"), "{error}");
}
