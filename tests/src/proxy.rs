//! A connection between the program and a broker that is slow, or breaks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What is passed on at once, in bytes.
const CHUNK_BYTES: usize = 16 << 10;

/// What is wrong with the connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    /// How long each chunk of 16 KiB waits, in each direction.
    pub delay: Duration,
    /// After so many bytes of the broker's, counted over all connections, the one that carries them breaks; 0 for never.
    pub cut_every_bytes: u64,
    /// How many connections break.
    pub cuts: u64,
}

/// A listener on a free loopback port that passes all on to a broker, until the test process ends.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    trouble: Trouble,
    target: OnceLock<String>,
    carried: AtomicU64,
    cuts: AtomicU64,
}

impl Proxy {
    /// Listens; what connects before [`Proxy::lead_to`] is turned away.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub fn start(trouble: Trouble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address").to_string();
        let shared = Arc::new(Shared {
            trouble,
            target: OnceLock::new(),
            carried: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        run("proxy", move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                run("proxy-connection", move || shared.serve(&client));
            }
        });
        Self { address, shared }
    }

    /// Says to whom all is passed on.
    ///
    /// # Panics
    ///
    /// When it was said before.
    pub fn lead_to(&self, target: &str) {
        let set = self.shared.target.set(target.to_owned());
        set.expect("the target is set once");
    }

    /// `host:port` that it listens on.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How many connections it broke.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Passes on in both directions until one side ends or the connection is to break.
    fn serve(self: &Arc<Self>, client: &TcpStream) {
        let server = self.target.get().map(TcpStream::connect);
        let Some(Ok(server)) = server else {
            return;
        };
        if let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) {
            let shared = Arc::clone(self);
            run("proxy-requests", move || shared.pass(&from, &to, |_| true));
        }
        self.pass(&server, client, |bytes| self.goes_on_after(bytes));
    }

    /// Passes on until it ends or `goes_on` says that it does, and closes both connections.
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream, goes_on: impl Fn(u64) -> bool) {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut pass_one = || -> io::Result<bool> {
            let count = from.read(&mut chunk)?;
            if !self.trouble.delay.is_zero() {
                delay(self.trouble.delay);
            }
            to.write_all(&chunk[..count])?;
            Ok(count > 0 && goes_on(count as u64))
        };
        while pass_one().unwrap_or(false) {}
        for stream in [from, to] {
            // It may be closed already.
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// Counts bytes of the broker's, and says whether the connection stays.
    fn goes_on_after(&self, bytes: u64) -> bool {
        let before = self.carried.fetch_add(bytes, Ordering::Relaxed);
        let Trouble {
            cut_every_bytes,
            cuts,
            ..
        } = self.trouble;
        let passed = |carried: u64| carried.checked_div(cut_every_bytes).unwrap_or(0).min(cuts);
        let breaks = passed(before + bytes) > passed(before);
        if breaks {
            self.cuts.fetch_add(1, Ordering::Relaxed);
        }
        !breaks
    }
}

fn run(name: &str, work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.expect("a thread");
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is waited for: the connection is to be slow"
)]
fn delay(time: Duration) {
    thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends 100 KB to whoever connects, and how much of it comes through.
    fn received(proxy: &Proxy) -> usize {
        let mut all = Vec::new();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        // A broken connection ends it too, perhaps with an error.
        stream.read_to_end(&mut all).ok();
        all.len()
    }

    #[test]
    fn so_many_connections_break_and_then_no_more() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(Trouble {
            cut_every_bytes: 50_000,
            cuts: 2,
            ..Trouble::default()
        });
        assert_eq!(received(&proxy), 0, "nobody is there yet");
        proxy.lead_to(&server.local_addr().unwrap().to_string());
        run("server", move || {
            for stream in server.incoming() {
                stream.unwrap().write_all(&vec![7; 100_000]).ok();
            }
        });
        let counts = [(); 3].map(|()| received(&proxy));
        assert!(counts[0] < 100_000 && counts[1] < 100_000, "{counts:?}");
        assert_eq!((counts[2], proxy.cuts()), (100_000, 2));
    }
}
