//! Looking at a few messages, for planning, previews and checks.

use std::time::Duration;

use engine_model::{Message, MessageBlock, OffsetRange, TopicPartition};

use crate::error::Result;
use crate::reader::Reader;

/// Messages that a sample of sizes reads, at most.
pub const SAMPLE_MESSAGES_MAX: usize = 100;
/// Bytes after which a probe stops, however few messages that are.
const PROBE_BYTES_MAX: usize = 8 << 20;
/// How long one read of a probe waits; the settings' stall time-out bounds the probe.
const PROBE_WAIT: Duration = Duration::from_secs(1);

impl Reader {
    /// Reads the first messages of `range`, at most `count` of them and about 8 MiB; fewer where the range holds
    /// fewer. Opens the range in place of the one that was open before.
    ///
    /// A reader with the least budget probes fastest: it asks for little at a time.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::read`].
    pub fn read_some(
        &mut self,
        topic_partition: &TopicPartition,
        range: OffsetRange,
        count: usize,
    ) -> Result<MessageBlock> {
        let mut block = MessageBlock::default();
        self.open(topic_partition, range)?;
        loop {
            let progress = self.read(&mut block, count, PROBE_BYTES_MAX, PROBE_WAIT)?;
            let full = block.len() >= count || block.size() >= PROBE_BYTES_MAX;
            // A message that did not fit waits beside the block, and no call would ever take it.
            if progress.done || full || self.holds_back() {
                return Ok(block);
            }
        }
    }

    /// Estimates the mean bytes of key, payload and headers of a message from the first messages of `range`, at most
    /// `count` and [`SAMPLE_MESSAGES_MAX`] of them. `None` where the range holds no message. Headers count only where
    /// the settings ask for them.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::read`].
    pub fn sample_message_bytes(
        &mut self,
        topic_partition: &TopicPartition,
        range: OffsetRange,
        count: usize,
    ) -> Result<Option<u64>> {
        let block = self.read_some(topic_partition, range, count.min(SAMPLE_MESSAGES_MAX))?;
        let bytes: usize = block
            .iter()
            .map(|message: Message<'_>| message.size())
            .sum();
        Ok((!block.is_empty()).then(|| bytes.div_ceil(block.len()) as u64))
    }
}
