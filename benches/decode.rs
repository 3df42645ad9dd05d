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

fn main() -> Result<()> {
    let arguments = Arguments::read(std::env::args().skip(1), 16, 7)?;
    let mut is_first = true;
    for kind in Kind::ALL {
        let payloads = arguments.payloads(kind)?;
        let blocks = Blocks::new(&payloads, 0);
        for count in COUNTS {
            let fields = MappedFields::of(kind, count)?;
            let projection = fields.projection()?;
            let (flat, nested) = (projection.schema(), Arc::new(fields.nested_schema()));
            let forget = |batch: RecordBatch| drop(black_box(batch));
            let name = format!(
                "{}, {} B, {count}",
                kind.name(),
                blocks.bytes / blocks.messages
            );
            let outcome = Contest::new(name, blocks.bytes)
                .way("engine", || engine(&blocks, &projection, forget))
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
