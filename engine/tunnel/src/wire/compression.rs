//! Compression of a block's body: one stream over all of it.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use engine_model::job::{BlockFormat, Compression};

use super::BodyError;

/// Bytes of a compressed body that are handed on together.
const PIECE_BYTES: usize = 256 << 10;
/// The fastest level above none: a block competes with decoding for the processor.
const ZSTD_LEVEL: i32 = 1;

/// What `Content-Encoding` says of a body, and `Accept-Encoding` asks for; nothing for a plain one. An LZ4 frame has
/// another name in each form.
pub fn content_encoding(format: BlockFormat, compression: Compression) -> Option<&'static str> {
    Some(match (compression, format) {
        (Compression::None, _) => return None,
        // A zlib stream (RFC 1950), as HTTP means it.
        (Compression::Deflate, _) => "deflate",
        (Compression::Zstd, _) => "zstd",
        (Compression::Lz4, BlockFormat::Record) => "x-lz4-frame",
        (Compression::Lz4, BlockFormat::Arrow) => "x-odps-lz4-frame",
        (Compression::Snappy, _) => "x-snappy-framed",
    })
}

/// What a `Content-Encoding` means, in any case; nothing for an unknown word. No header, and `identity`, are a plain body.
pub fn compression_of(content_encoding: Option<&str>) -> Option<Compression> {
    let word = content_encoding.unwrap_or_default().trim();
    Some(match word.to_ascii_lowercase().as_str() {
        "" | "identity" => Compression::None,
        "deflate" => Compression::Deflate,
        "zstd" => Compression::Zstd,
        "x-lz4-frame" | "x-odps-lz4-frame" => Compression::Lz4,
        "x-snappy-framed" => Compression::Snappy,
        _ => return None,
    })
}

/// Undoes the compression of a whole body.
///
/// # Errors
/// The stream is damaged, ends early, has bytes behind its end, or holds more than `bytes_max`. A Snappy stream has no
/// end of its own: one that was cut between two of its chunks is found by what is inside.
pub fn decompress(
    compression: Compression,
    body: Bytes,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    if compression == Compression::None {
        return Ok(body);
    }
    if body.is_empty() {
        return Err(BodyError::new("the compressed body has no bytes"));
    }
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut plain = Vec::new();
    let mut rest: &[u8] = &body;
    let read = match compression {
        Compression::None => Ok(0),
        Compression::Deflate => flate2::bufread::ZlibDecoder::new(&mut rest)
            .take(limit)
            .read_to_end(&mut plain),
        Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&mut rest)
            .and_then(|it| it.single_frame().take(limit).read_to_end(&mut plain)),
        Compression::Lz4 => unframe(&mut rest, &mut plain, limit),
        Compression::Snappy => snap::read::FrameDecoder::new(&mut rest)
            .take(limit)
            .read_to_end(&mut plain),
    };
    read.map_err(|error| BodyError::new(format!("the compressed body is damaged: {error}")))?;
    if plain.len() > bytes_max {
        let text = format!("the body holds more than {bytes_max} bytes once it is decompressed");
        return Err(BodyError::new(text));
    }
    if !rest.is_empty() {
        let text = format!("{} bytes follow the compressed body", rest.len());
        return Err(BodyError::new(text));
    }
    Ok(plain.into())
}

