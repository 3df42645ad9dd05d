//! The server over HTTP, spoken by hand: what official clients never send is tested here.

mod faults;
mod many;
mod records;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use super::{Clock, Config, Credential, Faults, MaxCompute};

const COLUMNS: &str = "k0 string, k1 string, k2 string, k3 string, k4 string, k5 string";

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    /// The code of a tunnel error.
    fn code(&self) -> String {
        self.json()["Code"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Sends bytes and reads the answer up to the end of the connection.
fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let border = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(bytes[..border].to_vec()).unwrap();
    let mut body = bytes[border + 4..].to_vec();
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        body = dechunk(&body);
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body }
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = bytes
            .windows(2)
            .position(|window| window == b"\r\n")
            .unwrap();
        let size = std::str::from_utf8(&bytes[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        bytes = &bytes[line + 4 + size..];
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tunnel/tests/fixtures");
    fs::read(folder.join(name)).unwrap()
}

/// A server with a clock that tests move.
struct Server {
    folder: TempDir,
    running: Option<MaxCompute>,
    now_ms: Arc<AtomicI64>,
    faults: Faults,
}

impl Server {
    async fn start() -> Self {
        let mut server = Self {
            folder: TempDir::new().unwrap(),
            running: None,
            now_ms: Arc::new(AtomicI64::new(1_772_420_645_000)),
            faults: Faults::new(),
        };
        server.running = Some(MaxCompute::start(server.config()).await.unwrap());
        server
    }

    fn config(&self) -> Config {
        let now_ms = Arc::clone(&self.now_ms);
        let clock = Clock::new(move || {
            Timestamp::from_millisecond(now_ms.load(Ordering::Relaxed)).unwrap()
        });
        Config {
            clock,
            faults: self.faults.clone(),
            ..Config::new(self.folder.path(), "prj")
        }
    }

    async fn restart(&mut self) {
        self.running.take().unwrap().stop().await;
        self.running = Some(MaxCompute::start(self.config()).await.unwrap());
    }

    fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address()
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: the.host:81\r\nConnection: close\r\n{headers}{length}\r\n").into_bytes();
        request.extend_from_slice(body);
        exchange(self.address(), &request)
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "", b"")
    }

    /// A POST without body, length or encoding, as Java sends it.
    fn post(&self, path: &str) -> Answer {
        self.request("POST", path, "", b"")
    }

    fn put(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.request("PUT", path, headers, body)
    }

    /// Runs a statement and returns status and result text of its task.
    fn sql(&self, sql: &str) -> (String, String) {
        let job = format!(
            "<Instance><Job><Tasks><SQL><Name>T</Name><Query>{}</Query></SQL></Tasks></Job></Instance>",
            super::xml::escape(sql)
        );
        let submitted = self.request("POST", "/api/projects/prj/instances", "", job.as_bytes());
        assert_eq!(submitted.status, 201, "{}", submitted.text());
        assert!(submitted.body.is_empty());
        let id = submitted
            .header("location")
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let path = format!("/api/projects/prj/instances/{id}");
        // About a minute of a busy machine.
        let mut tries = 0;
        while !self.get(&path).text().contains("Terminated") {
            tries += 1;
            assert!(tries < 100_000, "{sql} does not end");
            std::thread::yield_now();
        }
        let status = self.get(&format!("{path}?taskstatus")).text();
        let status = status
            .rsplit_once("</Status>")
            .unwrap()
            .0
            .rsplit_once('>')
            .unwrap()
            .1
            .to_owned();
        let result = self.get(&format!("{path}?result")).text();
        let encoded = result
            .split_once("CDATA[")
            .unwrap()
            .1
            .split_once(']')
            .unwrap()
            .0;
        let decoded =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap();
        (status, String::from_utf8(decoded).unwrap())
    }

    fn ddl(&self, sql: &str) {
        let (status, text) = self.sql(sql);
        assert_eq!(status, "Success", "{sql}: {text}");
    }

    fn count(&self, table: &str) -> String {
        let (status, text) = self.sql(&format!("select count(*) from {table}"));
        assert_eq!(status, "Success", "{text}");
        text.lines().nth(1).unwrap().trim_matches('"').to_owned()
    }

    fn session(&self, path: &str) -> String {
        let created = self.post(path);
        assert_eq!(created.status, 200, "{}", created.text());
        created.json()["UploadID"].as_str().unwrap().to_owned()
    }

    fn blocks(&self, path: &str) -> Vec<(i64, i64)> {
        let session = self.get(path).json();
        let blocks = session["UploadedBlockList"].as_array().unwrap();
        let block = |block: &Value| {
            (
                block["BlockID"].as_i64().unwrap(),
                block["RecordCount"].as_i64().unwrap(),
            )
        };
        blocks.iter().map(block).collect()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path().join("files"))
            .unwrap()
            .count()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one block's story")]
async fn a_wrong_body_leaves_the_block_as_it_was() {
    let server = Server::start().await;
    server.ddl(&format!("create table t ({COLUMNS})"));
    let base = "/projects/prj/tables/t";
    let id = server.session(&format!("{base}?uploads"));
    let block = format!("{base}?uploadid={id}&blockid=0&arrow");
    let good = fixture("arrow_kafka_like.bin");
    assert_eq!(server.put(&block, "", &good).status, 200);
    let reload = format!("{base}?uploadid={id}");
    let before = server.blocks(&reload);
    assert_eq!(before, [(0, 200)]);

    let mut wrong_crc = good.clone();
    *wrong_crc.last_mut().unwrap() ^= 1;
    let mut wrong_middle = good.clone();
    wrong_middle[5_000] ^= 1;
    let zlib = fixture("arrow_kafka_like_zlib.bin");
    let cases: [(&str, &[u8], &str); 8] = [
        ("", &wrong_crc, "MalformedDataStream"),
        ("", &wrong_middle, "MalformedDataStream"),
        ("", &good[..good.len() - 1], "MalformedDataStream"),
        ("", &fixture("arrow_one_row.bin"), "MalformedDataStream"),
        (
            "Content-Encoding: deflate\r\n",
            &zlib[..zlib.len() - 9],
            "MalformedDataStream",
        ),
        (
            "Content-Encoding: deflate\r\n",
            &good,
            "MalformedDataStream",
        ),
        ("Content-Encoding: zstd\r\n", b"", "MalformedDataStream"),
        ("Content-Encoding: br\r\n", &good, "InvalidArgument"),
    ];
    for (headers, body, code) in cases {
        let answer = server.put(&block, headers, body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{headers}{}",
            answer.text()
        );
        assert!(answer.json()["Message"].as_str().unwrap().len() > 10);
        assert_eq!(server.blocks(&reload), before);
    }
    // A connection that is cut inside the body.
    let mut cut = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "PUT {block} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        good.len()
    );
    cut.write_all(head.as_bytes()).unwrap();
    cut.write_all(&good[..9_000]).unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    cut.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty() || parse(&answer).status == 400);
    assert_eq!(server.blocks(&reload), before);
    assert_eq!(server.files(), 1, "nothing of the wrong bodies is left");

    // The same block again, in every encoding, replaces itself.
    for (name, encoding) in [
        ("zstd", "zstd"),
        ("snappy", "x-snappy-framed"),
        ("lz4", "x-odps-lz4-frame"),
        ("zlib", "deflate"),
    ] {
        let body = fixture(&format!("arrow_kafka_like_{name}.bin"));
        let answer = server.put(&block, &format!("Content-Encoding: {encoding}\r\n"), &body);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    assert_eq!(server.blocks(&reload), before);
    // Empty bodies are blocks without rows.
    for (number, body) in [(1, &b""[..]), (2, &[0; 4])] {
        assert_eq!(
            server
                .put(
                    &format!("{base}?uploadid={id}&blockid={number}&arrow="),
                    "",
                    body
                )
                .status,
            200
        );
    }
    assert_eq!(server.blocks(&reload), [(0, 200), (1, 0), (2, 0)]);
    assert_eq!(server.count("t"), "0");
    let committed = server.post(&reload).json();
    assert_eq!(committed["Status"], "closed");
    assert_eq!(server.count("t"), "200");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn sessions_refuse_what_is_not_theirs() {
    let mut server = Server::start().await;
    server.ddl("create table day (a bigint, b string) partitioned by (ds string)");
    server.ddl("create table plain (a bigint, b string)");
    let (day, plain) = (
        "/projects/prj/schemas/default/tables/DAY",
        "/projects/prj/tables/plain",
    );
    let body = fixture("arrow_multi_batch.bin");
    for (path, status, code) in [
        (
            format!("{day}?uploads=1&partition=ds%3D1"),
            404,
            "NoSuchPartition",
        ),
        (format!("{day}?uploads"), 400, "MissingPartitionSpec"),
        (
            format!("{day}?uploads&partition=dt%3D1"),
            400,
            "InvalidPartitionSpec",
        ),
        (
            format!("{plain}?uploads&partition=ds%3D1"),
            400,
            "InvalidPartitionSpec",
        ),
        (
            "/projects/prj/tables/none?uploads".to_owned(),
            404,
            "NoSuchTable",
        ),
        (
            "/projects/other/tables/plain?uploads".to_owned(),
            404,
            "NoSuchProject",
        ),
        (
            "/projects/prj/schemas/s/tables/plain?uploads".to_owned(),
            404,
            "NoSuchSchema",
        ),
        (format!("{plain}?uploadid=nope"), 404, "NoSuchUpload"),
    ] {
        let answer = server.post(&path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    let id = server.session(&format!(
        "{day}?uploads=&partition=ds='1'&create_partition=true&overwrite=true"
    ));
    let block = |rest: &str| format!("{day}?uploadid={id}&partition=ds=1{rest}");
    for (path, status, code) in [
        (block("&blockid=20000&arrow"), 400, "InvalidBlockID"),
        (block("&blockid=-1&arrow"), 400, "InvalidBlockID"),
        (block("&arrow"), 400, "InvalidBlockID"),
        (block("&blockid=0"), 400, "MalformedDataStream"),
        (
            block("&blockid=0&arrow&block_version=x"),
            400,
            "InvalidArgument",
        ),
        (
            format!("{day}?uploadid={id}&partition=ds=2&blockid=0&arrow"),
            400,
            "InvalidResourceSpec",
        ),
        (
            format!("{plain}?uploadid={id}&blockid=0&arrow"),
            400,
            "InvalidResourceSpec",
        ),
    ] {
        let answer = server.put(&path, "", &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    assert_eq!(
        server.put(&block("&blockid=19999&arrow"), "", &body).status,
        200
    );
    server.restart().await;
    assert_eq!(server.blocks(&block("")), [(19_999, 3)]);
    // Asked twice, a commit says the same; then the session takes nothing more.
    for _ in 0..2 {
        let committed = server.post(&block(""));
        assert_eq!(
            (committed.status, committed.json()["Status"].as_str()),
            (200, Some("closed"))
        );
        assert_eq!(committed.json()["IsOverwrite"], true);
    }
    assert_eq!(server.count("day"), "3");
    let late = server.put(&block("&blockid=1&arrow"), "", &body);
    assert_eq!((late.status, late.code().as_str()), (409, "StatusConflict"));

    let stale = server.session(&format!("{plain}?uploads"));
    server.now_ms.fetch_add(24 * 3_600_000, Ordering::Relaxed);
    let path = format!("{plain}?uploadid={stale}");
    assert_eq!(server.get(&path).json()["Status"], "expired");
    assert_eq!(server.post(&path).code(), "StatusConflict");
    // A table that is created anew is another table.
    let session = server.session(&format!("{plain}?uploads"));
    server.ddl("drop table plain");
    server.ddl("create table plain (a bigint, b string)");
    assert_eq!(
        server.post(&format!("{plain}?uploadid={session}")).code(),
        "NoSuchUpload"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_kept_over_a_restart_and_a_download_reads_one_moment() {
    let mut server = Server::start().await;
    server.ddl("create table t (a bigint, b string)");
    let base = "/projects/prj/tables/t";
    let load = |server: &Server, overwrite: &str| {
        let id = server.session(&format!("{base}?uploads{overwrite}"));
        let body = fixture("arrow_multi_batch.bin");
        assert_eq!(
            server
                .put(&format!("{base}?uploadid={id}&blockid=0&arrow"), "", &body)
                .status,
            200
        );
        assert_eq!(server.post(&format!("{base}?uploadid={id}")).status, 200);
    };
    load(&server, "");
    let download = server.post(&format!("{base}?downloads")).json();
    assert_eq!(download["RecordCount"], 3);
    let id = download["DownloadID"].as_str().unwrap();
    load(&server, "&overwrite=true");
    load(&server, "");
    server.restart().await;
    assert_eq!(server.count("t"), "6");
    let data = |rest: &str| format!("{base}?downloadid={id}&data&{rest}");
    let records = server.get(&data("rowrange=(0,3)"));
    assert_eq!(
        (records.status, records.header("content-encoding")),
        (200, None)
    );
    assert!(
        records.body.starts_with(&[0x08, 0x02, 0x12, 0x01, b'a']),
        "{:?}",
        records.body
    );
    // Columns are numbered as they were asked for.
    let swapped = server.get(&data("rowrange=(0,1)&columns=b,A"));
    assert!(
        swapped.body.starts_with(&[0x0a, 0x01, b'a', 0x10, 0x02]),
        "{:?}",
        swapped.body
    );
    let past_end = server.get(&data("rowrange=(7,3)"));
    assert_eq!(
        past_end.body,
        [0xf0, 0xff, 0xff, 0x7f, 0x00, 0xf8, 0xff, 0xff, 0x7f, 0x00]
    );
    for (rest, code) in [
        ("rowrange=3", "InvalidRowRange"),
        ("rowrange=(0,-1)", "InvalidRowRange"),
        ("rowrange=(0,1)&columns=z", "InvalidColumnSpec"),
    ] {
        assert_eq!(server.get(&data(rest)).code(), code, "{rest}");
    }
    let deflated = server.request(
        "GET",
        &data("rowrange=(0,3)"),
        "Accept-Encoding: deflate\r\n",
        b"",
    );
    assert_eq!(deflated.header("content-encoding"), Some("deflate"));
    let mut plain = Vec::new();
    flate2::read::ZlibDecoder::new(deflated.body.as_slice())
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, records.body);
    assert_eq!(
        server.get(&format!("{base}?downloadid=nope")).code(),
        "NoSuchDownload"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn metadata_has_what_clients_insist_on() {
    let server = Server::start().await;
    server.ddl("create table t (a bigint comment '<&>') partitioned by (ds string, hh string)");
    server.ddl("alter table t add partition (ds='1', hh='2') partition (ds='1', hh='3') partition (ds='2', hh='2')");
    let project = server.get("/api/projects/PRJ");
    for header in [
        "x-odps-owner",
        "x-odps-creation-time",
        "last-modified",
        "x-odps-request-id",
    ] {
        assert!(project.header(header).is_some(), "{header}");
    }
    assert!(project.text().contains("<Properties>"));
    assert_eq!(
        server.get("/api/projects/prj/tunnel?service").text(),
        "the.host:81"
    );
    assert_eq!(server.put("/api/projects/prj/logs", "", b"x").status, 200);
    assert_eq!(
        server.get("/api/tenants").json()["Tenant"]["Parameters"],
        serde_json::json!({})
    );
    let table = server.get("/api/projects/prj/tables/T?extended").text();
    for part in [
        "\"Reserved\"",
        "<CreationTime>Mon, 02 Mar 2026 03:04:05 GMT</CreationTime>",
        "\"comment\":\"<&>\"",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let missing = server.get("/api/projects/prj/tables/none");
    assert_eq!(missing.status, 404);
    for part in [
        "<Code>NoSuchTable</Code>",
        "<Message>",
        "<RequestId>2",
        "<HostId>the.host:81</HostId>",
    ] {
        assert!(missing.text().contains(part), "{part}");
    }
    let page = server
        .get("/api/projects/prj/tables/t?partitions&expectmarker=true&maxitems=2")
        .text();
    assert!(
        page.contains("<Marker>2</Marker>") && page.matches("<Partition>").count() == 2,
        "{page}"
    );
    let rest = server
        .get("/api/projects/prj/tables/t?partitions&marker=2&maxitems=2")
        .text();
    assert!(
        rest.contains("<Marker/>") && rest.contains("<Column Name=\"ds\" Value=\"2\"/>"),
        "{rest}"
    );
    let named = server
        .get("/api/projects/prj/tables/t?partitions&name&partition=ds=%271%27")
        .text();
    assert!(
        named.contains("<Name>ds=1/hh=2</Name>") && !named.contains("ds=2"),
        "{named}"
    );
    let one = "/api/projects/prj/tables/t?partition=ds%3D%271%27%2Chh%3D%272%27";
    assert_eq!(server.get(one).status, 200);
    assert!(
        server
            .get(&one.replace("%272", "%279"))
            .text()
            .contains("NoSuchPartition")
    );
    assert!(
        server
            .get("/api/projects/prj/tables?expectmarker=true")
            .text()
            .contains("<Marker/>")
    );
    assert!(
        server
            .get("/api/projects/prj/schemas")
            .text()
            .contains("<Name>default</Name>")
    );
    assert_eq!(server.get("/nowhere").status, 400);
    assert_eq!(
        server
            .request("DELETE", "/api/projects/prj/tables/t", "", b"")
            .status,
        405
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_answer_what_they_are_asked() {
    let server = Server::start().await;
    let (status, text) = server.sql("select 'a\"b' x, null y, 1.5 z");
    assert_eq!(
        (status.as_str(), text.as_str()),
        ("Success", "\"x\",\"y\",\"z\"\n\"a\"\"b\",\\N,\"1.5\"\n")
    );
    let (status, text) = server.sql("select * from nowhere");
    assert_eq!(status, "Failed");
    assert_eq!(
        text,
        "ODPS-0130131:[1,15] Table not found - table prj.nowhere cannot be resolved"
    );
    assert_eq!(
        server
            .get("/api/projects/prj/instances/nope?taskstatus")
            .status,
        404
    );
    assert_eq!(server.post("/api/projects/prj/instances").status, 400);
    let path = "/projects/prj/instances/nope?downloads";
    assert_eq!(server.post(path).code(), "NoSuchObject");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_can_be_stopped() {
    let server = Server::start().await;
    server.ddl("create table t (a bigint, b string)");
    let base = "/projects/prj/tables/t";
    let id = server.session(&format!("{base}?uploads"));
    let body = fixture("arrow_multi_batch.bin");
    for block in 0..40 {
        assert_eq!(
            server
                .put(
                    &format!("{base}?uploadid={id}&blockid={block}&arrow"),
                    "",
                    &body
                )
                .status,
            200
        );
    }
    assert_eq!(server.post(&format!("{base}?uploadid={id}")).status, 200);
    // 120^6 rows: it never ends by itself.
    let job = "<Instance><Job><Tasks><SQL><Name>T</Name><Query>select count(a.a + b.a + c.a + d.a + e.a + f.a) \
        from t a cross join t b cross join t c cross join t d cross join t e cross join t f</Query></SQL></Tasks></Job></Instance>";
    let submitted = server.request("POST", "/api/projects/prj/instances", "", job.as_bytes());
    let location = submitted.header("location").unwrap();
    let path = location.split_once("the.host:81").unwrap().1.to_owned();
    assert!(server.get(&path).text().contains("Running"));
    let stop = b"<Instance><Status>Terminated</Status></Instance>";
    assert_eq!(server.put(&path, "", stop).status, 200);
    assert!(
        server
            .get(&format!("{path}?taskstatus"))
            .text()
            .contains("<Status>Cancelled</Status>")
    );
    // Stopping the server waits for statements: this one must have been interrupted.
    server.running.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_signatures_are_let_in() {
    let folder = TempDir::new().unwrap();
    let credential = Credential {
        access_id: "id".to_owned(),
        secret: "secret".to_owned(),
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
    server.stop().await;
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
