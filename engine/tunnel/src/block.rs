//! A block on its way: from record batches to the pieces of a request's body.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use engine_model::Column;
use http_body::{Body, Frame};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::ErrorKind;
use crate::bandwidth::{TURN_BYTES_MAX, UploadLimit};
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
    pieces: Pieces,
}

/// Where the encoder's pieces go.
struct Pieces {
    queue: mpsc::Sender<Piece>,
    /// Nothing where they go as fast as the connection takes them.
    limit: Option<Arc<UploadLimit>>,
    moved: Arc<Moved>,
}

/// The far end of the queue, shared with the body. Dropping it closes the queue, so that neither a connection that
/// takes no more bytes nor an early answer can leave the encoder waiting.
pub(crate) struct Queue {
    pieces: Arc<Mutex<mpsc::Receiver<Piece>>>,
    moved: Arc<Moved>,
}

/// What the connection took of a body, and what the limit kept from it.
#[derive(Debug, Default)]
struct Moved {
    bytes: AtomicU64,
    ended: AtomicBool,
    /// The next piece waits for its turn under the limit.
    is_held_up: AtomicBool,
    /// How long pieces did.
    held_up_ns: AtomicU64,
}

/// A queue from `batches` to a body, through which bytes go as fast as `limit` allows.
pub(crate) fn queue(
    batches: RecordBatches,
    shape: BlockShape,
    limit: Option<Arc<UploadLimit>>,
) -> (Encoder, Queue) {
    let (sender, receiver) = mpsc::channel(PIECES_QUEUED);
    let moved = Arc::<Moved>::default();
    let pieces = Pieces {
        queue: sender,
        limit,
        moved: Arc::clone(&moved),
    };
    let queue = Queue {
        pieces: Arc::new(Mutex::new(receiver)),
        moved,
    };
    (
        Encoder {
            batches,
            shape,
            pieces,
        },
        queue,
    )
}

impl Pieces {
    /// Hands a piece on; blocks while it has to wait for its turn and while the queue is full.
    fn hand_on(&self, mut piece: Bytes) -> io::Result<()> {
        let Some(limit) = &self.limit else {
            return self.send(Piece::Data(piece));
        };
        while !piece.is_empty() {
            let part = piece.split_to(piece.len().min(TURN_BYTES_MAX));
            self.turn(limit, part.len())?;
            self.send(Piece::Data(part))?;
        }
        Ok(())
    }

    /// Waits for the turn of so many bytes, but no longer than for the end of the request.
    fn turn(&self, limit: &UploadLimit, bytes: usize) -> io::Result<()> {
        self.moved.is_held_up.store(true, Ordering::Relaxed);
        let began = limit.clock().elapsed();
        let turn = Handle::current().block_on(async {
            tokio::select! {
                biased;
                () = self.queue.closed() => Err(io::ErrorKind::BrokenPipe.into()),
                () = limit.turn(bytes) => Ok(()),
            }
        });
        let held_up = limit.clock().elapsed().saturating_sub(began);
        let held_up_ns = u64::try_from(held_up.as_nanos()).unwrap_or(u64::MAX);
        self.moved
            .held_up_ns
            .fetch_add(held_up_ns, Ordering::Relaxed);
        self.moved.is_held_up.store(false, Ordering::Relaxed);
        turn
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        let sent = self.queue.blocking_send(piece);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Encoder {
    /// Encodes all batches, on a thread of the runtime that may block; blocks while the queue is full, and for the limit.
    pub(crate) fn run(self) -> Result<Sent, Stop> {
        let Self {
            batches,
            shape,
            pieces,
        } = self;
        let mut bytes = 0;
        let hand_on = |piece: Bytes| {
            bytes += piece.len() as u64;
            pieces.hand_on(piece)
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
        pieces.send(Piece::End).map_err(|_| Stop::Abandoned)?;
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

    /// Whether the next piece waits for its turn under the limit, so that nothing is to be expected of the connection.
    pub(crate) fn is_held_up(&self) -> bool {
        self.moved.is_held_up.load(Ordering::Relaxed)
    }

    /// How long pieces waited for their turns so far.
    pub(crate) fn held_up(&self) -> Duration {
        Duration::from_nanos(self.moved.held_up_ns.load(Ordering::Relaxed))
    }

    /// Ends the encoder, whatever it waits for.
    pub(crate) fn close(&self) {
        let mut pieces = self.lock();
        pieces.close();
        // What still waits is dropped here: the body may never be asked for it.
        while pieces.try_recv().is_ok() {}
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, mpsc::Receiver<Piece>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.close();
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
