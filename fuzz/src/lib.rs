//! What must hold for any input, as plain functions that panic where it doesn't.
//!
//! Each check takes bytes as a fuzzer gives them. `targets/` hands it to libFuzzer, `corpus/` holds a few inputs that
//! tell the branches apart, and the tests replay those, whole and damaged, without a fuzzer.
//!
//! | check | what it feeds | what must hold |
//! |---|---|---|
//! | [`answers`] | answers of MaxCompute | nothing panics; errors stay short |
//! | [`bound`] | a window's bound | the instant reads back from its own spelling |
//! | [`column_type`] | a column's type | what is printed parses to the same |
//! | [`csv`] | a SQL result | what is written parses to the same |
//! | [`field_path`] | a field path | what is printed parses to the same |
//! | [`fields`] | the choices that make a payload | as for [`projection`] |
//! | [`formats`] | a message in any format | text, fields and rounded values as slow readings have them |
//! | [`frame`] | a block's body, and a block's data | the framing comes off; what is damaged is refused |
//! | [`job_file`] | a job file and its sources | findings are one line each and hold no value of the environment |
//! | [`messages`] | the data of a block in Arrow form | rows that are read are written and read alike |
//! | [`parameters`] | a scheduled time and parameters | explaining and evaluating agree, alone and together |
//! | [`partition_value`] | values of a table partition | what is accepted splits where it was joined |
//! | [`projection`] | a payload | cells of all types, NULLs and rejects as a slow reading has them, and alike with less validation |
//! | [`records`] | a block in record form | rows that are read are written and read alike |

mod cell;
mod decode;
mod formats;
mod model;
mod reference;
mod tunnel;

pub use decode::{fields, projection};
pub use formats::formats;
pub use model::{bound, column_type, field_path, job_file, parameters, partition_value};
pub use tunnel::{answers, csv, frame, messages, records};

/// A check: takes any bytes and panics where what must hold doesn't.
pub type Check = fn(&[u8]);

/// All checks by the name of their target and corpus.
pub const CHECKS: [(&str, Check); 14] = [
    ("answers", answers),
    ("bound", bound),
    ("column_type", column_type),
    ("csv", csv),
    ("field_path", field_path),
    ("fields", fields),
    ("formats", formats),
    ("frame", frame),
    ("job_file", job_file),
    ("messages", messages),
    ("parameters", parameters),
    ("partition_value", partition_value),
    ("projection", projection),
    ("records", records),
];

#[cfg(test)]
mod tests;
