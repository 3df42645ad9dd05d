//! `cargo bench -p benches --bench stage -- [--megabytes N] [--repetitions N]`
//!
//! The engine's side is a whole load from memory into memory; its stage step and, for reading back, its upload step
//! are taken from the report. The rates are of payload bytes.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::cell::Cell;
use std::sync::Arc;

use benches::Result;
use benches::arguments::Arguments;
use benches::decode::{Blocks, engine};
use benches::fields::MappedFields;
use benches::measure::{Contest, megabytes};
use benches::memory::Table;
use benches::messages::Kind;
use benches::stage::{self, DAY_START_MS, plain, write_and_read};
use engine_load::RowChecksum;

fn main() -> Result<()> {
    let arguments = Arguments::read(std::env::args().skip(1), 64, 5)?;
    let folder = tempfile::tempdir()?;
    let mut checksums = Vec::new();
    for kind in Kind::ALL {
        let fields = MappedFields::of(kind, 12)?;
        let blocks = Arc::new(Blocks::new(&arguments.payloads(kind)?, DAY_START_MS));
        let mut batches = Vec::new();
        engine(&blocks, &fields.projection()?, |batch| batches.push(batch))?;
        let table = Table::new(fields.table(), false);
        let ours = || stage::engine(&blocks, &fields, &table, folder.path());
        let theirs = || plain(&batches, folder.path());
        let (staged_bytes, plain_bytes) = (Cell::new(0), Cell::new(0));
        let write = Contest::new(format!("write {}", kind.name()), blocks.bytes)
            .timed("engine", || {
                let report = ours()?;
                staged_bytes.set(report.steps.stage.bytes);
                Ok(write_and_read(&report.steps).0)
            })
            .timed("ArrowWriter", || {
                let plain = theirs()?;
                plain_bytes.set(plain.bytes);
                Ok(plain.write)
            })
            .run(arguments.repetitions)?;
        let read = Contest::new(format!("read {}", kind.name()), blocks.bytes)
            .timed("engine", || Ok(write_and_read(&ours()?.steps).1))
            .timed("ArrowWriter", || Ok(theirs()?.read))
            .run(arguments.repetitions)?;
        checksums.push(
            Contest::new(kind.name(), blocks.bytes)
                .way("checksum", || {
                    let mut checksum = RowChecksum::default();
                    for batch in &batches {
                        checksum.add(batch)?;
                    }
                    std::hint::black_box(checksum.sum());
                    Ok(())
                })
                .timed("whole write", || Ok(write_and_read(&ours()?.steps).0))
                .run(arguments.repetitions)?,
        );
        if kind == Kind::Small {
            println!("{}", write.head("rows of 12 fields"));
        }
        println!("{}\n{}", write.line(), read.line());
        let sizes = [staged_bytes.get(), plain_bytes.get()].map(usize::try_from);
        let [staged, plain] = sizes;
        println!(
            "| size of {}, MB | {:.1} | {:.1} | |",
            kind.name(),
            megabytes(staged?),
            megabytes(plain?),
        );
    }
    if let Some(first) = checksums.first() {
        println!("\n{}", first.head("of rows of 12 fields"));
    }
    for checksum in &checksums {
        println!("{}", checksum.line());
    }
    Ok(())
}
