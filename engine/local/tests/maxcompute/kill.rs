//! A server that is killed while it commits has the old rows of a table partition or the new ones.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::{env, fs, thread};

use engine_local::maxcompute::{Config, MaxCompute};
use tempfile::TempDir;

use super::http::{call, json};

/// Names the data folder to the child process.
const FOLDER: &str = "TIDEGATE_TEST_FOLDER";
/// How often the server is killed.
const KILLS: usize = 30;
const BLOCKS: usize = 2;
/// Rows of a block.
const ROWS: usize = 500;

/// The child process: serves until it is killed.
#[test]
#[ignore = "the other test of this file starts it, in a process of its own"]
fn serve_until_killed() {
    let folder = env::var_os(FOLDER).expect("only that test says which folder");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = MaxCompute::start(Config::new(folder, "prj"));
    let server = runtime.block_on(server).unwrap();
    println!("\nlistening {}", server.address());
    loop {
        thread::park();
    }
}

fn start(folder: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::serve_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("listening ")?.parse().ok());
    (child, address.expect("the server ended before it listened"))
}

/// Rows of one BIGINT, all of the same value, as records.
fn rows(value: u64, count: usize) -> Vec<u8> {
    let varint = |mut value: u64| {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    };
    let crc = crc32c::crc32c_append(crc32c::crc32c(&1_u32.to_le_bytes()), &value.to_le_bytes());
    let mut row = vec![0x08];
    row.extend(varint(value << 1));
    row.extend([0x80, 0xc0, 0xff, 0x7f]);
    row.extend(varint(crc.into()));
    let mut bytes = row.repeat(count);
    bytes.extend([0xf0, 0xff, 0xff, 0x7f]);
    bytes.extend(varint(u64::try_from(count).unwrap() << 1));
    bytes.extend([0xf8, 0xff, 0xff, 0x7f]);
    bytes.extend(varint(
        crc32c::crc32c(&crc.to_le_bytes().repeat(count)).into(),
    ));
    bytes
}

/// Overwrites its table partition with ever greater values.
struct Writer {
    partition: String,
    /// The value whose commit was acknowledged.
    committed: u64,
    /// The next value with its session, whose commit may have been sent.
    under_way: Option<(u64, String)>,
}

impl Writer {
    fn session(&self, id: &str) -> String {
        format!("/projects/prj/tables/t?uploadid={id}&{}", self.partition)
    }

    /// Which value all rows have.
    fn stored(&self, address: SocketAddr) -> u64 {
        let base = format!("/projects/prj/tables/t?{}&", self.partition);
        let download = json(address, "POST", &format!("{base}downloads")).unwrap();
        let id = download["DownloadID"].as_str().unwrap();
        let all = ROWS * BLOCKS;
        assert_eq!(download["RecordCount"], all, "{}", self.partition);
        let path = format!("{base}downloadid={id}&data&rowrange=(0,{all})");
        let (_, body) = call(address, "GET", &path, b"").unwrap();
        let next = self.under_way.as_ref().map(|(value, _)| *value);
        let known = [Some(self.committed), next].into_iter().flatten();
        let mut known = known.filter(|value| body == rows(*value, all));
        known
            .next()
            .expect("the rows are neither the old ones nor the new ones")
    }

    /// Finds out what became of the session under way, and ends it.
    fn recover(&mut self, address: SocketAddr) {
        let stored = self.stored(address);
        let Some((value, id)) = self.under_way.clone() else {
            assert_eq!(stored, self.committed);
            return;
        };
        let status = json(address, "GET", &self.session(&id)).unwrap();
        let closed = status["Status"] == "closed";
        assert_eq!(stored, if closed { value } else { self.committed });
        self.finish(address).unwrap();
        assert_eq!(self.stored(address), value);
    }

    /// Uploads the session's blocks and commits it, as one that is resumed too.
    fn finish(&mut self, address: SocketAddr) -> io::Result<()> {
        let Some((value, id)) = self.under_way.clone() else {
            return Ok(());
        };
        let session = self.session(&id);
        if json(address, "GET", &session)?["Status"] == "normal" {
            for block in 0..BLOCKS {
                let path = format!("{session}&blockid={block}");
                let (status, _) = call(address, "PUT", &path, &rows(value, ROWS))?;
                assert_eq!(status, 200);
            }
        }
        assert_eq!(json(address, "POST", &session)?["Status"], "closed");
        (self.committed, self.under_way) = (value, None);
        Ok(())
    }

    /// Commits value after value until the server is gone. Tells before each commit.
    fn work(&mut self, address: SocketAddr, committing: &SyncSender<()>) -> io::Result<()> {
        loop {
            let create = format!(
                "/projects/prj/tables/t?uploads&overwrite=true&create_partition=true&{}",
                self.partition
            );
            let session = json(address, "POST", &create)?;
            let id = session["UploadID"].as_str().unwrap().to_owned();
            self.under_way = Some((self.committed + 1, id));
            // Nobody listens any more once the server is killed.
            committing.try_send(()).unwrap_or_default();
            self.finish(address)?;
        }
    }
}

/// Names of the files on disk.
fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder.join("files")).unwrap();
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    entries.map(name).collect()
}

/// Names of the files that the catalog refers to; a download session keeps those that it reads.
fn known_files(folder: &Path) -> BTreeSet<String> {
    let catalog = rusqlite::Connection::open(folder.join("catalog.sqlite")).unwrap();
    let mut statement = catalog
        .prepare(
            "SELECT name FROM files UNION SELECT name FROM download_files
             UNION SELECT file FROM blocks WHERE file IS NOT NULL",
        )
        .unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

fn create_table(address: SocketAddr) {
    let job = "<Instance><Job><Tasks><SQL><Name>T</Name><Query>create table t (a bigint) \
        partitioned by (ds string)</Query></SQL></Tasks></Job></Instance>";
    let path = "/api/projects/prj/instances";
    assert_eq!(call(address, "POST", path, job.as_bytes()).unwrap().0, 201);
    while call(address, "GET", "/api/projects/prj/tables/t", b"")
        .unwrap()
        .0
        != 200
    {
        thread::yield_now();
    }
}

#[test]
fn a_killed_server_has_old_rows_or_new_ones() {
    let folder = TempDir::new().unwrap();
    let mut writers: Vec<Writer> = ["partition=ds=a", "partition=ds=b"]
        .map(|partition| Writer {
            partition: partition.to_owned(),
            committed: 0,
            under_way: None,
        })
        .into();
    let mut commits = 0;
    for kill in 0..=KILLS {
        let (mut child, address) = start(folder.path());
        if kill == 0 {
            create_table(address);
        } else {
            for writer in &mut writers {
                writer.recover(address);
            }
            assert_eq!(
                files(folder.path()),
                known_files(folder.path()),
                "after {kill} kills"
            );
        }
        let (committing, commits_begin) = sync_channel(8);
        thread::scope(|scope| {
            for writer in &mut writers {
                let committing = committing.clone();
                let work = move || writer.work(address, &committing).unwrap_err();
                thread::Builder::new().spawn_scoped(scope, work).unwrap();
            }
            drop(committing);
            // Both have committed at least once where the first value must be there; then sooner and later.
            let until = if kill == 0 { 8 } else { 1 + kill % 5 };
            for _ in 0..until {
                commits_begin.recv().unwrap();
            }
            for _ in 0..kill * 20 {
                thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
        });
        commits += writers.iter().map(|writer| writer.committed).sum::<u64>();
    }
    assert!(commits > 0);
}
