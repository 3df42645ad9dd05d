//! Uploads that may send only so many bytes in a second.

use std::sync::atomic::AtomicUsize;

use engine_model::ByteRate;
use engine_model::job::Compression;

use super::server::{Reply, Server, answer};
use super::upload::{Endless, Ids, session};
use super::*;
use crate::{ErrorKind, SystemClock};

fn limited(server: &Server, bytes_per_second: u64) -> ClientConfig {
    ClientConfig {
        upload_rate: ByteRate::new(bytes_per_second),
        ..config(server)
    }
}

/// About 2.4 MB.
fn rows() -> Ids {
    Ids::new((0..300).map(|n| Some((n * 1000..(n + 1) * 1000).collect())))
}

/// The time that so many bytes take at this rate.
fn time_of(bytes: u64, bytes_per_second: u64) -> Duration {
    ByteRate::new(bytes_per_second).unwrap().time_of(bytes)
}

#[tokio::test]
async fn a_block_takes_as_long_as_its_bytes() {
    for compression in [Compression::None, Compression::Lz4] {
        let server = Server::start([answer(200, ""), answer(200, "")]).await;
        let mut config = limited(&server, 100_000);
        config.compression = compression;
        let (client, clock) = client(config);
        let mut bytes = 0;
        for block in 0..2 {
            let receipt = client.put_block(&session(), block, &rows()).await.unwrap();
            assert_eq!((receipt.rows, receipt.tries), (300_000, 1));
            bytes += receipt.bytes;
            // What goes over the line counts, once it is compressed, and one block after the other.
            assert_eq!(clock.elapsed(), time_of(bytes, 100_000), "{compression:?}");
        }
        let arrived: usize = server.arrived().iter().map(|it| it.body.len()).sum();
        assert_eq!(arrived as u64, bytes);
    }
}

#[tokio::test]
async fn time_that_the_limit_takes_ends_no_tries() {
    let busy = || answer(503, r#"{"Code":"ServiceUnavailable","Message":"busy"}"#);
    let server = Server::start([busy(), busy(), answer(200, "")]).await;
    let mut config = limited(&server, 1_000);
    config.retry.deadline = Duration::from_mins(1);
    let (client, clock) = client(config);
    let receipt = client.put_block(&session(), 0, &rows()).await.unwrap();
    assert_eq!(receipt.tries, 3);
    assert!(clock.elapsed() >= time_of(3 * receipt.bytes, 1_000));
}

#[tokio::test]
async fn uploads_share_one_rate_and_waiting_for_it_is_no_stall() {
    const RATE: u64 = 500_000;
    let server = Server::start((0..4).map(|_| answer(200, ""))).await;
    let mut config = limited(&server, RATE);
    // Two uploads send pieces of up to 256 KiB in turn, so that each has one a second.
    config.timeouts.stall = Duration::from_millis(200);
    config.retry.tries_max = 1;
    let clock = Arc::new(SystemClock::start());
    let client = Client::new(config, Arc::<SystemClock>::clone(&clock)).unwrap();
    let (session, began) = (session(), clock.elapsed());
    let half = Ids::new([Some((0..60_000).collect())]);
    let other = Ids::new([Some((0..60_000).collect())]);
    let (one, two) = tokio::join!(
        client.put_block(&session, 0, &half),
        client.put_block(&session, 1, &other),
    );
    let bytes = one.unwrap().bytes + two.unwrap().bytes;
    // Slower is possible on a busy machine, faster is not.
    let took = clock.elapsed().saturating_sub(began);
    assert!(took >= time_of(bytes, RATE), "{bytes} bytes in {took:?}");
}

#[tokio::test]
async fn a_refusal_ends_a_block_that_waits_for_its_turn() {
    let server = Server::start([Reply::Early(
        403,
        r#"{"Code":"AccessDenied","Message":"no"}"#,
    )])
    .await;
    let clock = Arc::new(FirstWaitOnly::default());
    let config = limited(&server, 128 << 10);
    let client = Client::new(config, Arc::<FirstWaitOnly>::clone(&clock)).unwrap();
    let rows = Endless(Arc::default());
    let error = client.put_block(&session(), 0, &rows).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_dropped_upload_that_waits_for_its_turn_lets_its_source_go() {
    let server = Server::start([Reply::Hang]).await;
    let clock = Arc::new(FirstWaitOnly::default());
    let config = limited(&server, 128 << 10);
    let client = Client::new(config, Arc::<FirstWaitOnly>::clone(&clock)).unwrap();
    let taken = Arc::<AtomicUsize>::default();
    let (session, rows) = (session(), Endless(Arc::clone(&taken)));
    let mut upload = Box::pin(client.put_block(&session, 0, &rows));
    while !clock.waits_for_good() {
        tokio::select! {
            biased;
            outcome = &mut upload => panic!("{outcome:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(
        Arc::strong_count(&taken) > 2,
        "the encoder holds the source"
    );
    drop(upload);
    while Arc::strong_count(&taken) > 2 {
        tokio::task::yield_now().await;
    }
}

/// A clock by which the first wait is over at once, and no other ever ends.
#[derive(Debug, Default)]
struct FirstWaitOnly {
    waits: Mutex<Vec<Duration>>,
}

impl FirstWaitOnly {
    fn waits_for_good(&self) -> bool {
        self.waits.lock().unwrap().len() > 1
    }
}

impl Clock for FirstWaitOnly {
    fn now(&self) -> Timestamp {
        TestClock::default().now()
    }

    fn elapsed(&self) -> Duration {
        self.waits
            .lock()
            .unwrap()
            .first()
            .copied()
            .unwrap_or_default()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut waits = self.waits.lock().unwrap();
        waits.push(duration);
        match waits.len() {
            1 => Box::pin(std::future::ready(())),
            _ => Box::pin(std::future::pending()),
        }
    }
}
