//! A topic and a table on the embedded servers, and what is timed between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use engine::local::{LocalKafka, LocalKafkaConfig, LocalMaxCompute, LocalMaxComputeConfig};
use engine::{Cancel, Engine, LoadOptions, Progress, Sql, StateFolder};
use engine_kafka::{Producer, Reader, Settings, create_topic};
use engine_load::MemoryShares;
use engine_model::job::Job;
use engine_model::limits::{BLOCK_BYTES_TARGET, BLOCK_ROWS_MAX, MEMORY_BYTES_DEFAULT};
use engine_model::{MessageBlock, OffsetRange, RunReport, TopicPartition};

use crate::Result;
use crate::blocks::PROJECT;
use crate::fields::MappedFields;
use crate::poll::poll;
use crate::process::{Serving, serve_until_closed};
use crate::stage::{DAY_START_MS, Place, job};

/// Topic partitions of a topic; a message goes to the one of its number modulo this.
pub const PARTITIONS: usize = 4;

const FREE_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The argument that makes a bench program a server: [`serve`].
pub const SERVE: &str = "--serve";

/// The embedded servers in a process of their own.
#[derive(Debug)]
pub struct Servers {
    serving: Serving,
    /// The broker's address.
    pub brokers: String,
    /// MaxCompute's endpoint.
    pub endpoint: String,
}

impl Servers {
    /// Runs this very program again as `… --serve FOLDER`, which must call [`serve`].
    pub fn spawn(folder: &Path) -> Result<Self> {
        let serving = Serving::spawn(&[SERVE, &folder.to_string_lossy()])?;
        let (brokers, endpoint) = serving
            .line
            .split_once(' ')
            .ok_or("the servers did not start")?;
        let (brokers, endpoint) = (brokers.to_owned(), endpoint.to_owned());
        Ok(Self {
            serving,
            brokers,
            endpoint,
        })
    }

    /// The id of their process.
    pub fn process(&self) -> u32 {
        self.serving.process()
    }
}

/// Starts both servers with their data in `folder`.
pub fn start(folder: &Path) -> Result<(LocalKafka, LocalMaxCompute)> {
    let kafka = LocalKafka::start(LocalKafkaConfig {
        data: folder.to_owned(),
        listen: FREE_PORT,
        advertised_host: None,
    })?;
    Ok((kafka, start_maxcompute(folder)?))
}

/// Starts the MaxCompute-compatible server with its data in `folder`; it takes any access key.
pub fn start_maxcompute(folder: &Path) -> Result<LocalMaxCompute> {
    Ok(LocalMaxCompute::start(LocalMaxComputeConfig {
        data: folder.to_owned(),
        listen: FREE_PORT,
        project: PROJECT.to_owned(),
        credentials: Vec::new(),
    })?)
}

/// Runs both servers until the standard input ends, and says in a line on the standard output where they are.
pub fn serve(folder: &Path) -> Result<()> {
    let (kafka, maxcompute) = start(folder)?;
    serve_until_closed(&format!("{} {}", kafka.brokers(), maxcompute.endpoint()))?;
    kafka.shutdown();
    maxcompute.shutdown();
    Ok(())
}

/// Makes the topic and the table `place.name`, and sends `payloads`, stamped in the first moments of the day.
pub fn fill(place: &Place, fields: &MappedFields, payloads: &[Vec<u8>]) -> Result<()> {
    fill_at(place, fields, payloads, DAY_START_MS..)
}

/// The same with these message timestamps, in ms since the epoch.
pub fn fill_at(
    place: &Place,
    fields: &MappedFields,
    payloads: &[Vec<u8>],
    timestamps_ms: impl IntoIterator<Item = i64>,
) -> Result<()> {
    create_topic(&place.brokers, &place.name, i32::try_from(PARTITIONS)?)?;
    let producer = Producer::new(&place.brokers)?;
    let partitions = partitions(place);
    for ((timestamp_ms, payload), to) in timestamps_ms
        .into_iter()
        .zip(payloads)
        .zip(partitions.iter().cycle())
    {
        producer.send(to, timestamp_ms, "", Some(payload))?;
    }
    producer.finish()?;
    let connection = job(fields, place)?.destination.connection;
    Sql::new(&connection)?.execute(&fields.create_table(&place.name))?;
    Ok(())
}

