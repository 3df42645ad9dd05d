//! A block on its way: from record batches to the pieces of a request's body.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use bytes::Bytes;
use engine_model::Column;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

use crate::ErrorKind;
use crate::error::Failure;
use crate::wire::frame::CHUNK_BYTES;
use crate::wire::{BodyEncoder, BodyForm, CHUNKS_PER_PIECE, EncodeError};

/// Any error, of a source of rows for one.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The rows of a block, a record batch at a time.
pub type RecordBatches = Box<dyn Iterator<Item = Result<RecordBatch, BoxError>> + Send>;

/// The rows of one block, which can be read again for another try.
pub trait BlockSource: Send + Sync {
    /// Starts from the first row. Called once per try, by the caller of [`Client::put_block`](crate::Client::put_block); the
    /// batches are then taken on a thread that may block. Each try must give the same rows.
    fn open(&self) -> Result<RecordBatches, BoxError>;
}

/// What an uploaded block took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockReceipt {
    /// Rows in the block.
    pub rows: u64,
    /// Bytes of the last try's body.
    pub bytes: u64,
    /// Tries, the successful one included.
    pub tries: u32,
}

/// Pieces that wait for the connection.
const PIECES_QUEUED: usize = 4;

/// Memory of the pieces of one upload, in bytes, without their checksums (4 bytes a chunk): those in the queue, one that
/// waits for a place there, one being filled, and two in the connection. Pieces in record form or compressed are as large
/// as those of chunks, give or take one long record.
///
/// On top come the record batch in progress, of which an Arrow message shares what is aligned and copies the rest, the
/// state of a compressor (some MiB for zstd, less for the others), and the buffers of the system's socket.
pub const UPLOAD_BYTES_MAX: usize = (PIECES_QUEUED + 4) * CHUNKS_PER_PIECE * CHUNK_BYTES;

/// What goes through the queue. A queue that closes without an `End` was cut, and so will the body be.
#[derive(Debug)]
enum Piece {
    Data(Bytes),
    End,
}

/// What went into a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Why a body wasn't encoded to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The rows are at fault.
    Failed(Failure),
    /// The request ended first.
    Abandoned,
}

/// What the body of a block looks like.
#[derive(Clone)]
pub(crate) struct BlockShape {
    pub(crate) form: BodyForm,
    pub(crate) columns: Arc<[Column]>,
    pub(crate) cell_bytes_max: usize,
}

/// The near end of the queue: encodes on the thread that it is called from.
pub(crate) struct Encoder {
    batches: RecordBatches,
    shape: BlockShape,
    pieces: mpsc::Sender<Piece>,
}

/// The far end of the queue, shared with the body. Dropping it closes the queue, so that neither a connection that
/// takes no more bytes nor an early answer can leave the encoder waiting.
pub(crate) struct Queue {
    pieces: Arc<Mutex<mpsc::Receiver<Piece>>>,
    moved: Arc<Moved>,
}

/// What the connection took of a body.
#[derive(Debug, Default)]
struct Moved {
    bytes: AtomicU64,
    ended: AtomicBool,
}

/// A queue from `batches` to a body.
pub(crate) fn queue(batches: RecordBatches, shape: BlockShape) -> (Encoder, Queue) {
    let (sender, receiver) = mpsc::channel(PIECES_QUEUED);
    let queue = Queue {
        pieces: Arc::new(Mutex::new(receiver)),
        moved: Arc::default(),
    };
    (
        Encoder {
            batches,
            shape,
            pieces: sender,
        },
        queue,
    )
}

impl Encoder {
    /// Encodes all batches; blocks while the queue is full.
    pub(crate) fn run(self) -> Result<Sent, Stop> {
        let Self {
            batches,
            shape,
            pieces,
        } = self;
        let mut bytes = 0;
        let hand_on = |piece: Bytes| {
            bytes += piece.len() as u64;
            pieces
                .blocking_send(Piece::Data(piece))
                .map_err(|_| io::ErrorKind::BrokenPipe.into())
        };
        let BlockShape {
            form,
            columns,
            cell_bytes_max,
        } = shape;
        let mut encoder = BodyEncoder::new(form, columns, cell_bytes_max, hand_on)
            .map_err(|error| Failure::new(ErrorKind::Config, error.to_string()))?;
        for batch in batches {
            let batch = batch.map_err(Failure::source)?;
            if batch.num_rows() > 0 {
                encoder.write(&batch)?;
            }
        }
        let rows = encoder.rows();
        if rows == 0 {
            let text = "it has no rows; leave an empty block out";
            return Err(Failure::new(ErrorKind::InvalidRequest, text).into());
        }
        encoder.finish().map_err(|_| Stop::Abandoned)?;
        pieces
            .blocking_send(Piece::End)
            .map_err(|_| Stop::Abandoned)?;
        Ok(Sent { rows, bytes })
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<EncodeError> for Stop {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Rows(error) => {
                Self::Failed(Failure::new(ErrorKind::Unsupported, error.to_string()))
            }
            // Only the queue takes pieces, and it fails by closing.
            EncodeError::Io(_) => Self::Abandoned,
        }
    }
}

impl Queue {
    /// Waits for the first piece and makes a body of it and what follows; nothing when the encoder ended without one.
    /// Rows that fail early are thus found before a request is made.
    pub(crate) async fn body(&self) -> Option<PieceBody> {
        let first = std::future::poll_fn(|context| self.lock().poll_recv(context)).await;
        let Some(Piece::Data(first)) = first else {
            return None;
        };
        Some(PieceBody {
            first: Some(first),
            pieces: Arc::clone(&self.pieces),
            moved: Arc::clone(&self.moved),
        })
    }

    /// Bytes that the connection took so far.
    pub(crate) fn taken(&self) -> u64 {
        self.moved.bytes.load(Ordering::Relaxed)
    }

    /// Whether the connection took the whole body, so that only the answer is missing.
    pub(crate) fn ended(&self) -> bool {
        self.moved.ended.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, mpsc::Receiver<Piece>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut pieces = self.lock();
        pieces.close();
        // What still waits is dropped here: the body may never be asked for it.
        while pieces.try_recv().is_ok() {}
    }
}

/// The body of a block's request.
pub(crate) struct PieceBody {
    first: Option<Bytes>,
    pieces: Arc<Mutex<mpsc::Receiver<Piece>>>,
    moved: Arc<Moved>,
}

impl Body for PieceBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = if let Some(first) = self.first.take() {
            Some(Piece::Data(first))
        } else {
            let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
            ready!(pieces.poll_recv(context))
        };
        Poll::Ready(match piece {
            Some(Piece::Data(data)) => {
                let bytes = &self.moved.bytes;
                bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                Some(Ok(Frame::data(data)))
            }
            Some(Piece::End) => {
                self.moved.ended.store(true, Ordering::Relaxed);
                None
            }
            // An error makes the connection close without the end of the body, so that the server drops the block.
            None => Some(Err("the block was given up before its end".into())),
        })
    }
}
