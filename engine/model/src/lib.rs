//! The words of the engine: pure values and their rules.
//!
//! Nothing here does IO, starts a thread or reads a clock. Every other crate speaks in these types: a checked job,
//! the [`Window`] it loads, the [`OffsetRange`]s that cover it, the [`SliceSpec`]s they are cut into, and the
//! [`Ledger`] that proves that every offset was accounted for.

mod checksum;
mod columns;
pub mod ddl;
mod error;
mod field_path;
mod finding;
pub mod job;
mod ledger;
pub mod limits;
mod message;
mod message_format;
mod offsets;
pub mod params;
mod plan;
mod rate;
mod report;
mod slice;
mod table;
mod unmapped;
mod window;

pub use checksum::Checksum;
pub use columns::{ColumnMapping, ColumnSource, MetadataField, Rounding, TimeUnit, ValueFormat};
pub use error::{Error, ErrorKind};
pub use field_path::{FieldPath, FieldPathError, Step};
pub use finding::{Finding, Findings, Severity};
pub use ledger::{Counts, Imbalance, Ledger, WindowCounts};
pub use message::{Headers, Message, MessageBlock};
pub use message_format::{
    Delimiters, InvalidText, MessageFormat, PayloadCompression, PayloadType, PrimitiveType,
    TextEncoding,
};
pub use offsets::{OffsetRange, TopicPartition};
pub use plan::{LoadPlan, PlannedPartition, PlannedWindow, Reach};
pub use rate::{ByteRate, RateLimiter};
pub use report::{
    Content, DeletedOffsets, LastLoad, LedgerEntry, RunReport, SliceCounts, StepFigures, Steps,
    WindowOutcome, WindowReport,
};
pub use slice::{
    RangeReport, SLICE_FORMAT, SliceRange, SliceReport, SliceSpec, SliceWindowReport, StagedFile,
};
pub use table::{Column, ColumnType, PartitionSpec, TableColumns, TableName};
pub use unmapped::UnmappedFields;
pub use window::{Verdict, Window};
