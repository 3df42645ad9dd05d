//! How the one memory budget is shared out.

use engine_model::limits::{BLOCK_BYTES_TARGET, MEMORY_BYTES_MIN, ROW_GROUP_BYTES_MAX};

/// Decoded rows become a record batch at this size or at the share below, in bytes: large enough for encoding to pay,
/// small enough to stay in the cache.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Blocks are no smaller than this, however many lanes there are: handing them on costs a lock or two each.
const BLOCK_BYTES_MIN: usize = 64 << 10;

/// Bytes of the budget for which one block more is uploaded at once. An upload holds some MiB: pages of the staged file's columns, a
/// batch of rows, and pieces of the body.
const BYTES_PER_UPLOAD: usize = 24 << 20;
/// Blocks that are uploaded at once, at most. One connection to the service carries about 10 MB/s, so a few together fill a fast
/// network; a server that wants fewer says so, and gets fewer.
const UPLOADS_MAX: usize = 64;

/// The bytes that each part of the pipeline may hold.
///
/// The shares are less than the budget together, for none of them is all that its part takes: librdkafka keeps about as much
/// again for the objects of small messages, decoders hold a batch in each column's buffer and the next one's room, and uploads
/// hold pages of staged files and pieces of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShares {
    /// Messages that one lane's consumer may fetch ahead: a twelfth of the budget, all lanes together.
    pub fetch_bytes_per_lane: usize,
    /// Blocks between readers and workers, all lanes together: a twelfth. More make nothing faster, and leave the caches.
    pub block_bytes: usize,
    /// Each of these, as long as its messages aren't longer: two fit for each lane, up to 64 by default, so that all lanes work while
    /// as many are read.
    pub block_bytes_each: usize,
    /// Row groups in progress, one lane: a twenty-fourth, all lanes together. Larger ones make nothing faster, and leave the caches.
    pub row_group_bytes_per_lane: usize,
    /// Decoded rows of one record batch.
    pub batch_bytes: usize,
    /// Blocks that are uploaded at once.
    pub uploads: usize,
}

impl MemoryShares {
    /// Shares out `bytes`, at least [`MEMORY_BYTES_MIN`], over `lanes` lanes.
    pub fn new(bytes: u64, lanes: usize) -> Self {
        let bytes = usize::try_from(bytes.max(MEMORY_BYTES_MIN)).unwrap_or(usize::MAX);
        let lanes = lanes.max(1);
        let row_group_bytes_per_lane = (bytes / 24 / lanes).min(ROW_GROUP_BYTES_MAX);
        Self {
            fetch_bytes_per_lane: bytes / 12 / lanes,
            block_bytes: bytes / 12,
            block_bytes_each: (bytes / 12 / (2 * lanes)).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_TARGET),
            row_group_bytes_per_lane,
            batch_bytes: BATCH_BYTES_MAX.min(row_group_bytes_per_lane / 4),
            uploads: (bytes / BYTES_PER_UPLOAD).clamp(1, UPLOADS_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_stay_within_the_budget() {
        for lanes in [1, 2, 7, 64] {
            let shares = MemoryShares::new(96 << 20, lanes);
            let per_lane = shares.fetch_bytes_per_lane + shares.row_group_bytes_per_lane;
            assert!(
                per_lane * lanes + shares.block_bytes <= 96 << 20,
                "{lanes} lanes"
            );
            assert!(shares.batch_bytes > 0);
            assert!(
                2 * lanes * shares.block_bytes_each <= shares.block_bytes,
                "{lanes} lanes"
            );
        }
        for (bytes, uploads) in [(1, 1), (96 << 20, 4), (1 << 40, UPLOADS_MAX)] {
            assert_eq!(MemoryShares::new(bytes, 2).uploads, uploads);
        }
        assert_eq!(
            MemoryShares::new(1, 2),
            MemoryShares::new(MEMORY_BYTES_MIN, 2)
        );
    }
}
