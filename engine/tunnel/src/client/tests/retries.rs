//! What becomes of each error of the service at each call of an upload.

use super::server::{Reply, Server, answer};
use super::upload::{Ids, session};
use super::*;
use crate::{Error, ErrorKind, Missing};

/// The calls, each of which is answered well in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Create,
    Reload,
    Put,
    Commit,
}

const CALLS: [Call; 4] = [Call::Create, Call::Reload, Call::Put, Call::Commit];

/// What is done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The same call again, until it is answered well.
    Again,
    /// At the commit the session is looked up, which tells that it is still open, and the commit asked for again; at a
    /// block the session is looked up, and its state tells the kind.
    LookUp,
    /// The call ends with this.
    End(ErrorKind),
}
use Then::{Again, End, LookUp};

fn state() -> Reply {
    answer(200, session_json("normal", &[(0, 1)]))
}

/// A server and a client of one for many calls.
struct Scene {
    server: Server,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::start([]).await;
        let mut config = config(&server);
        config.retry.tries_max = 4;
        let (client, _clock) = client(config);
        Self { server, client }
    }

    /// Makes `call`, whose request is answered by `failures`, and then well. Returns what became of it and how often
    /// the request came.
    async fn outcome(&self, call: Call, failures: Vec<Reply>) -> (Result<(), Error>, usize) {
        let Self { server, client } = self;
        let before = server.arrived().len();
        server.forget_script();
        for failure in failures {
            server.go_on((call == Call::Commit).then(state));
            server.go_on([failure]);
        }
        server.go_on([state()]);
        server
            .go_on((call == Call::Commit).then(|| answer(200, session_json("closed", &[(0, 1)]))));
        let (table, partition, session) = (table(), partition(), session());
        let rows = Ids::new([Some(vec![1])]);
        let result = match call {
            Call::Create => client
                .create_upload_session(&table, &partition, true)
                .await
                .map(drop),
            Call::Reload => client.reload(&session.key).await.map(drop),
            Call::Put => client.put_block(&session, 0, &rows).await.map(drop),
            Call::Commit => client
                .commit(&session.key, &[(0, 1)].into())
                .await
                .map(drop),
        };
        let method = match call {
            Call::Create | Call::Commit => "POST",
            Call::Reload => "GET",
            Call::Put => "PUT",
        };
        let arrived = &server.arrived()[before..];
        let requests = arrived
            .iter()
            .filter(|arrived| arrived.line.starts_with(method));
        (result, requests.count())
    }
}

/// Code and status of an error, and what is done about it at each of [`CALLS`].
type Row = (&'static str, u16, [Then; 4]);

#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    let not_found = |missing| [End(ErrorKind::NotFound(missing)); 4];
    let invalid = [End(ErrorKind::InvalidRequest); 4];
    let conflict = End(ErrorKind::StatusConflict);
    let mut rows = vec![
        ("NoSuchProject", 404, not_found(Missing::Project)),
        ("NoSuchSchema", 404, not_found(Missing::Schema)),
        ("NoSuchTable", 404, not_found(Missing::Table)),
        ("ODPS-0130131", 400, not_found(Missing::Table)),
        ("NoSuchPartition", 404, not_found(Missing::Partition)),
        ("NoSuchUpload", 404, not_found(Missing::Session)),
        ("NoSuchData", 404, not_found(Missing::Session)),
        (
            "MalformedDataStream",
            400,
            [
                End(ErrorKind::Corrupted),
                End(ErrorKind::Corrupted),
                Again,
                End(ErrorKind::Corrupted),
            ],
        ),
        (
            "CorruptedDataStream",
            400,
            [
                End(ErrorKind::Corrupted),
                End(ErrorKind::Corrupted),
                Again,
                End(ErrorKind::Corrupted),
            ],
        ),
        ("IncompleteBody", 400, [Again, Again, Again, LookUp]),
        (
            "MissingRequestBodyError",
            400,
            [Again, Again, Again, LookUp],
        ),
        (
            "StatusConflict",
            409,
            [conflict, conflict, conflict, LookUp],
        ),
        (
            "InvalidStatusChange",
            409,
            [conflict, conflict, conflict, LookUp],
        ),
        (
            "InConsistentBlockList",
            409,
            [End(ErrorKind::BlockListDiffers); 4],
        ),
        ("TableModified", 412, [End(ErrorKind::SessionExpired); 4]),
        ("SchemaModified", 412, [End(ErrorKind::SessionExpired); 4]),
        ("AccessDenied", 403, [End(ErrorKind::PermissionDenied); 4]),
        ("NoPermission", 403, [End(ErrorKind::PermissionDenied); 4]),
        ("ODPS-0130013", 400, [End(ErrorKind::PermissionDenied); 4]),
    ];
    for code in [
        "MissingPartitionSpec",
        "InvalidPartitionSpec",
        "InvalidBlockID",
        "InvalidRowRange",
        "InvalidColumnSpec",
        "InvalidArgument",
        "InvalidURI",
        "MalformedHeaderValue",
        "InvalidProjectTable",
        "InvalidResourceSpec",
        "OverwriteModeNotAllowed",
    ] {
        // The statuses of these aren't certain: a status that reads like a failure of the server changes nothing.
        rows.extend([(code, 400, invalid), (code, 500, invalid)]);
    }
    rows.extend([
        ("MissingContentLength", 411, invalid),
        ("MethodNotAllowed", 405, invalid),
    ]);
    for (code, status) in [
        ("Unauthorized", 401),
        ("SignatureNotMatch", 403),
        ("AuthenticationRequestExpired", 403),
        ("RequestTimeTooSkewed", 403),
        ("ODPS-0410031", 400),
        ("ODPS-0410051", 401),
        ("InvalidSecurityToken.Expired", 403),
    ] {
        rows.push((code, status, [End(ErrorKind::Unauthorized); 4]));
    }
    for (code, status) in [
        ("FlowExceeded", 429),
        ("QPSExceeded", 429),
        ("SlotExceeded", 429),
        ("RequestQuotaExceeded", 429),
        ("FlowExceeded", 403),
        ("", 429),
        ("", 308),
        ("", 408),
        ("DataUnderReplication", 409),
        ("DataVersionConflict", 503),
        ("MetaTransactionFailed", 409),
        ("MetaTransactionAborted", 500),
        ("ServiceUnavailable", 503),
        ("InternalServerError", 500),
        ("DataStoreError", 500),
        ("", 502),
        ("", 504),
    ] {
        rows.push((code, status, [Again, Again, Again, LookUp]));
    }
    rows
}

