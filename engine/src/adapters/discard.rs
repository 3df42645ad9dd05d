//! A table that takes blocks and keeps nothing.

use std::sync::Arc;

use engine_load::ports::{BlockReceipt, BlockSource};
use engine_load::{Error, ErrorKind};
use engine_model::TableColumns;
use engine_model::limits::CELL_BYTES_MAX;
use engine_tunnel::wire::{BodyEncoder, BodyForm};

/// Encodes a block as it would be sent, and drops its bytes.
pub(crate) fn discard(
    form: BodyForm,
    columns: &TableColumns,
    rows: &dyn BlockSource,
) -> Result<BlockReceipt, Error> {
    let failed = |error: &dyn std::error::Error| {
        let message = format!("a block can't be encoded: {error}");
        Error::new(ErrorKind::Target, message)
    };
    let mut bytes = 0;
    let columns = Arc::from(columns.columns.as_slice());
    let mut encoder = BodyEncoder::new(form, columns, CELL_BYTES_MAX, |piece| {
        bytes += piece.len() as u64;
        Ok(())
    })
    .map_err(|error| failed(&error))?;
    for batch in rows.open()? {
        encoder.write(&batch?).map_err(|error| failed(&error))?;
    }
    encoder.finish().map_err(|error| failed(&error))?;
    Ok(BlockReceipt { bytes })
}
