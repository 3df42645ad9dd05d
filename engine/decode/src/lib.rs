//! Messages into Arrow batches. Nothing here knows where messages come from or where batches go.
//!
//! A job's mapping is compiled once into a [`Projection`]; a [`Decoder`] per thread then takes one message after the
//! other and gives a [`RecordBatch`](arrow::record_batch::RecordBatch) when asked. This is how one message flows:
//!
//! 1. The payload is unpacked, where its producer compressed it, and made UTF-8, where it is in another encoding. What no
//!    column needs isn't looked at.
//! 2. JSON is copied into a padded buffer and parsed there as a whole, by simd-json, into a *tape*: its values in order.
//!    Where no field path is mapped, it is neither parsed nor checked. Delimited text is cut into its fields instead, and
//!    the next two steps are but a look at each position.
//! 3. All field paths, as one tree, are walked over the tape once. The last of duplicate keys wins, with all that is in
//!    it. A path that leads nowhere, through a scalar or past an array's end, is NULL, and so is every path of a
//!    tombstone.
//! 4. Each column takes its value from the tape, or, for numbers that a float would change and for objects and arrays,
//!    from the very bytes of the payload, found by one pass over the parser's token positions.
//! 5. Key, headers, offset and the like go to the columns that are mapped to them.
//! 6. If a column refuses its value, all of them drop what they took: the message is a [`Rejection`] and leaves no
//!    trace in the batch.
//!
//! # What columns take
//!
//! A value is converted exactly or refused; nothing is rounded, cut or wrapped unless the job asks for it. FLOAT and DOUBLE
//! alone take the nearest float.
//!
//! `docs/types.md` has a table of all types of columns and kinds of values; a test writes it.
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
//! - A byte order mark in front is no part of the text, as the RFC allows.
//!
//! simd-json itself differs from the RFC in one more point, numbers that no float can hold, such as `1e400`; they are
//! accepted here, as text of a STRING, and refused only by columns that can't hold them.
//!
//! # Samples
//!
//! Beside the way of a message there are two looks at a few payloads: a [`PayloadSample`] learns which fields there are and
//! proposes columns for them, an [`UnmappedFinder`] names those that a job's columns leave out.
//!
//! # Mapped validation
//!
//! All this is what [`Validation::Full`](engine_model::job::Validation::Full) does. With
//! [`Validation::Mapped`](engine_model::job::Validation::Mapped) a payload isn't parsed: one pass over its bytes finds where
//! the tokens start, and the tree of paths is walked over them. A value that nobody wants is skipped by counting brackets,
//! and what is wanted is read from the bytes of the payload.
//!
//! **Whatever full validation accepts makes the same row, and what is rejected here is rejected there too.** The other
//! way round, these faults go unseen in the parts that are skipped, and only there:
//!
//! - words, numbers and tokens that JSON doesn't have, missing or superfluous commas and colons;
//! - a bracket that is closed by one of the other kind;
//! - escapes that JSON doesn't have, and halves of surrogate pairs;
//! - bytes that aren't UTF-8;
//! - more than [`DEPTH_MAX`] objects and arrays within each other.
//!
//! Skipped are the values of keys that no path has, of keys that come again later in their object, of array elements
//! that no path has, and of what is neither mapped nor what a path leads on into: a string or an array where a path wants an
//! object. Keys are not checked to be UTF-8. Everywhere are checked: that strings end and have no control characters in them, that no backslash is
//! outside of a string, that brackets are closed, and that one value is all there is. The objects and arrays that paths
//! lead through are checked for their keys, colons and commas, arrays as far as the last element that a path has; and a
//! mapped value is checked as a whole.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::AsArray;
//! use engine_decode::{Decoder, Projection, ProjectionSpec};
//! use engine_model::{
//!     Column, ColumnMapping, ColumnSource, ColumnType, Headers, Message, MessageFormat, TableColumns, TopicPartition,
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
//!     mappings.push(ColumnMapping::new(column, ColumnSource::Path(path.parse()?)));
//! }
//! let (format, zone) = (MessageFormat::default(), TimeZone::UTC);
//! let spec = ProjectionSpec::new(&mappings, &table, &format, &zone);
//! let projection = Projection::compile(&spec).map_err(|errors| errors[0].to_string())?;
//!
//! let mut decoder = Decoder::new(Arc::new(projection));
//! let message = Message {
//!     offset: 0,
//!     timestamp_ms: 1_795_341_600_000,
//!     key: None,
//!     payload: Some(payload),
//!     headers: Headers::default(),
//! };
//! decoder.decode(&message, &TopicPartition::new("orders", 0))?;
//! let batch = decoder.flush();
//!
//! let row: Vec<Option<&str>> =
//!     batch.columns().iter().map(|column| column.as_string::<i32>().iter().next().flatten()).collect();
//! assert_eq!(row, [Some("hello"), Some("world"), Some("yyyyyyy"), Some("this"), None]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod column;
mod decoder;
mod delimited;
mod document;
mod escape;
#[cfg(test)]
mod fixture;
mod index;
mod instant;
mod locate;
mod metadata;
mod node;
mod number;
mod parser;
mod payload;
mod projection;
mod reject;
mod sample;
mod swar;
mod text;
mod trie;
mod unmapped;
mod unpack;
mod value;
mod walker;

pub use decoder::Decoder;
pub use parser::DEPTH_MAX;
pub use projection::{Projection, ProjectionError, ProjectionErrorKind, ProjectionSpec};
pub use reject::{RejectReason, Rejection};
pub use sample::{
    FieldFigures, Inference, InferredColumn, IntegerRange, KindCounts, PayloadSample,
    SAMPLE_DEPTH_MAX, SAMPLE_FIELDS_MAX, SAMPLE_KEY_BYTES_MAX, SampledField, StringCounts,
};
pub use unmapped::{MappedFields, UnmappedFinder};
