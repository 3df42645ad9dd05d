//! Everything in one process: a topic of orders, a table, the daily job, and a comparison of every count with what was
//! produced.

mod orders;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use engine_kafka::{Producer, create_topic};
use engine_load::{Error, ErrorKind};
use engine_model::ddl::{DdlSpec, create_table};
use engine_model::job::{Job, JobSpec, Setting};
use engine_model::params::ScheduledTime;
use engine_model::{Column, ColumnType, RunReport, TopicPartition};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::local::{
    Credential, LOCAL_KAFKA_PORT, LOCAL_MAXCOMPUTE_PORT, LocalKafka, LocalKafkaConfig,
    LocalMaxCompute, LocalMaxComputeConfig,
};
use crate::sql::{QueryResult, Sql};
use orders::{Content, Order, WINDOW_END_MS, WINDOW_START_MS, orders};

/// The topic, and so the table.
const TOPIC: &str = "orders";
const PARTITIONS: i32 = 4;
const PROJECT: &str = "demo";
const ACCESS_ID: &str = "demo";
/// Only ever used between the demo's own client and server, on loopback.
const ACCESS_SECRET: &str = "demo-secret";
/// Where the job file takes the secret from.
pub const SECRET_VARIABLE: &str = "TIDEGATE_DEMO_SECRET";
/// The name of the job file in a folder that is kept.
pub const JOB_FILE: &str = "orders.yaml";
/// When the daily run of the job is due.
pub const SCHEDULED_TIME: &str = "2022-11-22T00:15:00";

/// A running demonstration.
#[derive(Debug)]
pub struct Demo {
    kafka: LocalKafka,
    maxcompute: LocalMaxCompute,
    produced: Produced,
}

/// What was sent to the topic.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Produced {
    /// Messages in all.
    pub messages: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// What lies in the window, by topic partition.
    pub window: BTreeMap<i32, InWindow>,
}

/// Messages of the window in one topic partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InWindow {
    /// Orders, which become rows.
    pub orders: u64,
    /// Messages that are cut short, which are rejected.
    pub malformed: u64,
    /// Messages without a payload, which become rows of NULL fields.
    pub tombstones: u64,
    /// What the orders amount to, in hundredths.
    pub cents: u64,
}

/// One count, from both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What is counted.
    pub what: String,
    /// What was sent.
    pub produced: String,
    /// What the ledger or the table says.
    pub found: String,
}

impl Comparison {
    fn new(what: impl Into<String>, produced: &impl ToString, found: &impl ToString) -> Self {
        Self {
            what: what.into(),
            produced: produced.to_string(),
            found: found.to_string(),
        }
    }

    /// Whether both sides agree.
    pub fn agrees(&self) -> bool {
        self.produced == self.found
    }
}

