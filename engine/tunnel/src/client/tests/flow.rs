//! Many blocks at once to a server that takes only some.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::server::Server;
use super::upload::{Ids, session};
use super::*;
use crate::{RetryPolicy, SystemClock};

/// Blocks that the server takes at once.
const TOKENS: usize = 3;
/// How long it works on one.
const WORK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Counts {
    at_work: AtomicUsize,
    most_at_work: AtomicUsize,
    refused: AtomicUsize,
    taken: AtomicUsize,
}

/// Answers blocks on one connection: takes those that there is a token for, and refuses the others with 429.
async fn serve(mut stream: TcpStream, counts: Arc<Counts>) {
    let mut input = Vec::new();
    loop {
        // The end of a chunked body; a block of these tests holds no such bytes.
        while !input.ends_with(b"\r\n0\r\n\r\n") {
            match stream.read_buf(&mut input).await {
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
        input.clear();
        let at_work = counts.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = if at_work <= TOKENS {
            counts.most_at_work.fetch_max(at_work, Ordering::SeqCst);
            tokio::time::sleep(WORK).await;
            counts.taken.fetch_add(1, Ordering::SeqCst);
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        } else {
            counts.refused.fetch_add(1, Ordering::SeqCst);
            "HTTP/1.1 429 Slow\r\nContent-Length: 23\r\n\r\n{\"Code\":\"FlowExceeded\"}"
        };
        counts.at_work.fetch_sub(1, Ordering::SeqCst);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_block_fails_where_a_server_takes_fewer_than_come() {
    const BLOCKS: u32 = 120;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Arc::new(Counts::default());
    let mut server = JoinSet::new();
    let of_server = Arc::clone(&counts);
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, Arc::clone(&of_server)));
        }
    });
    let unused = Server::start([]).await;
    let mut config = config(&unused);
    config.tunnel_endpoint = Some(format!("http://{address}"));
    config.retry = RetryPolicy {
        wait_min: WORK,
        wait_max: WORK * 8,
        ..RetryPolicy::default()
    };
    let client = Client::new(config, Arc::new(SystemClock::start())).unwrap();
    let mut uploads = JoinSet::new();
    for lane in 0..12 {
        let client = client.clone();
        uploads.spawn(async move {
            let mut tries = 0;
            for block in (lane..BLOCKS).step_by(12) {
                let rows = Ids::new([Some(vec![1])]);
                tries += client
                    .put_block(&session(), block, &rows)
                    .await
                    .unwrap()
                    .tries;
            }
            tries
        });
    }
    let mut tries = 0;
    while let Some(done) = uploads.join_next().await {
        tries += done.unwrap();
    }
    let (taken, refused) = (
        counts.taken.load(Ordering::SeqCst),
        counts.refused.load(Ordering::SeqCst),
    );
    assert_eq!(taken, BLOCKS as usize);
    assert_eq!(tries as usize, taken + refused);
    assert!(counts.most_at_work.load(Ordering::SeqCst) <= TOKENS);
    // Without a gate each of the twelve would be refused time and again: three of four come too much.
    assert!(refused <= 12 + BLOCKS as usize / 4, "{refused} refusals");
    assert!(refused > 0);
}
