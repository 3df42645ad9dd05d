//! The stages behind the reader, each alone and in memory.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use engine_model::job::{BlockFormat, Compression, Validation};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::arguments::Arguments;
use crate::blocks::{Load, Sender};
use crate::decode::{Blocks, arrow_json, engine};
use crate::end_to_end::Set;
use crate::measure::{Contest, Outcome, median, megabytes};
use crate::memory::Table;
use crate::stage::{self, DAY_START_MS, write_and_read};
use crate::upload::{raw_socket, tunnel_body};

/// Bytes of a block that is sent, at least.
const SENT_BYTES_MIN: usize = 256 << 20;

/// CPU seconds for 10^9 bytes of payload, of each stage alone, and what rivals took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StageFigures {
    /// Payloads to rows, as jobs have it unless they say otherwise.
    pub decode: f64,
    /// Rows to a staged file.
    pub write: f64,
    /// A staged file to rows.
    pub read: f64,
    /// Rows to the body of a block.
    pub encode: f64,
    /// How many times as fast as `arrow-json` decoding is, with `validation: mapped` and with `full`.
    pub decode_ratios: (f64, f64),
    /// How many times the rate of one thread two of them decode at.
    pub two_threads: f64,
    /// Rows to the body of a block, in MB/s of the rows' bytes.
    pub encode_rate: f64,
    /// The rate of a block that the client sends to a server that forgets it, in those of the same bytes through a socket.
    pub send_ratio: f64,
}

/// Measures the stages of `set`. At `endpoint` is a sink for its table.
pub fn measure(set: Set, arguments: &Arguments, endpoint: &str) -> Result<StageFigures> {
    let fields = set.fields()?;
    let blocks = Arc::new(Blocks::new(&arguments.payloads(set.kind)?, DAY_START_MS));
    let gigabytes = megabytes(blocks.bytes) / 1e3;
    let decoding = decoding(set, &blocks, arguments.repetitions)?;
    let threads = threads(set, &blocks, arguments.repetitions)?;

    let folder = tempfile::tempdir()?;
    let table = Table::new(fields.table(), false);
    let (mut write, mut read) = (Vec::new(), Vec::new());
    for _ in 0..arguments.repetitions {
        let report = stage::engine(&blocks, &fields, &table, folder.path())?;
        let (written, was_read) = write_and_read(&report.steps);
        write.push(written.as_secs_f64() / gigabytes);
        read.push(was_read.as_secs_f64() / gigabytes);
    }

    let mut batches = Vec::new();
    let projection = fields.projection()?;
    engine(&blocks, &projection, |batch| batches.push(batch))?;
    let schema = projection.schema();
    let mut bytes = 0;
    tunnel_body(&schema, &batches, |piece| bytes += piece.len())?;
    // Blocks of the size that a load has: a session takes some requests beside its block.
    let times = SENT_BYTES_MIN.div_ceil(bytes.max(1));
    let block = vec![batches.clone(); times].concat();
    let encoding = Contest::new("body", bytes)
        .way("tunnel body", || {
            tunnel_body(&schema, &batches, |piece| {
                std::hint::black_box(piece);
            })
        })
        .run(arguments.repetitions)?;
    let sender = Sender::new(&Load {
        endpoint: endpoint.to_owned(),
        table: set.name(),
        format: BlockFormat::Arrow,
        compression: Compression::None,
        blocks: 1,
    })?;
    let sending = Contest::new("block", bytes * times)
        .timed("client", || wall(|| sender.send(&block)))
        .timed("socket", || wall(|| raw_socket(endpoint, &schema, &block)))
        .run(arguments.repetitions)?;

    let encode_rate = encoding.rate(0);
    Ok(StageFigures {
        decode: 1e3 / decoding.rate(1),
        write: median(write),
        read: median(read),
        encode: megabytes(bytes) / encode_rate / gigabytes,
        decode_ratios: (decoding.ratio_of(0, 2), decoding.ratio_of(1, 2)),
        two_threads: threads.rate(1) / threads.rate(0),
        encode_rate,
        send_ratio: sending.ratio(1),
    })
}

/// `mapped`, `full` and `arrow-json`; the whole payload is no field, so all of them leave it out.
fn decoding(set: Set, blocks: &Blocks, repetitions: usize) -> Result<Outcome> {
    let fields = Set::of(set.kind).fields()?;
    let mapped = fields.validated(Validation::Mapped)?;
    let full = fields.validated(Validation::Full)?;
    let nested = Arc::new(fields.nested_schema());
    Contest::new("decode", blocks.bytes)
        .way("mapped", || engine(blocks, &mapped, drop))
        .way("full", || engine(blocks, &full, drop))
        .way("arrow-json", || arrow_json(blocks, &nested, drop))
        .run(repetitions)
}

/// One thread that decodes everything twice, and two that decode it once each.
fn threads(set: Set, blocks: &Blocks, repetitions: usize) -> Result<Outcome> {
    let projection = set.fields()?.projection()?;
    let once = || engine(blocks, &projection, drop);
    Contest::new("threads", 2 * blocks.bytes)
        .timed("one", || wall(|| once().and_then(|()| once())))
        .timed("two", || {
            wall(|| {
                thread::scope(|scope| {
                    let other = scope.spawn(once);
                    once()?;
                    other.join().map_err(|_| "a decoder panicked")?
                })
            })
        })
        .run(repetitions)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is where the clock is read"
)]
fn wall(run: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let started = std::time::Instant::now();
    run()?;
    Ok(started.elapsed())
}
