//! `cargo bench -p benches --bench decode -- [--megabytes N] [--repetitions N] [--tweets FILE]`
//!
//! `… -- alone KIND FIELDS VALIDATION` decodes with this validation and does nothing else, for a profiler to watch.

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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["alone", kind, count, validation, ..] => {
            let arguments = Arguments::read(arguments.iter().skip(4).cloned(), 16, 100)?;
            let kind = Kind::from_name(kind)?;
            let fields = MappedFields::of(kind, count.parse()?)?;
            let projection = fields.validated(match validation {
                "mapped" => Validation::Mapped,
                "full" => Validation::Full,
                _ => return Err(format!("{validation:?} is no validation").into()),
            })?;
            let blocks = Blocks::new(&arguments.payloads(kind)?, 0);
            for _ in 0..arguments.repetitions {
                engine(&blocks, &projection, forget)?;
            }
            Ok(())
        }
        _ => compare(&Arguments::read(arguments.into_iter(), 16, 7)?),
    }
}

fn forget(batch: RecordBatch) {
    drop(black_box(batch));
}

fn compare(arguments: &Arguments) -> Result<()> {
    let mut is_first = true;
    for kind in Kind::ALL {
        let payloads = arguments.payloads(kind)?;
        let blocks = Blocks::new(&payloads, 0);
        for count in COUNTS {
            let fields = MappedFields::of(kind, count)?;
            let mapped = fields.validated(Validation::Mapped)?;
            let full = fields.validated(Validation::Full)?;
            let (flat, nested) = (full.schema(), Arc::new(fields.nested_schema()));
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
