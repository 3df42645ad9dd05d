//! Rows to the body of a block.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

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

/// Sends the [tunnel body](tunnel_body) as block 0 to the server at `endpoint` through a socket, as chunks of HTTP/1.1, and waits
/// for the answer.
///
/// # Errors
///
/// Those of the socket, or the server refuses.
pub fn raw_socket(endpoint: &str, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<()> {
    let host = endpoint
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .ok_or("the endpoint has no host")?;
    let mut socket = TcpStream::connect(host)?;
    socket.set_nodelay(true)?;
    write!(
        socket,
        "PUT /api/block?uploadid=one&blockid=0 HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n"
    )?;
    let mut failed = Ok(());
    tunnel_body(schema, batches, |piece| {
        if failed.is_ok() {
            failed = write_chunk(&mut socket, piece);
        }
    })?;
    failed?;
    socket.write_all(b"0\r\n\r\n")?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer)?;
    if answer != *b"HTTP/1.1 200" {
        return Err(format!("the server answers {}", String::from_utf8_lossy(&answer)).into());
    }
    Ok(())
}

fn write_chunk(socket: &mut TcpStream, piece: &[u8]) -> io::Result<()> {
    write!(socket, "{:x}\r\n", piece.len())?;
    socket.write_all(piece)?;
    socket.write_all(b"\r\n")
}
