//! The server over HTTP, spoken by hand: what official clients never send is tested here.

mod access;
mod downloads;
mod faults;
mod instances;
mod many;
mod metadata;
mod previews;
mod records;
mod uploads;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use super::{Clock, Config, Credential, Faults, MaxCompute};

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
