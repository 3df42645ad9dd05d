use std::net::TcpListener;

use rdkafka::types::RDKafkaRespErr;

use super::*;
use crate::Client;
use crate::call::{FIRST_CONTACT, HOPELESS_PATIENCE};
use crate::testing::{CLOSED, Cluster, FIRST_MS, TOPIC, partition, range, settings_for};

const BUDGET: usize = 1 << 20;
const WAIT: Duration = Duration::from_secs(20);

fn reader(cluster: &Cluster) -> Reader {
    Reader::new(&cluster.settings(), BUDGET).unwrap()
}

/// Reads the open range to its end, with blocks of at most `rows` messages, and returns the offsets.
fn offsets(reader: &mut Reader, rows: usize) -> Vec<i64> {
    let mut offsets = Vec::new();
    let mut block = MessageBlock::default();
    loop {
        block.clear();
        let progress = reader.read(&mut block, rows, 1 << 20, WAIT).unwrap();
        assert!(block.len() <= rows);
        offsets.extend(block.iter().map(|message| message.offset));
        if progress.done {
            return offsets;
        }
        assert!(
            !block.is_empty(),
            "no progress within the time-out: {progress:?}"
        );
    }
}

fn opened(reader: &mut Reader, start: i64, end: i64) -> Vec<i64> {
    reader.open(&partition(0), range(start, end)).unwrap();
    offsets(reader, 1_000)
}

fn all(start: i64, end: i64) -> Vec<i64> {
    (start..end).collect()
}

#[test]
fn a_range_is_read_as_it_was_written() {
    let cluster = Cluster::with_messages(100);
    let mut reader = reader(&cluster);
    reader.open(&partition(0), range(10, 90)).unwrap();
    let mut block = MessageBlock::default();
    let progress = reader.read(&mut block, 1_000, 1 << 20, WAIT).unwrap();
    assert_eq!(
        progress,
        ReadProgress {
            position: 90,
            done: true
        }
    );
    assert_eq!(block.len(), 80);
    for (message, offset) in block.iter().zip(10..) {
        assert_eq!(message.offset, offset);
        assert_eq!(message.timestamp_ms, FIRST_MS + offset);
        assert_eq!(message.key, Some(format!("k{offset}").as_bytes()));
        assert_eq!(
            message.payload,
            Some(format!("payload {offset}").as_bytes())
        );
        assert!(message.headers.is_empty());
    }
}

#[test]
fn blocks_are_bounded_by_rows_and_by_bytes() {
    let cluster = Cluster::with_messages(50);
    let mut reader = reader(&cluster);
    reader.open(&partition(0), range(0, 50)).unwrap();
    assert_eq!(offsets(&mut reader, 7), all(0, 50));

    reader.open(&partition(0), range(0, 50)).unwrap();
    let mut block = MessageBlock::default();
    let progress = reader.read(&mut block, 1_000, 40, WAIT).unwrap();
    // A message such as `k0` and `payload 0` has 11 bytes: three fit, the fourth is kept.
    assert_eq!(block.len(), 3);
    assert_eq!(
        progress,
        ReadProgress {
            position: 3,
            done: false
        }
    );
    assert_eq!(offsets(&mut reader, 1_000), all(3, 50));
    assert_eq!(block.size(), 33);
}

#[test]
fn a_message_longer_than_a_block_gets_one_of_its_own() {
    let cluster = Cluster::with_messages(1);
    cluster.produce_one(0, None, Some(&[b'x'; 5_000]), &[]);
    cluster.produce_one(0, Some("end"), Some(b""), &[]);
    let mut reader = reader(&cluster);
    reader.open(&partition(0), range(0, 3)).unwrap();
    let mut sizes = Vec::new();
    loop {
        let mut block = MessageBlock::default();
        let progress = reader.read(&mut block, 1_000, 100, WAIT).unwrap();
        sizes.push((block.len(), block.size()));
        if progress.done {
            break;
        }
    }
    assert_eq!(sizes, [(1, 11), (1, 5_000), (1, 3)]);
}

