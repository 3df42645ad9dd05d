//! How the one memory budget is shared out.

use engine_model::limits::{MEMORY_BYTES_MIN, ROW_GROUP_BYTES_MAX};

/// Decoded rows become a record batch at this size or at the share below, in bytes: large enough for encoding to pay,
/// small enough to stay in the cache.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The bytes that each part of the pipeline may hold. Together they stay within the budget: a quarter each for what is
/// fetched and for what is between reading and decoding, and half for rows being encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShares {
    /// Messages that one lane's consumer may fetch ahead.
    pub fetch_bytes_per_lane: usize,
    /// Blocks between readers and workers, all lanes together.
    pub block_bytes: usize,
    /// Row groups in progress, one lane.
    pub row_group_bytes_per_lane: usize,
    /// Decoded rows of one record batch.
    pub batch_bytes: usize,
}

impl MemoryShares {
    /// Shares out `bytes`, at least [`MEMORY_BYTES_MIN`], over `lanes` lanes.
    pub fn new(bytes: u64, lanes: usize) -> Self {
        let bytes = usize::try_from(bytes.max(MEMORY_BYTES_MIN)).unwrap_or(usize::MAX);
        let lanes = lanes.max(1);
        let row_group_bytes_per_lane = (bytes / 2 / lanes).min(ROW_GROUP_BYTES_MAX);
        Self {
            fetch_bytes_per_lane: bytes / 4 / lanes,
            block_bytes: bytes / 4,
            row_group_bytes_per_lane,
            batch_bytes: BATCH_BYTES_MAX.min(row_group_bytes_per_lane / 4),
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
        }
        assert_eq!(
            MemoryShares::new(1, 2),
            MemoryShares::new(MEMORY_BYTES_MIN, 2)
        );
    }
}
