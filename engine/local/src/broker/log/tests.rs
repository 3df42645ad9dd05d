use std::fs;

use kafka_protocol::records::Compression;

use super::*;
use crate::broker::fixtures::{batch_from, batch_of};
use crate::broker::limits::BATCH_BYTES_DEFAULT;

fn append(log: &PartitionLog, timestamps: &[i64], compression: Compression) -> i64 {
    let incoming =
        IncomingBatch::check(batch_of(timestamps, compression), BATCH_BYTES_DEFAULT).unwrap();
    log.append(&incoming, TimestampType::Creation, || {
        unreachable!("create time")
    })
    .unwrap()
    .base_offset
}

fn open() -> (tempfile::TempDir, PartitionLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = PartitionLog::open(folder.path().join("0.log")).unwrap();
    (folder, log)
}

fn at(log: &PartitionLog, timestamp: i64) -> Option<(i64, i64)> {
    log.first_reaching(timestamp)
        .unwrap()
        .map(|found| (found.offset, found.timestamp))
}

/// The plain meaning of a look-up: walk all messages in offset order.
fn slow_lookup(messages: &[i64], timestamp: i64) -> Option<(i64, i64)> {
    (0..)
        .zip(messages.iter().copied())
        .find(|&(_, found)| found >= timestamp)
}

#[test]
fn lookups_are_exact_for_times_out_of_order_ties_and_gaps() {
    let (_folder, log) = open();
    let batches: [&[i64]; 6] = [
        &[50, 10, 40],
        &[20],
        &[60, 60, 55, 90],
        &[90, 70],
        &[5, 95, 91, 95],
        &[100],
    ];
    let compressions = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
        Compression::None,
    ];
    for (timestamps, compression) in batches.iter().zip(compressions) {
        append(&log, timestamps, compression);
    }
    let messages = batches.concat();
    for timestamp in 0..=102 {
        assert_eq!(
            at(&log, timestamp),
            slow_lookup(&messages, timestamp),
            "at {timestamp}"
        );
    }
    assert_eq!(at(&log, i64::MIN), Some((0, 50)));
    assert_eq!(at(&log, i64::MAX), None);
    assert_eq!(
        log.latest()
            .unwrap()
            .map(|found| (found.offset, found.timestamp)),
        Some((14, 100))
    );
}

#[test]
fn the_first_of_several_latest_messages_counts() {
    let (_folder, log) = open();
    append(&log, &[3, 9, 9], Compression::Lz4);
    append(&log, &[9], Compression::None);
    assert_eq!(
        log.latest().unwrap(),
        Some(Found {
            offset: 1,
            timestamp: 9
        })
    );
}

#[test]
fn batches_come_back_as_they_went_with_their_offsets() {
    let (_folder, log) = open();
    append(&log, &[1, 2], Compression::Zstd);
    let sent = batch_of(&[3, 4, 5], Compression::Gzip);
    assert_eq!(append(&log, &[3, 4, 5], Compression::Gzip), 2);
    let read = log.read(3, 1 << 20, false).unwrap();
    assert_eq!(read[16..], sent[16..], "everything behind the leader epoch");
    let header = BatchHeader::read(&read).unwrap();
    assert_eq!((header.base_offset, header.last_offset()), (2, 4));
    assert_eq!(header.check(&read), Ok(()));
    assert_eq!(log.read(5, 1 << 20, true).unwrap(), Bytes::new());
    for offset in [-1, 6] {
        assert_eq!(
            log.read(offset, 1, true).unwrap_err().code(),
            ResponseError::OffsetOutOfRange.code()
        );
    }
}

#[test]
fn log_append_time_replaces_every_timestamp() {
    let (folder, log) = open();
    for now in [1_000, 2_000] {
        let incoming =
            IncomingBatch::check(batch_of(&[7, 8, 9], Compression::Zstd), BATCH_BYTES_DEFAULT)
                .unwrap();
        let appended = log
            .append(&incoming, TimestampType::LogAppend, || now)
            .unwrap();
        assert_eq!(appended.log_append_time, Some(now));
    }
    let check = |log: &PartitionLog| {
        assert_eq!(at(log, 1), Some((0, 1_000)));
        assert_eq!(at(log, 1_001), Some((3, 2_000)));
        assert_eq!(at(log, 2_001), None);
    };
    check(&log);
    check(&PartitionLog::open(folder.path().join("0.log")).unwrap());
}

