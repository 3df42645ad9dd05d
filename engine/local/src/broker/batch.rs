//! The header of a record batch, format 2, and the two changes a broker makes to it. No I/O.
//!
//! A batch is a header of 61 bytes and the records, which may be compressed as a whole. Its CRC covers everything from
//! the attributes on, so that base offset and leader epoch can be set without computing it anew.

use std::fmt;

use bytes::Buf;
use kafka_protocol::records::Compression;

/// Bytes of a batch before its records.
pub(super) const HEADER_BYTES: usize = 61;

/// Bytes before those that the length field counts: base offset and the length itself.
const LENGTH_PREFIX_BYTES: usize = 12;

/// First byte under the CRC.
const ATTRIBUTES_AT: usize = 21;

/// The only batch format that Kafka 4 accepts.
const MAGIC: i8 = 2;

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME_FLAG: i16 = 1 << 3;
const TRANSACTIONAL_FLAG: i16 = 1 << 4;
const CONTROL_FLAG: i16 = 1 << 5;

/// What the header of a record batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    /// Offset of the batch's first message; what a producer puts here means nothing.
    pub(super) base_offset: i64,
    /// Length of the whole batch in bytes, header included; at least [`HEADER_BYTES`].
    pub(super) batch_bytes: usize,
    /// CRC-32C of everything from the attributes on.
    pub(super) checksum: u32,
    /// Compression, kind of timestamp, and whether the batch is transactional or a marker.
    pub(super) attributes: i16,
    /// Offset of the last message, from the base offset on.
    pub(super) last_offset_delta: i32,
    /// What the timestamps of the records are counted from, in ms since the epoch.
    pub(super) base_timestamp: i64,
    /// Largest message timestamp in the batch, in ms since the epoch.
    pub(super) max_timestamp: i64,
    /// Id of an idempotent producer, or -1.
    pub(super) producer_id: i64,
    /// Epoch of an idempotent producer, or -1.
    pub(super) producer_epoch: i16,
    /// The producer's sequence number of the first message, or -1.
    pub(super) base_sequence: i32,
    /// Number of records.
    pub(super) record_count: i32,
}

/// Why bytes are not a record batch that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchFault {
    /// Fewer bytes than the header, or than the header promises.
    Short { found: usize, needed: usize },
    /// A length field that cannot be.
    Length(i32),
    /// Another batch format.
    Magic(i8),
    /// The bytes are not those that the producer sent.
    Checksum { stated: u32, computed: u32 },
    /// A count or an offset delta that cannot be.
    Count {
        record_count: i32,
        last_offset_delta: i32,
    },
}

impl fmt::Display for BatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { found, needed } => {
                write!(f, "the record batch ends after {found} of {needed} bytes")
            }
            Self::Length(length) => write!(f, "the record batch states a length of {length}"),
            Self::Magic(magic) => {
                write!(
                    f,
                    "the record batch has format {magic}; only format 2 is stored"
                )
            }
            Self::Checksum { stated, computed } => write!(
                f,
                "the record batch states the CRC {stated:08x}, its bytes have {computed:08x}"
            ),
            Self::Count {
                record_count,
                last_offset_delta,
            } => write!(
                f,
                "the record batch states {record_count} records and a last offset delta of {last_offset_delta}"
            ),
        }
    }
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which may end anywhere behind it. The CRC is not looked at.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BatchFault> {
        let Some(mut header) = bytes.get(..HEADER_BYTES) else {
            return Err(BatchFault::Short {
                found: bytes.len(),
                needed: HEADER_BYTES,
            });
        };
        let base_offset = header.get_i64();
        let length = header.get_i32();
        let _leader_epoch = header.get_i32();
        let magic = header.get_i8();
        if magic != MAGIC {
            return Err(BatchFault::Magic(magic));
        }
        let batch_bytes = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LENGTH_PREFIX_BYTES))
            .filter(|&batch_bytes| batch_bytes >= HEADER_BYTES)
            .ok_or(BatchFault::Length(length))?;
        let read = Self {
            base_offset,
            batch_bytes,
            checksum: header.get_u32(),
            attributes: header.get_i16(),
            last_offset_delta: header.get_i32(),
            base_timestamp: header.get_i64(),
            max_timestamp: header.get_i64(),
            producer_id: header.get_i64(),
            producer_epoch: header.get_i16(),
            base_sequence: header.get_i32(),
            record_count: header.get_i32(),
        };
        if read.record_count < 1 || read.last_offset_delta < read.record_count - 1 {
            return Err(BatchFault::Count {
                record_count: read.record_count,
                last_offset_delta: read.last_offset_delta,
            });
        }
        Ok(read)
    }

    /// Compares the CRC with that of `batch`, which is this header's whole batch.
    pub(super) fn check(&self, batch: &[u8]) -> Result<(), BatchFault> {
        let computed = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
        if computed == self.checksum {
            Ok(())
        } else {
            Err(BatchFault::Checksum {
                stated: self.checksum,
                computed,
            })
        }
    }

    /// Offset of the batch's last message.
    pub(super) fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(i64::from(self.last_offset_delta))
    }

    /// How the records are compressed; `None` for a code that Kafka does not have.
    pub(super) fn compression(&self) -> Option<Compression> {
        match self.attributes & COMPRESSION_MASK {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Whether every message's timestamp is the batch's largest, set by the broker.
    pub(super) fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME_FLAG != 0
    }

    /// Whether the batch is part of a transaction.
    pub(super) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_FLAG != 0
    }

    /// Whether the batch is a transaction marker instead of messages.
    pub(super) fn is_control(&self) -> bool {
        self.attributes & CONTROL_FLAG != 0
    }

    /// The batch's last sequence number. Sequence numbers wrap to 0 behind the largest `i32`.
    pub(super) fn last_sequence(&self) -> i32 {
        let last = i64::from(self.base_sequence) + i64::from(self.record_count) - 1;
        i32::try_from(last % (i64::from(i32::MAX) + 1)).unwrap_or(i32::MAX)
    }
}

