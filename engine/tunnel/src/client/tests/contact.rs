//! Endpoints: wrong ones, silent ones, found ones; and what is never shown.

use super::server::{Reply, Server, answer};
use super::*;
use crate::{ErrorKind, Missing};

const PROJECT: &str = "<Project><Name>wire_prj</Name></Project>";

#[tokio::test]
async fn requests_are_signed_as_pyodps_signs_them() {
    let server = Server::start([answer(200, PROJECT)]).await;
    client(config(&server)).0.check_access().await.unwrap();
    let arrived = &server.arrived()[0];
    assert_eq!(
        arrived.line,
        "GET /api/projects/wire_prj?curr_project=wire_prj"
    );
    assert_eq!(
        arrived.header("authorization"),
        Some("ODPS DummyAccessId0001:gl3TxCahxv7sgInPAFTx0nYvXp0=")
    );
    assert_eq!(arrived.header("user-agent"), Some("pyodps/0.13.2"));
}

#[tokio::test]
async fn temporary_credentials_send_their_token_and_a_region_signs_by_version_4() {
    let server = Server::start([answer(200, PROJECT)]).await;
    let mut config = config(&server);
    config.credentials = temporary("sts-token");
    config.region = Some("cn-hangzhou".into());
    client(config).0.check_access().await.unwrap();
    let arrived = &server.arrived()[0];
    assert_eq!(arrived.header("authorization-sts-token"), Some("sts-token"));
    let authorization = arrived.header("authorization").unwrap();
    let credential = "ODPS DummyAccessId0001/20260302/cn-hangzhou/odps/aliyun_v4_request:";
    assert!(authorization.starts_with(credential), "{authorization}");
}

#[tokio::test]
async fn a_wrong_address_is_named_within_the_first_contact() {
    let server = Server::start([]).await;
    let mut config = config(&server);
    drop(server);
    config.endpoint = "http://127.0.0.1:1/api".into();
    let (client, clock) = client(config);
    let error = client.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let text = error.to_string();
    assert!(
        text.starts_with(
            "cannot read project wire_prj: cannot reach http://127.0.0.1:1/api: connection refused; check `endpoint` \
             and the network (GET /projects/wire_prj, "
        ),
        "{text}"
    );
    assert!(
        clock.elapsed() < Duration::from_secs(10),
        "{:?}",
        clock.waits()
    );
    assert!(error.tries() > 1);
}

#[tokio::test]
async fn a_server_that_never_answered_is_given_up_early() {
    let server = Server::start([Reply::Hang]).await;
    let mut config = config(&server);
    config.timeouts.first_contact = Duration::from_millis(800);
    let (client, _clock) = client(config);
    let error = client.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error
            .to_string()
            .contains("no answer within 1 s; check `endpoint`"),
        "{error}"
    );
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_server_that_answered_once_is_tried_to_the_end() {
    let mut script = vec![answer(200, PROJECT)];
    script.extend((0..8).map(|_| answer(502, "<html>bad gateway</html>")));
    let server = Server::start(script).await;
    let (client, clock) = client(config(&server));
    client.check_access().await.unwrap();
    let error = client.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.tries(), 8);
    assert!(
        error
            .to_string()
            .contains("<html>bad gateway</html> (GET /projects/wire_prj, status 502, 8 tries in ")
    );
    assert_eq!(server.lines().len(), 9);
    let waits = clock.waits();
    for (wait, longest) in waits.iter().zip([1, 2, 4, 8, 16, 32, 64]) {
        let longest = Duration::from_secs(longest);
        assert!(*wait <= longest && *wait >= longest / 2, "{waits:?}");
    }
}

#[tokio::test]
async fn bad_credentials_are_not_tried_again() {
    let body = "<Error><Code>SignatureNotMatch</Code><Message>no</Message><RequestId>r7</RequestId><HostId/></Error>";
    let server = Server::start([answer(401, body)]).await;
    let (client, clock) = client(config(&server));
    let error = client.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(
        (error.code(), error.request_id()),
        (Some("SignatureNotMatch"), Some("r7"))
    );
    assert_eq!(server.lines().len(), 1);
    assert!(clock.waits().is_empty());
    assert!(error.to_string().ends_with(
        "check access id, secret, security token and this machine's clock: SignatureNotMatch: no \
         (GET /projects/wire_prj, status 401, request id r7)"
    ));
}

