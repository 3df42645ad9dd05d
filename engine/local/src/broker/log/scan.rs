//! Building a log's index from its file.

use std::fs::OpenOptions;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::super::batch::{BatchHeader, HEADER_BYTES};
use super::super::limits::{BATCH_BYTES_MAX, SCAN_BUFFER_BYTES};
use super::index::LogIndex;
use super::producers::Producers;

/// Reads the whole log and checks every CRC. From the first batch on that isn't whole the file is cut off, as Kafka does
/// after a crash; a log that isn't there is begun.
pub(super) fn recover(path: &Path) -> io::Result<(LogIndex, Producers)> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let stored_bytes = file.metadata()?.len();
    let mut index = LogIndex::default();
    let mut producers = Producers::default();
    let mut reader = BufReader::with_capacity(SCAN_BUFFER_BYTES, &file);
    let mut batch = Vec::new();
    while let Some(header) = next_whole(&mut reader, &mut batch, index.high_watermark())? {
        index.push(&header);
        producers.remember(&header);
    }
    if index.end_position() < stored_bytes {
        file.set_len(index.end_position())?;
    }
    Ok((index, producers))
}

/// Reads one batch into `batch`; `None` where the file ends or what follows is no whole batch at or after `offset_min`.
fn next_whole(
    reader: &mut impl Read,
    batch: &mut Vec<u8>,
    offset_min: i64,
) -> io::Result<Option<BatchHeader>> {
    batch.clear();
    if reader.take(HEADER_BYTES as u64).read_to_end(batch)? < HEADER_BYTES {
        return Ok(None);
    }
    let Ok(header) = BatchHeader::read(batch) else {
        return Ok(None);
    };
    if header.batch_bytes > BATCH_BYTES_MAX as usize || header.base_offset < offset_min {
        return Ok(None);
    }
    let records_bytes = header.batch_bytes - HEADER_BYTES;
    if reader.take(records_bytes as u64).read_to_end(batch)? < records_bytes {
        return Ok(None);
    }
    Ok(header.check(batch).is_ok().then_some(header))
}
