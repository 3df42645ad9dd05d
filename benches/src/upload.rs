//! Rows to the body of a block.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder, StreamWriter};
use engine_tunnel::wire::frame::{CHUNK_BYTES, Framer};

use crate::Result;

/// Chunks that a piece of the body has, as the client sends them.
const CHUNKS_PER_PIECE: usize = 4;

/// The tunnel's body: messages of Arrow's IPC without a schema, cut into chunks with checksums. Pieces go to `take` in
/// order.
pub fn tunnel_body(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    mut take: impl FnMut(&[u8]),
) -> Result<()> {
    let mut encoder = StreamEncoder::try_new_with_options(schema, options()?)?;
    // The first batch brings the schema along.
    encoder.encode(&RecordBatch::new_empty(SchemaRef::clone(schema)))?;
    let mut framer = Framer::new(CHUNK_BYTES, CHUNKS_PER_PIECE);
    for batch in batches {
        for buffer in encoder.encode(batch)? {
            let mut rest = buffer.as_slice();
            while let Some(piece) = framer.push(&mut rest) {
                take(&piece);
            }
        }
    }
    take(&framer.finish());
    Ok(())
}

/// A plain stream of Arrow's IPC; what each batch becomes goes to `take`.
pub fn plain_stream(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    mut take: impl FnMut(&[u8]),
) -> Result<()> {
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), schema, options()?)?;
    for batch in batches {
        writer.write(batch)?;
        take(writer.get_ref());
        writer.get_mut().clear();
    }
    writer.finish()?;
    take(writer.get_ref());
    Ok(())
}

/// The alignment and the version of metadata that the tunnel wants.
fn options() -> Result<IpcWriteOptions> {
    Ok(IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?)
}
