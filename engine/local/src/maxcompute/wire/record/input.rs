//! The bytes of a record stream, with the CRC of the record that is being read.

use std::io::{self, BufRead as _, BufReader, Read};

use engine_model::limits::CELL_BYTES_MAX;

/// Bytes that are read ahead.
const WINDOW_BYTES: usize = 64 << 10;
/// Bytes of a varint of 64 bits, at most.
const VARINT_BYTES_MAX: usize = 10;
/// Encoded bytes of one record; the service's own bound.
const RECORD_BYTES_MAX: usize = 200 << 20;

/// Reads primitives, counts bytes, and keeps the record's CRC.
pub(super) struct Input<R> {
    inner: BufReader<R>,
    /// Bytes of the record so far; whoever begins a record sets this to 0.
    pub(super) bytes: usize,
    /// CRC of what was [checked](Self::check) of the record; whoever begins one sets this to 0.
    pub(super) crc: u32,
    /// The text or bytes that were read last, where they did not lie in one piece.
    scratch: Vec<u8>,
}

impl<R: Read> Input<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner: BufReader::with_capacity(WINDOW_BYTES, inner),
            bytes: 0,
            crc: 0,
            scratch: Vec::new(),
        }
    }

    /// Takes bytes into the record's CRC.
    pub(super) fn check(&mut self, bytes: &[u8]) {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
    }

    /// Whether all bytes were read.
    pub(super) fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.inner.fill_buf()?.is_empty())
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        let byte = self.inner.fill_buf()?.first().copied();
        let byte = byte.ok_or_else(truncated)?;
        self.inner.consume(1);
        self.count(1)?;
        Ok(byte)
    }

    /// Counts bytes of the record: with nested values in it, one record may be of any length.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes;
        if self.bytes > RECORD_BYTES_MAX {
            let text = format!("a record of more than {RECORD_BYTES_MAX} bytes");
            return Err(malformed(&text));
        }
        Ok(())
    }

    /// A varint of up to 64 bits.
    pub(super) fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for position in 0..VARINT_BYTES_MAX {
            let byte = self.byte()?;
            // The tenth byte has room for one bit.
            if position + 1 == VARINT_BYTES_MAX && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("a varint has more than 64 bits"))
    }

    /// A signed number.
    pub(super) fn zigzag(&mut self) -> io::Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A CRC. One whose top bit is set may be sign-extended to 64 bits, as PyODPS's compiled writer has it.
    pub(super) fn crc_varint(&mut self) -> io::Result<u32> {
        let value = self.varint()?;
        let crc = u32::try_from(value).ok().or_else(|| {
            let signed = i32::try_from(value.cast_signed()).ok();
            signed.map(i32::cast_unsigned)
        });
        crc.ok_or_else(|| malformed(&format!("a CRC of {value:x}, which has more than 32 bits")))
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        match self.inner.read_exact(&mut bytes) {
            Ok(()) => self.count(N).map(|()| bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(truncated()),
            Err(error) => Err(error),
        }
    }

    /// Text or bytes with their length in front, taken into the CRC. Memory grows with what arrives, not with what was
    /// announced.
    pub(super) fn delimited(&mut self) -> io::Result<&[u8]> {
        let announced = self.varint()?;
        let length = usize::try_from(announced)
            .ok()
            .filter(|length| *length <= CELL_BYTES_MAX)
            .ok_or_else(|| {
                malformed(&format!(
                    "a value of {announced} bytes; at most {CELL_BYTES_MAX}"
                ))
            })?;
        self.count(length)?;
        self.scratch.clear();
        let read = self
            .inner
            .by_ref()
            .take(announced)
            .read_to_end(&mut self.scratch)?;
        if read < length {
            return Err(truncated());
        }
        self.crc = crc32c::crc32c_append(self.crc, &self.scratch);
        Ok(&self.scratch)
    }
}

pub(super) fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the records end before their footer",
    )
}
