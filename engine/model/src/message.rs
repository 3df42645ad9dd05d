//! Messages, and blocks of them as the reader hands them on.

use std::iter;

/// One Kafka message, borrowed from the block that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Position in the topic partition.
    pub offset: i64,
    /// Create time or log append time, in ms since the epoch; negative where the message has none.
    pub timestamp_ms: i64,
    /// The key's bytes; nothing where the message has no key.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; nothing in a tombstone.
    pub payload: Option<&'a [u8]>,
    /// The headers in message order.
    pub headers: Headers<'a>,
}

impl Message<'_> {
    /// Bytes of key, payload and headers.
    pub fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len)
            + self.payload.map_or(0, <[u8]>::len)
            + self.headers.encoded.len()
    }
}

/// The headers of one message: names and values in order; a name may repeat and a value may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// Per header: name length, name, value length or [`NO_VALUE`], value; lengths are little-endian.
    encoded: &'a [u8],
}

/// In place of a length: there is no value.
const NO_VALUE: u32 = u32::MAX;

impl<'a> Headers<'a> {
    /// Whether the message has no headers.
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// The headers in message order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.encoded;
        iter::from_fn(move || {
            let name = take(&mut rest)??;
            let value = take(&mut rest)?;
            Some((name, value))
        })
    }
}

/// Takes one length-prefixed field off the front: nothing at the end, `Some(None)` for a missing value.
#[expect(
    clippy::option_option,
    reason = "end of the headers and a header without a value differ"
)]
fn take<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if length == NO_VALUE {
        *rest = tail;
        return Some(None);
    }
    let (field, tail) = tail.split_at_checked(length as usize)?;
    *rest = tail;
    Some(Some(field))
}

/// Where one message lies in its block.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: i64,
    timestamp_ms: i64,
    /// Position of the key in the arena; payload and headers follow it.
    position: usize,
    key_length: u32,
    payload_length: u32,
    headers_length: u32,
}

/// Messages of one topic partition, in offset order, their bytes in one arena.
///
/// Blocks are meant to be recycled: [`MessageBlock::clear`] keeps the memory, so that reading allocates nothing per
/// message once the blocks have grown to their size.
#[derive(Debug, Default)]
pub struct MessageBlock {
    arena: Vec<u8>,
    entries: Vec<Entry>,
}

impl MessageBlock {
    /// Messages in the block.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the block holds no message.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys, payloads and headers.
    pub fn size(&self) -> usize {
        self.arena.len()
    }

    /// Bytes that the block keeps allocated.
    pub fn capacity(&self) -> usize {
        self.arena.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Forgets the messages and keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
    }

    /// Gives back memory above `bytes`, so that one giant message does not stay reserved for ever. Call on a cleared
    /// block.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.arena.shrink_to(bytes);
    }

    /// Appends a copy of one message.
    ///
    /// # Panics
    ///
    /// When a field is 4 GiB or longer; a broker refuses messages far below that.
    pub fn push<'h>(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    ) {
        let position = self.arena.len();
        let key_length = self.append(key);
        let payload_length = self.append(payload);
        let headers_start = self.arena.len();
        for (name, value) in headers {
            self.append_prefixed(Some(name));
            self.append_prefixed(value);
        }
        let headers_length = length_of(self.arena.len() - headers_start);
        self.entries.push(Entry {
            offset,
            timestamp_ms,
            position,
            key_length,
            payload_length,
            headers_length,
        });
    }

    /// The message at `index`, counted from 0 within the block.
    pub fn get(&self, index: usize) -> Option<Message<'_>> {
        self.entries.get(index).map(|entry| self.message(entry))
    }

    /// The messages in offset order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        self.entries.iter().map(|entry| self.message(entry))
    }

    fn message(&self, entry: &Entry) -> Message<'_> {
        let mut position = entry.position;
        let mut field = |length: u32| {
            (length != NO_VALUE).then(|| {
                let start = position;
                position += length as usize;
                &self.arena[start..position]
            })
        };
        Message {
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            key: field(entry.key_length),
            payload: field(entry.payload_length),
            headers: Headers {
                encoded: field(entry.headers_length).unwrap_or_default(),
            },
        }
    }

    fn append(&mut self, field: Option<&[u8]>) -> u32 {
        field.map_or(NO_VALUE, |bytes| {
            self.arena.extend_from_slice(bytes);
            length_of(bytes.len())
        })
    }

    fn append_prefixed(&mut self, field: Option<&[u8]>) {
        let length = field.map_or(NO_VALUE, |bytes| length_of(bytes.len()));
        self.arena.extend_from_slice(&length.to_le_bytes());
        self.arena.extend_from_slice(field.unwrap_or_default());
    }
}

fn length_of(bytes: usize) -> u32 {
    u32::try_from(bytes)
        .ok()
        .filter(|length| *length != NO_VALUE)
        .expect("a Kafka message is shorter than 2 GiB: its length is a signed 32-bit number on the wire")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_comes_back() {
        let mut block = MessageBlock::default();
        let headers: [(&[u8], Option<&[u8]>); 3] =
            [(b"h", Some(b"1")), (b"h", None), (b"", Some(b""))];
        block.push(
            7,
            1_000,
            Some(b"key"),
            Some(b"payload"),
            headers.into_iter(),
        );
        block.push(9, 1_001, None, None, iter::empty());
        block.push(10, 1_002, Some(b""), Some(b""), iter::empty());

        let messages: Vec<_> = block.iter().collect();
        assert_eq!(messages[0].key, Some(&b"key"[..]));
        assert_eq!(messages[0].payload, Some(&b"payload"[..]));
        assert_eq!(messages[0].headers.iter().collect::<Vec<_>>(), headers);
        assert_eq!(
            (messages[1].offset, messages[1].key, messages[1].payload),
            (9, None, None)
        );
        assert!(messages[1].headers.is_empty());
        assert_eq!(
            (messages[2].key, messages[2].payload),
            (Some(&b""[..]), Some(&b""[..]))
        );
        assert_eq!(block.len(), 3);

        let capacity = block.capacity();
        block.clear();
        assert_eq!(
            (block.len(), block.size(), block.capacity()),
            (0, 0, capacity)
        );
    }
}