/// Sets where the batch lies in its log: base offset and leader epoch, both outside the CRC.
pub(super) fn set_position(header: &mut [u8; HEADER_BYTES], base_offset: i64, leader_epoch: i32) {
    header[..8].copy_from_slice(&base_offset.to_be_bytes());
    header[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Sets the largest timestamp, marks the batch as stamped by the broker if `log_append_time`, and computes the CRC anew.
/// `records` is all that follows the header.
pub(super) fn set_timestamp(
    header: &mut [u8; HEADER_BYTES],
    records: &[u8],
    max_timestamp: i64,
    log_append_time: bool,
) {
    if log_append_time {
        let attributes = i16::from_be_bytes([header[21], header[22]]) | LOG_APPEND_TIME_FLAG;
        header[21..23].copy_from_slice(&attributes.to_be_bytes());
    }
    header[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[ATTRIBUTES_AT..]), records);
    header[17..21].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::fixtures::batch_of;

    #[test]
    fn the_header_says_what_was_encoded() {
        let batch = batch_of(&[1_000, 3_000, 2_000], Compression::Zstd);
        let header = BatchHeader::read(&batch).unwrap();
        assert_eq!(header.batch_bytes, batch.len());
        assert_eq!(header.last_offset_delta, 2);
        assert_eq!(header.record_count, 3);
        assert_eq!(header.base_timestamp, 1_000);
        assert_eq!(header.max_timestamp, 3_000);
        assert_eq!(header.compression(), Some(Compression::Zstd));
        assert!(!header.is_log_append_time() && !header.is_transactional() && !header.is_control());
        assert_eq!(header.check(&batch), Ok(()));
    }

    #[test]
    fn one_flipped_bit_under_the_crc_is_found() {
        let batch = batch_of(&[1, 2, 3], Compression::None);
        let header = BatchHeader::read(&batch).unwrap();
        for at in ATTRIBUTES_AT..batch.len() {
            let mut broken = batch.to_vec();
            broken[at] ^= 1;
            assert!(
                matches!(header.check(&broken), Err(BatchFault::Checksum { .. })),
                "byte {at}"
            );
        }
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        let good = batch_of(&[1, 2], Compression::None);
        let read_with = |at: usize, bytes: &[u8]| {
            let mut changed = good.to_vec();
            changed[at..at + bytes.len()].copy_from_slice(bytes);
            BatchHeader::read(&changed)
        };
        assert!(matches!(
            BatchHeader::read(&good[..60]),
            Err(BatchFault::Short { .. })
        ));
        assert_eq!(read_with(16, &[1]), Err(BatchFault::Magic(1)));
        for length in [-1, 0, 48, i32::MIN] {
            assert_eq!(
                read_with(8, &length.to_be_bytes()),
                Err(BatchFault::Length(length))
            );
        }
        for count in [-1, 0, 3, i32::MAX] {
            assert!(matches!(
                read_with(57, &count.to_be_bytes()),
                Err(BatchFault::Count { .. })
            ));
        }
    }

    #[test]
    fn position_leaves_the_crc_alone_and_timestamps_renew_it() {
        let batch = batch_of(&[5, 6], Compression::Lz4);
        let (front, records) = batch.split_at(HEADER_BYTES);
        let mut header: [u8; HEADER_BYTES] = front.try_into().unwrap();

        set_position(&mut header, 1 << 40, 7);
        let whole = [&header[..], records].concat();
        let read = BatchHeader::read(&whole).unwrap();
        assert_eq!(
            (read.base_offset, read.last_offset()),
            (1 << 40, (1 << 40) + 1)
        );
        assert_eq!(read.check(&whole), Ok(()));

        set_timestamp(&mut header, records, 99, true);
        let whole = [&header[..], records].concat();
        let read = BatchHeader::read(&whole).unwrap();
        assert_eq!(read.max_timestamp, 99);
        assert!(read.is_log_append_time());
        assert_eq!(read.compression(), Some(Compression::Lz4));
        assert_eq!(read.check(&whole), Ok(()));
    }

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        let batch = batch_of(&[1, 2, 3], Compression::None);
        let mut header = BatchHeader::read(&batch).unwrap();
        header.base_sequence = i32::MAX - 1;
        assert_eq!(header.last_sequence(), 0);
        header.base_sequence = 10;
        assert_eq!(header.last_sequence(), 12);
    }
}