impl Demo {
    /// Starts both servers on free loopback ports; their data goes to `folder`.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let kafka = LocalKafka::start(LocalKafkaConfig {
            data: folder.to_owned(),
            listen: free_port,
            advertised_host: None,
        })?;
        let maxcompute = LocalMaxCompute::start(LocalMaxComputeConfig {
            data: folder.to_owned(),
            listen: free_port,
            project: PROJECT.to_owned(),
            credentials: vec![Credential {
                access_id: ACCESS_ID.to_owned(),
                secret: ACCESS_SECRET.to_owned(),
                security_token: None,
            }],
        })?;
        Ok(Self {
            kafka,
            maxcompute,
            produced: Produced::default(),
        })
    }

    /// The broker.
    pub fn kafka(&self) -> &LocalKafka {
        &self.kafka
    }

    /// The MaxCompute-compatible server.
    pub fn maxcompute(&self) -> &LocalMaxCompute {
        &self.maxcompute
    }

    /// Makes the topic and sends `count` messages to it.
    pub fn produce(&mut self, count: u64) -> Result<&Produced, Error> {
        let failed = |error: engine_kafka::Error| {
            Error::with_source(ErrorKind::Source, error.to_string(), error)
        };
        let brokers = self.kafka.brokers();
        create_topic(&brokers, TOPIC, PARTITIONS).map_err(failed)?;
        let producer = Producer::new(&brokers).map_err(failed)?;
        let topic_partitions: Vec<_> = (0..PARTITIONS)
            .map(|number| TopicPartition::new(TOPIC, number))
            .collect();
        for order in orders(count, PARTITIONS) {
            self.produced.count(&order);
            let to = topic_partitions
                .iter()
                .find(|to| to.partition == order.partition);
            if let Some(to) = to {
                let payload = order.payload.as_deref().map(str::as_bytes);
                producer
                    .send(to, order.timestamp_ms, &order.key, payload)
                    .map_err(failed)?;
            }
        }
        producer.finish().map_err(failed)?;
        Ok(&self.produced)
    }

    /// The statement that makes the table: the six default columns and the mapped fields.
    pub fn ddl() -> String {
        let mut spec = DdlSpec::for_topic(TOPIC);
        spec.columns.extend([
            Column::new("order_id", ColumnType::BigInt),
            Column::new("city", ColumnType::String),
            Column::new("first_sku", ColumnType::String),
            Column::new(
                "amount",
                ColumnType::Decimal {
                    precision: 18,
                    scale: 2,
                },
            ),
            Column::new("paid", ColumnType::Boolean),
            Column::new("weight_kg", ColumnType::Double),
            Column::new("ordered_at", ColumnType::DateTime),
        ]);
        create_table(&spec)
    }

    /// Makes the table.
    pub fn create_table(&self) -> Result<(), Error> {
        self.sql(&Self::ddl()).map(drop)
    }

    /// The job file of the demonstration, for servers at these addresses.
    pub fn job_file(brokers: &str, endpoint: &str) -> String {
        format!(
            r#"job: orders_daily
time_zone: Asia/Shanghai
source:
  kafka:
    brokers: ["{brokers}"]
    topic: {TOPIC}
window:
  start: ${{startTime}}
  end: ${{endTime}}
destination:
  maxcompute:
    endpoint: {endpoint}
    project: {PROJECT}
    access_id: {ACCESS_ID}
    access_secret: ${{env.{SECRET_VARIABLE}}}
    table: {TOPIC}
    partition: {{ ds: "${{partition}}" }}
columns:
  __key__: __key__
  __value__: __value__
  __partition__: __partition__
  __headers__: __headers__
  __offset__: __offset__
  __timestamp__: __timestamp__
  order_id: order.id
  city: user.address.city
  first_sku: items[0].sku
  amount: payment.amount
  paid: payment.paid
  weight_kg: weight_kg
  ordered_at: {{ from: order.ordered_at, format: epoch_ms }}
parameters:
  startTime: $[yyyymmdd-1]000000
  endTime: $[yyyymmdd]000000
  partition: $[yyyymmdd-1]
rejects: 0.1%
"#
        )
    }

    /// The job file for servers on their usual ports, which serve a folder that was kept.
    pub fn kept_job_file() -> String {
        let brokers = format!("127.0.0.1:{LOCAL_KAFKA_PORT}");
        let endpoint = format!("http://127.0.0.1:{LOCAL_MAXCOMPUTE_PORT}/api");
        Self::job_file(&brokers, &endpoint)
    }

    /// The job, checked, for the run that is due at 00:15 on 2022-11-22.
    pub fn job(&self) -> Result<Job, Error> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::new(
                ErrorKind::Job,
                format!("the demonstration's job file is wrong: {error}"),
            )
        };
        let text = Self::job_file(&self.kafka.brokers(), &self.maxcompute.endpoint());
        let spec = JobSpec::parse("orders.yaml", &text).map_err(|findings| failed(&findings))?;
        let zone = spec
            .time_zone(&TimeZone::UTC)
            .map_err(|findings| failed(&findings))?;
        let scheduled_time =
            ScheduledTime::parse(SCHEDULED_TIME, &zone).map_err(|error| failed(&error))?;
        let setting = Setting {
            scheduled_time: &scheduled_time,
            environment: None,
            sources: None,
            overrides: &[],
            env: &|name| (name == SECRET_VARIABLE).then(|| ACCESS_SECRET.to_owned()),
            default_time_zone: &TimeZone::UTC,
        };
        let checked = spec.check(&setting).map_err(|findings| failed(&findings))?;
        Ok(checked.job)
    }

    /// Runs a statement on the demonstration's project.
    pub fn sql(&self, statement: &str) -> Result<QueryResult, Error> {
        let job = self.job()?;
        Sql::new(&job.destination.connection)?.execute(statement)
    }

    /// The query that the demonstration ends with.
    pub fn query() -> &'static str {
        "SELECT city, COUNT(*) AS orders, SUM(amount) AS amount, MAX(weight_kg) AS heaviest FROM orders \
         WHERE ds = '20221121' AND city IS NOT NULL GROUP BY city ORDER BY orders DESC, city LIMIT 8"
    }

    /// Compares what was produced with the run's ledger and with the table itself. With `flip`, one row more is expected
    /// than was produced, which shows that the comparison can fail.
    pub fn compare(&self, report: &RunReport, flip: bool) -> Result<Vec<Comparison>, Error> {
        let mut comparisons = Vec::new();
        let mut total = InWindow::default();
        for (number, produced) in &self.produced.window {
            let entry = report
                .ledger
                .iter()
                .find(|entry| entry.topic_partition.partition == *number);
            let counts = entry
                .map(|entry| entry.counts.window(0))
                .unwrap_or_default();
            let mut compare = |what: &str, produced: u64, found: u64| {
                comparisons.push(Comparison::new(
                    format!("{what} of {TOPIC}[{number}]"),
                    &produced,
                    &found,
                ));
            };
            compare("rows", produced.orders + produced.tombstones, counts.rows);
            compare("tombstones", produced.tombstones, counts.tombstones_kept);
            compare("rejected messages", produced.malformed, counts.rejected);
            total.add(produced);
        }
        let rows = total.orders + total.tombstones + u64::from(flip);
        let counted = self.sql(
            "SELECT COUNT(*), COUNT(DISTINCT order_id), SUM(amount) FROM orders WHERE ds = 20221121",
        )?;
        let cell = |index: usize| {
            let first = counted.rows.first().and_then(|row| row.get(index)).cloned();
            first.flatten().unwrap_or_else(|| "nothing".to_owned())
        };
        let amount = format!("{}.{:02}", total.cents / 100, total.cents % 100);
        // A sum has more decimals than the column; they are zeros.
        let plain = |amount: &str| {
            amount
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        };
        comparisons.push(Comparison::new("rows in the table", &rows, &cell(0)));
        comparisons.push(Comparison::new(
            "different orders in the table",
            &total.orders,
            &cell(1),
        ));
        comparisons.push(Comparison::new(
            "amount of all orders in the table",
            &plain(&amount),
            &plain(&cell(2)),
        ));
        Ok(comparisons)
    }

    /// Stops the servers.
    pub fn shutdown(self) {
        self.kafka.shutdown();
        self.maxcompute.shutdown();
    }
}

impl Produced {
    fn count(&mut self, order: &Order) {
        self.messages += 1;
        self.payload_bytes += order
            .payload
            .as_ref()
            .map_or(0, |payload| payload.len() as u64);
        let window = self.window.entry(order.partition).or_default();
        if !(WINDOW_START_MS..WINDOW_END_MS).contains(&order.timestamp_ms) {
            return;
        }
        match order.content {
            Content::Order => {
                window.orders += 1;
                window.cents += order.cents;
            }
            Content::Malformed => window.malformed += 1,
            Content::Tombstone => window.tombstones += 1,
        }
    }
}

impl InWindow {
    fn add(&mut self, other: &Self) {
        self.orders += other.orders;
        self.malformed += other.malformed;
        self.tombstones += other.tombstones;
        self.cents += other.cents;
    }
}