fn error(code: &str, status: u16) -> Reply {
    let code = if code.is_empty() {
        String::new()
    } else {
        format!(r#""Code":"{code}","#)
    };
    answer(status, format!(r#"{{{code}"Message":"no"}}"#))
}

#[tokio::test]
async fn each_error_has_its_consequence_at_each_call() {
    let scene = Scene::new().await;
    for (code, status, consequences) in rows() {
        for (call, then) in CALLS.into_iter().zip(consequences) {
            let (result, requests) = scene.outcome(call, vec![error(code, status)]).await;
            let row = format!("{code} {status} {call:?}: {result:?}");
            match then {
                // The commit looks up the session before each request anyway, so that it is the same there.
                Again | LookUp => {
                    assert!(result.is_ok(), "{row}");
                    assert_eq!(requests, 2, "{row}");
                }
                End(kind) => {
                    assert_eq!(result.unwrap_err().kind(), kind, "{row}");
                    // A block that is refused for its session asks for the session by GET.
                    assert_eq!(requests, 1, "{row}");
                }
            }
        }
    }
}

#[tokio::test]
async fn tries_are_bounded_but_for_throttling_and_routes_that_move() {
    let scene = Scene::new().await;
    for call in CALLS {
        let bounded = (0..4).map(|_| error("InternalServerError", 500)).collect();
        let (result, requests) = scene.outcome(call, bounded).await;
        let expected = if call == Call::Commit {
            ErrorKind::CommitUnknown
        } else {
            ErrorKind::Server
        };
        assert_eq!(
            (result.unwrap_err().kind(), requests),
            (expected, 4),
            "{call:?}"
        );
        for (code, status) in [("FlowExceeded", 429), ("", 308)] {
            let unbounded = (0..12).map(|_| error(code, status)).collect();
            let (result, requests) = scene.outcome(call, unbounded).await;
            assert!(result.is_ok(), "{call:?} {status}: {result:?}");
            assert_eq!(requests, 13, "{call:?} {status}");
        }
    }
}

#[tokio::test]
async fn the_servers_wish_is_waited_for_and_bounded() {
    let held = answer(
        429,
        r#"{"Code":"FlowExceeded","Message":"","HoldClientMillis":9000}"#,
    );
    let asked = error("ServiceUnavailable", 503).with("Retry-After", "20");
    let both = answer(429, r#"{"Message":"","HoldClientMillis":90000}"#).with("Retry-After", "30");
    let late = error("", 503).with("Retry-After", "86400");
    let server = Server::start([held, asked, both, late, state()]).await;
    let (client, clock) = client(config(&server));
    client.reload(&session().key).await.unwrap();
    let seconds = |s| Duration::from_secs(s);
    assert_eq!(
        clock.waits(),
        [seconds(9), seconds(20), seconds(30), seconds(120)]
    );
}

#[tokio::test]
async fn an_error_says_what_was_tried_how_often_how_long_and_what_came_back() {
    let last = || {
        answer(
            500,
            r#"{"Code":"InternalServerError","Message":"the disk is on fire"}"#,
        )
        .with("x-odps-request-id", "r-9")
    };
    let server = Server::start([Reply::Cut, error("", 502), last()]).await;
    let mut config = config(&server);
    config.retry.tries_max = 3;
    // No one may wait less than half of what is due.
    let (client, clock) = client(config);
    let error = client
        .put_block(&session(), 7, &Ids::new([Some(vec![1])]))
        .await
        .unwrap_err();
    let elapsed = clock.elapsed().as_secs_f64();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot send block 7 of session s1 of wire_prj.t/ds=20260302: the server failed: InternalServerError: \
             the disk is on fire (PUT /projects/wire_prj/tables/t, status 500, request id r-9, 3 tries in {elapsed:.1} s)"
        )
    );
    let waits = clock.waits();
    assert!(
        waits
            .iter()
            .zip([1.0, 2.0])
            .all(|(wait, due)| { (due / 2.0..=due).contains(&wait.as_secs_f64()) })
    );
}

#[tokio::test]
async fn clients_that_fail_together_do_not_come_back_together() {
    let mut waits = std::collections::BTreeSet::new();
    for n in 0..8 {
        let server = Server::start([error("", 503), state()]).await;
        // Programs start at different times, which is what tells them apart.
        let clock = Arc::new(StartedLater(TestClock::default(), n));
        let client = Client::new(config(&server), Arc::<StartedLater>::clone(&clock)).unwrap();
        client.reload(&session().key).await.unwrap();
        waits.extend(clock.0.waits());
    }
    assert!(waits.len() >= 7, "{waits:?}");
}

#[derive(Debug)]
struct StartedLater(TestClock, i64);

impl Clock for StartedLater {
    fn now(&self) -> Timestamp {
        self.0.now() + Duration::from_micros(self.1.unsigned_abs())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.sleep(duration)
    }
}