#[test]
fn neighbouring_ranges_go_on_without_fetching_again() {
    let cluster = Cluster::with_one_batch(100);
    let mut reader = reader(&cluster);
    assert_eq!(opened(&mut reader, 0, 30), all(0, 30));
    assert_eq!(opened(&mut reader, 30, 31), all(30, 31));
    assert_eq!(opened(&mut reader, 31, 60), all(31, 60));
    assert_eq!(opened(&mut reader, 60, 100), all(60, 100));
    // With the broker gone nothing can be fetched again.
    let mut again = Reader::new(&cluster.settings(), BUDGET).unwrap();
    assert_eq!(opened(&mut again, 0, 50), all(0, 50));
    cluster.mock.broker_down(1).unwrap();
    assert_eq!(opened(&mut again, 50, 100), all(50, 100));
}

#[test]
fn a_message_beyond_the_end_waits_for_the_next_range() {
    let cluster = Cluster::with_one_batch(40);
    let mut reader = reader(&cluster);
    // The byte bound makes the reader hold offset 3; then the range ends before it.
    reader.open(&partition(0), range(0, 40)).unwrap();
    let mut block = MessageBlock::default();
    reader.read(&mut block, 1_000, 40, WAIT).unwrap();
    assert!(reader.holds_back());
    reader.open(&partition(0), range(3, 3)).unwrap();
    assert_eq!(offsets(&mut reader, 10), [0_i64; 0]);
    cluster.mock.broker_down(1).unwrap();
    assert_eq!(opened(&mut reader, 3, 5), [3, 4]);
    assert_eq!(opened(&mut reader, 5, 40), all(5, 40));
}

#[test]
fn ranges_that_do_not_follow_are_sought() {
    let cluster = Cluster::with_messages(300);
    cluster.produce(1, 0..50);
    let mut reader = reader(&cluster);
    // Forwards, backwards, over what was fetched ahead, and to the other topic partition and back.
    for (start, end) in [
        (100, 120),
        (0, 20),
        (119, 200),
        (250, 251),
        (20, 40),
        (40, 300),
    ] {
        assert_eq!(opened(&mut reader, start, end), all(start, end));
    }
    reader.open(&partition(1), range(10, 50)).unwrap();
    assert_eq!(offsets(&mut reader, 9), all(10, 50));
    assert_eq!(opened(&mut reader, 40, 60), all(40, 60));
}

#[test]
fn a_seek_in_the_middle_of_what_was_fetched_loses_and_repeats_nothing() {
    let cluster = Cluster::with_messages(2_000);
    let mut reader = reader(&cluster);
    let mut start = 1_234;
    for round in 0..60_i64 {
        // Any walk will do that jumps both ways.
        start = (start * 31 + round * 17) % 1_900;
        reader
            .open(&partition(0), range(start, start + 100))
            .unwrap();
        let mut block = MessageBlock::default();
        reader.read(&mut block, 5, 1 << 20, WAIT).unwrap();
        let read: Vec<i64> = block.iter().map(|message| message.offset).collect();
        assert_eq!(read, all(start, start + 5), "round {round}");
    }
}

#[test]
fn topic_partitions_that_were_left_are_read_again_without_a_gap() {
    let cluster = Cluster::with_messages(600);
    cluster.produce(1, 0..200);
    let mut reader = reader(&cluster);
    // What was fetched of either when it was left is far more than what was read of it.
    for turn in 0..20 {
        let start = turn * 30;
        assert_eq!(
            opened(&mut reader, start, start + 30),
            all(start, start + 30)
        );
        let other = range(turn * 10, turn * 10 + 10);
        reader.open(&partition(1), other).unwrap();
        assert_eq!(offsets(&mut reader, 3), all(other.start, other.end));
        assert_eq!(reader.left.len(), 1);
    }
}

#[test]
fn a_range_up_to_the_end_of_the_log_ends() {
    let cluster = Cluster::with_messages(20);
    let mut reader = reader(&cluster);
    assert_eq!(opened(&mut reader, 15, 20), all(15, 20));
    assert_eq!(opened(&mut reader, 20, 20), [0_i64; 0]);
}