fn partitions(place: &Place) -> Vec<TopicPartition> {
    let numbers = (0..).take(PARTITIONS);
    numbers
        .map(|number| TopicPartition::new(place.name.as_str(), number))
        .collect()
}

/// A topic that was [filled](fill), and the table of the same name.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The job that loads all of it.
    pub job: Job,
    /// Messages in all.
    pub messages: usize,
    lanes: usize,
    /// What is to be read in each topic partition.
    ranges: Vec<(TopicPartition, OffsetRange)>,
}

impl Topic {
    /// The topic of `place` with `messages` messages.
    pub fn new(place: &Place, fields: &MappedFields, messages: usize) -> Result<Self> {
        let ranges = (0..).zip(partitions(place)).map(|(number, partition)| {
            let end = messages.saturating_sub(number).div_ceil(PARTITIONS);
            let end = i64::try_from(end).unwrap_or(i64::MAX);
            (partition, OffsetRange { start: 0, end })
        });
        Ok(Self {
            job: job(fields, place)?,
            messages,
            lanes: place.lanes,
            ranges: ranges.collect(),
        })
    }

    /// Reads the topic as the engine's lanes do, a thread and a reader each, and forgets it.
    ///
    /// # Errors
    ///
    /// Those of the reader, or a message went missing.
    pub fn consume(&self) -> Result<()> {
        let shares = MemoryShares::new(MEMORY_BYTES_DEFAULT, self.lanes);
        let settings = Settings::new(&self.job.source.brokers, [("", ""); 0])?;
        self.in_lanes(|ranges| read(&settings, shares.fetch_bytes_per_lane, ranges))
    }

    /// Reads the topic by polling, with as many threads, and forgets it.
    ///
    /// # Errors
    ///
    /// Those of the consumers, or a message went missing.
    pub fn poll(&self) -> Result<()> {
        let brokers = self.job.source.brokers.join(",");
        self.in_lanes(|ranges| poll(&brokers, ranges))
    }

    /// Reads the topic's ranges, shared by a thread for each lane, and checks how many messages these saw.
    fn in_lanes(
        &self,
        read: impl Fn(&mut dyn Iterator<Item = &(TopicPartition, OffsetRange)>) -> Result<usize> + Sync,
    ) -> Result<()> {
        let read = &read;
        let messages = thread::scope(|scope| {
            let lanes: Vec<_> = (0..self.lanes)
                .map(|lane| {
                    let mut ranges = self.ranges.iter().skip(lane).step_by(self.lanes);
                    let name = format!("consumer {lane}");
                    thread::Builder::new()
                        .name(name)
                        .spawn_scoped(scope, move || read(&mut ranges))
                })
                .collect();
            let ended = lanes
                .into_iter()
                .map(|lane| lane?.join().map_err(|_| "a consumer panicked")?);
            ended.sum::<Result<usize>>()
        })?;
        if messages != self.messages {
            return Err(format!("{messages} of {} messages were read", self.messages).into());
        }
        Ok(())
    }

    /// Loads the topic into the table, in place of what is there.
    ///
    /// # Errors
    ///
    /// Those of the load, or a row went missing.
    pub fn load(&self) -> Result<RunReport> {
        let folder = tempfile::tempdir()?;
        let state = StateFolder::open(folder.path().to_owned())?;
        let engine = Engine::new(self.lanes)?;
        let (progress, cancel) = (Progress::default(), Cancel::default());
        let report = engine.run(
            std::slice::from_ref(&self.job),
            &state,
            &LoadOptions::default(),
            &progress,
            &cancel,
        )?;
        let rows: u64 = report.windows.iter().map(|window| window.rows).sum();
        if rows != self.messages as u64 {
            return Err(format!("{} messages became {rows} rows", self.messages).into());
        }
        Ok(report)
    }
}

fn read<'a>(
    settings: &Settings,
    fetch_bytes: usize,
    ranges: impl Iterator<Item = &'a (TopicPartition, OffsetRange)>,
) -> Result<usize> {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let mut reader = Reader::new(settings, fetch_bytes)?;
    let mut block = MessageBlock::default();
    let mut messages = 0;
    for (partition, range) in ranges {
        reader.open(partition, *range)?;
        loop {
            block.clear();
            let progress = reader.read(&mut block, BLOCK_ROWS_MAX, BLOCK_BYTES_TARGET, TIMEOUT)?;
            messages += block.len();
            if progress.done {
                break;
            }
        }
    }
    Ok(messages)
}
