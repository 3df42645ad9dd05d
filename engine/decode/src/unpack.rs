//! Compressed payloads.

use std::io::Read;

use engine_model::PayloadCompression;
use engine_model::limits::UNPACKED_BYTES_MAX;
use flate2::bufread::MultiGzDecoder;
use zstd::stream::raw::{Decoder as ZstdDecoder, Operation};

use crate::reject::{RejectReason, Rejection};

/// Room that a payload gets to begin with, as a multiple of its compressed size; more is made as it is needed.
const ROOM_FACTOR: usize = 4;

/// Decompresses payloads one by one; what one of them made is there until the next.
pub(crate) struct Unpacker {
    kind: Kind,
    unpacked: Vec<u8>,
}

enum Kind {
    Gzip,
    /// Kept, for making one costs more than most payloads.
    Zstd(Option<ZstdDecoder<'static>>),
}

/// What keeps a payload packed.
enum Fault {
    TooLong,
    Unreadable(String),
}

impl Unpacker {
    /// Nothing where payloads are not compressed.
    pub(crate) fn new(compression: PayloadCompression) -> Option<Self> {
        let kind = match compression {
            PayloadCompression::None => return None,
            PayloadCompression::Gzip => Kind::Gzip,
            PayloadCompression::Zstd => Kind::Zstd(None),
        };
        Some(Self {
            kind,
            unpacked: Vec::new(),
        })
    }

    /// The content of `packed`, at most [`UNPACKED_BYTES_MAX`].
    ///
    /// # Errors
    ///
    /// A rejection without its column: the bytes are not what they should be, or too many.
    pub(crate) fn unpack(&mut self, packed: &[u8]) -> Result<&[u8], Rejection> {
        self.unpacked.clear();
        let (name, unpacked) = match &mut self.kind {
            Kind::Gzip => ("gzip", gunzip(packed, &mut self.unpacked)),
            Kind::Zstd(decoder) => ("zstd", unzstd(decoder, packed, &mut self.unpacked)),
        };
        match unpacked {
            Ok(()) => Ok(&self.unpacked),
            Err(fault) => Err(rejection(name, packed, fault)),
        }
    }

    /// Gives back what is longer than `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.unpacked.clear();
        self.unpacked.shrink_to(bytes);
    }
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker")
            .field("capacity", &self.unpacked.capacity())
            .finish_non_exhaustive()
    }
}

/// Bytes that tell a reader what is there instead.
const HEAD_BYTES: usize = 8;

#[cold]
fn rejection(name: &str, packed: &[u8], fault: Fault) -> Rejection {
    let bytes = packed.len();
    match fault {
        Fault::TooLong => Rejection::of_payload(
            RejectReason::UnpackedTooLong,
            &format!("at most {UNPACKED_BYTES_MAX} bytes"),
            &format!("{bytes} bytes of {name} that hold more"),
        ),
        Fault::Unreadable(why) => {
            let head = packed.get(..HEAD_BYTES).unwrap_or(packed).escape_ascii();
            Rejection::of_payload(
                RejectReason::InvalidCompression,
                &format!("{name} data"),
                &format!(
                    "{bytes} bytes, the first of them \"{head}\", that can't be unpacked ({why})"
                ),
            )
        }
    }
}

fn gunzip(packed: &[u8], unpacked: &mut Vec<u8>) -> Result<(), Fault> {
    let limit = UNPACKED_BYTES_MAX as u64 + 1;
    let read = MultiGzDecoder::new(packed)
        .take(limit)
        .read_to_end(unpacked);
    if unpacked.len() > UNPACKED_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    read.map(drop)
        .map_err(|error| Fault::Unreadable(error.to_string()))
}

