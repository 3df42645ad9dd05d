//! The few messages of a slice in which fields without a column are looked for.

use std::sync::Arc;

use engine_decode::{MappedFields, UnmappedFinder};
use engine_model::{Message, MessageBlock, MessageFormat, SliceSpec, UnmappedFields};

/// Messages of a slice that are looked at, at most: nothing beside the thousands or millions that it has.
const MESSAGES_MAX: u64 = 16;

/// Picks messages that are evenly spread over the offsets of a slice, so that a field that came up half-way is seen too.
/// The plan decides which: a slice that is read again shows the same.
pub(crate) struct FieldSampler {
    /// Nothing where there is nothing to look for.
    finder: Option<UnmappedFinder>,
    /// Offsets from one pick to the next.
    step: u64,
    /// Offsets of the slice before the next pick; the first message at or behind it is picked.
    next: u64,
    /// Offsets of the slice before the range under way.
    passed: u64,
}

impl FieldSampler {
    pub(crate) fn new(mapped: Option<Arc<MappedFields>>, format: &MessageFormat) -> Self {
        Self {
            finder: mapped.map(|mapped| UnmappedFinder::new(mapped, format)),
            step: 1,
            next: 0,
            passed: 0,
        }
    }

    /// Begins a slice.
    pub(crate) fn begin(&mut self, slice: &SliceSpec) {
        let offsets: u64 = slice.ranges.iter().map(|range| range.range.len()).sum();
        self.step = offsets.div_ceil(MESSAGES_MAX).max(1);
        (self.next, self.passed) = (0, 0);
    }

    /// Picks messages of a block of the range that begins at offset `start`, and looks at those that are `wanted`.
    pub(crate) fn look(
        &mut self,
        block: &MessageBlock,
        start: i64,
        wanted: impl Fn(&Message<'_>) -> bool,
    ) {
        let Some(finder) = &mut self.finder else {
            return;
        };
        let Some(last) = block.len().checked_sub(1).and_then(|last| block.get(last)) else {
            return;
        };
        let position = |message: &Message<'_>| self.passed + message.offset.abs_diff(start);
        // Most blocks have nothing to pick: one comparison tells.
        if position(&last) < self.next {
            return;
        }
        for message in block.iter() {
            let position = position(&message);
            if position < self.next {
                continue;
            }
            self.next = (position / self.step + 1) * self.step;
            if let Some(payload) = message.payload.filter(|_| wanted(&message)) {
                finder.observe(payload);
            }
        }
    }

    /// Ends a range of so many offsets.
    pub(crate) fn end_range(&mut self, offsets: u64) {
        self.passed += offsets;
    }

    /// What the slice's messages showed.
    pub(crate) fn take(&mut self) -> UnmappedFields {
        let found = self.finder.as_mut().map(UnmappedFinder::take);
        found.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use engine_model::{
        ColumnMapping, ColumnSource, OffsetRange, SLICE_FORMAT, SliceRange, TopicPartition,
    };

    use super::*;

    /// The offsets that are picked, where the messages of each range come in blocks of `block` offsets.
    fn picked(ranges: &[(i64, i64)], block: usize, exists: impl Fn(i64) -> bool) -> Vec<i64> {
        let path = ColumnSource::Path("mapped".parse().unwrap());
        let mapped = MappedFields::new(&[ColumnMapping::new("a", path)]);
        let mut sampler = FieldSampler::new(mapped.map(Arc::new), &MessageFormat::default());
        let range = |(start, end): &(i64, i64)| SliceRange {
            topic_partition: TopicPartition::new("orders", 0),
            range: OffsetRange {
                start: *start,
                end: *end,
            },
            windows: vec![0],
        };
        let slice = SliceSpec {
            format: SLICE_FORMAT,
            number: 0,
            block_ids: BTreeMap::new(),
            ranges: ranges.iter().map(range).collect(),
        };
        sampler.begin(&slice);
        for (start, end) in ranges {
            let offsets: Vec<i64> = (*start..*end).filter(|offset| exists(*offset)).collect();
            for offsets in offsets.chunks(block) {
                let mut block = MessageBlock::default();
                for offset in offsets {
                    let payload = format!("{{\"{offset}\":0}}");
                    block.push(
                        *offset,
                        0,
                        None,
                        Some(payload.as_bytes()),
                        std::iter::empty(),
                    );
                }
                sampler.look(&block, *start, |_| true);
            }
            sampler.end_range(start.abs_diff(*end));
        }
        let found = sampler.take();
        let mut offsets: Vec<i64> = found
            .fields
            .keys()
            .map(|key| key.parse().unwrap())
            .collect();
        offsets.sort_unstable();
        offsets
    }

    #[test]
    fn picks_are_spread_over_the_slice_whatever_the_blocks() {
        let expected: Vec<i64> = (0..16).map(|pick| 100 + pick * 50).collect();
        for block in [1, 7, 50, 1_000] {
            assert_eq!(picked(&[(100, 900)], block, |_| true), expected, "{block}");
        }
        assert_eq!(picked(&[(5, 8)], 10, |_| true), [5, 6, 7]);
        assert!(picked(&[(0, 0)], 10, |_| true).is_empty());
    }

    #[test]
    fn ranges_and_holes_are_passed_over() {
        // 8 picks in each of both ranges.
        let both = picked(&[(0, 80), (1_000, 1_080)], 9, |_| true);
        assert_eq!(both.len(), 16);
        assert_eq!(both[7..9], [70, 1_000]);
        let holes = picked(&[(0, 160)], 9, |offset| !(5..57).contains(&offset));
        assert_eq!(holes[..3], [0, 57, 60]);
        let end = picked(&[(0, 80), (1_000, 1_080)], 9, |offset| {
            !(60..=1_003).contains(&offset)
        });
        assert_eq!(end[5..8], [50, 1_004, 1_010]);
    }

    #[test]
    fn nothing_is_looked_at_where_no_field_is_mapped() {
        let mut sampler = FieldSampler::new(None, &MessageFormat::default());
        let mut block = MessageBlock::default();
        block.push(0, 0, None, Some(b"{\"a\":0}"), std::iter::empty());
        sampler.look(&block, 0, |_| true);
        assert!(sampler.take().is_empty());
    }
}
