//! A server that follows a script: the next request gets the next reply.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What the server does about one request.
pub(super) enum Reply {
    /// Reads the whole request, then answers.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Answers before it reads the body, and then discards what comes.
    Early(u16, &'static str),
    /// Reads the whole request, then closes the connection.
    Cut,
    /// Reads the head and nothing more, and never answers.
    Hang,
}

pub(super) fn answer(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply::Answer {
        status,
        headers: Vec::new(),
        body: body.into(),
    }
}

impl Reply {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

/// What arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    /// `GET /api/projects/p?curr_project=p`.
    pub(super) line: String,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(super) whole: bool,
}

impl Arrived {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

pub(super) struct Server {
    pub(super) address: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    script: Arc<Mutex<VecDeque<Reply>>>,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// A stream of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Server {
    pub(super) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_with(None, script).await
    }

    /// With `tls` the server speaks it, and closes connections that don't come to terms.
    pub(super) async fn start_with(
        tls: Option<native_tls::Identity>,
        script: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let tls = tls.map(|identity| {
            let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
            tokio_native_tls::TlsAcceptor::from(acceptor)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let (script_of_tasks, arrivals) = (Arc::clone(&script), Arc::clone(&arrived));
        let count = Arc::clone(&accepted);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (script, arrivals) = (Arc::clone(&script_of_tasks), Arc::clone(&arrivals));
                let tls = tls.clone();
                connections.spawn(async move {
                    let stream: Box<dyn Stream> = match tls {
                        None => Box::new(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    serve(stream, script, arrivals).await;
                });
            }
        });
        Self {
            address,
            arrived,
            script,
            accepted,
            _tasks: tasks,
        }
    }

    /// What arrived so far.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// Replies for what comes after the script.
    pub(super) fn go_on(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script.lock().unwrap().extend(replies);
    }

    /// Leaves out the replies that nobody asked for.
    pub(super) fn forget_script(&self) {
        self.script.lock().unwrap().clear();
    }

    /// Connections that were made so far.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The request lines, and that the script was used up.
    pub(super) fn lines(&self) -> Vec<String> {
        assert_eq!(
            self.script.lock().unwrap().len(),
            0,
            "replies that nobody asked for"
        );
        self.arrived()
            .into_iter()
            .map(|arrived| arrived.line)
            .collect()
    }
}

async fn serve(
    mut stream: Box<dyn Stream>,
    script: Arc<Mutex<VecDeque<Reply>>>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
) {
    let mut input = Vec::new();
    loop {
        let Some(end) = read_until(&mut stream, &mut input, b"\r\n\r\n").await else {
            return;
        };
        let head = String::from_utf8(input.drain(..end).collect()).unwrap();
        let line = head
            .lines()
            .next()
            .unwrap()
            .trim_end_matches(" HTTP/1.1")
            .to_owned();
        let reply = script.lock().unwrap().pop_front();
        let mut request = Arrived {
            line,
            head,
            body: Vec::new(),
            whole: false,
        };
        if let Some(Reply::Early(status, body)) = reply {
            arrived.lock().unwrap().push(request);
            write(&mut stream, status, &[], body.as_bytes()).await;
            while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
                input.clear();
            }
            return;
        }
        if let Some(Reply::Hang) = reply {
            arrived.lock().unwrap().push(request);
            return std::future::pending().await;
        }
        request.whole = read_body(&mut stream, &mut input, &mut request)
            .await
            .is_some();
        let whole = request.whole;
        arrived.lock().unwrap().push(request);
        match reply {
            Some(Reply::Answer {
                status,
                headers,
                body,
            }) if whole => {
                write(&mut stream, status, &headers, &body).await;
            }
            None => write(&mut stream, 500, &[], b"the script has ended").await,
            _ => return,
        }
    }
}

async fn write(stream: &mut impl Stream, status: u16, headers: &[(&str, String)], body: &[u8]) {
    let mut head = format!(
        "HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.extend([*name, ": ", value.as_str(), "\r\n"]);
    }
    // The client may be gone already; the next read says so.
    let _gone = stream
        .write_all(&[head.as_bytes(), b"\r\n", body].concat())
        .await;
}

/// Reads until `input` has `mark` in it, and returns the position behind it.
async fn read_until(stream: &mut impl Stream, input: &mut Vec<u8>, mark: &[u8]) -> Option<usize> {
    loop {
        if let Some(at) = input.windows(mark.len()).position(|window| window == mark) {
            return Some(at + mark.len());
        }
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}

async fn read_exact(
    stream: &mut impl Stream,
    input: &mut Vec<u8>,
    length: usize,
) -> Option<Vec<u8>> {
    while input.len() < length {
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
    Some(input.drain(..length).collect())
}

async fn read_body(
    stream: &mut impl Stream,
    input: &mut Vec<u8>,
    request: &mut Arrived,
) -> Option<()> {
    if request.header("transfer-encoding").is_none() {
        let length = request
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        request.body = read_exact(stream, input, length).await?;
        return Some(());
    }
    loop {
        let end = read_until(stream, input, b"\r\n").await?;
        let line: Vec<u8> = input.drain(..end).collect();
        let length = std::str::from_utf8(&line).unwrap().trim();
        let length = usize::from_str_radix(length, 16).unwrap();
        let chunk = read_exact(stream, input, length + 2).await?;
        if length == 0 {
            return Some(());
        }
        request.body.extend_from_slice(&chunk[..length]);
    }
}