#[test]
fn a_time_out_gives_what_is_there() {
    let cluster = Cluster::with_messages(5);
    let mut reader = reader(&cluster);
    reader.open(&partition(0), range(0, 5)).unwrap();
    let mut block = MessageBlock::default();
    let progress = reader
        .read(&mut block, 1_000, 1 << 20, Duration::ZERO)
        .unwrap();
    assert_eq!(
        progress,
        ReadProgress {
            position: 0,
            done: false
        }
    );
    assert_eq!(offsets(&mut reader, 10), all(0, 5));
}

#[test]
fn a_log_that_ends_before_the_range_is_an_error() {
    let cluster = Cluster::with_messages(10);
    let mut reader = reader(&cluster);
    reader.open(&partition(0), range(0, 15)).unwrap();
    let mut block = MessageBlock::default();
    let error = reader.read(&mut block, 1_000, 1 << 20, WAIT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert_eq!(
        (error.topic_partition(), error.offset()),
        (Some(&partition(0)), Some(10))
    );
    assert_eq!(
        error.to_string(),
        "orders[0]: the log ends at offset 10, before the end 15 of the range to read; it was cut off or made anew, \
         or a transaction is still open there: plan the window again"
    );
    // The reader is as good as new.
    assert_eq!(opened(&mut reader, 0, 10), all(0, 10));
}

#[test]
fn an_offset_outside_the_log_is_an_error_that_names_the_ends() {
    let cluster = Cluster::with_messages(10);
    let mut reader = reader(&cluster);
    reader.open(&partition(0), range(1_000, 1_010)).unwrap();
    let error = reader
        .read(&mut MessageBlock::default(), 10, 1 << 20, WAIT)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffsetOutOfRange);
    assert_eq!(error.offset(), Some(1_000));
    assert_eq!(
        error.to_string(),
        "orders[0]: offset 1000 lies beyond the log's end 10; plan the window again"
    );
    assert_eq!(opened(&mut reader, 0, 10), all(0, 10));
}

#[test]
fn what_does_not_exist_is_an_error() {
    let cluster = Cluster::with_messages(1);
    let mut reader = reader(&cluster);
    reader.open(&partition(7), range(0, 1)).unwrap();
    let error = reader
        .read(&mut MessageBlock::default(), 10, 1 << 20, WAIT)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownPartition, "{error}");
    assert!(error.to_string().contains("orders[7]"), "{error}");

    let bad = TopicPartition::new("no topic\0", 0);
    let error = reader.open(&bad, range(0, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
}

#[test]
fn reading_needs_an_open_range() {
    let cluster = Cluster::with_messages(1);
    let mut reader = reader(&cluster);
    let mut block = MessageBlock::default();
    let error = reader.read(&mut block, 1, 1, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
}

#[test]
fn headers_are_read_when_asked_for() {
    let cluster = Cluster::new();
    let headers = [("h", Some("1")), ("h", None), ("名", Some(""))];
    cluster.produce_one(0, None, Some(b"p"), &headers);
    cluster.produce_one(0, Some(""), None, &[]);

    let mut with = Reader::new(&cluster.settings().with_headers(true), BUDGET).unwrap();
    let block = with.read_some(&partition(0), range(0, 2), 10).unwrap();
    let messages: Vec<_> = block.iter().collect();
    let found: Vec<_> = messages[0].headers.iter().collect();
    let wanted: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.map(str::as_bytes)))
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(
        (messages[0].key, messages[0].payload),
        (None, Some(&b"p"[..]))
    );
    assert_eq!(
        (messages[1].key, messages[1].payload),
        (Some(&b""[..]), None)
    );
    assert!(messages[1].headers.is_empty());

    let mut without = reader(&cluster);
    let block = without.read_some(&partition(0), range(0, 2), 10).unwrap();
    assert!(block.iter().all(|message| message.headers.is_empty()));
}

