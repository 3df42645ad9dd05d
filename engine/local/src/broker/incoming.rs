//! What a producer's record batch must be before it may enter a log. No I/O.

use std::fmt::Display;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::batch::{BatchHeader, HEADER_BYTES};
use super::records;
use super::refusal::Refusal;

/// A record batch whose CRC, counts, offsets and records were checked.
#[derive(Debug)]
pub(super) struct IncomingBatch {
    header: BatchHeader,
    bytes: Bytes,
    max_timestamp: i64,
}

impl IncomingBatch {
    /// Checks `bytes`: exactly one whole batch of at most `bytes_max`, as the protocol demands since produce version 3.
    pub(super) fn check(bytes: Bytes, bytes_max: usize) -> Result<Self, Refusal> {
        if bytes.len() > bytes_max {
            return Err(Refusal::new(
                ResponseError::MessageTooLarge,
                format!(
                    "the record batch has {} bytes, the topic's max.message.bytes is {bytes_max}",
                    bytes.len()
                ),
            ));
        }
        let header = BatchHeader::read(&bytes).map_err(|fault| corrupt(&fault))?;
        if header.batch_bytes != bytes.len() {
            return Err(invalid(format!(
                "the record batch states {} bytes, {} came; one request carries one batch for each topic partition",
                header.batch_bytes,
                bytes.len()
            )));
        }
        header.check(&bytes).map_err(|fault| corrupt(&fault))?;
        check_flags(&header)?;
        let max_timestamp = check_records(&bytes, &header)?;
        Ok(Self {
            header,
            bytes,
            max_timestamp,
        })
    }

    /// The header as the producer wrote it.
    pub(super) fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The header's bytes, to be changed, and all that follows them.
    pub(super) fn parts(&self) -> ([u8; HEADER_BYTES], &[u8]) {
        let mut header = [0; HEADER_BYTES];
        let (front, records) = self.bytes.split_at(HEADER_BYTES);
        header.copy_from_slice(front);
        (header, records)
    }

    /// Largest message timestamp that the records really have, in ms since the epoch.
    pub(super) fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }
}

fn check_flags(header: &BatchHeader) -> Result<(), Refusal> {
    if header.is_transactional() {
        return Err(Refusal::new(
            ResponseError::InvalidTxnState,
            "this broker has no transactions; produce without transactional.id",
        ));
    }
    if header.is_control() {
        return Err(invalid("only brokers write transaction markers"));
    }
    if header.is_log_append_time() {
        return Err(Refusal::new(
            ResponseError::InvalidTimestamp,
            "the record batch claims to be stamped by a broker",
        ));
    }
    if header.producer_id >= 0 && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return Err(invalid(format!(
            "producer {} sent epoch {} and sequence {}; both begin at 0",
            header.producer_id, header.producer_epoch, header.base_sequence
        )));
    }
    if header.compression().is_none() {
        return Err(Refusal::new(
            ResponseError::UnsupportedCompressionType,
            "the record batch has a compression that Kafka does not have",
        ));
    }
    if header.last_offset_delta != header.record_count - 1 {
        return Err(invalid(format!(
            "the record batch has {} records and a last offset delta of {}",
            header.record_count, header.last_offset_delta
        )));
    }
    Ok(())
}

/// Reads all records; their offset deltas must count from 0. Returns the largest timestamp.
fn check_records(bytes: &[u8], header: &BatchHeader) -> Result<i64, Refusal> {
    let mut expected = 0;
    let mut max_timestamp = i64::MIN;
    let misplaced = records::visit(bytes, header, |message| {
        if message.offset_delta != expected {
            return true;
        }
        expected += 1;
        max_timestamp = max_timestamp.max(message.timestamp);
        false
    })
    .map_err(|error| invalid(format!("the records cannot be read: {error}")))?;
    if misplaced {
        return Err(invalid(format!(
            "record {expected} of the batch has another offset delta"
        )));
    }
    Ok(max_timestamp)
}

fn corrupt(fault: &impl Display) -> Refusal {
    Refusal::new(ResponseError::CorruptMessage, fault.to_string())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ResponseError::InvalidRecord, message)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::Compression;

    use super::*;
    use crate::broker::batch::set_timestamp;
    use crate::broker::fixtures::batch_of;
    use crate::broker::limits::BATCH_BYTES_DEFAULT;

    fn code(bytes: impl Into<Bytes>) -> i16 {
        match IncomingBatch::check(bytes.into(), BATCH_BYTES_DEFAULT) {
            Ok(_) => 0,
            Err(refusal) => refusal.code(),
        }
    }

    /// Changes bytes under the CRC and makes the CRC right again.
    fn changed(batch: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
        let mut bytes = batch.to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        let checksum = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    #[test]
    fn a_good_batch_of_every_compression_passes() {
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ] {
            let batch = batch_of(&[30, 50, 20], compression);
            let incoming = IncomingBatch::check(batch, BATCH_BYTES_DEFAULT).unwrap();
            assert_eq!(incoming.max_timestamp(), 50);
        }
    }

    #[test]
    fn each_fault_has_kafkas_code() {
        let batch = batch_of(&[30, 50, 20], Compression::None);
        let mut flipped = batch.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(code(flipped), ResponseError::CorruptMessage.code());
        assert_eq!(code(&b"short"[..]), ResponseError::CorruptMessage.code());
        let two = [&batch[..], &batch[..]].concat();
        assert_eq!(code(two), ResponseError::InvalidRecord.code());
        assert_eq!(
            code(changed(&batch, 21, &[0, 0x10])),
            ResponseError::InvalidTxnState.code()
        );
        assert_eq!(
            code(changed(&batch, 21, &[0, 0x20])),
            ResponseError::InvalidRecord.code()
        );
        assert_eq!(
            code(changed(&batch, 21, &[0, 8])),
            ResponseError::InvalidTimestamp.code()
        );
        assert_eq!(
            code(changed(&batch, 21, &[0, 7])),
            ResponseError::UnsupportedCompressionType.code()
        );
        // Three records that claim to be four.
        let four = changed(
            &changed(&batch, 23, &3_i32.to_be_bytes()),
            57,
            &4_i32.to_be_bytes(),
        );
        assert_eq!(code(four), ResponseError::InvalidRecord.code());
        assert_eq!(
            IncomingBatch::check(batch, 60).unwrap_err().code(),
            ResponseError::MessageTooLarge.code()
        );
    }

    #[test]
    fn the_largest_timestamp_is_counted_and_not_believed() {
        let batch = batch_of(&[30, 50, 20], Compression::Gzip);
        let mut header: [u8; HEADER_BYTES] = batch[..HEADER_BYTES].try_into().unwrap();
        set_timestamp(&mut header, &batch[HEADER_BYTES..], 7, false);
        let lying = Bytes::from([&header[..], &batch[HEADER_BYTES..]].concat());
        let incoming = IncomingBatch::check(lying, BATCH_BYTES_DEFAULT).unwrap();
        assert_eq!(incoming.header().max_timestamp, 7);
        assert_eq!(incoming.max_timestamp(), 50);
    }
}
