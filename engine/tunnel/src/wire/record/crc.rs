//! The checksum of one record while its values pass by.

use crc32c::crc32c_append;

/// Values that are collected before the checksum takes them: it is fast on long runs only.
const PENDING_BYTES: usize = 256;

/// A running CRC-32C. Aligned, because the checksum takes eight bytes at a time from there.
#[repr(align(8))]
pub(super) struct Crc {
    pending: [u8; PENDING_BYTES],
    filled: usize,
    sum: u32,
}

impl Crc {
    pub(super) fn new() -> Self {
        Self {
            pending: [0; PENDING_BYTES],
            filled: 0,
            sum: 0,
        }
    }

    pub(super) fn fixed<const BYTES: usize>(&mut self, bytes: [u8; BYTES]) {
        if PENDING_BYTES - self.filled < BYTES {
            self.flush();
        }
        if let Some(place) = self.pending.get_mut(self.filled..self.filled + BYTES) {
            place.copy_from_slice(&bytes);
            self.filled += BYTES;
        }
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        if let Some(place) = self.pending.get_mut(self.filled..self.filled + text.len()) {
            place.copy_from_slice(text);
            self.filled += text.len();
            return;
        }
        self.flush();
        self.sum = crc32c_append(self.sum, text);
    }

    /// The checksum of everything since the last call.
    pub(super) fn take(&mut self) -> u32 {
        self.flush();
        std::mem::take(&mut self.sum)
    }

    fn flush(&mut self) {
        self.sum = crc32c_append(self.sum, self.pending.split_at(self.filled).0);
        self.filled = 0;
    }
}
