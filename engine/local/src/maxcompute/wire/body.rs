//! Bridges between HTTP bodies, which are async, and the codecs and files, which block.

use std::io::{self, Read, Write};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// A sender that is silent for so long is given up; the service does the same after 120 s.
const IDLE: Duration = Duration::from_mins(2);
/// Pieces of a body between the connection and the thread that decodes it.
const PIECES: usize = 16;
/// Bytes that are read past a failure, so that the client gets to the answer instead of a reset connection.
const DRAIN_BYTES_MAX: usize = 64 << 20;
/// Bytes of one piece of an answer.
const ANSWER_PIECE_BYTES: usize = 64 << 10;

/// A piece of a request body. A body whose last piece isn't [`End`](Self::End) was cut.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    End,
    Broken(io::Error),
}

/// Where [`pump`] sends a body, and the blocking reader at the other end.
pub(crate) fn pipe() -> (mpsc::Sender<Piece>, BodyReader) {
    let (sender, pieces) = mpsc::channel(PIECES);
    (
        sender,
        BodyReader {
            pieces,
            current: Bytes::new(),
            ended: false,
        },
    )
}

/// Sends `body` piece by piece until it ends, breaks or stalls. When the reader has given up, reads on for a while.
pub(crate) async fn pump(mut body: Body, pieces: mpsc::Sender<Piece>) {
    let mut drained = 0;
    loop {
        let piece = match tokio::time::timeout(IDLE, body.frame()).await {
            Ok(None) => Piece::End,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Piece::Data(data),
                Err(_trailers) => continue,
            },
            Ok(Some(Err(error))) => Piece::Broken(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                error.to_string(),
            )),
            Err(_elapsed) => {
                let text = format!("no byte of the body for {} s", IDLE.as_secs());
                Piece::Broken(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        };
        let (bytes, last) = match &piece {
            Piece::Data(data) => (data.len(), false),
            Piece::End | Piece::Broken(_) => (0, true),
        };
        if pieces.send(piece).await.is_err() {
            drained += bytes;
        }
        if last || drained > DRAIN_BYTES_MAX {
            return;
        }
    }
}

/// A request body as `Read`. The end of the input is reported only for a body that arrived whole.
#[derive(Debug)]
pub(crate) struct BodyReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(data)) => self.current = data,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Broken(error)) => return Err(error),
                None => {
                    let text = "the connection was lost inside the body";
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
                }
            }
        }
        let count = self.current.len().min(out.len());
        out[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// The body of an answer, and the blocking writer that fills it.
pub(crate) fn answer() -> (AnswerWriter, Body) {
    let (sender, channel) = Channel::<Bytes, io::Error>::new(PIECES);
    let writer = AnswerWriter {
        sender,
        runtime: Handle::current(),
        piece: BytesMut::new(),
    };
    (writer, Body::new(channel))
}

/// Writes an answer in pieces of 64 KiB from a blocking thread. Ends well only through [`finish`](Self::finish).
pub(crate) struct AnswerWriter {
    sender: Sender<Bytes, io::Error>,
    runtime: Handle,
    piece: BytesMut,
}

impl AnswerWriter {
    /// Sends what is left and ends the body.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.send()
    }

    /// Breaks the connection, so that the client can't take a part for the whole.
    pub(crate) fn abort(self, error: io::Error) {
        self.sender.abort(error);
    }

    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        let sent = self.runtime.block_on(self.sender.send_data(piece));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"))
    }
}

impl Write for AnswerWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(data);
        if self.piece.len() >= ANSWER_PIECE_BYTES {
            self.send()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
