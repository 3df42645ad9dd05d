//! Every way once on a few messages: do ours and the rival give the same?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use engine_model::job::Validation;
use engine_tunnel::wire::frame;

use crate::arguments::Arguments;
use crate::decode::{Blocks, arrow_json, engine, nested_rows, rows, serde_json};
use crate::end_to_end::{Set, Topic, days, fill, start};
use crate::fields::{COUNTS, MappedFields};
use crate::measure::Contest;
use crate::memory::Table;
use crate::messages::{Kind, payloads, payloads_of_file};
use crate::stage::{DAY_START_MS, Place, plain};
use crate::upload::{plain_stream, tunnel_body};
use crate::{backfill, process, stage};

/// More than one block of each kind.
const BYTES: usize = 2_500_000;

fn decoded(fields: &MappedFields, blocks: &Blocks) -> Vec<RecordBatch> {
    let [full, mapped] = [Validation::Full, Validation::Mapped].map(|validation| {
        let mut batches = Vec::new();
        let projection = fields.validated(validation).unwrap();
        engine(blocks, &projection, |batch| batches.push(batch)).unwrap();
        batches
    });
    assert!(full == mapped, "the two validations differ");
    full
}

fn twelve(kind: Kind) -> (MappedFields, Blocks) {
    (
        MappedFields::of(kind, 12).unwrap(),
        Blocks::new(&payloads(kind, BYTES), DAY_START_MS),
    )
}

/// Whether two cells are equal, or floats that are neighbours: without its feature `float_roundtrip`, `serde_json` misses
/// the nearest one now and then.
fn nearly(a: Option<&str>, b: Option<&str>) -> bool {
    let float = |cell: Option<&str>| cell.and_then(|cell| cell.parse::<f64>().ok());
    let neighbours = || Some((float(a)? - float(b)?).abs() <= f64::EPSILON * float(a)?.abs());
    a == b || neighbours() == Some(true)
}

#[test]
fn three_decoders_give_the_same_rows() {
    for kind in Kind::ALL {
        let blocks = Blocks::new(&payloads(kind, BYTES), 0);
        assert!(blocks.blocks.len() > 2, "{kind:?}");
        for count in COUNTS {
            let fields = MappedFields::of(kind, count).unwrap();
            assert_eq!(fields.fields.len(), count);
            let ours = rows(&decoded(&fields, &blocks));
            assert_eq!(ours.len(), blocks.messages);
            let (mut nested, mut flat) = (Vec::new(), Vec::new());
            let schema = Arc::new(fields.nested_schema());
            arrow_json(&blocks, &schema, |batch| nested.push(batch)).unwrap();
            let schema = fields.projection().unwrap().schema();
            serde_json(&blocks, &fields, &schema, |batch| flat.push(batch)).unwrap();
            let flat = rows(&flat);
            assert!(
                ours == nested_rows(&nested, &fields),
                "{kind:?} {count}: arrow-json differs"
            );
            assert_eq!(ours.len(), flat.len());
            for (ours, theirs) in ours.iter().flatten().zip(flat.iter().flatten()) {
                assert!(
                    nearly(ours.as_deref(), theirs.as_deref()),
                    "{kind:?} {count}: {ours:?} {theirs:?}"
                );
            }
        }
    }
}

#[test]
fn every_known_field_leads_to_values() {
    for (kind, absent) in [(Kind::Small, 18), (Kind::Orders, 1), (Kind::Tweets, 0)] {
        let fields = MappedFields::of(kind, 30).unwrap();
        let batches = decoded(&fields, &Blocks::new(&payloads(kind, BYTES), 0));
        let all = concat_batches(&batches[0].schema(), &batches).unwrap();
        let empty = all
            .columns()
            .iter()
            .filter(|column| column.null_count() == all.num_rows());
        assert_eq!(empty.count(), absent, "{kind:?}");
    }
}

