//! JSON payloads into Arrow batches. Nothing here knows where messages come from or where batches go.
//!
//! A job's mapping is compiled once into a [`Projection`]; a [`Decoder`] per thread then takes one message after the
//! other and gives a [`RecordBatch`](arrow::record_batch::RecordBatch) when asked. This is how one message flows:
//!
//! 1. The payload is copied into a padded buffer and parsed there as a whole, by simd-json, into a *tape*: its values
//!    in order. Where no field path is mapped, it is neither parsed nor checked.
//! 2. All field paths, as one tree, are walked over the tape once. The last of duplicate keys wins, with all that is in
//!    it. A path that leads nowhere, through a scalar or past an array's end, is NULL, and so is every path of a
//!    tombstone.
//! 3. Each column takes its value from the tape, or, for numbers that a float would change and for objects and arrays,
//!    from the very bytes of the payload, found by one pass over the parser's token positions.
//! 4. Key, headers, offset and the like go to the columns that are mapped to them.
//! 5. If a column refuses its value, all of them drop what they took: the message is a [`Rejection`] and leaves no
//!    trace in the batch.
//!
//! # What columns take
//!
//! A value is converted exactly or refused; nothing is rounded, cut or wrapped. DOUBLE alone takes the nearest float.
//!
//! | column | takes |
//! |---|---|
//! | STRING | strings; numbers as the message spells them; `true`, `false`; objects and arrays byte for byte; at most 8 MiB |
//! | BIGINT | -2^63+1 to 2^63-1, also as `1.0`, `1e3` or `"12"`; the service keeps -2^63 for itself |
//! | DOUBLE | numbers and numeric strings, `"NaN"`, `"Infinity"`, `"-Infinity"`; not what is beyond the largest float |
//! | DECIMAL | numbers and numeric strings that fit precision and scale |
//! | BOOLEAN | `true`, `false`, and both as strings in any case |
//! | DATETIME, TIMESTAMP | strings such as `2026-11-22T10:00:00.123+08:00`, `2026-11-22 10:00:00` or `2026-11-22`; numbers where the job says what they count |
//!
//! A date-time without an offset is read in the job's time zone: the first of the two instants where a clock is set
//! back, and refused where it is set forward and never shows that time.
//!
//! # What counts as JSON
//!
//! RFC 8259 decides, and the differences are these:
//!
//! - More than [`DEPTH_MAX`] objects and arrays within each other are rejected, as the RFC allows.
//! - A `\u` escape of half a surrogate pair is rejected: no UTF-8 text can hold it.
//! - A byte order mark is rejected, as the RFC allows.
//!
//! simd-json itself differs from the RFC in one more point, numbers that no float can hold, such as `1e400`; they are
//! accepted here, as text of a STRING, and refused only by columns that can't hold them.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::AsArray;
//! use engine_decode::{Decoder, Projection};
//! use engine_model::{
//!     Column, ColumnMapping, ColumnSource, ColumnType, Headers, KeyType, Message, PayloadType, TableColumns,
//! };
//! use jiff::tz::TimeZone;
//!
//! let payload = br#"{"a":{"a1":"hello"},"b":"world","c":["xxxxxxx","yyyyyyy"],
//!     "d":[{"AA":"this","BB":"is_data"},{"AA":"that","BB":"is_also_data"}],"a.b":"unreachable"}"#;
//!
//! let paths = ["a.a1", "b", "c[1]", "d[0].AA", "a.b"];
//! let mut table = TableColumns::default();
//! let mut mappings = Vec::new();
//! for (index, path) in paths.iter().enumerate() {
//!     let column = format!("col{index}");
//!     table.columns.push(Column::new(&column, ColumnType::String));
//!     mappings.push(ColumnMapping { column, source: ColumnSource::Path(path.parse()?), format: None });
//! }
//! let projection =
//!     Projection::compile(&mappings, &table, KeyType::String, PayloadType::Json, &TimeZone::UTC)
//!         .map_err(|errors| errors[0].to_string())?;
//!
//! let mut decoder = Decoder::new(Arc::new(projection));
//! let message = Message {
//!     offset: 0,
//!     timestamp_ms: 1_795_341_600_000,
//!     key: None,
//!     payload: Some(payload),
//!     headers: Headers::default(),
//! };
//! decoder.decode(&message, 0)?;
//! let batch = decoder.flush();
//!
//! let row: Vec<Option<&str>> =
//!     batch.columns().iter().map(|column| column.as_string::<i32>().iter().next().flatten()).collect();
//! assert_eq!(row, [Some("hello"), Some("world"), Some("yyyyyyy"), Some("this"), None]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod column;
mod decoder;
#[cfg(test)]
mod fixture;
mod instant;
mod locate;
mod metadata;
mod node;
mod number;
mod parser;
mod projection;
mod reject;
mod trie;
mod value;

pub use decoder::Decoder;
pub use parser::DEPTH_MAX;
pub use projection::{Projection, ProjectionError, ProjectionErrorKind};
pub use reject::{RejectReason, Rejection};
