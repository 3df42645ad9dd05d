use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine_local::maxcompute::{Config, Fault, Faults, MaxCompute, Route};
use engine_model::job::Secret;
use engine_model::{PartitionSpec, TableName};
use engine_tunnel::{Client, ClientConfig, Credentials, ErrorKind, RetryPolicy, SystemClock};
use tests::rows::{COLUMNS, Rows};

const PROJECT: &str = "shop";
/// Ids that one session loads, in blocks of a tenth of them.
const IDS: i64 = 5_000;
const BLOCKS: i64 = 10;
/// The longest that a load may take which meets one fault of less than two seconds.
const BOUND: Duration = Duration::from_secs(30);

/// The calls that an upload makes.
const CALLS: [Route; 4] = [
    Route::CreateUpload,
    Route::PutBlock,
    Route::ReloadUpload,
    Route::Commit,
];

/// What goes wrong and passes.
fn passing(route: Route) -> Vec<(&'static str, Fault)> {
    vec![
        ("slow", Fault::delay(route, Duration::from_millis(1_200))),
        ("500", Fault::answer(route, 500, "InternalServerError")),
        ("502", Fault::answer(route, 502, "BadGateway").times(2)),
        ("503", Fault::answer(route, 503, "ServiceUnavailable")),
        ("504", Fault::answer(route, 504, "GatewayTimeout")),
        (
            "throttled",
            Fault::answer(route, 429, "FlowExceeded").times(12),
        ),
        (
            "throttled for a second",
            Fault::answer(route, 429, "SlotExceeded").header("retry-after", "1"),
        ),
        ("moved", Fault::answer(route, 308, "Moved").times(2)),
        ("cut before anything", Fault::cut_request(route, 0)),
        ("cut within the request", Fault::cut_request(route, 3_000)),
        ("answer cut at once", Fault::cut_answer(route, 0)),
        ("answer cut in the middle", Fault::cut_answer(route, 20)),
        ("answer lost", Fault::lose_answer(route)),
        ("answers lost", Fault::lose_answer(route).times(3)),
    ]
}

/// What goes wrong and stays so, with what the client makes of it.
fn lasting(route: Route) -> Vec<(&'static str, Fault, ErrorKind)> {
    vec![
        (
            "no permission",
            Fault::answer(route, 403, "NoPermission"),
            ErrorKind::PermissionDenied,
        ),
        (
            "wrong secret",
            Fault::answer(route, 403, "SignatureNotMatch").always(),
            ErrorKind::Unauthorized,
        ),
        (
            "bad request",
            Fault::answer(route, 400, "InvalidArgument"),
            ErrorKind::InvalidRequest,
        ),
    ]
}