#[test]
fn messages_have_their_size_and_come_again() {
    for (kind, sizes) in [
        (Kind::Small, 180..260),
        (Kind::Orders, 650..1_000),
        (Kind::Tweets, 2_500..5_000),
    ] {
        let messages = payloads(kind, 500_000);
        let mean = messages.iter().map(Vec::len).sum::<usize>() / messages.len();
        assert!(sizes.contains(&mean), "{kind:?} {mean}");
        assert_eq!(messages, payloads(kind, 500_000));
    }
}

#[test]
fn tweets_of_a_file_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("tweets.json");
    std::fs::write(
        &path,
        r#"{"statuses": [ {"id": 1.0}, {"id" :2} ], "more": []}"#,
    )
    .unwrap();
    let payloads = payloads_of_file(&path, 25).unwrap();
    assert_eq!(
        payloads,
        [&br#"{"id": 1.0}"#[..], br#"{"id" :2}"#, br#"{"id": 1.0}"#]
    );
}

#[test]
fn staged_rows_are_those_of_the_plain_writer() {
    let folder = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let (fields, blocks) = twelve(kind);
        let blocks = Arc::new(blocks);
        let batches = decoded(&fields, &blocks);
        let table = Table::new(fields.table(), true);
        let report = stage::engine(&blocks, &fields, &table, folder.path()).unwrap();
        assert!(report.steps.stage.bytes > 0);
        assert!(rows(&table.batches()) == rows(&batches), "{kind:?}");
        let plain = plain(&batches, folder.path()).unwrap();
        assert_eq!((plain.rows, plain.bytes > 0), (blocks.messages, true));
    }
}

#[test]
fn the_tunnel_body_holds_what_the_plain_stream_holds() {
    for kind in Kind::ALL {
        let (fields, blocks) = twelve(kind);
        let batches = decoded(&fields, &blocks);
        let schema = batches[0].schema();
        let (mut body, mut stream, mut head) = (Vec::new(), Vec::new(), Vec::new());
        tunnel_body(&schema, &batches, |piece| body.extend_from_slice(piece)).unwrap();
        plain_stream(&schema, &batches, |piece| stream.extend_from_slice(piece)).unwrap();
        plain_stream(&schema, &[], |piece| head.extend_from_slice(piece)).unwrap();

        let end = head.split_off(head.len() - 8);
        let messages = frame::decode(&body).unwrap();
        assert!([head, messages, end].concat() == stream, "{kind:?}");
        let read: Vec<_> = StreamReader::try_new(&*stream, None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(read == batches, "{kind:?}");
    }
}

#[test]
fn a_topic_is_consumed_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let (kafka, maxcompute) = start(folder.path()).unwrap();
    for set in [Set::of(Kind::Small), Set::ALL[3]] {
        let place = Place {
            brokers: kafka.brokers(),
            endpoint: maxcompute.endpoint(),
            tunnel_endpoint: None,
            name: set.name(),
            partitions: 4,
            lanes: 2,
        };
        let payloads = payloads(set.kind, 300_000);
        let fields = set.fields().unwrap();
        fill(&place, &fields, days(&payloads, &[1, 2])).unwrap();
        let messages = payloads.len();
        let topic = Topic::new(&place, &fields, 0, 0..messages).unwrap();
        topic.poll().unwrap();
        topic.consume().unwrap();
        for consumers in 1..3 {
            let part = topic.first_partition(consumers);
            assert_eq!(part.messages, messages.div_ceil(4));
            part.consume().unwrap();
        }
        let larger = Topic::new(&place, &fields, 1, messages..3 * messages).unwrap();
        larger.consume().unwrap();
        larger.load().unwrap();
        for _ in 0..2 {
            topic.load().unwrap();
        }
        let sql = engine::Sql::new(&topic.job.destination.connection).unwrap();
        for (date, rows) in [("20261122", messages), ("20261123", 2 * messages)] {
            let statement = format!("SELECT COUNT(*) FROM {} WHERE ds = '{date}';", place.name);
            let counted = sql.execute(&statement).unwrap();
            assert_eq!(counted.rows, [[Some(rows.to_string())]]);
        }
    }
    kafka.shutdown();
    maxcompute.shutdown();
}

