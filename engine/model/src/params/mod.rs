//! Scheduling parameters: names like `startTime` whose values follow from a run's scheduled time.
//!
//! | written | is |
//! |---|---|
//! | `$[yyyymmddhh24-1/24]` | the [scheduled time](ScheduledTime), moved by days and fractions of a day |
//! | `$[add_months(yyyymmdd,-1)]` | the same, moved by months; also `first_day` and `last_day` of a month |
//! | `${yyyymm-1}` | the business date, the day before the scheduled day, moved by the format's smallest unit |
//! | `$bizdate` `$bizmonth` `$cyctime` `$gmtdate` `$yyyymmdd` `$yyyy` `$mm` `$dd` | built-in parameters |
//! | `${name}`, `${env.NAME}` | another parameter, a variable of the environment |
//! | `$$` | a dollar sign |
//! | anything else | itself |
//!
//! The tokens of a format are `yyyy yy mm dd hh24 hh12 hh mi ss`, with `- : / _ . T` between them; `mm` is always the
//! month, `mi` the minute, `hh` counts to 12. They may be written in capitals, but not in a mixture of both.
//!
//! [`parse`] reads an expression, [`evaluate`] computes one, [`Parameters`] resolves a job's parameters together,
//! [`parse_bound`] makes an instant of a window's bound, [`explain`] and [`lint`] tell people what they wrote.
//! All of it is text and dates: nothing asks for the time.

mod bound;
mod error;
mod evaluate;
mod explain;
mod expression;
mod format;
mod lint;
mod parse;
mod scheduled_time;
mod shift;
mod table;

pub use bound::{Bound, BoundError, BoundErrorKind, BoundWarning, parse_bound};
pub use error::{ParamError, ParamErrorKind};
pub use evaluate::evaluate;
pub use explain::{Explained, PartKind, explain};
pub use expression::Expression;
pub use lint::{Note, NoteKind, lint, lint_label};
pub use parse::parse;
pub use scheduled_time::ScheduledTime;
pub use table::{Parameters, VALUE_BYTES_MAX, Value, Values};
