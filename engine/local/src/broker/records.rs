//! Offsets and timestamps of the records in a batch, whatever its compression.
//!
//! Records are unpacked as a stream, never as a whole, and their keys, payloads and headers are checked and skipped.

use std::io::{self, BufRead, BufReader, Read};

use kafka_protocol::records::Compression;

use super::batch::{BatchHeader, HEADER_BYTES};
use super::limits::SNAPPY_BLOCK_BYTES_MAX;

/// How Java's Snappy library begins its stream of blocks; without it the records are one raw block.
const SNAPPY_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";

/// That beginning with the two version numbers behind it.
const SNAPPY_HEADER_BYTES: usize = 16;

/// Where one message of a batch lies in the log, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageTime {
    /// The message's offset, from the batch's base offset on.
    pub(super) offset_delta: i32,
    /// The message timestamp in ms since the epoch.
    pub(super) timestamp: i64,
}

/// Reads the messages of `batch` in order, until `visit` returns true or they end. Returns whether `visit` stopped it.
///
/// # Errors
///
/// The records are not what the header promises: not so many, cut off, not compressed as stated.
pub(super) fn visit(
    batch: &[u8],
    header: &BatchHeader,
    mut visit: impl FnMut(MessageTime) -> bool,
) -> io::Result<bool> {
    let mut records = unpack(batch.get(HEADER_BYTES..).unwrap_or_default(), header)?;
    for _ in 0..header.record_count {
        let mut message = read_record(&mut *records, header.base_timestamp)?;
        if header.is_log_append_time() {
            message.timestamp = header.max_timestamp;
        }
        if visit(message) {
            return Ok(true);
        }
    }
    if records.fill_buf()?.is_empty() {
        Ok(false)
    } else {
        Err(invalid("bytes follow the last record"))
    }
}

fn unpack<'a>(records: &'a [u8], header: &BatchHeader) -> io::Result<Box<dyn BufRead + 'a>> {
    Ok(match header.compression() {
        Some(Compression::None) => Box::new(records),
        Some(Compression::Gzip) => {
            Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(records)))
        }
        Some(Compression::Snappy) => Box::new(BufReader::new(SnappyBlocks::new(records))),
        Some(Compression::Lz4) => Box::new(lz4_flex::frame::FrameDecoder::new(records)),
        Some(Compression::Zstd) => Box::new(BufReader::new(zstd::Decoder::with_buffer(records)?)),
        None => return Err(invalid("the compression is none that Kafka has")),
    })
}

fn read_record(records: &mut dyn BufRead, base_timestamp: i64) -> io::Result<MessageTime> {
    let length = read_length(records)?.ok_or_else(|| invalid("a record has no length"))?;
    let mut record = Read::take(records, length);
    let mut attributes = [0];
    record.read_exact(&mut attributes)?;
    let timestamp = base_timestamp.wrapping_add(read_varlong(&mut record)?);
    let offset_delta = i32::try_from(read_varlong(&mut record)?)
        .map_err(|_| invalid("an offset delta is out of range"))?;
    let key = read_length(&mut record)?;
    skip(&mut record, key.unwrap_or(0))?;
    let payload = read_length(&mut record)?;
    skip(&mut record, payload.unwrap_or(0))?;
    let headers =
        read_length(&mut record)?.ok_or_else(|| invalid("a record has no header count"))?;
    for _ in 0..headers {
        let name = read_length(&mut record)?.ok_or_else(|| invalid("a header has no name"))?;
        skip(&mut record, name)?;
        let value = read_length(&mut record)?;
        skip(&mut record, value.unwrap_or(0))?;
    }
    if record.limit() > 0 {
        return Err(invalid("a record is longer than its fields"));
    }
    Ok(MessageTime {
        offset_delta,
        timestamp,
    })
}

/// A length, or `None` for the -1 of an absent value.
fn read_length(input: &mut (impl Read + ?Sized)) -> io::Result<Option<u64>> {
    match read_varlong(input)? {
        -1 => Ok(None),
        length => u64::try_from(length)
            .map(Some)
            .map_err(|_| invalid("a length is negative")),
    }
}

/// A zigzag number of at most 64 bits.
fn read_varlong(input: &mut (impl Read + ?Sized)) -> io::Result<i64> {
    let mut zigzag = 0_u64;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        zigzag |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
        }
    }
    Err(invalid("a number has more than 64 bits"))
}