#[test]
fn days_are_loaded_together_and_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let (kafka, maxcompute) = start(folder.path()).unwrap();
    let place = Place {
        brokers: kafka.brokers(),
        endpoint: maxcompute.endpoint(),
        tunnel_endpoint: None,
        name: "days".to_owned(),
        partitions: 4,
        lanes: 2,
    };
    let payloads = payloads(Kind::Orders, 300_000);
    let fields = MappedFields::of(Kind::Orders, 12).unwrap();
    backfill::fill(&place, &fields, &payloads, &[1, 1, 10]).unwrap();
    let load = |days: std::ops::Range<usize>| {
        let state = tempfile::tempdir().unwrap();
        let report = backfill::load(&place, &fields, state.path(), days).unwrap();
        report
            .windows
            .iter()
            .map(|window| window.rows)
            .collect::<Vec<_>>()
    };
    let together = load(0..31);
    assert_eq!(together.iter().sum::<u64>(), payloads.len() as u64);
    assert!(together[2] > 9 * together[1], "{together:?}");
    assert_eq!(together[3..], [0; 28]);
    for day in 0..3 {
        assert_eq!(load(day..day + 1), together[day..=day]);
    }
    kafka.shutdown();
    maxcompute.shutdown();
}

#[test]
fn a_contest_counts_what_each_way_takes() {
    let of = |ms: u64| move || Ok(Duration::from_millis(ms));
    let outcome = Contest::new("two", 6_000_000)
        .timed("ours", of(20))
        .timed("theirs", of(60))
        .run(5)
        .unwrap();
    assert_eq!(
        outcome.head("what"),
        "| what | ours, MB/s | theirs, MB/s | ÷ theirs |\n|---|---|---|---|"
    );
    assert_eq!(outcome.line(), "| two | 300 | 100 | 3.00 |");
    let outcome = Contest::new("three", 6_000_000)
        .timed("quick", of(10))
        .timed("thorough", of(20))
        .ours(2)
        .timed("theirs", of(60))
        .run(5)
        .unwrap();
    assert_eq!(
        outcome.head("what"),
        "| what | quick, MB/s | thorough, MB/s | theirs, MB/s | quick ÷ theirs | thorough ÷ theirs |\n\
         |---|---|---|---|---|---|"
    );
    assert_eq!(outcome.line(), "| three | 600 | 300 | 100 | 6.00 | 3.00 |");
}

#[test]
fn a_process_tells_what_it_took() {
    let (memory, started) = (vec![1_u8; 64 << 20], process::thread_cpu());
    assert!(process::peak_bytes().unwrap() >= 64 << 20);
    assert_eq!(
        memory.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
        64 << 20
    );
    assert!(process::thread_cpu() > started);
    assert!(process::cpu(std::process::id()).unwrap() > Duration::ZERO);
}

#[test]
fn arguments_are_read_or_named() {
    let read = |line: &str| Arguments::read(line.split_whitespace().map(str::to_owned), 16, 7);
    let arguments = read("--megabytes 1 --bench --tweets some.json").unwrap();
    assert_eq!((arguments.megabytes, arguments.repetitions), (1, 7));
    assert_eq!(arguments.tweets, Some("some.json".into()));
    assert!(arguments.payloads(Kind::Small).unwrap().len() > 3_000);
    for (line, error) in [
        (
            "--megabyte 1",
            "\"--megabyte\" is no argument; there are --megabytes N, --repetitions N, --tweets FILE",
        ),
        ("--repetitions 0", "\"0\" is no number from 1"),
        ("--tweets", "--tweets needs a value"),
    ] {
        assert_eq!(read(line).unwrap_err().to_string(), error);
    }
}
