//! Connections: frames in, frames out, one request after the other.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::cluster::{Cluster, Endpoint};
use super::dispatch::{self, Request};
use super::error::{Error, ErrorKind};
use super::limits::{ACCEPT_RETRY, CONNECTIONS_MAX, REQUEST_BYTES_MAX, REQUEST_BYTES_MIN};
use super::stop::Stop;

/// What every connection needs.
#[derive(Debug)]
pub(super) struct Server {
    /// The state behind the requests.
    pub(super) cluster: Arc<Cluster>,
    /// What clients are told to connect to.
    pub(super) endpoint: Endpoint,
    /// Why a connection was closed last.
    pub(super) last_refusal: Mutex<Option<Error>>,
}

impl Server {
    /// Accepts connections until `stop`, then lets each finish the request that it is at.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, stop: Stop) {
        let mut connections = JoinSet::new();
        let mut stopped = stop.clone();
        loop {
            tokio::select! {
                () = stopped.told() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                        let server = Arc::clone(&self);
                        let stop = stop.clone();
                        connections.spawn(async move { server.connection(stream, stop).await });
                    }
                    Ok(_) => self.refused(Error::malformed(format!(
                        "more than {CONNECTIONS_MAX} connections at once"
                    ))),
                    Err(error) => {
                        self.refused(
                            Error::new(ErrorKind::Io, "cannot accept a connection").with_source(error),
                        );
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(&self, mut stream: TcpStream, mut stop: Stop) {
        if let Err(error) = self.serve(&mut stream, &mut stop).await {
            self.refused(error);
        }
    }

    async fn serve(&self, stream: &mut TcpStream, stop: &mut Stop) -> Result<(), Error> {
        // Clients wait for each response: without this its last packet waits for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(connection_lost)?;
        loop {
            let frame = tokio::select! {
                frame = read_frame(stream) => frame?,
                () = stop.told() => return Ok(()),
            };
            let Some(frame) = frame else {
                return Ok(());
            };
            let request = Request::read(frame)?;
            let response = dispatch::answer(&self.cluster, &self.endpoint, request, stop).await?;
            if let Some(response) = response
                && stream.write_all(&response).await.is_err()
            {
                // Who doesn't wait for the response doesn't need it.
                return Ok(());
            }
        }
    }

    fn refused(&self, error: Error) {
        *self
            .last_refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Reads one request; `None` when the client is gone.
async fn read_frame(stream: &mut TcpStream) -> Result<Option<Bytes>, Error> {
    let Ok(length) = stream.read_i32().await else {
        return Ok(None);
    };
    let bytes = u32::try_from(length)
        .ok()
        .filter(|bytes| (REQUEST_BYTES_MIN..=REQUEST_BYTES_MAX).contains(bytes))
        .ok_or_else(|| {
            Error::malformed(format!(
                "a request states {length} bytes; they are between {REQUEST_BYTES_MIN} and {REQUEST_BYTES_MAX}"
            ))
        })? as usize;
    let mut frame = BytesMut::with_capacity(bytes);
    while frame.len() < bytes {
        let missing = (bytes - frame.len()) as u64;
        match stream.take(missing).read_buf(&mut frame).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Ok(None),
        }
    }
    Ok(Some(frame.freeze()))
}

fn connection_lost(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "a connection was lost").with_source(error)
}