/// A server whose faults the test holds, and a client that doesn't wait long between tries.
struct Fixture {
    server: MaxCompute,
    faults: Faults,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::new();
        let server = MaxCompute::start(Config {
            faults: faults.clone(),
            ..Config::new(folder.path(), PROJECT)
        });
        let server = server.await.unwrap();
        let credentials = Credentials {
            access_id: "anyone".to_owned(),
            secret: Secret::new("whatever"),
            security_token: None,
        };
        let mut config = ClientConfig::new(server.endpoint(), PROJECT, credentials);
        config.retry = RetryPolicy {
            wait_min: Duration::from_millis(5),
            wait_max: Duration::from_millis(40),
            ..RetryPolicy::default()
        };
        let client = Client::new(config, Arc::new(SystemClock::start())).unwrap();
        Self {
            server,
            faults,
            client,
            _folder: folder,
        }
    }

    async fn table(&self, name: &str) -> TableName {
        let sql = format!("CREATE TABLE {name} {COLUMNS};");
        self.client.execute(&sql).await.unwrap();
        TableName {
            project: PROJECT.to_owned(),
            schema: None,
            table: name.to_owned(),
        }
    }

    /// Loads the ids in a session of their own, all its blocks at once.
    async fn load(&self, table: &TableName, ids: Range<i64>) -> Result<(), engine_tunnel::Error> {
        let whole = PartitionSpec(Vec::new());
        let session = self.client.create_upload_session(table, &whole, false);
        let session = Arc::new(session.await?);
        let mut blocks = tokio::task::JoinSet::new();
        for block in 0..BLOCKS {
            let (client, session) = (self.client.clone(), Arc::clone(&session));
            let start = ids.start + block * IDS / BLOCKS;
            let rows = Rows::of(start..start + IDS / BLOCKS);
            blocks.spawn(async move {
                let block = u32::try_from(block).unwrap();
                let receipt = client.put_block(&session, block, &rows).await?;
                Ok((block, receipt.rows))
            });
        }
        let mut sent = BTreeMap::new();
        while let Some(block) = blocks.join_next().await {
            let (block, rows) = block.unwrap()?;
            sent.insert(block, rows);
        }
        self.client.commit(&session.key, &sent).await.map(drop)
    }

    /// Panics unless the table holds the ids `0..count`, each once, and nothing else.
    async fn assert_rows(&self, table: &TableName, count: i64, what: &str) {
        let sql = format!("SELECT COUNT(*), COUNT(DISTINCT id), SUM(id) FROM {table};");
        let found = self.client.execute(&sql).await.unwrap().rows;
        let sum = (count > 0).then(|| (count * (count - 1) / 2).to_string());
        let expected = [Some(count.to_string()), Some(count.to_string()), sum];
        assert_eq!(found, [expected], "{what}");
    }
}

/// Two sessions load into one table at the same time; a fault meets one of them, at the first call or a later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_passes_costs_no_row_and_doubles_none() {
    let fixture = Fixture::start().await;
    let mut met = 0;
    for route in CALLS {
        for later in [0, 1] {
            for (name, fault) in passing(route) {
                let what = format!("{name} at {route:?}, call {later} of the load");
                let table = fixture.table(&format!("t{met}")).await;
                let from = fixture.faults.calls(route) + 1 + later;
                fixture.faults.add(fault.from_call(from));
                let wanted = fixture.faults.left();
                let started = Instant::now();
                let (first, second) = tokio::join!(
                    fixture.load(&table, 0..IDS),
                    fixture.load(&table, IDS..2 * IDS)
                );
                first.unwrap_or_else(|error| panic!("{what}: {error}"));
                second.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(started.elapsed() < BOUND, "{what}: {:?}", started.elapsed());
                assert!(fixture.faults.left() < wanted, "{what}: it met no call");
                fixture.faults.clear();
                fixture.assert_rows(&table, 2 * IDS, &what).await;
                met += 1;
            }
        }
    }
    assert_eq!(met, 4 * 2 * 14);
    fixture.server.stop().await;
}

/// The session that meets a fault that stays loads nothing and says what it was; the one beside it loads everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_stays_ends_the_load_that_meets_it_and_no_other() {
    let fixture = Fixture::start().await;
    let mut met = 0;
    for route in CALLS {
        for (name, fault, kind) in lasting(route) {
            let what = format!("{name} at {route:?}");
            let table = fixture.table(&format!("t{met}")).await;
            let other = fixture.table(&format!("beside{met}")).await;
            let path = format!("/tables/t{met}?");
            let meets = fixture.faults.calls(route);
            fixture
                .faults
                .add(fault.only(move |call| call.target.contains(&path)));
            let started = Instant::now();
            let (first, second) =
                tokio::join!(fixture.load(&table, 0..IDS), fixture.load(&other, 0..IDS));
            let error = first.expect_err(&what);
            assert_eq!(error.kind(), kind, "{what}: {error}");
            second.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(started.elapsed() < BOUND, "{what}");
            assert!(fixture.faults.calls(route) > meets, "{what}");
            fixture.faults.clear();
            fixture.assert_rows(&table, 0, &what).await;
            fixture.assert_rows(&other, IDS, &what).await;
            met += 1;
        }
    }
    assert_eq!(met, 4 * 3);
    fixture.server.stop().await;
}
