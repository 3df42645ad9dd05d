//! The framing of a block in Arrow form: chunks with a CRC-32C each, and one over everything.
//!
//! ```text
//! body  := chunk_size(u32, big-endian) chunk* last
//! chunk := data[chunk_size] crc32c(data)(u32, big-endian)
//! last  := data[0 .. chunk_size-1] crc32c(all data of the body)(u32, big-endian)
//! ```
//!
//! No data at all is the checksum of nothing, four zero bytes, or no byte.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use crc32c::{crc32c, crc32c_append};

/// Bytes of data in a chunk; the official clients all use this size.
pub const CHUNK_BYTES: usize = 65_536;

const CRC_BYTES: usize = 4;

/// Frames a stream of data, a piece of several chunks at a time.
#[derive(Debug)]
pub struct Framer {
    chunk_bytes: usize,
    piece_bytes: usize,
    /// Framed bytes that weren't handed out; ends with the chunk in progress.
    out: BytesMut,
    /// Bytes of data in the chunk in progress.
    filled: usize,
    started: bool,
    /// CRC of all finished chunks' data.
    crc: u32,
}

impl Framer {
    /// Frames into chunks of `chunk_bytes`, handed out `chunks_per_piece` at a time. Both at least 1, and a chunk below
    /// 4 GiB.
    pub fn new(chunk_bytes: usize, chunks_per_piece: usize) -> Self {
        let chunk_bytes = chunk_bytes.max(1);
        let piece_bytes = (chunk_bytes + CRC_BYTES) * chunks_per_piece.max(1);
        Self {
            chunk_bytes,
            piece_bytes,
            out: BytesMut::with_capacity(CRC_BYTES + piece_bytes),
            filled: 0,
            started: false,
            crc: 0,
        }
    }

    /// Takes from the front of `data` until a piece is full, and returns it; nothing when all of `data` was taken
    /// first. Call again with what is left of `data`.
    pub fn push(&mut self, data: &mut &[u8]) -> Option<Bytes> {
        while !data.is_empty() {
            if !self.started {
                self.started = true;
                self.out
                    .put_u32(u32::try_from(self.chunk_bytes).unwrap_or(u32::MAX));
            }
            let taken = data.len().min(self.chunk_bytes - self.filled);
            self.out.put_slice(data.get(..taken).unwrap_or_default());
            data.advance(taken);
            self.filled += taken;
            if self.filled == self.chunk_bytes {
                let crc = crc32c(self.chunk());
                self.crc = crc32c_append(self.crc, self.chunk());
                self.out.put_u32(crc);
                self.filled = 0;
                if self.out.len() >= self.piece_bytes {
                    let next = BytesMut::with_capacity(self.piece_bytes);
                    return Some(std::mem::replace(&mut self.out, next).freeze());
                }
            }
        }
        None
    }

    /// The end of the body: what is left, and the CRC of everything.
    pub fn finish(mut self) -> Bytes {
        let crc = crc32c_append(self.crc, self.chunk());
        self.out.put_u32(crc);
        self.out.freeze()
    }

    fn chunk(&self) -> &[u8] {
        self.out.split_at(self.out.len() - self.filled).1
    }
}

