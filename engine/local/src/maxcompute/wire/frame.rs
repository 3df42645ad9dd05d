//! Chunk framing of the Arrow form.
//!
//! ```text
//! body  := chunk_size(u32 BE) chunk* last
//! chunk := data[chunk_size] crc32c(data)(u32 BE)
//! last  := data[0 .. chunk_size-1] crc32c(all data of the body)(u32 BE)
//! ```

use std::io::{self, Read, Write};

/// Bytes that [`FrameReader`] holds, whatever the sender's chunk size.
const WINDOW_BYTES: usize = 64 << 10;
/// Bytes of a CRC, and of the chunk size in front.
const WORD_BYTES: usize = 4;
/// Chunk size of what the server sends; every official client writes the same.
const CHUNK_BYTES: u32 = 65_536;

/// Yields the data of a framed body and checks every CRC on the way.
///
/// Data is handed on before its own CRC has been seen, so that a chunk may be of any size: nothing read from here
/// counts until the reader has reported the end of the body.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    inner: R,
    window: Box<[u8]>,
    start: usize,
    end: usize,
    inner_ended: bool,
    stage: Stage,
    chunk_crc: u32,
    total_crc: u32,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nothing has been read.
    Head,
    /// Inside a chunk; `left` bytes of it are not yet delivered.
    Chunk {
        size: u32,
        left: u32,
    },
    Ended,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            window: vec![0; WINDOW_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            inner_ended: false,
            stage: Stage::Head,
            chunk_crc: 0,
            total_crc: 0,
        }
    }

    /// Fills the window until it holds `wanted` bytes or the input ends.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.start > 0 && self.end - self.start < wanted {
            self.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while !self.inner_ended && self.end - self.start < wanted {
            match self.inner.read(&mut self.window[self.end..]) {
                Ok(0) => self.inner_ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn held(&self) -> usize {
        self.end - self.start
    }

    fn word(&mut self) -> io::Result<u32> {
        let held = self
            .window
            .get(self.start..self.end)
            .and_then(|held| held.first_chunk());
        let word = held.ok_or_else(|| malformed("the body ends inside a CRC"))?;
        let word = u32::from_be_bytes(*word);
        self.start += WORD_BYTES;
        Ok(word)
    }

    /// Reads the chunk size. A body of 0 bytes, or of 4 zero bytes (the CRC of nothing), has no data.
    fn head(&mut self) -> io::Result<Stage> {
        self.fill(WORD_BYTES + 1)?;
        if self.inner_ended && self.held() == 0 {
            return Ok(Stage::Ended);
        }
        let only_word = self.inner_ended && self.held() == WORD_BYTES;
        let size = self.word()?;
        match (only_word, size) {
            (true, 0) => Ok(Stage::Ended),
            (true, crc) => Err(wrong_crc("the body", crc, 0)),
            (false, 0) => Err(malformed("the chunk size is 0; it must be positive")),
            (false, size) => Ok(Stage::Chunk { size, left: size }),
        }
    }

    /// Delivers data of the chunk, keeping back the four bytes that may be the last CRC.
    fn deliver(&mut self, left: u32, out: &mut [u8]) -> usize {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let count = left
            .min(self.held().saturating_sub(WORD_BYTES))
            .min(out.len());
        let data = &self.window[self.start..self.start + count];
        out[..count].copy_from_slice(data);
        self.chunk_crc = crc32c::crc32c_append(self.chunk_crc, data);
        self.total_crc = crc32c::crc32c_append(self.total_crc, data);
        self.start += count;
        count
    }
}

impl<R: Read> Read for FrameReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match self.stage {
                Stage::Ended => return Ok(0),
                Stage::Head => self.stage = self.head()?,
                Stage::Chunk { size, left: 0 } => {
                    self.fill(WORD_BYTES)?;
                    let expected = self.word()?;
                    if expected != self.chunk_crc {
                        return Err(wrong_crc("a chunk", expected, self.chunk_crc));
                    }
                    self.chunk_crc = 0;
                    self.stage = Stage::Chunk { size, left: size };
                }
                Stage::Chunk { size, left } => {
                    self.fill(WORD_BYTES + 1)?;
                    let count = self.deliver(left, out);
                    if count > 0 {
                        let delivered = u32::try_from(count).unwrap_or(left);
                        self.stage = Stage::Chunk {
                            size,
                            left: left - delivered,
                        };
                        return Ok(count);
                    }
                    let expected = self.word()?;
                    if expected != self.total_crc {
                        return Err(wrong_crc("the body", expected, self.total_crc));
                    }
                    self.stage = Stage::Ended;
                }
            }
        }
    }
}

/// Frames what is written to it. Call [`finish`](Self::finish), or the reader sees a cut body.
#[derive(Debug)]
pub(crate) struct FrameWriter<W> {
    inner: W,
    left: u32,
    started: bool,
    chunk_crc: u32,
    total_crc: u32,
}

impl<W: Write> FrameWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            left: CHUNK_BYTES,
            started: false,
            chunk_crc: 0,
            total_crc: 0,
        }
    }

    /// Writes the CRC of all data and returns the sink.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.start()?;
        self.inner.write_all(&self.total_crc.to_be_bytes())?;
        Ok(self.inner)
    }

    fn start(&mut self) -> io::Result<()> {
        if !self.started {
            self.inner.write_all(&CHUNK_BYTES.to_be_bytes())?;
            self.started = true;
        }
        Ok(())
    }
}

impl<W: Write> Write for FrameWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.start()?;
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (now, _) = data.split_at(data.len().min(left));
        self.inner.write_all(now)?;
        self.chunk_crc = crc32c::crc32c_append(self.chunk_crc, now);
        self.total_crc = crc32c::crc32c_append(self.total_crc, now);
        self.left -= u32::try_from(now.len()).unwrap_or(self.left);
        if self.left == 0 {
            self.inner.write_all(&self.chunk_crc.to_be_bytes())?;
            self.chunk_crc = 0;
            self.left = CHUNK_BYTES;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn wrong_crc(of: &str, expected: u32, found: u32) -> io::Error {
    let text = format!("the CRC of {of} says {expected:08x}, its data give {found:08x}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
