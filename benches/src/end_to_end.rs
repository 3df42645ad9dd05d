//! A topic and a table on the embedded servers, and what is timed between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::process::Stdio;
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
use crate::messages::Kind;
use crate::poll::poll;
use crate::process::{Serving, serve_until_closed, this_program};
use crate::stage::{DAY_MS, DAY_START_MS, Place, job};

/// Fields of the mappings.
const FIELDS: usize = 12;

/// Messages, and what of them is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// The kind of message.
    pub kind: Kind,
    /// Whether the whole payload is loaded beside twelve of its fields.
    pub payload: bool,
}

impl Set {
    /// All sets, from the smallest messages.
    pub const ALL: [Self; 4] = [
        Self::of(Kind::Small),
        Self::of(Kind::Orders),
        Self::of(Kind::Tweets),
        Self {
            kind: Kind::Tweets,
            payload: true,
        },
    ];

    /// Twelve fields of a kind of message.
    pub const fn of(kind: Kind) -> Self {
        Self {
            kind,
            payload: false,
        }
    }

    /// The name in tables and arguments, and of the topic.
    pub fn name(self) -> String {
        let payload = if self.payload { "_and_payload" } else { "" };
        format!("{}{payload}", self.kind.name())
    }

    /// The set of this name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let set = Self::ALL.into_iter().find(|set| set.name() == name);
        Ok(set.ok_or(format!("{name:?} is no set of messages"))?)
    }

    /// What is loaded.
    pub fn fields(self) -> Result<MappedFields> {
        let fields = MappedFields::of(self.kind, FIELDS)?;
        Ok(if self.payload {
            fields.and_payload()
        } else {
            fields
        })
    }
}

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

    /// The topic and the table `name` on them.
    pub fn place(&self, name: &str, partitions: usize, lanes: usize) -> Place {
        Place {
            brokers: self.brokers.clone(),
            endpoint: self.endpoint.clone(),
            tunnel_endpoint: None,
            name: name.to_owned(),
            partitions,
            lanes,
        }
    }
}

/// Starts both servers with their data in `folder`.
pub fn start(folder: &Path) -> Result<(LocalKafka, LocalMaxCompute)> {
    Ok((start_kafka(folder)?, start_maxcompute(folder)?))
}

/// Starts the broker with its data in `folder`.
pub fn start_kafka(folder: &Path) -> Result<LocalKafka> {
    Ok(LocalKafka::start(LocalKafkaConfig {
        data: folder.to_owned(),
        listen: FREE_PORT,
        advertised_host: None,
    })?)
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

/// Makes the topic and the table `place.name`, and sends messages with these timestamps, in ms since the epoch, and payloads.
pub fn fill<'a>(
    place: &Place,
    fields: &MappedFields,
    messages: impl Iterator<Item = (i64, &'a Vec<u8>)>,
) -> Result<()> {
    fill_topic(&place.brokers, &place.name, place.partitions, messages)?;
    let connection = job(fields, place, 0)?.destination.connection;
    Sql::new(&connection)?.execute(&fields.create_table(&place.name))?;
    Ok(())
}

/// Makes a topic and sends such messages, to its topic partitions in turn.
pub fn fill_topic<'a>(
    brokers: &str,
    topic: &str,
    topic_partitions: usize,
    messages: impl Iterator<Item = (i64, &'a Vec<u8>)>,
) -> Result<()> {
    create_topic(brokers, topic, i32::try_from(topic_partitions)?)?;
    let producer = Producer::new(brokers)?;
    let partitions = partitions(topic, topic_partitions);
    for ((timestamp_ms, payload), to) in messages.zip(partitions.iter().cycle()) {
        producer.send(to, timestamp_ms, "", Some(payload))?;
    }
    Ok(producer.finish()?)
}

/// Days of messages, a millisecond apart: on each of them `payloads` so many times.
pub fn days<'a>(
    payloads: &'a [Vec<u8>],
    times: &'a [usize],
) -> impl Iterator<Item = (i64, &'a Vec<u8>)> {
    let starts = (0..).map(|day| DAY_START_MS + day * DAY_MS);
    starts.zip(times).flat_map(|(start_ms, times)| {
        let messages = payloads.iter().cycle().take(payloads.len() * times);
        (start_ms..).zip(messages)
    })
}

/// Runs this program again as `MODE PLACE …`, and returns what it printed.
///
/// # Errors
///
/// It failed; it has said why.
pub fn again(mode: &str, place: &Place, rest: &[String]) -> Result<String> {
    let output = this_program()?
        .args([mode, &serde_json::to_string(place)?])
        .args(rest)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{mode} {} failed: {}", place.name, output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn partitions(topic: &str, count: usize) -> Vec<TopicPartition> {
    let numbers = (0..).take(count);
    numbers
        .map(|number| TopicPartition::new(topic, number))
        .collect()
}

/// A day of a topic that was [filled](fill), and the table of the same name.
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
    /// Day number `day` of the topic of `place`, which has its messages of these numbers.
    pub fn new(
        place: &Place,
        fields: &MappedFields,
        day: usize,
        messages: Range<usize>,
    ) -> Result<Self> {
        let offset = |number: usize, partition: usize| {
            let offset = number.saturating_sub(partition).div_ceil(place.partitions);
            i64::try_from(offset).unwrap_or(i64::MAX)
        };
        let ranges =
            (0..)
                .zip(partitions(&place.name, place.partitions))
                .map(|(number, partition)| {
                    let start = offset(messages.start, number);
                    let end = offset(messages.end, number);
                    (partition, OffsetRange { start, end })
                });
        Ok(Self {
            job: job(fields, place, day)?,
            messages: messages.len(),
            lanes: place.lanes,
            ranges: ranges.collect(),
        })
    }

    /// The messages of its first topic partition alone, in a range for each of `consumers` lanes.
    #[must_use]
    pub fn first_partition(&self, consumers: usize) -> Self {
        let parts = i64::try_from(consumers).unwrap_or(1).max(1);
        let ranges = self.ranges.iter().take(1).flat_map(|(partition, range)| {
            let cut = |part: i64| range.start + (range.end - range.start) * part / parts;
            (0..parts).map(move |part| {
                let (start, end) = (cut(part), cut(part + 1));
                (partition.clone(), OffsetRange { start, end })
            })
        });
        let ranges: Vec<_> = ranges.collect();
        let messages = ranges.iter().map(|(_, range)| range.len()).sum::<u64>();
        Self {
            job: self.job.clone(),
            messages: usize::try_from(messages).unwrap_or(usize::MAX),
            lanes: consumers,
            ranges,
        }
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

/// Reads the messages of `ranges` with one of the engine's readers, and tells how many there were.
///
/// # Errors
///
/// Those of the reader.
pub fn read<'a>(
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