/// A body that isn't framed as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The body ends within a checksum, or with data but without one.
    Truncated,
    /// A chunk size of zero.
    NoChunkSize,
    /// A checksum doesn't fit the data that ends at this position of the body.
    Checksum {
        /// Bytes of the body before the checksum.
        position: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the body ends within a chunk or a checksum"),
            Self::NoChunkSize => f.write_str("the chunk size is zero"),
            Self::Checksum { position } => write!(f, "wrong checksum at position {position}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Removes the framing and checks every checksum. Any chunk size will do.
pub fn decode(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut rest = body;
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let head = rest.try_get_u32().map_err(|_| FrameError::Truncated)?;
    if rest.is_empty() {
        // No chunk size, only the checksum of nothing.
        let empty = head == crc32c(&[]);
        return if empty {
            Ok(Vec::new())
        } else {
            Err(FrameError::Checksum { position: 0 })
        };
    }
    let chunk_bytes = usize::try_from(head).unwrap_or(usize::MAX);
    if chunk_bytes == 0 {
        return Err(FrameError::NoChunkSize);
    }
    let mut data = Vec::with_capacity(rest.len());
    loop {
        let last = rest
            .len()
            .checked_sub(CRC_BYTES)
            .is_none_or(|left| left < chunk_bytes);
        let length = if last {
            rest.len().saturating_sub(CRC_BYTES)
        } else {
            chunk_bytes
        };
        let (chunk, mut behind) = rest.split_at(length);
        let position = body.len() - behind.len();
        let expected = behind.try_get_u32().map_err(|_| FrameError::Truncated)?;
        data.extend_from_slice(chunk);
        let found = if last { crc32c(&data) } else { crc32c(chunk) };
        if found != expected {
            return Err(FrameError::Checksum { position });
        }
        if last {
            return Ok(data);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(parts: &[&[u8]], chunk_bytes: usize, chunks_per_piece: usize) -> Vec<u8> {
        let mut framer = Framer::new(chunk_bytes, chunks_per_piece);
        let mut body = Vec::new();
        for part in parts {
            let mut rest = *part;
            while let Some(piece) = framer.push(&mut rest) {
                body.extend_from_slice(&piece);
            }
            assert!(rest.is_empty());
        }
        body.extend_from_slice(&framer.finish());
        body
    }

    /// The recorded body, its data and its chunk size.
    fn recorded(name: &str) -> (Vec<u8>, Vec<u8>, usize) {
        let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(format!("{path}.bin")).unwrap();
        let head: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(format!("{path}.json")).unwrap())
                .unwrap();
        let chunk = head["chunk_size"].as_u64().unwrap_or(65_536);
        let data = decode(&body).unwrap();
        assert_eq!(
            data.len() as u64,
            head["payload_length"].as_u64().unwrap(),
            "{name}"
        );
        (body, data, usize::try_from(chunk).unwrap())
    }

    #[test]
    fn recorded_bodies_of_both_official_clients_are_framed_alike() {
        for name in [
            "arrow_all_types",
            "arrow_exact_chunk_multiple",
            "arrow_kafka_like",
            "arrow_multi_batch",
            "arrow_multi_chunk_512",
            "arrow_one_row",
            "arrow_partitioned",
            "arrow_sliced_validity",
            "arrow_zero_batches",
            "arrow_zero_rows",
            "java_arrow_all",
        ] {
            let (body, data, chunk) = recorded(name);
            assert_eq!(encode(&[&data], chunk, 4), body, "{name}");
        }
        // The Java SDK sends no byte at all, PyODPS the checksum of nothing; so do we.
        assert!(recorded("java_arrow_zero").0.is_empty());
    }

    #[test]
    fn pieces_are_bounded_and_begin_with_the_chunk_size_once() {
        let data = vec![7; 1000];
        let mut framer = Framer::new(100, 3);
        let mut rest = data.as_slice();
        let mut pieces = Vec::new();
        while let Some(piece) = framer.push(&mut rest) {
            pieces.push(piece.len());
        }
        assert_eq!(pieces, [4 + 3 * 104, 3 * 104, 3 * 104]);
        assert_eq!(framer.finish().len(), 104 + 4);
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_found() {
        let data: Vec<u8> = (0..=255).cycle().take(700).collect();
        let body = encode(&[&data], 256, 1);
        // A changed chunk size is found as well, but not always at its own place.
        for at in 0..body.len() {
            let mut damaged = body.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "{at}");
        }
        for length in 1..body.len() {
            assert!(decode(&body[..length]).is_err(), "{length}");
        }
        assert_eq!(decode(&[0, 0, 0, 0, 0]), Err(FrameError::NoChunkSize));
        assert_eq!(
            decode(&[0, 1, 0, 0]),
            Err(FrameError::Checksum { position: 0 })
        );
        assert_eq!(decode(&[0, 1, 0, 0, 9]), Err(FrameError::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_framed_is_decoded(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8),
            chunk in 1_usize..40, per_piece in 1_usize..4,
        ) {
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let whole = parts.concat();
            let body = encode(&slices, chunk, per_piece);
            prop_assert_eq!(&body, &encode(&[&whole], chunk, 1));
            prop_assert_eq!(decode(&body).unwrap(), whole);
        }

        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _mostly_refused = decode(&body);
        }
    }
}
