//! Record batches for the unit tests, made by the codec crate and not by the code under test.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// A batch with one message for each create time, in that order.
pub(super) fn batch_of(timestamps: &[i64], compression: Compression) -> Bytes {
    batch_from(timestamps, compression, (-1, -1, -1))
}

/// The same from an idempotent producer: its id, its epoch and the first sequence number.
pub(super) fn batch_from(
    timestamps: &[i64],
    compression: Compression,
    (producer_id, producer_epoch, base_sequence): (i64, i16, i32),
) -> Bytes {
    let records: Vec<Record> = (0_i32..)
        .zip(timestamps)
        .map(|(at, &timestamp)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id,
            producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(at),
            // Without a producer every record must keep the same distance to its offset to share the batch.
            sequence: base_sequence + at,
            timestamp,
            key: Some(Bytes::from(format!("key {at}"))),
            value: (at % 3 != 2).then(|| Bytes::from(format!("payload {at} of {timestamp}"))),
            headers: [
                ("trace".into(), Some(Bytes::from_static(b"1"))),
                ("none".into(), None),
            ]
            .into_iter()
            .collect(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression,
    };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("fixtures can be encoded");
    bytes.freeze()
}
