//! Content encodings of tunnel bodies. Each covers the whole body as one stream.

use std::io::{self, BufRead, Read, Write};

/// What `Content-Encoding` and `Accept-Encoding` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Identity,
    /// A zlib stream (RFC 1950), as HTTP's `deflate`.
    Deflate,
    Zstd,
    /// Snappy's framing format.
    Snappy,
    /// An LZ4 frame, by the name that record bodies use.
    Lz4,
    /// An LZ4 frame, by the name that Arrow bodies use.
    ArrowLz4,
}

impl Codec {
    /// The header's value, in lower case.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Snappy => "x-snappy-framed",
            Self::Lz4 => "x-lz4-frame",
            Self::ArrowLz4 => "x-odps-lz4-frame",
        }
    }

    /// The codec of a `Content-Encoding`; an empty or absent value is the identity.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        if name.is_empty() {
            return Some(Self::Identity);
        }
        let all = [
            Self::Identity,
            Self::Deflate,
            Self::Zstd,
            Self::Snappy,
            Self::Lz4,
            Self::ArrowLz4,
        ];
        all.into_iter().find(|codec| codec.name() == name)
    }

    /// The first known codec of an `Accept-Encoding` list. Nothing known means no compression: a client gets only what
    /// it asked for.
    pub(crate) fn accepted(header: &str) -> Self {
        let names = header
            .split(',')
            .map(|entry| entry.split(';').next().unwrap_or_default());
        names
            .filter(|name| !name.trim().is_empty())
            .find_map(Self::from_name)
            .unwrap_or(Self::Identity)
    }

    /// Decompresses `input`. The reader fails on a stream that is cut or is followed by other bytes.
    pub(crate) fn decoder<'a>(self, input: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Identity => Box::new(input),
            Self::Deflate => Box::new(Whole {
                decoder: flate2::bufread::ZlibDecoder::new(input),
                began: false,
            }),
            Self::Zstd => Box::new(Whole {
                decoder: zstd::stream::read::Decoder::with_buffer(input)?,
                began: false,
            }),
            Self::Snappy => Box::new(snap::read::FrameDecoder::new(input)),
            Self::Lz4 | Self::ArrowLz4 => Box::new(lz4_flex::frame::FrameDecoder::new(input)),
        })
    }

    /// Compresses what is written into `sink`.
    pub(crate) fn encoder<W: Write>(self, sink: W) -> io::Result<Encoder<W>> {
        Ok(match self {
            Self::Identity => Encoder::Identity(sink),
            Self::Deflate => Encoder::Deflate(flate2::write::ZlibEncoder::new(
                sink,
                flate2::Compression::fast(),
            )),
            Self::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(sink, 1)?),
            Self::Snappy => Encoder::Snappy(Box::new(snap::write::FrameEncoder::new(sink))),
            Self::Lz4 | Self::ArrowLz4 => {
                Encoder::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(sink)))
            }
        })
    }
}

/// The readers underneath whose input can be asked for what is left.
trait Inner: Read {
    fn left(&mut self) -> io::Result<bool>;
}

impl<R: BufRead> Inner for flate2::bufread::ZlibDecoder<R> {
    fn left(&mut self) -> io::Result<bool> {
        Ok(!self.get_mut().fill_buf()?.is_empty())
    }
}

impl<R: BufRead> Inner for zstd::stream::read::Decoder<'_, R> {
    fn left(&mut self) -> io::Result<bool> {
        Ok(!self.get_mut().fill_buf()?.is_empty())
    }
}

/// Insists that the input ends where the compressed stream does, and that there was a stream at all.
struct Whole<D> {
    decoder: D,
    began: bool,
}

impl<D: Inner> Read for Whole<D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.began {
            // A compressor that was opened writes at least a header: 0 bytes are a body that was never sent.
            if !self.decoder.left()? {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the compressed body is empty",
                ));
            }
            self.began = true;
        }
        let read = self.decoder.read(out)?;
        if read == 0 && !out.is_empty() && self.decoder.left()? {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "bytes follow the compressed stream",
            ));
        }
        Ok(read)
    }
}

/// The compressor of an answer. [`finish`](Self::finish) writes its trailer.
pub(crate) enum Encoder<W: Write> {
    Identity(W),
    Deflate(flate2::write::ZlibEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Snappy(Box<snap::write::FrameEncoder<W>>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<W>>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Identity(sink) => Ok(sink),
            Self::Deflate(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Snappy(encoder) => encoder
                .into_inner()
                .map_err(|error| io::Error::other(error.to_string())),
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::from),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Identity(sink) => sink.write_all(data)?,
            Self::Deflate(encoder) => encoder.write_all(data)?,
            Self::Zstd(encoder) => encoder.write_all(data)?,
            Self::Snappy(encoder) => encoder.write_all(data)?,
            Self::Lz4(encoder) => encoder.write_all(data)?,
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Identity(sink) => sink.flush(),
            Self::Deflate(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Snappy(encoder) => encoder.flush(),
            Self::Lz4(encoder) => encoder.flush(),
        }
    }
}