fn skip(input: &mut impl BufRead, mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        let buffered = input.fill_buf()?.len();
        if buffered == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let step = usize::try_from(bytes).map_or(buffered, |bytes| bytes.min(buffered));
        input.consume(step);
        bytes -= step as u64;
    }
    Ok(())
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Snappy as Kafka's clients write it: Java in framed blocks, librdkafka as one raw block.
struct SnappyBlocks<'a> {
    packed: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    read: usize,
}

impl<'a> SnappyBlocks<'a> {
    fn new(packed: &'a [u8]) -> Self {
        let framed = packed.starts_with(SNAPPY_MAGIC) && packed.len() >= SNAPPY_HEADER_BYTES;
        Self {
            packed: if framed {
                &packed[SNAPPY_HEADER_BYTES..]
            } else {
                packed
            },
            framed,
            block: Vec::new(),
            read: 0,
        }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let block = if self.framed {
            let (length, rest) = self
                .packed
                .split_first_chunk()
                .ok_or_else(|| invalid("a Snappy block has no length"))?;
            let length = u32::from_be_bytes(*length) as usize;
            let block = rest
                .get(..length)
                .ok_or_else(|| invalid("a Snappy block is cut off"))?;
            self.packed = &rest[length..];
            block
        } else {
            std::mem::take(&mut self.packed)
        };
        // The claimed length is allocated before the block proves it.
        if snap::raw::decompress_len(block).map_err(io::Error::other)? > SNAPPY_BLOCK_BYTES_MAX {
            return Err(invalid("a Snappy block is too large"));
        }
        self.block = snap::raw::Decoder::new()
            .decompress_vec(block)
            .map_err(io::Error::other)?;
        self.read = 0;
        Ok(())
    }
}

impl Read for SnappyBlocks<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.block.len() {
            if self.packed.is_empty() {
                return Ok(0);
            }
            self.next_block()?;
        }
        let step = into.len().min(self.block.len() - self.read);
        into[..step].copy_from_slice(&self.block[self.read..self.read + step]);
        self.read += step;
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::fixtures::batch_of;

    const COMPRESSIONS: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    fn times(batch: &[u8]) -> io::Result<Vec<(i32, i64)>> {
        let header = BatchHeader::read(batch).unwrap();
        let mut found = Vec::new();
        visit(batch, &header, |message| {
            found.push((message.offset_delta, message.timestamp));
            false
        })?;
        Ok(found)
    }

    #[test]
    fn every_compression_gives_the_same_times() {
        // More than one block of every format.
        let timestamps: Vec<i64> = (0..20_000)
            .map(|n| 1_700_000_000_000 + (n * 7_919) % 86_400_000)
            .collect();
        let expected: Vec<(i32, i64)> = (0..).zip(timestamps.iter().copied()).collect();
        for compression in COMPRESSIONS {
            let batch = batch_of(&timestamps, compression);
            assert_eq!(times(&batch).unwrap(), expected, "{compression:?}");
        }
    }

    #[test]
    fn one_raw_snappy_block_is_read_too() {
        let plain = batch_of(&[30, 10, 20], Compression::None);
        let packed = snap::raw::Encoder::new()
            .compress_vec(&plain[HEADER_BYTES..])
            .unwrap();
        let mut batch = plain[..HEADER_BYTES].to_vec();
        batch[22] |= 2;
        batch.extend(packed);
        assert_eq!(times(&batch).unwrap(), [(0, 30), (1, 10), (2, 20)]);
    }

    #[test]
    fn records_that_break_their_promise_are_errors() {
        let mut batch = batch_of(&[1, 2, 3], Compression::None).to_vec();
        batch.push(0);
        assert!(times(&batch).is_err(), "bytes behind the last record");
        batch.truncate(batch.len() - 2);
        assert!(times(&batch).is_err(), "a record cut off");
        for compression in COMPRESSIONS {
            let batch = batch_of(&[1, 2, 3], compression);
            for cut in HEADER_BYTES..batch.len() {
                // Trailers of the compressed formats may be left out; a record may not.
                if let Ok(found) = times(&batch[..cut]) {
                    assert_eq!(found.len(), 3);
                    assert_ne!(compression, Compression::None);
                }
            }
        }
    }

    #[test]
    fn garbage_is_never_a_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let plain = batch_of(&[1, 2, 3], Compression::None);
        for round in 0..5_000_u16 {
            let mut batch = plain[..HEADER_BYTES].to_vec();
            batch[22] = (round % 8) as u8;
            for _ in 0..round % 97 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                batch.push((state >> 56) as u8);
            }
            drop(times(&batch));
        }
    }
}
