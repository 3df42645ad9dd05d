//! `cargo bench -p benches --bench decode -- [--megabytes N] [--repetitions N] [--tweets FILE]`

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::RecordBatch;
use benches::Result;
use benches::arguments::Arguments;
use benches::decode::{Blocks, arrow_json, engine, serde_json};
use benches::fields::{COUNTS, MappedFields};
use benches::measure::Contest;
use benches::messages::Kind;
use engine_model::job::Validation;

fn main() -> Result<()> {
    let arguments = Arguments::read(std::env::args().skip(1), 16, 7)?;
    let mut is_first = true;
    for kind in Kind::ALL {
        let payloads = arguments.payloads(kind)?;
        let blocks = Blocks::new(&payloads, 0);
        for count in COUNTS {
            let fields = MappedFields::of(kind, count)?;
            let mapped = fields.validated(Validation::Mapped)?;
            let full = fields.validated(Validation::Full)?;
            let (flat, nested) = (full.schema(), Arc::new(fields.nested_schema()));
            let forget = |batch: RecordBatch| drop(black_box(batch));
            let name = format!(
                "{}, {} B, {count}",
                kind.name(),
                blocks.bytes / blocks.messages
            );
            let outcome = Contest::new(name, blocks.bytes)
                .way("mapped", || engine(&blocks, &mapped, forget))
                .way("full", || engine(&blocks, &full, forget))
                .ours(2)
                .way("arrow-json", || arrow_json(&blocks, &nested, forget))
                .way("serde_json", || serde_json(&blocks, &fields, &flat, forget))
                .run(arguments.repetitions)?;
            if std::mem::take(&mut is_first) {
                println!("{}", outcome.head("messages, mean size, fields"));
            }
            println!("{}", outcome.line());
        }
    }
    Ok(())
}