#[test]
fn probes_read_no_more_than_they_are_asked_for() {
    let cluster = Cluster::with_messages(500);
    let mut reader = reader(&cluster);
    let block = reader.read_some(&partition(0), range(40, 500), 3).unwrap();
    let read: Vec<i64> = block.iter().map(|message| message.offset).collect();
    assert_eq!(read, [40, 41, 42]);
    let block = reader
        .read_some(&partition(0), range(498, 500), 30)
        .unwrap();
    assert_eq!(block.len(), 2);

    let bytes = reader.sample_message_bytes(&partition(0), range(0, 10), 1_000);
    assert_eq!(bytes.unwrap(), Some(11));
    // Of offsets 0 to 99: 20 digits for the first ten, 40 for each ten after them, and 9 bytes besides the digits.
    let bytes = reader.sample_message_bytes(&partition(0), range(0, 500), 1_000);
    assert_eq!(bytes.unwrap(), Some(13));
    let bytes = reader.sample_message_bytes(&partition(0), range(5, 5), 10);
    assert_eq!(bytes.unwrap(), None);
}

#[test]
fn what_a_broker_can_recover_from_is_no_error() {
    let cluster = Cluster::with_messages(30);
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    ];
    cluster
        .mock
        .request_errors(rdkafka::types::RDKafkaApiKey::Fetch, &errors);
    let mut reader = reader(&cluster);
    assert_eq!(opened(&mut reader, 0, 30), all(0, 30));
}

#[test]
fn a_wrong_address_is_named_with_the_cause() {
    let started = clock::now();
    let mut reader = Reader::new(&settings_for(CLOSED), BUDGET).unwrap();
    reader.open(&partition(0), range(0, 1)).unwrap();
    let mut block = MessageBlock::default();
    let error = reader.read(&mut block, 1, 1, WAIT).unwrap_err();
    assert!(started.elapsed() < FIRST_CONTACT);
    assert_eq!(error.kind(), ErrorKind::Connect);
    let text = error.to_string();
    assert!(text.starts_with("orders[0]: nothing came for "), "{text}");
    assert!(
        text.contains("cannot reach broker 127.0.0.1:1: connection refused; check the address"),
        "{text}"
    );
}

#[test]
fn a_broker_that_goes_silent_is_an_error_after_the_stall_time_out() {
    let cluster = Cluster::with_messages(10);
    let settings = cluster
        .settings()
        .with_stall_timeout(Duration::from_secs(2));
    let mut reader = Reader::new(&settings, BUDGET).unwrap();
    assert_eq!(opened(&mut reader, 0, 5), all(0, 5));
    cluster.mock.broker_down(1).unwrap();
    reader.open(&partition(1), range(0, 1)).unwrap();
    let mut block = MessageBlock::default();
    let error = reader.read(&mut block, 1, 1, WAIT).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("orders[1]: nothing came for 2 s at offset 0, before the range's end 1"),
        "{error}"
    );
}

#[test]
fn a_cluster_that_answered_once_gets_the_stall_time_out_from_each_reader() {
    let cluster = Cluster::with_messages(10);
    let address = cluster.mock.bootstrap_servers();
    let stall = HOPELESS_PATIENCE + Duration::from_secs(1);
    let settings = Settings::new([CLOSED, &address], [("", ""); 0])
        .unwrap()
        .with_stall_timeout(stall);
    Client::new(&settings).unwrap().topic(TOPIC).unwrap();
    cluster.mock.broker_down(1).unwrap();
    let mut reader = Reader::new(&settings, BUDGET).unwrap();
    reader.open(&partition(0), range(0, 1)).unwrap();
    let started = clock::now();
    let error = reader
        .read(&mut MessageBlock::default(), 1, 1, WAIT)
        .unwrap_err();
    assert!(started.elapsed() >= stall, "{error}");
}

#[test]
fn a_listener_that_says_nothing_is_an_error_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let settings = settings_for(&address).with_stall_timeout(Duration::from_secs(1));
    let mut reader = Reader::new(&settings, BUDGET).unwrap();
    reader.open(&partition(0), range(0, 1)).unwrap();
    let mut block = MessageBlock::default();
    let error = reader.read(&mut block, 1, 1, WAIT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains(&address), "{error}");
}