fn unzstd(
    decoder: &mut Option<ZstdDecoder<'static>>,
    packed: &[u8],
    unpacked: &mut Vec<u8>,
) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::Unreadable(error.to_string());
    let decoder = match decoder {
        Some(kept) => {
            kept.reinit().map_err(fault)?;
            kept
        }
        none => none.insert(ZstdDecoder::new().map_err(fault)?),
    };
    let (mut read, mut written) = (0, 0);
    loop {
        if written == unpacked.len() {
            if written > UNPACKED_BYTES_MAX {
                return Err(Fault::TooLong);
            }
            let room = written.max(packed.len() * ROOM_FACTOR).max(1_024) + written;
            unpacked.resize(room.min(UNPACKED_BYTES_MAX + 1), 0);
        }
        let input = packed.get(read..).unwrap_or_default();
        let output = unpacked.get_mut(written..).unwrap_or_default();
        let status = decoder.run_on_buffers(input, output).map_err(fault)?;
        read += status.bytes_read;
        written += status.bytes_written;
        let is_whole = status.remaining == 0 && read == packed.len();
        let is_stuck = status.bytes_read == 0 && status.bytes_written == 0;
        if is_whole {
            unpacked.truncate(written);
            return if written > UNPACKED_BYTES_MAX {
                Err(Fault::TooLong)
            } else {
                Ok(())
            };
        }
        if is_stuck && written < unpacked.len() {
            return Err(Fault::Unreadable("it ends too early".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    type Pack = fn(&[u8]) -> Vec<u8>;

    fn unpackers() -> [(PayloadCompression, Pack); 2] {
        [
            (PayloadCompression::Gzip, gzip),
            (PayloadCompression::Zstd, zstd),
        ]
    }

    #[test]
    fn what_is_packed_comes_back() {
        assert!(Unpacker::new(PayloadCompression::None).is_none());
        for (compression, pack) in unpackers() {
            let mut unpacker = Unpacker::new(compression).unwrap();
            for length in [0, 1, 1_023, 1_024, 1_025, 200_000, 5] {
                let bytes: Vec<u8> = (0..length)
                    .map(|n| u8::try_from(n % 251).unwrap())
                    .collect();
                let packed = pack(&bytes);
                assert_eq!(
                    unpacker.unpack(&packed).unwrap(),
                    bytes,
                    "{compression:?} {length}"
                );
                let twice = [packed, pack(b"more")].concat();
                assert_eq!(
                    unpacker.unpack(&twice).unwrap(),
                    [&bytes[..], b"more"].concat()
                );
            }
            unpacker.shrink_to(16);
            assert!(unpacker.unpacked.capacity() <= 16);
        }
    }

    #[test]
    fn what_is_not_packed_or_cut_off_is_refused() {
        for (compression, pack) in unpackers() {
            let mut unpacker = Unpacker::new(compression).unwrap();
            let packed = pack(&[7; 10_000]);
            let cut = &packed[..packed.len() - 3];
            for bad in [&b"{\"a\":1}"[..], b"", cut, &[&packed[..], b"x"].concat()] {
                let rejection = unpacker.unpack(bad).unwrap_err();
                assert_eq!(
                    rejection.reason(),
                    RejectReason::InvalidCompression,
                    "{bad:?}"
                );
            }
            assert_eq!(unpacker.unpack(&packed).unwrap(), [7; 10_000]);
        }
    }

    #[test]
    fn what_would_be_too_long_is_refused_in_bounded_memory() {
        for (compression, pack) in unpackers() {
            let mut unpacker = Unpacker::new(compression).unwrap();
            let just_fits = pack(&vec![0; UNPACKED_BYTES_MAX]);
            assert_eq!(
                unpacker.unpack(&just_fits).unwrap().len(),
                UNPACKED_BYTES_MAX
            );
            let too_long = pack(&vec![0; UNPACKED_BYTES_MAX + 1]);
            let rejection = unpacker.unpack(&too_long).unwrap_err();
            assert_eq!(rejection.reason(), RejectReason::UnpackedTooLong);
            assert!(unpacker.unpacked.capacity() <= 2 * UNPACKED_BYTES_MAX + 2);
        }
    }
}
