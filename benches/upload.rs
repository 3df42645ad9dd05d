//! `cargo bench -p benches --bench upload -- [--megabytes N] [--repetitions N]`

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::hint::black_box;

use benches::Result;
use benches::arguments::Arguments;
use benches::decode::{Blocks, engine};
use benches::fields::MappedFields;
use benches::measure::Contest;
use benches::messages::Kind;
use benches::upload::{plain_stream, tunnel_body};

fn main() -> Result<()> {
    let arguments = Arguments::read(std::env::args().skip(1), 64, 15)?;
    for kind in Kind::ALL {
        let fields = MappedFields::of(kind, 12)?;
        let projection = fields.projection()?;
        let mut batches = Vec::new();
        let blocks = Blocks::new(&arguments.payloads(kind)?, 0);
        engine(&blocks, &projection, |batch| batches.push(batch))?;
        let schema = projection.schema();
        let mut bytes = 0;
        plain_stream(&schema, &batches, |piece| bytes += piece.len())?;
        let forget = |piece: &[u8]| {
            black_box(piece);
        };
        let outcome = Contest::new(format!("{}, {} MB", kind.name(), bytes / 1_000_000), bytes)
            .way("tunnel body", || tunnel_body(&schema, &batches, forget))
            .way("StreamWriter", || plain_stream(&schema, &batches, forget))
            .run(arguments.repetitions)?;
        if kind == Kind::Small {
            println!("{}", outcome.head("rows of 12 fields, Arrow bytes"));
        }
        println!("{}", outcome.line());
    }
    Ok(())
}