/// Reads an LZ4 frame to its end mark. The library takes the end of its input for one, so that there is a byte more than
/// the body, which it reads only in search of the mark.
fn unframe(body: &mut &[u8], plain: &mut Vec<u8>, limit: u64) -> io::Result<usize> {
    let mut sentinel: &[u8] = &[0];
    let read = lz4_flex::frame::FrameDecoder::new(body.chain(&mut sentinel))
        .take(limit)
        .read_to_end(plain)?;
    if sentinel.is_empty() {
        let text = "it ends before its end mark";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    Ok(read)
}

/// Where the bytes of a body go, a piece at a time.
pub(crate) type Take<'t> = Box<dyn FnMut(Bytes) -> io::Result<()> + Send + 't>;

/// Compresses what is written. [`finish`](Self::finish) writes the end, without which the stream is cut.
pub(crate) enum Compressor<'t> {
    Plain(Pieces<'t>),
    Deflate(flate2::write::ZlibEncoder<Pieces<'t>>),
    Zstd(zstd::stream::write::Encoder<'static, Pieces<'t>>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Pieces<'t>>>),
    Snappy(Box<snap::write::FrameEncoder<Pieces<'t>>>),
}

impl<'t> Compressor<'t> {
    pub(crate) fn new(compression: Compression, take: Take<'t>) -> io::Result<Self> {
        let pieces = Pieces {
            buffer: BytesMut::new(),
            take,
        };
        Ok(match compression {
            Compression::None => Self::Plain(pieces),
            Compression::Deflate => {
                let level = flate2::Compression::fast();
                Self::Deflate(flate2::write::ZlibEncoder::new(pieces, level))
            }
            Compression::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(pieces, ZSTD_LEVEL)?),
            Compression::Lz4 => Self::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(pieces))),
            Compression::Snappy => Self::Snappy(Box::new(snap::write::FrameEncoder::new(pieces))),
        })
    }

    /// Takes a piece of the body; a plain one is handed on as it is.
    pub(crate) fn piece(&mut self, piece: Bytes) -> io::Result<()> {
        match self {
            Self::Plain(pieces) => (pieces.take)(piece),
            Self::Deflate(encoder) => encoder.write_all(&piece),
            Self::Zstd(encoder) => encoder.write_all(&piece),
            Self::Lz4(encoder) => encoder.write_all(&piece),
            Self::Snappy(encoder) => encoder.write_all(&piece),
        }
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        let mut pieces = match self {
            Self::Plain(pieces) => pieces,
            Self::Deflate(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::from)?,
            Self::Snappy(encoder) => encoder
                .into_inner()
                .map_err(|error| io::Error::other(error.to_string()))?,
        };
        pieces.hand_on()
    }
}

/// Collects what a compressor writes into pieces.
pub(crate) struct Pieces<'t> {
    buffer: BytesMut,
    take: Take<'t>,
}

impl Pieces<'_> {
    fn hand_on(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        (self.take)(self.buffer.split().freeze())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(PIECE_BYTES - self.buffer.len());
        self.buffer
            .extend_from_slice(data.get(..taken).unwrap_or_default());
        if self.buffer.len() == PIECE_BYTES {
            self.hand_on()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 4] = [
        Compression::Deflate,
        Compression::Zstd,
        Compression::Lz4,
        Compression::Snappy,
    ];

    fn compress(compression: Compression, parts: &[&[u8]]) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let take = |piece| {
            pieces.push(piece);
            Ok(())
        };
        let mut compressor = Compressor::new(compression, Box::new(take)).unwrap();
        for part in parts {
            compressor.piece(Bytes::copy_from_slice(part)).unwrap();
        }
        compressor.finish().unwrap();
        pieces
    }

    /// Bytes that no compression makes shorter.
    fn noise(length: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(7);
        (0..length).map(|_| rng.u8(..)).collect()
    }

    #[test]
    fn what_is_compressed_in_parts_is_decompressed_whole() {
        let data = noise(3 * PIECE_BYTES / 2);
        let (first, second) = data.split_at(1000);
        for compression in ALL {
            let pieces = compress(compression, &[first, &[], second]);
            let longest = pieces.iter().map(Bytes::len).max();
            assert_eq!(longest, Some(PIECE_BYTES), "{compression:?}");
            let body = Bytes::from(pieces.concat());
            let plain = decompress(compression, body.clone(), data.len()).unwrap();
            assert_eq!(plain, data, "{compression:?}");
            let error = decompress(compression, body, data.len() - 1).unwrap_err();
            assert!(error.to_string().contains("holds more than"), "{error}");
        }
        assert_eq!(
            compress(Compression::None, &[first, second]),
            [first, second]
        );
    }

    #[test]
    fn cut_and_prolonged_streams_are_refused() {
        for compression in ALL {
            let body = Bytes::from(compress(compression, &[&noise(200)]).concat());
            for length in 0..body.len() {
                let refused = decompress(compression, body.slice(..length), 1000);
                // Between its chunks Snappy can't tell, which is left to the framing inside.
                let undecided = compression == Compression::Snappy && length == 10;
                assert_eq!(refused.is_err(), !undecided, "{compression:?} {length}");
            }
            let longer = [&body[..], b"more"].concat().into();
            assert!(decompress(compression, longer, 1000).is_err());
        }
    }

    #[test]
    fn names_are_those_of_the_tunnel() {
        for format in [BlockFormat::Arrow, BlockFormat::Record] {
            for compression in [&ALL[..], &[Compression::None]].concat() {
                let name = content_encoding(format, compression);
                assert_eq!(compression_of(name), Some(compression));
            }
        }
        assert_eq!(compression_of(Some("Identity")), Some(Compression::None));
        assert_eq!(compression_of(Some("gzip")), None);
    }
}