#[test]
fn a_reopened_log_knows_everything() {
    let (folder, log) = open();
    append(&log, &[10, 30], Compression::Snappy);
    append(&log, &[20, 40], Compression::Lz4);
    let read = log.read(0, 1 << 20, false).unwrap();
    let reopened = PartitionLog::open(folder.path().join("0.log")).unwrap();
    assert_eq!(reopened.bounds(), log.bounds());
    assert_eq!(reopened.read(0, 1 << 20, false).unwrap(), read);
    assert_eq!(at(&reopened, 31), Some((3, 40)));
    assert_eq!(append(&reopened, &[50], Compression::None), 4);
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_batch() {
    let (folder, log) = open();
    append(&log, &[10, 30], Compression::None);
    let whole = fs::read(folder.path().join("0.log")).unwrap();
    append(&log, &[20, 40], Compression::None);
    let both = fs::read(folder.path().join("0.log")).unwrap();
    let path = folder.path().join("torn.log");
    for end in whole.len()..both.len() {
        fs::write(&path, &both[..end]).unwrap();
        let torn = PartitionLog::open(path.clone()).unwrap();
        assert_eq!(torn.bounds().high_watermark, 2, "cut at {end}");
        assert_eq!(fs::read(&path).unwrap(), whole);
        assert_eq!(append(&torn, &[99], Compression::None), 2);
        assert_eq!(at(&torn, 31), Some((2, 99)));
    }
    let mut flipped = both.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let zeros = [&whole[..], &[0; 4096]].concat();
    let garbage = [
        &both[..],
        b"what a failed write left here, longer than a header of a batch is",
    ]
    .concat();
    for (bytes, high_watermark) in [(flipped, 2), (zeros, 2), (garbage, 4)] {
        fs::write(&path, bytes).unwrap();
        let torn = PartitionLog::open(path.clone()).unwrap();
        assert_eq!(torn.bounds().high_watermark, high_watermark);
    }
}

#[test]
fn a_retried_batch_is_stored_once_even_across_a_restart() {
    let (folder, log) = open();
    let batch = |sequence| {
        let bytes = batch_from(&[1, 2], Compression::None, (9, 0, sequence));
        IncomingBatch::check(bytes, BATCH_BYTES_DEFAULT).unwrap()
    };
    let send = |log: &PartitionLog, sequence| {
        log.append(&batch(sequence), TimestampType::Creation, || 0)
            .map(|appended| appended.base_offset)
            .map_err(|refusal| refusal.code())
    };
    assert_eq!(send(&log, 0), Ok(0));
    assert_eq!(send(&log, 0), Ok(0));
    assert_eq!(send(&log, 2), Ok(2));
    assert_eq!(
        send(&log, 6),
        Err(ResponseError::OutOfOrderSequenceNumber.code())
    );
    let reopened = PartitionLog::open(folder.path().join("0.log")).unwrap();
    assert_eq!(send(&reopened, 2), Ok(2));
    assert_eq!(send(&reopened, 4), Ok(4));
    assert_eq!(reopened.bounds().high_watermark, 6);
}

#[test]
fn deleted_messages_are_neither_read_nor_found() {
    let (folder, log) = open();
    append(&log, &[900, 100], Compression::None);
    append(&log, &[800, 200, 300], Compression::Zstd);
    append(&log, &[250], Compression::None);
    assert_eq!(log.delete_before(3).unwrap(), 3);
    let check = |log: &PartitionLog| {
        assert_eq!(
            log.bounds(),
            Bounds {
                log_start_offset: 3,
                high_watermark: 6
            }
        );
        assert!(log.read(2, 1, true).is_err());
        assert_eq!(at(log, 0), Some((3, 200)));
        assert_eq!(at(log, 201), Some((4, 300)));
        assert_eq!(at(log, 301), None);
        assert_eq!(
            log.latest().unwrap(),
            Some(Found {
                offset: 4,
                timestamp: 300
            })
        );
    };
    check(&log);
    check(&PartitionLog::open(folder.path().join("0.log")).unwrap());
    assert_eq!(log.delete_before(1).unwrap(), 3, "never backward");
    assert!(log.delete_before(7).is_err());
    assert_eq!(log.delete_before(-1).unwrap(), 6);
    assert_eq!(log.latest().unwrap(), None);
    assert_eq!(append(&log, &[1], Compression::None), 6);
}