#[tokio::test]
async fn another_service_at_the_endpoint_is_found_out() {
    let server = Server::start([answer(200, "<html>hello</html>")]).await;
    let error = client(config(&server)).0.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        error
            .to_string()
            .contains("<html>hello</html>; check `endpoint`"),
        "{error}"
    );
}

#[tokio::test]
async fn the_tunnel_is_asked_for_once() {
    let tunnel = Server::start([
        answer(200, session_json("normal", &[])),
        answer(200, session_json("normal", &[])),
    ])
    .await;
    let rest = Server::start([answer(200, tunnel.address.clone())]).await;
    let mut config = config(&rest);
    config.tunnel_endpoint = None;
    config.quota = Some("q 1".into());
    config.schema = Some("s".into());
    let (client, _clock) = client(config);
    for _ in 0..2 {
        client
            .create_upload_session(&table(), &partition(), true)
            .await
            .unwrap();
    }
    assert_eq!(
        rest.lines(),
        ["GET /api/projects/wire_prj/tunnel?service&curr_project=wire_prj&quotaName=q%201"]
    );
    assert_eq!(
        tunnel.lines(),
        ["POST /projects/wire_prj/schemas/s/tables/t?curr_project=wire_prj&partition=ds%3D20260302&quotaName=q%201\
          &uploads&overwrite=true"; 2]
    );
}

#[tokio::test]
async fn a_tunnel_answer_that_is_no_host_is_refused() {
    let server = Server::start([answer(200, "<html>")]).await;
    let mut config = config(&server);
    config.tunnel_endpoint = None;
    let (client, _clock) = client(config);
    let error = client.row_count(&table(), &partition()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        error.to_string().contains("set `tunnel_endpoint`"),
        "{error}"
    );
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let token = "sts-token-0987";
    let echo = format!("{{\"Code\":\"InternalServerError\",\"Message\":\"{SECRET} {token}\"}}");
    let server = Server::start([answer(403, echo.clone()), answer(200, echo)]).await;
    let mut config = config(&server);
    config.credentials = temporary(token);
    config.retry.tries_max = 1;
    let shown = format!("{config:?}");
    let (client, _clock) = client(config);
    let mut texts = vec![shown, format!("{client:?}")];
    for _ in 0..2 {
        let error = client.check_access().await.unwrap_err();
        texts.extend([format!("{error}"), format!("{error:?}")]);
    }
    for text in texts {
        assert!(!text.contains(SECRET) && !text.contains(token), "{text}");
        // Nor a signature.
        assert!(!text.contains("ODPS DummyAccessId0001:"), "{text}");
    }
}

#[test]
fn addresses_that_cannot_be_right_are_refused_without_showing_them() {
    let credentials = Credentials {
        access_id: "i".into(),
        secret: Secret::new("s"),
        security_token: None,
    };
    for (endpoint, problem) in [
        ("localhost:8090", "`endpoint` is neither http nor https"),
        ("nonsense", "`endpoint` is no URL"),
        ("ftp://host/api", "`endpoint` is neither http nor https"),
        (
            "http://user:hunter2@host/api",
            "`endpoint` has a user name or password in it",
        ),
        (
            "http://host/api?token=hunter2",
            "`endpoint` has a query or fragment",
        ),
    ] {
        let config = ClientConfig::new(endpoint, "p", credentials.clone());
        let error = Client::new(config, Arc::new(TestClock::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(
            text.contains(problem) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[test]
fn an_endpoint_has_one_spelling() {
    let credentials = Credentials {
        access_id: "i".into(),
        secret: Secret::new("s"),
        security_token: None,
    };
    for spelling in [
        "http://service.example.com/api",
        "HTTP://Service.Example.COM:80/api/",
    ] {
        let config = ClientConfig::new(spelling, "p", credentials.clone());
        let client = Client::new(config, Arc::new(TestClock::default())).unwrap();
        assert_eq!(client.endpoint(), "http://service.example.com/api");
    }
}

#[tokio::test]
async fn a_missing_project_is_named() {
    let server = Server::start([answer(404, "")]).await;
    let error = client(config(&server)).0.check_access().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound(Missing::Project));
    assert_eq!(
        error.to_string(),
        "cannot read project wire_prj: the project does not exist, or these credentials can't see it \
         (GET /projects/wire_prj, status 404)"
    );
}
